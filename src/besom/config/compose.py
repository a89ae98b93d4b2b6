"""Composes primary configs with Hydra, and turns Hydra's errors into ours.

Hydra's compose uses global state, so it happens here only, in one process, under one lock.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from hydra import compose, initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from besom.config import schema
from besom.config.search_path import SearchPath, read_yaml
from besom.config.types import check_group, dotted_paths, has_path, value_at
from besom.errors import ConfigError, did_you_mean
from besom.targets import TARGET

_LOCK = threading.Lock()
_EXPORTED = "_exported_"

#: The key of a group's option that holds search space entries of its own.
OWN_SPACE = "space"

_MULTIRUN = ("hydra.sweeper", "hydra/sweeper", "hydra.launcher", "hydra/launcher")

MULTIRUN_HELP = (
    "besom does not run Hydra's multirun. Use `besom sweep NAME` with the node `sweep`: "
    "sweep.space replaces hydra.sweeper.params, sweep/sampler replaces hydra.sweeper.sampler, "
    "sweep.n_trials replaces n_trials, and sweep.executor.workers replaces n_jobs and "
    "hydra.launcher."
)


class _OtherDirectories(SearchPathPlugin):
    """Puts the search path after its first folder.

    The override ``hydra.searchpath`` cannot: a primary config is not looked for there.
    """

    directories: ClassVar[list[Path]] = []

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra when it starts."""
        for directory in self.directories:
            search_path.append("besom", f"file://{directory}")


@dataclass(frozen=True)
class Composed:
    """One composed config.

    Attributes:
        config: plain data, every interpolation resolved.
        choices: config group to the option chosen; groups under ``sweep`` by ``sweep/sampler``.
    """

    config: dict[str, Any]
    choices: dict[str, str]


@dataclass(frozen=True)
class Composer:
    """Composes one primary config, again and again, with different overrides.

    Attributes:
        search: where configs are looked for.
        primary: the name of the primary config on that path.
        exported: a complete config (as ``besom export`` writes) that takes the place of the
            groups' options; None where the primary has a defaults list of its own.
    """

    search: SearchPath
    primary: str
    exported: Mapping[str, Any] | None = None
    _read: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict, repr=False)

    @cached_property
    def groups(self) -> dict[str, dict[str, Path]]:
        """Config group to its options, by name."""
        return {group: self.search.options(group) for group in self.search.groups()}

    def compose(self, overrides: Sequence[str] = ()) -> Composed:
        """Compose, check every override against what it overrides, and every type.

        Raises:
            ConfigError: an unknown group, option or key (near names listed), a value of the wrong
                type, a syntax error, or something that only Hydra's multirun has.
        """
        parsed = parse_overrides(overrides)
        choosing = [o for o in parsed if self._is_group(o)]
        for override in choosing:
            self._check_option(override)
        base = self._compose([_text(o) for o in choosing], complete=False)
        for override in parsed:
            if not self._is_group(override):
                self._check_key(override, base.config)
        composed = self._compose(list(overrides))
        self._check_types(composed)
        return composed

    def _compose(self, overrides: list[str], complete: bool = True) -> Composed:
        """Compose; ``complete`` refuses values that are mandatory and missing."""
        with _LOCK:
            schema.register()
            primary, defaults = self.primary, list[str]()
            if self.exported is not None:
                primary, defaults = self._store_exported(self.exported)
            first, *_OtherDirectories.directories = self.search.directories
            Plugins.instance().register(_OtherDirectories)
            try:
                with initialize_config_dir(str(first), job_name="besom", version_base="1.3"):
                    node = compose(primary, [*defaults, *overrides], return_hydra_config=True)
                    choices = dict(node.hydra.runtime.choices)
                    with open_dict(node):
                        del node["hydra"]
                    if self.exported is not None:
                        _restore_scalars(node, self.exported, overrides)
                    plain = OmegaConf.to_container(node, resolve=True, throw_on_missing=complete)
            except (HydraException, OmegaConfBaseException, ValueError) as error:
                raise ConfigError(_explain(error)) from error
        assert isinstance(plain, dict)
        own = {k: v for k, v in choices.items() if not k.startswith("hydra") and v is not None}
        config = {str(k): v for k, v in plain.items()}
        self._keep_own_keys(config, own, {o.key_or_group for o in parse_overrides(overrides)})
        return Composed(config, own)

    def _keep_own_keys(
        self, config: dict[str, Any], choices: Mapping[str, str], overridden: set[str]
    ) -> None:
        """Take away what a primary config sets for another option than the one chosen.

        ``model: {hidden_units: [64]}`` in a sweep is meant for the mlp; with ``model=cnn`` it would
        be an argument that the cnn does not take. Keys that no option knows stay. An option's own
        search space is no argument of its target either.
        """
        for group, chosen in choices.items():
            path = group.replace("/", ".")
            if chosen not in self.groups.get(group, {}) or not has_path(config, path):
                continue
            node = value_at(config, path)
            if not isinstance(node, dict):
                continue
            if group in schema.TRAIN_GROUPS:
                node.pop(OWN_SPACE, None)
            own = self._option(group, chosen)
            foreign = {key for name in self.groups[group] for key in self._option(group, name)}
            for key in foreign - set(own):
                if key in node and f"{path}.{key}" not in overridden:
                    del node[key]

    def _store_exported(self, exported: Mapping[str, Any]) -> tuple[str, list[str]]:
        """Put a complete config's groups beside the options, so that overrides choose over them."""
        store = ConfigStore.instance()
        chosen = []
        for group in schema.TRAIN_GROUPS:
            if group in exported:
                store.store(group=group, name=_EXPORTED, node=OmegaConf.create(exported[group]))
                chosen.append(f"{group}={_EXPORTED}")
        return "train", chosen

    def _is_group(self, override: Override) -> bool:
        return override.key_or_group in self.groups

    def _check_option(self, override: Override) -> None:
        group, value = override.key_or_group, override.value()
        options = self.groups[group]
        if not isinstance(value, str):
            raise ConfigError(
                f"{override.input_line}: {group} takes the name of one option: "
                f"{', '.join(sorted(options))}."
            )
        if value not in options:
            raise ConfigError(
                f"{group}={value}: there is no option {value!r} in the group {group!r}."
                + did_you_mean(value, options)
            )

    def _check_key(self, override: Override, base: Mapping[str, Any]) -> None:
        key = override.key_or_group
        if override.is_add() and not override.is_force_add():
            typed = key.startswith("sweep.") and key.count(".") == 1
            if "." not in key or (has_path(base, key.partition(".")[0]) and not typed):
                return
        elif override.is_force_add() or has_path(base, key):
            return
        parent, _, leaf = key.rpartition(".")
        if parent and has_path(base, parent) and isinstance(value_at(base, parent), Mapping):
            siblings = [name for name in value_at(base, parent) if name != TARGET]
            raise ConfigError(
                f"{override.input_line}: {parent} has no {leaf!r}.{did_you_mean(leaf, siblings)} "
                f"A key that the option takes but does not list is added with '+{key}=...'."
            )
        known = {*self.groups, *(p for p in dotted_paths(base) if not p.endswith(TARGET))}
        hint = did_you_mean(key, known)
        if hint.startswith(" Known"):
            hint = did_you_mean(key, base)
        raise ConfigError(f"{override.input_line}: the config has no {key!r}.{hint}")

    def _check_types(self, composed: Composed) -> None:
        for group in self.groups:
            path = group.replace("/", ".")
            if not has_path(composed.config, path):
                continue
            node = value_at(composed.config, path)
            reference = self.reference(group, node)
            if reference is not None:
                check_group(path, node, reference)

    def option_of(self, group: str, node: Any) -> str | None:
        """The name of the option of ``group`` that builds the same thing as ``node``."""
        if group not in self.groups or not isinstance(node, Mapping):
            return None
        for name in self.groups[group]:
            if self._option(group, name).get(TARGET) == node.get(TARGET):
                return name
        return None

    def reference(self, group: str, node: Any) -> dict[str, Any] | None:
        """The option of ``group`` that builds the same thing as ``node``, as plain YAML."""
        name = self.option_of(group, node)
        return None if name is None else self._option(group, name)

    def _option(self, group: str, name: str) -> dict[str, Any]:
        if (group, name) not in self._read:
            self._read[group, name] = read_yaml(self.groups[group][name])
        return self._read[group, name]


