"""Which trials of a study are confirmed, and which close ones are left out."""

from __future__ import annotations

from collections.abc import Collection

from besom.errors import StudyError
from besom.report.export import find_trial
from besom.report.leaderboard import ranking
from besom.statistics import claim
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.text.counting import IS, SHARES, named
from besom.text.printable import command

DEFAULT_TOP = 5

#: Not trained, so there is nothing to train again.
_NEVER_RAN = (Outcome.INFEASIBLE, Outcome.DUPLICATE, Outcome.WARM_START, Outcome.RUNNING)


def choose(
    study: StudyRecord, top: int | None, trials: Collection[int]
) -> tuple[tuple[TrialRecord, ...], str]:
    """Return the trials to confirm, and a sentence on those that the cut left out by chance.

    Args:
        study: the study.
        top: how many of the leaderboard's first; None: ``DEFAULT_TOP``, or none if trials are
            named.
        trials: trials by number, beside those.

    Returns:
        The entrants in the leaderboard's order, then the named ones; a baseline that is among
        neither comes last. And the sentence; empty if nobody was left out who is as good, by all
        that is known, as one that was taken.

    Raises:
        StudyError: no complete trial, no such trial, one that was never trained, or no first ones.
    """
    if not study.complete:
        raise StudyError(
            f"The study {study.name!r} has no complete trial to confirm. "
            f"`{command('leaderboard', study.name)}` shows how its trials ended."
        )
    if top is None and not trials:
        top = DEFAULT_TOP
    if top is not None and len(study.objectives) > 1:
        metrics = " and ".join(objective.metric for objective in study.objectives)
        raise StudyError(
            f"The study {study.name!r} has {len(study.objectives)} objectives ({metrics}), so it "
            "has no first trials. Name those to confirm with --trial N, once for each; they are "
            f"compared by {study.objective.metric}."
        )
    first, cut = _first(study, top, trials) if top else ([], "")
    numbers = dict.fromkeys([*first, *trials])
    chosen = [find_trial(study, number) for number in numbers]
    for trial in chosen:
        if trial.outcome in _NEVER_RAN or not trial.config:
            raise StudyError(
                f"Trial {trial.number} of {study.name!r} was never trained ({trial.outcome}), so "
                "it cannot be trained again."
            )
    baseline = next((t for t in study.trials if t.baseline), None)
    if baseline is not None and baseline.number not in numbers and baseline.config:
        chosen.append(baseline)
    return tuple(chosen), cut


def _first(study: StudyRecord, top: int, wanted: Collection[int]) -> tuple[list[int], str]:
    """The leaderboard's first ones, in its order, and a sentence on close ones left out."""
    claimed = claim(study)
    table = ranking(study, claimed)
    order, ranks = [int(t) for t in table["trial"]], [int(r) for r in table["rank"]]
    taken = {*order[:top], *wanted} | {t.number for t in study.trials if t.baseline}
    beyond = [(t, ranks[at]) for at, t in enumerate(order) if at >= top and t not in taken]
    last = ranks[min(top, len(ranks)) - 1]
    level = [t for t, rank in beyond if rank == last]
    tied = [t for t, _ in beyond if t in claimed.tied and t not in level]
    found = []
    if level:
        found.append(f"{named('trial', level, SHARES)} the score of the last one taken")
    if tied:
        found.append(f"{named('trial', tied, IS)} tied with the leaderboard's first")
    if not found:
        return order[:top], ""
    needed = max(order.index(trial) for trial in [*level, *tied]) + 1
    them = "it" if len(level) + len(tied) == 1 else "them"
    text = f"{' and '.join(found)}; --top {needed} takes {them} too."
    return order[:top], text[0].upper() + text[1:]
