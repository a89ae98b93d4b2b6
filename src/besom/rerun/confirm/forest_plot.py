"""The picture of a confirmation: every seed's score, the means and their intervals, row by row."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from besom.plots import style
from besom.plots.scales import Floats, Window, window
from besom.rerun.confirm.result import Confirmation, ConfirmRow, Status
from besom.rerun.confirm.sentences import amount, bounded
from besom.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches of the axes' surroundings, and of one config.
_FRAME, _ROW = 1.15, 0.42

#: Points: the thin line of the wider of a mean's two intervals, under the thick one.
_THIN = 0.9

_LOOKS = {
    Status.FIRST: ("the first", style.VERMILLION),
    Status.TIED: ("tied with it", style.BLUE),
    Status.BEHIND: ("behind", style.MUTED),
}


_UNKNOWN = Interval(math.nan, math.nan)


class Line(NamedTuple):
    """One config; numbers in the unit of the axis, NaN where nothing is known.

    Attributes:
        row: what is known of it; ``text`` is its mean with its error.
        scores: (n_seeds,).
        mean: over seeds.
        low, high: the interval's ends on these examples, with other seeds.
        new_low, new_high: those for new examples; NaN where they are not known.
    """

    row: ConfirmRow
    text: str
    scores: Floats
    mean: float
    low: float
    high: float
    new_low: float
    new_high: float


class Forest(NamedTuple):
    """What the picture shows.

    Attributes:
        metric: the name of the score; ``sign`` is +1 where larger is better, else -1.
        lines: best first; configs without a score have none.
        baseline: the baseline's mean; None without one.
        percent: whether the axis is in percent.
        window: the part of the axis that is shown.
    """

    metric: str
    sign: int
    lines: tuple[Line, ...]
    baseline: float | None
    percent: bool
    window: Window


def summarise(confirmation: Confirmation) -> Forest:
    """Read the lines off a confirmation."""
    aim = confirmation.plan.objective
    factor = 100.0 if aim.is_share else 1.0
    lines = []
    for row in confirmation.rows:
        if row.estimate is None:
            continue
        both = (row.fixed_estimate, row.estimate if confirmation.of_new else None)
        ends = [bounded(aim, e.interval) if e else _UNKNOWN for e in both]
        values = [v if math.isfinite(v) else math.nan for interval in ends for v in interval]
        text = amount(aim, row.estimate, digits=2)
        scores = factor * np.array(list(row.scores.values()))
        mean = factor * row.estimate.mean
        lines.append(Line(row, text, scores, mean, *(factor * value for value in values)))
    shown = window(
        np.concatenate([line.scores for line in lines]) if lines else [],
        aim.sign,
        [v for line in lines for v in line[-4:] if math.isfinite(v)],
    )
    base = next((line.mean for line in lines if line.row.baseline), None)
    return Forest(aim.metric, aim.sign, tuple(lines), base, aim.is_share, shown)


def draw(forest: Forest, figure: Figure) -> None:
    """Draw one row per config, the first one on top."""
    if not forest.lines:
        style.say_nothing_to_see(figure, "No run has succeeded, so there is no score to show.")
        return
    ax = figure.add_subplot()
    n_lines = len(forest.lines)
    ax.set_ylim(n_lines - 0.4, -0.6)
    ax.set_xlim(forest.window.low, forest.window.high)
    ax.set_xlabel(forest.metric + (" (%)" if forest.percent else ""))
    style.format_axis(ax.xaxis, log=False, low=0, high=1)
    rows = [line.row for line in forest.lines]
    names = [f"trial {row.trial}" + " (baseline)" * row.baseline for row in rows]
    ax.set_yticks(range(n_lines), names)
    ax.grid(visible=False, axis="y")
    for spot, line in enumerate(forest.lines):
        _draw_line(ax, forest, spot, line)
    statuses = dict.fromkeys(row.status for row in rows)
    handles = [style.key("a seed", marker="o", ls="", ms=4, mfc="none", c=style.MUTED)]
    for status in statuses:
        label, colour = _LOOKS[status]
        handles.append(style.key(label, marker="o", ms=6, lw=2.2, c=colour))
    if any(math.isfinite(line.new_low) for line in forest.lines):
        handles.append(style.key("for new examples", lw=_THIN, c=style.MUTED))
    if forest.baseline is not None and forest.window.holds(forest.baseline):
        ax.axvline(forest.baseline, zorder=1, **style.BASELINE)
        handles.append(style.key("the baseline's mean", **style.BASELINE))
    style.legend(figure, handles)


def _draw_line(ax: Axes, forest: Forest, spot: int, line: Line) -> None:
    shown = forest.window.clip(line.scores)
    inside = shown == line.scores
    colour = _LOOKS[line.row.status][1]
    dots: style.Look = {"marker": "o", "ls": "", "ms": 4, "mfc": "none", "c": colour, "alpha": 0.75}
    ax.plot(shown[inside], np.full(inside.sum(), spot + 0.2), zorder=3, **dots)
    if not inside.all():
        arrow = "<" if forest.sign > 0 else ">"
        beyond: style.Look = {"marker": arrow, "ls": "", "ms": 6, "c": colour, "clip_on": False}
        ax.plot(shown[~inside][:1], [spot + 0.2], zorder=6, **beyond)
    if forest.window.holds(line.mean):
        ax.plot(line.mean, spot, "o", ms=6.5, c=colour, zorder=5)
    if math.isfinite(line.new_low):
        new = forest.window.clip(np.array([line.new_low, line.new_high]))
        ax.plot(new, [spot, spot], c=colour, lw=_THIN, zorder=3)
    if math.isfinite(line.low):
        ends = forest.window.clip(np.array([line.low, line.high]))
        ax.plot(ends, [spot, spot], c=colour, lw=2.2, zorder=4)
    ax.annotate(
        line.text,
        (1.015, spot),
        xycoords=ax.get_yaxis_transform(),
        va="center",
        size=8.8,
        color=colour,
        annotation_clip=False,
    )


def write_confirmation(confirmation: Confirmation, path: Path) -> Path:
    """Write the picture as PNG, in one atomic step."""
    plan = confirmation.plan
    forest = summarise(confirmation)
    split = ", each with its own validation split" if plan.new_split else ""
    subtitle = (
        f"{style.reading(forest.metric, forest.sign)}; mean and 95 % interval over up to "
        f"{len(plan.seeds)} fresh seeds{split}, on the {plan.on} examples"
    )
    title = f"{plan.study.name}: confirmed"
    height = _FRAME + _ROW * max(len(forest.lines), 3)
    with style.picture(path, height, title, subtitle) as figure:
        draw(forest, figure)
    return path
