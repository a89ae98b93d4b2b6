"""What goes along to other machines: the project's modules, and a config whose paths hold there.

Ray brings the staging folder to each node as one of its ``py_modules``. It holds modules only.
Ray's ``working_dir`` would take results and environments along, and leave out what ``.gitignore``
names.
"""

from __future__ import annotations

import os
import re
import shutil
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.machinery import BYTECODE_SUFFIXES, all_suffixes
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import besom
from besom.errors import BesomError
from besom.executors.channel import Setup
from besom.executors.resources import format_memory
from besom.seam import TrialConfig

#: The folder's name, by which it is found again on a node.
STAGED = "besom_staged"

#: What Ray takes for ``py_modules`` is 512 MiB in all; code is never near this.
MAX_BYTES = 100 * 2**20

_BYTECODE = tuple(BYTECODE_SUFFIXES)
_MODULES = tuple({*all_suffixes()} - {*_BYTECODE})
#: Folders that are environments; no project's module lies in one.
_ENVIRONMENT = ("pyvenv.cfg", "conda-meta")
_PUNCTUATED, _WORD = re.compile(r"[/.]"), re.compile(r"\w")
#: Keys whose value is a path even where it does not look like one.
_PATH_KEY = re.compile(r"(?:^|_)(?:path|file|folder|dir|directory|filename)s?$")


def versions() -> dict[str, str]:
    """What must be the same on all machines: pickles and messages are of one version."""
    try:
        own = version("besom")
    except PackageNotFoundError:  # run from a checkout
        own = "not installed"
    return {"Python": ".".join(map(str, sys.version_info[:2])), "besom": own}


@dataclass(frozen=True)
class Staged:
    """What an actor on another machine gets, to make a ``Setup`` of with ``arrival.arrive``.

    Attributes:
        setup: the coordinator's, with absolute paths in its config.
        folders: folders here, in the order of ``sys.path``; the contents of each lie under its
            number in the staging folder.
        folder: the coordinator's current folder.
        paths: the files and folders that the config names, and the keys that name them.
        versions: the coordinator's.
    """

    setup: Setup
    folders: tuple[str, ...]
    folder: str
    paths: tuple[tuple[str, str], ...]
    versions: dict[str, str] = field(default_factory=versions)


def stage(setup: Setup, into: Path) -> Staged:
    """Copy the project's modules to ``into / STAGED``, for Ray's ``py_modules``.

    Args:
        setup: what a worker on this machine would get.
        into: an empty folder.

    Raises:
        BesomError: a module cannot be read, or they are too large for code.
    """
    folder = str(Path.cwd())
    config = with_absolute_paths(setup.base_config, folder)
    projects = (*setup.trust.projects, setup.trust.folder)
    folders = tuple(dict.fromkeys([*projects, *_own_entries(setup.sys_path)]))
    room = MAX_BYTES
    for number, source in enumerate(folders):
        target = into / STAGED / str(number)
        target.mkdir(parents=True)
        try:
            for file in _modules(Path(source), setup.artifacts, source in projects):
                copy = target / file.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                room -= file.stat().st_size
                if room < 0:
                    raise BesomError(_too_large(source, file))
                shutil.copyfile(file, copy)
        except OSError as error:
            raise BesomError(
                f"The project's modules cannot be copied for the nodes of the Ray cluster: {error}."
            ) from error
    # Ray refuses an empty folder, and a project may have no modules of its own.
    (into / STAGED).mkdir(exist_ok=True)
    (into / STAGED / "folders.txt").write_text("".join(f"{each}\n" for each in folders))
    return Staged(replace(setup, base_config=config), folders, folder, tuple(_paths(config)))


def _own_entries(sys_path: tuple[str, ...]) -> Iterator[str]:
    """The folders of ``sys.path`` that no node has: neither Python's nor besom's nor installed."""
    installed = {os.path.realpath(place) for place in sysconfig.get_paths().values()}
    installed |= {os.path.realpath(place) for place in site.getsitepackages()}
    prefixes = {os.path.realpath(each) for each in (sys.prefix, sys.base_prefix)} - {"/", "/usr"}
    besoms = Path(besom.__file__).resolve().parents[1]
    for entry in sys_path:
        real = Path(os.path.realpath(entry))
        if not real.is_dir() or real == besoms or str(real) in installed:
            continue
        if {"site-packages", "dist-packages"} & set(real.parts):
            continue
        if not any(real.is_relative_to(prefix) for prefix in prefixes):
            yield str(real)


