"""Arrays and tables, taken apart into files that a worker puts together again.

``besom.training.data.given`` reads what is written here: ``parts.json`` says what each part of a
dataset is, and the arrays lie beside it, as ``.npy`` for workers to memory-map.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from besom.errors import DataError, reason_of
from besom.python.functions import GivenFunction, given_function, is_code
from besom.python.spaces import plain
from besom.store.paths import write_atomically

#: What says how the files are put together.
PARTS = "parts.json"

_TUPLE = ("x", "y", "sample_weight")

#: Fields of a ``Dataset`` that are no arrays.
_SAID = ("name", "class_names", "num_classes", "scale")


@dataclass
class GivenData:
    """One part of a dataset, ready to be written.

    Attributes:
        parts: what it is made of, plain.
        arrays: by file name.
        texts: plain lists, by file name.
        functions: those that make a part of it.
        table: whether it is a table.
    """

    label: str
    parts: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, Any] = field(default_factory=dict)
    functions: list[GivenFunction] = field(default_factory=list)
    table: bool = False

    @cached_property
    def digest(self) -> str:
        """16 hex digits of all that is in it."""
        digest = hashlib.blake2b(digest_size=8)
        digest.update(json.dumps([self.parts, self.texts]).encode())
        for file, array in self.arrays.items():
            digest.update(f"{file} {array.dtype} {array.shape}".encode())
            rows = max(1, 2**24 // max(1, array[:1].nbytes))
            for start in range(0, len(array), rows):  # of a file, a part after the other
                digest.update(np.ascontiguousarray(array[start : start + rows]).view(np.uint8))
        return digest.hexdigest()

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.label if self.label == "test" else f"{self.label}_{self.digest}"

    def write(self, folder: Path) -> None:
        """Write the files, ``parts.json`` last; a folder that has it is whole, and left alone."""
        if (folder / PARTS).exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        for file, array in self.arrays.items():
            np.save(folder / file, array, allow_pickle=False)
        for file, values in self.texts.items():
            (folder / file).write_text(json.dumps(values), encoding="utf-8")
        write_atomically(folder / PARTS, json.dumps(self.parts))


def given_data(data: Any, label: str) -> GivenData:
    """Take apart what the user gave as ``data`` or ``test``.

    Args:
        data: ``(x, y)``, ``(x, y, sample_weight)``, a ``Dataset``, a table, an array alone, a
            function without parameters that makes one of these or a stream, or two such functions
            that make the training and the validation stream.
        label: ``train`` or ``test``.

    Raises:
        DataError: none of these.
        ConfigError: a function that cannot be pickled.
    """
    given = GivenData(label)
    if is_table(data):
        given.table = True
        given.parts = {"table": dict(_columns(data, given))}
    elif _is_dataset(data):
        given.parts = _fields(data, given)
    elif is_code(data):
        given.parts = {"made": _leaf(data, given, "data")}
    elif isinstance(data, tuple) and len(data) in (2, 3):
        names = ("x", "x_validation") if all(map(is_code, data)) and len(data) == 2 else _TUPLE
        given.parts = _parts(dict(zip(names, data, strict=False)), given)
    elif isinstance(data, tuple | list | Mapping) or not hasattr(data, "shape"):
        _refuse_stream(data, "data")
        raise DataError(
            f"{_role(label)} is {_kind(data)}, expected (x, y), (x, y, sample_weight), a Dataset, "
            "a pandas DataFrame with target='COLUMN', or a function that makes the data."
        )
    else:
        given.parts = _parts({"x": data}, given)
    return given


def _role(label: str) -> str:
    return "test" if label == "test" else "data"


def is_table(data: Any) -> bool:
    """Whether it is a pandas DataFrame."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def _is_dataset(data: Any) -> bool:
    module = sys.modules.get("besom.training.data.dataset")
    return module is not None and isinstance(data, module.Dataset)


def _kind(data: Any) -> str:
    if isinstance(data, tuple | list):
        return f"a {type(data).__name__} of {len(data)}"
    return f"a {type(data).__name__}"


def _fields(dataset: Any, given: GivenData, prefix: str = "") -> dict[str, Any]:
    """The fields of a ``Dataset`` that are set."""
    defaults = {f.name: f.default for f in dataclasses.fields(dataset)}
    values = {name: getattr(dataset, name) for name in defaults}
    for name in ("columns", "kept"):
        if values.pop(name) is not None:
            raise DataError(
                f"data has Dataset({name}=...), which belongs to a table from a file: give the "
                "DataFrame itself, with target='COLUMN'."
            )
    return _parts({k: v for k, v in values.items() if v is not defaults[k]}, given, prefix)


