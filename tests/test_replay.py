"""``besom replay``: bitwise equality of every epoch, or the first difference and what changed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sweep_trials
from sweeping import stored, sweep

from besom.errors import StudyError
from besom.rerun.replay import Replay, first_difference, replay, report
from besom.store.environment import environment_now, environment_then, what_changed
from besom.store.paths import StudyPaths
from besom.store.records import Outcome, StudyRecord, TrialRecord

if TYPE_CHECKING:
    from user_project import Project

pytestmark = pytest.mark.usefixtures("no_orphans")


def again(study: StudyRecord, number: int, **changes: Any) -> Replay:
    trial = replace(study.trials[number], **changes)
    return replay(study, trial, StudyPaths.of(Path("results"), study.name))


@pytest.fixture
def study(project: Project) -> StudyRecord:
    """Three trials of the cheap sweep."""
    sweep("sweep.n_trials=3")
    return stored()


def test_a_trial_comes_out_bitwise_the_same(project: Project, study: StudyRecord) -> None:
    done = project.besom("replay", "cheap", "2")
    assert done.exit_code == 0, done.output
    assert "Epoch 3: " in done.output
    assert "Trial 2 of 'cheap' is bitwise equal: 3 metrics over 3 epochs." in done.output


def test_the_first_difference_is_named_with_both_values(study: StudyRecord) -> None:
    history = {name: list(values) for name, values in study.trials[1].history.items()}
    was = history["val_loss"][1] = math.nextafter(history["val_loss"][1], 1)
    result = again(study, 1, history=history)
    assert result.exit_code == 1
    assert result.difference is not None
    assert (result.difference.metric, result.difference.epoch) == ("val_loss", 2)
    now = study.trials[1].history["val_loss"][1]
    assert f"val_loss at epoch 2 was {was!r}, now it is {now!r}" in report(result)
    assert "Something in the config is not seeded" in report(result)


def test_what_has_changed_since_is_listed(study: StudyRecord) -> None:
    identity = study.trials[1].environment["id"]
    then = study.facts["environments"][identity]
    old = {**then, "versions": {**then["versions"], "numpy": "1.0"}, "git": "abc"}
    aged = replace(study, facts={**study.facts, "environments": {identity: old}})
    said = report(again(aged, 1))
    assert "is bitwise equal" in said
    assert 'versions.numpy: "1.0" -> ' in said
    assert 'git: "abc" -> ' in said


@pytest.mark.parametrize(
    ("part", "was", "said"),
    [
        ("versions", {"keras": "3.0"}, 'versions.keras: "3.0" -> '),
        ("git", "abc", 'git: "abc" -> '),
        ("data", {"fingerprint": "old"}, 'data.fingerprint: "old" -> "new"'),
        ("device", {"cpu": "i386"}, 'device.cpu: "i386" -> "new"'),
        ("device", {"threads": 64}, "device.threads: 64 -> 1"),
        ("device", {"gpus": ["old"]}, 'device.gpus: ["old"] -> []'),
        ("kernel", "old", 'kernel: "old" -> "new"'),
    ],
)
def test_every_kind_of_change_is_a_line(
    study: StudyRecord, part: str, was: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from besom.rerun import replay as module

    now: dict[str, Any] = environment_now(
        {"data": {"fingerprint": "new"}, "kernel": "new"},
        {"device": {"cpu": "new", "threads": 1, "gpus": []}},
    )
    now["git"] = "def"
    monkeypatch.setattr(module, "environment_now", lambda *_: now)
    then = {**now, part: {**now[part], **was} if isinstance(was, dict) else was}
    identity = study.trials[1].environment["id"]
    config = {**study.config, "data": study.trials[1].config["data"]}
    aged = replace(study, config=config, facts={**study.facts, "environments": {identity: then}})
    told = report(again(aged, 1, environment={"id": identity}))
    assert "is bitwise equal" in told
    (line,) = told.partition("What has changed since:\n")[2].splitlines()
    assert said in line


def test_uncommitted_changes_of_which_nothing_is_recorded_are_not_called_nothing(
    study: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    from besom.rerun import replay as module

    for git, doubt in (("abc+dirty", True), ("abc+dirty.12ab34cd", False), ("abc", False)):
        alike = {"git": git}
        monkeypatch.setattr(module, "environment_now", lambda *_, alike=alike: alike)
        monkeypatch.setattr(module, "environment_then", lambda *_, alike=alike: dict(alike))
        other = replace(study.trials[1], history={"val_loss": [1.0]})
        told = report(replay(study, other, StudyPaths.of(Path("results"), study.name)))
        assert ("The code may have changed" in told) == doubt
        assert ("Nothing that is known" in told) != doubt


def test_another_arithmetic_is_listed(study: StudyRecord) -> None:
    """``trainer.precision=auto`` may come to something else on another machine."""
    then = environment_then(study, replace(study.trials[1], environment={"precision": "bfloat16"}))
    now = environment_now({"precision": "float32"})
    assert what_changed(then, now) == ['precision: "bfloat16" -> "float32"']


def test_what_a_newer_besom_records_of_the_data_is_no_change() -> None:
    then = {"data": {"fingerprint": "1", "num_classes": 3}}
    now = {"data": {"fingerprint": "2", "num_classes": 3, "task": "regression"}}
    assert what_changed(then, now) == ['data.fingerprint: "1" -> "2"']


def test_a_pruned_trial_is_replayed_to_where_it_was_stopped(study: StudyRecord) -> None:
    history = {name: values[:2] for name, values in study.trials[1].history.items()}
    result = again(study, 1, history=history, outcome=Outcome.PRUNED, values=None)
    assert result.equal
    assert {len(values) for values in result.history.values()} == {2}


def test_another_ending_is_a_difference(study: StudyRecord) -> None:
    failed = again(study, 1, outcome=Outcome.ERROR, reason="ValueError: no", values=None)
    assert failed.exit_code == 1
    assert "then it was error (ValueError: no), now it is complete" in report(failed)
    timeout = again(study, 1, outcome=Outcome.TIMEOUT, values=None)
    assert timeout.equal  # its epochs are the same; how long they took need not be


@pytest.mark.parametrize("fault", ["raise", "diverge", "nan"])
def test_a_failure_that_comes_of_the_config_comes_again(project: Project, fault: str) -> None:
    sweep("sweep.n_trials=2", f"trainer.fault={fault}")
    trial = stored().trials[1]
    assert trial.outcome.failed
    result = again(stored(), 1)
    assert result.equal, report(result)
    assert result.trial.epochs == 1


def test_a_trial_that_was_never_trained_cannot_be_replayed(study: StudyRecord) -> None:
    with pytest.raises(StudyError, match=r"never trained \(duplicate\)"):
        again(study, 1, outcome=Outcome.DUPLICATE)


def test_it_runs_with_the_threads_of_then(study: StudyRecord, monkeypatch: Any) -> None:
    nodes: list[dict[str, Any]] = []
    from besom.rerun import replay as module

    def spy(node: dict[str, Any], *rest: Any) -> Any:
        nodes.append(node)
        raise StudyError("seen")

    monkeypatch.setattr(module, "started_executor", spy)
    aged = replace(study.trials[1], environment={"device": {"threads": 3}})
    for words in ([], ["executor.threads_per_worker=2"]):
        with pytest.raises(StudyError, match="seen"):
            replay(study, aged, StudyPaths.of(Path("results"), "cheap"), words=words)
    assert [node["threads_per_worker"] for node in nodes] == [3, 2]
    assert [node["workers"] for node in nodes] == [1, 1]


def test_unknown_trials_and_studies_are_one_message(project: Project, study: StudyRecord) -> None:
    for words in (["cheap", "7"], ["sheep", "1"], ["cheap", "1", "seed=3"]):
        done = project.besom("replay", *words)
        assert done.exit_code == 2, done.output
        assert "Traceback" not in done.output


# The comparison itself


def test_equal_means_every_bit() -> None:
    assert first_difference({"a": [0.1, math.nan]}, {"a": [0.1, math.nan]}) is None
    difference = first_difference({"a": [0.0]}, {"a": [-0.0]})
    assert difference is not None
    assert str(difference) == "a at epoch 1 was 0.0, now it is -0.0"


def test_the_first_epoch_comes_before_the_first_metric() -> None:
    then = {"a": [1.0, 2.0], "b": [1.0, 2.0]}
    difference = first_difference(then, {"a": [1.0, 3.0], "b": [5.0, 2.0]})
    assert difference is not None
    assert (difference.metric, difference.epoch) == ("b", 1)


@pytest.mark.parametrize("now", [{"a": [1.0]}, {"a": [1.0, 2.0, 3.0]}, {}])
def test_a_missing_or_further_epoch_or_metric_is_a_difference(now: dict[str, list[float]]) -> None:
    assert first_difference({"a": [1.0, 2.0]}, now) is not None


def test_the_cheap_trials_are_what_they_say() -> None:
    """The tests above rest on trials that depend on nothing but their config."""
    config: dict[str, Any] = {
        "model": {"dropout": 0.1},
        "optimizer": {"learning_rate": 0.01},
        "trainer": {"epochs": 2},
        "seed": 3,
    }
    runs: list[TrialRecord] = [sweep_trials.quadratic(config, lambda *_: False) for _ in range(2)]  # type: ignore[misc]
    assert runs[0].history == runs[1].history
