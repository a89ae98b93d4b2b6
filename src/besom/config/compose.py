"""Composes primary configs, and checks every override, every key and every type.

``besom.config.overrides`` reads overrides, ``besom.config.backend`` wraps Hydra.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from hydra import compose
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from besom.config import schema
from besom.config.backend import check_growth, explain, hydra_on, inherited, reads
from besom.config.overrides import check_key, check_option, parse_overrides
from besom.config.search_path import SearchPath, read_yaml
from besom.config.tree import MISSING, has_path, leaves, lookup
from besom.config.types import check_group, check_keys, numbers_as_text
from besom.equality import same
from besom.errors import ConfigError, did_you_mean
from besom.regular import special_kind
from besom.targets import TARGET

_EXPORTED = "_exported_"
_HIDDEN = "_hidden_"

#: The key of a group's option that holds search space entries of its own.
OWN_SPACE = "space"


@dataclass(frozen=True)
class Composed:
    """One composed config.

    Attributes:
        config: plain data, every interpolation resolved.
        choices: config group to the option chosen; groups under ``sweep`` by ``sweep/sampler``.
        reads: the paths whose values are interpolations, and the paths that these read.
    """

    config: dict[str, Any]
    choices: dict[str, str]
    reads: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Composer:
    """Composes one primary config, again and again, with different overrides.

    Attributes:
        search: where configs are looked for.
        primary: the name of the primary config on that path.
        exported: a complete config (as ``besom export`` writes) that replaces the groups'
            options; None where the primary has a defaults list of its own.
        file: where the primary is, if another of its name comes first on the path; or None.
    """

    search: SearchPath
    primary: str
    exported: Mapping[str, Any] | None = None
    file: Path | None = None
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
        choosing = [o for o in parsed if o.key_or_group in self.groups]
        setting = [o for o in parsed if o.key_or_group not in self.groups]
        for override in choosing:
            check_option(override, self.groups[override.key_or_group])
        try:
            composed = self._compose(parsed)
        except ConfigError:
            self._check_keys(choosing, setting)
            raise
        if not all(_is_set(override, composed.config) for override in setting):
            self._check_keys(choosing, setting)
        check_keys(composed.config)
        self._check_types(composed)
        return composed

    def _check_keys(self, choosing: Sequence[Override], setting: Sequence[Override]) -> None:
        """Check the keys that overrides set in the config which the chosen options give without.

        Hydra's own messages cannot say which option has a key, or suggest a near one. To compose
        once more is slow, so this is for where Hydra refuses something, or would take any key.
        """
        base = self._compose(choosing, complete=False)
        for override in setting:
            elsewhere = self._belongs(override.key_or_group, base.choices)
            check_key(override, base.config, self.groups, elsewhere)

    def compose_for(self, chosen: Mapping[str, str], overrides: Sequence[str]) -> Composed:
        """Compose with options of some groups that replace those chosen by ``overrides``.

        If such an option lacks a key that another option of its group has, an override of that key
        is meant for the other option and left out.
        """
        kept = []
        for override in parse_overrides(overrides):
            key = override.key_or_group
            owners = {group: self._owners(group, key) for group in chosen}
            if key not in chosen and all(not o or chosen[g] in o for g, o in owners.items()):
                kept.append(str(override.input_line))
        return self.compose([*kept, *(f"{group}={name}" for group, name in chosen.items())])

    def _owners(self, group: str, key: str) -> list[str]:
        """The options of a group that have ``key``, a dotted path from the root; or none."""
        node = f"{group.replace('/', '.')}."
        inside = key.removeprefix(node)
        options = self.groups.get(group, {}) if key.startswith(node) else {}
        return [name for name in options if has_path(self._neighbour(group, name), inside)]

    def _belongs(self, key: str, choices: Mapping[str, str]) -> str:
        """Which other options have a missing key, as a sentence; or empty."""
        for group, chosen in choices.items():
            if owners := [f"{group}={name}" for name in self._owners(group, key)]:
                # How examples are held out, and their task, may be said of any data.
                too = f", or write +{key}=... if {group}={chosen} takes it too"
                return (
                    f" It is a key of {' or '.join(owners)}, but {group}={chosen} is chosen here: "
                    f"add {owners[0]} to set it{too if group == 'data' else ''}."
                )
        return ""

    def _compose(self, overrides: Sequence[Override], complete: bool = True) -> Composed:
        """Compose; ``complete`` refuses values that are mandatory and missing."""
        path = self.file or self.search.find(self.primary)
        given = [str(o.input_line) for o in overrides if not schema.empties(o)]
        try:
            if path is not None:
                schema.refuse_foreign(path)
            with hydra_on(self.search):
                primary, defaults = self.primary, list[str]()
                if self.exported is not None:
                    primary, defaults = self._store_exported(self.exported)
                elif self.file is not None:
                    primary = _HIDDEN
                    node = OmegaConf.create(read_yaml(self.file))
                    ConfigStore.instance().store(name=primary, node=node)
                node = compose(primary, [*defaults, *given], return_hydra_config=True)
                check_growth(cast(dict[str, Any], OmegaConf.to_container(node)))
                choices = dict(node.hydra.runtime.choices)
                pasted = schema.pasted_params(node, overrides)
                with open_dict(node):
                    del node["hydra"]
                if self.exported is not None:
                    _restore_scalars(node, self.exported, overrides)
                schema.empty(node, overrides)
                read = reads(cast(dict[str, Any], OmegaConf.to_container(node)))
                plain = OmegaConf.to_container(node, resolve=True, throw_on_missing=complete)
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            self._refuse_odd(error)
            raise ConfigError(explain(error)) from error
        except RecursionError as error:
            raise ConfigError(
                "The config cannot be composed: its defaults list names itself, or its values or "
                "interpolations are nested too deeply."
            ) from error
        assert isinstance(plain, dict)
        own = {k: v for k, v in choices.items() if not k.startswith("hydra") and v is not None}
        config: dict[str, Any] = numbers_as_text({str(k): v for k, v in plain.items()})
        self._keep_own_keys(config, own, {o.key_or_group for o in overrides})
        if isinstance(sweep := config.get("sweep"), dict):
            schema.settle(sweep, self.groups, overrides)
            sweep["space"] = {**pasted, **sweep["space"]}
        read = {path: others for path, others in read.items() if has_path(config, path)}
        return Composed(config, own, read)

    def _refuse_odd(self, error: BaseException) -> None:
        """Where Hydra finds no file, say if something else has its name, such as a folder."""
        if isinstance(error, MissingConfigException) and error.missing_cfg_file:
            name = str(error.missing_cfg_file).removesuffix(".yaml")
            for path in (folder / f"{name}.yaml" for folder in self.search.directories):
                if special_kind(path):
                    read_yaml(path)

    def _keep_own_keys(
        self, config: dict[str, Any], choices: Mapping[str, str], overridden: set[str]
    ) -> None:
        """Remove what a primary config sets for options other than the chosen one.

        ``model: {hidden_units: [64]}`` in a sweep is meant for the mlp; with ``model=cnn`` it would
        be an argument that the cnn does not take. Keys that no option has stay. An option's own
        search space is removed too: it is not an argument of its target.
        """
        for group, chosen in choices.items():
            path = group.replace("/", ".")
            node = lookup(config, path)
            if chosen not in self.groups.get(group, {}) or not isinstance(node, dict):
                continue
            if group in schema.TRAIN_GROUPS:
                node.pop(OWN_SPACE, None)
            own = self.option(group, chosen)
            # A key that no option has was added by the user, for the target itself: it stays.
            foreign = {key for name in self.groups[group] for key in self._neighbour(group, name)}
            for key in foreign - {*own, TARGET}:
                if key in node and f"{path}.{key}" not in overridden:
                    del node[key]

    def _store_exported(self, exported: Mapping[str, Any]) -> tuple[str, list[str]]:
        """Store a complete config's groups as options, so that overrides can choose others."""
        store = ConfigStore.instance()
        chosen = []
        for group in schema.TRAIN_GROUPS:
            if group in exported:
                store.store(group=group, name=_EXPORTED, node=OmegaConf.create(exported[group]))
                chosen.append(f"{group}={_EXPORTED}")
        return "train", chosen

    def _check_types(self, composed: Composed) -> None:
        for group in self.groups:
            path = group.replace("/", ".")
            node = lookup(composed.config, path)
            reference = self.reference(group, node, composed.choices.get(group))
            if reference is not None:
                check_group(path, node, reference)

    def options_of(self, group: str, node: Any) -> list[str]:
        """The options of ``group`` that build the same thing as ``node``, the most likely first.

        Several options may have the same ``_target_``; the first one differs in the fewest values.
        """
        if group not in self.groups or not isinstance(node, Mapping):
            return []
        options = {name: self._neighbour(group, name) for name in self.groups[group]}
        builds = [name for name, o in options.items() if o.get(TARGET) == node.get(TARGET)]
        return sorted(builds, key=lambda name: _distance(node, options[name]))

    def option_of(self, group: str, node: Any) -> str | None:
        """The first of ``options_of``, for configs whose choices are not known; or None.

        This is a guess where several options have the same ``_target_``.
        """
        return next(iter(self.options_of(group, node)), None)

    def reference(self, group: str, node: Any, chosen: str | None = None) -> dict[str, Any] | None:
        """The option of ``group`` that builds the same thing as ``node``, as plain YAML.

        Args:
            chosen: the option that was chosen, which counts if it builds the same thing.
        """
        names = self.options_of(group, node)
        name = chosen if chosen in names else next(iter(names), None)
        return None if name is None else self.option(group, name)

    def _neighbour(self, group: str, name: str) -> dict[str, Any]:
        """Any option of a group; one whose file cannot be read counts as empty."""
        try:
            return self.option(group, name)
        except ConfigError:
            return {}

    def option(self, group: str, name: str) -> dict[str, Any]:
        """An option of a group as plain YAML, with what its defaults list brings in.

        Raises:
            ConfigError: its file cannot be read.
        """
        if (group, name) not in self._read:
            content = read_yaml(self.groups[group][name])
            if "defaults" in content:
                content = numbers_as_text(inherited(self.search, group, name) or content)
            self._read[group, name] = content
        return self._read[group, name]


def _is_set(override: Override, config: Mapping[str, Any]) -> bool:
    """Whether an override has set a key that was there: what Hydra checks itself."""
    adds = override.is_add() or override.is_force_add() or override.is_delete()
    return not adds and has_path(config, override.key_or_group)


def _distance(node: Mapping[str, Any], option: Mapping[str, Any]) -> int:
    """In how many values two nodes differ, apart from the option's own search space."""
    mine = leaves(node)
    theirs = leaves({key: value for key, value in option.items() if key != OWN_SPACE})
    paths = mine.keys() | theirs.keys()
    return sum(not same(mine.get(p, MISSING), theirs.get(p, MISSING)) for p in paths)


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
