"""One column of a table as a model's input, or as labels; what is wrong with it in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from besom.errors import DataError
from besom.text.counting import listed
from besom.text.values import given_text
from besom.training.data.array_checks import Array

#: A text column with more different values than these, most of them once, is no category.
_MOST_CATEGORIES = 100


def kind_of_column(column: Array) -> str:
    """How a checked column is encoded; see ``feature_space.ColumnFeatures``."""
    return {"f": "number", "i": "integer category"}.get(column.dtype.kind, "text category")


def first_row(which: Array) -> int:
    """The first of these rows, counted from 1 after the header, as people count."""
    return int(which.argmax()) + 1


def feature(series: Any, as_category: bool, file: Path) -> Array:
    """A column as a model's input.

    Raises:
        DataError: it holds neither numbers nor text, or both.
    """
    values, name = _values(series, as_category, file), series.name
    if values.dtype.kind == "O":
        if not as_category:
            _check_categories(values, name, file)
        return values
    if as_category:
        whole = np.asarray(values, np.float64)
        if (whole != np.floor(whole)).any():
            raise DataError(
                f"{file}: data.categorical names {name!r}, but it holds fractions such as "
                f"{values[whole != np.floor(whole)][0]}, which are no categories."
            )
        return values.astype(np.int64)
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float32)
    if not np.isfinite(numbers).all():
        row = first_row(~np.isfinite(numbers))
        raise DataError(
            f"{file}: the column {name!r} is {values[row - 1]} in row {row}, expected finite "
            "numbers (as float32)."
        )
    return numbers


def _values(series: Any, may_be_mixed: bool, file: Path) -> Array:
    """A column without missing values as numbers, or as text of dtype object."""
    import pandas as pd

    name = series.name
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    if pd.api.types.is_numeric_dtype(series.dtype):  # booleans are
        if pd.api.types.is_complex_dtype(series.dtype):
            raise DataError(f"{file}: the column {name!r} holds complex numbers.")
        kind = "float64" if pd.api.types.is_float_dtype(series.dtype) else None
        kind = "bool" if pd.api.types.is_bool_dtype(series.dtype) else kind
        return np.asarray(series.to_numpy(kind or "int64"))
    if not (pd.api.types.is_string_dtype(series.dtype) or series.dtype == object):
        raise DataError(
            f"{file}: the column {name!r} holds {series.dtype}, expected numbers or text. Turn it "
            "into numbers, or leave it out with data.exclude."
        )
    kinds = {type(value) for value in series}
    if kinds == {bool}:
        return np.asarray(series.to_numpy(bool))
    if not may_be_mixed:
        _check_not_mixed(series, kinds, file)
    values = np.empty(len(series), object)
    values[:] = [str(value) for value in series]
    return values


def _check_not_mixed(series: Any, kinds: set[type], file: Path) -> None:
    """Refuse a column of text and numbers: a typing error in a number, or a category?"""
    import pandas as pd

    remedy = f"Correct them, or set data.categorical=[{series.name}] if all are categories."
    if kinds - {str}:
        mixed = listed(sorted(kind.__name__ for kind in kinds))
        raise DataError(f"{file}: the column {series.name!r} holds {mixed} values. {remedy}")
    numbers = pd.to_numeric(series, errors="coerce").notna().to_numpy()
    if numbers.any() and not numbers.all():
        row = first_row(~numbers) if numbers.mean() > 0.5 else first_row(numbers)
        raise DataError(
            f"{file}: the column {series.name!r} mixes text and numbers: "
            f"{int(numbers.sum()):,} of {len(numbers):,} values are numbers, but row {row} is "
            f"{given_text(series.iloc[row - 1])}. {remedy}"
            if numbers.mean() > 0.5
            else f"{file}: the column {series.name!r} mixes text and numbers: row {row} is "
            f"{given_text(series.iloc[row - 1])}, but {int((~numbers).sum()):,} of "
            f"{len(numbers):,} values are text. {remedy}"
        )


def _check_categories(values: Array, name: str, file: Path) -> None:
    n = len(set(values))
    if n > _MOST_CATEGORIES and n > len(values) / 2:
        raise DataError(
            f"{file}: the column {name!r} has {n:,} different texts in {len(values):,} rows, so it "
            f"looks like a name or free text. Leave it out with data.exclude=[{name}], or set "
            f"data.categorical=[{name}] if they are categories."
        )


def labels_of(
    series: Any, as_classes: bool, file: Path, known: list[str] | None, is_training: bool
) -> tuple[Array, list[str] | None]:
    """One target: its labels, and the names of its classes if those are text.

    Args:
        known: the names of the classes in training.
    """
    name, values = series.name, _values(series, as_classes, file)
    if is_training and (values == values[0]).all():
        raise DataError(
            f"{file}: the target {name!r} has one value, {values.tolist()[0]!r}, in all "
            f"{len(values):,} rows: there is nothing to learn."
        )
    if known is None and values.dtype.kind != "O" and not (as_classes or values.dtype.kind == "b"):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = first_row(~np.isfinite(values))
            raise DataError(
                f"{file}: the target {name!r} is {values[row - 1]} in row {row}, expected finite "
                "numbers."
            )
        return values, None
    classes = values if known is None else np.array(known, object)
    if known is None:
        classes = np.unique(values)
        known = [str(value) for value in classes.tolist()]
    texts = np.array([str(value) for value in values.tolist()], object)
    number = {value: i for i, value in enumerate(known)}
    new = np.array([text not in number for text in texts])
    if new.any():
        raise DataError(
            f"{file}: the target {name!r} is {texts[new][0]!r} in row {first_row(new)}, which no "
            f"training row is; there they are {listed(known)}."
        )
    if len(known) > len(values) / 2 and len(known) > _MOST_CATEGORIES:
        raise DataError(
            f"{file}: the target {name!r} has {len(known):,} different texts in "
            f"{len(values):,} rows, which are no classes."
        )
    return np.array([number[text] for text in texts], np.int64), known
