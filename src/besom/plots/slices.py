"""Slices: the objective against each hyperparameter by itself, one panel each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from besom.plots import style
from besom.plots.columns import Column, columns
from besom.plots.scales import Floats, Ints, Window, number, window
from besom.store.records import StudyRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 30
PANEL_HEIGHT = 1.95

TITLE = "one hyperparameter at a time"


class Slices(NamedTuple):
    """What the picture shows.

    Attributes:
        columns: a panel each; their arrays run over the complete trials.
        numbers, values: (n_complete,) trial numbers and values, by number.
        best, baseline: positions in these arrays; None if there is none.
        n_hidden: hyperparameters beyond ``MAX_PANELS``.
    """

    metric: str
    sign: int
    columns: tuple[Column, ...]
    numbers: Ints
    values: Floats
    best: int | None
    baseline: int | None
    window: Window
    n_hidden: int


def summarise(study: StudyRecord, objective: int = 0) -> Slices:
    """Read the slices of the study's objective with this index."""
    aim = study.objectives[objective]
    trials = study.complete
    values = np.array([t.values[objective] for t in trials if t.values], dtype=float)
    found = columns(trials)
    baseline = next((i for i, t in enumerate(trials) if t.baseline), None)
    return Slices(
        metric=aim.metric,
        sign=aim.sign,
        columns=tuple(found[:MAX_PANELS]),
        numbers=np.array([t.number for t in trials], dtype=np.int64),
        values=values,
        best=int(np.argmax(aim.sign * values)) if values.size else None,
        baseline=baseline,
        window=window(values, aim.sign, [] if baseline is None else [float(values[baseline])]),
        n_hidden=max(len(found) - MAX_PANELS, 0),
    )


def _grid(n_panels: int) -> tuple[int, int]:
    """Rows and columns."""
    n_columns = n_panels if n_panels <= 3 else (2 if n_panels == 4 else 3)
    return math.ceil(n_panels / n_columns), n_columns


def caption(slices: Slices) -> tuple[str, float]:
    """How to read the picture, and the inches that it needs."""
    n_panels = len(slices.columns)
    if not n_panels or not slices.values.size:
        return "", 2.2
    rows, n_columns = _grid(n_panels)
    return "each dot is a complete trial", 0.75 + rows * (PANEL_HEIGHT if n_columns == 3 else 2.4)


def draw(slices: Slices, figure: Figure) -> None:
    """Draw a panel a hyperparameter, all with the same value axis."""
    if not slices.values.size or not slices.columns:
        style.say_nothing_to_see(figure, style.why_empty(slices.metric, slices.values.size))
        return
    rows, n_columns = _grid(len(slices.columns))
    axes = figure.subplots(rows, n_columns, sharey=True, squeeze=False)
    for ax, column in zip(axes.flat, slices.columns, strict=False):
        _draw_panel(ax, column, slices)
    for ax in axes.flat[len(slices.columns) :]:
        ax.set_axis_off()
    style.format_axis(axes[0, 0].yaxis, log=False, low=0, high=1)
    axes[0, 0].set_ylim(slices.window.low, slices.window.high)
    figure.supylabel(slices.metric, size=9.5)
    style.legend(figure, _handles(slices))


def _draw_panel(ax: Axes, column: Column, slices: Slices) -> None:
    ax.set_title(style.shorten(column.label, 38), size=9, weight="bold", color=style.INK)
    across = column.across(slices.numbers)
    heights = slices.window.clip(slices.values)
    outside = heights != slices.values
    size = float(np.clip(1800 / max(slices.numbers.size, 1), 6, 24))
    shade = style.early_to_late()
    last = max(int(slices.numbers[-1]), 1)
    for group, look in (
        (column.present & ~outside, {"s": size, "alpha": 0.85}),
        (
            column.present & outside,
            {"s": 22, "marker": "v" if slices.sign > 0 else "^", "clip_on": False},
        ),
    ):
        colours = shade(slices.numbers[group] / last)
        ax.scatter(across[group], heights[group], c=colours, linewidths=0, zorder=3, **look)
    for spot, look in ((slices.baseline, style.BASELINE_MARK), (slices.best, style.BEST_MARK)):
        if spot is not None and column.present[spot]:
            ax.plot(across[spot], heights[spot], zorder=5, **look)
    if not column.present.all():
        n_with = int(column.present.sum())
        note = f"in {n_with:,} of {column.present.size:,}"
        ax.set_title(note, loc="right", size=7.8, color=style.MUTED)
    _draw_axis(ax, column)


def _draw_axis(ax: Axes, column: Column) -> None:
    """The hyperparameter's axis: the whole space, also where no trial has been."""
    if column.categories:
        ax.set_xlim(-0.6, len(column.categories) - 0.4)
        ax.grid(False, axis="x")
        step = math.ceil(len(column.categories) / 12)
        shown = [style.shorten(text, 18) for text in column.categories[::step]]
        crowded = sum(len(text) + 2 for text in shown) > 36
        ax.set_xticks(range(0, len(column.categories), step), shown)
        if crowded:
            ax.tick_params(axis="x", labelrotation=28, pad=1)
            for label in ax.get_xticklabels():
                label.set_horizontalalignment("right")
                label.set_rotation_mode("anchor")
        return
    low, high = column.low, column.high
    if column.log:
        ax.set_xscale("log")
        margin = (high / low) ** 0.04 if high > low else 2.0
        ax.set_xlim(low / margin, high * margin)
    else:
        margin = 0.04 * (high - low) or 0.5
        ax.set_xlim(low - margin, high + margin)
    style.format_axis(ax.xaxis, log=column.log, low=low, high=high, integer=column.integer)
    if column.zero_at is not None:
        above = [tick for tick in ax.get_xticks() if tick > 2 * low]
        ax.set_xticks([low, *above], ["0", *(number(tick, 5) for tick in above)])


def _handles(slices: Slices) -> list[object]:
    shade = style.early_to_late()
    dot: style.Look = {"marker": "o", "ls": "", "ms": 5.5}
    first, last = int(slices.numbers[0]), int(slices.numbers[-1])
    handles: list[object] = [style.key(f"early (trial {first})", c=shade(0.0), **dot)]
    if last > first:
        handles.append(style.key(f"late (trial {last})", c=shade(1.0), **dot))
    if slices.best is not None:
        label = f"best, trial {slices.numbers[slices.best]}"
        handles.append(style.key(label, **style.BEST_MARK))
    if slices.baseline is not None:
        handles.append(style.key("baseline", **style.BASELINE_MARK))
    if slices.window.n_outside:
        handles.append(style.beyond(slices.window, slices.sign, shade(0.5)))
    if slices.n_hidden:
        handles.append(style.key(f"{slices.n_hidden} hyperparameters more", ls=""))
    return handles
