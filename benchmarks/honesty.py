"""How often besom's claims are wrong: simulated studies whose truth is known.

    python benchmarks/honesty.py                       # everything, about ten minutes
    python benchmarks/honesty.py --parts confirm --replications 100

Nothing is trained: what each seed scores on each example is drawn, and goes through the functions
that ``besom confirm`` uses. ``before`` is what the numbers for the measured examples alone would
have said.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from besom.rerun.confirm import Confirmation, ConfirmPlan, Status
from besom.rerun.confirm.result import make_contest, score_of
from besom.rerun.confirm.run_journal import RunRecord
from besom.rerun.confirm.verdict import summarise
from besom.seam import KERAS_TRIALS
from besom.statistics import Interval, correct_for_selection, holm, paired_gain
from besom.statistics.fresh_seeds import OnFreshSeeds, gains_on_fresh_seeds
from besom.store.paths import StudyPaths
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord

Rights = dict[int, NDArray[np.bool_]]

AIM = Objective("test_accuracy", "maximize", "best", "share")


def main() -> None:
    """Run the parts, print a table of each, and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--replications", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found: dict[str, Any] = {"replications": arguments.replications}
    for part in arguments.parts:
        rows = PARTS[part](arguments.replications, np.random.default_rng(arguments.seed))
        print(f"\n{part}\n" + "\n".join(_line(row) for row in rows))
        found[part] = rows
    print(json.dumps(found))


def _line(row: dict[str, Any]) -> str:
    return "  ".join(
        f"{key} {value:.1%}" if isinstance(value, float) else f"{key} {value}"
        for key, value in row.items()
    )


