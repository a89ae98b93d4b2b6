"""Parallel coordinates: every complete trial as one line through all its hyperparameters."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from besom.plots import style
from besom.plots.columns import Column, columns
from besom.plots.scales import (
    Floats,
    Ints,
    Window,
    even_ticks,
    jitter,
    log_ticks,
    number,
    window,
)
from besom.store.records import StudyRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Axes side by side at a README's width, the objective's included; more go to another row.
MAX_ACROSS = 8
MAX_AXES = 40
MAX_LINES = 1500
#: Where a line passes that does not have the hyperparameter; the axes run from 0 to 1.
ABSENT_AT = -0.13
#: How far lines that pass the same point are pulled apart, so that many look like many.
SHAKE = 0.05

TITLE = "parallel coordinates"


class Parallel(NamedTuple):
    """What the picture shows.

    Attributes:
        columns: the hyperparameters' axes.
        heights: (n_trials, n_columns) from 0 to 1 along each axis, ``ABSENT_AT`` where absent,
            shaken a little where many share a place.
        scores: (n_trials,) height on the objective's axis: 1 is the best end, also where smaller
            is better.
        numbers, values: (n_trials,) trial numbers and values, worst first.
        n_top: how many of the last trials are drawn in colour.
        baseline: the row of the base config's trial; None if it did not complete.
        n_hidden: trials that are not drawn, because of ``MAX_LINES``.
    """

    metric: str
    sign: int
    columns: tuple[Column, ...]
    heights: Floats
    scores: Floats
    numbers: Ints
    values: Floats
    n_top: int
    baseline: int | None
    window: Window
    n_hidden: int


def summarise(study: StudyRecord, objective: int = 0) -> Parallel:
    """Read the lines for the study's objective with this index, worst first."""
    aim = study.objectives[objective]
    ranked = sorted(
        (t for t in study.complete if t.values),
        key=lambda t: (aim.sign * (t.values or (0.0,))[objective], -t.number),
    )
    values = np.array([t.values[objective] for t in ranked if t.values], dtype=float)
    n_top = min(max(math.ceil(len(ranked) / 10), 5), 25, len(ranked))
    keep = np.arange(len(ranked))
    if len(ranked) > MAX_LINES:
        crowd = np.linspace(0, len(ranked) - n_top - 1, MAX_LINES - n_top).round().astype(int)
        keep = np.r_[crowd, keep[-n_top:]]
        first = [i for i, t in enumerate(ranked) if t.baseline]
        keep = np.unique(np.r_[keep, first]).astype(int)
    drawn = [ranked[i] for i in keep]
    start = next((i for i, t in enumerate(drawn) if t.baseline), None)
    limits = window(values, aim.sign, [] if start is None else [float(values[keep[start]])])
    found = tuple(columns(drawn)[:MAX_AXES])
    heights = np.zeros((len(drawn), len(found)))
    numbers = np.array([t.number for t in drawn], dtype=np.int64)
    for i, column in enumerate(found):
        heights[:, i] = np.where(column.present, column.unit(), ABSENT_AT)
        few = column.categories or (column.integer and column.high - column.low < 12)
        heights[:, i] += SHAKE * jitter(numbers) * (~column.present | bool(few))
    scores = (limits.clip(values[keep]) - limits.low) / (limits.high - limits.low)
    return Parallel(
        metric=aim.metric,
        sign=aim.sign,
        columns=found,
        heights=heights,
        scores=scores if aim.sign > 0 else 1 - scores,
        numbers=numbers,
        values=values[keep],
        n_top=n_top,
        baseline=start,
        window=limits,
        n_hidden=len(ranked) - len(drawn),
    )


def rows(parallel: Parallel) -> list[list[int]]:
    """Which columns stand in which row of axes: rows of like length, in order."""
    n = len(parallel.columns)
    n_rows = max(math.ceil(n / (MAX_ACROSS - 1)), 1)
    edges = np.linspace(0, n, n_rows + 1).round().astype(int)
    return [list(range(a, b)) for a, b in itertools.pairwise(edges)]


def caption(parallel: Parallel) -> tuple[str, float]:
    """How to read the picture, how many lines it leaves out, and the inches that it needs."""
    if not parallel.columns or not parallel.values.size:
        return "", 2.2
    text = "each line is a complete trial; up is better"
    if parallel.n_hidden:
        text += f"; {parallel.n_hidden:,} lines left out"
    n_rows = len(rows(parallel))
    return text, 0.35 + (3.6 if n_rows == 1 else 3.0 * n_rows)


