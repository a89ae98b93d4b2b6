"""Preset trials, whose config no sampler chooses: the baseline and the enqueued ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import BaseSampler

from besom.config import TRAIN_GROUPS, Composer, apply, check_keys, has_path, lookup, read_yaml
from besom.errors import BesomError, ConfigError, SpaceError, did_you_mean
from besom.regular import special_kind
from besom.seam import TrialConfig
from besom.store.records import Origin, StudyRecord, TrialRecord
from besom.store.storage import load_record
from besom.store.stored_records import PRESET
from besom.study.plan import EPOCHS_PATH, SweepPlan, check_epochs
from besom.study.samplers import SpaceGridSampler
from besom.targets import TARGET
from besom.text.values import given_text


@dataclass(frozen=True)
class PresetTrial:
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

    def outside_the_space(self, plan: SweepPlan) -> list[str]:
        """Why it is no point of the space, in words; empty if it is one.

        A sampled value lies outside its range, or one that is not sampled differs from the sweep's.
        """
        outside = plan.space.outside(self.config, self.choices)
        return outside or plan.space.differences(self.config, self.choices)

    def params(self, plan: SweepPlan) -> dict[str, Any] | None:
        """Its Optuna parameters, if it is a point of the space; else None."""
        outside = self.outside_the_space(plan)
        return None if outside else plan.space.encode(self.config, self.choices)

    def enqueue(self, plan: SweepPlan, study: optuna.Study) -> None:
        """Put it in the study's queue. With parameters, if it has any, so that samplers learn."""
        params = self.params(plan) or {}
        stored = {"origin": str(self.origin), "config": self.config, "params": self.shown}
        study.enqueue_trial(params, user_attrs={PRESET: stored})


def baseline(plan: SweepPlan) -> PresetTrial:
    """The base config as composed; it may lie outside the space."""
    return _preset(plan, Origin.BASELINE, plan.base, plan.choices)


def enqueued(plan: SweepPlan) -> list[PresetTrial]:
    """The configs of ``sweep.enqueue``: inline ``{path: value}`` mappings, or files.

    An inline mapping changes the base config, groups included. A file may hold such a mapping, or
    a whole config, such as ``besom export`` writes. The sweep takes its model, its optimizer and
    whatever the space samples; data and training stay the sweep's, so that values are comparable.

    Raises:
        ConfigError: an entry is neither, or does not fit the config.
        SpaceError: the same, of a path or an option.
    """
    read = [_read(plan, f"sweep.enqueue[{i}]", e) for i, e in enumerate(plan.sweep.enqueue)]
    for i, preset in enumerate(read):
        if has_path(preset.config, EPOCHS_PATH):
            check_epochs(lookup(preset.config, EPOCHS_PATH), f"{EPOCHS_PATH} of sweep.enqueue[{i}]")
    return read


def _read(plan: SweepPlan, name: str, entry: Any) -> PresetTrial:
    if isinstance(entry, Mapping):
        return _changed(plan, name, entry)
    if not isinstance(entry, str):
        raise ConfigError(
            f"{name} is {given_text(entry)}, expected a mapping such as {{model.dropout: 0.1}}, or "
            "the path of a config file."
        )
    path = Path(entry).expanduser()
    if not path.is_file() and not special_kind(path):
        raise ConfigError(f"{name}: there is no file {entry!r}.")
    try:
        content = read_yaml(path)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None
    check_keys(content, f"{name} ({entry})")
    if "defaults" in content:
        raise ConfigError(
            f"{name}: {entry} has a defaults list, so it is a config to compose. Give a "
            "config that `besom export` writes, or a mapping of paths to values."
        )
    if not any(_is_whole(content.get(group)) for group in TRAIN_GROUPS):
        return _changed(plan, f"{name} ({entry})", content)
    return _whole(plan, f"{name}: {entry}", content)


def _is_whole(node: Any) -> bool:
    return isinstance(node, Mapping) and TARGET in node


def _changed(plan: SweepPlan, name: str, changes: Mapping[str, Any]) -> PresetTrial:
    """The base config with some changes, by dotted paths or nested."""
    flat: dict[str, Any] = {}
    for key, value in changes.items():
        nested = key in TRAIN_GROUPS and isinstance(value, Mapping) and not _is_whole(value)
        flat |= {f"{key}.{k}": v for k, v in value.items()} if nested else {str(key): value}
    try:
        config, choices = plan.space.complete(flat)
    except SpaceError as error:
        raise SpaceError(f"{name}: {error}") from None
    return _preset(plan, Origin.ENQUEUED, config, choices)


