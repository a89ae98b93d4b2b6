"""From a study to what may be said of it: who leads, who is tied, and what the lead is worth.

The tests and corrections are in the modules beside this one; here they meet the records, and every
case in which one of them does not apply is named rather than passed over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, TypedDict

import numpy as np

from besom.statistics import claim_text, power
from besom.statistics.candidates import candidates, n_epochs_picked_from
from besom.statistics.claim import BaselineGain, Claim
from besom.statistics.claim_table import ClaimTable, in_metric, n_rows, possible, within_reach_of
from besom.statistics.correctness import (
    scored,
    table_of,
)
from besom.statistics.distributions import Interval
from besom.statistics.fresh_seeds import (
    OnFreshSeeds,
    gains_on_fresh_seeds,
    score_on_fresh_seeds,
)
from besom.statistics.paired import compare_with_first, paired_gain
from besom.statistics.ranking import pareto_front
from besom.statistics.selection import Draws, Selection, correct_for_selection
from besom.store.records import Objective, StudyRecord, TrialRecord


def score(trial: TrialRecord, objective: Objective) -> tuple[float, bool]:
    """Return a complete trial's score, and whether it is a share of examples whose bits are known.

    Raises:
        ValueError: the trial has no value.
    """
    if trial.value is None:
        raise ValueError(f"trial {trial.number} is {trial.outcome} and has no score")
    known = scored(trial, objective, trial.value)
    return trial.value, known is not None and known.kind == "share"


def claim(study: StudyRecord, *, alpha: float = 0.05, n_draws: int = 1000, seed: int = 0) -> Claim:
    """Return what may be claimed of a study, with the numbers behind it.

    Args:
        study: every trial of it; only complete ones are ranked or claimed about.
        alpha: 1 less the confidence of every statement.
        n_draws, seed: of the bootstrap, see ``correct_for_selection``.

    Raises:
        StudyError: a trial's stored predictions are damaged.

    Example:
        >>> from besom.store.records import Outcome
        >>> right = np.arange(1000) < np.array([[900], [957], [960]])  # per trial and example
        >>> def stored(i, r):
        ...     more = {"n_validation": 1000, "correct": np.packbits(r).tobytes()}
        ...     return TrialRecord(i, Outcome.COMPLETE, (r.mean(),), **more)
        >>> trials = tuple(stored(i, r) for i, r in enumerate(right))
        >>> found = claim(StudyRecord("s", (Objective("val_accuracy", "maximize"),), trials))
        >>> found.leader, found.tied
        (2, (1,))
    """
    if not study.complete:
        return Claim(claim_text.nothing_completed(study))
    if len(study.objectives) > 1:
        return _several_objectives(study, alpha, n_draws, seed)
    table = ClaimTable(study, alpha)
    if not table.testable:
        return Claim(
            text=claim_text.untestable(study, table.leader, table.first_numbers),
            leader=table.leader.number,
            raw=table.scores[table.leader.number],
            rows=table.rows,
            caveats=table.caveats(),
        )
    return _single_objective(study, table, alpha, n_draws, seed)


def _single_objective(
    study: StudyRecord, table: ClaimTable, alpha: float, n_draws: int, seed: int
) -> Claim:
    """The claim where the leader's predictions are known; it is the first of ``testable``."""
    aim, kind = study.objective, table.known[0].kind
    n_epochs = [n_epochs_picked_from(trial, aim) for trial in table.testable]
    compared = compare_with_first(table_of(table.known), 0, alpha=alpha, n_picked=n_epochs)
    picked_from = candidates(table.testable, aim, table.known)
    draws: Draws = {"n_draws": n_draws, "seed": seed, "confidence": 1.0 - alpha}
    selection = correct_for_selection(picked_from.table, picked_from.trial, **draws)
    rows = dict(table.rows)
    for index, trial in enumerate(table.testable):
        rows[trial.number] = replace(
            rows[trial.number],
            p_value=float(compared.corrected[index]),
            tied=bool(compared.tied[index]),
        )
    others = zip(table.testable[1:], compared.tied[1:], strict=True)
    tied = tuple(trial.number for trial, is_tied in others if is_tied)
    rows[table.leader.number] = replace(rows[table.leader.number], tied=bool(tied))
    fresh = _fresh(table, selection, alpha)
    gain = fresh.over_baseline if fresh else _gain_over_baseline(table, selection, draws)
    in_seeds = ""
    if fresh and aim.is_share:
        in_seeds = power.in_seeds(fresh.gain, fresh.n_configs, selection.optimism)
    corrected = in_metric(kind, aim, Interval(selection.corrected, selection.corrected)).low
    result = Claim(
        text="",
        leader=table.leader.number,
        tied=tied,
        raw=table.scores[table.leader.number],
        corrected=corrected,
        standard_error=selection.standard_error,
        interval=within_reach_of(
            table.leader, table.known[0], aim, in_metric(kind, aim, selection.interval)
        ),
        baseline=gain,
        n_compared=len(table.testable) - 1,
        rows=rows,
        caveats=(*table.caveats(picked_from), *filter(None, [in_seeds])),
    )
    if fresh:
        worth = fresh.worth
        result = replace(
            result,
            corrected=worth.mean,
            standard_error=worth.standard_error,
            interval=within_reach_of(
                table.leader, table.known[0], aim, possible(aim, worth.interval)
            ),
            n_seeds=worth.n_seeds,
        )
    sentence = claim_text.sentence(
        result,
        study,
        table.leader,
        table.first_numbers,
        is_share=kind == "share" or aim.is_share,
        epoch_was_picked=len(picked_from.table) > 1,
    )
    return replace(result, text=sentence)


