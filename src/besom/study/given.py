"""Trials whose config is given: the base config, enqueued configs, knowledge from another study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState, create_trial

from besom.config import TRAIN_GROUPS, has_path, read_yaml, value_at
from besom.errors import ConfigError
from besom.records import GIVEN, Origin, StudyRecord
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


@dataclass
class WarmStart:
    """What was taken from another study.

    Attributes:
        study: its name.
        n_taken: trials whose values the sampler now knows.
        refused: why the others were not taken, one line a trial.
        remarks: where the other study's runs differ from what this sweep would run.
    """

    study: str
    n_taken: int = 0
    refused: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = f"warm start: {self.n_taken} trials of {self.study!r} are known to the sampler"
        if self.refused:
            text += f", {len(self.refused)} do not fit ({self.refused[0]})"
        if self.remarks:
            text += f"; they ran with other settings: {'; '.join(self.remarks)}"
        return text


def warm_start(plan: SweepPlan, study: optuna.Study, other: StudyRecord) -> WarmStart:
    """Add the complete trials of another study as knowledge, marked, never ranked as run here.

    Raises:
        ConfigError: the other study has other objectives, so that its values mean nothing here.
    """
    ours = [(o.metric, o.direction) for o in plan.objectives]
    theirs = [(o.metric, o.direction) for o in other.objectives]
    if ours != theirs:
        raise ConfigError(
            f"sweep.warm_start: {other.name!r} optimises {theirs}, this sweep {ours}; its values "
            "say nothing here. Name a study with the same objective."
        )
    report = WarmStart(other.name)
    distributions = plan.space.distributions()
    remarks: dict[str, None] = {}
    for trial in other.complete:
        choices = {
            group: plan.composer.option_of(group, trial.config[group]) or ""
            for group in TRAIN_GROUPS
        }
        stored = plan.space.encode(trial.config, choices)
        if not stored:
            reasons = plan.space.outside(trial.config, choices) or ["it has no parameters"]
            report.refused.append(f"trial {trial.number}: {reasons[0]}")
            continue
        remarks |= dict.fromkeys(plan.space.differences(trial.config, choices)[:3])
        given = {"origin": str(Origin.WARM_START), "params": trial.params, "study": other.name}
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                values=list(trial.values or ()),
                params=stored,
                distributions={name: distributions[name] for name in stored},
                user_attrs={GIVEN: given},
            )
        )
        report.n_taken += 1
    report.remarks = list(remarks)[:3]
    return report


def all_given(plan: SweepPlan) -> list[Given]:
    """Baseline first, then the enqueued configs: everything that runs before the sampler is asked.

    Raises:
        ConfigError: see ``enqueued``.
    """
    return [baseline(plan), *enqueued(plan)]
