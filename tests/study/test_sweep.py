"""A sweep that runs to its end: what is tried, what is stored, when it stops."""

from __future__ import annotations

import json
import math

import pytest
import sweep_trials
from sweeping import (
    RESULTS,
    assert_whole,
    by_outcome,
    expected_value,
    points,
    runs,
    stored,
    sweep,
)

from besom.errors import BesomError, ConfigError
from besom.report.leaderboard import ranking
from besom.store.records import Outcome
from besom.study import load_record, make_plan, run_sweep
from besom.study.run import Ending
from user_project import Project

pytestmark = pytest.mark.usefixtures("project", "no_orphans")


# The baseline


def test_trial_0_is_the_base_config_as_composed(project: Project) -> None:
    sweep("model.hidden_units=[7]", "sweep.n_trials=3")
    study = assert_whole(3)
    first = study.trials[0]
    assert study.baseline == first
    assert first.config["model"] == make_plan("quickstart").base["model"] | {
        "hidden_units": [7],
        "dropout": 0.2,
    }
    assert first.params == {"model.dropout": 0.2, "optimizer.learning_rate": 0.001}


def test_the_baseline_runs_also_where_it_lies_outside_the_space(project: Project) -> None:
    outside = "sweep.space.model.dropout={low: 0.4, high: 0.5}"
    for sampler in ("random", "tpe"):
        name = f"sweep.name={sampler}"
        sweep(outside, f"sweep/sampler={sampler}", name, "sweep.n_trials=14")
        study = assert_whole(14, sampler)
        assert study.trials[0].config["model"]["dropout"] == 0.2
        assert study.trials[0].params["model.dropout"] == 0.2
        assert all(0.4 <= t.config["model"]["dropout"] <= 0.5 for t in study.trials[1:])


def test_the_sampler_learns_from_a_baseline_inside_the_space(project: Project) -> None:
    sweep("sweep.n_trials=2")
    assert stored().trials[0].raw_params == {"model.dropout": 0.2, "optimizer.learning_rate": 0.001}


def test_a_space_may_be_empty(project: Project) -> None:
    project.write(
        "sweeps/bare.yaml",
        "defaults: [cheap, _self_]\n".replace("cheap", "sweep")
        + "trainer: {epochs: 2}\nsweep:\n  n_trials: 1\n"
        + "  trial_function: sweep_trials.quadratic\n  executor: {workers: 1, gpus: none}\n",
    )
    done = run_sweep(make_plan("bare"))
    assert (done.exit_code, len(done.study.complete)) == (0, 1)


# What is stored


def test_everything_a_report_needs_is_stored_with_the_trial(project: Project) -> None:
    sweep("sweep.n_trials=2")
    trial = stored().trials[1]
    assert set(trial.params) == {"model.dropout", "optimizer.learning_rate"}
    assert trial.config["optimizer"]["learning_rate"] == trial.params["optimizer.learning_rate"]
    assert {"data", "model", "optimizer", "trainer", "seed"} <= set(trial.config)
    assert trial.seed == trial.config["seed"] == 0
    assert [len(values) for values in trial.history.values()] == [3, 3, 3]
    assert trial.best_epoch == 3
    assert trial.numbers["n_params"] == 768
    assert trial.seconds > 0
    assert trial.started is not None
    assert trial.finished is not None
    assert trial.finished >= trial.started
    assert trial.worker == 0


def test_everything_a_report_needs_is_stored_with_the_study(project: Project) -> None:
    sweep("sweep.n_trials=1", "seed=4")
    facts = stored().facts
    assert facts["config"]["seed"] == 4
    assert facts["objectives"] == [
        {"metric": "val_accuracy", "direction": "maximize", "epoch": "best", "kind": "share"}
    ]
    assert facts["choices"]["optimizer"] == "adam"
    assert len(facts["task_hash"]) >= 16
    (environment,) = facts["environments"].values()
    assert environment["data"]["fingerprint"] == "cheap-data"
    assert {"python", "besom", "keras", "optuna", "hydra-core"} <= set(environment["versions"])
    assert "git" in environment


def test_the_study_has_its_own_folder_and_nothing_else(project: Project) -> None:
    sweep("sweep.n_trials=1")
    assert [path.name for path in RESULTS.iterdir()] == ["cheap"]
    assert {"study.journal", "logs", "coordinator.lock"} >= {
        path.name for path in (RESULTS / "cheap").iterdir()
    }
    assert "worker 0" in (RESULTS / "cheap" / "logs" / "worker-0.log").read_text()


def test_the_study_is_named_after_its_sweep_unless_it_is_told_otherwise(project: Project) -> None:
    sweep("sweep.n_trials=1", "sweep.name=other")
    assert [path.name for path in RESULTS.iterdir()] == ["other"]


