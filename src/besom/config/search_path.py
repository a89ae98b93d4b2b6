"""Where configs are looked for (the user's folders first), and how their YAML is read.

Anyone may have written such a file. OmegaConf and Hydra read any path to its end and build whatever
is in it: a named pipe hangs them, nine lines of aliases fill the memory, and deep nesting ends in a
``RecursionError``. So besom looks at a file first, and counts its values with a parser that builds
nothing.
"""

from __future__ import annotations

import copy
import functools
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from besom.config.types import numbers_as_text
from besom.errors import ConfigError, did_you_mean
from besom.packaged import packaged_config_dirs
from besom.regular import special_kind

#: Primary configs that are not sweeps.
RESERVED = {"train", "sweep"}

#: The folders of a project that hold its configs. Sweeps come first: where a sweep and a config of
#: ``besom train`` share a name, a defaults list that names it means the sweep.
_CONFIG_DIRS = ("sweeps", "conf")

#: The limits of a file: bytes, values (counting the copies that aliases make), nesting.
MOST_BYTES = 2**20
MOST_VALUES = 10_000
MOST_DEPTH = 50
_TOO_DEEP = f"is nested more than {MOST_DEPTH} levels deep"

#: PyYAML's own errors, and what its constructors let through (``!!bool maybe`` is a KeyError).
_MALFORMED = (
    *(yaml.YAMLError, OmegaConfBaseException),
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
)


@dataclass(frozen=True)
class SearchPath:
    """An ordered list of existing folders; the first that holds a name wins.

    Attributes:
        directories: absolute folders, never empty: the packaged ones are always among them.
    """

    directories: tuple[Path, ...]

    @classmethod
    def of(cls, config_dir: str | Path | None = None, config: Path | None = None) -> SearchPath:
        """The folders to look in.

        Args:
            config_dir: the user's folder; None takes ``./conf`` and ``./sweeps``, where they exist.
            config: a YAML given by path, whose folder and whose project come before all others.

        Raises:
            ConfigError: ``config_dir`` is not a folder.
        """
        if config_dir is None:
            own = [Path(name) for name in _CONFIG_DIRS]
        else:
            root = Path(config_dir).expanduser()
            if not root.is_dir():
                raise ConfigError(
                    f"--config-dir is {str(config_dir)!r}, which is not a folder. "
                    "Give the folder that holds your conf groups or sweeps."
                )
            own = [root, *_config_dirs(root), *_config_dirs(project_of(root))]
        if config is not None:
            own = [config.resolve().parent, *_config_dirs(project_of(config.parent)), *own]
        wanted = [*own, *reversed(packaged_config_dirs())]
        found = dict.fromkeys(path.resolve() for path in wanted if path.is_dir())
        return cls(tuple(found))

    def find(self, name: str) -> Path | None:
        """The file of the primary config ``name``, or None.

        Something of that name that is not a regular file, such as a folder, is returned only where
        there is no such file: reading it raises an error that says what it is.
        """
        named = [directory / f"{name}.yaml" for directory in self.directories]
        files = (path for path in named if path.is_file())
        return next(files, next((path for path in named if special_kind(path)), None))

    def find_kind(self, name: str, base: str) -> Path | None:
        """The first file of this name whose defaults list leads to ``base``, or None.

        Raises:
            ConfigError: one that comes before it cannot be read.
        """
        named = (directory / f"{name}.yaml" for directory in self.directories)
        return next((p for p in named if p.is_file() and base_of(p, self) == base), None)

    def named(self, base: str) -> tuple[list[str], list[str]]:
        """The names of the configs that lead to ``base``, and why other files cannot be read.

        Args:
            base: ``sweep`` for sweeps, ``train`` for configs of ``besom train``.
        """
        paths = {p for directory in self.directories for p in directory.glob("*.yaml")}
        names, unread = set[str](), list[str]()
        for path in paths:
            try:
                if path.stem not in RESERVED and base_of(path, self) == base:
                    names.add(path.stem)
            except ConfigError as error:
                unread.append(str(error))
        return sorted(names), sorted(unread)

    def options(self, group: str) -> dict[str, Path]:
        """The options of a config group, by name; a regular file wins over anything else."""
        found: dict[str, Path] = {}
        for directory in self.directories:
            for path in sorted((directory / group).glob("*.yaml")):
                if path.stem not in found or (special_kind(found[path.stem]) and path.is_file()):
                    found[path.stem] = path
        return found

    def groups(self) -> list[str]:
        """Every config group on the path, such as ``model`` and ``sweep/sampler``."""
        found = {
            str(path.parent.relative_to(directory))
            for directory in self.directories
            for path in (*directory.glob("*/*.yaml"), *directory.glob("*/*/*.yaml"))
        }
        return sorted(found)


