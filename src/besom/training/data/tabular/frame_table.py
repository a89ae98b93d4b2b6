"""The rows of one part of a table: its columns found, checked and made inputs and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from besom.errors import DataError, did_you_mean
from besom.text.counting import counted, listed
from besom.text.values import given_text
from besom.training.data.array_checks import Array
from besom.training.data.dataset import Dataset
from besom.training.data.tabular.feature_space import ColumnFeatures
from besom.training.data.tabular.frame_columns import feature, first_row, kind_of_column, labels_of


@dataclass(frozen=True)
class TableOptions:
    """What a config says of a table; see ``besom.training.data.csv``."""

    target: Sequence[str]
    features: Sequence[str] | None = None
    exclude: Sequence[str] = ()
    categorical: Sequence[str] = ()
    group: str | None = None
    order: str | bool | None = None
    missing: str = "refuse"
    unseen: str = "refuse"
    encode: bool = True

    @classmethod
    def of(cls, option: str, **given: Any) -> TableOptions:
        """Check the options.

        Args:
            option: csv or parquet.
            given: the attributes, as the config gives them.

        Raises:
            DataError: one of them is of the wrong kind.
        """
        for name in ("target", "features", "exclude", "categorical"):
            if name != "features" or given[name] is not None:
                given[name] = _names(given[name], name)
        if not given["target"]:
            raise DataError(f"data={option} needs data.target=COLUMN: the column to predict.")
        for name, expected in _EXPECTED.items():
            if given[name] not in expected:
                choices = " or ".join("null" if e is None else str(e).lower() for e in expected)
                raise DataError(f"data.{name}={given_text(given[name])}: expected {choices}.")
        for name in ("group", "order"):
            value = given[name]
            if (
                value is not None
                and not isinstance(value, str)
                and (name, value) != ("order", True)
            ):
                raise DataError(
                    f"data.{name}={given_text(value)}: expected the name of a column"
                    + (", or true." if name == "order" else ".")
                )
        return cls(**given)


_EXPECTED = {
    "missing": ("refuse", "drop"),
    "unseen": ("refuse", "unknown"),
    "encode": (True, False),
}


def _names(value: Any, option: str) -> list[str]:
    names = [value] if isinstance(value, str) else value or []
    if not isinstance(names, list | tuple) or not all(isinstance(n, str | int) for n in names):
        raise DataError(
            f"data.{option}={given_text(value)}: expected the name of a column, or a list of names."
        )
    return [str(name) for name in names]


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of one part, read and checked.

    Attributes:
        x: the features by column: float32, int64 for categories that are numbers, or text.
        y: class numbers, quantities, a matrix, or a dict by column.
        class_names: of ``y``; None where the labels are numbers.
        kept: (n_rows,) which of the file's rows these are; None: all.
    """

    x: dict[str, Array]
    y: Any
    class_names: Any
    groups: Array | None
    order: Array | None
    wanted: TableOptions
    kept: Array | None

    @classmethod
    def of(cls, frame: Any, file: Path, wanted: TableOptions, train: Table | None = None) -> Table:
        """Check the table of a file.

        Args:
            frame: a ``pandas.DataFrame``.
            file: where it comes from.
            wanted: what the config says of it.
            train: the training part, if this is the test part.
        """
        frame.columns = [str(column) for column in frame.columns]
        if not len(frame):
            raise DataError(f"{file} has no rows.")
        if train is None:
            names, keys = _features(frame.columns, wanted, file), wanted
        else:
            names, keys = list(train.x), replace(wanted, group=None, order=None)
        for option, columns in (("target", wanted.target), ("features", names)):
            _check_known(columns, frame.columns, option, file)
        kept = _complete(frame, names, wanted, file)
        if kept is not None:
            frame = frame[kept].reset_index(drop=True)
        x = {name: feature(frame[name], name in wanted.categorical, file) for name in names}
        if train is not None:
            _check_like_training(x, train, file)
        y, class_names = _labels(frame, wanted, file, train)
        order: Any = None
        if keys.order is not None:
            order = np.arange(len(frame)) if keys.order is True else frame[keys.order].to_numpy()
        groups = None if keys.group is None else frame[keys.group].to_numpy()
        return cls(x, y, class_names, groups, order, wanted, kept)

    def dataset(self, name: str) -> Dataset:
        """These rows as a dataset."""
        kinds = ColumnFeatures(
            {key: kind_of_column(column) for key, column in self.x.items()}, self.wanted.encode
        )
        return Dataset(
            x=self.x,
            y=self.y,
            name=name,
            class_names=self.class_names,
            num_classes=_n_classes(self.class_names),
            groups=self.groups,
            order=self.order,
            columns=kinds,
            kept=self.kept,
        )


def _n_classes(class_names: Any) -> Any:
    if isinstance(class_names, dict):
        return {key: None if names is None else len(names) for key, names in class_names.items()}
    return None if class_names is None else len(class_names)


