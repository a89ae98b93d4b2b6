"""What a kept trial's model gets wrong: ``mistakes/trial-N.json``, which its worker writes.

Reports load neither TensorFlow nor data, so what they show of single examples is in this file. It
is optional: a trial counts without it. Trial functions of your own may write it, too:

    {"format": 1, "n": 10000, "outputs": [...]}

``n`` is the number of validation examples. Where there is nothing to show, ``outputs`` is empty and
``why`` says so. A ``note`` is shown above all of it. Each entry of ``outputs`` has a ``name``
(empty where the model has one output), ``worst`` (the worst first) and a ``kind``:

- ``classes``: ``n_wrong``; ``classes`` (names) and ``matrix`` (a row for each true class, a column
  for each predicted one), which may both be left out; ``confusions``: ``[true, predicted, count]``.
- ``tags``: ``n_wrong``; ``tags``: ``[name, found, missed, wrongly given]``.
- ``numbers``: ``bias``, ``mean_error``, ``rms_error``, ``median_error``, ``error_90`` (nine of ten
  are smaller), ``r2`` (or null); ``points``: ``[true, predicted]`` of some of them.

An entry of ``worst`` has ``example`` (its position in the training part), the texts ``true`` and
``predicted``, and where they are known ``probability`` (of what was predicted), ``tag`` (which it
is about), ``error``, ``text`` and ``image`` (a PNG in base64).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from besom.errors import StudyError
from besom.regular import special_kind
from besom.seam import N_WORST

_MOST_BYTES = 8_000_000
_MOST_IMAGE_BYTES = 60_000
_MOST_CHARS = 400
_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_PIXELS = 256


@dataclass(frozen=True)
class WrongExample:
    """An example that a model gets wrong.

    Attributes:
        example: its position in the training part of the data.
        true, predicted: its label, and what was predicted.
        probability: of what was predicted; of multi-label data of ``tag``; None: not known.
        tag: of multi-label data, the tag that is most wrong.
        error: how far off a number is; None: it is none.
        text: what the example holds; empty where it is an image alone.
        image: it as PNG; empty where it is none.
    """

    example: int
    true: str
    predicted: str
    probability: float | None = None
    tag: str = ""
    error: float | None = None
    text: str = ""
    image: bytes = b""

    @property
    def without_content(self) -> WrongExample:
        """The same without what the example holds."""
        return replace(self, text="", image=b"")


@dataclass(frozen=True)
class OutputMistakes:
    """What a model gets wrong in one of its outputs, see the module.

    Attributes:
        name: the output's, empty where there is one.
        worst: the examples that are most wrong, the worst first.
    """

    name: str
    worst: tuple[WrongExample, ...]


@dataclass(frozen=True)
class ClassMistakes(OutputMistakes):
    """Of examples with one class each: ``matrix`` is empty where there are too many classes."""

    n_wrong: int
    classes: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]
    confusions: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class TagMistakes(OutputMistakes):
    """Of examples with any number of tags: name, found, missed and wrongly given of each tag."""

    n_wrong: int
    tags: tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class NumberMistakes(OutputMistakes):
    """Of examples with numbers: errors are predicted minus true; None: not finite."""

    points: tuple[tuple[float, float], ...]
    bias: float | None
    mean_error: float | None
    rms_error: float | None
    median_error: float | None
    error_90: float | None
    r2: float | None


@dataclass(frozen=True)
class Mistakes:
    """What a model gets wrong.

    Attributes:
        n: the number of validation examples.
        outputs: one for each output of the model.
        why: why there are none; empty where there are.
        note: what a reader should know about all of it; may be empty.
    """

    n: int
    outputs: tuple[OutputMistakes, ...]
    why: str = ""
    note: str = ""

    @property
    def without_content(self) -> Mistakes:
        """The same without what the examples hold."""
        outputs = tuple(
            replace(output, worst=tuple(wrong.without_content for wrong in output.worst))
            for output in self.outputs
        )
        return replace(self, outputs=outputs)


def read_mistakes(path: Path) -> Mistakes | None:
    """Read such a file; None where there is none.

    Raises:
        StudyError: it is damaged.
    """
    if special_kind(path) or not path.is_file():
        return None
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        return _mistakes(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise StudyError(
            f"{path} is no file of what a trial gets wrong ({type(error).__name__}: {error}). "
            "Delete it; `besom show NAME --trial N --retrain` makes it again."
        ) from error


def _mistakes(found: Any) -> Mistakes:
    if found["format"] != 1:
        raise ValueError("it was written by a later besom")
    outputs = tuple(_output(output) for output in found["outputs"])
    why, note = (_text(found.get(key, "")) for key in ("why", "note"))
    return Mistakes(_count(found["n"]), outputs, why, note)


def _output(found: Mapping[str, Any]) -> OutputMistakes:
    name, kind = _text(found["name"]), found["kind"]
    worst = tuple(_wrong(entry) for entry in found["worst"][:N_WORST])
    if kind == "classes":
        classes = tuple(map(_text, found.get("classes", ())))
        matrix = tuple(tuple(map(_count, row)) for row in found.get("matrix", ()))
        if any(len(part) != len(classes) for part in (matrix, *matrix)):
            raise ValueError("its matrix does not fit its classes")
        pairs = tuple((_text(t), _text(p), _count(n)) for t, p, n in found["confusions"])
        return ClassMistakes(name, worst, _count(found["n_wrong"]), classes, matrix, pairs)
    if kind == "tags":
        tags = tuple((_text(t), _count(a), _count(b), _count(c)) for t, a, b, c in found["tags"])
        return TagMistakes(name, worst, _count(found["n_wrong"]), tags)
    if kind == "numbers":
        numbers = tuple(
            _number(found.get(key))
            for key in ("bias", "mean_error", "rms_error", "median_error", "error_90", "r2")
        )
        points = tuple((float(t), float(p)) for t, p in found["points"])
        if not all(math.isfinite(value) for point in points for value in point):
            raise ValueError("its points are not finite")
        return NumberMistakes(name, worst, points, *numbers)
    raise ValueError(f"it has no kind {kind!r}")


def _wrong(entry: Mapping[str, Any]) -> WrongExample:
    image = base64.b64decode(entry.get("image", ""), validate=True)
    return WrongExample(
        example=_count(entry["example"]),
        true=_text(entry["true"]),
        predicted=_text(entry["predicted"]),
        probability=_number(entry.get("probability")),
        tag=_text(entry.get("tag", "")),
        error=_number(entry.get("error")),
        text=_text(entry.get("text", "")),
        image=image if _is_small_png(image) else b"",
    )


def _is_small_png(image: bytes) -> bool:
    """Whether it is one by its first bytes: a small file may unpack to a huge picture."""
    sides = (int.from_bytes(image[start : start + 4]) for start in (16, 20))
    is_png = image.startswith(_PNG) and len(image) <= _MOST_IMAGE_BYTES
    return is_png and all(0 < side <= _MOST_PIXELS for side in sides)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value[:_MOST_CHARS]


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r:.40} is no count")
    return value


def _number(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None
