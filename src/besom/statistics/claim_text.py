"""The sentences of a claim. The numbers come from ``make_claim``; this only phrases them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from besom.seam import KERAS_TRIALS, UNEXAMINED
from besom.statistics.claim import BaselineGain, Claim
from besom.statistics.distributions import Interval
from besom.store.records import Objective, StudyRecord, TrialRecord
from besom.text.counting import HAS, LEADS, WAS, counted, listed, named
from besom.text.numbers import decimals, percent_digits, with_error
from besom.text.printable import command

NO_BASELINE = "the baseline did not complete, so no gain over it can be claimed"


def _scale(error: float, is_share: bool) -> tuple[float, int]:
    """By what a number with this error is multiplied for people, and its decimals."""
    return (100.0, percent_digits(error)) if is_share else (1.0, decimals(error))


def _ends(interval: Interval, error: float, is_share: bool, sign: str = "") -> str:
    factor, digits = _scale(error, is_share)
    low, high = (f"{factor * end:{sign},.{digits}f}" for end in interval)
    return f"{low} to {high}"


def sentence(
    claim: Claim,
    study: StudyRecord,
    leader: TrialRecord,
    first: Sequence[int],
    *,
    is_share: bool = True,
    epoch_was_picked: bool = False,
) -> str:
    """Return the claim in short sentences: what the leader is worth, its gain, and who is tied.

    Args:
        claim: everything but its text; its numbers are known.
        study: what it is made of.
        leader: its leader.
        first: all trials that share the best score.
        is_share: whether its numbers are shares of examples.
        epoch_was_picked: whether the correction has taken out the luck of the best epoch.
    """
    assert claim.corrected is not None
    assert claim.standard_error is not None
    assert claim.interval is not None
    shown = with_error(claim.corrected, claim.standard_error, is_share)
    ends = _ends(claim.interval, claim.standard_error, is_share)
    basis = "corrected for selection"
    if claim.n_seeds:
        basis = f"by {counted(claim.n_seeds, 'fresh seed')}"
    elif len(claim.rows) == 1:
        basis = "corrected for the choice of its epoch"
        basis = basis if epoch_was_picked else "nothing was picked"
    whose = "" if claim.n_seeds or leader.n_repeats > 1 else ", these weights"
    where = f"on new examples ({ends}){over_runs(leader)}"
    worth = f"trial {study.shown(leader.number)}: {shown} {where}{whose}, {basis}"
    gain = _over_baseline(claim, leader, study.objective, is_share)
    found = [worth, *gain, _ties(claim, study, first)]
    return ". ".join(filter(None, found))


def _ties(claim: Claim, study: StudyRecord, first: Sequence[int]) -> str:
    if len(claim.rows) == 1:
        return "It is the only complete trial"
    if not claim.n_compared:
        return "No other trial could be compared with it"
    same = [number for number in first if number != claim.leader]
    n_tied = len(set(claim.tied) - set(same))
    others = {0: "No other is", 1: "1 other is"}.get(n_tied, f"{n_tied} others are")
    if not same:
        return f"{others} tied with it"
    shared = named("trial", [study.shown(number) for number in same], ("has", "have"))
    shared = f"{shared[:1].upper()}{shared[1:]} the same score"
    return f"{shared}; {others[:1].lower()}{others[1:]} tied with them"


def untestable(study: StudyRecord, leader: TrialRecord, first: Sequence[int]) -> str:
    """Return the claim where predictions do not bear on the objective, or are not stored."""
    metric = study.objective.metric
    worth = f"{metric} {leader.value:.6g}{over_runs(leader)}"
    if len(study.complete) == 1:
        head = f"trial {study.shown(leader.number)} is the only complete trial, with {worth}"
    else:
        head = f"{named('trial', [study.shown(n) for n in first], LEADS)} with {worth}"
    if study.is_imported:
        return (
            f"{head}; the study was imported, without what its trials scored on each example, so "
            "neither ties nor a correction for selection can be claimed"
        )
    each = "these runs" if leader.runs else "one run each"
    return (
        f"{head}; {why_untestable(study.objective, leader)}, so neither ties nor a correction for "
        f"selection can be claimed from {each}: confirm it over several seeds "
        f"({_confirming(study, leader)})"
    )


def over_runs(trial: TrialRecord) -> str:
    """Return ``" over 5 folds and 3 repeats"``; empty for a trial of one run."""
    n_runs = {"fold": trial.n_folds, "repeat": trial.n_repeats}
    said = listed([counted(n, what) for what, n in n_runs.items() if n > 1])
    return f" over {said}" if said else ""


def of_folds(n_folds: int) -> str:
    """Return the caveat about models that were trained on a part of the examples."""
    return (
        f"each score is that of {n_folds} models, each trained without its own fold; a model "
        "trained on all examples has not been judged itself"
    )


def of_repeats(n_repeats: int) -> str:
    """Return the caveat about seeds, of which an error from the examples knows nothing."""
    return (
        f"each score is a mean over {n_repeats} seeds; its ± is the luck of the examples, not that "
        "of other seeds"
    )


def why_untestable(aim: Objective, leader: TrialRecord) -> str:
    """Return why a metric has no error from the examples, in a few words."""
    metric, kept = aim.metric, leader.per_example
    if leader.n_validation == 1:
        return "it was judged on a single example"
    if reason := leader.environment.get(UNEXAMINED, {}).get(metric):
        return f"{metric} {reason}"
    if kept.kind(metric) in ("mean", "other") and kept.numbers(metric) is None:
        return f"the file of trial {leader.number} in predictions/ is lost"
    if metric in leader.numbers:
        return f"{metric} is no mean over examples"
    if leader.correct is None:
        return f"its scores by {metric} on single examples are not stored"
    return f"{metric} is not the share of validation examples that is stored as right"


def _confirming(study: StudyRecord, leader: TrialRecord) -> str:
    """The command; only besom's own trials can be measured on test images."""
    own = study.config.get("sweep", {}).get("trial_function", KERAS_TRIALS) == KERAS_TRIALS
    return command("confirm", study.home(leader.number), options="" if own else "--on validation")


