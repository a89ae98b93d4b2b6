"""What a user is promised of a dry run: it builds what a sweep may meet, and counts its time."""

from __future__ import annotations

from io import StringIO
from typing import Any

import optuna
import pytest
from rich.console import Console

from besom.cli.dry_run_text import print_dry_run, print_space
from besom.errors import ConfigError
from besom.executors.base import Finished, Ready, Usage
from besom.seam import TrialConfig, TrialResult
from besom.space import parse_space
from besom.study import make_plan
from besom.study.dry_run import MOST_CORNERS, DryRun, Probed, corners, dry_run
from besom.study.screening import ScreeningPruner


def corner_params(spec: dict[str, Any], base: dict[str, Any]) -> list[dict[str, Any]]:
    return [s.params for s in corners(parse_space(spec, base=base, groups={}, choices={}))]


def test_every_value_of_a_choice_is_in_some_corner():
    spec = {"a": ["p", "q", "r", "s", "t"], "n": {"type": "int", "low": 1, "high": 9}}
    built = corner_params(spec, {"a": "p", "n": 1})
    assert {c["a"] for c in built} == set("pqrst")
    assert {c["n"] for c in built} == {1, 9}


def test_what_a_condition_reads_is_built_with_both_ends_of_what_depends_on_it():
    spec = {
        "kind": ["none", "small", "large"],
        "size": {"low": 1, "high": 5, "when": {"kind": ["small", "large"]}},
    }
    built = corner_params(spec, {"kind": "none", "size": 1})
    assert sorted((c["kind"], c.get("size", 0)) for c in built) == [
        ("large", 1), ("large", 5), ("none", 0), ("small", 1), ("small", 5),
    ]  # fmt: skip


def test_there_are_never_more_corners_than_can_be_built_while_one_waits():
    spec = {name: list(range(40)) for name in "ab"}
    assert len(corner_params(spec, {"a": 0, "b": 0})) == MOST_CORNERS
    assert corner_params({}, {}) == []


class Builder:
    """An executor that builds nothing: a model has ten parameters for each hidden unit."""

    n_workers, idle = 1, 1

    def __init__(self) -> None:
        self._events: list[Any] = []

    def start(self, function: str, config: TrialConfig, logs: str | None, **_: Any) -> None:
        facts: dict[str, Any] = {
            "metrics": ["val_accuracy"],
            "numbers": ["n_params", "model_bytes"],
        }
        facts["folds"] = "fold" in config.get("run", {})
        facts["data"] = {"n_train": 1200, "n_validation": 300}
        if facts["folds"]:
            facts["data"]["folds"] = 5
        self._events.append(Ready(0, facts))

    def submit(self, trial: int, config: TrialConfig, timeout_s: float | None) -> None:
        numbers = {"n_params": 10.0 * sum(config["model"]["hidden_units"])}
        numbers |= {"model_bytes": 1e6, "seconds_beside_epochs": 2.0}
        numbers |= {"seconds_per_step": 1.0, "steps_per_epoch": 2.0}
        self._events.append(Finished(trial, 0, TrialResult(numbers=numbers), Usage()))

    def events(self, timeout_s: float) -> list[Any]:
        told, self._events = self._events, []
        return told

    def close(self) -> None:
        pass


LISTS = "sweep.space.model.hidden_units={length: 1, each: {low: 1, high: 50}}"


def test_what_is_outside_the_constraints_is_marked_and_takes_no_time(project):
    plan = make_plan("cheap", [LISTS, "sweep.constraints={n_params: {max: 100}}"])
    found = dry_run(plan, Builder())  # type: ignore[arg-type]
    built = {p.name: p for p in found.built}
    assert built["corner 1"].broken == []
    assert built["corner 2"].broken == ["n_params is 500 (max 100)"]
    n_trained = sum(not p.broken for p in found.sampled)
    assert 0 < n_trained < len(found.sampled)
    assert found.expected_seconds(10) == pytest.approx(
        found.start_s + 10 * (2.0 + 3 * 2.0) * n_trained / 5
    )


def said(*overrides: str) -> str:
    """What a dry run of the cheap sweep prints."""
    plan = make_plan("cheap", overrides)
    found = dry_run(plan, Builder())  # type: ignore[arg-type]
    with (console := Console(width=400, file=StringIO())).capture() as capture:
        print_space(plan, console)
        print_dry_run(plan, found, console)
    return capture.get()


