"""A confirmation in sentences: the conclusion, and what limits it."""

from __future__ import annotations

import math
from dataclasses import replace

from besom.rerun.confirm.result import ALPHA, Confirmation, ConfirmRow, Status, n_images
from besom.statistics import Estimate, Interval
from besom.statistics.distributions import normal_quantile, student_quantile_at
from besom.statistics.seeds import FEWEST_FOR_BOOTSTRAP
from besom.store.environment import environment_then, what_changed
from besom.store.records import Objective
from besom.text.counting import counted, listed, named
from besom.text.numbers import percent_digits

_CONFIDENCE = f"{100 * (1 - ALPHA):g} %"


def conclusion(confirmation: Confirmation) -> str:
    """Who is first, its gain over the baseline, and who is tied with it: three short sentences."""
    plan, first = confirmation.plan, confirmation.first
    if first is None or first.estimate is None:
        n_runs = counted(len(confirmation.runs), "run")
        return f"{plan.study.name}: no claim: none of {n_runs} succeeded."
    so_far = f"so far ({confirmation.n_missing} to run), " if confirmation.n_missing else ""
    name = f"the baseline (trial {first.trial})" if first.baseline else f"trial {first.trial}"
    worth = f"{amount(plan.objective, first.estimate)} over {counted(len(first.scores), 'seed')}"
    if interval := span(plan.objective, first.estimate.interval):
        which = "new examples" if confirmation.of_new else "these examples, with other seeds"
        if _split_by_seed(confirmation):
            which = "other splits and seeds"
        worth += f" ({_CONFIDENCE} interval for {which}: {interval})"
    return (
        f"{plan.study.name}: {so_far}{name} is first on {_examples(confirmation)} with a mean "
        f"{plan.objective.metric} of {worth}. {_gain(confirmation, first)}"
        f"{_ties(confirmation)}."
    )


def _gain(confirmation: Confirmation, first: ConfirmRow) -> str:
    """The sentence on the gain over the baseline, and whether it is shown."""
    if first.baseline:
        return "No tuned config is shown to beat it. "
    if first.gain is None or math.isnan(first.gain.estimate.mean):
        return ""
    aim, looked = confirmation.plan.objective, confirmation.looked
    gain = gained(aim, first.gain.estimate, unit=" points" if aim.is_share else "")
    if interval := gain_span(aim, first.gain.estimate.interval):
        # Without 0 beside a p-value that is not small, it would seem to contradict that.
        low, high = first.gain.estimate.interval
        alone = ", uncorrected" if first.p_gain > ALPHA and not low <= 0.0 <= high else ""
        gain += f" ({interval}{alone})"
    where = "" if confirmation.of_new or _split_by_seed(confirmation) else " on these examples"
    said = f"Gain over the baseline{where}: {gain}"
    if first.p_gain <= ALPHA:
        return f"{said}. "
    chances = [counted(looked.n_configs, "config")] if looked.n_configs > 1 else []
    chances += [counted(looked.n_looks, "look")] if looked.n_looks > 1 else []
    why = ""
    if not math.isnan(first.p_gain):
        why = f" (p {first.p_gain:.2g}{f' for {listed(chances)}' if chances else ''})"
    return f"{said}, not shown{why}. "


def aside(confirmation: Confirmation) -> str:
    """The same for these very examples, with other seeds; empty where that is all there is."""
    first, aim = confirmation.first, confirmation.plan.objective
    if not confirmation.of_new or first is None or first.fixed_estimate is None:
        return ""
    said = span(aim, first.fixed_estimate.interval)
    if not said:
        return ""
    if first.fixed_gain is not None and (
        gain := gain_span(aim, first.fixed_gain.estimate.interval)
    ):
        said += f", gain over the baseline {gain}"
    return f"On these very examples, with other seeds: {said}."


def _ties(confirmation: Confirmation) -> str:
    # A config without a score was not compared, so "not tied" would claim too much.
    if sum(row.status is not Status.FAILED for row in confirmation.rows) == 1:
        return "There is no other to compare it with"
    tied = confirmation.tied
    return f"Tied with it: {named('trial', tied) if tied else 'none'}"


def _examples(confirmation: Confirmation) -> str:
    plan = confirmation.plan
    if _split_by_seed(confirmation):
        measured = "validation examples, others for each seed"
    else:
        n = n_images(plan, confirmation.runs.values())
        measured = f"{n:,} {plan.on} examples" if n else f"the {plan.on} examples"
    # Named where the examples that judge a run have also chosen its epoch.
    chosen = plan.on == "validation" and plan.objective.epoch == "best"
    return f"{measured}, by each run's best epoch on them," if chosen else measured


def _split_by_seed(confirmation: Confirmation) -> bool:
    """Whether each seed was measured on validation images of its own."""
    return confirmation.plan.on == "validation" and confirmation.plan.new_split