class _Given(TypedDict):
    """What the claims from fresh seeds have in common."""

    sign: int
    step: float
    confidence: float


class _Fresh(NamedTuple):
    """What the leader's config is worth and gains by fresh seeds, as ``n_configs`` have them."""

    worth: OnFreshSeeds
    gain: OnFreshSeeds
    over_baseline: BaselineGain
    n_configs: int


def _fresh(table: ClaimTable, selection: Selection, alpha: float) -> _Fresh | None:
    """What the leader's config is worth and gains, by fresh seeds; None where too few are known."""
    aim, baseline = table.aim, table.study.baseline
    scores: dict[int, dict[int, float]] = {}
    rows: dict[int, dict[int, Any]] = {}
    looks = set()
    for run in table.study.replicates:
        row = None if run.value is None else scored(run, aim, run.value)
        looks.add(run.environment.get("look"))
        if row is not None and run.value is not None:
            scores.setdefault(run.number, {})[run.seed] = run.value
            rows.setdefault(run.number, {})[run.seed] = row.row
    n_seeds = max((len(by_seed) for by_seed in scores.values()), default=0)
    scores = {number: by_seed for number, by_seed in scores.items() if len(by_seed) == n_seeds}
    leader = table.leader.number
    if baseline is None or n_seeds < 2 or len({leader, baseline.number} & scores.keys()) < 2:
        return None
    optimism = selection.optimism
    given: _Given = {
        "sign": aim.sign,
        "step": 1.0 / n_rows(table.leader, aim) if aim.is_share else 0.0,
        "confidence": 1.0 - alpha / len(looks),
    }
    found = gains_on_fresh_seeds(scores, rows, baseline.number, optimism, **given)[leader]
    worth = score_on_fresh_seeds(scores[leader], rows[leader], optimism, **given)
    gain = BaselineGain(
        trial=baseline.number,
        raw=aim.sign * (table.scores[leader] - table.scores[baseline.number]),
        gain=found.mean,
        standard_error=found.standard_error,
        interval=found.interval,
        p_value=None,
        n_seeds=found.n_seeds,
    )
    return _Fresh(worth, found, gain, len(scores))


def _gain_over_baseline(
    table: ClaimTable, selection: Selection, draws: Draws
) -> BaselineGain | None:
    """Return what the leader gains over the baseline.

    Args:
        table: the trials that can be tested, the leader first.
        selection: the correction of its score.
        draws: the same that this correction was made with.

    Returns:
        None if the baseline leads itself, or cannot be tested.

    Raises:
        StudyError: the baseline's stored predictions are damaged.
    """
    at = next((i for i, trial in enumerate(table.testable) if trial.baseline), 0)
    if at == 0:
        return None
    baseline, row, best = table.testable[at], table.known[at], table.known[0]
    paired = paired_gain(best.row, row.row, draws["confidence"])
    # The baseline was not picked among trials, but its epoch was among its epochs: by that much it
    # looks too good, and the gain over it too small.
    own = correct_for_selection(candidates([baseline], table.aim, [row]).table, **draws)
    gain, half = paired.gain - selection.optimism + own.optimism, paired.interval.width / 2.0
    p_value = compare_with_first(table_of([row, best]), 0, first_was_chosen=False).p_value[1]
    others = (trial for trial in table.testable if trial is not baseline)
    n_picked = sum(n_epochs_picked_from(trial, table.aim) for trial in others)
    return BaselineGain(
        trial=baseline.number,
        raw=paired.gain,
        gain=gain,
        standard_error=paired.standard_error,
        interval=Interval(gain - half, max(gain, paired.gain) + half),
        p_value=min(1.0, float(p_value) * n_picked),
    )


def _several_objectives(study: StudyRecord, alpha: float, n_draws: int, seed: int) -> Claim:
    """No single winner; by each objective alone there is a leader, with its error and its ties."""
    complete = study.complete
    values = np.array([trial.values for trial in complete], dtype=np.float64)
    on_front = pareto_front(values, [objective.direction for objective in study.objectives])
    front = tuple(t.number for t, is_on in zip(complete, on_front, strict=True) if is_on)
    each = {
        objective.metric: claim(_by_one(study, index), alpha=alpha, n_draws=n_draws, seed=seed)
        for index, objective in enumerate(study.objectives)
    }
    text = claim_text.no_winner(study, front) + claim_text.by_each(study, each)
    return Claim(text, front=front, each=each)


def _by_one(study: StudyRecord, index: int) -> StudyRecord:
    """The study as if it had one of its objectives alone."""
    aim = study.objectives[index]
    measured = [
        o.epoch == "best" and any(o.metric in t.history for t in study.complete)
        for o in study.objectives
    ]
    if index != (measured.index(True) if True in measured else None):
        aim = replace(aim, epoch="last")  # the epoch was picked by another objective
    trials = tuple(
        trial if trial.values is None else replace(trial, values=(trial.values[index],))
        for trial in study.trials
    )
    return replace(study, objectives=(aim,), trials=trials)
