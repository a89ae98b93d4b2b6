"""Reads YAML files that anyone may have written, and refuses those that would do harm.

OmegaConf and Hydra read any path to its end and build whatever is in it. A named pipe hangs them,
nine lines of aliases fill the memory, and deep nesting ends in a ``RecursionError``. So besom looks
at a file first, and counts its values with a parser that builds nothing.
"""

from __future__ import annotations

import copy
import functools
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from besom.errors import ConfigError
from besom.regular import special_kind

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
    return YamlFile(text[:512], {str(key): value for key, value in loaded.items()})


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