def confirm_equals(n: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Configs of one true accuracy, each with hard examples of its own: what is claimed of them."""
    rows = []
    for n_seeds in (5, 20):
        for n_examples in (360, 10_000):
            counts = dict.fromkeys(
                ("behind", "behind before", "gain", "gain before", "holds", "holds before"), 0
            )
            plan = plan_of(4, n_seeds)
            for _ in range(n):
                result = confirmed(plan, equals(rng, 4, n_seeds, n_examples))
                others = [row for row in result.rows if row.behind is not None]
                counts["behind"] += any(row.status is Status.BEHIND for row in result.rows)
                counts["behind before"] += _fixed_behind(result) <= 0.05
                gains = [row for row in result.rows if row.gain and row.fixed_gain]
                up = [row for row in gains if row.gain and row.gain.estimate.mean > 0]
                counts["gain"] += any(row.p_gain <= 0.05 for row in up)
                fixed = holm([row.fixed_gain.p_value for row in gains if row.fixed_gain])
                pairs = zip(gains, fixed, strict=True)
                counts["gain before"] += any(row in up and p <= 0.05 for row, p in pairs)
                one = next(row for row in gains if row.trial == 1)
                for key, gain in (("holds", one.gain), ("holds before", one.fixed_gain)):
                    assert gain is not None
                    counts[key] += gain.estimate.interval.low <= 0 <= gain.estimate.interval.high
                assert others
            shares = {key: count / n for key, count in counts.items()}
            rows.append({"seeds": n_seeds, "examples": n_examples, **shares})
    return rows


def _fixed_behind(result: Confirmation) -> float:
    """The smallest corrected p-value that some config is behind on these examples."""
    from besom.statistics import gain_over

    first = result.rows[0]
    p_values = [gain_over(first.scores, row.scores, "maximize").p_value for row in result.rows[1:]]
    return float(min(holm(p_values, chosen_reference=True)))


def near_one(n: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """How often the first's interval for new examples holds its true accuracy near 100 %."""
    rows = []
    for truth in (0.98, 0.995):
        for n_seeds in (5, 20):
            plan, held = plan_of(2, n_seeds), 0
            for _ in range(n):
                luck = rng.random((1, 360)) + rng.normal(0, 0.002, (n_seeds, 360))
                first = confirmed(plan, {1: luck < truth, 0: luck < 0.5}).rows[0]
                assert first.estimate is not None
                held += first.estimate.interval.low <= truth <= first.estimate.interval.high
            rows.append({"accuracy": truth, "seeds": n_seeds, "nominal": 0.975, "holds": held / n})
    return rows


def searched(n: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """What a search of 50 configs claims to gain: by the leader's own seed, and by fresh ones.

    ``own``: the share of examples on which each config has luck of its own.
    """
    rows = []
    for n_examples, sd, own, gain in (
        *((5_000, 0.002, own, 0.0) for own in (0.0, 0.1)),
        *((10_000, 0.003, own, 0.0) for own in (0.0, 0.1)),
        *((50_000, 0.002, own, 0.0) for own in (0.0, 0.1)),
        (1_000, 0.005, 0.05, 0.02),
        (10_000, 0.003, 0.05, 0.01),
        (10_000, 0.003, 0.05, 0.02),
    ):
        by_one = claimed = held = 0
        for _ in range(n):
            gains, one = search_once(rng, n_examples, sd, own, gain)
            by_one += one
            claimed += any(found.interval.low > 0 for found, _ in gains)
            held += all(low <= truth <= high for (low, high), truth in intervals(gains))
        cell = {"examples": n_examples, "sd": f"{100 * sd:g}", "own": f"{own:g}", "true gain": gain}
        rows.append({**cell, "claimed": claimed / n, "by one seed": by_one / n, "holds": held / n})
    return rows


def intervals(gains: list[tuple[OnFreshSeeds, float]]) -> list[tuple[Interval, float]]:
    """Each interval and the truth that it should hold."""
    return [(found.interval, truth) for found, truth in gains]


def search_once(
    rng: np.random.Generator, n: int, sd: float, own: float, gain: float, n_configs: int = 50
) -> tuple[list[tuple[OnFreshSeeds, float]], bool]:
    """The first three's gains on three fresh seeds with their truths; and one seed's claim."""
    base = rng.random(n)
    hard = [np.where(rng.random(n) < own, rng.random(n), base) for _ in range(n_configs)]
    accuracy = [0.9 + gain * (i == 1) for i in range(n_configs)]
    rows = np.stack([scored(rng, hard[i], accuracy[i], sd, 1)[0] for i in range(n_configs)])
    order = np.argsort(-rows.mean(axis=1), kind="stable")
    optimism = correct_for_selection(rows[order], n_draws=300).optimism
    leaders = [int(i) for i in order if i != 0][:3]
    fresh = {c: scored(rng, hard[c], accuracy[c], sd, 3) for c in (0, *leaders)}
    gains = gains_on_fresh_seeds(
        {c: dict(enumerate(table.mean(axis=1))) for c, table in fresh.items()},
        {c: dict(enumerate(table)) for c, table in fresh.items()},
        0,
        optimism,
    )
    of_one = paired_gain(rows[leaders[0]], rows[0])
    one = of_one.gain - optimism > of_one.interval.width / 2.0
    return [(found, accuracy[c] - accuracy[0]) for c, found in gains.items()], one


def scored(
    rng: np.random.Generator, hard: NDArray[np.float64], accuracy: float, sd: float, n_seeds: int
) -> NDArray[np.bool_]:
    """What each seed gets right: its accuracy scatters by ``sd``, and it has luck with examples."""
    right = np.empty((n_seeds, hard.size), dtype=np.bool_)
    for row, luck in zip(right, rng.normal(0.0, sd, n_seeds), strict=True):
        row[:] = hard + rng.normal(0.0, 0.02, hard.size) < accuracy + luck
    return right


def equals(rng: np.random.Generator, n_configs: int, n_seeds: int, n_examples: int) -> Rights:
    """What equal configs get right: a tenth of the examples is hard for one and not the others."""
    hard = rng.random(n_examples)
    right = {}
    for trial in range(n_configs):
        own = np.where(rng.random(n_examples) < 0.1, rng.random(n_examples), hard)
        right[trial] = own + rng.normal(0.0, 0.01, (n_seeds, n_examples)) < 0.95
    return right


def plan_of(n_configs: int, n_seeds: int) -> ConfirmPlan:
    """A confirmation of made-up trials; the first is the baseline."""
    entrants = tuple(
        TrialRecord(number, Outcome.COMPLETE, (0.9,), baseline=number == 0)
        for number in range(n_configs)
    )
    sweep = {"trial_function": KERAS_TRIALS, "trial_timeout_s": None}
    return ConfirmPlan(
        study=StudyRecord("simulated", (AIM,), entrants, {"sweep": sweep}),
        paths=StudyPaths(Path("nowhere")),
        entrants=entrants,
        seeds=tuple(range(1, n_seeds + 1)),
        on="test",
        objective=AIM,
        new_split=False,
        race=False,
        method="student-t",
        executor={},
        trial_function=KERAS_TRIALS,
    )


def confirmed(plan: ConfirmPlan, right: Rights) -> Confirmation:
    """What the confirmation shows where each seed got these examples right."""
    runs = {}
    for trial, table in right.items():
        for seed, row in zip(plan.seeds, table, strict=True):
            runs[trial, seed] = RunRecord(
                key=f"{trial}-{seed}",
                trial=trial,
                seed=seed,
                on="test",
                outcome=Outcome.COMPLETE,
                numbers={"test_accuracy": float(row.mean()), "n_test": float(len(row))},
                n_images=len(row),
                correct=np.packbits(row).tobytes(),
            )
    contest = make_contest(plan)
    contest.fill({key: score_of(plan, run) for key, run in runs.items()})
    return summarise(plan, contest, runs)


PARTS: dict[str, Callable[[int, np.random.Generator], list[dict[str, Any]]]] = {
    "confirm": confirm_equals,
    "near-one": near_one,
    "searched": searched,
}

if __name__ == "__main__":
    main()
