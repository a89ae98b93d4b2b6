"""What tests of whole sweeps share: run one, see what really ran, check that all is whole."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
import sqlalchemy
import sweep_trials

from besom.config.schema import SweepNode, defaults
from besom.report.leaderboard import ranking, unranked
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.study import SweepOutcome, load_record, make_plan, run_sweep
from besom.study.watcher import Watcher

RESULTS = Path("results")

#: While it is there, a run stands still in its second epoch, unless it finds one here to take.
_PASSES = Path("passes")


def sweep(*overrides: str, **flags: Any) -> SweepOutcome:
    """Run or continue the sweep ``cheap`` in this process; its workers are real processes."""
    watcher: Watcher = flags.pop("watcher", Watcher())
    return run_sweep(make_plan("cheap", overrides), watcher=watcher, **flags)


def let_pass(n_runs: int) -> None:
    """Hold runs in the midst of their second epoch, once so many more have gone past it."""
    _PASSES.mkdir(exist_ok=True)
    for _ in range(n_runs):
        (_PASSES / uuid.uuid4().hex).touch()


def let_all_pass() -> None:
    """Hold no run any longer."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(_PASSES.rename(f"passed-{uuid.uuid4().hex}"))


def optunas(url: str) -> optuna.storages.RDBStorage:
    """Optuna's own storage, which leaves no connection open."""
    return optuna.storages.RDBStorage(url, engine_kwargs={"poolclass": sqlalchemy.NullPool})


def sweep_node(**keys: Any) -> SweepNode:
    """A node ``sweep`` as the packaged YAML has it, but for some keys; it builds nothing."""
    builds = dict.fromkeys(("sampler", "pruner", "executor"))
    return SweepNode.of({**defaults("sweep")["sweep"], **builds, **keys})


def stored(name: str = "cheap") -> StudyRecord:
    """The study as a reporting command reads it."""
    return load_record(RESULTS, name)


def by_outcome(study: StudyRecord, outcome: Outcome) -> list[TrialRecord]:
    return [trial for trial in study.trials if trial.outcome is outcome]


def assert_whole(n_trials: int, name: str = "cheap") -> StudyRecord:
    """Exactly ``n_trials`` finished trials, none twice, none lost, and every value is honest."""
    study = stored(name)
    assert [t.number for t in study.trials] == list(range(n_trials))
    assert Outcome.RUNNING not in {t.outcome for t in study.trials}
    assert study.trials[0].baseline
    configs = [json.dumps(t.config, sort_keys=True) for t in study.trials]
    assert len(set(configs)) == n_trials, "a trial was run twice"
    for trial in study.trials:
        if trial.outcome is Outcome.COMPLETE:
            assert trial.value == pytest.approx(expected_value(trial))
        else:
            assert trial.values is None
            assert trial.reason
        for values in trial.history.values():
            assert all(math.isfinite(value) for value in values)
    complete = {trial.number for trial in study.complete}
    assert set(ranking(study)["trial"]) == complete
    assert set(unranked(study)["trial"]) == set(range(n_trials)) - complete
    return study


def expected_value(trial: TrialRecord) -> float:
    """What the trial's stored config is worth, computed here, without any worker."""
    epochs = int(trial.config["trainer"]["epochs"])
    return sweep_trials.value_of(trial.config) - 2.0**-epochs


def runs(trace: Path, what: str = "start") -> list[dict[str, Any]]:
    """What trial functions wrote down themselves: each run that began, or ended."""
    return [line for line in sweep_trials.traced(trace) if line["what"] == what]


def wait_to_say(process: subprocess.Popen[str], text: str) -> None:
    """Wait until a process has said something, however its lines are broken."""
    said = list[str]()
    while text not in " ".join(said):
        assert process.stdout is not None
        said += (line := process.stdout.readline()).split()
        assert line, f"it never said {text!r}: {' '.join(said)}"


def point(run: dict[str, Any]) -> tuple[float, float]:
    """Where in the space a run was."""
    return run["dropout"], run["learning_rate"]


def points(study: StudyRecord) -> list[tuple[float, float]]:
    """Where in the space the trials were."""
    return [
        (t.config["model"]["dropout"], t.config["optimizer"]["learning_rate"]) for t in study.trials
    ]


def workers_of(pid: int) -> list[psutil.Process]:
    """The worker processes of a coordinator."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [child for child in children if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "besom.executors.local.worker" in process.cmdline()
    except psutil.Error:
        return False