def project_of(folder: Path) -> Path:
    """The folder of the project whose configs lie in ``folder``, where its modules are.

    >>> project_of(Path("/home/me/pets/sweeps")), project_of(Path("/home/me/pets"))
    (PosixPath('/home/me/pets'), PosixPath('/home/me/pets'))
    """
    folder = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100 - links are not followed
    return folder.parent if folder.name in _CONFIG_DIRS else folder


def projects_of(config: str | None, config_dir: str | Path | None) -> list[Path]:
    """The projects of what a command names by path, the most specific first.

    Args:
        config: a config as given to the command, by name or by path; None: there is none.
        config_dir: as given to the command.
    """
    own = [Path(config).parent] if config is not None and is_path(config) else []
    return [project_of(folder) for folder in [*own, *([Path(config_dir)] if config_dir else [])]]


def _config_dirs(project: Path) -> list[Path]:
    return [project / name for name in _CONFIG_DIRS]


def is_path(name: str) -> bool:
    """Whether a config is given by path, not by name."""
    return name.endswith((".yaml", ".yml")) or "/" in name


def base_of(path: Path, search: SearchPath) -> str | None:
    """Which of ``sweep`` and ``train`` a YAML's defaults list leads to, by its first entry.

    Raises:
        ConfigError: it cannot be read, or the config it begins with cannot.
    """
    seen: set[Path] = set()
    while path not in seen:
        seen.add(path)
        defaults = read_yaml(path).get("defaults")
        if not isinstance(defaults, list) or not defaults or not isinstance(defaults[0], str):
            return None
        first = defaults[0].removeprefix("/")
        if first in RESERVED:
            return first
        folders = (path.parent, *search.directories)
        found = (folder / f"{first}.yaml" for folder in folders)
        path = next((candidate for candidate in found if candidate.is_file()), path)
    return None


def find_sweep(name: str, config_dir: str | Path | None) -> tuple[SearchPath, str]:
    """Find a sweep by name on the search path, or by the path of its YAML.

    Returns:
        The search path to compose on, and the sweep's config name.

    Raises:
        ConfigError: no such sweep (near names are listed), or the YAML is not a sweep.
    """
    if is_path(name):
        path = Path(name).expanduser()
        if special_kind(path):
            read_yaml(path)  # which says what it is
        if not path.is_file():
            raise ConfigError(
                f"There is no sweep file {name!r}. Give the path of an existing YAML file."
            )
        search, found = SearchPath.of(config_dir, config=path), path.resolve()
        if path.suffix != ".yaml":
            raise ConfigError(f"{name!r}: Hydra reads '.yaml' files only; rename it.")
    else:
        search = SearchPath.of(config_dir)
        found_by_name = search.find_kind(name, "sweep") or search.find(name)
        if found_by_name is None or name in RESERVED:
            names, unread = search.named("sweep")
            others = "".join(f" (Not listed: {why})" for why in unread[:3])
            more = f" (And {len(unread) - 3} more.)" if len(unread) > 3 else ""
            hint = did_you_mean(name, names)
            raise ConfigError(f"There is no sweep {name!r}.{hint}{others}{more}")
        found = found_by_name
        if found != search.find(name):  # what hides it is no sweep
            search = SearchPath(tuple(dict.fromkeys((found.parent, *search.directories))))
    if base_of(found, search) != "sweep":
        raise ConfigError(
            f"{found} is not a sweep: its defaults list must begin with 'sweep', as in "
            "'defaults: [sweep, override data: mnist, _self_]'."
        )
    return search, found.stem