def draw(parallel: Parallel, figure: Figure) -> None:
    """Draw the crowd in grey, the best in colour and on top; the objective's axis is the last."""
    if not parallel.values.size or not parallel.columns:
        style.say_nothing_to_see(figure, style.why_empty(parallel.metric, parallel.values.size))
        return
    for ax, row in zip(
        figure.subplots(len(rows(parallel)), 1, squeeze=False).flat, rows(parallel), strict=True
    ):
        _draw_row(ax, parallel, row)
    handles: list[object] = [
        style.key(f"best, trial {parallel.numbers[-1]}", c=style.VERMILLION, lw=2.4)
    ]
    if parallel.n_top > 1:
        shade = style.early_to_late()
        handles.append(
            style.key(f"next {parallel.n_top - 1}, darker is better", c=shade(0.7), lw=2)
        )
    if parallel.numbers.size > parallel.n_top:
        others = parallel.numbers.size - parallel.n_top
        handles.append(style.key(f"others ({others:,})", c=style.FAINT, lw=1.2))
    if parallel.baseline is not None:
        handles.append(style.key("baseline", **style.BASELINE))
    if any(not column.present.all() for column in parallel.columns):
        handles.append(style.key("–  does not apply", ls=""))
    if parallel.window.n_outside:
        worst = number(parallel.window.worst, 3)
        label = f"{parallel.window.n_outside:,} below the axis (worst {worst})"
        handles.append(style.key(label, ls=""))
    style.legend(figure, handles)


def _draw_row(ax: Axes, parallel: Parallel, row: list[int]) -> None:
    from matplotlib.collections import LineCollection

    ax.set_axis_off()
    n_axes = len(row) + 1
    lines = np.c_[parallel.heights[:, row], parallel.scores]
    points = np.stack([np.broadcast_to(np.arange(n_axes), lines.shape), lines], axis=2)
    n_top, n = parallel.n_top, lines.shape[0]
    alpha = float(np.clip(40 / max(n, 1), 0.12, 0.75))
    ax.add_collection(
        LineCollection(list(points[: n - n_top]), colors=style.FAINT, lw=0.8, alpha=alpha, zorder=2)
    )
    shade = style.early_to_late()(np.linspace(0.1, 1, max(n_top - 1, 1)))
    ax.add_collection(
        LineCollection(list(points[n - n_top : n - 1]), colors=list(shade), lw=1.3, zorder=3)
    )
    if parallel.baseline is not None:
        ax.plot(*points[parallel.baseline].T, zorder=5.5, **style.BASELINE)
    ax.plot(*points[-1].T, c=style.VERMILLION, lw=2.4, zorder=5)
    for place, index in enumerate(row):
        _draw_axis(ax, place, parallel.columns[index], n_most=112 // n_axes)
    low, high = parallel.window.low, parallel.window.high
    values = parallel.values
    objective = Column(parallel.metric, np.ones(values.size, bool), values, low=low, high=high)
    _draw_axis(ax, n_axes - 1, objective, n_most=112 // n_axes, down=parallel.sign < 0)
    ax.set_xlim(-0.35, n_axes - 1 + 0.45)
    ax.set_ylim(ABSENT_AT - 0.07, 1.2)


def _draw_axis(ax: Axes, place: int, column: Column, n_most: int, down: bool = False) -> None:
    """A vertical line with its ticks; texts stand right of it on a white ground.

    With ``down`` the largest value is at the bottom.
    """
    ax.plot([place, place], [0, 1], c=style.MUTED, lw=1, zorder=6)
    _head(ax, place, *column.name, n_most=n_most)
    marked = marks_of(column)
    heights = [1 - height if down else height for height, _ in marked]
    texts = [text for _, text in marked]
    if not column.present.all():
        heights, texts = [*heights, ABSENT_AT], [*texts, "–"]
    for tick, text in zip(heights, texts, strict=True):
        _tick(ax, place, tick, text)


def marks_of(column: Column) -> list[tuple[float, str]]:
    """Where an axis has ticks, from 0 to 1, and what they say."""
    if column.categories:
        step = math.ceil(len(column.categories) / 10)
        ticks = [float(i) for i in range(0, len(column.categories), step)]
        texts = [style.shorten(column.categories[int(i)], 12) for i in ticks]
    else:
        ticks = _ticks(column)
        texts = [number(tick, 5) for tick in ticks]
        if column.zero_at is not None:
            ticks, texts = [column.zero_at, *ticks], ["0", *texts]
    return list(zip(column.to_unit(ticks).tolist(), texts, strict=True))


def _ticks(column: Column) -> list[float]:
    if column.low == column.high:
        return [column.low]
    if column.log:
        low = column.low if column.zero_at is None else 2 * column.low
        return log_ticks(low, column.high)
    return even_ticks(column.low, column.high, integer=column.integer)


def shortened_group(above: str, n_most: int) -> str:
    """What stands before a name, in so many characters; of a path its end counts."""
    while len(above) > n_most and "." in above[:-1]:
        above = above.split(".", 1)[1]
    return style.shorten(above, n_most)


def _head(ax: Axes, place: int, above: str, name: str, n_most: int) -> None:
    """The axis' name in two lines of about ``n_most`` characters."""
    above = shortened_group(above, n_most + 3)
    ax.text(place, 1.13, above, ha="center", size=7.5, color=style.MUTED)
    ax.text(place, 1.055, style.shorten(name, n_most - 2), ha="center", size=8.5, weight="bold")


def _tick(ax: Axes, place: int, tick: float, text: str) -> None:
    ax.plot([place, place + 0.03], [tick, tick], c=style.MUTED, lw=1, zorder=6)
    ax.text(
        place + 0.05,
        tick,
        text,
        size=11 if text == "–" else 7.8,
        va="center",
        zorder=7,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.78, "pad": 0.8},
    )
