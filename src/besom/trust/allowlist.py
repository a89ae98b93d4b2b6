"""Reads what the user trusts; a config never decides that."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from besom.errors import ConfigError

FILE = Path("conf/trusted.yaml")
VARIABLE = "BESOM_TRUSTED"

_LARGEST_FILE = 65_536  # bytes; a list of names is far shorter


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
