"""Trials whose config is given: the base config, and enqueued configs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from besom.config import TRAIN_GROUPS, has_path, read_yaml, value_at
from besom.errors import ConfigError
from besom.records import GIVEN, Origin
from besom.seam import TrialConfig
from besom.space import apply
from besom.study.plan import SweepPlan


@dataclass(frozen=True)
class Given:
    """One config to run as it is.

    Attributes:
        origin: baseline or enqueued.
        config: the resolved config, without a seed of its own.
        choices: the option of each group, where it has a name.
        shown: what it holds where the space samples, by dotted path.
    """

    origin: Origin
    config: TrialConfig
    choices: dict[str, str]
    shown: dict[str, Any]

    def enqueue(self, plan: SweepPlan, study: optuna.Study) -> None:
        """Put it in the study's queue; with parameters, so that samplers learn, where it fits."""
        stored = plan.space.encode(self.config, self.choices) or {}
        given = {"origin": str(self.origin), "config": self.config, "params": self.shown}
        study.enqueue_trial(stored, user_attrs={GIVEN: given})


def baseline(plan: SweepPlan) -> Given:
    """The base config as composed; it may lie outside the space."""
    return _given(plan, Origin.BASELINE, plan.base, plan.choices)


def enqueued(plan: SweepPlan) -> list[Given]:
    """The configs of ``sweep.enqueue``: inline ``{path: value}`` mappings, or files.

    An inline mapping changes the base config, groups included. Of a file, such as ``besom export``
    writes, the model, the optimizer and whatever the space samples are taken; data and training
    stay this sweep's, so that values can be compared.

    Raises:
        ConfigError: an entry is neither, or does not fit the config.
    """
    return [_read(plan, i, entry) for i, entry in enumerate(plan.sweep["enqueue"])]


def _read(plan: SweepPlan, index: int, entry: Any) -> Given:
    if isinstance(entry, Mapping):
        config, choices = plan.space.complete({str(k): v for k, v in entry.items()})
        return _given(plan, Origin.ENQUEUED, config, choices)
    if not isinstance(entry, str):
        raise ConfigError(
            f"sweep.enqueue[{index}] is {entry!r}, expected a mapping such as "
            "{model.dropout: 0.1}, or the path of a config file."
        )
    path = Path(entry).expanduser()
    if not path.is_file():
        raise ConfigError(f"sweep.enqueue[{index}]: there is no file {entry!r}.")
    content = read_yaml(path)
    choices = {**plan.choices}
    config = dict(plan.base)
    for group in ("model", "optimizer"):
        if not isinstance(content.get(group), Mapping):
            raise ConfigError(
                f"sweep.enqueue[{index}]: {entry} has no {group}; give a config that `besom "
                "export` writes."
            )
        config[group] = content[group]
        choices[group] = plan.composer.option_of(group, content[group]) or choices[group]
    for sampled in plan.space.paths:
        if sampled not in TRAIN_GROUPS and has_path(content, sampled):
            config = apply(config, {sampled: value_at(content, sampled)})
    return _given(plan, Origin.ENQUEUED, config, choices)


def _given(
    plan: SweepPlan, origin: Origin, config: TrialConfig, choices: Mapping[str, str]
) -> Given:
    shown = {
        path: choices[path] if path in choices else value_at(config, path)
        for path in plan.space.paths
        if path in choices or has_path(config, path)
    }
    return Given(origin, config, dict(choices), shown)


def all_given(plan: SweepPlan) -> list[Given]:
    """Baseline first, then the enqueued configs: everything that runs before the sampler is asked.

    Raises:
        ConfigError: see ``enqueued``.
    """
    return [baseline(plan), *enqueued(plan)]
