"""What a sweep claims of its own trials: selection, epochs, ties, fresh seeds, power.

"Before" is what one would say who ignores the luck in question; each function says which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import norm

from besom.statistics import claim, compare_with_first, correct_for_selection
from besom.statistics.kinds import interval_of
from besom.statistics.power import examples_needed, power_of_pairs
from simulated import worlds
from simulated.cells import Cell, Random, Seen, draw_seed, holds
from simulated.studies import sweep_of
from simulated.worlds import Floats, Rights

#: Draws of the correction: besom makes 1,000, which costs more and changes no rate.
N_DRAWS = 100

Drawn = Callable[[Random], tuple[Any, Floats]]


def of_equals(draw: Callable[..., Rights], n_rows: int, n: int, share: float) -> Drawn:
    """A world of equal configs, each with its truth."""
    return lambda rng: (draw(n_rows, n, share, rng), np.full(n_rows, share))


def judged(table: Any, truth: Floats, rng: Random) -> Seen:
    """What is claimed of the best row.

    Before: the raw score with its own interval, and Holm's correction over the other rows alone.
    """
    found = correct_for_selection(table, n_draws=N_DRAWS, seed=draw_seed(rng))
    worth = truth[found.leader]
    raw = interval_of(table, found.leader, 0.95)
    seen = {
        "bias before": found.raw - worth,
        "bias": found.corrected - worth,
        "coverage before": holds(raw, worth),
        "coverage": holds(found.interval, worth),
        "false before": raw.low > worth,
        "false": found.interval.low > worth,
    }
    worse = truth < worth
    for when, was_chosen in ((" before", False), ("", True)):
        tied = compare_with_first(table, found.leader, first_was_chosen=was_chosen).tied
        seen[f"ties/false{when}"] = bool((~tied & ~worse).any())
        if worse.any():
            seen[f"ties/power{when}"] = float((~tied)[worse].mean())
    return seen


def selection(name: str, label: str, n: int, draw: Drawn) -> Cell:
    """A cell of the best of many accuracies."""
    return Cell(f"selection/{name}", label, n, lambda rng: judged(*draw(rng), rng))


def kind(name: str, label: str, n: int, draw: Drawn) -> Cell:
    """The same of a metric that is no share."""
    return Cell(f"kinds/{name}", label, n, lambda rng: judged(*draw(rng), rng), in_points=False)


def rival(rng: Random) -> tuple[Rights, Floats]:
    """One config is better than 19 equals, by about 0.6 points."""
    return worlds.of_worths(norm.ppf(0.97) + 0.1 * (np.arange(20) == 0), 1000, rng)


def survivors(rng: Random) -> tuple[Rights, Floats]:
    """The best 20 of 100 equals: the others were pruned on the same examples."""
    rows = worlds.alike(100, 10_000, 0.985, rng)
    best = np.argsort(-rows.sum(axis=1), kind="stable")[:20]
    return rows[best], np.full(20, 0.985)


def adaptive(rng: Random) -> tuple[Rights, Floats]:
    """40 equals; each after the tenth takes over half of what the best so far has by luck."""
    difficulty = rng.beta(0.57 * 0.97, 0.57 * 0.03, 2000)
    luck = rng.random((40, 2000))
    for i in range(10, 40):
        best = int((luck[:i] < difficulty).sum(axis=1).argmax())
        luck[i] = np.where(rng.random(2000) < 0.5, luck[best], luck[i])
    return luck < difficulty, np.full(40, float(difficulty.mean()))


def unlike(draw: Callable[..., Any], n_rows: int, n: int, apart: float = 0.0) -> Drawn:
    """A world of a metric that is no share."""
    return lambda rng: draw(n_rows, n, rng, apart)


SELECTION = (
    selection(
        "equal-own",
        "100 equals, own failures, 10,000 examples",
        200,
        of_equals(worlds.independent, 100, 10_000, 0.985),
    ),
    selection(
        "equal-shared",
        "100 equals, shared failures, 10,000",
        200,
        of_equals(worlds.alike, 100, 10_000, 0.985),
    ),
    selection(
        "different",
        "100 different, 10,000",
        200,
        lambda rng: worlds.spread(100, 10_000, 0.985, rng),
    ),
    selection("few", "30 different, 1,000", 1000, lambda rng: worlds.spread(30, 1000, 0.97, rng)),
    selection("rival", "1 better than 19 equals, 1,000", 1000, rival),
    selection("pruned", "20 left of 100 equals, 10,000", 200, survivors),
    selection("adaptive", "40 equals, each near the best so far, 2,000", 500, adaptive),
)

KINDS = (
    kind(
        "squared",
        "squared errors, 25 equals, 600",
        400,
        unlike(worlds.losses, 25, 600),
    ),
    kind(
        "squared-different",
        "squared errors, 20 different, 600",
        400,
        unlike(worlds.losses, 20, 600, 0.1),
    ),
    kind(
        "log",
        "log losses, 25 equals, 200",
        400,
        unlike(worlds.log_losses, 25, 200),
    ),
    kind(
        "log-different",
        "log losses, 20 different, 200",
        400,
        unlike(worlds.log_losses, 20, 200, 0.1),
    ),
    kind("auc", "AUC, 25 equals, 400", 200, unlike(worlds.aucs, 25, 400)),
    kind(
        "auc-different",
        "AUC, 20 different, 400",
        200,
        unlike(worlds.aucs, 20, 400, 0.1),
    ),
)


def best_epoch(n_trials: int, n_epochs: int, n: int, share: float) -> Callable[[Random], Seen]:
    """Equal trials, each by the best of its equal epochs; the gain is one over the baseline.

    Before: only the choice of the trial is corrected. The bias is against the truth on the examples
    drawn, the coverage against that on all.
    """

    def once(rng: Random) -> Seen:
        right, worth, order = worlds.epochs_alike(n_trials, n_epochs, n, share, rng)
        owner = np.repeat(np.arange(n_trials), n_epochs)
        draws: Any = {"n_draws": N_DRAWS, "seed": draw_seed(rng)}
        found = correct_for_selection(right.reshape(-1, n), owner, **draws)
        trials = correct_for_selection(right[:, 0], **draws)
        seen = {
            "bias before": trials.corrected - worth,
            "bias": found.corrected - worth,
            "coverage before": holds(trials.interval, share),
            "coverage": holds(found.interval, share),
            "false before": trials.interval.low > share,
            "false": found.interval.low > share,
        }
        if n_trials > 1:
            baseline = right[int(np.flatnonzero(order == 0)[0])]
            own = correct_for_selection(baseline, **draws)
            seen["gain/bias before"] = found.raw - own.raw
            seen["gain/bias"] = found.raw - own.raw - found.optimism + own.optimism
            seen["ties/false"] = not compare_with_first(right[:, 0], 0).tied.all()
        return seen

    return once


def unequal_epochs(rng: Random) -> Seen:
    """Equal trials of which some chose from 30 epochs and some from one.

    Before: the number of epochs is not counted.
    """
    right, _, _ = worlds.epochs_alike(20, 30, 1000, 0.95, rng)
    rows, n_picked = right[:, 0].copy(), np.full(20, 30)
    rows[10:], n_picked[10:] = right[10:, 15], 1
    first = int(rows.sum(axis=1).argmax())
    return {
        "ties/false before": not compare_with_first(rows, first).tied.all(),
        "ties/false": not compare_with_first(rows, first, n_picked=n_picked).tied.all(),
    }


EPOCHS = (
    Cell("epochs/large", "50 × 5 epochs, 10,000", 60, best_epoch(50, 5, 10_000, 0.985)),
    Cell("epochs/small", "20 × 10 epochs, 1,000", 500, best_epoch(20, 10, 1000, 0.97)),
    Cell("epochs/one-run", "1 × 20 epochs, 287", 1000, best_epoch(1, 20, 287, 0.95)),
    Cell("epochs/unequal", "10 × 30 epochs beside 10 × 1, 1,000", 400, unequal_epochs),
)


def searched(
    n: int, sd: float, own: float, gain: float, n_configs: int = 50, n_seeds: int = 3
) -> Callable[[Random], Seen]:
    """A search that ends with fresh seeds of the baseline and the first three others.

    Of ``n_configs`` with an accuracy of 90 % the second is better by ``gain``. What is claimed is
    that the leader's config gains over the baseline. Before: from its one seed.
    """

    def once(rng: Random) -> Seen:
        hard = worlds.hardness(rng, n, n_configs, own)
        accuracy = [0.9 + gain * (i == 1) for i in range(n_configs)]
        rows = np.stack(
            [worlds.by_seeds(rng, hard[i], accuracy[i], sd, 1)[0] for i in range(n_configs)]
        )
        order = np.argsort(-rows.sum(axis=1), kind="stable")
        tried = [0, *[int(i) for i in order if i != 0][:3]]
        fresh = {i: worlds.by_seeds(rng, hard[i], accuracy[i], sd, n_seeds) for i in tried}
        study = sweep_of(rows, fresh)
        seen: Seen = {}
        draws: Any = {"n_draws": N_DRAWS, "seed": draw_seed(rng)}
        for when, of in ((" before", replace(study, replicates=())), ("", study)):
            found = claim(of, **draws)
            if found.interval is None or found.corrected is None or found.leader is None:
                raise ValueError(f"nothing is claimed: {found.text}")
            worth = accuracy[found.leader]
            seen[f"score/bias{when}"] = found.corrected - worth
            seen[f"score/coverage{when}"] = holds(found.interval, worth)
            is_shown = found.baseline is not None and found.baseline.shown
            if found.baseline is not None:
                truth = worth - accuracy[0]
                seen[f"gain/bias{when}"] = found.baseline.gain - truth
                seen[f"gain/coverage{when}"] = holds(found.baseline.interval, truth)
            seen[f"gain/false{when}"] = is_shown and worth <= accuracy[0]
            if gain:
                seen[f"gain/power{when}"] = is_shown and worth > accuracy[0]
        return seen

    return once


def _searched(name: str, n_replications: int, n: int, sd: float, own: float, **more: Any) -> Cell:
    gain = more.pop("gain", 0.0)
    label = f"{n:,} examples, sd {100 * sd:g} points, own {100 * own:g} %"
    label += f", {more['n_configs']} configs" if "n_configs" in more else ""
    label += f", true gain {100 * gain:g} point{'s' * (gain != 0.01)}" if gain else ""
    return Cell(f"searched/{name}", label, n_replications, searched(n, sd, own, gain, **more))


SEARCHED = (
    _searched("5000-own-0", 150, 5_000, 0.002, 0.0),
    _searched("5000-own-10", 150, 5_000, 0.002, 0.1),
    _searched("10000-own-0", 120, 10_000, 0.003, 0.0),
    _searched("10000-own-10", 120, 10_000, 0.003, 0.1),
    _searched("50000-own-0", 100, 50_000, 0.002, 0.0),
    _searched("50000-own-10", 100, 50_000, 0.002, 0.1),
    _searched("1000-configs-10", 400, 1_000, 0.005, 0.05, n_configs=10),
    _searched("1000-configs-100", 100, 1_000, 0.005, 0.05, n_configs=100),
    _searched("1000-sd-1", 300, 1_000, 0.01, 0.05),
    _searched("gain-1000-2", 300, 1_000, 0.005, 0.05, gain=0.02),
    _searched("gain-1000-5", 200, 1_000, 0.005, 0.05, gain=0.05),
    _searched("gain-10000-1", 120, 10_000, 0.003, 0.05, gain=0.01),
    _searched("gain-10000-2", 120, 10_000, 0.003, 0.05, gain=0.02),
)


def paired_power(n: int, n_trials: int, difference: float) -> Callable[[Random], Seen]:
    """A pair that disagrees on 5 % of the examples, one of all pairs that are tested.

    Before: what ``--dry-run`` says. The bias is by how much that is too high.
    """
    disagreement, pairs = 0.05, n_trials * (n_trials - 1) / 2
    said = power_of_pairs(difference, n, disagreement, n_trials)
    only_best = (disagreement + difference) / 2

    def once(rng: Random) -> Seen:
        luck = rng.random(n)
        best = luck < 0.9
        gained = (luck > 0.9) & (luck < 0.9 + disagreement - only_best)
        other = (best & (luck >= only_best)) | gained
        seen = compare_with_first(np.stack([best, other])).p_value[1] * pairs <= 0.05
        return {"power before": said, "power": seen, "bias": said - seen}

    return once


def _power(n: int, n_trials: int, points: float) -> Cell:
    label = f"{points:g} point{'s' * (points != 1)}, {n:,} examples, {n_trials} trials"
    key = f"power/{n}-{n_trials}-{points:g}"
    return Cell(key, label, 4000, paired_power(n, n_trials, points / 100))


_NEEDED = examples_needed(0.01, 0.05, 30)

POWER = (
    _power(300, 30, 2),
    _power(300, 30, 4),
    _power(1000, 30, 2),
    _power(3000, 30, 2),
    _power(10_000, 30, 1),
    Cell(
        "power/enough",
        f"1 point, {_NEEDED:,} examples, 30 trials",
        4000,
        paired_power(_NEEDED, 30, 0.01),
    ),
)
