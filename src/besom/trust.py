"""What a config may run: decides, before anything is imported, whether a name may be resolved.

A config is data, often somebody else's: a sweep from a colleague, an exported ``best.yaml``, a
stored study. A name in it runs code, so these names are allowed and no others:

- public objects of Keras (``keras.optimizers.Adam``), but nothing that loads, saves, deserialises,
  downloads or deletes: ``keras.models.load_model``, ``keras.saving``, ``keras.utils.get_file``,
  ``keras.layers.Lambda`` and their like (``_refused_of_keras``);
- Optuna's samplers, pruners and distributions;
- what besom means to be named (``BESOMS_OWN``);
- the project's own modules: their file lies under the current folder, and not in a
  ``site-packages`` folder or a virtual environment there. Links and ``..`` are followed first.

What the user trusts beside them is said in ``./conf/trusted.yaml``, by ``--trust`` (``trust=`` in
Python) or in ``BESOM_TRUSTED``, and never in a config.

A prefix protects nothing: ``mine.os.system`` begins in the project and ends in ``os``. So a name is
judged twice: as text (``check_name``), and step by step while it is followed (``check_step``,
``check_object``), by the module that each object was really defined in. No step leads into another
package's module.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

from besom.errors import ConfigError, TrustError, did_you_mean

FILE = Path("conf/trusted.yaml")
VARIABLE = "BESOM_TRUSTED"

_LARGEST_FILE = 65_536  # bytes; a list of names is far shorter

#: What of besom a config may name. Every ``_target_`` of the packaged configs is among them.
BESOMS_OWN = frozenset(
    {
        "besom.executors.local.LocalExecutor",
        "besom.study.samplers.SpaceBruteForceSampler",
        "besom.study.samplers.SpaceGridSampler",
        "besom.study.screening.ScreeningPruner",
        "besom.training.data.digits",
        "besom.training.data.fashion_mnist",
        "besom.training.data.mnist",
        "besom.training.data.npz",
        "besom.training.models.cnn",
        "besom.training.models.mlp",
        "besom.training.trial.run_trial",
    }
)

#: What besom itself runs in workers, beside ``run_trial``: a trial function, and nothing else.
_BESOMS_TRIALS = frozenset(
    {"besom.training.confirmation.run_confirmation", "besom.training.probe.probe"}
)

#: The modules of Keras and Optuna from which models and strategies are built. Not among them:
#: ``keras.saving``, ``utils``, ``config``, ``datasets``, ``export``; Optuna's studies and storages.
_ROOMS = {
    "keras": frozenset(
        {
            *("activations", "applications", "callbacks", "constraints", "distillation"),
            *("dtype_policies", "initializers", "layers", "losses", "metrics", "mixed_precision"),
            *("models", "ops", "optimizers", "quantizers", "random", "regularizers"),
        }
    ),
    "optuna": frozenset({"distributions", "pruners", "samplers"}),
}

#: Packages that are judged by what they are, wherever they are installed.
KNOWN = frozenset({"besom", *_ROOMS})

#: Keras's functions that load, save or deserialise, and those that set what outlives a trial.
_LOADS = re.compile(
    r"get|get_file|serialize\w*|deserialize\w*|\w*from_(config|json|yaml)\w*"
    r"|(load|save|export|set|enable|disable|clear)(_\w+)?"
)
#: Keras's classes that run code or a program given as data, send over the network, or delete.
_LOADERS = frozenset(
    {
        *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
        *("RemoteMonitor", "BackupAndRestore"),
    }
)

#: The keys of a serialised Keras object; Keras imports what they name.
_SERIALISED = frozenset({"config", "module", "registered_name", "spec_name"})


def _refused_of_keras(name: str) -> bool:
    return name in _LOADERS or _LOADS.fullmatch(name) is not None


@dataclass(frozen=True)
class Trust:
    """Whom a command trusts.

    Attributes:
        folder: the project's, with links resolved: its modules are trusted.
        entries: dotted names of further packages, modules or single objects.
        named: names that the command will resolve; its first worker looks at them before a trial.
    """

    folder: str
    entries: tuple[str, ...] = ()
    named: tuple[tuple[str, str], ...] = ()

    @classmethod
    def here(cls, more: Iterable[str] = ()) -> Trust:
        """What the user trusts in the current folder.

        Args:
            more: further packages, modules or objects.

        Raises:
            ConfigError: something that is no dotted name, or ``conf/trusted.yaml`` holds no list.
        """
        inherited = [name.strip() for name in os.environ.get(VARIABLE, "").split(",")]
        entries = [
            *(_checked(name, "--trust") for name in ([more] if isinstance(more, str) else more)),
            *(_checked(name, VARIABLE) for name in inherited if name),
            *(_checked(name, str(FILE)) for name in _in_file()),
        ]
        return cls(os.path.realpath(Path.cwd()), tuple(dict.fromkeys(entries)))

    # By its name alone

    def check_name(self, dotted: str, where: str, is_trial: bool = False) -> None:
        """Refuse a name for what its text and the file of its module tell; nothing is imported.

        A name whose first part is no module at all is let through: importing it says so.

        Args:
            dotted: such as ``keras.optimizers.Adam``.
            where: what holds it, for the message, such as ``model._target_``.
            is_trial: whether it names a trial function.

        Raises:
            TrustError: with the line that would allow it.
        """
        if is_trial and dotted in _BESOMS_TRIALS:
            return
        if why := self._objection(canonical(dotted)):
            root = dotted.split(".")[0]
            foreign = self._in_project(root) is False and root not in KNOWN
            raise refusal(where, dotted, why, root if foreign else canonical(dotted))

    def _objection(self, dotted: str) -> str:
        parts = dotted.split(".")
        if (entry := self._entry_for(dotted)) is not None:
            beyond = parts[entry.count(".") + 1 :]
            if any(part.startswith("__") for part in beyond):
                return "a name with two leading underscores leads out of what it begins in"
            return ""
        if any(part.startswith("_") for part in parts):
            return "what begins with an underscore is private"
        if parts[0] == "besom":
            return "" if dotted in BESOMS_OWN else _not_public("besom", dotted, BESOMS_OWN)
        if parts[0] in _ROOMS:
            return _objection_to_library(parts)
        return "" if self._in_project(dotted) in (True, None) else self._foreign(parts[0])

    def _foreign(self, root: str) -> str:
        spec = _spec_of(root, self.folder)
        place = f" ({root!r} is {spec.origin})" if spec is not None and spec.origin else ""
        return (
            "besom runs only public objects of Keras, of Optuna's samplers and pruners, and of its "
            f"own, and modules under the current folder{place}"
        )

    def _entry_for(self, dotted: str) -> str | None:
        """The entry that a name begins with, the longest of them."""
        begins = [e for e in self.entries if f"{dotted}.".startswith(f"{e}.")]
        return max(begins, key=len, default=None)

    def _in_project(self, dotted: str) -> bool | None:
        """Whether each module that ``dotted`` begins with is the project's; None: there is none."""
        name, path, verdict = "", None, None
        for part in dotted.split("."):
            name = f"{name}.{part}" if name else part
            is_top = path is None
            spec = _spec_of(name, self.folder) if is_top else PathFinder.find_spec(name, path)
            if spec is None:
                break
            if spec.origin is not None:  # a namespace package has no code of its own
                if not spec.has_location or not self._inside(spec.origin):
                    return False
                verdict = True
            if spec.submodule_search_locations is None:
                break
            path = list(spec.submodule_search_locations)
        return verdict

    def _inside(self, place: str) -> bool:
        """Whether a file is the project's, and not of an environment that lies in its folder."""
        real = Path(os.path.realpath(place))
        folder = Path(self.folder)
        if folder not in real.parents or {"site-packages", "dist-packages"} & {*real.parts}:
            return False
        if any(outer in real.parents for outer in _interpreter(folder)):
            return False
        between = real.parents[: real.parents.index(folder)]
        return not any(
            (outer / mark).exists() for outer in between for mark in ("pyvenv.cfg", "conda-meta")
        )

    # Step by step

    def check_module(self, path: str, dotted: str, where: str) -> None:
        """Refuse to import a module that a package of the project looks for outside of it.

        Raises:
            TrustError: says where the module is.
        """
        if path.split(".")[0] in KNOWN or self._entry_for(path) is not None:
            return
        spec = None
        if path not in sys.modules:
            with suppress(ImportError, ValueError):
                spec = importlib.util.find_spec(path)
        if spec is not None and spec.origin is not None and not self._inside(spec.origin):
            why = f"{path!r} is {spec.origin}, which is not under the current folder"
            raise refusal(where, dotted, why, path)

    def check_step(self, path: str, found: Any, dotted: str, where: str) -> None:
        """Refuse a step of a name that has led out of what it began in.

        Args:
            path: the part of ``dotted`` that has been followed.
            found: what it has led to; more follows.

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
        known = root in KNOWN or self._entry_for(path) is not None
        if not known and not self._holds(found):
            raise refusal(where, dotted, f"the module {name!r} is not under the folder", path)

    def _holds(self, module: ModuleType) -> bool:
        file = getattr(module, "__file__", None)
        places = [file] if file else list(getattr(module, "__path__", ()))
        return all(self._inside(place) for place in places)

    def check_object(self, path: str, found: Any, dotted: str, where: str) -> None:
        """Refuse what was defined in a module that is not allowed, by whatever name it is reached.

        Args:
            path: how it was reached: ``dotted``, or the beginning of it.
            found: the class, function or other object.

        Raises:
            TrustError: names the module that it is from.
        """
        if path in self.entries or path.split(".")[0] == "besom":  # named one by one
            return
        what = _innermost(found)
        home = _home(what)
        if not self._is_home(home, what, dotted):
            why = f"that is from {home!r}, not from {dotted.split('.')[0]!r}"
            if home.split(".")[0] == "keras":
                why = "that loads, saves or deserialises by Keras"
            raise refusal(where, dotted, why, path)

    def _is_home(self, home: str, what: Any, dotted: str) -> bool:
        root, own = home.split(".")[0], dotted.split(".")[0]
        entry = self._entry_for(dotted)
        if self._entry_for(home) is not None or (entry is not None and root == own):
            return True
        if entry is not None and _is_exported(what, dotted):
            return True
        name = str(getattr(what, "__qualname__", type(what).__qualname__))
        if root == "besom":
            return f"{home}.{name}" in BESOMS_OWN
        if root == "keras":
            rooms = [part for part in home.split(".")[1:] if part != "src"][:1]
            known = not rooms or rooms[0] in _ROOMS["keras"] or rooms[0] == "backend"
            return known and not any(_refused_of_keras(part) for part in name.split("."))
        if root == "optuna":
            return home.split(".")[1] in _ROOMS["optuna"] if "." in home else False
        return not root.startswith("_") and self._in_project(home) is True


def refusal(where: str, dotted: str, why: str, entry: str) -> TrustError:
    """The error for a name that is not allowed, with the line that would allow it."""
    line = _line_to_add(entry)
    return TrustError(f"{where} is {dotted!r}: {why}. {line[0].upper()}{line[1:]}")


def _line_to_add(entry: str) -> str:
    return f"if you trust it, add '- {entry}' to {FILE}, or pass --trust {entry}."


def canonical(dotted: str) -> str:
    """The name that is judged and resolved: ``tensorflow.keras`` is Keras."""
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


def _objection_to_library(parts: Sequence[str]) -> str:
    root, dotted = parts[0], ".".join(parts)
    rooms = _ROOMS[root]
    is_class = root == "keras" and len(parts) == 2 and parts[1][:1].isupper()
    if not is_class and (parts[1:2] == [] or parts[1] not in rooms):
        return _not_public(root, dotted, [f"{root}.{room}" for room in rooms])
    if any(part[:1].isupper() for part in parts[1:-1]):
        return f"a config names classes and functions of {root}, not what is inside of them"
    if root == "keras" and any(map(_refused_of_keras, parts[1:])):
        return "that loads, saves, deserialises, sends or deletes, or sets what outlives a trial"
    return ""


def _not_public(root: str, dotted: str, known: Iterable[str]) -> str:
    beginning = ".".join(dotted.split(".")[:2]) if root in _ROOMS else dotted
    hint = did_you_mean(beginning, known)
    hint = hint.rstrip("?") if hint.startswith(" Did") else ""
    return f"that is not among the objects of {root} that a config may name{hint and ';' + hint}"


# Who defined it


def _innermost(thing: Any) -> Any:
    """What is run in the end, where something is wrapped around it."""
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


def _home(thing: Any) -> str:
    """The module that a thing was defined in; of an instance, that of its class."""
    if isinstance(thing, ModuleType):
        return thing.__name__
    home = getattr(thing, "__module__", None)
    if home is None and (owner := getattr(thing, "__self__", None)) is not None:
        home = _home(owner if isinstance(owner, type | ModuleType) else type(owner))
    return home if isinstance(home, str) and home else str(type(thing).__module__)


def _is_exported(thing: Any, dotted: str) -> bool:
    """Whether the module it was reached in lists it as its own: ``os.system`` is from ``posix``."""
    module, _, name = dotted.rpartition(".")
    listed = getattr(sys.modules.get(module), "__all__", ())
    return name in listed and getattr(thing, "__name__", None) == name


# Where modules are


def _spec_of(name: str, folder: str) -> ModuleSpec | None:
    """Where a top-level module would be imported from; nothing is imported."""
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
    """Folders with Python's own and installed modules, some of which may lie in the project's."""
    libraries = [sysconfig.get_path(k) for k in ("stdlib", "platstdlib", "purelib", "platlib")]
    if user := site.getusersitepackages():
        libraries.append(user)
    found = [Path(os.path.realpath(place)) for place in libraries]
    prefixes = [Path(os.path.realpath(place)) for place in (sys.prefix, sys.base_prefix)]
    return tuple(found + [place for place in prefixes if folder in place.parents])


# What the user trusts


def _checked(name: Any, source: str) -> str:
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(
            f"{source} holds {name!r}, expected the dotted name of a package, a module or one "
            "object, such as my_package."
        )
    return name


def _in_file() -> list[Any]:
    """The entries of ``conf/trusted.yaml`` of the current folder, if there is one."""
    import yaml  # not in a worker: it is told

    try:
        if not FILE.is_file():
            if FILE.exists():
                raise ConfigError(f"{FILE} is no regular file; expected a YAML list of packages.")
            return []
        with FILE.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise ConfigError(f"{FILE} is larger than {_LARGEST_FILE:,} bytes.")
        listed = yaml.safe_load(content)
    except OSError as error:
        raise ConfigError(f"{FILE} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        detail = " ".join(str(error).split())
        raise ConfigError(f"{FILE} is not valid YAML: {detail}.") from error
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise ConfigError(
            f"{FILE} holds a {type(listed).__name__}, expected a list of packages, one per line: "
            "'- my_package'."
        )
    return listed


_CURRENT: ContextVar[Trust | None] = ContextVar("besom_trust", default=None)


def current() -> Trust:
    """The trust in force: what ``trusting`` or ``adopt`` has set, else what the user says here."""
    return _CURRENT.get() or Trust.here()


@contextmanager
def trusting(more: Iterable[str] = (), named: Iterable[tuple[str, str]] = ()) -> Iterator[Trust]:
    """Fix what a command trusts, before any code of the user's can change folder or environment.

    Args:
        more: what ``--trust`` or ``trust=`` lists, beside what is trusted already.
        named: see ``Trust.named``.

    Raises:
        ConfigError: see ``Trust.here``.
    """
    held = _CURRENT.get()
    trust = Trust.here(more) if held is None or more else held
    if held is not None and more:
        trust = replace(trust, folder=held.folder)
        trust = replace(trust, entries=tuple(dict.fromkeys([*held.entries, *trust.entries])))
    token = _CURRENT.set(replace(trust, named=tuple(named)))
    try:
        yield trust
    finally:
        _CURRENT.reset(token)


def adopt(trust: Trust) -> None:
    """Trust what the coordinator trusts, for the rest of this process: a worker's first act."""
    _CURRENT.set(trust)
