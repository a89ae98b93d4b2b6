"""What a folder of another tuner holds, and the same as a study of Optuna's in memory."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from besom.config.types import show
from besom.errors import ConfigError, StudyError, did_you_mean
from besom.metrics import usual_direction
from besom.regular import special_kind
from besom.text.counting import counted, listed

#: Numbers of which the highest is this many times the lowest are taken for a log scale, where a
#: folder does not say how they were sampled.
_LOG_RATIO = 100


@dataclass
class FoundTrial:
    """A trial as a folder has it.

    Attributes:
        curves: of each metric what it was after each step (the first is 1).
        reason: why it is not complete.
    """

    params: dict[str, Any]
    curves: dict[str, dict[int, float]]
    state: TrialState
    reason: str
    started: datetime
    seconds: float = 0.0


@dataclass
class FoundStudy:
    """What a folder says of its search: the trials in their order, and maybe more.

    Attributes:
        metric: what it optimises, where that is known.
        directions: of each metric for which it is known.
        distributions: of each parameter for which it is known.
        best_counts: whether a trial's value is the best of its curve, not the last.
    """

    trials: list[FoundTrial]
    metric: str | None = None
    directions: dict[str, str] = field(default_factory=dict)
    distributions: dict[str, BaseDistribution] = field(default_factory=dict)
    best_counts: bool = False


def read_json(path: Path) -> Any:
    """What a file holds.

    Raises:
        StudyError: it is no file, or no JSON.
    """
    if kind := special_kind(path):
        raise StudyError(f"{path} is {kind}, where a file should be.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StudyError(f"{path} cannot be read ({error!s:.200}).") from error


def as_optunas(
    found: FoundStudy, folder: Path, metrics: Sequence[str], directions: Sequence[str]
) -> tuple[optuna.Study, list[str]]:
    """The study in memory, and its metrics.

    Args:
        found: in this folder.
        folder: its name is the study's.
        metrics: what was optimised; empty: as the folder says.
        directions: of each of these; empty: as the folder says, else as is usual for its name.

    Raises:
        ConfigError: no trial has such a metric, or the folder does not say what it optimised.
        StudyError: there is no trial.
    """
    metrics = _known_metrics(found, folder, metrics)
    if len(directions) not in (0, len(metrics)):
        raise ConfigError(
            f"There {'is' if len(metrics) == 1 else 'are'} {counted(len(metrics), 'metric')} "
            f"({listed(metrics)}), but {counted(len(directions), 'direction')} given. Give "
            "--direction once for each, in their order."
        )
    ways = list(directions) or [found.directions.get(m) or usual_direction(m) for m in metrics]
    study = optuna.create_study(
        study_name=folder.resolve().name, directions=[StudyDirection[way.upper()] for way in ways]
    )
    ranges = _ranges(found)
    best_by = ways if found.best_counts else [None] * len(ways)
    study.add_trials(
        [_frozen(t, dict(zip(metrics, best_by, strict=True)), ranges) for t in found.trials]
    )
    return study, metrics


def _known_metrics(found: FoundStudy, folder: Path, metrics: Sequence[str]) -> list[str]:
    """What the trials are ranked by, each reported by one of them at least."""
    if not found.trials:
        raise StudyError(f"{folder} has no trials.")
    reported = sorted({name for trial in found.trials for name in trial.curves})
    chosen = list(metrics) or ([found.metric] if found.metric else [])
    if not chosen:
        raise ConfigError(
            f"{folder} does not say what it optimised. Give one of its metrics with --metric: "
            f"{listed(reported)}."
        )
    for name in chosen:
        if name not in reported:
            hint = did_you_mean(name, reported)
            raise ConfigError(
                f"No trial in {folder} has reported {name!r}.{hint} They have reported "
                f"{listed(reported) or 'nothing'}."
            )
    return chosen


def _frozen(
    found: FoundTrial,
    best_by: Mapping[str, str | None],
    ranges: Mapping[str, BaseDistribution],
) -> FrozenTrial:
    """A trial as Optuna has them; one without a metric that counts has failed.

    Args:
        found: the trial.
        best_by: the metrics, each with the direction in which the best of its curve counts; None:
            the last does.
        ranges: of the parameters.
    """
    state, reason, values = found.state, found.reason, None
    curves = {metric: found.curves.get(metric, {}) for metric in best_by}
    if state is TrialState.COMPLETE:
        if missing := [metric for metric, curve in curves.items() if not curve]:
            state, reason = TrialState.FAIL, f"it has reported no {listed(missing)}"
        else:
            values = [_value(curve, best_by[metric]) for metric, curve in curves.items()]
    (curve, *others) = curves.values()
    ended = found.started + timedelta(seconds=found.seconds)
    return FrozenTrial(
        number=0,
        trial_id=0,
        state=state,
        value=None,
        values=values,
        datetime_start=found.started,
        datetime_complete=ended if state.is_finished() else None,
        params={name: _stored(value) for name, value in found.params.items()},
        distributions={name: ranges[name] for name in found.params},
        user_attrs={k: c[max(c)] for k, c in found.curves.items() if c and k not in best_by},
        system_attrs={"fail_reason": reason} if reason else {},
        # KerasTuner stores the best epoch alone, which is no curve.
        intermediate_values=curve if not others and 1 in curve else {},
    )


def _value(curve: Mapping[int, float], best_by: str | None) -> float:
    """The value that counts; infinite if it is NaN, which Optuna does not take."""
    finite = [value for value in curve.values() if math.isfinite(value)]
    if best_by and finite:
        return max(finite) if best_by == "maximize" else min(finite)
    last = curve[max(curve)]
    return math.inf if math.isnan(last) else last


def _stored(value: Any) -> Any:
    """A value as Optuna stores it: lists and mappings are text."""
    return show(value) if isinstance(value, list | dict) else value


def _ranges(found: FoundStudy) -> dict[str, BaseDistribution]:
    """Of each parameter a distribution that has all its values; the folder's own, if it does."""
    values: dict[str, dict[tuple[type, Any], Any]] = {}
    for trial in found.trials:
        for name, value in trial.params.items():
            stored = _stored(value)
            values.setdefault(name, {})[type(stored), stored] = stored
    ranges = {}
    for name, distinct in values.items():
        said = found.distributions.get(name)
        fits = said is not None and _has_all(said, list(distinct.values()))
        ranges[name] = said if said is not None and fits else _seen(list(distinct.values()))
    return ranges


def _has_all(distribution: BaseDistribution, values: Sequence[Any]) -> bool:
    try:
        for value in values:
            create_trial(value=0.0, params={"x": value}, distributions={"x": distribution})
    except ValueError:
        return False
    return True


def _seen(values: Sequence[Any]) -> BaseDistribution:
    """From the lowest to the highest of some numbers, or whatever values there are."""
    kinds = {type(value) for value in values}
    if kinds <= {int, float} and all(map(math.isfinite, values)):
        low, high = min(values), max(values)
        is_log = low > 0 and high >= _LOG_RATIO * low
        if kinds == {int}:
            return IntDistribution(low, high, log=is_log)
        return FloatDistribution(float(low), float(high), log=is_log)
    return CategoricalDistribution(values)