def caveats(confirmation: Confirmation) -> list[str]:
    """Sentences that limit what the numbers say, in this very confirmation."""
    plan, rows = confirmation.plan, confirmation.rows
    found = []
    if failed := [run for row in rows for run in row.failures]:
        runs = listed([f"trial {r.trial} seed {r.seed} ({r.outcome})" for r in failed])
        found.append(f"{counted(len(failed), 'run')} failed and entered no mean: {runs}.")
    if plan.on == "validation" and not plan.new_split:
        found.append(
            "These trials were chosen on these examples, so means and gains flatter them. "
            "--on test has no such bias."
        )
    if plan.on == "validation" and plan.objective.epoch == "best":
        found.append(
            "Each run's best epoch was picked on the examples that measure it, which flatters "
            "every mean. --on test has no such bias."
        )
    if plan.new_split:
        found.append(
            "The splits share most of their training examples, so the intervals are too narrow "
            "for new data."
        )
    if len(plan.study.objectives) > 1:
        found.append(
            f"Compared by {plan.objective.metric} alone; another trial may be first by the other "
            "objectives."
        )
    if plan.baseline is None:
        found.append("The study has no baseline, so no gain over it can be claimed.")
    elif rows and not any(row.baseline and row.scores for row in rows):
        found.append("No run of the baseline succeeded, so no gain over it can be claimed.")
    estimates = [row.estimate for row in rows if row.estimate is not None]
    if plan.method == "bootstrap" and any(e.n < FEWEST_FOR_BOOTSTRAP for e in estimates):
        found.append("With fewer than six seeds the intervals are Student's t, not the bootstrap.")
    if equal := [r.trial for r in rows if len(r.scores) > 1 == len(set(r.scores.values()))]:
        found.append(
            f"All seeds of {named('trial', equal)} score the same: intervals, where given, assume "
            "a scatter of one example."
        )
    if not (confirmation.of_new or _split_by_seed(confirmation)) and len(confirmation.runs):
        found.append(
            "What each run scored on each example is not known, so nothing here allows for other "
            "examples than these."
        )
    if missed := _missed(confirmation):
        found.append(missed)
    if changed := _changed(confirmation):
        found.append(f"The sweep ran with other software or hardware: {'; '.join(changed)}.")
    return found


def _missed(confirmation: Confirmation) -> str:
    """Where the test examples contradict the sweep's claim; empty where they do not.

    They do where the 95 % interval of the difference excludes 0. It allows for the claim's own
    interval, for the seed that the sweep had, and for the error of the mean here (the intervals'
    halves in quadrature, Zou and Donner 2008). Models of a sweep with folds have trained on less,
    so only a shortfall counts after one.
    """
    plan = confirmation.plan
    if plan.on != "test" or not confirmation.of_new or len(plan.study.objectives) > 1:
        return ""
    claimed = plan.claimed
    row = next((row for row in confirmation.rows if row.trial == claimed.leader), None)
    if row is None or row.estimate is None or claimed.corrected is None or not claimed.interval:
        return ""
    mean, error, n = row.estimate.mean, row.estimate.standard_error, row.estimate.n
    if not math.isfinite(error):
        return ""
    half = student_quantile_at(0.975, n - 1) * error
    seed = normal_quantile(0.95) * row.estimate.standard_deviation
    over = claimed.corrected - mean
    low, high = claimed.interval
    below = math.hypot(claimed.corrected - low, half, seed)
    above = math.hypot(high - claimed.corrected, half, seed)
    too_good = plan.objective.sign * over > 0
    folds = (plan.study.config.get("sweep") or {}).get("folds")
    if over - below <= 0.0 <= over + above or (folds and not too_good):
        return ""
    show = plan.objective.text
    return (
        f"The sweep claimed {show(claimed.corrected)} ({show(low)} to {show(high)}) of trial "
        f"{row.trial}, and the test examples say {show(mean)}. Chance does not explain that: the "
        "test examples differ from the validation examples"
        + (", or the search has learned the validation examples." if too_good else ".")
    )


def _changed(confirmation: Confirmation) -> list[str]:
    """What differs between the sweep and these runs, apart from what was requested."""
    plan = confirmation.plan
    lines: dict[str, None] = {}
    for (trial, _), run in confirmation.runs.items():
        then = environment_then(plan.study, plan.entrant(trial))
        same = ("versions", "git", "device")
        was, now = ({k: e[k] for k in same if k in e} for e in (then, run.environment))
        lines |= dict.fromkeys(what_changed(was, now))
    return list(lines)


def amount(
    aim: Objective, estimate: Estimate, digits: int | None = None, percent: str = " %"
) -> str:
    """A mean ± its standard error: in percent for an accuracy, else as it is.

    Args:
        aim: says which of the two.
        estimate: the mean.
        digits: decimals of a percentage; None: as many as show two digits of the error.
        percent: what stands behind a percentage.
    """
    mean, error = estimate.mean, estimate.standard_error
    known = math.isfinite(error)
    if not aim.is_share:
        return f"{mean:.5g}" + (f" ± {error:.2g}" if known else "")
    if digits is None:
        digits = percent_digits(error) if known else 2
    return f"{100 * mean:.{digits}f}{percent}" + (f" ± {100 * error:.{digits}f}" if known else "")


def gained(aim: Objective, estimate: Estimate, digits: int | None = None, unit: str = "") -> str:
    """The same for a gain, see ``Objective.gain_text``; of an accuracy, percentage points."""
    size = replace(estimate, mean=abs(estimate.mean))
    return aim.gain_text(estimate.mean, amount(aim, size, digits, percent="") + unit)


def span(aim: Objective, interval: Interval) -> str:
    """An interval of a mean; empty if nothing can be said."""
    return _span(aim, bounded(aim, interval), "")


def gain_span(aim: Objective, interval: Interval) -> str:
    """An interval of a gain; a sign would mislead where lower values are better."""
    return _span(aim, interval, "+" if aim.sign > 0 else "")


def _span(aim: Objective, interval: Interval, sign: str) -> str:
    if not math.isfinite(interval.width):
        return ""
    low, high = interval
    if not aim.is_share:
        return f"{low:{sign}.5g} to {high:{sign}.5g}"
    return f"{100 * low:{sign}.2f} to {100 * high:{sign}.2f}"


def bounded(aim: Objective, interval: Interval) -> Interval:
    """An interval without what cannot be: a share is never above 1."""
    if not aim.is_share or not math.isfinite(interval.width):
        return interval
    return Interval(max(interval.low, 0.0), min(interval.high, 1.0))
