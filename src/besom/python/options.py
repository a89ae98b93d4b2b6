"""What a call says beside function, data and space, as the YAML that it stands for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from besom.config.schema import TRAIN_GROUPS, SweepNode
from besom.config.search_path import read_yaml
from besom.errors import ConfigError, did_you_mean
from besom.packaged import packaged_config_dirs
from besom.python.functions import GivenFunction, given_function, is_code, label_of
from besom.python.spaces import base_value, plain
from besom.targets import FUNCTIONS, PARTIAL, TARGET

#: Keys of ``data`` that say how examples are held out and what is learned, whatever the data.
DATA_KEYS = (
    *("validation_split", "split_seed", "stratify", "task", "group", "order", "gap"),
    *("test_split", "test_seed"),
)

#: A key of ``sweep`` and of a table: the column to predict, where there is a table.
_BOTH = "target"

#: The groups of ``sweep`` whose options are chosen by name.
STRATEGIES = ("sampler", "pruner", "executor")

#: Keys that hold the name of a function itself.
_NAMED = {*FUNCTIONS, "sweep.trial_function"}

#: Keys of the config beside its groups and ``sweep``.
_BESIDE = ("seed", "results_dir")


@dataclass
class WrittenConfig:
    """A config as it is written in Python, taken apart for Hydra.

    Attributes:
        chosen: config group to the option chosen.
        options: group to option to its content: options of this call's own.
        content: what the primary config sets itself.
        functions: what is to be pickled, by the place where it stands.
    """

    chosen: dict[str, str] = field(default_factory=dict)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    content: dict[str, Any] = field(default_factory=dict)
    functions: dict[str, GivenFunction] = field(default_factory=dict)

    def named(self, thing: Any, where: str) -> str:
        """Give a function or class a name that configs can hold."""
        function = given_function(thing, f"{where}:")
        self.functions[where] = function
        return function.target

    def plain(self, value: Any, where: str) -> Any:
        """A value as a config holds it; functions and classes are named.

        A class stands for an object that is made anew for each trial, a function for itself.
        """
        if is_code(value):
            dotted = self.named(value, where)
            if where.endswith(TARGET) or where in _NAMED:
                return dotted
            return {TARGET: dotted} if isinstance(value, type) else {TARGET: dotted, PARTIAL: True}
        if isinstance(value, Mapping):
            return {str(k): self.plain(v, f"{where}.{k}") for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(item, f"{where}.{i}") for i, item in enumerate(value)]
        if value is not None and not isinstance(value, str) and hasattr(value, "get_config"):
            kind = type(value).__name__
            raise ConfigError(
                f"{where} is a {kind} that is made already, but each trial needs one of its own. "
                f"Give the function or class that makes it, or {{'_target_': {kind}, ...}}."
            )
        return plain(value, where)

    def take_group(self, group: str, value: Any) -> None:
        """Take what a keyword says of a group: an option's name, keys to set, or what builds it."""
        path = group.replace("/", ".")
        if isinstance(value, str):
            self.chosen[group] = value
        elif is_code(value):
            self.own_option(group, label_of(value), self.node_of(value, path, {}, {}))
        elif isinstance(value, Mapping) and TARGET in value:
            node = self.plain(value, path)
            self.own_option(group, node[TARGET].rpartition(".")[2], node)
        elif isinstance(value, Mapping):
            self.set(path, self.plain(value, path))
        else:
            raise ConfigError(
                f"{path} is a {type(value).__name__}, expected the name of an option, a mapping of "
                "keys to set, or the function or class that makes it."
            )

    def own_option(self, group: str, name: str, content: dict[str, Any]) -> None:
        """Choose an option of this call's own."""
        self.options.setdefault(group, {})[name] = content
        self.chosen[group] = name

    def set(self, path: str, value: Any) -> None:
        """Set a key of the primary config; mappings are merged."""
        node = self.content
        *outer, key = path.split(".")
        for name in outer:
            node = node.setdefault(name, {})
        both = isinstance(value, Mapping) and isinstance(node.get(key), Mapping)
        node[key] = {**node[key], **value} if both else value

    def node_of(
        self,
        function: Any,
        path: str,
        given: Mapping[str, Any],
        space: Mapping[str, Any],
        offered: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """The option of a function: what it is called with where nothing else is said.

        Args:
            function: or a class.
            path: where it stands, such as ``model``.
            given: arguments that the user gives.
            space: the entries of the search space by dotted path; a parameter without a default
                starts in the middle of its range.
            offered: the names of parameters that besom fills in.

        Raises:
            ConfigError: a parameter that nobody gives, or an argument that it does not take.
        """
        label = label_of(function)
        known, takes_any = parameters_of(function)
        node: dict[str, Any] = {TARGET: self.named(function, path)}
        odd = next((k for k in given if k not in known), None)
        if odd is not None and not takes_any:
            raise ConfigError(
                f"{path} gives {odd!r}, but {label} has no such parameter."
                + did_you_mean(odd, known)
            )
        for name, default in {**dict.fromkeys(given), **known}.items():
            here = f"{path}.{name}"
            entry = space.get(here)
            if name in given:
                node[name] = self.plain(given[name], here)
            elif name in offered:
                continue
            elif default is inspect.Parameter.empty:
                if entry is None:
                    raise ConfigError(
                        f"{label} has the parameter {name!r} without a default, and nothing gives "
                        f"it: add {name!r} to the space, give it a default, or set it with "
                        f"{path}={{{name!r}: VALUE}}."
                    )
                node[name] = base_value(entry)
            elif is_plain(default):
                node[name] = _typed(plain(default, here), entry)
            elif entry is not None:
                node[name] = base_value(entry)
        for dotted, entry in space.items() if takes_any else ():
            name = dotted.removeprefix(f"{path}.")
            if dotted != name and "." not in name:
                node.setdefault(name, base_value(entry))
        return node


def _typed(default: Any, entry: Any) -> Any:
    """A default as its entry has it: ``dropout=0`` for a range of floats is 0.0."""
    bounds = [entry.get(k) for k in ("low", "high")] if isinstance(entry, Mapping) else []
    is_float = any(isinstance(bound, float) for bound in bounds)
    return float(default) if is_float and type(default) is int else default


def is_plain(value: Any) -> bool:
    """Whether a default can stand in a config."""
    if isinstance(value, Mapping):
        return all(isinstance(k, str) and is_plain(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def parameters_of(function: Any) -> tuple[dict[str, Any], bool]:
    """The parameters of a function or class, each with its default; whether it takes any other."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some C functions have none
        return {}, True
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    takes_any = any(p.kind is variable[0] for p in parameters)
    return {p.name: p.default for p in parameters if p.kind not in variable}, takes_any


def required_of(function: Any) -> list[str]:
    """The parameters without a default that come by position."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in by_position and p.default is p.empty]


def take_keywords(
    written: WrittenConfig,
    keywords: Mapping[str, Any],
    of_data: Callable[[str], bool],
    call: str,
    parameters: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Take the keywords of a call that stand for nodes and keys of the YAML.

    Args:
        written: what they are added to.
        keywords: as given.
        of_data: whether a name is an option of the data.
        call: ``besom.sweep`` or ``besom.train``, for messages.
        parameters: those of the model function, for messages.

    Returns:
        Those for ``data``.

    Raises:
        ConfigError: a keyword that stands for nothing.
    """
    of_sweep = {f.name for f in fields(SweepNode)} if call == "besom.sweep" else set()
    rest: dict[str, Any] = {}
    for name, value in keywords.items():
        if of_data(name) and (name not in of_sweep or name == _BOTH):
            rest[name] = value
        elif name == "sweep" and of_sweep and isinstance(value, Mapping):
            written.set(name, written.plain(value, name))
        elif name in STRATEGIES and of_sweep:
            written.take_group(f"sweep/{name}", value)
        elif name in TRAIN_GROUPS:
            written.take_group(name, value)
        elif name in ("objective", "objectives") and of_sweep:
            written.set(f"sweep.{name}", _objectives(value, name))
        elif name in of_sweep:
            written.set(f"sweep.{name}", written.plain(value, f"sweep.{name}"))
        elif name in _BESIDE:
            written.set(name, plain(str(value) if name == "results_dir" else value, name))
        else:
            raise _unknown(name, call, of_sweep, parameters)
    return rest


def _objectives(value: Any, name: str) -> Any:
    """A metric's name stands for an objective."""

    def one(said: Any) -> Any:
        return {"metric": said} if isinstance(said, str) else plain(said, f"sweep.{name}")

    if name == "objectives" and isinstance(value, list | tuple):
        return [one(said) for said in value]
    return one(value)


def _unknown(
    name: str, call: str, of_sweep: set[str], parameters: Mapping[str, Any] | None
) -> ConfigError:
    if name in (parameters or ()):
        hint = f" It is a parameter of your function: set it with model={{{name!r}: VALUE}}"
        return ConfigError(f"{call} takes no keyword {name!r}.{hint}, or put it into the space.")
    trainer = read_yaml(packaged_config_dirs()[0] / "trainer" / "default.yaml")
    if name in trainer:
        return ConfigError(
            f"{call} takes no keyword {name!r}. It is a key of trainer: "
            f"trainer={{{name!r}: VALUE}}."
        )
    known = [*TRAIN_GROUPS, *_BESIDE, *DATA_KEYS, *sorted(of_sweep)]
    return ConfigError(f"{call} takes no keyword {name!r}.{did_you_mean(name, known)}")
