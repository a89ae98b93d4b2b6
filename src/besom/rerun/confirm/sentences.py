"""A confirmation in sentences: the conclusion, and what limits it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.rerun.confirm.new_examples import n_images
from besom.rerun.confirm.result import ALPHA, Confirmation, ConfirmRow, Status
from besom.statistics import Estimate, Interval
from besom.statistics.seeds import FEWEST_FOR_BOOTSTRAP
from besom.store.environment import environment_then, what_changed
from besom.store.records import Objective
from besom.text.counting import IS, counted, listed
from besom.text.numbers import percent_digits, points

#: More than these are counted rather than named.
_NAMED = 6
_CONFIDENCE = f"{100 * (1 - ALPHA):g} %"


def conclusion(confirmation: Confirmation) -> str:
    """One sentence: who is first, by how much over the baseline, and who is tied with it.

    It names the images it speaks of: these, where only the seeds might have been others; or new
    ones, which might have been others too.
    """
    plan, first = confirmation.plan, confirmation.first
    aim = plan.objective
    if first is None or first.estimate is None:
        n_failed = len(confirmation.runs)
        return f"{plan.study.name}: nothing may be claimed, for " + (
            "the only run failed." if n_failed == 1 else f"none of the {n_failed} runs succeeded."
        )
    missing = counted(confirmation.n_missing, "run", IS)
    so_far = f"so far ({missing} missing), " if confirmation.n_missing else ""
    name = f"the baseline (trial {first.trial})" if first.baseline else f"trial {first.trial}"
    worth = amount(aim, first.estimate)
    if interval := span(aim, first.estimate.interval):
        new = "" if first.new is None else span(aim, first.new.interval)
        n_scored = sum(row.status is not Status.FAILED for row in confirmation.rows)
        worth += (
            f" ({_CONFIDENCE} interval {interval}{f', for new images {new}' if new else ''}"
            f"{f', whichever of the {n_scored} were first' if n_scored > 1 else ''})"
        )
    images = f"{_images(confirmation)}{_epochs(plan)}"
    text = (
        f"{plan.study.name}: {so_far}{name} is first on {images} with a mean "
        f"{aim.metric} of {worth} over {_seeds(len(first.scores))}"
    )
    return f"{text}{_gain(confirmation, first)}; {_ties(confirmation)}."


def caveats(confirmation: Confirmation) -> list[str]:
    """Sentences that limit what the numbers say, in this very confirmation."""
    plan = confirmation.plan
    found = []
    if failed := [run for row in confirmation.rows for run in row.failures]:
        named = ", ".join(f"trial {r.trial} seed {r.seed} ({r.outcome})" for r in failed[:_NAMED])
        more = ", ..." if len(failed) > _NAMED else ""
        found.append(
            f"{counted(len(failed), 'run')} failed and {IS[len(failed) != 1]} in no mean: "
            f"{named}{more}."
        )
    if plan.on == "validation":
        found += _chosen_on_validation(plan)
    if plan.new_split:
        found.append(
            "The splits share most of their training images, so the seeds' scores are alike: the "
            "intervals are of the scatter between splits of these data, and too narrow for new "
            "data."
        )
    if len(plan.study.objectives) > 1:
        found.append(
            f"Compared by {plan.objective.metric} alone, one of {len(plan.study.objectives)} "
            "objectives; by the others another may be first."
        )
    if plan.baseline is None:
        found.append("The study has no baseline, so nothing can be said of a gain over it.")
    elif not any(row.baseline and row.scores for row in confirmation.rows) and confirmation.rows:
        found.append("No run of the baseline succeeded, so nothing can be said of a gain over it.")
    estimates = [row.estimate for row in confirmation.rows if row.estimate is not None]
    if plan.method == "bootstrap" and any(e.n < FEWEST_FOR_BOOTSTRAP for e in estimates):
        found.append(
            f"With fewer than six seeds no bootstrap interval reaches {_CONFIDENCE}; Student's t "
            "is used there."
        )
    equal = [r.trial for r in confirmation.rows if r.estimate is not None and _all_equal(r)]
    if equal:
        trials = "trial" if len(equal) == 1 else "trials"
        found.append(
            f"All seeds of {trials} {listed(equal)} score the same, which "
            "tells little of how seeds scatter: an interval, if one is given, supposes a scatter "
            "of one image."
        )
    if unsure := _only_on_these(confirmation):
        found.append(unsure)
    if changed := _changed(confirmation):
        found.append("The sweep ran with something else: " + "; ".join(changed) + ".")
    return found


def _chosen_on_validation(plan: ConfirmPlan) -> list[str]:
    """What was picked on the very images that a confirmation on validation measures."""
    found = []
    if not plan.new_split:
        found.append(
            "These trials were chosen on these images, so means and gains flatter them; --on test "
            "has no such bias."
        )
    if plan.objective.epoch == "best":
        found.append(
            "Each run's best epoch was picked on the very images that it is measured on: that luck "
            "is in every mean, in some configs' more than in others', and so in the gains; --on "
            "test has no such bias."
        )
    return found


def _only_on_these(confirmation: Confirmation) -> str:
    """Who is behind on these images, but for all that is known might not be on others.

    Of the baseline the gain over it has said so.
    """
    unsure = [
        row.trial
        for row in confirmation.rows
        if row.status in (Status.BEHIND, Status.BEATEN)
        and not row.baseline
        and row.new_behind is not None
        and row.new_behind.estimate.interval.low <= 0.0
    ]
    if not unsure:
        return ""
    trials, are = ("Trial", "is") if len(unsure) == 1 else ("Trials", "are")
    return (
        f"{trials} {listed(unsure)} {are} behind on these images; on new ones the first may be no "
        "better."
    )


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
    """An interval without what cannot be: a share of images is never above 1."""
    if not aim.is_share or not math.isfinite(interval.width):
        return interval
    return Interval(max(interval.low, 0.0), min(interval.high, 1.0))


def _gain(confirmation: Confirmation, first: ConfirmRow) -> str:
    if first.baseline:
        return ", so nothing that was tuned has been shown to beat it"
    if first.gain is None:
        return ""
    estimate = first.gain.estimate
    if math.isnan(first.p_gain):
        return ""
    shown = _gain_shown(confirmation.plan.objective, estimate)
    n_compared = sum(row.gain is not None for row in confirmation.rows)
    if first.p_gain <= ALPHA:
        covers = _gain_covers(confirmation, first, n_compared)
        return f", a gain of {shown} over the baseline{covers}"
    among = f", one of {n_compared} compared with it," if n_compared > 1 else ""
    return f", which{among} cannot be told from the baseline (a gain of {shown})"


def _gain_covers(confirmation: Confirmation, first: ConfirmRow, n_compared: int) -> str:
    """Of which images a gain is claimed that is shown on these."""
    if _split_by_seed(confirmation):
        return ""
    if first.new_gain is None:
        return " on these images"
    aim, interval = confirmation.plan.objective, first.new_gain.estimate.interval
    new = gain_span(aim, interval)
    if first.p_new_gain <= ALPHA:
        return f" on these images (for new ones, the {_CONFIDENCE} interval is {new})"
    if interval.low <= 0.0:
        return f" on these images (for new ones it may be nothing: {new})"
    return f" on these images (for new ones {new}, which of {n_compared} compared may be luck)"


def _gain_shown(aim: Objective, estimate: Estimate) -> str:
    mean, error = estimate.mean, estimate.standard_error
    if not math.isfinite(error):
        return f"{100 * mean:.2f} points" if aim.is_share else f"{mean:.3g}"
    return points(mean, error) if aim.is_share else f"{mean:.3g} ± {error:.2g}"


def _all_equal(row: ConfirmRow) -> bool:
    return len(row.scores) > 1 and len(set(row.scores.values())) == 1


def _ties(confirmation: Confirmation) -> str:
    tied = confirmation.tied
    # Who has no score at all was not compared, so "not tied" would say too much.
    n_others = sum(row.status is not Status.FAILED for row in confirmation.rows) - 1
    if n_others == 0:
        return "there is no other to compare it with"
    if not tied:
        return "no other is tied with it" if n_others > 1 else "the other is not tied with it"
    named = listed(tied)
    if n_others == 1:
        return f"the other, trial {named}, is tied with it"
    trials, are = ("trial", "is") if len(tied) == 1 else ("trials", "are")
    return f"{len(tied)} of {n_others} others {are} tied with it ({trials} {named})"


def _images(confirmation: Confirmation) -> str:
    plan = confirmation.plan
    if _split_by_seed(confirmation):
        return "validation images, others for each seed"
    n = n_images(plan, confirmation.runs.values())
    return f"these {n:,} {plan.on} images" if n else f"these {plan.on} images"


def _split_by_seed(confirmation: Confirmation) -> bool:
    """Whether each seed was measured on validation images of its own."""
    return confirmation.plan.on == "validation" and confirmation.plan.new_split


def _epochs(plan: ConfirmPlan) -> str:
    """Named where the images that judge a run have also chosen its epoch."""
    chosen = plan.on == "validation" and plan.objective.epoch == "best"
    return ", by each run's best epoch on them," if chosen else ""


def _seeds(n: int) -> str:
    return "a single seed" if n == 1 else f"{n} seeds"


def _changed(confirmation: Confirmation) -> Sequence[str]:
    """What differs between the sweep and these runs, apart from what was asked to differ."""
    plan = confirmation.plan
    lines: dict[str, None] = {}
    for (trial, _), run in confirmation.runs.items():
        then = environment_then(plan.study, plan.entrant(trial))
        same = ("versions", "git", "device")
        was, now = ({k: e[k] for k in same if k in e} for e in (then, run.environment))
        lines |= dict.fromkeys(what_changed(was, now))
    return list(lines)
