"""What a config may run: decides, before anything is imported, whether a name may be resolved.

A config is data, often somebody else's: a sweep from a colleague, an exported ``best.yaml``, a
stored study. A name in it runs code, so only these names are allowed:

- public objects of Keras (``keras.optimizers.Adam``), but nothing that loads, saves, deserialises,
  downloads or deletes: ``keras.models.load_model``, ``keras.saving``, ``keras.utils.get_file``,
  ``keras.layers.Lambda`` and the like (see ``public``);
- Optuna's samplers, pruners and distributions;
- the objects of besom that are made for configs (``BESOMS_OWN``);
- functions that the user has given to ``besom.sweep`` or ``besom.train`` (see ``signed``);
- the project's own modules: their file lies under the current folder, or under the project's of a
  config that the command names by path, and not in a ``site-packages`` folder or a virtual
  environment there. Links and ``..`` are followed first.

A shell command in a config (``sweep.notify``) runs only where the user trusts its key.

The user trusts more in ``./conf/trusted.yaml``, by ``--trust`` (``trust=`` in Python) or in
``BESOM_TRUSTED``, and never in a config.

Checking a prefix is not enough: ``mine.os.system`` begins in the project and ends in ``os``. So a
name is checked twice: as text (``check_name``), and step by step while it is resolved
(``check_step``, ``check_object``), by the module in which each object was really defined. No step
leads into another package's module.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

from besom.errors import ConfigError
from besom.trust.policy import FILE, Trust, canonical, check_mapping
from besom.trust.public import KNOWN
from besom.trust.signed import FROM_PYTHON

__all__ = ["KNOWN", "Trust", "adopt", "canonical", "check_mapping", "current", "trusting"]

VARIABLE = "BESOM_TRUSTED"

_LARGEST_FILE = 65_536  # bytes; a list of names is far shorter

_CURRENT: ContextVar[Trust | None] = ContextVar("besom_trust", default=None)


def _here() -> Trust:
    return Trust(os.path.realpath(Path.cwd()), entries_here())


def current() -> Trust:
    """The trust in force: set by ``trusting`` or ``adopt``, else read from the user's settings."""
    return _CURRENT.get() or _here()


@contextmanager
def trusting(
    more: Iterable[str] = (),
    named: Iterable[tuple[str, str]] = (),
    projects: Iterable[Path] = (),
    functions: Path | None = None,
) -> Iterator[Trust]:
    """Fix what a command trusts, before any code of the user's can change folder or environment.

    Args:
        more: what ``--trust`` or ``trust=`` lists, in addition to what is already trusted.
        named: see ``Trust.named``.
        projects: see ``Trust.projects``; their modules are found before all others.
        functions: see ``Trust.functions``; None leaves it as it is.

    Raises:
        ConfigError: see ``entries_here``.
    """
    held = _CURRENT.get()
    trust = held or _here()
    if more:
        trust = replace(trust, entries=tuple({*trust.entries, *entries_here(more)}))
    if functions is not None:
        trust = replace(trust, functions=os.path.abspath(functions))  # noqa: PTH100
    resolved = (os.path.realpath(project) for project in projects)
    found = dict.fromkeys(folder for folder in resolved if folder not in trust.folders)
    trust = replace(trust, named=tuple(named), projects=(*found, *trust.projects))
    token = _CURRENT.set(trust)
    sys.path[:0] = found
    try:
        yield trust
    finally:
        _CURRENT.reset(token)
        for folder in found:
            with suppress(ValueError):  # the user's code may have removed it
                sys.path.remove(folder)


def adopt(trust: Trust) -> None:
    """Trust what the coordinator trusts, for the rest of this process: a worker's first act.

    The coordinator has checked the functions that its configs name, with a key that a worker on
    another machine may not have.
    """
    _CURRENT.set(replace(trust, entries=(*trust.entries, FROM_PYTHON)))


def entries_here(more: Iterable[str] = ()) -> tuple[str, ...]:
    """The dotted names of packages, modules and objects that the user trusts, each once.

    Args:
        more: what ``--trust`` or ``trust=`` lists.

    Raises:
        ConfigError: an entry is not a dotted name, or ``conf/trusted.yaml`` does not hold a list.
    """
    inherited = [name.strip() for name in os.environ.get(VARIABLE, "").split(",")]
    entries = [
        *(_checked(name, "--trust") for name in ([more] if isinstance(more, str) else more)),
        *(_checked(name, VARIABLE) for name in inherited if name),
        *(_checked(name, str(FILE)) for name in _in_file()),
    ]
    return tuple(dict.fromkeys(entries))


def _checked(name: Any, source: str) -> str:
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(
            f"{source} holds {name!r}, expected the dotted name of a package, a module or an "
            "object, such as my_package."
        )
    return name


def _in_file() -> list[Any]:
    """The entries of ``conf/trusted.yaml`` of the current folder, if there is one."""
    import yaml  # not needed in a worker, which gets the coordinator's trust

    try:
        if not FILE.is_file():
            if FILE.exists():
                raise ConfigError(
                    f"{FILE} is not a regular file; expected a YAML list of packages."
                )
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