def no_winner(study: StudyRecord, front: Sequence[int]) -> str:
    """Return the claim where several objectives forbid a single winner."""
    n = len(study.objectives)
    metrics = " and ".join(objective.metric for objective in study.objectives)
    be = "is" if len(front) == 1 else "are"
    return (
        f"with {n} objectives ({metrics}) there is no single winner; {len(front)} of "
        f"{counted(len(study.complete), 'complete trial')} {be} on the Pareto front "
        f"(trial{'s' * (len(front) > 1)} {listed(front)})"
    )


def by_each(study: StudyRecord, each: Mapping[str, Claim]) -> str:
    """Return the end of that sentence: who leads by each objective alone, and who is tied."""
    parts = []
    for objective in study.objectives:
        found = each[objective.metric]
        row = found.rows[found.leader] if found.leader is not None else None
        if row is None or row.standard_error is None or found.corrected is None:
            continue
        n = len(found.tied)
        tied = f"{n} {'other is' if n == 1 else 'others are'} tied with it" if n else "no ties"
        shown = with_error(row.value, row.standard_error, objective.is_share)
        parts.append(f"by {objective.metric} trial {found.leader} leads with {shown}, {tied}")
    return "".join(f"; {part}" for part in parts)


def nothing_completed(study: StudyRecord) -> str:
    """Return the claim of a study without any complete trial."""
    n, n_failed = len(study.trials), sum(trial.outcome.failed for trial in study.trials)
    if n == 0:
        return "no trial has run yet, so nothing may be claimed"
    if n_failed == n:
        failed = "the only trial failed" if n == 1 else f"all {n} trials failed"
        return f"{failed}, so nothing may be claimed"
    return f"none of the {n} trials is complete ({n_failed} failed), so nothing may be claimed"


