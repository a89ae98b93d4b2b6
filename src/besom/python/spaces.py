"""A space as it is written in Python: tuples, lists, ranges, Optuna's distributions, grammar.

    {"units": (16, 512, "log"), "activation": ["relu", "gelu"], "optimizer.learning_rate": "..."}

A tuple is a range, ``(low, high)``, ``(low, high, "log")`` or ``(low, high, step)``; a list is
choices; a mapping or text is what ``sweep.space`` of a YAML takes. A name without a dot is a
parameter of the function.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from besom.config import TRAIN_GROUPS
from besom.config.types import Refused, show
from besom.errors import SpaceError, did_you_mean
from besom.space.grammar import read_grammar
from besom.space.spec import ENTRY_KEYS

#: Keys of an entry whose values are no entries themselves.
_SAID = {*ENTRY_KEYS} - {"length", "each"}


def plain(value: Any, where: str) -> Any:
    """A value as a config holds it: NumPy's numbers and arrays, tuples and sets as Python's.

    Raises:
        SpaceError: it is no plain data; begins with ``where``.
    """
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist(), where)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, where) for item in value]
    raise SpaceError(
        f"{where} is a {type(value).__name__}, expected numbers, text, lists and mappings, a "
        "function or a class."
    )


def space_of(
    given: Mapping[str, Any],
    parameters: Collection[str] | None,
    label: str,
    as_plain: Any = plain,
) -> dict[str, Any]:
    """A space as ``sweep.space`` of a YAML has it.

    Args:
        given: what the user wrote.
        parameters: those of the function; None: it takes any, or there is no function.
        label: what the function is called.
        as_plain: what to make plain values of choices with.

    Raises:
        SpaceError: a name that the function does not have, or an entry of none of the forms.
    """
    if not isinstance(given, Mapping):
        raise SpaceError(
            f"space is a {type(given).__name__}, expected a mapping such as "
            '{"units": (16, 512, "log")}.'
        )
    space: dict[str, Any] = {}
    for name, value in given.items():
        path = path_of(name, parameters, label)
        if path in space:
            raise SpaceError(f"space has two entries for {path}: {name!r} is one of them.")
        entry = _entry(value, f"space[{name!r}]", as_plain)
        space[path] = _with_paths(entry, parameters or (), label)
    return space


def _with_paths(entry: Any, parameters: Collection[str], label: str) -> Any:
    """An entry whose ``when`` and ``length`` name other parameters, by their dotted paths."""
    if not isinstance(entry, Mapping):
        return entry
    entry = dict(entry)

    def path_for(name: str) -> str:
        return f"model.{name}" if label and name.partition(".")[0] in parameters else name

    if isinstance(entry.get("when"), Mapping):
        entry["when"] = {path_for(name): test for name, test in entry["when"].items()}
    if isinstance(entry.get("length"), str):
        entry["length"] = path_for(entry["length"])
    return entry


def path_of(name: Any, parameters: Collection[str] | None, label: str) -> str:
    """The dotted path that a name in a space stands for."""
    if not isinstance(name, str):
        raise SpaceError(f"space has the key {name!r}, expected the name of a parameter.")
    bare = name.partition("@")[0]
    is_dotted = "." in bare or "/" in bare
    if not label or (is_dotted and not bare.startswith("model.")):
        return name
    takes_any, known = parameters is None, parameters or ()
    inside = bare.removeprefix("model.").partition(".")[0]
    if takes_any or inside in known:
        is_part = bare in (*TRAIN_GROUPS, *_ELSEWHERE) and inside not in known
        return name if is_dotted or is_part else f"model.{name}"
    if bare in (*TRAIN_GROUPS, *_ELSEWHERE):
        return name
    raise SpaceError(
        f"space has {name!r}, but {label} has no parameter {inside!r}."
        + did_you_mean(inside, known)
        + " What belongs to another part of the config has a dotted name, such as "
        "'optimizer.learning_rate' or 'trainer.batch_size'."
    )


#: What stands beside the groups in a config.
_ELSEWHERE = ("seed",)


def _entry(value: Any, where: str, as_plain: Any) -> Any:
    """One entry, in a form that a YAML has."""
    if isinstance(value, tuple):
        return _range(value, where)
    if isinstance(value, range):
        if not len(value):
            raise SpaceError(f"{where} is {value}, which is empty.")
        low, high = sorted((value[0], value[-1]))
        return {"type": "int", "low": low, "high": high, "step": abs(value.step)}
    if isinstance(value, Mapping):
        return {
            str(key): as_plain(inner, f"{where}.{key}")
            if key in _SAID
            else _entry(inner, f"{where}[{key!r}]", as_plain)
            for key, inner in value.items()
        }
    if type(value).__module__ == "optuna.distributions":
        return _distribution(value, where, as_plain)
    return as_plain(value, where)


_TUPLES = "(low, high), (low, high, 'log') or (low, high, step)"


def _range(value: tuple[Any, ...], where: str) -> dict[str, Any]:
    numbers = [plain(item, where) for item in value]
    is_number = [isinstance(n, int | float) and not isinstance(n, bool) for n in numbers]
    if len(numbers) not in (2, 3) or not all(is_number[:2]):
        raise SpaceError(
            f"{where} is {show(numbers)}: a tuple is a range, {_TUPLES}; a list is choices."
        )
    entry: dict[str, Any] = {"low": numbers[0], "high": numbers[1]}
    for further in numbers[2:]:
        if further == "log":
            entry["log"] = True
        elif is_number[2]:
            entry["step"] = further
        else:
            raise SpaceError(f"{where} ends with {show(further)}: a range is {_TUPLES}.")
    return entry


def _distribution(value: Any, where: str, as_plain: Any) -> Any:
    kind = type(value).__name__
    if kind == "CategoricalDistribution":
        return as_plain(list(value.choices), where)
    entry = {"type": "int" if kind.startswith("Int") else "float"}
    entry |= {"low": value.low, "high": value.high, "log": value.log}
    step = getattr(value, "step", None)
    return entry if step is None or value.log else {**entry, "step": step}


def base_value(entry: Any) -> Any:
    """A value of an entry to begin with: the middle of a range, the first of choices.

    It stands in the base config for a parameter without a default.
    """
    if isinstance(entry, str):
        try:
            domain = read_grammar(entry, None)
        except Refused:  # refused again, by its name, where the space is read
            return None
        if hasattr(domain, "values"):
            return domain.values[0] if len(domain.values) else None
        kind = "int" if domain.is_int else "float"
        bounds = {"low": domain.low, "high": domain.high, "step": domain.step}
        return _middle({"type": kind, **bounds, "log": domain.log})
    if isinstance(entry, list):
        return entry[0] if entry else None
    if not isinstance(entry, Mapping):
        return None
    if "choices" in entry:
        return base_value(entry["choices"])
    if "each" in entry:
        length = entry.get("length")
        n = base_value(length) if isinstance(length, Mapping | list | str) else length
        each = entry["each"]
        one = base_value(each)
        if one is None and isinstance(each, Mapping):
            one = {key: base_value(inner) for key, inner in each.items() if key not in _SAID}
        return [one] * n if isinstance(n, int) and 0 <= n <= 100 else []
    return _middle(entry)


def _middle(entry: Mapping[str, Any]) -> Any:
    low, high = entry.get("low"), entry.get("high")
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    step = entry.get("step")
    middle = math.sqrt(low * high) if entry.get("log") and low > 0 else low + (high - low) / 2
    if step:
        middle = low + round((middle - low) / step) * step
    whole = entry.get("type") == "int" or not any(isinstance(n, float) for n in (low, high, step))
    return round(middle) if whole and entry.get("type") != "float" else float(f"{middle:.6g}")
