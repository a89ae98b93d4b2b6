"""Composes primary configs with Hydra, and turns Hydra's errors into ours.

What an override may say is ``besom.config.overrides``'s affair; here it is applied. Hydra's compose
uses global state, so it happens here only, in one process, under one lock.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from hydra import compose, initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from besom.config import schema, sweep_node
from besom.config.overrides import check_key, check_option, parse_overrides
from besom.config.search_path import SearchPath, read_yaml
from besom.config.types import check_group, has_path, leaves, value_at
from besom.errors import ConfigError, did_you_mean
from besom.targets import TARGET

_LOCK = threading.Lock()
_EXPORTED = "_exported_"

#: The key of a group's option that holds search space entries of its own.
OWN_SPACE = "space"


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
            check_option(override, self.groups[override.key_or_group])
        if len(choosing) < len(parsed):  # composing is slow: what the keys are set in, if any are
            base = self._compose(choosing, complete=False)
            for override in parsed:
                if not self._is_group(override):
                    check_key(override, base.config, self.groups)
        composed = self._compose(parsed)
        self._check_types(composed)
        return composed

    def _compose(self, overrides: Sequence[Override], complete: bool = True) -> Composed:
        """Compose; ``complete`` refuses values that are mandatory and missing."""
        if (path := self.search.find(self.primary)) is not None:
            sweep_node.refuse_multirun(path)
        given = [_text(o) for o in overrides if not sweep_node.empties(o)]
        with _LOCK:
            schema.register()
            primary, defaults = self.primary, list[str]()
            if self.exported is not None:
                primary, defaults = self._store_exported(self.exported)
            first, *_OtherDirectories.directories = self.search.directories
            Plugins.instance().register(_OtherDirectories)
            try:
                with initialize_config_dir(str(first), job_name="besom", version_base="1.3"):
                    node = compose(primary, [*defaults, *given], return_hydra_config=True)
                    choices = dict(node.hydra.runtime.choices)
                    pasted = sweep_node.pasted_params(node)
                    with open_dict(node):
                        del node["hydra"]
                    if self.exported is not None:
                        _restore_scalars(node, self.exported, overrides)
                    sweep_node.empty(node, overrides)
                    plain = OmegaConf.to_container(node, resolve=True, throw_on_missing=complete)
            except (HydraException, OmegaConfBaseException, ValueError) as error:
                raise ConfigError(_explain(error)) from error
        assert isinstance(plain, dict)
        own = {k: v for k, v in choices.items() if not k.startswith("hydra") and v is not None}
        config = {str(k): v for k, v in plain.items()}
        self._keep_own_keys(config, own, {o.key_or_group for o in overrides})
        if isinstance(sweep := config.get("sweep"), dict):
            sweep["space"] = {**pasted, **sweep["space"]}
            sweep_node.settle_directions(sweep, overrides)
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

    def _check_types(self, composed: Composed) -> None:
        for group in self.groups:
            path = group.replace("/", ".")
            if not has_path(composed.config, path):
                continue
            node = value_at(composed.config, path)
            reference = self._reference(group, node, composed.choices.get(group))
            if reference is not None:
                check_group(path, node, reference)

    def _reference(self, group: str, node: Any, chosen: str | None) -> dict[str, Any] | None:
        """The chosen option, unless ``node`` builds something else than that does."""
        if chosen in self.groups[group] and isinstance(node, Mapping):
            option = self._option(group, chosen)
            if option.get(TARGET) == node.get(TARGET):
                return option
        return self.reference(group, node)

    def options_of(self, group: str, node: Any) -> list[str]:
        """The options of ``group`` that build the same thing as ``node``, the likeliest first.

        Several options may have one ``_target_``; in the first one the fewest values differ.
        """
        if group not in self.groups or not isinstance(node, Mapping):
            return []
        options = {name: self._option(group, name) for name in self.groups[group]}
        builds = [name for name, o in options.items() if o.get(TARGET) == node.get(TARGET)]
        return sorted(builds, key=lambda name: _distance(node, options[name]))

    def option_of(self, group: str, node: Any) -> str | None:
        """The first of ``options_of``, for configs whose choices are not known; or None.

        A guess, where one option of a ``_target_`` was made from another by overrides.
        """
        return next(iter(self.options_of(group, node)), None)

    def reference(self, group: str, node: Any) -> dict[str, Any] | None:
        """The option of ``group`` that builds the same thing as ``node``, as plain YAML."""
        name = self.option_of(group, node)
        return None if name is None else self._option(group, name)

    def _option(self, group: str, name: str) -> dict[str, Any]:
        if (group, name) not in self._read:
            self._read[group, name] = read_yaml(self.groups[group][name])
        return self._read[group, name]


def _text(override: Override) -> str:
    assert override.input_line is not None
    return override.input_line


def _distance(node: Mapping[str, Any], option: Mapping[str, Any]) -> int:
    """In how many values two nodes differ; an option's own search space is none."""
    mine = dict(leaves(node))
    theirs = dict(leaves({key: value for key, value in option.items() if key != OWN_SPACE}))
    missing = object()
    return sum(mine.get(p, missing) != theirs.get(p, missing) for p in mine.keys() | theirs.keys())


def _restore_scalars(
    node: DictConfig, exported: Mapping[str, Any], overrides: Sequence[Override]
) -> None:
    """Take the exported values outside the groups, unless an override set them."""
    overridden = {override.key_or_group for override in overrides}
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
    while inner := innermost.__cause__ or _during(innermost):
        innermost = inner
    lines = [line.strip() for line in str(innermost).splitlines() if line.strip()]
    first = lines[0] if lines else type(innermost).__name__
    key = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("full_key")), "")
    if isinstance(innermost, MissingMandatoryValue):
        return f"{key} has no value, and no default. Set it with {key}=VALUE."
    if isinstance(innermost, ConfigKeyError) and is_dataclass(innermost.object_type):
        known = [f.name for f in fields(innermost.object_type)]
        where = schema.NAMES.get(innermost.object_type, innermost.object_type.__name__)
        return f"{where} has no {innermost.key!r}.{did_you_mean(str(innermost.key), known)}"
    return f"The config cannot be composed: {first}" + (f" (at {key})" if key else "")


def _during(error: BaseException) -> BaseException | None:
    """What OmegaConf said before Hydra put an error of its own in its place."""
    before = error.__context__ if isinstance(error, HydraException) else None
    return before if isinstance(before, OmegaConfBaseException) else None