def _modules(root: Path, results: str | None, is_project: bool) -> Iterator[Path]:
    """The files of all modules under ``root``; of a package, what lies beside them too.

    Args:
        root: an entry of ``sys.path``.
        results: a folder to leave out.
        is_project: it is the project's own folder. Any other may be as large as ``/tmp``, where a
            script lies: of its folders, those are read that have modules or packages in them.
    """
    besoms = os.path.realpath(Path(besom.__file__).parent)
    packages, seen = set[Path](), {besoms, *([os.path.realpath(results)] if results else [])}
    for place, folders, files in os.walk(root, followlinks=True):
        here = Path(place)
        seen.add(os.path.realpath(here))
        if here != root and ("__init__.py" in files or here.parent in packages):
            packages.add(here)
        # In place: os.walk goes into what is left.
        folders[:] = sorted(
            name
            for name in folders
            if _may_hold_modules(here / name, seen)
            and (is_project or here in packages or _holds_modules(here / name))
        )
        for name in sorted(files):
            wanted = name.endswith(_MODULES) or here in packages
            if wanted and not name.endswith(_BYTECODE) and _is_readable(here / name):
                yield here / name


def _may_hold_modules(folder: Path, seen: set[str]) -> bool:
    if not folder.name.isidentifier() or folder.name in ("__pycache__", "node_modules"):
        return False
    if any((folder / mark).exists() for mark in _ENVIRONMENT):
        return False
    return os.path.realpath(folder) not in seen


def _holds_modules(folder: Path) -> bool:
    return any(folder.glob("*.py")) or any(folder.glob("*/__init__.py"))


def _is_readable(file: Path) -> bool:
    return file.is_file() and os.access(file, os.R_OK)


def _too_large(source: str, file: Path) -> str:
    return (
        f"The modules in {source} are larger than {format_memory(MAX_BYTES)} together (the last "
        f"one read is {file}), and all of them would be sent to each node of the Ray cluster. "
        "Start besom in the project's own folder, and keep data outside its packages."
    )


# --- paths ----------------------------------------------------------------------------------------


def with_absolute_paths(config: TrialConfig, folder: str) -> TrialConfig:
    """A config in which texts that name a file or folder here are absolute.

    Args:
        config: a trial's.
        folder: what relative paths are relative to.
    """
    return {
        key: value if key == "orders" else _absolute(value, key, folder)
        for key, value in config.items()
    }


def _absolute(value: Any, key: str, folder: str) -> Any:
    if isinstance(value, Mapping):
        return {inner: _absolute(each, str(inner), folder) for inner, each in value.items()}
    if isinstance(value, list | tuple):
        return [_absolute(each, key, folder) for each in value]
    if isinstance(value, str) and _looks_like_path(value, key):
        place = Path(folder, os.path.expandvars(os.path.expanduser(value)))  # noqa: PTH111
        if exists(place):
            return os.path.normpath(place)
    return value


def _paths(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """The absolute paths of what is there, with their dotted keys."""
    if isinstance(value, Mapping):
        for inner, each in value.items():
            if inner != "orders":
                yield from _paths(each, f"{key}.{inner}" if key else str(inner))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _paths(each, key)
    elif isinstance(value, str) and Path(value).is_absolute() and exists(Path(value)):
        yield key, value


def _looks_like_path(value: str, key: str) -> bool:
    """Whether a text may be meant as a path, so that ``relu`` stays what it is beside a file of
    that name.
    """
    if not value or key.startswith("_") or "\n" in value:
        return False
    return bool(_PATH_KEY.search(key) or (_PUNCTUATED.search(value) and _WORD.search(value)))


def exists(place: Path) -> bool:
    """Whether there is such a file or folder; False for what can be none."""
    try:
        return place.exists()
    except (OSError, ValueError):  # too long, or with a null character
        return False
