"""The folder of a project of KerasTuner's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from besom.store.tuners.found import FoundStudy, FoundTrial, read_json

_ORACLE = "oracle.json"

#: What Hyperband calls the epochs that it gives a trial.
_EPOCHS = "tuner/epochs"


def is_project(folder: Path) -> bool:
    """Whether KerasTuner has written it."""
    return (folder / _ORACLE).exists()


def read_project(folder: Path) -> FoundStudy:
    """Its trials, in the order in which they began; a trial's value is its best."""
    oracle = read_json(folder / _ORACLE)
    paths = {path: read_json(path) for path in sorted(folder.glob("trial_*/trial.json"))}
    began = {name: i for i, name in enumerate(oracle["start_order"])}
    in_order = sorted(paths.items(), key=lambda item: began.get(item[1]["trial_id"], len(began)))
    told = [trial for _, trial in in_order]
    space = {node["config"]["name"]: node for node in oracle["hyperparameters"]["space"]}
    sampled = {name for name, node in space.items() if node["class_name"] != "Fixed"}
    most = max((t["hyperparameters"]["values"].get(_EPOCHS, 0) for t in told), default=0)
    trials = []
    for path, trial in in_order:
        values = trial["hyperparameters"]["values"]
        params = {name: value for name, value in values.items() if name in sampled}
        # When it began, and how long it took, is not stored.
        at = datetime.fromtimestamp(path.stat().st_mtime)
        trials.append(FoundTrial(params, _curves(trial), *_ending(trial, most), started=at))
    return FoundStudy(
        trials,
        metric=_scored_by(told),
        directions={
            name: "minimize" if metric["direction"] == "min" else "maximize"
            for trial in told
            for name, metric in trial["metrics"]["metrics"].items()
            if metric["direction"]
        },
        distributions={name: d for name in sampled if (d := _range(space[name])) is not None},
        best_counts=True,
    )


def _curves(trial: Mapping[str, Any]) -> dict[str, dict[int, float]]:
    """Each metric at the steps that are stored: usually at the best epoch alone."""
    return {
        name: {int(seen["step"]) + 1: _mean(seen["value"]) for seen in metric["observations"]}
        for name, metric in trial["metrics"]["metrics"].items()
        if metric["observations"]
    }


def _mean(values: Sequence[float]) -> float:
    """Over the executions of a trial."""
    return float(sum(values) / len(values))


def _ending(trial: Mapping[str, Any], most_epochs: int) -> tuple[TrialState, str]:
    """How a trial ended, and why, where it is not complete."""
    if trial["status"] in ("FAILED", "INVALID"):
        return TrialState.FAIL, (trial["message"] or "it failed").strip().splitlines()[-1]
    if trial["status"] != "COMPLETED":
        return TrialState.RUNNING, ""
    epochs = trial["hyperparameters"]["values"].get(_EPOCHS, most_epochs)
    if epochs < most_epochs:  # what Hyperband trains on is another trial
        return TrialState.PRUNED, f"Hyperband gave it {epochs} of {most_epochs} epochs"
    return TrialState.COMPLETE, ""


def _scored_by(trials: Sequence[Mapping[str, Any]]) -> str | None:
    """The one metric that is every trial's score; None if there is none, or several are."""
    scored = [
        {
            name
            for name, metric in trial["metrics"]["metrics"].items()
            if any(_mean(seen["value"]) == trial["score"] for seen in metric["observations"])
        }
        for trial in trials
        if trial["score"] is not None
    ]
    common = set.intersection(*scored) if scored else set()
    return common.pop() if len(common) == 1 else None


def _range(node: Mapping[str, Any]) -> BaseDistribution | None:
    """What a parameter is sampled from; None for a kind that Optuna does not have."""
    said = node["config"]
    if node["class_name"] == "Boolean":
        return CategoricalDistribution([True, False])
    if node["class_name"] == "Choice":
        return CategoricalDistribution(said["values"])
    if node["class_name"] not in ("Int", "Float"):
        return None
    low, high, step = said["min_value"], said["max_value"], said["step"]
    if said["sampling"] == "log":
        step = None  # a step of its own is a factor there
    elif step:  # Optuna warns where the last step does not end at the highest
        high = low + math.floor((high - low) / step + 1e-9) * step
    is_log = said["sampling"] == "log"
    if node["class_name"] == "Int":
        return IntDistribution(low, high, log=is_log, step=step or 1)
    return FloatDistribution(low, high, log=is_log, step=step)