def _parts(values: Mapping[str, Any], given: GivenData, prefix: str = "") -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for name, value in values.items():
        if value is None:
            continue
        if name == "y" and value is values["x"]:  # an autoencoder's
            parts[name] = {"same": "x"}
        elif name in _SAID:
            parts[name] = {"value": plain(value, f"data: {name}")}
        elif _is_dataset(value):
            parts[name] = {"dataset": _fields(value, given, f"{name}.")}
        else:
            parts[name] = _nest(value, given, f"{prefix}{name}")
    return parts


def _nest(value: Any, given: GivenData, path: str) -> dict[str, Any]:
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str | int):
                raise DataError(f"{path} has the key {key!r}, expected the names of inputs.")
        return {"dict": [[k, _nest(v, given, f"{path}.{k}")] for k, v in value.items()]}
    if isinstance(value, list | tuple) and any(
        hasattr(part, "shape") or isinstance(part, Mapping) for part in value
    ):
        inner = [_nest(part, given, f"{path}[{i}]") for i, part in enumerate(value)]
        return {"list" if isinstance(value, list) else "tuple": inner}
    return _leaf(value, given, path)


def _leaf(value: Any, given: GivenData, path: str) -> dict[str, Any]:
    """One array, plain value, or function."""
    if is_code(value):
        function = given_function(value, f"The function of {path},")
        given.functions.append(function)
        return {"function": function.target}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    _refuse_stream(value, path)
    if hasattr(value, "row_splits"):
        raise DataError(
            f"{path} is a ragged tensor, which no file holds: give a function that makes it, "
            "data=make."
        )
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different length
        raise DataError(f"{path} is no array: {reason_of(error)}.") from error
    if array.ndim == 0:
        if array.dtype == object:
            raise DataError(f"{path} is {_kind(value)}, expected an array.")
        return {"value": array.item()}
    file = f"{len(given.arrays) + len(given.texts)}-{_file_name(path)}"
    if array.dtype != object:
        given.arrays[f"{file}.npy"] = array
        return {"array": f"{file}.npy"}
    given.texts[f"{file}.json"] = _as_texts(array, path)
    return {"text": f"{file}.json"}


def _file_name(path: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in path)[:40]


def _as_texts(array: Any, path: str) -> Any:
    """An array of Python objects as lists of text."""

    def text(value: Any) -> str:
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        if not isinstance(value, str):
            raise DataError(
                f"{path} is an array of Python objects, among them a {type(value).__name__}. Give "
                "an array of numbers, or of text alone."
            )
        return value

    texts = np.empty(array.shape, object)
    texts.flat = [text(value) for value in array.flat]
    return texts.tolist()


def _refuse_stream(value: Any, path: str) -> None:
    """Refuse what can be read once, or reshuffles differently each time it is read."""
    tensorflow, keras = sys.modules.get("tensorflow"), sys.modules.get("keras")
    is_stream = isinstance(value, Iterator)
    is_stream |= tensorflow is not None and isinstance(value, tensorflow.data.Dataset)
    is_stream |= keras is not None and isinstance(value, keras.utils.PyDataset)
    if is_stream:
        raise DataError(
            f"{path} is {_kind(value)}: workers cannot share one, and each trial has to read it "
            "from its beginning. Give the function that makes it: data=make, not data=make()."
        )


# --- tables ---------------------------------------------------------------------------------------


def _columns(frame: Any, given: GivenData) -> Iterator[tuple[str, Any]]:
    """The columns of a table, each in a file."""
    names = [str(column) for column in frame.columns]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise DataError(f"The table has two columns {name!r}: rename one.")
        yield name, _column(frame.iloc[:, i], given, name)


def _column(series: Any, given: GivenData, name: str) -> dict[str, Any]:
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    types, gaps = pd.api.types, series.isna()
    if types.is_datetime64_any_dtype(series.dtype):
        if getattr(series.dt, "tz", None) is not None:
            series = series.dt.tz_convert(None)
        array = series.to_numpy("datetime64[ns]")
    elif types.is_bool_dtype(series.dtype) and series.dtype != object and not gaps.any():
        array = series.to_numpy(bool)
    elif types.is_numeric_dtype(series.dtype):
        whole = types.is_integer_dtype(series.dtype) and not gaps.any()
        array = series.to_numpy() if whole else series.to_numpy("float64", na_value=np.nan)
        array = array.astype("int64") if array.dtype == object else array
    elif types.is_string_dtype(series.dtype) or series.dtype == object:
        file = f"{len(given.arrays) + len(given.texts)}-{_file_name(name)}.json"
        values = [None if gap else v for v, gap in zip(series, gaps, strict=True)]
        given.texts[file] = [_cell(value, name) for value in values]
        return {"text": file}
    else:
        raise DataError(
            f"The column {name!r} of the table holds {series.dtype}, expected numbers, text or "
            "dates. Convert it, or leave it out of the DataFrame."
        )
    return _leaf(array, given, name)


def _cell(value: Any, name: str) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise DataError(
        f"The column {name!r} of the table holds a {type(value).__name__}, expected numbers or "
        "text. Convert it, or leave it out of the DataFrame."
    )
