"""Where configs are looked for: the user's folders first, then the packaged ones."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from besom.errors import ConfigError, did_you_mean
from besom.layout import packaged_config_dirs

#: Primary configs that are not sweeps.
RESERVED = {"train", "sweep"}


@dataclass(frozen=True)
class SearchPath:
    """An ordered list of existing folders; the first that holds a name wins.

    Attributes:
        directories: absolute folders, never empty: the packaged ones are always among them.
    """

    directories: tuple[Path, ...]

    @classmethod
    def of(cls, config_dir: str | Path | None = None, first: Path | None = None) -> SearchPath:
        """The folders to look in.

        Args:
            config_dir: the user's folder; None takes ``./conf`` and ``./sweeps``, where they exist.
            first: a folder to put before all others (that of a YAML given by path).

        Raises:
            ConfigError: ``config_dir`` is not a folder.
        """
        if config_dir is None:
            own = [Path("conf"), Path("sweeps")]
        else:
            root = Path(config_dir).expanduser()
            if not root.is_dir():
                raise ConfigError(
                    f"--config-dir is {str(config_dir)!r}, which is not a folder. "
                    "Give the folder that holds your conf groups or sweeps."
                )
            own = [root, root / "conf", root / "sweeps"]
        wanted = ([first] if first else []) + own + list(packaged_config_dirs())
        found = dict.fromkeys(path.resolve() for path in wanted if path.is_dir())
        return cls(tuple(found))

    def find(self, name: str) -> Path | None:
        """The file of the primary config ``name``, or None."""
        for directory in self.directories:
            path = directory / f"{name}.yaml"
            if path.is_file():
                return path
        return None

    def sweeps(self) -> dict[str, Path]:
        """Every sweep on the path, by name."""
        found: dict[str, Path] = {}
        for directory in self.directories:
            for path in sorted(directory.glob("*.yaml")):
                if path.stem not in RESERVED and is_sweep(path):
                    found.setdefault(path.stem, path)
        return found

    def options(self, group: str) -> dict[str, Path]:
        """The options of a config group, by name."""
        found: dict[str, Path] = {}
        for directory in self.directories:
            for path in sorted((directory / group).glob("*.yaml")):
                found.setdefault(path.stem, path)
        return found

    def groups(self) -> list[str]:
        """Every config group on the path, such as ``model`` and ``sweep/sampler``."""
        found = {
            str(path.parent.relative_to(directory))
            for directory in self.directories
            for path in (*directory.glob("*/*.yaml"), *directory.glob("*/*/*.yaml"))
        }
        return sorted(found)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping as plain data, interpolations unresolved.

    Raises:
        ConfigError: not readable, not YAML, or not a mapping.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    return copy.deepcopy(_parsed(path, status.st_mtime_ns, status.st_size, status.st_ino))


@functools.lru_cache(maxsize=512)
def _parsed(path: Path, *_version: int) -> dict[str, Any]:
    """What is in this version of a file: one command reads every option of every group, often."""
    try:
        loaded = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        detail = " ".join(str(error).split())
        raise ConfigError(f"{path} is not valid YAML: {detail}.") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} holds a {type(loaded).__name__}, expected a mapping.")
    return {str(key): value for key, value in loaded.items()}


def is_sweep(path: Path) -> bool:
    """Whether a YAML is a sweep: its defaults list begins with ``sweep``, or with another sweep."""
    seen: set[Path] = set()
    while path not in seen:
        seen.add(path)
        try:
            defaults = read_yaml(path).get("defaults")
        except ConfigError:
            return False
        if not isinstance(defaults, list) or not defaults or not isinstance(defaults[0], str):
            return False
        first = defaults[0].removeprefix("/")
        if first == "sweep":
            return True
        folders = (path.parent, *SearchPath.of().directories)
        found = (folder / f"{first}.yaml" for folder in folders)
        path = next((candidate for candidate in found if candidate.is_file()), path)
    return False


def find_sweep(name: str, config_dir: str | Path | None) -> tuple[SearchPath, str]:
    """Find a sweep by name on the search path, or by the path of its YAML.

    Returns:
        The search path to compose on, and the sweep's config name.

    Raises:
        ConfigError: no such sweep (near names are listed), or the YAML is not a sweep.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name).expanduser()
        if not path.is_file():
            raise ConfigError(
                f"There is no sweep file {name!r}. Give the path of an existing YAML."
            )
        search, found = SearchPath.of(config_dir, first=path.resolve().parent), path.resolve()
        if path.suffix != ".yaml":
            raise ConfigError(f"{name!r}: Hydra reads '.yaml' files only; rename it.")
    else:
        search = SearchPath.of(config_dir)
        known = search.sweeps()
        found_by_name = search.find(name)
        if found_by_name is None or name in RESERVED:
            raise ConfigError(f"There is no sweep {name!r}." + did_you_mean(name, known))
        found = found_by_name
    read_yaml(found)
    if not is_sweep(found):
        raise ConfigError(
            f"{found} is not a sweep: its defaults list must begin with 'sweep', as in "
            "'defaults: [sweep, override data: mnist, _self_]'."
        )
    return search, found.stem
