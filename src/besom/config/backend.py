"""Hydra itself: its compose and its global state behind one lock, and its errors in one line.

Here too: which values of a config are interpolations, as in ``patience: ${trainer.epochs}``. They
are resolved when a config is composed, and whoever changes a value later has to know which others
were computed from it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from besom.config import schema
from besom.config.search_path import SearchPath, read_file
from besom.config.tree import MISSING, lookup, overlap
from besom.errors import ConfigError, did_you_mean

_LOCK = threading.Lock()
_ALONE = "_alone_"


class _Folder(FileConfigSource):
    """A folder of configs that Hydra reads through besom's own reader."""

    @staticmethod
    def scheme() -> str:
        """How Hydra finds this class: ``besom:///a/folder``."""
        return "besom"

    def load_config(self, config_path: str) -> ConfigResult:
        """Called by Hydra for each config that it composes."""
        file = read_file(Path(self.path, self._normalize_file_name(config_path)))
        return ConfigResult(
            config=OmegaConf.create(file.content),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=self._get_header_dict(file.head),
        )


class _Directories(SearchPathPlugin):
    """Replaces the folder that Hydra was started with by the folders of the search path.

    The override ``hydra.searchpath`` would not do: Hydra does not look there for primary configs.
    """

    directories: ClassVar[Sequence[Path]] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra when it starts."""
        path = search_path.get_path()
        path[:] = [element for element in path if element.provider != "main"]
        for i, directory in enumerate(self.directories):
            search_path.append("besom" if i else "main", f"{_Folder.scheme()}://{directory}")


@contextmanager
def hydra_on(search: SearchPath) -> Iterator[None]:
    """Hydra, ready to compose on this search path; for one caller at a time."""
    with _LOCK:
        schema.register()
        _Directories.directories = search.directories
        Plugins.instance().register(_Directories)
        Plugins.instance().register(_Folder)
        with initialize_config_dir(
            str(search.directories[0]), job_name="besom", version_base="1.3"
        ):
            yield


def inherited(search: SearchPath, group: str, option: str) -> dict[str, Any] | None:
    """An option with what its defaults list brings in, plain, interpolations unresolved.

    Returns:
        None where Hydra cannot compose the option without a primary config around it.
    """
    try:
        with hydra_on(search):
            # Inside a primary config: Hydra reads an option differently where it is the primary.
            alone = OmegaConf.create({"defaults": [{group: option}]})
            ConfigStore.instance().store(name=_ALONE, node=alone)
            composed = compose(_ALONE)
        plain = cast(dict[str, Any], OmegaConf.to_container(composed, resolve=False))
    except (HydraException, OmegaConfBaseException, ValueError):
        return None
    node = lookup(plain, group.replace("/", "."))
    return {str(key): value for key, value in node.items()} if isinstance(node, dict) else None


def explain(error: BaseException) -> str:
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
    if key and "is not a ListConfig" in first:
        return f"{key} takes a list: write [a] for one value, [a, b] for two."
    return f"The config cannot be composed: {first}" + (f" (at {key})" if key else "")


def _during(error: BaseException) -> BaseException | None:
    """The error of OmegaConf's that Hydra replaced by its own."""
    before = error.__context__ if isinstance(error, HydraException) else None
    return before if isinstance(before, OmegaConfBaseException) else None


#: The most characters that a resolved config may have.
MOST_CHARACTERS = 4_000_000

#: ``${a.b}``, ``${.b}``, ``${a[b]}``, alone or inside a resolver's arguments; ``${oc.select:a.b}``.
_READ = re.compile(r"\$\{\s*(?:oc\.select:\s*)?(\.*[^\s.{}:,$][^{}:,$]*?)\s*[},]")


def reads(config: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The paths of values that are interpolations, and all the paths they depend on."""
    direct = dict(_direct(config))
    found = {path: set(read) for path, read in direct.items()}
    for read in found.values():
        waiting = list(read)
        while waiting:
            path = waiting.pop()
            further = {r for p, inner in direct.items() if overlap(p, path) for r in inner} - read
            read |= further
            waiting += further
    return {path: frozenset(read) for path, read in found.items()}


def check_growth(config: Mapping[str, Any]) -> None:
    """Refuse interpolations whose values would be far larger than the config as written.

    Nine lines of ``b: ${a}${a}${a}...`` are enough to fill the memory when they are resolved.

    Raises:
        ConfigError: names the value that grows.
    """
    sizes: dict[str, int] = {}

    def size_at(path: str) -> int:
        if path not in sizes:
            sizes[path] = 0  # a circle, which OmegaConf refuses itself
            node = lookup(config, path)
            sizes[path] = 1 if node is MISSING else size_of(node, path)
        return sizes[path]

    def size_of(node: Any, path: str) -> int:
        if isinstance(node, Mapping | list):
            pairs = node.items() if isinstance(node, Mapping) else enumerate(node)
            size = sum(size_of(item, f"{path}.{key}" if path else str(key)) for key, item in pairs)
        elif isinstance(node, str):
            size = len(node) + sum(size_at(_absolute(read, path)) for read in _READ.findall(node))
        else:
            size = 1
        if size > MOST_CHARACTERS:
            raise ConfigError(
                f"{path or 'The config'} would grow beyond {MOST_CHARACTERS:,} characters by its "
                "interpolations (${...}). Write the value itself."
            )
        return size

    size_of(config, "")


def _direct(node: Any, path: str = "") -> Iterator[tuple[str, set[str]]]:
    if isinstance(node, str):
        if found := {_absolute(read, path) for read in _READ.findall(node)}:
            yield path, found
        return
    items = node.items() if isinstance(node, Mapping) else ()
    for key, value in enumerate(node) if isinstance(node, list) else items:
        yield from _direct(value, f"{path}.{key}" if path else str(key))


def _absolute(read: str, path: str) -> str:
    """The path from the root; each leading dot of a relative one goes up from where it stands."""
    names = read.lstrip(".")
    up = len(read) - len(names)
    outer = path.split(".")[:-up] if up else []
    return ".".join([*outer, names.replace("[", ".").replace("]", "")])