def _whole(plan: SweepPlan, name: str, content: Mapping[str, Any]) -> PresetTrial:
    """What a sweep takes of a complete config; a group may be given by its option's name."""
    sampled = [group for group in TRAIN_GROUPS if group in plan.space.paths and group in content]
    choices, composed = {**plan.choices}, dict[str, str]()
    for group in dict.fromkeys(["model", "optimizer", *sampled]):
        node = content.get(group)
        if isinstance(node, str):
            _check_option(plan, name, group, node)
            choices[group] = composed[group] = node
        elif isinstance(node, Mapping):
            choices[group] = _option_of(plan, group, content) or choices[group]
            if group not in ("model", "optimizer"):
                composed[group] = choices[group]
        else:
            raise ConfigError(f"{name} has no {group}; give a config that `besom export` writes.")
    config = dict(plan.bases.of(composed))
    config |= {g: content[g] for g in ("model", "optimizer") if isinstance(content[g], Mapping)}
    for path in plan.space.paths:
        if path not in TRAIN_GROUPS and has_path(content, path):
            config = apply(config, {path: lookup(content, path)})
    return _preset(plan, Origin.ENQUEUED, config, choices)


def _check_option(plan: SweepPlan, name: str, group: str, option: str) -> None:
    if option not in (options := plan.composer.groups[group]):
        raise ConfigError(
            f"{name}: there is no option {option!r} in the group {group!r}."
            + did_you_mean(option, options)
        )


def _option_of(plan: SweepPlan, group: str, content: Mapping[str, Any]) -> str | None:
    """The option a group of a complete config was composed from.

    Where several build the same, the study that the config was exported from knows which.
    """
    options = plan.composer.options_of(group, content[group])
    if len(options) > 1 and isinstance(source := content.get("source"), Mapping):
        try:
            study = load_record(plan.paths.root.parent, str(source.get("study")))
        except BesomError:
            return options[0]  # the file may come from another machine
        for trial in study.trials:
            if trial.number == source.get("trial"):
                known = choices_of(plan.composer, study, trial).get(group)
                return known if known in options else options[0]
    return next(iter(options), None)


def choices_of(composer: Composer, study: StudyRecord, trial: TrialRecord) -> dict[str, str]:
    """The option of each group of a trial: as sampled, as its study chose, or the likeliest.

    Several options may build the same class, so the config alone does not always tell.
    """
    composed = study.facts.get("choices", {})
    choices = {}
    for group in {**dict.fromkeys(TRAIN_GROUPS), **dict.fromkeys(composer.groups)}:
        option = trial.params.get(group, composed.get(group))
        if option is None and group in TRAIN_GROUPS:
            option = composer.option_of(group, trial.config[group])
        if option is not None:
            choices[group] = str(option)
    return choices


def _preset(
    plan: SweepPlan, origin: Origin, config: TrialConfig, choices: Mapping[str, str]
) -> PresetTrial:
    shown = {
        path: choices[path] if path in choices else lookup(config, path)
        for path in plan.space.paths
        if path in choices or has_path(config, path)
    }
    return PresetTrial(origin, config, dict(choices), shown)


def remarks_on_preset_trials(plan: SweepPlan) -> list[str]:
    """Which enqueued configs the sampler cannot learn from; one line each."""
    return [
        f"sweep.enqueue[{i}] lies outside the space ({reasons[0]}): it runs and is ranked, but the "
        "sampler cannot learn from it"
        for i, preset in enumerate(enqueued(plan))
        if (reasons := preset.outside_the_space(plan))
    ]


def all_preset_trials(plan: SweepPlan) -> list[PresetTrial]:
    """The baseline, then the enqueued configs: everything that runs before sampled trials.

    Raises:
        ConfigError: see ``enqueued``.
    """
    return [baseline(plan), *enqueued(plan)]


def n_points(plan: SweepPlan, sampler: BaseSampler) -> int | None:
    """Points of the grid, if one is walked, and preset trials outside it; None without a grid."""
    if not isinstance(sampler, SpaceGridSampler):
        return None
    return sampler.n_points + sum(p.params(plan) is None for p in all_preset_trials(plan))
