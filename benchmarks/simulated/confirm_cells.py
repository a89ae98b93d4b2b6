"""What a confirmation claims: over fresh seeds, on test examples that are drawn too.

"Before" is what the numbers for the measured examples alone would have said.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from besom.rerun.confirm import Confirmation, Status
from besom.rerun.confirm.result import make_contest
from besom.rerun.confirm.sentences import caveats
from besom.statistics import (
    add_image_error,
    gain_for_new_images,
    gain_over,
    holm,
    image_error,
    mean_interval,
)
from simulated import worlds
from simulated.cells import Cell, Random, Seen, holds
from simulated.studies import confirmed, equals_of, plan_of, runs_of, sweep_of
from simulated.worlds import Rights

#: The share of examples that is hard for one config and not for the others.
OWN = 0.1


def four(n_seeds: int, n: int, gain: float = 0.0) -> Callable[[Random], Seen]:
    """Four configs, the baseline first; the last has 95 %, and may be better by ``gain``."""
    plan = plan_of(equals_of(4), range(4), n_seeds)
    accuracy = [0.95 - gain] * 3 + [0.95]

    def once(rng: Random) -> Seen:
        hard = worlds.hardness(rng, n, 4, OWN)
        rights = {
            i: worlds.by_seeds(rng, hard[i], accuracy[i], 0.0, n_seeds, noise=0.01)
            for i in range(4)
        }
        result = confirmed(plan, rights)
        first = result.rows[0]
        seen: Seen = {}
        assert first.estimate is not None
        assert first.fixed_estimate is not None
        worth = accuracy[first.trial]
        for when, estimate in ((" before", first.fixed_estimate), ("", first.estimate)):
            seen[f"score/bias{when}"] = estimate.mean - worth
            seen[f"score/coverage{when}"] = holds(estimate.interval, worth)
        up = [row for row in result.rows if row.gain and row.gain.estimate.mean > 0]
        fixed = holm([row.fixed_gain.p_value for row in result.rows if row.fixed_gain])
        fixed_p = dict(
            zip([row.trial for row in result.rows if row.fixed_gain], fixed, strict=True)
        )
        shown = {row.trial for row in up if row.p_gain <= 0.05}
        shown_before = {row.trial for row in up if fixed_p[row.trial] <= 0.05}
        last = next(row for row in result.rows if row.trial == 3)
        for when, who, found in (
            (" before", shown_before, last.fixed_gain),
            ("", shown, last.gain),
        ):
            assert found is not None
            seen[f"gain/bias{when}"] = found.estimate.mean - gain
            seen[f"gain/coverage{when}"] = holds(found.estimate.interval, gain)
            if gain:
                seen[f"gain/power{when}"] = 3 in who
                who = who - {3}
            seen[f"gain/false{when}"] = bool(who)
        if not gain:
            seen["behind/false"] = any(row.status is Status.BEHIND for row in result.rows)
            seen["behind/false before"] = _fixed_behind(result) <= 0.05
        return seen

    return once


def _fixed_behind(result: Confirmation) -> float:
    """The smallest corrected p-value that some config is behind on these examples."""
    first = result.rows[0]
    p_values = [gain_over(first.scores, row.scores, "maximize").p_value for row in result.rows[1:]]
    return float(min(holm(p_values, chosen_reference=True)))


def again(n_configs: int, n_seeds: int, n: int) -> Callable[[Random], Seen]:
    """Of equals, the best is confirmed once more alone. Before: the others are forgotten."""
    study = equals_of(n_configs)
    plan = plan_of(study, range(n_configs), n_seeds)

    def once(rng: Random) -> Seen:
        hard = worlds.hardness(rng, n, n_configs, OWN)
        rights = {i: worlds.by_seeds(rng, h, 0.95, 0.0, n_seeds, 0.01) for i, h in enumerate(hard)}
        best = max(range(1, n_configs), key=lambda i: float(rights[i].mean()))
        alone, known = plan_of(study, (best, 0), n_seeds), {i: rights[i] for i in (best, 0)}
        seen: Seen = {}
        for when, journal in ((" before", ()), ("", runs_of(plan, rights).values())):
            rows = confirmed(alone, known, journal).rows
            row = next(row for row in rows if row.trial == best)
            assert row.gain is not None
            seen[f"false{when}"] = row.p_gain <= 0.05 and row.gain.estimate.mean > 0
        return seen

    return once


CONFIRM = (
    Cell("confirm/360-5", "4 equals, 360 examples, 5 seeds", 1000, four(5, 360)),
    Cell("confirm/360-20", "4 equals, 360, 20 seeds", 500, four(20, 360)),
    Cell("confirm/10000-5", "4 equals, 10,000, 5 seeds", 400, four(5, 10_000)),
    Cell("confirm/10000-20", "4 equals, 10,000, 20 seeds", 600, four(20, 10_000)),
    Cell("confirm/360-gain-2", "1 better by 2 points, 360, 5 seeds", 600, four(5, 360, 0.02)),
    Cell("confirm/360-gain-4", "1 better by 4 points, 360, 5 seeds", 600, four(5, 360, 0.04)),
    Cell(
        "confirm/10000-gain-1", "1 better by 1 point, 10,000, 5 seeds", 200, four(5, 10_000, 0.01)
    ),
    Cell("confirm/again", "best of 9 equals once more alone, 360, 5 seeds", 500, again(10, 5, 360)),
)


def near_one(accuracy: float, n_seeds: int, n: int = 360) -> Callable[[Random], Seen]:
    """The first of two, at a confidence of 97.5 %. Before: a symmetric interval."""
    plan = plan_of(equals_of(2), range(2), n_seeds)

    def once(rng: Random) -> Seen:
        luck = rng.random((1, n)) + rng.normal(0, 0.002, (n_seeds, n))
        rights = {1: luck < accuracy, 0: luck < 0.5}
        first = confirmed(plan, rights).rows[0]
        assert first.estimate is not None
        assert first.fixed_estimate is not None
        by_seed = dict(zip(plan.seeds, rights[1], strict=True))
        even = add_image_error(first.fixed_estimate, image_error(by_seed), first.confidence)
        return {
            "coverage before": holds(even.interval, accuracy),
            "coverage": holds(first.estimate.interval, accuracy),
        }

    return once


NEAR_ONE = tuple(
    Cell(
        f"near-one/{1000 * accuracy:g}-{n_seeds}",
        f"{100 * accuracy:g} % of 360, {n_seeds} seeds, nominal 97.5 %",
        1000,
        near_one(accuracy, n_seeds),
    )
    for accuracy in (0.98, 0.995)
    for n_seeds in (5, 20)
)


def missed(n_validation: int, n_test: int, shift: float, n_seeds: int = 5) -> Callable[..., Seen]:
    """The best of 20 equals is confirmed; the test examples may be harder by ``shift``.

    False is a claim called missed by true test examples. Before: the mean lies outside the sweep's
    interval.
    """

    def once(rng: Random) -> Seen:
        hard = worlds.hardness(rng, n_validation, 20, OWN)
        rows = np.stack([worlds.by_seeds(rng, h, 0.95, 0.003, 1)[0] for h in hard])
        study = sweep_of(rows)
        leader = int(rows.sum(axis=1).argmax())
        plan = plan_of(study, sorted({0, leader}), n_seeds)
        hard = worlds.hardness(rng, n_test, 20, OWN)
        rights = {
            t.number: worlds.by_seeds(rng, hard[t.number], 0.95 - shift, 0.003, n_seeds)
            for t in plan.entrants
        }
        result = confirmed(plan, rights)
        interval = plan.claimed.interval
        assert interval is not None
        column = "power" if shift else "false"
        mean = float(rights[leader].mean())
        return {
            f"{column} before": not holds(interval, mean),
            column: any("Chance does not explain that" in said for said in caveats(result)),
        }

    return once


MISSED = (
    Cell("missed/1000", "true claim, 1,000 and 1,000 examples", 400, missed(1000, 1000, 0.0)),
    Cell("missed/1000-360", "true claim, 1,000 and 360", 400, missed(1000, 360, 0.0)),
    Cell("missed/5000", "true claim, 5,000 and 5,000", 250, missed(5000, 5000, 0.0)),
    Cell("missed/5000-2", "test 2 points harder, 5,000 and 5,000", 60, missed(5000, 5000, 0.02)),
    Cell("missed/1000-5", "test 5 points harder, 1,000 and 1,000", 200, missed(1000, 1000, 0.05)),
)


# The parts: intervals of seeds, the race, looks


def over_seeds(
    k: int, shape: float | None = None, method: str = "student-t"
) -> Callable[[Random], Seen]:
    """The interval of a mean over k seeds, which scatter normally, or as a gamma distribution."""

    def once(rng: Random) -> Seen:
        scores = rng.normal(size=k) if shape is None else rng.gamma(shape, size=k) - shape
        return {"coverage": holds(mean_interval(scores.tolist(), method=method).interval, 0.0)}

    return once


def first_of(n_configs: int, k: int) -> Callable[[Random], Seen]:
    """The first of equals by its mean over k seeds. Before: 95 % for it as for any other."""

    def once(rng: Random) -> Seen:
        scores = rng.normal(size=(n_configs, k))
        first = scores[scores.mean(axis=1).argmax()].tolist()
        corrected = mean_interval(first, confidence=1 - 0.05 / n_configs)
        return {
            "coverage before": holds(mean_interval(first).interval, 0.0),
            "coverage": holds(corrected.interval, 0.0),
        }

    return once


def raced(n_seeds: int, far_behind: int) -> Callable[[Random], Seen]:
    """Six configs, of which some are far behind; the power is the share of runs that are saved."""
    plan = plan_of(equals_of(6), range(6), n_seeds, race=True)
    level = np.where(np.arange(6) < 6 - far_behind, 0.0, -6.0)

    def once(rng: Random) -> Seen:
        scores = level[:, None] + rng.normal(size=(6, n_seeds))
        contest = make_contest(plan)
        while (run := contest.next_run()) is not None:
            trial, seed = run
            contest.start(run)
            contest.end(run, float(scores[trial, seed - 1]))
        equals = set(range(6 - far_behind))
        seen: Seen = {"false": bool(equals & contest.beaten.keys())}
        if far_behind:
            seen["power"] = 1.0 - len(contest.scores) / scores.size
        return seen

    return once


def looked(rng: Random) -> Seen:
    """A gain that is none, looked at after 3, 5, 10 and 20 seeds. Before: looks are not counted."""
    mine, other = rng.normal(size=(2, 20))
    gains = [
        gain_over(dict(enumerate(mine[:k])), dict(enumerate(other[:k])), "maximize")
        for k in (3, 5, 10, 20)
    ]
    p_values = [gain.p_value for gain in gains if gain.estimate.mean > 0]
    looks = [look for look, gain in enumerate(gains, 1) if gain.estimate.mean > 0]
    counted = [p * look for p, look in zip(p_values, looks, strict=True)]
    return {
        "false before": min(p_values, default=1.0) <= 0.05,
        "false": min(counted, default=1.0) <= 0.05,
    }


SEEDS = (
    *(Cell(f"seeds/normal-{k}", f"mean of {k} normal seeds", 4000, over_seeds(k)) for k in (3, 20)),
    *(
        Cell(f"seeds/gamma-{k}", f"mean of {k} lopsided seeds", 4000, over_seeds(k, 2.0))
        for k in (3, 20)
    ),
    Cell("seeds/bootstrap-8", "8 seeds, bootstrap", 600, over_seeds(8, method="bootstrap")),
    Cell("seeds/first-6-5", "first of 6 equals, 5 seeds", 4000, first_of(6, 5)),
    Cell("seeds/first-11-20", "first of 11 equals, 20 seeds", 4000, first_of(11, 20)),
    Cell("seeds/race", "race of 6 equals, 20 seeds", 300, raced(20, 0)),
    Cell("seeds/race-3", "race of 6, 3 far behind, 20 seeds", 300, raced(20, 3)),
    Cell("seeds/looks", "gain of equals, 4 looks", 4000, looked),
)


def crossed(k: int, n: int, seed_sd: float) -> Callable[[Random], Seen]:
    """A score and a gain, for new seeds and examples. Before: for new seeds alone."""
    own_sd = 2.0
    truth = [worlds.crossed_truth(worth, seed_sd, own_sd) for worth in worlds.WORTHS]

    def once(rng: Random) -> Seen:
        a, b = worlds.crossed(rng, k, n, seed_sd, own_sd)
        scores = [_scores(table) for table in (a, b)]
        alone = mean_interval(list(scores[0].values()), step=1 / n)
        score = add_image_error(alone, image_error(dict(enumerate(a))))
        gain = gain_over(scores[1], scores[0], "maximize", step=1 / n)
        new = gain_for_new_images(gain, image_error(dict(enumerate(a)), dict(enumerate(b))))
        worth = truth[1] - truth[0]
        return {
            "score/coverage before": holds(alone.interval, truth[0]),
            "score/coverage": holds(score.interval, truth[0]),
            "gain/coverage before": holds(gain.estimate.interval, worth),
            "gain/coverage": holds(new.estimate.interval, worth),
            "gain/bias": new.estimate.mean - worth,
        }

    return once


def _scores(table: Rights) -> dict[int, float]:
    return dict(enumerate(map(float, table.mean(axis=1))))


CROSSED = (
    Cell("new/1000-5", "1,000 examples, 5 seeds", 2000, crossed(5, 1000, 0.1)),
    Cell("new/1000-5-alike", "1,000, 5 seeds that hardly differ", 2000, crossed(5, 1000, 0.01)),
    Cell("new/10000-5", "10,000, 5 seeds", 600, crossed(5, 10_000, 0.1)),
    Cell("new/1000-2", "1,000, 2 seeds", 2000, crossed(2, 1000, 0.1)),
)