def refuse_options(words: Sequence[str]) -> None:
    """Refuse what stands where overrides stand but is an option, or belongs to Hydra's multirun.

    Raises:
        ConfigError: says what replaces it.
    """
    for text in words:
        bare = text.lstrip("+~")
        if text in ("-m", "--multirun") or bare.startswith(_MULTIRUN):
            raise ConfigError(f"{text}: {MULTIRUN_HELP}")
        if text.startswith("-"):
            raise ConfigError(f"There is no option {text!r}. `besom COMMAND --help` lists them.")


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse Hydra overrides.

    Raises:
        ConfigError: a syntax error (quoted), a sweep where one value is meant, or multirun's words.
    """
    parser = OverridesParser.create()
    parsed = []
    refuse_options(overrides)
    for text in overrides:
        try:
            override = parser.parse_override(text)
        except HydraException as error:
            raise ConfigError(
                f"{text!r} is not an override: expected KEY=VALUE in Hydra's grammar, such as "
                f"optimizer.learning_rate=0.01 ({' '.join(str(error).split())})."
            ) from error
        if override.is_sweep_override():
            raise ConfigError(
                f"{text} names several values, but one run takes one. "
                "`besom sweep NAME` takes it into the search space."
            )
        parsed.append(override)
    return parsed


def _text(override: Override) -> str:
    assert override.input_line is not None
    return override.input_line


def _restore_scalars(
    node: DictConfig, exported: Mapping[str, Any], overrides: Sequence[str]
) -> None:
    """Take the exported values outside the groups, unless an override set them."""
    overridden = {override.key_or_group for override in parse_overrides(overrides)}
    for key, value in exported.items():
        if key in schema.TRAIN_GROUPS or key in overridden:
            continue
        if key not in node:
            raise ConfigError(
                f"The config has an unknown key {key!r}."
                + did_you_mean(key, [str(k) for k in node])
            )
        OmegaConf.update(node, key, value)


def _explain(error: BaseException) -> str:
    """One line out of Hydra's and OmegaConf's nested, multi-line messages."""
    innermost = error
    while innermost.__cause__ is not None:
        innermost = innermost.__cause__
    lines = [line.strip() for line in str(innermost).splitlines() if line.strip()]
    first = lines[0] if lines else type(innermost).__name__
    key = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("full_key")), "")
    if isinstance(innermost, MissingMandatoryValue):
        return f"{key} has no value, and no default. Set it with {key}=VALUE."
    return f"The config cannot be composed: {first}" + (f" (at {key})" if key else "")
