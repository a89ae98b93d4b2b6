"""The folder of an experiment of Ray Tune's.

Only its JSON is read. The search space and the searcher are in pickles, and loading one would run
whatever it names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from besom.config.types import show
from besom.store.tuners.found import FoundStudy, FoundTrial, read_json

#: What Ray adds to each result of its own.
_OF_RAY = {
    *("timestamp", "done", "training_iteration", "time_this_iter_s", "time_total_s", "pid"),
    *("time_since_restore", "iterations_since_restore"),
}
_STATE = "experiment_state-*.json"


def is_experiment(folder: Path) -> bool:
    """Whether Ray Tune has written it."""
    return any(folder.glob(_STATE))


def read_experiment(folder: Path) -> FoundStudy:
    """Its trials, by their number; a trial's value is what it reported last."""
    state = read_json(max(folder.glob(_STATE)))
    rows = [[json.loads(part) for part in row] for row in state["trial_data"]]
    rows.sort(key=lambda row: int(row[0]["experiment_tag"].split("_")[0]))
    runs = [_results(folder / told["relative_logdir"] / "result.json") for told, _ in rows]
    longest = max(map(len, runs), default=0)
    params = _sampled([told for told, _ in rows])
    began = state["runner_data"].get("_start_time", 0.0)
    trials = [
        FoundTrial(
            sampled,
            _curves(run),
            *_ending(folder, told, run, longest),
            started=datetime.fromtimestamp(known.get("start_time") or began),
            seconds=float(run[-1].get("time_total_s") or 0.0) if run else 0.0,
        )
        for (told, known), run, sampled in zip(rows, runs, params, strict=True)
    ]
    return FoundStudy(trials, metric=state["runner_data"].get("_metric"))


def _results(path: Path) -> list[dict[str, Any]]:
    """Every result that a trial has reported; a line that a crash cut short is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found.append(dict(json.loads(line)))
        except ValueError:
            break
    return found


def _curves(run: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, float]]:
    curves: dict[str, dict[int, float]] = {}
    for step, result in enumerate(run, start=1):
        for name, value in result.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if is_number and name not in _OF_RAY:
                curves.setdefault(name, {})[step] = float(value)
    return curves


def _sampled(told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What was sampled in each trial.

    A searcher is given a whole config, and Ray takes all of it for sampled. Where that is so, what
    never changes is left out.
    """
    params = [dict(trial["evaluated_params"]) for trial in told]
    whole = all(len(p) == _size(t["config"]) for p, t in zip(params, told, strict=True))
    if not whole or len(params) < 2:
        return params
    texts = [{name: show(value) for name, value in taken.items()} for taken in params]
    same = {name for name, text in texts[0].items() if all(t.get(name) == text for t in texts)}
    return [{k: v for k, v in taken.items() if k not in same} for taken in params]


def _size(config: Any) -> int:
    """How many values a nested config has."""
    return sum(map(_size, config.values())) if isinstance(config, dict) and config else 1


def _ending(
    folder: Path, told: Mapping[str, Any], run: Sequence[Mapping[str, Any]], longest: int
) -> tuple[TrialState, str]:
    """How a trial ended, and why, where it is not complete."""
    if told["status"] == "ERROR":
        return TrialState.FAIL, _error(folder / told["relative_logdir"] / "error.txt")
    if told["status"] != "TERMINATED":
        return TrialState.RUNNING, ""
    # Ray marks the last result of a trial that it stopped; one that ended by itself has no mark.
    if run and run[-1].get("done") and len(run) < longest:
        return TrialState.PRUNED, f"Ray Tune stopped it after {len(run)} of {longest} results"
    return TrialState.COMPLETE, ""


def _error(path: Path) -> str:
    """The last line of a traceback that names an error; it may go on over more lines."""
    if not path.is_file():
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    named = [line for line in lines if ": " in line and not line[:1].isspace()]
    return (named or lines or [""])[-1]