SEVERAL = "sweep.objectives=[{metric: val_accuracy}, {metric: n_params}]"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], "about 40 s for 5 trials: 0.1 s to start the workers, and for each trial about 2.0 s "
             "to build, compile and save its model."),
        (["sweep/pruner=median"], "for 5 trials if none is pruned: 0.1 s to start"),
        (["sweep/pruner=median", SEVERAL], "for 5 trials: 0.1 s to start"),
        (["sweep/pruner=screening", "sweep.pruner.keep=2"],
         "about 32 s for 5 trials of 1 epoch, the best 2 of them to their end: 0.1 s to start"),
        (["sweep.folds=5", "sweep.repeats=2"], "about 6.7 min for 5 trials (50 runs: 5 folds x 2 "
         "repeats each): 0.1 s to start the workers, and for each run about 2.0 s"),
        (["sweep.timeout_s=12"], "save its model. sweep.timeout_s ends it after 12 s."),
        (["sweep/sampler=grid", "sweep.space={}", "model.dropout=0.1,0.3",
          "sweep.n_trials=50"], "for 3 trials, which is every point of the space:"),
        (["sweep.n_trials=30"], "Power: with 300 validation examples and 30 trials, a difference "
         "of 2 points is seen in 1 % of pairs; 1 point needs about 11,000 examples, where two "
         "trials disagree on 5 % of them."),
        (["sweep.folds=5"], "Power: with 1,200 validation examples and 5 trials, "),
        ([SEVERAL], "Optimised: val_accuracy (maximize), n_params (minimize); sampler random, "),
        (["sweep.constraints={n_params: {max: 0}}"],
         "Constraints: 5 of 5 sampled configs break one (sampled 1: n_params is "),
    ],
)  # fmt: skip
def test_the_time_to_expect_says_what_it_counts(project, overrides, expected):
    assert expected in said(*overrides)


@pytest.mark.parametrize(
    "override", [SEVERAL, "sweep.objective.metric=n_params", "sweep.repeats=2"]
)
def test_what_a_sweep_can_see_is_said_of_one_share_alone(project, override):
    assert "Power:" not in said(override)


@pytest.mark.parametrize("words", [[], ["sweep.trial_function=besom.training.trial.run_trial"]])
@pytest.mark.parametrize("metric", ["null", "val_accuracy"])
def test_what_is_optimised_is_said_once(project, words, metric):
    told = said(*words, f"sweep.objective.metric={metric}")
    assert told.count("Optimised: val_accuracy (maximize); sampler random, pruner none.") == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sweep.objective.metric=val_acuracy", "Did you mean 'val_accuracy'"),
        ("sweep.constraints={n_parms: {max: 1}}", "Did you mean 'n_params'"),
    ],
)
def test_an_objective_that_no_trial_reports_is_refused(project, override, message):
    with pytest.raises(ConfigError, match=message):
        dry_run(make_plan("cheap", [override]), Builder())  # type: ignore[arg-type]


def test_a_screening_is_expected_to_take_the_first_epochs_of_all_and_the_rest_of_the_kept():
    numbers = {"seconds_per_step": 0.5, "steps_per_epoch": 4.0}
    probed = Probed("sampled 1", {}, {"trainer": {"epochs": 10}}, numbers)
    whole = DryRun([probed], 2, {}, (), optuna.pruners.NopPruner())
    screened = DryRun([probed], 2, {}, (), ScreeningPruner(epochs=1, keep=5))
    assert whole.expected_seconds(100) == 100 * 10 * 2.0 / 2
    assert screened.expected_seconds(100) == (100 * 1 + 5 * 9) * 2.0 / 2


def test_the_time_to_expect_counts_start_up_and_what_each_trial_costs_beyond_its_epochs():
    """On small data these are nearly all of it."""
    numbers = {"seconds_beside_epochs": 8.0, "seconds_per_step": 0.01, "steps_per_epoch": 4.0}
    probed = Probed("sampled 1", {}, {"trainer": {"epochs": 5}}, numbers)
    found = DryRun([probed], 2, {}, (), optuna.pruners.NopPruner(), start_s=6.0)
    assert found.expected_seconds(8) == pytest.approx(6.0 + 8 * (8.0 + 0.2) / 2)
