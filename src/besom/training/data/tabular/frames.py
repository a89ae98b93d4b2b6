"""``data=csv`` and ``data=parquet``: one part of a table, its columns as a model's inputs.

Numbers become float32, text and what ``categorical`` names become categories. How the columns are
encoded is learned later, from the training part alone (``feature_space``).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from besom.errors import DataError, reason_of
from besom.regular import special_kind
from besom.text.values import given_text
from besom.training.data.dataset import Dataset, NoTestExamples, Split
from besom.training.data.reading.given import given_columns
from besom.training.data.tabular.frame_table import Table, TableOptions

_Missing = Literal["refuse", "drop"]


def csv(
    split: Split,
    path: str,
    target: str | Sequence[str] | None,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categorical: Sequence[str] = (),
    test_path: str | None = None,
    separator: str = ",",
    missing: _Missing = "refuse",
    unseen: Literal["refuse", "unknown"] = "refuse",
    group: str | None = None,
    order: str | bool | None = None,
    encode: bool = True,
) -> Dataset:
    """Return the rows of a CSV file as examples.

    Args:
        split: the part.
        path: the file, its first line the columns' names.
        target: the column to predict, or several. Text becomes classes that keep their names.
        features: the columns to predict it from; None: all others.
        exclude: columns that are no features, such as an identifier.
        categorical: columns of numbers that are categories; of text, whose values look mixed.
        test_path: a file with the test part; None: there is none here.
        separator: what stands between two values.
        missing: ``refuse`` rows with missing values, or ``drop`` them.
        unseen: ``refuse`` categories that only the test file has, or take them as ``unknown``.
        group: the column that says what an example belongs to; no feature then.
        order: the column that says when an example was taken, no feature then; true: the rows are
            in order.
        encode: one vector of floats per example; false: a dict of the columns, for a model that
            encodes them itself.

    Raises:
        NoTestExamples: the test part is asked for, but there is no ``test_path``.
        DataError: the file is missing or no such file, a column is missing or unusable.
    """

    def read(file: Path) -> Any:
        import pandas as pd

        try:
            return pd.read_csv(file, sep=separator, low_memory=False, skipinitialspace=True)
        except (ValueError, OSError, UnicodeError, TypeError, MemoryError) as error:
            # ParserError and EmptyDataError are ValueErrors.
            raise DataError(f"{file} cannot be read as CSV: {reason_of(error)}.") from error

    options = TableOptions.of(
        "csv",
        target=target,
        features=features,
        exclude=exclude,
        categorical=categorical,
        group=group,
        order=order,
        missing=missing,
        unseen=unseen,
        encode=encode,
    )
    return _part(read, split, path, test_path, options, "csv")


def parquet(
    split: Split,
    path: str,
    target: str | Sequence[str] | None,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categorical: Sequence[str] = (),
    test_path: str | None = None,
    missing: _Missing = "refuse",
    unseen: Literal["refuse", "unknown"] = "refuse",
    group: str | None = None,
    order: str | bool | None = None,
    encode: bool = True,
) -> Dataset:
    """Return the rows of a Parquet file as examples; the arguments are those of ``csv``.

    Raises:
        NoTestExamples, DataError: as ``csv``; also if pyarrow is not installed.
    """

    def read(file: Path) -> Any:
        import pandas as pd

        try:
            importlib.import_module("pyarrow")
        except ImportError as error:
            raise DataError(
                "data=parquet needs pyarrow, which is not installed: pip install 'besom[parquet]'."
            ) from error
        try:
            return pd.read_parquet(file, engine="pyarrow")
        except (ValueError, OSError, TypeError, MemoryError) as error:
            # pyarrow's errors are ValueErrors and OSErrors.
            raise DataError(f"{file} cannot be read as Parquet: {reason_of(error)}.") from error

    options = TableOptions.of(
        "parquet",
        target=target,
        features=features,
        exclude=exclude,
        categorical=categorical,
        group=group,
        order=order,
        missing=missing,
        unseen=unseen,
        encode=encode,
    )
    return _part(read, split, path, test_path, options, "parquet")


def frame(
    split: Split,
    train: str,
    target: str | Sequence[str] | None,
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categorical: Sequence[str] = (),
    missing: _Missing = "refuse",
    unseen: Literal["refuse", "unknown"] = "refuse",
    group: str | None = None,
    order: str | bool | None = None,
    encode: bool = True,
    name: str = "table",
) -> Dataset:
    """Return the rows of a ``pandas.DataFrame`` that was given to ``besom.sweep``.

    ``train`` is the folder of the training part; the other arguments are those of ``csv``.

    Raises:
        NoTestExamples, DataError: as ``csv``.
    """
    options = TableOptions.of(
        "frame",
        target=target,
        features=features,
        exclude=exclude,
        categorical=categorical,
        group=group,
        order=order,
        missing=missing,
        unseen=unseen,
        encode=encode,
    )
    columns = given_columns(split, train)
    table = Table.of(_frame(given_columns("train", train)), Path(name), options)
    if split == "train":
        return table.dataset(name)
    return Table.of(_frame(columns), Path(f"{name} (test)"), options, table).dataset(name)


def _frame(columns: Mapping[str, Any]) -> Any:
    import pandas as pd

    return pd.DataFrame({key: pd.Series(column) for key, column in columns.items()})


def _part(
    read: Callable[[Path], Any],
    split: Split,
    path: Any,
    test_path: Any,
    options: TableOptions,
    option: str,
) -> Dataset:
    if path in (None, "???"):
        raise DataError(f"data={option} needs data.path=FILE: a table with a row per example.")
    file = _existing(path, "path", option)
    if split == "test" and test_path is None:
        raise NoTestExamples(
            f"data={option} has no test part: set data.test_path=FILE, or data.test_split to a "
            "share of the rows."
        )
    train = Table.of(read(file), file, options)
    if split == "train":
        return train.dataset(file.stem)
    other = _existing(test_path, "test_path", option)
    return Table.of(read(other), other, options, train).dataset(file.stem)


def _existing(path: Any, option: str, kind: str) -> Path:
    if not isinstance(path, str):
        raise DataError(f"data.{option}={given_text(path)}: expected the path of a {kind} file.")
    file = Path(os.path.expandvars(os.path.expanduser(path)))  # noqa: PTH111
    try:
        found = file.exists()
    except (OSError, ValueError):  # a name that is too long, or holds a null byte
        found = False
    if not path or not found:
        raise DataError(
            f"data.{option}={path} does not exist (looked for {file.absolute()}). Expected a "
            f"{kind} file."
        )
    if odd := special_kind(file):
        raise DataError(f"data.{option}={path} is {odd}, expected a {kind} file.")
    return file
