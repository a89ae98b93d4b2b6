"""MLflow: an experiment per study, in it a run for the study and below that one per trial.

All goes through ``MlflowClient``: the fluent API keeps an active run for the whole process.
"""

from __future__ import annotations

import hashlib
import logging
import os
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# Read when it is imported: besom sends nothing anywhere, and a sweep's terminal is besom's.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from sqlalchemy import make_url

from besom.errors import StudyError
from besom.store.records import Outcome
from besom.trackers.tracker import TrackedStudy, TrackedTrial, Tracker

#: The server that MLflow itself looks for.
URI_VARIABLE = "MLFLOW_TRACKING_URI"

#: What MLflow takes in one request, and how long names may be.
_METRICS_AT_ONCE = 1000
_PARAMS_AT_ONCE = 100
_LONGEST_NAME = 250


class MlflowTracker(Tracker):
    """Writes to the server in ``MLFLOW_TRACKING_URI``; without one, to ``mlflow.db``."""

    def __init__(self, study: TrackedStudy, folder: Path) -> None:
        super().__init__(study, folder)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        self._uri = os.environ.get(URI_VARIABLE) or self._own_file()
        self._client = MlflowClient(self._uri)
        self._experiment = self._experiment_id()
        self._key = study.key
        runs = {run.data.tags["besom.trial"]: run for run in self._stored_runs()}
        parent = runs.pop("all", None)
        self._runs = {int(number): run.info.run_id for number, run in runs.items()}
        self._whole = {n for n, i in self._runs.items() if runs[str(n)].info.status != "RUNNING"}
        self._parent = self._begin_study() if parent is None else parent.info.run_id
        if parent is not None:
            self._client.update_run(self._parent, status="RUNNING")

    def _own_file(self) -> str:
        file = str(self._folder.resolve() / "mlflow.db")
        uri = f"sqlite:///{file}"  # not quoted: MLflow makes a folder of what it reads there
        if make_url(uri).database != file:
            raise StudyError(
                f"MLflow cannot be told to write {file}: it takes no '%' and no '?' in a path. Set "
                f"{URI_VARIABLE} to another place, such as sqlite:////tmp/mlflow.db."
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        return uri

    @property
    def place(self) -> str:
        if URI_VARIABLE in os.environ:
            return f"experiment {self._study.name} in {URI_VARIABLE}"
        return f"mlflow server --backend-store-uri {shlex.quote(self._uri)}"

    def _experiment_id(self) -> str:
        known = self._client.get_experiment_by_name(self._study.name)
        if known is None:
            files = (self._folder / "mlflow-artifacts").resolve()
            location = None if URI_VARIABLE in os.environ else files.as_uri()
            return str(self._client.create_experiment(self._study.name, location))
        if known.lifecycle_stage == "deleted":
            raise StudyError(
                f"MLflow's experiment {self._study.name!r} was deleted. Restore it with "
                f"`mlflow experiments restore --experiment-id {known.experiment_id}`."
            )
        return str(known.experiment_id)

    def _stored_runs(self) -> Iterator[Run]:
        """What was written of this study before."""
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                f"tags.\"besom.key\" = '{self._key}'",
                max_results=1000,
                page_token=token,
            )
            yield from (run for run in page if "besom.trial" in run.data.tags)
            if not (token := page.token):
                return

    def _begin_study(self) -> str:
        tags = {"besom.key": self._key, "besom.trial": "all", "besom.study": self._study.name}
        run = self._client.create_run(self._experiment, tags=tags, run_name=self._study.name)
        return str(run.info.run_id)

    def has(self, number: int) -> bool:
        return number in self._whole

    def write(self, trial: TrackedTrial) -> None:
        if (old := self._runs.pop(trial.number, None)) is not None:
            self._client.delete_run(old)
        tags = {f"besom.{key}": text for key, text in trial.about.items()}
        tags |= {"besom.key": self._key, "mlflow.parentRunId": self._parent}
        run = self._client.create_run(
            self._experiment, start_time=_ms(trial.started_s), tags=tags, run_name=trial.name
        )
        self._runs[trial.number] = run.info.run_id
        called = _names(trial.params)
        params = [Param(called[path], str(value)) for path, value in trial.params.items()]
        once = {**trial.scores, **{f"number/{n}": v for n, v in trial.numbers.items()}}
        called = _names({**trial.curves, **once})
        metrics = [
            Metric(called[name], value, _ms(at), epoch)
            for epoch, at, values in trial.epochs()
            for name, value in values.items()
        ]
        metrics += [Metric(called[n], v, _ms(trial.finished_s), 0) for n, v in once.items()]
        for first in range(0, len(params), _PARAMS_AT_ONCE):
            some = params[first : first + _PARAMS_AT_ONCE]
            self._client.log_batch(run.info.run_id, params=some)
        for first in range(0, len(metrics), _METRICS_AT_ONCE):
            part = metrics[first : first + _METRICS_AT_ONCE]
            self._client.log_batch(run.info.run_id, metrics=part)
        stopped = "KILLED" if trial.outcome is Outcome.PRUNED else "FINISHED"
        status = "FAILED" if trial.outcome.failed else stopped
        self._client.set_terminated(run.info.run_id, status, _ms(trial.finished_s))
        self._whole.add(trial.number)

    def close(self, trials: Sequence[TrackedTrial], best: TrackedTrial | None) -> None:  # noqa: ARG002
        """Give the study's run its best trial's scores, and end it."""
        if best is not None:
            called = _names(best.scores)
            at = _ms(best.finished_s)
            metrics = [Metric(called[name], v, at, 0) for name, v in best.scores.items()]
            tags = [RunTag("besom.best_trial", str(best.number))]
            self._client.log_batch(self._parent, metrics=metrics, tags=tags)
        self._client.set_terminated(self._parent, "FINISHED")


def _names(given: Mapping[str, object]) -> dict[str, str]:
    """What MLflow calls each: it takes no brackets, no names that are odd paths, none twice."""
    called: dict[str, str] = {}
    for name in given:
        shown = re.sub(r"[^\w./: -]", "_", name)
        if posixpath.normpath(shown) != shown or shown.startswith((".", "/")):
            shown = "_" + shown.replace("/", "_")
        if len(shown) > _LONGEST_NAME or shown in called.values():
            digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
            shown = f"{shown[: _LONGEST_NAME - 9]}-{digest}"
        called[name] = shown
    return called


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
