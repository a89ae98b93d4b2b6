"""Finds out where modules lie and where objects were defined, without importing anything."""

from __future__ import annotations

import functools
import importlib.util
import os
import site
import sys
import sysconfig
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any


def in_project(folder: str, dotted: str) -> bool | None:
    """Whether each module that ``dotted`` begins with is in the project; None: there is no module.

    Args:
        folder: the project's folder, with links resolved.
        dotted: a module, or something in one.
    """
    name, path, verdict = "", None, None
    for part in dotted.split("."):
        name = f"{name}.{part}" if name else part
        is_top = path is None
        spec = spec_of(name, folder) if is_top else PathFinder.find_spec(name, path)
        if spec is None:
            break
        if spec.origin is not None:  # a namespace package has no code of its own
            if not spec.has_location or not is_inside(folder, spec.origin):
                return False
            verdict = True
        if spec.submodule_search_locations is None:
            break
        path = list(spec.submodule_search_locations)
    return verdict


def is_inside(folder: str, place: str) -> bool:
    """Whether a file belongs to the project, and not to an environment inside its folder."""
    real = Path(os.path.realpath(place))
    outermost = Path(folder)
    if outermost not in real.parents or {"site-packages", "dist-packages"} & {*real.parts}:
        return False
    if any(outer in real.parents for outer in _interpreter(outermost)):
        return False
    between = real.parents[: real.parents.index(outermost)]
    return not any(
        (outer / mark).exists() for outer in between for mark in ("pyvenv.cfg", "conda-meta")
    )


def holds(folder: str, module: ModuleType) -> bool:
    """Whether an imported module belongs to the project."""
    file = getattr(module, "__file__", None)
    if file is None:  # a namespace package has no code; what is built in has no file either
        return hasattr(module, "__path__")
    return is_inside(folder, file)


def spec_of(name: str, folder: str) -> ModuleSpec | None:
    """Find where a top-level module would be imported from, without importing it."""
    if (module := sys.modules.get(name)) is not None:
        file = getattr(module, "__file__", None)
        spec: ModuleSpec | None = getattr(module, "__spec__", None)
        if spec is None:
            spec = ModuleSpec(name, None, origin=file or "unknown")
            spec.has_location = bool(file)
        return spec
    if folder not in sys.path and "" not in sys.path:  # workers look there first
        spec = PathFinder.find_spec(name, [folder])
        if spec is not None and spec.origin is not None:
            return spec
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


@functools.cache
def _interpreter(folder: Path) -> tuple[Path, ...]:
    """Folders of Python's own and installed modules; some may lie inside the project's folder."""
    libraries = [sysconfig.get_path(k) for k in ("stdlib", "platstdlib", "purelib", "platlib")]
    if user := site.getusersitepackages():
        libraries.append(user)
    found = [Path(os.path.realpath(place)) for place in libraries]
    prefixes = [Path(os.path.realpath(place)) for place in (sys.prefix, sys.base_prefix)]
    return tuple(found + [place for place in prefixes if folder in place.parents])


def innermost(thing: Any) -> Any:
    """Unwrap partials, methods and decorators: what runs in the end."""
    for _ in range(32):
        if isinstance(thing, functools.partial | functools.partialmethod):
            thing = thing.func
        elif isinstance(thing, MethodType):
            thing = thing.__func__
        elif isinstance(thing, ModuleType | type | FunctionType):
            break
        elif "__wrapped__" in getattr(thing, "__dict__", {}):  # such as functools.cache's
            thing = thing.__wrapped__
        else:
            break
    return thing


def home_of(thing: Any) -> str:
    """The module in which a thing, or an instance's class, was defined."""
    if isinstance(thing, ModuleType):
        return thing.__name__
    home = getattr(thing, "__module__", None)
    if home is None and (owner := getattr(thing, "__self__", None)) is not None:
        home = home_of(owner if isinstance(owner, type | ModuleType) else type(owner))
    return home if isinstance(home, str) and home else str(type(thing).__module__)


def is_exported(thing: Any, dotted: str) -> bool:
    """Whether the module lists the object in ``__all__``: ``os.system`` is defined in ``posix``."""
    module, _, name = dotted.rpartition(".")
    listed = getattr(sys.modules.get(module), "__all__", ())
    return name in listed and getattr(thing, "__name__", None) == name