def _check_known(names: Sequence[str], columns: Any, option: str, file: Path) -> None:
    for name in names:
        if name not in columns:
            is_one = len(columns) == 1 and any(mark in columns[0] for mark in ";\t|")
            raise DataError(
                f"data.{option} names the column {name!r}, which {file} does not have."
                + did_you_mean(name, columns)
                + (" It has one column: is data.separator right?" if is_one else "")
            )


def _features(columns: Any, wanted: TableOptions, file: Path) -> list[str]:
    """The columns that a prediction is made from.

    Raises:
        DataError: there is none, the target is among them, or a name in the config is not there.
    """
    keys = {k: [v] for k in ("group", "order") if isinstance(v := getattr(wanted, k), str)}
    for option in ("target", "features", "exclude", "categorical"):
        _check_known(getattr(wanted, option) or (), columns, option, file)
    for option, names in keys.items():
        _check_known(names, columns, option, file)
    left_out = {*wanted.exclude, *(name for names in keys.values() for name in names)}
    if wanted.features is None:
        found = [name for name in columns if name not in {*left_out, *wanted.target}]
    else:
        found = [name for name in wanted.features if name not in left_out]
    if told := [name for name in found if name in wanted.target]:
        raise DataError(f"data.features names {told[0]!r}, which is data.target.")
    if not found:
        raise DataError(
            f"{file}: no column is left to predict {listed(wanted.target)} from. It has "
            f"{listed(list(columns))}."
        )
    for name in found:
        if "/" in name or not name:
            raise DataError(
                f"{file}: the column {name!r} cannot be the name of a model's input, which may "
                "hold no slash. Rename it, or leave it out with data.exclude."
            )
    return found


def _complete(frame: Any, names: Sequence[str], wanted: TableOptions, file: Path) -> Array | None:
    """Which rows have no missing values; None: all of them.

    Raises:
        DataError: gives the columns that have some; a target may have none.
    """
    for name in wanted.target:
        missing = frame[name].isna().to_numpy()
        if missing.any():
            raise DataError(
                f"{file}: the target {name!r} is missing (NaN) in "
                f"{counted(int(missing.sum()), 'row')}, the first is row {first_row(missing)}. "
                "Fill them in, or remove them."
            )
    gaps = frame[list(names)].isna()
    if not gaps.to_numpy().any():
        return None
    if wanted.missing == "drop":
        kept: Array = ~gaps.any(axis=1).to_numpy()
        if not kept.any():
            raise DataError(
                f"{file}: every row has a missing value, so data.missing=drop left none."
            )
        return kept
    counts = gaps.sum()
    where = listed([f"{name} ({n:,})" for name, n in counts[counts > 0].items()])
    raise DataError(
        f"{file}: values are missing in {counted(int(gaps.any(axis=1).sum()), 'row')}, in the "
        f"columns {where}. Fill them in, leave these columns out with data.exclude, or set "
        "data.missing=drop to drop the rows."
    )


_HOLDS = {"number": "numbers", "integer category": "whole numbers", "text category": "text"}


def _check_like_training(x: dict[str, Array], train: Table, file: Path) -> None:
    """Refuse a test part whose columns hold other things than in training.

    Raises:
        DataError: names the column, and the categories that are new.
    """
    for name, column in x.items():
        known = train.x[name]
        if kind_of_column(column) != kind_of_column(known):
            is_, was = (_HOLDS[kind_of_column(c)] for c in (column, known))
            raise DataError(
                f"{file}: the column {name!r} holds {is_}, but {was} in the training file."
            )
        if column.dtype.kind == "f" or train.wanted.unseen == "unknown":
            continue
        new = np.isin(column.astype(known.dtype), np.unique(known), invert=True)
        if new.any():
            values = listed([repr(v) for v in sorted(set(column[new].tolist()))])
            raise DataError(
                f"{file}: the column {name!r} has categories that the training file does not have: "
                f"{values} (in {counted(int(new.sum()), 'row')}). Correct them, or set "
                "data.unseen=unknown to take them as unknown."
            )


# --- labels ---------------------------------------------------------------------------------------


def _labels(
    frame: Any, wanted: TableOptions, file: Path, train: Table | None
) -> tuple[Any, dict[str, Any] | list[str] | None]:
    """The labels, and the names of their classes where they are text."""
    columns: dict[str, Array] = {}
    names: dict[str, list[str] | None] = {}
    for name in wanted.target:
        known = None
        if train is not None:
            known = train.class_names
            known = known[name] if isinstance(known, dict) else known
        columns[name], names[name] = labels_of(
            frame[name], name in wanted.categorical, file, known, train is None
        )
    if len(columns) == 1:
        (name,) = columns
        return columns[name], names[name]
    if all(n is None for n in names.values()):
        values = list(columns.values())
        if any(v.dtype.kind == "f" for v in values):
            return np.stack([v.astype(np.float32) for v in values], axis=1), None
        if all(((v == 0) | (v == 1)).all() for v in values):
            return np.stack(values, axis=1), None
    return columns, dict(names)
