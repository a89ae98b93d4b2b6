"""What an imported trial's parameters are called here: dotted paths, some of which make lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution

from besom.errors import ConfigError, did_you_mean

#: Stands for a number, in a name and in its path.
_NUMBER = "{i}"


class ImportedParams:
    """The paths of some parameters.

    Example:
        >>> given = {"n_layers": "model.hidden_units.length", "units_{i}": "model.hidden_units.{i}"}
        >>> named = ImportedParams(["n_layers", "units_0", "units_1"], given)
        >>> named.values({"n_layers": 2, "units_0": 64, "units_1": 32}, {})
        {'model.hidden_units': [64, 32]}

    Attributes:
        paths: of each parameter its own path: in a list, that of the element.

    Raises:
        ConfigError: a name or pattern that no parameter has, or one path for two of them.
    """

    def __init__(self, names: Iterable[str], given: Mapping[str, str]) -> None:
        self.paths = {name: name for name in names}
        for pattern, path in given.items():
            if (_NUMBER in pattern) != (_NUMBER in path):
                raise ConfigError(
                    f"--param {pattern}={path}: {_NUMBER} stands for a number in both. Write for "
                    "example --param 'units_{i}=model.hidden_units.{i}'."
                )
            parts = re.escape(pattern).replace(re.escape(_NUMBER), r"(\d+)", 1)
            meant = {name: found for name in self.paths if (found := re.fullmatch(parts, name))}
            if not meant:
                hint = did_you_mean(pattern, self.paths)
                raise ConfigError(f"--param {pattern}={path}: no trial has {pattern!r}.{hint}")
            firsts = [int(found[1]) for found in meant.values() if found.groups()]
            for name, found in meant.items():
                # A list begins at 0, whatever the names begin at.
                at = str(int(found[1]) - min(firsts)) if firsts else ""
                self.paths[name] = path.replace(_NUMBER, at)
        if len(set(self.paths.values())) < len(self.paths):
            raise ConfigError("--param gives two parameters one path.")

    def values(
        self, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The params of a trial by dotted path; elements of a list are one.

        Args:
            params: by their names.
            distributions: of these.
        """
        read = {
            self.paths[name]: _read(value, distributions.get(name))
            for name, value in params.items()
        }
        return _with_lists(read)


def _with_lists(params: Mapping[str, Any]) -> dict[str, Any]:
    """Params of which those of elements are one list, as long as its length says.

    Those of a list that lacks an element stay as they are.
    """
    lists: dict[str, dict[int, dict[str, Any]]] = {}
    belongs: dict[str, str] = {}
    for path, value in params.items():
        if element := re.fullmatch(r"(.+?)\.(\d+)(?:\.(.+))?", path):
            outer, at, inner = element.groups(default="")
            belongs[path] = outer
            lists.setdefault(outer, {}).setdefault(int(at), {})[inner] = value
        elif path.endswith(".length"):
            outer = belongs[path] = path.removesuffix(".length")
            lists.setdefault(outer, {})
    read = {}
    for outer, elements in lists.items():
        n = params.get(f"{outer}.length", len(elements))
        if isinstance(n, int) and all(i in elements for i in range(n)):
            read[outer] = [
                element[""] if "" in element else _with_lists(element)
                for element in (elements[i] for i in range(n))
            ]
    found: dict[str, Any] = {}
    for path, value in params.items():
        outer = belongs.get(path, "")
        found |= {outer: read[outer]} if outer in read else {path: value}
    return found


def _read(value: Any, distribution: BaseDistribution | None) -> Any:
    """A value; one of some lists or mappings that were stored as text is such again."""
    if isinstance(distribution, CategoricalDistribution) and isinstance(value, str):
        read = [_nested(choice) for choice in distribution.choices]
        if all(isinstance(choice, list | dict) for choice in read):
            return _nested(value)
    return value


def _nested(text: Any) -> Any:
    """What a text holds that looks like a list or a mapping."""
    if not isinstance(text, str) or text[:1] not in ("[", "{"):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