def untested(n: int, *, is_baseline: bool = False) -> str:
    """Return the caveat about complete trials that could not be compared example by example."""
    who = counted(n, "complete trial", HAS)
    if is_baseline:
        who = (
            "the baseline has"
            if n == 1
            else f"{counted(n, 'complete trial')}, the baseline too, have"
        )
    return (
        f"{who} no stored predictions for the leader's validation "
        f"examples, so {'it' if n == 1 else 'they'} can neither be tied nor enter the correction"
    )


def pruned(n: int) -> str:
    """Return the caveat about pruned trials, whose part in the picking cannot be corrected."""
    return (
        f"{counted(n, 'trial', WAS)} pruned on the same validation examples; that part of the "
        "selection left no predictions and is not corrected"
    )


def warm_started(n: int) -> str:
    """Return the caveat about trials of another study that guided the search."""
    return (
        f"{counted(n, 'trial')} of another study guided this search; what they learned of the "
        "validation examples is not corrected"
    )


def same_data(studies: Sequence[str], n_own: int = 1) -> str:
    """Return the caveat about other studies that chose by the same validation examples."""
    within = "this study" if n_own == 1 else "these"
    return (
        f"{named('other study' if len(studies) == 1 else 'other studie', studies, WAS)} judged on "
        f"the same validation examples; only the choice within {within} is corrected"
    )


def of_studies(studies: Sequence[str], n_trials: int) -> str:
    """Return the caveat about a trial picked from several studies; empty of one."""
    if len(studies) == 1:
        return ""
    return (
        f"it was picked from {len(studies)} studies ({listed(studies)}): all {n_trials:,} complete "
        "trials of them count in its correction and in the ties"
    )


def other_data(studies: Sequence[str]) -> str:
    """Return the caveat about studies that were judged on other examples than the leader's."""
    whose = "has a claim of its own" if len(studies) == 1 else "have a claim of their own"
    return f"{listed(studies)} {WAS[len(studies) > 1]} judged on other examples, and {whose}"


def best_epoch(n_epochs: int, n_trials: int | None) -> str:
    """Return the caveat about epochs that were picked too, where the others left no predictions.

    Args:
        n_epochs: from how many, at most.
        n_trials: of how many trials; None: of all.
    """
    whose = {None: "each trial's best epoch", 1: "the best epoch of 1 trial"}.get(
        n_trials, f"the best epoch of each of {n_trials} trials"
    )
    score = "the score" if n_trials is None else "its score" if n_trials == 1 else "their scores"
    return (
        f"{whose} (of up to {n_epochs}) was picked on the same validation examples; that luck is "
        f"in {score} and is not corrected, because the other epochs left no predictions"
    )


def unjudged_classes(n: int) -> str:
    """Return the caveat about classes without a validation example."""
    classes = "1 class has" if n == 1 else f"{n} classes have"
    return (
        f"{classes} no validation example, so nothing here says how well "
        f"{'it is' if n == 1 else 'they are'} recognised"
    )


def few_images(n: int, of: str = "validation examples", is_share: bool = True) -> str:
    """Return the caveat about a small validation set."""
    worth = f": one of them is {100.0 / n:.2g} points" if is_share else ""
    return f"there are only {n} {of}{worth}"


def _over_baseline(claim: Claim, leader: TrialRecord, aim: Objective, is_share: bool) -> list[str]:
    if leader.baseline:
        return ["It is the baseline itself"]
    found = claim.baseline
    if found is None:
        return []
    sign = "+" if aim.sign > 0 else ""
    ends = _ends(found.interval, found.standard_error, is_share, sign)
    gain = gained(found, aim, is_share)
    return [f"Gain over the baseline: {gain} ({ends}){'' if found.shown else ', not shown'}"]


def gained(found: BaselineGain, aim: Objective, is_share: bool) -> str:
    """Return the gain over the baseline in the digits that its error leaves."""
    factor, digits = _scale(found.standard_error, is_share)
    unit = " points" if is_share else ""
    return aim.gain_text(found.gain, f"{factor * abs(found.gain):,.{digits}f}{unit}")
