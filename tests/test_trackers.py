"""Studies in TensorBoard, MLflow and Weights & Biases, as these read them back."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from besom.errors import ConfigError, StudyError
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.trackers import (
    TRACKERS,
    TrackedStudy,
    TrackedTrial,
    Tracker,
    best_tracked,
    check_tracker,
    is_tracked,
    open_tracker,
    tracked_trials,
)
from records_factory import make_study
from tensorboard_runs import read_run
from user_project import Project


@pytest.fixture(scope="module")
def study() -> StudyRecord:
    """A study with pruned and failed trials, and with a duplicate."""
    made = make_study(14, n_epochs=4, pruned=0.2, failed=0.3, seed=1)
    *most, last = made.trials
    assert any(t.outcome.failed for t in most)
    return replace(made, trials=(*most, replace(last, outcome=Outcome.DUPLICATE)))


@pytest.fixture(scope="module", autouse=True)
def _no_process_of_wandb_is_left() -> Iterator[None]:
    yield
    if "wandb" in sys.modules:
        sys.modules["wandb"].teardown()


def tracked(study: StudyRecord) -> list[TrialRecord]:
    return [trial for trial in study.trials if is_tracked(trial)]


def write(name: str, study: StudyRecord, trials: Iterable[TrialRecord], folder: Path) -> Tracker:
    """As ``export_to`` does in a process of its own."""
    tracker = open_tracker(name, TrackedStudy.of(study), folder)
    for trial in trials:
        tracker.write(TrackedTrial.of(study, trial))
    tracker.close(tracked_trials(study), best_tracked(study))
    return tracker


# TensorBoard


def test_tensorboard_shows_each_trials_curves_and_scores(
    study: StudyRecord, tmp_path: Path
) -> None:
    assert len(tracked(study)) == 13
    write("tensorboard", study, tracked(study), tmp_path)
    for trial in tracked(study):
        run = read_run(tmp_path / "tensorboard" / f"trial-{trial.number}")
        for metric, values in trial.history.items():
            scalars = run.Scalars(metric)
            assert [s.step for s in scalars] == [*range(1, len(values) + 1)]
            assert [s.value for s in scalars] == pytest.approx(values)
        if trial.value is not None:
            assert [s.value for s in run.Scalars("score/val_accuracy")] == [
                pytest.approx(trial.value)
            ]


def test_tensorboards_hparams_table_has_hyperparameters_and_scores(
    study: StudyRecord, tmp_path: Path
) -> None:
    from tensorboard.plugins.hparams import api_pb2, metadata

    def said(folder: Path, tag: str) -> bytes:
        content = read_run(folder).SummaryMetadata(tag).plugin_data.content
        assert isinstance(content, bytes)
        return content

    write("tensorboard", study, tracked(study), tmp_path)
    root = tmp_path / "tensorboard"
    experiment = metadata.parse_experiment_plugin_data(said(root, metadata.EXPERIMENT_TAG))
    types = {info.name: info.type for info in experiment.hparam_infos}
    assert all(info.differs for info in experiment.hparam_infos)
    assert types["optimizer.learning_rate"] == api_pb2.DATA_TYPE_FLOAT64
    assert types["model.activation"] == types["model.hidden_units"] == api_pb2.DATA_TYPE_STRING
    assert [info.name.tag for info in experiment.metric_infos] == ["score/val_accuracy"]
    for trial in tracked(study):
        folder = root / f"trial-{trial.number}"
        start = metadata.parse_session_start_info_plugin_data(
            said(folder, metadata.SESSION_START_INFO_TAG)
        )
        assert {*start.hparams} == {*trial.params}
        rate = start.hparams["optimizer.learning_rate"].number_value
        assert rate == trial.params["optimizer.learning_rate"]
        end = metadata.parse_session_end_info_plugin_data(
            said(folder, metadata.SESSION_END_INFO_TAG)
        )
        failed = end.status == api_pb2.STATUS_FAILURE
        assert failed == trial.outcome.failed


def test_tensorboard_shows_a_running_trials_epochs_and_each_of_them_once(
    study: StudyRecord, tmp_path: Path
) -> None:
    tracker = open_tracker("tensorboard", TrackedStudy.of(study), tmp_path)
    trial = TrackedTrial.of(study, study.trials[0])
    epochs = [(epoch, metrics) for epoch, _, metrics in trial.epochs()]
    for attempt in (epochs[:1], epochs[:3]):  # its first worker dies
        for epoch, metrics in attempt:
            tracker.epoch(0, epoch, metrics)
    run = read_run(tmp_path / "tensorboard" / "trial-0")
    assert [s.step for s in run.Scalars("val_accuracy")] == [1, 2, 3]
    assert not tracker.has(0)
    tracker.write(trial)
    run.Reload()  # an open TensorBoard reads on
    assert [s.step for s in run.Scalars("val_accuracy")] == [1, 2, 3, 4]
    assert len(run.Scalars("score/val_accuracy")) == 1
    assert tracker.has(0)


def test_tensorboard_has_what_a_trial_returned_where_it_reported_something_else(
    study: StudyRecord, tmp_path: Path
) -> None:
    tracker = open_tracker("tensorboard", TrackedStudy.of(study), tmp_path)
    tracker.epoch(0, 1, {"val_accuracy": 0.25})
    tracker.write(TrackedTrial.of(study, study.trials[0]))
    run = read_run(tmp_path / "tensorboard" / "trial-0")
    values = [s.value for s in run.Scalars("val_accuracy")]
    assert values == pytest.approx(study.trials[0].history["val_accuracy"])


# MLflow


def test_mlflow_shows_a_run_for_the_study_and_below_it_one_per_trial(
    study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/of mine.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for _ in range(2):  # again: each run is replaced
        write("mlflow", study, tracked(study), tmp_path)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(study.name)
    shown = client.search_runs([experiment.experiment_id])
    assert len(shown) == 1 + len(tracked(study))
    runs = {run.data.tags["besom.trial"]: run for run in shown}
    parent = runs.pop("all")
    assert parent.info.status == "FINISHED"
    best = max(study.complete, key=lambda t: t.value or 0.0)
    assert parent.data.tags["besom.best_trial"] == str(best.number)
    assert parent.data.metrics["score/val_accuracy"] == best.value
    assert {*runs} == {str(trial.number) for trial in tracked(study)}
    for trial in tracked(study):
        run = runs[str(trial.number)]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert (run.info.status == "FAILED") == trial.outcome.failed
        assert {*run.data.params} == {*trial.params}
        for metric, values in trial.history.items():
            history = client.get_metric_history(run.info.run_id, metric)
            assert [(m.step, m.value) for m in history] == [*enumerate(values, 1)]


def test_mlflow_has_a_file_of_the_studys_own_where_no_server_is_named(
    study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "of é #1"
    named = replace(study, name='it\'s "mine"')
    place = write("mlflow", named, study.trials[:1], folder).place
    assert (folder / "mlflow.db").stat().st_size > 0
    assert "mlflow server --backend-store-uri" in place
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    with pytest.raises(StudyError, match="Set MLFLOW_TRACKING_URI to another place"):
        write("mlflow", study, study.trials[:1], tmp_path / "what?")


# Weights & Biases


def _records(path: Path) -> Iterator[bytes]:
    """The records of an offline run's file: LevelDB's log format after a header of seven bytes."""
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    place, record = 7, b""
    while place < len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield record
            record = b""


def test_wandb_gets_one_offline_run_per_trial_in_the_studys_group(
    study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    from wandb.proto.wandb_internal_pb2 import Record

    trials = [study.trials[0], next(t for t in study.trials if t.outcome.failed)]
    for _ in range(2):  # again: each run is replaced
        write("wandb", study, trials, tmp_path)
    files = [*tmp_path.glob("wandb/offline-run-*/*.wandb")]
    assert len(files) == 2
    for file in files:
        records = [Record.FromString(data) for data in _records(file)]
        run = next(r.run for r in records if r.WhichOneof("record_type") == "run")
        trial = next(t for t in trials if run.display_name == f"trial {t.number}")
        assert (run.project, run.run_group) == ("besom", study.name)
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        assert config["optimizer.learning_rate"] == trial.params["optimizer.learning_rate"]
        assert config["besom"]["outcome"] == trial.outcome
        steps = [
            {item.key or item.nested_key[0]: json.loads(item.value_json) for item in r.history.item}
            for r in records
            if r.WhichOneof("record_type") == "history"
        ]
        assert [s["val_accuracy"] for s in steps] == trial.history["val_accuracy"]
        assert [s["_step"] for s in steps] == [*range(1, len(steps) + 1)]
        (code,) = [r.exit.exit_code for r in records if r.WhichOneof("record_type") == "exit"]
        assert (code != 0) == trial.outcome.failed


def test_wandb_sends_nothing_and_lists_no_packages(study: StudyRecord, tmp_path: Path) -> None:
    from wandb import env

    write("wandb", study, study.trials[:1], tmp_path)
    assert not env.error_reporting_enabled()  # else it asks for a server's name even when offline
    assert [*tmp_path.rglob("*.wandb")]
    assert not [*tmp_path.rglob("requirements.txt")]


def test_a_run_of_wandb_that_was_not_written_to_its_end_is_written_again(
    study: StudyRecord, tmp_path: Path
) -> None:
    tracker = write("wandb", study, study.trials[:1], tmp_path)
    assert tracker.has(0)
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    data = file.read_bytes()
    for length in (0, 7, len(data) // 2, len(data) - 1):  # its process was killed
        file.write_bytes(data[:length])
        assert not tracker.has(0), length
    assert not tracker.has(0)
    tracker.write(TrackedTrial.of(study, study.trials[0]))
    assert tracker.has(0)
    assert len([*tmp_path.glob("wandb/offline-run-*")]) == 1


# All of them

HOSTILE = {
    "model.units[0]": 1,
    "model.units_0_": 2,
    "": 3,
    "..": 4,
    "/etc/passwd": 5,
    "a//b": 6,
    "long." + "x" * 300: 7,
    "long." + "x" * 301: 8,
    "model.é <b>": "\x1b[2J\ud800\x00\n<script>",
    "model.none": None,
    "model.huge": 10**400,
    "model.text": "v" * 100_000,
}


@pytest.mark.parametrize("name", TRACKERS)
def test_any_names_and_values_are_written(
    name: str, study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/hostile.db")
    odd = [1.0, float("nan"), float("inf"), 1e308, 5e-324]
    curves = dict.fromkeys(HOSTILE, odd)
    trial = replace(study.trials[0], params=HOSTILE, history=curves, reason="\x1b" * 9999)
    tracker = write(name, study, [trial], tmp_path)
    assert tracker.has(0)
    if name == "mlflow":
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{tmp_path}/hostile.db")
        (run,) = client.search_runs(["1"], "attributes.run_name = 'trial 0'")
        assert len(run.data.params) == len(HOSTILE)
        assert run.data.params["model.units_0_"] == "1"
        assert run.data.params["model.é _b_"] == r"\x1b[2J\ud800\x00" + "\n<script>"


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_loads_neither_tensorflow_nor_optuna(
    name: str, tmp_path: Path, project: Project
) -> None:
    code = f"""
