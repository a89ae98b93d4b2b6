"""Parallel coordinates: every complete trial as one line through all its hyperparameters."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

from besom.page.charts import FADE, Key, Look, PageChart, cells, fading, inline, marks, spec_of
from besom.plots import parallel, style
from besom.plots.columns import Column
from besom.store.records import StudyRecord

#: Lines: the best, and every so many of the others.
MOST_LINES = 500
#: Pixels that an axis needs beside the next.
_AXIS_WIDTH = 92


def parallel_charts(study: StudyRecord, objective: int, id: str) -> list[PageChart]:
    """A chart for each row of axes; the objective's is the last in each."""
    found = parallel.summarise(study, objective)
    if not found.columns or not found.values.size:
        reason = style.why_empty(found.metric, found.values.size)
        return [PageChart(f"{id}-0", "Parallel coordinates", reason)]
    keep = _kept(found)
    n_hidden = found.n_hidden + found.numbers.size - keep.size
    caption = "each line is a complete trial; up is better"
    if n_hidden:
        caption += f"; {n_hidden:,} lines left out"
    if any(not column.present.all() for column in found.columns):
        caption += "; a line passes below an axis that does not apply to it"
    rows = parallel.rows(found)
    return [_row(found, keep, row, f"{id}-{i}", caption * (i == 0)) for i, row in enumerate(rows)]


def _kept(found: parallel.Parallel) -> npt.NDArray[Any]:
    """Which lines are drawn, worst first."""
    n = found.numbers.size
    if n <= MOST_LINES:
        return np.arange(n)
    crowd = np.linspace(0, n - found.n_top - 1, MOST_LINES - found.n_top).round().astype(int)
    baseline = [] if found.baseline is None else [found.baseline]
    return np.unique(np.r_[crowd, np.arange(n - found.n_top, n), baseline]).astype(int)


def _row(
    found: parallel.Parallel, keep: npt.NDArray[Any], row: list[int], id: str, caption: str
) -> PageChart:
    lines = np.c_[found.heights[:, row], found.scores][keep]
    n_lines, n_axes = lines.shape
    groups = np.full(found.numbers.size, "faint", dtype=object)
    groups[-found.n_top :] = "complete"
    groups[-1] = "best"
    if found.baseline is not None:
        groups[found.baseline] = "ink" if groups[found.baseline] != "best" else "best"
    columns: dict[str, list[Any]] = {
        "trial": cells(np.repeat(found.numbers[keep], n_axes)),
        "c0": cells(lines.ravel(), 4),
        "c1": cells(np.tile(np.arange(n_axes), n_lines)),
        "c2": np.repeat(groups[keep], n_axes).tolist(),
    }
    x = alt.X("c1:Q", axis=None, scale=alt.Scale(domain=[-0.25, n_axes - 0.45], nice=False))
    y = alt.Y("c0:Q", axis=None, scale=alt.Scale(domain=[-0.2, 1.24], nice=False))
    place: Look = {"x": x, "y": y, "detail": alt.Detail("trial:N"), "order": alt.Order("c1:Q")}
    layers: list[Any] = []
    for group, look, opacity in (
        ("faint", {"strokeWidth": 0.8}, float(np.clip(60 / n_lines, 0.25, 0.8))),
        ("complete", {"strokeWidth": 1.3}, 0.75),
        ("ink", {"strokeWidth": 1.6, "strokeDash": [5, 3]}, 1.0),
        ("best", {"strokeWidth": 2.6}, 1.0),
    ):
        only = marks().transform_filter(f"datum.c2 == '{group}'")
        line = only.mark_line(stroke=f"var(--{group})", opacity=fading(opacity), **look)
        layers.append(line.encode(**place))
    layers[0] = layers[0].add_params(FADE)
    picked = marks("picked").mark_line(stroke="var(--picked)", strokeWidth=2.4)
    layers += [picked.encode(**place), *_axes(found, row, x, y)]
    keys = [Key(f"best, trial {found.numbers[-1]}", "best", "line")]
    keys.append(Key(f"next {found.n_top - 1}", "complete", "line"))
    if found.baseline is not None:
        keys.append(Key("baseline", "ink", "dashes"))
    keys += [Key("others", "faint", "line"), Key("picked", "picked", "line")]
    return PageChart(
        id,
        "Parallel coordinates" if caption else "",
        caption,
        spec_of(layers, 330, f"Parallel coordinates: {caption}"),
        columns,
        tuple(keys) if caption else (),
        n_marks=n_lines,
        min_width=_AXIS_WIDTH * n_axes,
    )


def _axes(found: parallel.Parallel, row: list[int], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """The lines of the axes, their names in two rows, and their ticks."""
    present = np.ones(found.values.size, bool)
    low, high = found.window.low, found.window.high
    objective = Column(found.metric, present, found.values, low=low, high=high)
    columns = [*(found.columns[i] for i in row), objective]
    last = len(columns) - 1
    heads, ticks = [], []
    for at, column in enumerate(columns):
        group, leaf = column.name
        heads.append({"c1": at, "c0": 1.19, "c2": parallel.shortened_group(group, 14), "c3": False})
        heads.append({"c1": at, "c0": 1.1, "c2": style.shorten(leaf, 14), "c3": True})
        turned = at == last and found.sign < 0
        for height, text in parallel.marks_of(column):
            ticks.append({"c1": at, "c0": 1 - height if turned else height, "c2": text})
    rules = inline({"c1": at, "c0": 0, "c4": 1} for at in range(len(columns)))
    name, tick = inline(heads), inline(ticks)
    halo: Look = {"stroke": "var(--paper)", "strokeWidth": 3, "strokeOpacity": 0.85}
    beside: Look = {"align": "left", "dx": 5, "fontSize": 10, "baseline": "middle"}
    return [
        rules.mark_rule(stroke="var(--muted)").encode(x=x, y=y, y2=alt.Y2("c4")),
        tick.mark_text(**halo, **beside).encode(x=x, y=y, text=alt.Text("c2:N")),
        tick.mark_text(fill="var(--muted)", **beside).encode(x=x, y=y, text=alt.Text("c2:N")),
        name.mark_text(align="center", fontSize=11, fill="var(--ink)").encode(
            x=x,
            y=y,
            text=alt.Text("c2:N"),
            opacity=alt.condition("datum.c3", alt.value(1), alt.value(0.6)),
        ),
    ]