@dataclass(frozen=True)
class YamlFile:
    """What a file holds.

    Attributes:
        head: the text it begins with, where Hydra's ``# @package`` may stand.
        content: plain data, interpolations unresolved.
    """

    head: str
    content: dict[str, Any]


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping as plain data, interpolations unresolved.

    Raises:
        ConfigError: no regular file, not readable, too large, not YAML, or not a mapping.
    """
    return read_file(path).content


def read_file(path: Path) -> YamlFile:
    """Read a YAML mapping, and what stands before it; see ``read_yaml`` for errors."""
    if kind := special_kind(path):
        raise ConfigError(f"{path} is {kind}, expected a YAML file.")
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path} cannot be read: {reason}.") from error
    read = _read(path, status.st_mtime_ns, status.st_size, status.st_ino)
    if isinstance(read, str):
        raise ConfigError(read)
    return YamlFile(read.head, copy.deepcopy(read.content))


@functools.lru_cache(maxsize=512)
def _read(path: Path, *_version: int) -> YamlFile | str:
    """What is in this version of a file, or why it is refused.

    One command reads every option of every group, often.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            return f"{path} is larger than 1 MiB, the limit for a config file."
        text = data.decode("utf-8")
        _count(text)
        loaded = OmegaConf.to_container(OmegaConf.load(io.StringIO(text)), resolve=False)
    except OSError as error:
        if error.strerror is None:  # what OmegaConf raises for a single number or date
            return f"{path} holds one value, expected a mapping."
        return f"{path} cannot be read: {error.strerror}."
    except RecursionError:
        return f"{path} has an interpolation that is nested too deeply."
    except _Excess as why:
        return f"{path} {why}."
    except _MALFORMED as error:
        if "maximum nesting depth" in str(error):  # libyaml's own limit, far above
            return f"{path} {_TOO_DEEP}."
        detail = re.sub(r'"<[a-z ]+>", ', "", " ".join(str(error).split()))  # it has no name
        return f"{path} is not valid YAML: {detail}."
    if not isinstance(loaded, dict):
        return f"{path} holds a {type(loaded).__name__}, expected a mapping."
    content = {str(key): value for key, value in loaded.items()}
    return YamlFile(text[:512], numbers_as_text(content))


class _Excess(Exception):
    """More than a config can be meant to hold."""


@dataclass
class _Node:
    """A collection that is being read, or a value that has been: how large and deep it is."""

    anchor: str | None = None
    n_values: int = 1
    depth: int = 1

    def add(self, inner: _Node) -> None:
        self.n_values += inner.n_values
        self.depth = max(self.depth, inner.depth + 1)
        if self.n_values > MOST_VALUES:
            raise _Excess(
                f"holds more than {MOST_VALUES:,} values, counting the copies that aliases make"
            )


def _count(text: str) -> None:
    """Raise ``_Excess`` if what a text would build is too much; nothing is built here."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    open_nodes = [_Node()]
    anchored: dict[str | None, _Node] = {}
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append(_Node(event.anchor))
            if len(open_nodes) - 1 > MOST_DEPTH:
                raise _Excess(_TOO_DEEP)
            continue
        if isinstance(event, yaml.ScalarEvent):
            done = _Node(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            done = open_nodes.pop()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in (node.anchor for node in open_nodes):
                raise _Excess(f"has an alias, *{event.anchor}, inside the value it stands for")
            done = anchored.get(event.anchor, _Node())
        else:
            continue
        open_nodes[-1].add(done)
        if len(open_nodes) - 1 + done.depth > MOST_DEPTH:  # as deep as what an alias copies
            raise _Excess(_TOO_DEEP)
        if done.anchor is not None:
            anchored[done.anchor] = done
