"""What was given from Python, put together again; ``besom.python.datasets`` took it apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from besom.errors import ConfigError, DataError, reason_of
from besom.from_python import given_file
from besom.targets import resolve
from besom.training.data import streams
from besom.training.data.dataset import Dataset, NoTestExamples, Split

_PARTS = "parts.json"


def given(split: Split, train: str, name: str = "arrays") -> Dataset:
    """Return arrays, a ``Dataset`` or what a function makes, as given to ``besom.sweep``.

    Args:
        split: the part.
        train: the folder of the training part, in that of the study; the test part's is ``test``.
        name: for people to read.

    Raises:
        NoTestExamples: the test part is asked for, but was not given.
        ConfigError, DataError: something of it is missing or damaged.
    """
    folder = _folder(split, train)
    parts = _read(folder / _PARTS)
    if "made" in parts:
        return _as_dataset(_value(parts["made"], folder), name)
    return Dataset(**{"name": name, **_fields(parts, folder)})


def given_columns(split: Split, train: str) -> dict[str, Any]:
    """The columns of a table: arrays, and lists of text, numbers and None."""
    folder = _folder(split, train)
    return {
        name: _read(folder / part["text"]) if "text" in part else _value(part, folder)
        for name, part in _read(folder / _PARTS)["table"].items()
    }


def _folder(split: Split, train: str) -> Path:
    folder = given_file(str(train))
    if split == "test":
        folder = folder.with_name("test")
        if not (folder / _PARTS).exists():
            raise NoTestExamples("No test part was given: besom.sweep(..., test=(x, y)) gives one.")
    return folder


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {reason_of(error)}.") from error


def _fields(parts: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, part in parts.items():
        if "same" in part:
            fields[name] = fields[part["same"]]
        elif "dataset" in part:
            fields[name] = Dataset(**_fields(part["dataset"], folder))
        else:
            fields[name] = _value(part, folder)
    return fields


def _value(part: Mapping[str, Any], folder: Path) -> Any:
    """What one part stands for."""
    ((kind, said),) = part.items()
    if kind == "dict":
        return {key: _value(inner, folder) for key, inner in said}
    if kind in ("list", "tuple"):
        inner = [_value(item, folder) for item in said]
        return inner if kind == "list" else tuple(inner)
    if kind == "array":
        return _array(folder / said)
    if kind == "text":
        return np.array(_read(folder / said), object)
    if kind == "function":
        return _made(said)
    return said


def _array(file: Path) -> Any:
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {reason_of(error)}.") from error


def _made(named: str) -> Any:
    """What a function makes; a function that makes iterators is a stream itself."""
    function = resolve(named, "data")
    try:
        made = function()
    except (ConfigError, DataError):
        raise
    except Exception as error:  # whatever the user's code does
        label = named.rpartition(".")[2].rpartition("_")[0]
        raise DataError(f"data: {label}() failed: {reason_of(error)}.") from error
    return function if isinstance(made, Iterator) else made


def _as_dataset(made: Any, name: str) -> Dataset:
    if isinstance(made, Dataset):
        return made
    if isinstance(made, tuple) and len(made) in (2, 3):
        if len(made) == 2 and all(streams.is_stream(part) for part in made):
            return Dataset(x=made[0], x_validation=made[1], name=name)
        x, y, weight = (*made, None)[:3]
        return Dataset(x=x, y=y, sample_weight=weight, name=name)
    if streams.is_stream(made) or hasattr(made, "shape"):
        return Dataset(x=made, name=name)
    raise DataError(
        f"data: {name}() returned a {type(made).__name__}, expected (x, y), a Dataset, or a stream "
        "of batches."
    )
