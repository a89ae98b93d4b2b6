"""The small parts a sweep is made of: budget, definition, overrides of the space, paths."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from sweeping import sweep_node

from besom.errors import ConfigError, StudyError
from besom.report.tables import costs
from besom.runs import mix_seed
from besom.space.command_line import override_space
from besom.store import study_identity
from besom.store.environment import git_revision
from besom.store.paths import StudyPaths, TrainPaths, default_results_dir, write_atomically
from besom.store.records import Objective, Outcome, TrialRecord
from besom.store.storage import SweepStudy
from besom.store.stored_records import ATTRIBUTE, STUDY_ATTRIBUTE, read_study, to_attribute
from besom.study import make_plan
from besom.study.budget import Budget
from besom.study.objective import best_epoch, check_metric, last_value, objective_values
from besom.study.running_trial import RunningTrial
from besom.study.samplers import build_pruner
from besom.study.tell import end_of_finished
from user_project import CHEAP_SWEEP, Project

ACCURACY = Objective("val_accuracy", "maximize")
LOSS = Objective("val_loss", "minimize", "last")
LIMITS = sweep_node(n_trials=10, max_failures=2)


def complete(value: float) -> TrialRecord:
    return TrialRecord(0, Outcome.COMPLETE, values=(value,))


# Budget


def test_pruned_and_failed_trials_count_towards_n_trials() -> None:
    budget = Budget(LIMITS, ACCURACY)
    for outcome in (Outcome.PRUNED, Outcome.ERROR, Outcome.DIVERGED, Outcome.TIMEOUT):
        budget.count(TrialRecord(0, outcome))
    assert budget.remaining_trials == 6


def test_trials_of_earlier_runs_count_towards_n_trials() -> None:
    assert Budget(LIMITS, ACCURACY, [complete(0.5)] * 12).remaining_trials == 0


def test_time_counts_from_the_start_of_this_run() -> None:
    now = [100.0]
    budget = Budget(replace(LIMITS, timeout_s=5), ACCURACY, [complete(0.5)], clock=lambda: now[0])
    assert budget.spent() is None
    now[0] = 105.0
    assert budget.spent() == "the time limit of 5 s is reached"


@pytest.mark.parametrize(
    ("objective", "target", "values"), [(ACCURACY, 0.9, (0.8, 0.9)), (LOSS, 0.1, (0.2, 0.1))]
)
def test_a_target_is_reached_from_its_own_side(
    objective: Objective, target: float, values: tuple[float, float]
) -> None:
    budget = Budget(replace(LIMITS, target=target), objective)
    budget.count(complete(values[0]))
    assert budget.spent() is None
    budget.count(complete(values[1]))
    assert "target" in (budget.spent() or "")


def judged_on(n: int, values: list[float]) -> list[TrialRecord]:
    return [replace(complete(value), n_validation=n) for value in values]


def test_a_search_that_would_only_add_noise_ends_if_it_is_asked_to() -> None:
    values = [0.84 + 0.02 * (7 * i % 30) / 30 for i in range(30)]
    limits = replace(LIMITS, n_trials=100, stop_when_noise=True)
    noisy, exact = judged_on(300, values), judged_on(10_000_000, values)
    assert (Budget(limits, ACCURACY, noisy).spent() or "").startswith(
        "20 more trials are expected to gain 0."
    )
    assert Budget(limits, ACCURACY, exact).spent() is None
    assert Budget(limits, ACCURACY, noisy[:19]).spent() is None  # too early to tell
    assert Budget(replace(limits, stop_when_noise=False), ACCURACY, noisy).spent() is None
    assert Budget(limits, ACCURACY, [complete(v) for v in values]).spent() is None  # unknown noise


def test_patience_counts_complete_trials_only_and_a_tie_is_no_gain() -> None:
    budget = Budget(replace(LIMITS, patience=2), ACCURACY)
    for value in (0.5, 0.4, 0.6, 0.6):
        budget.count(complete(value))
        budget.count(TrialRecord(0, Outcome.PRUNED))
        assert budget.spent() is None
    budget.count(complete(0.1))
    assert "last 2 completed trials" in (budget.spent() or "")


def test_failures_break_a_sweep_only_while_nothing_has_succeeded() -> None:
    budget = Budget(LIMITS, ACCURACY)
    budget.count(TrialRecord(0, Outcome.ERROR))
    assert not budget.broken
    budget.count(TrialRecord(1, Outcome.DIVERGED))
    assert budget.broken
    budget.count(complete(0.5))
    assert not budget.broken
    resumed = Budget(LIMITS, ACCURACY, [TrialRecord(0, Outcome.ERROR)] * 2)
    assert not resumed.broken


# What a study is


def test_a_fingerprint_does_not_depend_on_the_order_of_keys() -> None:
    assert study_identity.fingerprint({"a": 1, "b": 2}) == study_identity.fingerprint(
        {"b": 2, "a": 1}
    )
    assert study_identity.fingerprint({"a": 1}) != study_identity.fingerprint({"a": 1.5})


def test_differences_name_every_leaf_with_both_values() -> None:
    old = {"a": {"b": 1, "gone": None}, "l": [1], "same": "x", "empty": {}}
    new = {"a": {"b": 2}, "l": [1, 2], "same": "x", "empty": {"new": True}}
    assert set(study_identity.differences(old, new)) == {
        "a.b: 1 -> 2",
        "a.gone: null -> (absent)",
        "l: [1] -> [1, 2]",
        "empty: {} -> (absent)",
        "empty.new: (absent) -> true",
    }


def test_another_cluster_is_no_other_study_but_other_workers_are() -> None:
    def on(**executor: Any) -> dict[str, Any]:
        plan = make_plan("quickstart", ["sweep/executor=ray"])
        return {**plan.config, "sweep": {**plan.config["sweep"], "executor": executor}}

    before, after = on(address="node1:6379", workers=4), on(address="node7:23456", workers=4)
    study_identity.check_same_task("night", before, after, extend=False)
    limited = on(address="node1:6379", workers=4, max_worker_memory="4 GiB")
    study_identity.check_same_task("night", before, limited, extend=False)
    with pytest.raises(StudyError, match=r"executor\.workers: 4 -> 8"):
        study_identity.check_same_task("night", before, on(address=None, workers=8), extend=False)


def test_the_git_revision_is_none_outside_a_repository(tmp_path: Path) -> None:
    assert git_revision(tmp_path) is None


def test_two_states_of_one_revision_read_differently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uncommitted changes and untracked modules count; results, and what is no module, do not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BESOM_RESULTS_DIR", raising=False)

    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *words], check=True, capture_output=True)

    def write(path: str, text: str) -> str | None:
        target = tmp_path / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
        return git_revision()

    git("init")
    assert git_revision() is None, "there is no revision yet"
    write("mine.py", "a = 1\n")
    write("results/board.csv", "1\n")
    git("add", ".")
    git("commit", "-m", "first")
    clean = git_revision()
    assert clean is not None
    assert len(clean) == 40
    assert write("results/board.csv", "2\n") == clean
    assert write("notes.txt", "not code\n") == clean
    states = [clean, write("mine.py", "a = 2\n"), write("mine.py", "a = 3\n")]
    states += [write("new.py", "b = 1\n"), write("new.py", "b = 2\n")]
    assert len(set(states)) == 5
    assert {str(state).partition(".")[0] for state in states[1:]} == {f"{clean}+dirty"}
    assert write("new.py", "b = 1\n") == states[3]
    monkeypatch.chdir(tmp_path / "results")
    assert str(git_revision()).startswith(f"{clean}+dirty."), "a folder below sees the changes too"


def test_mixed_seeds_differ_wherever_a_part_does() -> None:
    seeds = {mix_seed(seed, n) for seed in range(20) for n in range(20)}
    assert len(seeds) == 400
    assert mix_seed(-1, 3) == mix_seed(-1, 3)


# Objectives


def test_of_equal_epochs_the_first_counts() -> None:
    history = {"val_accuracy": [0.5, 0.7, 0.7], "val_loss": [3.0, 1.0, 2.0]}
    assert best_epoch(ACCURACY, history) == 2
    assert best_epoch(LOSS, history) == 3
    assert best_epoch(ACCURACY, {}) is None
    assert last_value(ACCURACY, history) == 0.7
    assert objective_values([ACCURACY, LOSS], history, {}) == [0.7, 2.0]
    assert objective_values([Objective("n_params", "minimize")], {}, {"n_params": 3}) == [3.0]


def test_several_objectives_are_measured_on_one_model() -> None:
    history = {"val_precision": [1.0, 0.6, 0.7], "val_recall": [0.05, 0.95, 0.9]}
    precision, recall = (Objective(name, "maximize") for name in history)
    assert objective_values([precision, recall], history, {}) == [1.0, 0.05]
    assert objective_values([recall, precision], history, {}) == [0.95, 0.6]
    size = Objective("n_params", "minimize")
    assert objective_values([size, recall, precision], history, {"n_params": 7}) == [7.0, 0.95, 0.6]


def test_hyperbands_brackets_hide_what_the_study_hides_from_samplers() -> None:
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(study_name="s", storage=storage)
    study = SweepStudy("s", storage)
    study.add_trial(optuna.trial.create_trial(value=0.5))  # a baseline outside the space
    uniform = optuna.distributions.FloatDistribution(0.0, 1.0)
    study.add_trial(
        optuna.trial.create_trial(value=0.7, params={"x": 0.3}, distributions={"x": uniform})
    )
    node = {"_target_": "optuna.pruners.HyperbandPruner", "max_resource": 9}
    study.pruner = build_pruner(node)
    trial = study.ask({"x": uniform})
    bracket = optuna.pruners._filter_study(study, trial.storage.get_trial(trial._trial_id))
    assert [t.number for t in bracket._get_trials()] == [1, 2]


def test_a_metric_that_no_trial_reports_is_refused_with_near_names() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'val_loss'"):
        check_metric(Objective("val_los", "minimize"), ["val_loss", "loss"], ["n_params"])
    check_metric(Objective("n_params", "minimize"), ["val_loss"], ["n_params"])


# Overrides of the space

SPACE = {
    "model.dropout": {"type": "float", "low": 0.0, "high": 0.5},
    "model.hidden_units": {"length": {"low": 1, "high": 4}, "each": {"low": 8, "high": 16}},
    "optimizer": ["adam", "sgd"],
}


@pytest.mark.parametrize(
    ("text", "path", "entry"),
    [
        ("model.dropout.high=0.3", "model.dropout", {"type": "float", "low": 0.0, "high": 0.3}),
        ("model.dropout.step=0.1", "model.dropout", {**SPACE["model.dropout"], "step": 0.1}),  # type: ignore[dict-item]
        ("model.dropout=[0.1,0.2]", "model.dropout", [0.1, 0.2]),
        ("model.dropout=null", "model.dropout", None),
        ("model.activation=[relu,'tanh']", "model.activation", ["relu", "tanh"]),
        ("model.activation=choice(relu,tanh)", "model.activation", "choice(relu,tanh)"),
        ("optimizer.learning_rate={low: 0.1, high: 1.0}", "optimizer.learning_rate",
         {"low": 0.1, "high": 1.0}),
        ("optimizer.momentum={low: 0.1, high: 0.9, when: {optimizer: sgd}}", "optimizer.momentum",
         {"low": 0.1, "high": 0.9, "when": {"optimizer": "sgd"}}),
    ],
)  # fmt: skip
def test_an_entry_of_the_space_is_added_replaced_or_changed(
    text: str, path: str, entry: Any
) -> None:
    assert override_space(SPACE, [f"sweep.space.{text}"])[path] == entry


def test_a_field_deep_in_an_entry_can_be_changed() -> None:
    space = override_space(SPACE, ["sweep.space.model.hidden_units.length.high=2"])
    assert space["model.hidden_units"]["length"] == {"low": 1, "high": 2}
    assert SPACE["model.hidden_units"]["length"] == {"low": 1, "high": 4}  # type: ignore[index]


def test_an_entry_can_be_deleted_and_only_if_it_is_there() -> None:
    assert "optimizer" not in override_space(SPACE, ["~sweep.space.optimizer"])
    with pytest.raises(ConfigError, match=r"no 'model.drop'. Did you mean 'model.dropout'"):
        override_space(SPACE, ["~sweep.space.model.drop"])


@pytest.mark.parametrize("text", ["model.dropout", "model.dropout={low", "=3"])
def test_a_space_override_that_cannot_be_read_is_refused_as_given(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override_space(SPACE, [f"sweep.space.{text}"])
    assert text in str(caught.value)


def test_an_entry_with_a_label_is_changed_and_deleted_by_its_label() -> None:
    labelled = {"optimizer.learning_rate@sgd": {"low": 0.01, "high": 1.0, "when": {}}}
    prefix = "sweep.space.optimizer.learning_rate@sgd"
    assert override_space(labelled, [f"{prefix}.high=0.5"])["optimizer.learning_rate@sgd"] == {
        "low": 0.01, "high": 0.5, "when": {},
    }  # fmt: skip
    assert override_space(labelled, [f"~{prefix}"]) == {}
    added = override_space({}, [f"+{prefix}={{low: 0.1, high: 0.2}}"])
    assert added == {"optimizer.learning_rate@sgd": {"low": 0.1, "high": 0.2}}


def space_of_cheap(*overrides: str) -> tuple[dict[str, str], Any]:
    """What the cheap sweep searches, in words, and the base value of the dropout."""
    plan = make_plan("cheap", overrides)
    return {e.name: str(e) for e in plan.space.entries}, plan.base["model"]["dropout"]


@pytest.mark.parametrize(
    ("overrides", "searched", "base"),
    [
        (["model.dropout=0.3", "model.dropout=0.1,0.2"], "choice: 0.1, 0.2", 0.3),
        (["model.dropout=0.1,0.2", "model.dropout=0.3"], None, 0.3),
        (["model.dropout=0.1,0.2", "model.dropout=0.3", "model.dropout=0.4,0.5"],
         "choice: 0.4, 0.5", 0.3),
        (["model.dropout=0.1,0.2", "model.dropout=interval(0.0,0.3)"], "float: 0.0 .. 0.3", 0.2),
        (["model.dropout=0.3", "model.dropout=0.1"], None, 0.1),
        (["model.dropout=0.3", "sweep.space.model.dropout.high=0.4"], "float: 0.0 .. 0.4", 0.3),
        (["sweep.space.model.dropout=[0.1]", "model.dropout=0.3"], "choice: 0.1", 0.3),
        (["sweep.space.model.dropout=[0.1]", "model.dropout=0.2,0.3"], "choice: 0.2, 0.3", 0.2),
        (["model.dropout=0.2,0.3", "sweep.space.model.dropout=[0.1]"], "choice: 0.1", 0.2),
    ],
)  # fmt: skip
def test_of_two_overrides_of_one_key_the_last_counts(
    project: Project, overrides: list[str], searched: str | None, base: float
) -> None:
    space, dropout = space_of_cheap(*overrides)
    assert (space.get("model.dropout"), dropout) == (searched, base)
    assert "optimizer.learning_rate" in space


def test_a_key_can_be_added_and_searched_in_one_command(project: Project) -> None:
    space, _ = space_of_cheap("+model.width=3", "model.width=1,2")
    assert space["model.width"] == "choice: 1, 2"


def test_a_group_can_be_fixed_and_searched_in_one_command(project: Project) -> None:
    plan = make_plan("cheap", ["optimizer=sgd", "optimizer=choice(adam,sgd)"])
    assert plan.choices["optimizer"] == "sgd"
    assert "optimizer" in plan.space.paths
    fixed = make_plan("cheap", ["optimizer=choice(adam,sgd)", "optimizer=sgd"])
    assert "optimizer" not in fixed.space.paths


def test_a_swept_key_takes_the_place_of_every_entry_for_it(project: Project) -> None:
    project.write(
        "sweeps/labelled.yaml",
        CHEAP_SWEEP.replace(
            "    model.dropout: {type: float, low: 0.0, high: 0.5}\n",
            "    optimizer: [adam, sgd]\n"
            "    model.dropout@a: {low: 0.0, high: 0.1, when: {optimizer: adam}}\n"
            "    model.dropout@s: {low: 0.0, high: 0.9, when: {optimizer: sgd}}\n",
        ),
    )
    names = [e.name for e in make_plan("labelled", ["model.dropout=0.1,0.2"]).space.entries]
    assert sorted(names) == ["model.dropout", "optimizer", "optimizer.learning_rate"]
    changed = make_plan("labelled", ["sweep.space.model.dropout@s.high=0.5"]).space.entries
    assert {e.name: e.high for e in changed if e.path == "model.dropout"} == {
        "model.dropout@a": 0.1,
        "model.dropout@s": 0.5,
    }


@pytest.mark.parametrize(
    ("overrides", "searched"),
    [
        ([], "float: 0.0 .. 0.5"),
        (["sweep.space.model.dropout.high=0.3"], "float: 0.0 .. 0.3"),
        (["sweep.space.model.dropout=[0.1,0.2]"], "choice: 0.1, 0.2"),
        (["model.dropout=0.1,0.2"], "choice: 0.1, 0.2"),
        (["~sweep.space.model.dropout"], None),
        (["model.dropout=0.1"], None),
    ],
)
def test_a_nested_entry_of_the_file_is_overridden_like_any_other(
    project: Project, overrides: list[str], searched: str | None
) -> None:
    dotted = "model.dropout: {type: float, low: 0.0, high: 0.5}"
    project.write(
        "sweeps/nested.yaml",
        CHEAP_SWEEP.replace(dotted, dotted.replace("model.dropout", "model: {dropout") + "}"),
    )
    entries = make_plan("nested", overrides).space.entries
    assert {e.name: str(e) for e in entries}.get("model.dropout") == searched


# Paths


def test_a_run_never_takes_the_folder_of_another(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        paths = TrainPaths.fresh(tmp_path, "run")
        paths.root.mkdir(parents=True)
        names.append(paths.root.name)
    assert names == ["run", "run-2", "run-3"]


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    target = tmp_path / "deep" / "file"
    write_atomically(target, "old")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        write_atomically(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_a_written_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    write_atomically(tmp_path / "ours", b"\x00")
    (tmp_path / "theirs").write_text("")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_an_empty_variable_means_the_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BESOM_RESULTS_DIR", "")
    assert default_results_dir() == Path("results")
    monkeypatch.setenv("BESOM_RESULTS_DIR", "/elsewhere")
    assert StudyPaths.of(default_results_dir(), "s").journal == Path("/elsewhere/s/study.journal")


# Verdict


def ended(stopped: Outcome | None = None, reason: str = "") -> RunningTrial:
    trial = optuna.create_study().ask()
    return RunningTrial(trial, params={}, config={}, stopped=stopped, reason=reason)


@pytest.mark.parametrize(
    ("numbers", "accuracy", "stopped", "outcome", "reason"),
    [
        ({"n_params": 400.0}, 0.9, None, Outcome.COMPLETE, ""),
        ({"n_params": 900.0}, 0.9, None, Outcome.INFEASIBLE, "n_params is 900 (max 500)"),
        ({"n_params": 900.0}, 0.9, Outcome.PRUNED, Outcome.INFEASIBLE, "n_params is 900 (max 500)"),
        ({"n_params": 400.0}, 0.9, Outcome.PRUNED, Outcome.PRUNED, "stopped at epoch 2"),
        ({"n_params": float("nan")}, 0.9, None, Outcome.DIVERGED, "n_params is nan"),
        ({"n_params": 400.0}, float("nan"), None, Outcome.DIVERGED, "val_accuracy is nan"),
        ({}, float("inf"), None, Outcome.DIVERGED, "val_accuracy is inf"),
    ],
)
def test_only_a_trial_with_finite_values_within_its_limits_is_complete(
    numbers: dict[str, float],
    accuracy: float,
    stopped: Outcome | None,
    outcome: Outcome,
    reason: str,
) -> None:
    running = ended(stopped, "stopped at epoch 2" if stopped else "")
    history = {"val_accuracy": [accuracy]}
    end = end_of_finished(running, history, numbers, [ACCURACY], {"n_params": {"max": 500}})
    assert (end.outcome, end.reason) == (outcome, reason)
    assert end.values == ([accuracy] if outcome is Outcome.COMPLETE else None)


# Costs


def test_a_study_from_before_knows_how_many_workers_shared_a_gpu() -> None:
    """By its executor's config; a study of now knows it of each run, whatever was changed since."""
    device = {"device": {"gpus": ["H100"]}}
    stored = {
        "objectives": [vars(ACCURACY)],
        "config": {"sweep": {"executor": {"workers_per_gpu": 4}}},
        "environments": {"then": device, "now": {**device, "gpus_per_worker": 0.5}},
    }
    study = optuna.create_study()
    study.set_user_attr(STUDY_ATTRIBUTE, stored)
    for run in stored["environments"]:
        record = TrialRecord(0, Outcome.COMPLETE, seconds=8.0, environment={"id": run})
        study.add_trial(
            optuna.trial.create_trial(value=0.5, user_attrs={ATTRIBUTE: to_attribute(record)})
        )
    assert list(costs(read_study(study))["gpu_seconds"]) == [2.0, 4.0]
