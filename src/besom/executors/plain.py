"""What may leave a worker: dicts, lists, text and numbers, whatever a trial function returned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from besom.seam import PER_EXAMPLE, TrialResult


def plain(value: Any, where: str) -> Any:
    """Return ``value`` as dicts, lists and scalars; numpy's scalars become Python's.

    Raises:
        TypeError: it holds anything else; the message says ``where`` and what.
    """
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise TypeError(f"{where} is an integer of {value.bit_length()} bits, expected at most 64")
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, Mapping):
        return {_text(key): plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, where) for item in value]
    if isinstance(value, str):  # subclasses: an enum, numpy.str_
        return _text(value)
    for scalar in (bool, int, float):
        if isinstance(value, scalar):  # numpy.float64
            return scalar(value)
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        return plain(item(), where)
    raise TypeError(f"{where} is a {_kind(value)}: only dicts, lists, text and numbers may leave")


def plain_numbers(values: Mapping[str, Any], where: str) -> dict[str, float]:
    """Return a mapping of names to Python floats.

    Raises:
        TypeError: it is not a mapping, or a value is not a number; says ``where`` and what.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"{where} is a {_kind(values)}, expected names to numbers")
    return {_text(name): _number(value, f"{where}[{name!r}]") for name, value in values.items()}


def plain_result(result: Any) -> TrialResult:
    """Return a copy of what a trial function returned, made of plain data only.

    Raises:
        TypeError: it is not a ``TrialResult``, or holds what may not leave the worker.
        ValueError: the lists of its history differ in length, or its predictions do not fit them.
    """
    if not isinstance(result, TrialResult):
        raise TypeError(
            f"the trial function returned a {_kind(result)}, expected a besom.seam.TrialResult"
        )
    history = {
        _text(metric): [_number(value, f"history[{metric!r}]") for value in values]
        for metric, values in result.history.items()
    }
    if len({len(values) for values in history.values()}) > 1:
        lengths = ", ".join(f"{metric}: {len(values)}" for metric, values in history.items())
        raise ValueError(f"the lists of the history differ in length ({lengths})")
    best_epoch = None if result.best_epoch is None else int(result.best_epoch)
    n_epochs = max(map(len, history.values()), default=0)
    if best_epoch is not None and not 1 <= best_epoch <= n_epochs:
        raise ValueError(f"best_epoch is {best_epoch}, expected 1 to {n_epochs}, or None")
    checked: dict[str, Any] = {
        "history": history,
        "numbers": plain_numbers(result.numbers, "numbers"),
        "best_epoch": best_epoch,
        "correct": None if result.correct is None else bytes(result.correct),
        "correct_by_epoch": _plain_epochs(result),
        "per_example": {
            _text(metric): _plain_examples(_text(metric), known, result)
            for metric, known in result.per_example.items()
        },
    }
    names = [f.name for f in fields(TrialResult) if f.name not in checked]
    return TrialResult(**checked, **{name: plain(getattr(result, name), name) for name in names})


def _plain_epochs(result: TrialResult) -> list[bytes] | None:
    if result.correct_by_epoch is None:
        return None
    rows = [bytes(row) for row in result.correct_by_epoch]
    if len(rows) != result.epochs:
        raise ValueError(
            f"correct_by_epoch has {len(rows)} entries for {result.epochs} epochs of history"
        )
    size = (int(result.n_validation) + 7) // 8
    if wrong := [len(row) for row in rows if len(row) != size]:
        raise ValueError(
            f"correct_by_epoch has an entry of {wrong[0]} bytes, expected {size}: one bit each for "
            f"{result.n_validation} validation examples (numpy.packbits)"
        )
    return rows


def _plain_examples(metric: str, known: Any, result: TrialResult) -> dict[str, Any]:
    """What is kept of each example by a metric, checked to be as many bytes as it must be."""
    where, n = f"per_example[{metric!r}]", int(result.n_validation)
    found = plain(known, where)
    if not isinstance(found, dict) or found.get("kind") not in PER_EXAMPLE:
        raise ValueError(f"{where} has no kind of {', '.join(PER_EXAMPLE)}")
    rows = [found.get("values"), *(found.get("by_epoch") or ())]
    if len(rows) not in (1, 1 + result.epochs):
        raise ValueError(f"{where} has {len(rows) - 1} epochs for {result.epochs} of history")
    n_rows = int(found.get("units") or n)
    size = {"share": (n + 7) // 8, "mean": 4 * n_rows}.get(found["kind"])
    for row in rows:
        if not isinstance(row, bytes):
            raise TypeError(f"{where} holds a {_kind(row)}, expected bytes")
        if len(row) != size and (size is not None or len(row) % 8 or not row):
            expected = "float32 twice for each draw" if size is None else f"{size} bytes"
            raise ValueError(f"{where} has a row of {len(row)} bytes, expected {expected}")
    return found


def _text(value: Any) -> str:
    """Of exactly the class str: a subclass's instance would bring its class along."""
    return str.__str__(str(value))


def _number(value: Any, where: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{where} is a {_kind(value)}, expected a number") from None


def _kind(value: Any) -> str:
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
