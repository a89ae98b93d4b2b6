"""Checks names: as text, and step by step while they are resolved.

Here too: where modules lie and where objects were defined, found out without importing anything.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

from besom.errors import TrustError
from besom.trust.public import (
    BESOMS_OWN,
    BESOMS_TRIALS,
    KNOWN,
    ROOMS,
    is_refused,
    not_public,
    objection_to_library,
)
from besom.trust.signed import FROM_PYTHON, objection_to_function

#: In which the user lists what else to trust, one name per line.
FILE = Path("conf/trusted.yaml")

#: The keys of a serialised Keras object; Keras imports what they name.
_SERIALISED = frozenset({"config", "module", "registered_name", "spec_name"})


@dataclass(frozen=True)
class Trust:
    """What a command trusts.

    Attributes:
        folder: the current folder, with links resolved; its modules are trusted.
        entries: dotted names of further packages, modules or single objects.
        named: names that the command will resolve; its first worker checks them before a trial.
        projects: the folders of the configs that the command names by path, where these are not in
            the current folder; with links resolved. Their modules are trusted, too.
        functions: the folder of the functions and arrays that a study or run was given from Python;
            None: there is none.
    """

    folder: str
    entries: tuple[str, ...] = ()
    named: tuple[tuple[str, str], ...] = ()
    projects: tuple[str, ...] = ()
    functions: str | None = None

    @property
    def folders(self) -> tuple[str, ...]:
        """Where trusted modules lie, in the order in which they are looked for."""
        return (*self.projects, self.folder)

    # By its name alone

    def check_name(self, dotted: str, where: str, is_trial: bool = False) -> None:
        """Refuse a name by its text and the file of its module, without importing anything.

        A name whose first part is not a module passes: importing it gives the better message.

        Args:
            dotted: such as ``keras.optimizers.Adam``.
            where: the key that holds it, for the message, such as ``model._target_``.
            is_trial: whether it names a trial function.

        Raises:
            TrustError: with the line that would allow it.
        """
        if is_trial and dotted in BESOMS_TRIALS:
            return
        if why := self._objection(canonical(dotted)):
            root = dotted.split(".")[0]
            foreign = in_project(self.folders, root) is False and root not in KNOWN
            raise refusal(where, dotted, why, root if foreign else canonical(dotted))

    def check_command(self, key: str, command: str) -> None:
        """Refuse a shell command in a config, unless the user trusts its key.

        Raises:
            TrustError: with the line that would allow it.
        """
        if key not in self.entries:
            raise refusal(key, command, "no config may run a shell command by itself", key)

    def _objection(self, dotted: str) -> str:
        parts = dotted.split(".")
        if (entry := self._entry_for(dotted)) is not None:
            beyond = parts[entry.count(".") + 1 :]
            if any(part.startswith("__") for part in beyond):
                return "a name with two leading underscores may lead anywhere"
            return ""
        if any(part.startswith("_") for part in parts):
            return "a name that begins with an underscore is private"
        if dotted.startswith(f"{FROM_PYTHON}."):
            return objection_to_function(self.functions, dotted)
        if parts[0] == "besom":
            return "" if dotted in BESOMS_OWN else not_public("besom", dotted, BESOMS_OWN)
        if parts[0] in ROOMS:
            return objection_to_library(parts)
        return "" if in_project(self.folders, dotted) in (True, None) else self._foreign(parts[0])

    def _foreign(self, root: str) -> str:
        spec = spec_of(root, self.folders)
        place = f" ({root!r} is {spec.origin})" if spec is not None and spec.origin else ""
        return (
            "besom runs only public objects of Keras, Optuna's samplers and pruners, its own "
            f"objects for configs, and modules under the current folder{place}"
        )

    def _entry_for(self, dotted: str) -> str | None:
        """The longest entry that a name begins with."""
        begins = [e for e in self.entries if f"{dotted}.".startswith(f"{e}.")]
        return max(begins, key=len, default=None)

    # Step by step

    def check_module(self, path: str, dotted: str, where: str) -> None:
        """Refuse to import a module from outside the project on behalf of one of its packages.

        Raises:
            TrustError: says where the module lies.
        """
        if path.split(".")[0] in KNOWN or self._entry_for(dotted) is not None:
            return
        spec = None
        if path not in sys.modules:
            with suppress(ImportError, ValueError):
                spec = importlib.util.find_spec(path)
        origin = spec.origin if spec is not None else None
        if origin is not None and not is_inside(self.folders, origin):
            why = f"{path!r} is {origin}, which is not under the current folder"
            raise refusal(where, dotted, why, path)

    def check_step(self, path: str, found: Any, dotted: str, where: str) -> None:
        """Refuse a step that leads out of the package in which the name began.

        ``path`` is the part of ``dotted`` that has been resolved so far, to ``found``.

        Raises:
            TrustError: a module of another package, or an object from elsewhere.
        """
        if path in self.entries:
            return
        if not isinstance(found, ModuleType):
            if path != dotted:
                self.check_object(path, found, dotted, where)
            return
        name, root = found.__name__, dotted.split(".")[0]
        if name.split(".")[0] != root:
            rest = dotted[len(path) :]
            raise TrustError(
                f"{where} is {dotted!r}, but {path!r} is the module {name!r} of another package, "
                f"and a name does not lead from one package into another. Write '{name}{rest}'; "
                + _line_to_add(name)
            )
        known = root in KNOWN or self._entry_for(dotted) is not None
        if not known and not holds(self.folders, found):
            raise refusal(
                where, dotted, f"the module {name!r} is not under the current folder", path
            )

    def check_object(self, path: str, found: Any, dotted: str, where: str) -> None:
        """Refuse an object that was defined in a module that is not allowed.

        ``path`` is the name that led to it: ``dotted``, or the beginning of it.

        Raises:
            TrustError: names the module that defines it.
        """
        # besom's own names are listed one by one
        if path in self.entries or path.split(".")[0] == "besom":
            return
        what = innermost(found)
        home = home_of(what)
        if not self._is_home(home, what, dotted):
            why = f"it comes from {home!r}, not from {dotted.split('.')[0]!r}"
            if home.split(".")[0] == "keras":
                why = "it loads, saves or deserialises with Keras"
            raise refusal(where, dotted, why, path)

    def _is_home(self, home: str, what: Any, dotted: str) -> bool:
        root, own = home.split(".")[0], dotted.split(".")[0]
        entry = self._entry_for(dotted)
        if self._entry_for(home) is not None or (entry is not None and root == own):
            return True
        if entry is not None and is_exported(what, dotted):
            return True
        name = str(getattr(what, "__qualname__", type(what).__qualname__))
        if root == "besom":
            return f"{home}.{name}" in BESOMS_OWN
        if root == "keras":
            rooms = [part for part in home.split(".")[1:] if part != "src"][:1]
            known = not rooms or rooms[0] in ROOMS["keras"] or rooms[0] == "backend"
            return known and not any(is_refused(part) for part in name.split("."))
        if root == "optuna":
            return home.split(".")[1] in ROOMS["optuna"] if "." in home else False
        return not root.startswith("_") and in_project(self.folders, home) is True


def refusal(where: str, dotted: str, why: str, entry: str) -> TrustError:
    """The error for a name that is not allowed, with the line that would allow it."""
    line = _line_to_add(entry)
    return TrustError(f"{where} is {dotted!r}: {why}. {line[0].upper()}{line[1:]}")


def _line_to_add(entry: str) -> str:
    return f"if you trust it, add '- {entry}' to {FILE}, or pass --trust {entry}."


def canonical(dotted: str) -> str:
    """The name that is checked and resolved: ``tensorflow.keras`` is Keras."""
    alias = "tensorflow.keras."
    return f"keras.{dotted.removeprefix(alias)}" if dotted.startswith(alias) else dotted


def check_mapping(value: Mapping[str, Any], where: str) -> None:
    """Refuse a serialised Keras object among arguments: Keras would import what it names.

    Raises:
        TrustError: says how to write it instead.
    """
    if "class_name" in value and not _SERIALISED.isdisjoint(value):
        raise TrustError(
            f"{where} is a serialised Keras object (class_name: {value['class_name']!r}), from "
            "which Keras would import what it names. Write it as a node instead, such as "
            "{_target_: keras.initializers.HeNormal, seed: 1}."
        )


def in_project(folders: tuple[str, ...], dotted: str) -> bool | None:
    """Whether each module that ``dotted`` begins with is in the project; None: there is no module.

    ``dotted`` is a module, or something in one.
    """
    name, path, verdict = "", None, None
    for part in dotted.split("."):
        name = f"{name}.{part}" if name else part
        is_top = path is None
        spec = spec_of(name, folders) if is_top else PathFinder.find_spec(name, path)
        if spec is None:
            break
        if spec.origin is not None:  # a namespace package has no code of its own
            if not spec.has_location or not is_inside(folders, spec.origin):
                return False
            verdict = True
        if spec.submodule_search_locations is None:
            break
        path = list(spec.submodule_search_locations)
    return verdict


def is_inside(folders: tuple[str, ...], place: str) -> bool:
    """Whether a file belongs to a project, and not to an environment inside its folder."""
    real = Path(os.path.realpath(place))
    return any(_is_inside(Path(folder), real) for folder in folders)


def _is_inside(outermost: Path, real: Path) -> bool:
    if outermost not in real.parents or {"site-packages", "dist-packages"} & {*real.parts}:
        return False
    if any(outer in real.parents for outer in _interpreter(outermost)):
        return False
    between = real.parents[: real.parents.index(outermost)]
    return not any(
        (outer / mark).exists() for outer in between for mark in ("pyvenv.cfg", "conda-meta")
    )


def holds(folders: tuple[str, ...], module: ModuleType) -> bool:
    """Whether an imported module belongs to the project."""
    file = getattr(module, "__file__", None)
    if file is None:  # a namespace package has no code; what is built in has no file either
        return hasattr(module, "__path__")
    return is_inside(folders, file)


def spec_of(name: str, folders: tuple[str, ...]) -> ModuleSpec | None:
    """Find where a top-level module would be imported from, without importing it."""
    if (module := sys.modules.get(name)) is not None:
        file = getattr(module, "__file__", None)
        spec: ModuleSpec | None = getattr(module, "__spec__", None)
        if spec is None:
            spec = ModuleSpec(name, None, origin=file or "unknown")
            spec.has_location = bool(file)
        return spec
    missing = [] if "" in sys.path else [each for each in folders if each not in sys.path]
    if missing:  # workers look there first
        spec = PathFinder.find_spec(name, missing)
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