def test_results_land_where_the_variable_says(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BESOM_RESULTS_DIR", str(project.root / "elsewhere"))
    sweep("sweep.n_trials=1")
    assert (project.root / "elsewhere/cheap/study.journal").exists()
    assert not RESULTS.exists()


# Reproducibility


def facts_of(name: str) -> list[tuple[object, ...]]:
    return [(t.params, t.values, t.history, t.seed) for t in load_record(RESULTS, name).trials]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_one_worker_and_a_fixed_seed_give_the_same_trials_and_values(
    project: Project, sampler: str
) -> None:
    for name in ("a", "b"):
        sweep(f"sweep.name={name}", f"sweep/sampler={sampler}", "sweep.n_trials=15", "seed=3")
    assert facts_of("a") == facts_of("b")
    sweep("sweep.name=c", f"sweep/sampler={sampler}", "sweep.n_trials=15", "seed=4")
    assert facts_of("a") != facts_of("c")


def test_with_several_workers_every_value_follows_from_the_stored_config(project: Project) -> None:
    sweep("sweep.executor.workers=2", "sweep.n_trials=8", "sweep.vary_seed=true")
    study = assert_whole(8)
    assert len(study.complete) == 8
    for trial in study.complete:
        again = sweep_trials.quadratic(trial.config, lambda epoch, metrics: False)
        assert again.history == trial.history
        assert trial.value == expected_value(trial)


def test_each_trial_has_a_seed_of_its_own_where_that_is_asked_for(project: Project) -> None:
    sweep("sweep.n_trials=5", "sweep.vary_seed=true", "seed=2")
    study = assert_whole(5)
    assert study.trials[0].seed == 2
    assert len({trial.seed for trial in study.trials}) == 5
    assert all(trial.seed == trial.config["seed"] for trial in study.trials)


def test_trials_share_the_seed_where_nothing_is_said(project: Project) -> None:
    sweep("sweep.n_trials=3", "seed=2")
    assert {trial.seed for trial in assert_whole(3).trials} == {2}


# Objectives


def test_the_epoch_that_counts_is_the_best_or_the_last(project: Project) -> None:
    project.write(
        "peaked.py",
        "from besom.seam import TrialResult\n"
        "def peak(config, report):\n"
        "    values = [0.5, 0.75, 0.25]\n"
        "    for epoch, value in enumerate(values, 1):\n"
        "        report(epoch, {'val_accuracy': value})\n"
        "    return TrialResult(history={'val_accuracy': values})\n",
    )
    for epoch, value, at in (("best", 0.75, 2), ("last", 0.25, 3)):
        words = (f"sweep.objective.epoch={epoch}", f"sweep.name={epoch}", "sweep.n_trials=1")
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(project.root))
            done = sweep("sweep.trial_function=peaked.peak", *words)
        assert (done.study.trials[0].value, done.study.trials[0].best_epoch) == (value, at)


def test_a_loss_is_minimised(project: Project) -> None:
    sweep("sweep.objective={metric: val_loss, direction: minimize}", "sweep.n_trials=6")
    frame = ranking(stored())
    assert list(frame["val_loss"]) == sorted(frame["val_loss"])
    assert (frame[frame["trial"] == 0]["gain"] == 0).all()
    assert frame["gain"].iloc[0] >= 0


def test_a_number_of_the_trial_can_be_the_objective(project: Project) -> None:
    space = "sweep.space.model.hidden_units=[[4],[8,8]]"
    sweep("sweep.objective={metric: n_params, direction: minimize}", space, "sweep.n_trials=4")
    study = stored()
    assert [t.value for t in study.complete] == [
        float(sum(t.config["model"]["hidden_units"])) for t in study.complete
    ]


def test_a_metric_that_turns_out_missing_is_an_error_not_a_traceback(project: Project) -> None:
    """A trial function of the user's own need not say beforehand what it reports."""
    project.write(
        "silent.py",
        "from besom.seam import TrialResult\n"
        "def f(config, report):\n    return TrialResult(history={'accuracy': [0.5]})\n",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(project.root))
        with pytest.raises(BesomError, match=r"val_accuracy.*accuracy"):
            sweep("sweep.trial_function=silent.f", "sweep.n_trials=2")


# Budgets


def test_a_sweep_stops_when_its_time_is_spent(project: Project) -> None:
    done = sweep("sweep.timeout_s=3", "trainer.seconds=0.1", "sweep.n_trials=500")
    assert (done.ending, done.exit_code) == (Ending.BUDGET, 0)
    assert "limit of 3 s" in done.reason
    assert 1 <= len(done.study.complete) < 20


def test_a_sweep_stops_when_its_target_is_reached(project: Project) -> None:
    done = sweep("sweep.target=0.8", "sweep.n_trials=500")
    values = [trial.value or 0.0 for trial in done.study.complete]
    assert (done.ending, done.exit_code) == (Ending.BUDGET, 0)
    assert "target" in done.reason
    assert values[-1] >= 0.8
    assert all(value < 0.8 for value in values[:-1])