import sys
from pathlib import Path
from besom.store.records import Outcome
from besom.trackers.tracker import TrackedStudy, TrackedTrial
from besom.trackers import open_tracker
trial = TrackedTrial(0, {{}}, {{"loss": [1.0]}}, {{}}, {{}}, {{}}, Outcome.COMPLETE, 1.0, 2.0)
tracker = open_tracker({name!r}, TrackedStudy("s", "k", ("loss",)), Path({str(tmp_path)!r}))
tracker.write(trial)
tracker.close([trial], trial)
assert tracker.has(0)
print({{"tensorflow", "keras", "optuna"}} & {{*sys.modules}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    assert done.stderr == ""


def test_an_unknown_tracker_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no tracker 'tensorbord'\. Did you mean 'tensorboard'"):
        check_tracker("tensorbord", "--to")


def test_a_tracker_that_is_not_installed_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"pip install 'besom\[wandb\]'"):
        check_tracker("wandb", "sweep.trackers")


@pytest.mark.long
def test_a_folder_that_wandb_has_left_in_a_project_is_not_taken_for_the_package(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("wandb/latest-run/debug.log", "")
    monkeypatch.setattr(sys, "path", [str(project.root)])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'besom\[wandb\]'"):
        check_tracker("wandb", "sweep.trackers")
