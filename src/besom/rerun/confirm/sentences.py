"""A confirmation in sentences: the conclusion, and what limits it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.rerun.confirm.result import ALPHA, Confirmation, ConfirmRow, Status, n_images
from besom.statistics import Estimate, Interval
from besom.statistics.seeds import FEWEST_FOR_BOOTSTRAP
from besom.store.environment import environment_then, what_changed
from besom.store.records import Objective
from besom.text.counting import IS, WAS, counted, listed, named
from besom.text.numbers import percent_digits, points

_CONFIDENCE = f"{100 * (1 - ALPHA):g} %"


def conclusion(confirmation: Confirmation) -> str:
    """Who is first, its gain over the baseline, and who is tied with it: three clauses.

    Numbers are for the examples that were measured; those for new examples stand in parentheses.
    """
    plan, first = confirmation.plan, confirmation.first
    if first is None or first.estimate is None:
        n_runs = counted(len(confirmation.runs), "run", WAS)
        return f"{plan.study.name}: nothing may be claimed: {n_runs} made and none succeeded."
    missing = counted(confirmation.n_missing, "run", IS)
    so_far = f"so far ({missing} missing), " if confirmation.n_missing else ""
    name = f"the baseline (trial {first.trial})" if first.baseline else f"trial {first.trial}"
    worth = f"{amount(plan.objective, first.estimate)} over {counted(len(first.scores), 'seed')}"
    if interval := span(plan.objective, first.estimate.interval):
        new = "" if first.new is None else span(plan.objective, first.new.interval)
        worth += f" ({_CONFIDENCE} interval {interval}{f', on new examples {new}' if new else ''})"
    return (
        f"{plan.study.name}: {so_far}{name} is first on {_examples(confirmation)} with a mean "
        f"{plan.objective.metric} of {worth}{_gain(confirmation, first)}; {_ties(confirmation)}."
    )


def caveats(confirmation: Confirmation) -> list[str]:
    """Sentences that limit what the numbers say, in this very confirmation."""
    plan = confirmation.plan
    found = []
    if failed := [run for row in confirmation.rows for run in row.failures]:
        runs = listed([f"trial {r.trial} seed {r.seed} ({r.outcome})" for r in failed])
        found.append(f"{counted(len(failed), 'run')} failed and entered no mean: {runs}.")
    if plan.on == "validation":
        found += _chosen_on_validation(plan)
    if plan.new_split:
        found.append(
            "The splits share most of their training examples, so the intervals cover the scatter "
            "between splits of these data and are too narrow for new data."
        )
    if len(plan.study.objectives) > 1:
        found.append(
            f"Compared by {plan.objective.metric} alone, one of {len(plan.study.objectives)} "
            "objectives; another trial may be first by the others."
        )
    if plan.baseline is None:
        found.append("The study has no baseline, so no gain over it can be claimed.")
    elif not any(row.baseline and row.scores for row in confirmation.rows) and confirmation.rows:
        found.append("No run of the baseline succeeded, so no gain over it can be claimed.")
    estimates = [row.estimate for row in confirmation.rows if row.estimate is not None]
    if plan.method == "bootstrap" and any(e.n < FEWEST_FOR_BOOTSTRAP for e in estimates):
        found.append(
            f"With fewer than six seeds no bootstrap interval reaches {_CONFIDENCE}, so those "
            "intervals are Student's t."
        )
    if equal := [r.trial for r in confirmation.rows if r.estimate is not None and _all_equal(r)]:
        found.append(
            f"All seeds of {named('trial', equal)} score the same, which says little about the "
            "scatter between seeds: intervals, where given, assume a scatter of one example."
        )
    if unsure := _only_on_these(confirmation):
        text = (
            f"{named('trial', unsure, IS)} behind on these examples; on new ones the first may be "
            "no better."
        )
        found.append(text[0].upper() + text[1:])
    if changed := _changed(confirmation):
        found.append(f"The sweep ran with other software or hardware: {'; '.join(changed)}.")
    return found


def _chosen_on_validation(plan: ConfirmPlan) -> list[str]:
    """What was selected on the very examples that a confirmation on validation measures."""
    found = []
    if not plan.new_split:
        found.append("These trials were chosen on these examples, so means and gains flatter them.")
    if plan.objective.epoch == "best":
        found.append(
            "Each run's best epoch was picked on the examples that measure it: that luck is in "
            "every mean and gain."
        )
    return [f"{sentence} --on test has no such bias." for sentence in found]


def _only_on_these(confirmation: Confirmation) -> list[int]:
    """The trials that are behind on these examples, but perhaps not on others.

    The baseline is left out: the gain over it has said so.
    """
    return [
        row.trial
        for row in confirmation.rows
        if row.status in (Status.BEHIND, Status.BEATEN)
        and not row.baseline
        and row.new_behind is not None
        and row.new_behind.estimate.interval.low <= 0.0
    ]


def amount(aim: Objective, estimate: Estimate, digits: int | None = None) -> str:
    """A mean ± its standard error: in percent for an accuracy, else as it is.

    Args:
        aim: says which of the two.
        estimate: the mean.
        digits: decimals of a percentage; None: as many as show two digits of the error.
    """
    mean, error = estimate.mean, estimate.standard_error
    if not math.isfinite(error):
        return f"{100 * mean:.2f} %" if aim.is_share else f"{mean:.5g}"
    if aim.is_share:
        digits = percent_digits(error) if digits is None else digits
        return f"{100 * mean:.{digits}f} % ± {100 * error:.{digits}f}"
    return f"{mean:.5g} ± {error:.2g}"


def gained(aim: Objective, estimate: Estimate) -> str:
    """A gain ± its standard error: in hundredths of percentage points for an accuracy."""
    mean, error = estimate.mean, estimate.standard_error
    if aim.is_share:
        tail = f" ± {100 * error:.2f}" if math.isfinite(error) else ""
        return f"{100 * mean:+.2f}{tail}"
    return f"{mean:+.3g}" + (f" ± {error:.2g}" if math.isfinite(error) else "")


def span(aim: Objective, interval: Interval, digits: int | None = None) -> str:
    """An interval: in percent for an accuracy, else as it is; empty if nothing can be said."""
    if not math.isfinite(interval.width):
        return ""
    low, high = bounded(aim, interval)
    if aim.is_share:
        digits = max(percent_digits(interval.width / 4), 1) if digits is None else digits
        return f"{100 * low:.{digits}f} to {100 * high:.{digits}f}"
    return f"{low:.5g} to {high:.5g}"


def gain_span(aim: Objective, interval: Interval) -> str:
    """The interval of a gain: in percentage points for an accuracy, else as it is."""
    if not math.isfinite(interval.width):
        return ""
    if aim.is_share:
        return f"{100 * interval.low:+.2f} to {100 * interval.high:+.2f}"
    return f"{interval.low:+.3g} to {interval.high:+.3g}"


def bounded(aim: Objective, interval: Interval) -> Interval:
    """An interval without what cannot be: a share is never above 1."""
    if not aim.is_share or not math.isfinite(interval.width):
        return interval
    return Interval(max(interval.low, 0.0), min(interval.high, 1.0))


def _gain(confirmation: Confirmation, first: ConfirmRow) -> str:
    if first.baseline:
        return "; nothing that was tuned has been shown to beat it"
    if first.gain is None or math.isnan(first.p_gain):
        return ""
    shown = _gain_shown(confirmation.plan.objective, first.gain.estimate)
    n_compared = sum(row.gain is not None for row in confirmation.rows)
    if first.p_gain > ALPHA:
        among = f", one of {n_compared} compared," if n_compared > 1 else ""
        return f"; it{among} is not distinguishable from the baseline (a gain of {shown})"
    return f"; a gain of {shown} over the baseline{_gain_covers(confirmation, first, n_compared)}"


def _gain_covers(confirmation: Confirmation, first: ConfirmRow, n_compared: int) -> str:
    """The examples for which a gain is claimed that is shown on these."""
    if _split_by_seed(confirmation):
        return ""
    if first.new_gain is None:
        return " on these examples"
    interval = first.new_gain.estimate.interval
    new = gain_span(confirmation.plan.objective, interval)
    if first.p_new_gain <= ALPHA:
        return f" on these examples (on new ones, {_CONFIDENCE} interval {new})"
    if interval.low <= 0.0:
        return f" on these examples (on new ones possibly none: {new})"
    return f" on these examples (on new ones {new}, possibly luck among {n_compared} compared)"


def _gain_shown(aim: Objective, estimate: Estimate) -> str:
    mean, error = estimate.mean, estimate.standard_error
    if not math.isfinite(error):
        return f"{100 * mean:.2f} points" if aim.is_share else f"{mean:.3g}"
    return points(mean, error) if aim.is_share else f"{mean:.3g} ± {error:.2g}"


def _all_equal(row: ConfirmRow) -> bool:
    return len(row.scores) > 1 and len(set(row.scores.values())) == 1


def _ties(confirmation: Confirmation) -> str:
    # A config without a score was not compared, so "not tied" would claim too much.
    if sum(row.status is not Status.FAILED for row in confirmation.rows) == 1:
        return "there is no other to compare it with"
    tied = confirmation.tied
    return f"tied with it: {named('trial', tied)}" if tied else "no other is tied with it"


def _examples(confirmation: Confirmation) -> str:
    plan = confirmation.plan
    if _split_by_seed(confirmation):
        measured = "validation examples, others for each seed"
    else:
        n = n_images(plan, confirmation.runs.values())
        measured = f"these {n:,} {plan.on} examples" if n else f"these {plan.on} examples"
    # Named where the examples that judge a run have also chosen its epoch.
    chosen = plan.on == "validation" and plan.objective.epoch == "best"
    return f"{measured}, by each run's best epoch on them," if chosen else measured


def _split_by_seed(confirmation: Confirmation) -> bool:
    """Whether each seed was measured on validation images of its own."""
    return confirmation.plan.on == "validation" and confirmation.plan.new_split


def _changed(confirmation: Confirmation) -> Sequence[str]:
    """What differs between the sweep and these runs, apart from what was requested."""
    plan = confirmation.plan
    lines: dict[str, None] = {}
    for (trial, _), run in confirmation.runs.items():
        then = environment_then(plan.study, plan.entrant(trial))
        same = ("versions", "git", "device")
        was, now = ({k: e[k] for k in same if k in e} for e in (then, run.environment))
        lines |= dict.fromkeys(what_changed(was, now))
    return list(lines)
