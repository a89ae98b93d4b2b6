"""Turns a config node with a ``_target_`` into the object it names.

The grammar is Hydra's (``_target_``, ``_args_``, ``_partial_``, nested nodes first), on plain
dicts, so that a worker needs no Hydra; the errors are for the person who wrote the config. What a
name may lead to is decided by ``besom.trust``.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from besom.errors import BesomError, ConfigError, TrustError, did_you_mean
from besom.trust import KNOWN, canonical, check_mapping, current

TARGET, ARGS, PARTIAL = "_target_", "_args_", "_partial_"

#: Keys that may name a function themselves, without a node around it.
FUNCTIONS = frozenset({"trainer.fit"})


def resolve(dotted: str, where: str = TARGET, is_trial: bool = False) -> Any:
    """Import what ``dotted`` names, such as ``keras.optimizers.Adam``.

    ``where`` is what holds the name, for messages; a trial function is looked up as one.

    Raises:
        TrustError: a config may not run it, see ``besom.trust``; nothing of it has been imported.
        ConfigError: the module cannot be imported, or has no such name (near names are listed).
    """
    if not _is_dotted(dotted):
        raise ConfigError(
            f"{where} is {dotted!r}, expected a dotted name such as 'keras.optimizers.Adam'."
        )
    trust, parts = current(), canonical(dotted).split(".")
    try:
        trust.check_name(dotted, where, is_trial)
    except TrustError:
        _refuse_slip(parts, dotted, where)
        raise
    found = _imported(parts[0], dotted, where)
    if found is None:
        raise ConfigError(
            f"{where} {dotted!r} cannot be found: there is no module {parts[0]!r} on the Python "
            "path. Install it, or run from the folder it is in."
        )
    is_package = True
    for n in range(1, len(parts) + 1):
        path = ".".join(parts[:n])
        if n > 1:
            if is_package:
                trust.check_module(path, dotted, where)
            module = _imported(path, dotted, where) if is_package else None
            is_package = module is not None
            found = module if is_package else _attribute(found, path, dotted, where)
        trust.check_step(path, found, canonical(dotted), where)
    if callable(found):
        trust.check_object(path, found, canonical(dotted), where)
    return found


def _refuse_slip(parts: Sequence[str], dotted: str, where: str) -> None:
    """Refuse a name that a trusted library does not have as a slip, not as untrusted."""
    at_hand = parts[0] in sys.modules or parts[0] != "keras"  # which takes seconds to import
    if parts[0] in KNOWN and len(parts) > 1 and at_hand:
        library, path = _imported(parts[0], dotted, where), ".".join(parts[:2])
        if _imported(path, dotted, where) is None:
            _attribute(library, path, dotted, where)


def _is_dotted(name: Any) -> bool:
    return isinstance(name, str) and all(part.isidentifier() for part in name.split("."))


def _imported(module_name: str, dotted: str, where: str) -> Any:
    """The module of this name, whose parents are imported; None where there is none."""
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigError(f"{where} {dotted!r} needs {error.name!r}: {error}.") from error
        return None
    except Exception as error:  # whatever a user's module does when it is imported
        raise ConfigError(
            f"{where} {dotted!r} cannot be imported: {type(error).__name__}: {error}."
        ) from error


def _attribute(found: Any, path: str, dotted: str, where: str) -> Any:
    parent, _, name = path.rpartition(".")
    try:
        return getattr(found, name)
    except AttributeError:
        public = [known for known in dir(found) if not known.startswith("_")]
        raise ConfigError(
            f"{where} {dotted!r} cannot be found: {parent!r} has no {name!r}."
            + _nearest(name, public)
        ) from None


def function_name(named: str | Mapping[str, Any]) -> str:
    """The dotted name in a key of ``FUNCTIONS``: a name alone, or a node with arguments."""
    return named if isinstance(named, str) else str(named[TARGET])


def refuse_untrusted(node: Any, path: str = "", inside: bool = False) -> None:
    """Refuse a config that names something it may not run; nothing is imported.

    ``path`` says where the node stands, ``inside`` whether it is an argument of a ``_target_``.

    Raises:
        TrustError: gives the first one, and the line that would allow it.
    """
    for where, dotted in names_in(node, path, inside):
        current().check_name(dotted, where)


def follow(named: Iterable[tuple[str, str]]) -> None:
    """Import the named modules of the project, and refuse names that lead to untrusted objects.

    Other errors in a name are reported where it is used.

    Raises:
        TrustError: one leads to what a config may not run.
    """
    for where, dotted in named:
        if canonical(dotted).split(".")[0] not in KNOWN:
            try:
                resolve(dotted, where)
            except TrustError:
                raise
            except (BesomError, SystemExit):
                continue


def names_in(node: Any, path: str = "", inside: bool = False) -> Iterator[tuple[str, str]]:
    """Every name that a config would resolve, after where it stands: ``("model._target_", ...)``.

    Raises:
        TrustError: among arguments there is a serialised Keras object.
    """
    if isinstance(node, Mapping):
        inside = inside or TARGET in node
        if inside and TARGET not in node:
            check_mapping(node, path)
        for key, value in node.items():
            below = f"{path}.{key}" if path and not path.endswith(" ") else f"{path}{key}"
            named = str(key).rpartition(".")[2] == TARGET  # a space has such keys: model._target_
            if named or below.rpartition(" ")[2] in FUNCTIONS:
                names = value if isinstance(value, list | tuple) else [value]
                yield from ((below, name) for name in names if _is_dotted(name))
            yield from names_in(value, below, inside)
    elif isinstance(node, list | tuple):
        for i, item in enumerate(node):
            yield from names_in(item, f"{path}[{i}]", inside)


def instantiate(node: Mapping[str, Any], /, *args: Any, **extra: Any) -> Any:
    """Build the object that ``node`` describes; nested nodes with a ``_target_`` first.

    Args:
        node: a plain mapping with ``_target_``; other keys are keyword arguments.
        args: positional arguments put before those of ``_args_``.
        extra: keyword arguments that win over the node's.

    Raises:
        ConfigError: no or unknown ``_target_``, or arguments it does not take (near names listed).
    """
    if not isinstance(node, Mapping) or TARGET not in node:
        raise ConfigError(f"Expected a mapping with a _target_, got {node!r}.")
    target = resolve(node[TARGET])
    kwargs = {
        key: _build(value) for key, value in node.items() if key not in (TARGET, ARGS, PARTIAL)
    }
    kwargs.update(extra)
    positional = (*args, *(_build(value) for value in node.get(ARGS, ())))
    if not callable(target):
        raise ConfigError(f"_target_ {node[TARGET]!r} is a {type(target).__name__}, not callable.")
    if node.get(PARTIAL, False):
        # Without arguments the target itself: it has a name, and Keras can save it.
        return functools.partial(target, *positional, **kwargs) if positional or kwargs else target
    _check_arguments(node[TARGET], target, positional, kwargs)
    try:
        return target(*positional, **kwargs)
    except BesomError:
        raise
    except (TypeError, ValueError) as error:
        shown = ", ".join(f"{key}={value!r}" for key, value in kwargs.items() if key not in extra)
        raise ConfigError(f"{node[TARGET]}({shown}) was refused: {error}") from error


#: A key that was, or might have been, a number: configs are stored with text for keys.
_NUMBER = re.compile(r"0|-?[1-9][0-9]*")


def _build(value: Any) -> Any:
    """Instantiate nested nodes; leave everything else alone, but keys that are all ints as text.

    A mapping by number is stored with text, and the function that takes it expects numbers.
    """
    if isinstance(value, Mapping):
        if TARGET in value:
            return instantiate(value)
        check_mapping(value, "An argument")
        numbered = value and all(map(_NUMBER.fullmatch, map(str, value)))
        return {int(key) if numbered else key: _build(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_build(item) for item in value]
    return value


def _check_arguments(
    name: str, target: Any, positional: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):  # some C functions have none
        return
    parameters = signature.parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return
    for key in kwargs:
        if key not in parameters:
            raise ConfigError(f"{name} takes no argument {key!r}.{did_you_mean(key, parameters)}")
    try:
        signature.bind(*positional, **kwargs)
    except TypeError as error:
        raise ConfigError(f"{name}: {error}. It is called as {name}{signature}.") from error


def _nearest(name: str, known: list[str]) -> str:
    """Near names only: a whole module's contents would hide the message."""
    hint = did_you_mean(name, known)
    return hint if hint.startswith(" Did") else ""