def test_a_target_of_what_is_minimised_is_an_upper_bound(project: Project) -> None:
    objective = "sweep.objective={metric: val_loss, direction: minimize}"
    done = sweep(objective, "sweep.target=0.2", "sweep.n_trials=500")
    assert done.ending is Ending.BUDGET
    assert done.study.complete[-1].values is not None
    assert done.study.complete[-1].values[0] <= 0.2


def test_a_sweep_stops_when_nothing_better_is_found_for_long(project: Project) -> None:
    done = sweep("sweep.patience=4", "sweep.n_trials=500")
    values = [trial.value or 0.0 for trial in done.study.complete]
    assert done.ending is Ending.BUDGET
    assert max(values) == values[-5]
    assert len(values) < 500


def test_a_sweep_stops_when_more_trials_would_gain_less_than_the_noise(project: Project) -> None:
    """Scores within 0.001 of each other, and a standard error of 0.01."""
    near = ("sweep.space.model.dropout={low:0.29,high:0.31}", "optimizer.learning_rate=0.01")
    near += ("sweep.space.optimizer.learning_rate=null", "sweep.stop_when_noise=true")
    near += ("sweep.trial_function=sweep_trials.examined", "sweep.n_trials=60", "model.dropout=0.3")
    found = sweep(*near)
    assert "20 more trials are expected to gain 0." in found.reason
    assert "less than one standard error" in found.reason
    n_trials = len(stored().trials)
    assert n_trials < 30
    assert sweep(*near).reason  # it would still only add noise
    assert len(stored().trials) == n_trials


def test_a_sweep_that_has_reached_its_target_trains_nothing_more(project: Project) -> None:
    trace = project.root / "trace"
    words = ("sweep.target=0.8", "sweep.n_trials=500", f"trainer.trace={trace}")
    first = sweep(*words)
    before = len(runs(trace))
    second = sweep(*words)
    assert len(runs(trace)) == before
    assert second.exit_code == 0
    assert second.study.trials == first.study.trials


# Samplers and spaces; see test_strategy.py


def test_a_grid_is_walked_once(project: Project) -> None:
    space = (
        "sweep.space.model.dropout=[0.1,0.3]",
        "sweep.space.optimizer.learning_rate=[0.01,0.1]",
    )
    sweep("sweep/sampler=grid", "sweep.n_trials=50", *space)
    assert len(set(points(stored())[1:])) == 4
    assert len(by_outcome(stored(), Outcome.COMPLETE)) == 5


def test_a_sampler_can_be_tuned_by_its_keys(project: Project) -> None:
    plan = make_plan("cheap", ["sweep/sampler=tpe", "sweep.sampler.n_startup_trials=3"])
    assert plan.sweep.sampler["n_startup_trials"] == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sweep/sampler=tpe", "sweep.sampler.n_startup_trials=abc"], "n_startup_trials is 'abc'"),
        (["sweep/pruner=median", "sweep.pruner.n_warmup_steps=1.5"], "n_warmup_steps is 1.5"),
        (["sweep.executor.threads_per_worker=two"], "threads_per_worker is 'two'"),
        (["+sweep.sampler.nonsense=3"], "no argument 'nonsense'"),
        (["sweep/pruner=none", "sweep.pruner._target_=optuna.samplers.RandomSampler"], "built a"),
        (["sweep/pruner=percentile", "sweep.pruner.percentile=200"], "200"),
    ],
)
def test_a_sampler_pruner_or_executor_of_wrong_arguments_is_refused(
    project: Project, words: list[str], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        sweep(*words, "sweep.n_trials=1")
    assert says in str(caught.value)
    assert not RESULTS.exists()


def test_groups_and_conditions_are_sampled_and_composed(project: Project) -> None:
    sweep(
        *("optimizer=choice(adam,sgd)", "sweep.n_trials=12", "seed=1"),
        "sweep.space.optimizer.momentum={low: 0.5, high: 0.9, when: {optimizer: sgd}}",
        "sweep.space.model.hidden_units={length: {low: 1, high: 3}, each: {low: 4, high: 8}}",
    )
    study = assert_whole(12)
    seen = {trial.params["optimizer"] for trial in study.trials}
    assert seen == {"adam", "sgd"}
    for trial in study.trials:
        is_sgd = trial.params["optimizer"] == "sgd"
        assert trial.config["optimizer"]["_target_"].endswith("SGD" if is_sgd else "Adam")
        assert ("momentum" in trial.config["optimizer"]) == is_sgd
        if is_sgd:
            assert 0.5 <= trial.config["optimizer"]["momentum"] <= 0.9
        assert trial.config["model"]["hidden_units"] == trial.params["model.hidden_units"]


# What is told


def test_the_cost_of_the_loop_leaves_no_trace_of_trials_in_memory_only(project: Project) -> None:
    """What the outcome says is what the journal says."""
    done = sweep("sweep.n_trials=4")
    assert done.study.trials == stored().trials
    assert all(math.isfinite(trial.value or math.nan) for trial in done.study.complete)
    assert json.loads(json.dumps(done.study.facts)) == stored().facts
