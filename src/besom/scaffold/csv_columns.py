"""What the columns of a CSV file look like: which to predict from, and what the target is.

The file is read and checked by the code that reads it in a worker, so what is written here is
accepted there.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from besom.errors import DataError, did_you_mean, reason_of
from besom.regular import special_kind

#: Whole numbers with more different values are quantities, and so are those with fewer rows each.
MOST_CLASSES, FEWEST_PER_CLASS = 20, 10

#: A column with more missing values is left out, rather than so many rows.
MOST_MISSING = 0.3

#: As long as fewer of the rows are complete, the column with the most missing values is left out.
FEWEST_COMPLETE = 0.5

#: With fewer rows nothing can be held out and learned from.
FEWEST_ROWS = 20

#: A text column of numbers and text with at most so many different values has categories.
_MOST_MIXED = 50

#: A share of rows so far from the others, in units of their spread, has a long tail.
_FAR, _SHARE_FAR = 10.0, 0.002

#: One class with more of the rows leaves accuracy little to tell.
_DOMINANT = 0.8

_IDENTIFIER = re.compile(r"(?i)^(unnamed: \d+|index|id|key|.*[_ ]id|.*[a-z]I[dD]|row|nr|no)$")


@dataclass(frozen=True)
class TableGuess:
    """A table, as it is understood.

    Attributes:
        target: the column to predict.
        separator: what stands between two values.
        features: the columns to predict from.
        excluded: the other columns, and why each is left out.
        categorical: columns whose numbers are categories.
        drops: whether rows with missing values are dropped.
        n_rows: how many rows are left.
        n_classes: how many classes the target has; None: it is a quantity.
        is_dominated: whether nearly all rows are of one class.
        has_long_tail: whether a few targets are far from the others.
        mean, spread: of a quantity: its mean and its standard deviation.
    """

    target: str
    separator: str
    features: tuple[str, ...]
    excluded: dict[str, str]
    categorical: list[str]
    drops: bool
    n_rows: int
    n_classes: int | None = None
    is_dominated: bool = False
    has_long_tail: bool = False
    mean: float = 0.0
    spread: float = 1.0


def look_at(file: Path, target: str) -> TableGuess:
    """Read a CSV file and guess what to learn from it.

    Raises:
        DataError: it cannot be read, or nothing can be learned from it; says why.
    """
    frame, separator = _read(file)
    frame.columns = [str(column) for column in frame.columns]
    if target not in frame.columns:
        others = did_you_mean(target, list(frame.columns))
        raise DataError(f"--target is {target!r}, which is no column of {file}.{others}")
    columns = _Columns.of(frame, target, file)
    rows = frame[columns.complete(frame)]
    if len(rows) < FEWEST_ROWS:
        raise DataError(
            f"{file} has {len(rows)} complete rows, expected at least {FEWEST_ROWS}: some are held "
            "out for validation, and some for the test."
        )
    values = rows[target]
    is_quantity = _is_quantity(values)
    if not is_quantity and _need_names(values):
        columns.categorical.append(target)
    guess = TableGuess(
        target,
        separator,
        tuple(columns.features),
        columns.excluded,
        columns.categorical,
        len(rows) < len(frame),
        len(rows),
        None if is_quantity else int(values.nunique()),
    )
    _check(frame, file, guess)
    return _with_spread(guess, values)


def _read(file: Path) -> tuple[Any, str]:
    """The table, and what separates its values."""
    import pandas as pd

    if not file.exists():
        raise DataError(f"There is no file {str(file)!r}. Give the path of a CSV file.")
    if kind := special_kind(file):
        raise DataError(f"{file} is {kind}, expected a CSV file.")
    try:
        with file.open(encoding="utf-8", errors="replace") as text:
            header = text.readline(2**16)
        separator = max(",;\t|", key=header.count)
        frame = pd.read_csv(file, sep=separator, low_memory=False, skipinitialspace=True)
    except (ValueError, OSError, UnicodeError, TypeError, MemoryError) as error:
        # ParserError and EmptyDataError are ValueErrors.
        raise DataError(f"{file} cannot be read as CSV: {reason_of(error)}.") from error
    if not len(frame):
        raise DataError(f"{file} has no rows.")
    return frame, separator


@dataclass
class _Columns:
    """The columns besides the target, sorted out."""

    features: list[str] = field(default_factory=list)
    excluded: dict[str, str] = field(default_factory=dict)
    categorical: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, frame: Any, target: str, file: Path) -> _Columns:
        found = cls()
        for name in frame.columns:
            if name == target:
                continue
            if why := _objection(frame[name], file):
                found.excluded[name] = why
                continue
            found.features.append(name)
            if _refused(frame[name], file):
                found.categorical.append(name)
        while found.complete(frame).mean() < FEWEST_COMPLETE:
            gaps = frame[found.features].isna().mean()
            found.excluded[gaps.idxmax()] = f"missing in {gaps.max():.0%} of the rows"
            found.features.remove(gaps.idxmax())
        if not found.features:
            told = "; ".join(f"{name} ({why})" for name, why in list(found.excluded.items())[:3])
            left = f" Left out: {told}." if told else ""
            raise DataError(f"{file}: no column is left to predict {target!r} from.{left}")
        return found

    def complete(self, frame: Any) -> Any:
        """Which rows have a value in every feature, bool, shape (n_rows,)."""
        return ~frame[self.features].isna().any(axis=1).to_numpy()


def _objection(series: Any, file: Path) -> str:
    """Why a column is not to be predicted from, in a phrase; empty if it is."""
    values = series.dropna()
    if not len(values):
        return "empty"
    missing = 1 - len(values) / len(series)
    if missing > MOST_MISSING:
        return f"missing in {missing:.0%} of the rows"
    n_different = values.nunique()
    if n_different == 1:
        return "the same in every row"
    if "/" in series.name or not series.name:
        return "a name that no input of a model can have"
    if _is_identifier(values, n_different):
        return "another number in each row"
    if _are_dates(values):
        return "dates; with data.order=COLUMN the latest rows are held out"
    if _refused(values, file) and n_different > _MOST_MIXED:
        return "names or free text"
    return ""


def _refused(series: Any, file: Path) -> bool:
    """Whether besom would not read a column unless told that it has categories."""
    from besom.training.data.tabular.frame_columns import feature

    try:
        feature(series.dropna(), False, file)
    except DataError:
        return True
    return False


def _is_identifier(values: Any, n_different: int) -> bool:
    if values.dtype.kind not in "iu" or n_different < len(values) or len(values) < FEWEST_ROWS:
        return False
    counts = bool((np.abs(np.diff(values.to_numpy())) == 1).all())
    return counts or _IDENTIFIER.match(values.name) is not None


def _are_dates(values: Any) -> bool:
    """Whether text is dates, by its first rows."""
    import pandas as pd

    if not pd.api.types.is_string_dtype(values.dtype) and values.dtype != object:
        return False
    few = [str(value) for value in values.head(50)]
    if any(not re.search(r"\d.*[-/.: ].*\d", text) for text in few):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each way to write a date that is tried
        return bool(pd.to_datetime(few, errors="coerce", format="mixed").notna().all())


def _is_quantity(values: Any) -> bool:
    """Whether a target is a quantity: its numbers are too many, or not whole."""
    if values.dtype.kind not in "iuf":
        return False
    numbers = values.to_numpy(np.float64)
    if not np.isfinite(numbers).all() or (numbers != np.floor(numbers)).any():
        return True
    n = int(values.nunique())
    return n > max(2, min(MOST_CLASSES, len(values) / FEWEST_PER_CLASS))


def _need_names(values: Any) -> bool:
    """Whether class numbers are no such: from 0 on, none left out."""
    if values.dtype.kind not in "iuf":
        return False
    return sorted({float(value) for value in values}) != list(map(float, range(values.nunique())))


def _check(frame: Any, file: Path, guess: TableGuess) -> None:
    """Read the table as a worker will, which refuses what cannot be learned from."""
    from besom.training.data.tabular.frame_table import Table, TableOptions

    options = TableOptions.of(
        "csv",
        target=guess.target,
        features=None,
        exclude=list(guess.excluded),
        categorical=list(guess.categorical),
        group=None,
        order=None,
        missing="drop" if guess.drops else "refuse",
        unseen="refuse",
        encode=True,
    )
    Table.of(frame, file, options)


def _with_spread(guess: TableGuess, values: Any) -> TableGuess:
    if guess.n_classes is not None:
        largest = float(values.value_counts(normalize=True).max())
        return replace(guess, is_dominated=largest > _DOMINANT)
    numbers = values.to_numpy(np.float64)
    off = np.abs(numbers - np.median(numbers))
    usual = float(np.median(off[off > 0])) if (off > 0).any() else 1.0
    has_long_tail = bool((off > _FAR * usual).mean() > _SHARE_FAR)
    mean, spread = (float(f"{number:.4g}") for number in (numbers.mean(), numbers.std()))
    return replace(guess, has_long_tail=has_long_tail, mean=mean, spread=spread or 1.0)
