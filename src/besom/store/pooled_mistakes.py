"""What the folds of a trial get wrong, as one: each example is judged by the model of its fold."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from besom.errors import BesomError
from besom.seam import MOST_CONFUSIONS, MOST_POINTS, N_WORST
from besom.store.mistakes import read_mistakes
from besom.store.paths import write_atomically

_NOTE = "Each fold's model is the one after its own best epoch, so the count may not be the score's"


def pool_mistakes(parts: Sequence[Path], target: Path) -> str:
    """Make one file of those that a trial's runs wrote, and delete them.

    Args:
        parts: their files, in the order of the runs; where one is missing, nothing is written.
        target: the file of the trial.

    Returns:
        Why that failed, for the user; empty if it did not.
    """
    problem = ""
    try:
        if all(part.is_file() for part in parts):
            for part in parts:
                read_mistakes(part)
            found = [json.loads(part.read_text(encoding="utf-8")) for part in parts]
            write_atomically(target, json.dumps(_pooled(found), allow_nan=False))
    except (BesomError, OSError, ValueError, KeyError, TypeError) as error:
        problem = f"What trials get wrong could not be kept: {error}. Trials count."
    for part in parts:
        try:
            part.unlink(missing_ok=True)
        except OSError as error:
            problem = problem or f"{part} cannot be deleted: {error.strerror or error}."
    return problem


def _pooled(parts: list[dict[str, Any]]) -> dict[str, Any]:
    whys = [part for part in parts if not part["outputs"]]
    if whys or len(parts) == 1:
        return (whys or parts)[0]
    sizes = [part["n"] for part in parts]
    outputs = [
        _POOL[outputs[0]["kind"]](outputs, sizes) | {"worst": _worst(outputs)}
        for outputs in (list(of) for of in zip(*(part["outputs"] for part in parts), strict=True))
    ]
    return {"format": 1, "n": sum(sizes), "outputs": outputs, "note": _NOTE}


def _worst(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    entries = [entry for output in outputs for entry in output["worst"]]
    return sorted(entries, key=_badness, reverse=True)[:N_WORST]


def _badness(entry: dict[str, Any]) -> float:
    """As workers order them: a tag that is wrong is as bad as its probability is far off."""
    if entry.get("error") is not None:
        return abs(float(entry["error"]))
    p = float(entry.get("probability") or 0.0)
    return max(p, 1.0 - p) if entry.get("tag") else p


def _classes(outputs: list[dict[str, Any]], sizes: list[int]) -> dict[str, Any]:  # noqa: ARG001
    first = outputs[0]
    pairs: Counter[tuple[str, str]] = Counter()
    found = {"name": first["name"], "kind": "classes", "n_wrong": _sum(outputs, "n_wrong")}
    if all(output.get("classes") == first.get("classes") for output in outputs) and first.get(
        "matrix"
    ):
        matrix = np.sum([output["matrix"] for output in outputs], axis=0)
        names = first["classes"]
        found |= {"classes": names, "matrix": matrix.tolist()}
        for row, column in zip(*np.nonzero(matrix), strict=True):
            if row != column:
                pairs[names[row], names[column]] += int(matrix[row, column])
    else:
        for output in outputs:
            pairs.update({(true, given): n for true, given, n in output["confusions"]})
    most = [[*pair, n] for pair, n in pairs.most_common(MOST_CONFUSIONS)]
    return {**found, "confusions": most}


def _tags(outputs: list[dict[str, Any]], sizes: list[int]) -> dict[str, Any]:  # noqa: ARG001
    counts: dict[str, Any] = {}
    for output in outputs:
        for name, *row in output["tags"]:
            counts[name] = np.add(counts.get(name, 0), row)
    tags = [[name, *row.tolist()] for name, row in counts.items()]
    first = outputs[0]
    return {
        "name": first["name"],
        "kind": "tags",
        "n_wrong": _sum(outputs, "n_wrong"),
        "tags": tags,
    }


def _numbers(outputs: list[dict[str, Any]], sizes: list[int]) -> dict[str, Any]:
    """Means are exact; a quantile and R² are those of the points, which are a sample."""

    def mean(key: str, power: int = 1) -> float | None:
        values = [output[key] for output in outputs if output.get(key) is not None]
        if len(values) < len(outputs):
            return None
        total = sum(n * value**power for n, value in zip(sizes, values, strict=True))
        return float(total / sum(sizes))

    points = [point for output in outputs for point in output["points"]]
    square = mean("rms_error", 2)
    found: dict[str, Any] = {
        "name": outputs[0]["name"],
        "kind": "numbers",
        "bias": mean("bias"),
        "mean_error": mean("mean_error"),
        "rms_error": None if square is None else math.sqrt(square),
        "points": points[:: -(-len(points) // MOST_POINTS) or 1],
    }
    if points:
        true, given = np.array(points).T
        sizes_of = np.abs(given - true)
        found["median_error"], found["error_90"] = np.quantile(sizes_of, [0.5, 0.9]).tolist()
        spread = float(np.square(true - true.mean()).sum())
        found["r2"] = 1.0 - float(np.square(given - true).sum()) / spread if spread else None
    return found


def _sum(outputs: list[dict[str, Any]], key: str) -> int:
    return sum(int(output[key]) for output in outputs)


_POOL = {"classes": _classes, "tags": _tags, "numbers": _numbers}
