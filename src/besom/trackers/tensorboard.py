"""TensorBoard: one run per trial, and the table of hyperparameters of its HParams plugin.

TensorBoard's own ``EventFileWriter`` and its HParams helpers load TensorFlow where it is installed.
The protos and the record format need nothing of it.
"""

from __future__ import annotations

import errno
import io
import os
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import (
    HParamsPluginData,
    SessionEndInfo,
    SessionStartInfo,
)
from tensorboard.summary.writer.record_writer import RecordWriter

from besom.store.paths import write_atomically
from besom.trackers.tracker import TrackedStudy, TrackedTrial, Tracker

#: TensorBoard reads the files that have ``tfevents`` in their names.
_FILE = "events.out.tfevents.besom"

#: Bytes in which the last record of a trial's file is, the one that says how it ended.
_LONGEST_END = 200


class TensorBoardTracker(Tracker):
    """Writes a folder of event files that ``tensorboard --logdir`` reads."""

    def __init__(self, study: TrackedStudy, folder: Path) -> None:
        super().__init__(study, folder / "tensorboard")
        self._running: dict[int, list[dict[str, float]]] = {}  # the epochs that are in their files

    @property
    def place(self) -> str:
        return f"tensorboard --logdir {shlex.quote(str(self._folder))}"

    def _file(self, number: int) -> Path:
        return self._folder / f"trial-{number}" / _FILE

    def has(self, number: int) -> bool:
        path = self._file(number)
        if not path.exists():
            return False
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - _LONGEST_END, 0))
            return metadata.SESSION_END_INFO_TAG.encode() in file.read()

    def epoch(self, number: int, epoch: int, metrics: Mapping[str, float]) -> None:
        now = time.time()
        if epoch == 1:
            _write(self._file(number), [], now)
            self._running[number] = []
        shown = self._running.get(number)
        if shown is not None and len(shown) == epoch - 1:  # else it goes on from a checkpoint
            _append(self._file(number), [_scalars(metrics, now, epoch)])
            shown.append(dict(metrics))

    def write(self, trial: TrackedTrial) -> None:
        start = SessionStartInfo(start_time_secs=trial.started_s)
        for path, value in trial.params.items():
            if isinstance(value, bool):
                start.hparams[path].bool_value = value
            elif isinstance(value, str):
                start.hparams[path].string_value = value
            else:
                start.hparams[path].number_value = value
        shown = self._running.pop(trial.number, [])
        epochs = [*trial.epochs()]
        if shown != [metrics for _, _, metrics in epochs[: len(shown)]]:
            shown = []  # what it reported is not what it returned
        failed = trial.outcome.failed
        end = SessionEndInfo(
            status=api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS,
            end_time_secs=trial.finished_s,
        )
        events = [
            _hparams(
                metadata.SESSION_START_INFO_TAG,
                HParamsPluginData(session_start_info=start),
                trial.started_s,
            )
        ]
        events += [_scalars(metrics, at, epoch) for epoch, at, metrics in epochs[len(shown) :]]
        numbers = {f"number/{name}": value for name, value in trial.numbers.items()}
        events.append(_scalars({**trial.scores, **numbers}, trial.finished_s, len(epochs)))
        events.append(
            _hparams(
                metadata.SESSION_END_INFO_TAG,
                HParamsPluginData(session_end_info=end),
                trial.finished_s,
            )
        )
        if shown:
            _append(self._file(trial.number), events)
        else:
            _write(self._file(trial.number), events, trial.started_s)

    def close(self, trials: Sequence[TrackedTrial], best: TrackedTrial | None) -> None:  # noqa: ARG002
        """Name the scores: left to itself, TensorBoard takes every curve for one."""
        if not trials:
            return
        values: dict[str, list[Any]] = {}
        for trial in trials:
            for path, value in trial.params.items():
                values.setdefault(path, []).append(value)
        experiment = api_pb2.Experiment(
            name=self._study.name,
            time_created_secs=trials[0].started_s,
            hparam_infos=[
                api_pb2.HParamInfo(
                    name=path,
                    type=_type(taken),
                    # The table shows only these columns at first.
                    differs=len({*taken}) > 1 or len(taken) < len(trials),
                )
                for path, taken in values.items()
            ],
            metric_infos=[
                api_pb2.MetricInfo(
                    name=api_pb2.MetricName(tag=f"score/{metric}"), display_name=metric
                )
                for metric in self._study.metrics
            ],
        )
        event = _hparams(
            metadata.EXPERIMENT_TAG,
            HParamsPluginData(experiment=experiment),
            trials[0].started_s,
        )
        _write(self._folder / _FILE, [event], trials[0].started_s)


def _type(values: Iterable[Any]) -> int:
    kinds = {bool if isinstance(v, bool) else str if isinstance(v, str) else float for v in values}
    if kinds == {bool}:
        return int(api_pb2.DATA_TYPE_BOOL)
    return int(api_pb2.DATA_TYPE_FLOAT64 if kinds == {float} else api_pb2.DATA_TYPE_STRING)


def _scalars(values: Mapping[str, float], at_s: float, step: int) -> Event:
    shown = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
    return Event(wall_time=at_s, step=step, summary=Summary(value=shown))


def _hparams(tag: str, data: HParamsPluginData, at_s: float) -> Event:
    value = Summary.Value(
        tag=tag, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR
    )
    return Event(wall_time=at_s, summary=Summary(value=[value]))


def _write(path: Path, events: Iterable[Event], at_s: float) -> None:
    head = Event(wall_time=at_s, file_version="brain.Event:2")
    write_atomically(path, _as_bytes([head, *events]))


def _append(path: Path, events: Iterable[Event]) -> None:
    """A TensorBoard that is open reads on where it was; it would not see a new file."""
    with path.open("ab", buffering=0) as file:
        whole = file.tell()
        data = _as_bytes(events)
        try:
            if file.write(data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            file.truncate(whole)  # part of a record would hide what is written after it
            raise


def _as_bytes(events: Iterable[Event]) -> bytes:
    file = io.BytesIO()
    writer = RecordWriter(file)
    for event in events:
        writer.write(event.SerializeToString())
    return file.getvalue()
