"""Hydra itself: its compose and its global state behind one lock, and its errors in one line."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
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
from besom.config.search_path import SearchPath
from besom.config.tree import lookup
from besom.config.yaml_files import read_file
from besom.errors import did_you_mean

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
    return f"The config cannot be composed: {first}" + (f" (at {key})" if key else "")


def _during(error: BaseException) -> BaseException | None:
    """The error of OmegaConf's that Hydra replaced by its own."""
    before = error.__context__ if isinstance(error, HydraException) else None
    return before if isinstance(before, OmegaConfBaseException) else None
