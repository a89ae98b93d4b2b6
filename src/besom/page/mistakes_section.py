"""The section of a report on what its winner gets wrong: tables and pictures, without scripts."""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from besom.errors import StudyError
from besom.page.page_table import PageTable
from besom.report.mistakes_text import (
    count_table,
    kept_mistakes,
    reading,
    summary,
    verdict_on,
    worst_table,
)
from besom.store.mistakes import ClassMistakes, NumberMistakes, OutputMistakes, WrongExample
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord, TrialRecord
from besom.text.numbers import number
from besom.text.printable import command

#: More classes are no table for a page: the pairs that are taken for each other are listed.
_MOST_CLASSES = 20
_MOST_ROWS = 12
#: With more classes than this, names of more characters are written upwards.
_MOST_SHORT, _MOST_CHARS = 6, 3
#: Bytes of all pictures of examples together, so that the page stays one that can be sent; where
#: they have more, they are made smaller: pixels of the longer side, and colours.
_MOST_BYTES, _SIDE, _COLOURS = 50_000, 48, 64
#: The scatter of numbers: width, height and margin, in its own units.
_WIDTH, _HEIGHT, _MARGIN = 460, 330, 46


class Cell(NamedTuple):
    """Of a confusion matrix: the count, how dark it is (0 to 100), and whether it is right."""

    text: str
    shade: int
    is_right: bool


class Scatter(NamedTuple):
    """Predicted against true, in the units of a picture of ``width`` by ``height``."""

    width: int
    height: int
    margin: int
    dots: list[tuple[float, float]]
    ends: tuple[str, str]


class Pictured(NamedTuple):
    """One of the worst examples: its picture as a URL, or none, and what was taken for what."""

    url: Markup
    title: str
    note: str
    alt: str


class ShownOutput(NamedTuple):
    """What the page shows of one output."""

    summary: str
    classes: list[str]
    is_long: bool
    matrix: list[list[Cell]]
    counts: PageTable | None
    scatter: Scatter | None
    heading: str
    reading: str
    pictured: list[Pictured]
    worst: PageTable | None


class MistakesSection(NamedTuple):
    """What the page shows of one trial."""

    title: str
    note: str
    outputs: list[ShownOutput]
    command: str


def mistakes_section(
    study: StudyRecord, best: TrialRecord | None, paths: StudyPaths, with_content: bool
) -> MistakesSection | None:
    """What the winner gets wrong, or why its file does not say; None where there is no file.

    Args:
        study: of the page.
        best: its winner.
        paths: where its mistakes are.
        with_content: whether the page may show what the examples hold.
    """
    if best is None:
        return None
    title = f"What trial {best.number} gets wrong"
    again = command("show", study.name, options=f"--trial {best.number}")
    try:
        found = kept_mistakes(study, best, paths)
    except StudyError as error:
        if not paths.mistakes_of(best.number).is_file():
            return None
        return MistakesSection(title, str(error), [], again)
    found = found if with_content else found.without_content
    outputs = [_shown(output, found.n) for output in found.outputs]
    note = f"{found.note}." if found.note else ""
    return MistakesSection(title, note, outputs, again)


def _shown(found: OutputMistakes, n: int) -> ShownOutput:
    is_matrix = isinstance(found, ClassMistakes) and 0 < len(found.classes) <= _MOST_CLASSES
    counts = count_table(found)
    pictured = _pictured(found.worst)
    return ShownOutput(
        summary=summary(found, n),
        classes=list(found.classes) if isinstance(found, ClassMistakes) and is_matrix else [],
        is_long=isinstance(found, ClassMistakes)
        and len(found.classes) > _MOST_SHORT
        and max(map(len, found.classes)) > _MOST_CHARS,
        matrix=_matrix(found) if isinstance(found, ClassMistakes) and is_matrix else [],
        counts=None if is_matrix or counts.empty else PageTable.of(counts.head(_MOST_ROWS)),
        scatter=_scatter(found) if isinstance(found, NumberMistakes) and found.points else None,
        heading="Furthest off" if isinstance(found, NumberMistakes) else "Most confidently wrong",
        reading=reading(found),
        pictured=pictured,
        worst=None if pictured or not found.worst else PageTable.of(worst_table(found)),
    )


def _matrix(found: ClassMistakes) -> list[list[Cell]]:
    """As dark as the share of its row; what is wrong as dark as it is beside the worst of all."""
    counts = np.array(found.matrix, float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    wrong = shares[~np.eye(len(shares), dtype=bool)]
    most = max(float(wrong.max(initial=0.0)), 0.02)
    return [
        [
            Cell(
                f"{n:,}" if n else "",
                round(100 * float(shares[i, j] if i == j else shares[i, j] / most)),
                i == j,
            )
            for j, n in enumerate(row)
        ]
        for i, row in enumerate(found.matrix)
    ]


def _scatter(found: NumberMistakes) -> Scatter:
    points = np.array(found.points)
    low, high = float(points.min()), float(points.max())
    across = (points[:, 0] - low) / ((high - low) or 1.0)
    up = (points[:, 1] - low) / ((high - low) or 1.0)
    x = _MARGIN + across * (_WIDTH - _MARGIN - 10)
    y = _HEIGHT - _MARGIN - up * (_HEIGHT - _MARGIN - 10)
    dots = [(round(float(a), 1), round(float(b), 1)) for a, b in zip(x, y, strict=True)]
    ends = (number(float(f"{low:.3g}")), number(float(f"{high:.3g}")))
    return Scatter(_WIDTH, _HEIGHT, _MARGIN, dots, ends)


def _pictured(worst: tuple[WrongExample, ...]) -> list[Pictured]:
    """The worst examples with their pictures; none if none has one."""
    if not any(wrong.image for wrong in worst):
        return []
    found: list[Pictured] = []
    too_many = sum(len(wrong.image) for wrong in worst) > _MOST_BYTES
    for wrong in worst:
        image = _smaller(wrong.image) if too_many and wrong.image else wrong.image
        url = Markup()
        if image:
            url = Markup("data:image/png;base64,") + base64.b64encode(image).decode("ascii")
        title, how = verdict_on(wrong)
        note = ", ".join(filter(None, [how, f"example\N{NO-BREAK SPACE}{wrong.example:,}"]))
        alt = f"Example {wrong.example}, {wrong.true}, predicted {wrong.predicted}"
        found.append(Pictured(url, title, ". ".join(filter(None, [note, wrong.text])), alt))
    return found


def _smaller(png: bytes) -> bytes:
    """The same picture in a few bytes; nothing where it is damaged."""
    from PIL import Image, UnidentifiedImageError

    buffer = io.BytesIO()
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            small = image.convert("RGB")
        small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
        small.quantize(_COLOURS).save(buffer, "PNG", optimize=True)
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError):
        return b""
    return buffer.getvalue()
