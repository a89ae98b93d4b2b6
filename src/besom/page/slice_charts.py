"""The objective against each hyperparameter by itself, one small chart each."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

from besom.page.charts import (
    DOT,
    FADE,
    PICKED,
    PICKED_KEY,
    Key,
    Look,
    PageChart,
    brush,
    cells,
    fading,
    marks,
    spec_of,
    texts_by_value,
    value_axis,
    whole_numbers,
)
from besom.plots import slices, style
from besom.plots.columns import Column
from besom.plots.scales import log_ticks, number
from besom.store.records import StudyRecord

#: Trials in each slice; the best are always among them.
MOST_IN_SLICES = 2000


def slice_charts(study: StudyRecord, objective: int, id: str) -> list[PageChart]:
    """The objective against each hyperparameter by itself, one small chart each."""
    found = slices.summarise(study, objective)
    if not found.values.size or not found.columns:
        reason = style.why_empty(found.metric, found.values.size)
        return [PageChart(f"{id}-0", "One hyperparameter at a time", reason)]
    rows = _sampled(found.sign * found.values, MOST_IN_SLICES)
    return [_slice(found, column, rows, f"{id}-{i}") for i, column in enumerate(found.columns)]


def _slice(found: slices.Slices, column: Column, rows: npt.NDArray[Any], id: str) -> PageChart:
    there = rows[column.present[rows]]
    across = column.across(found.numbers)[there]
    heights = found.window.clip(found.values[there])
    last = max(int(found.numbers[-1]), 1)
    shade = alt.Scale(domain=[0, last], range=["var(--early)", "var(--late)"])
    colour = alt.Color("trial:Q", legend=None, scale=shade)
    size = float(np.clip(2600 / max(there.size, 1), 12, 36))
    x, y = _parameter_axis(column), value_axis(found.window, "")
    base = marks().mark_circle(size=size, opacity=fading(0.85), **DOT)
    base = base.encode(x=x, y=y, color=colour)
    layers: list[Any] = [base.add_params(FADE, brush())]
    ring: Look = {"stroke": "var(--best)", "strokeWidth": 2, "size": 90}
    diamond: Look = {"shape": "diamond", "fill": "var(--ink)", "stroke": "var(--paper)", "size": 70}
    for spot, look in ((found.baseline, diamond), (found.best, ring)):
        if spot is not None and column.present[spot]:
            only = marks().transform_filter(f"datum.trial == {int(found.numbers[spot])}")
            layers.append(only.mark_point(opacity=1, **look).encode(x=x, y=y))
    picked = marks("picked").mark_point(size=size + 40, **PICKED)
    layers.append(picked.encode(x=x, y=y))
    caption = f"in {there.size:,} of {rows.size:,}" if there.size < rows.size else ""
    return PageChart(
        id,
        column.label,
        caption,
        spec_of(layers, 170, f"{found.metric} against {column.label}"),
        {"trial": cells(found.numbers[there]), "c0": cells(heights), "c1": cells(across)},
        brushes=("c1", "c0"),
        n_marks=there.size,
    )


def slices_caption(study: StudyRecord, objective: int) -> str:
    """How all slices are to be read."""
    n, metric = len(study.complete), study.objectives[objective].metric
    text = f"{metric} against each hyperparameter; each dot is a complete trial"
    return text + f"; {MOST_IN_SLICES:,} of {n:,} are shown" * (n > MOST_IN_SLICES)


#: The legend of all slices.
SLICE_KEYS = (
    *(Key("early trial", "early"), Key("late trial", "late"), Key("best", "best", "ring")),
    *(Key("baseline", "ink", "diamond"), PICKED_KEY),
)


def _parameter_axis(column: Column) -> alt.X:
    """The whole space, also where no trial has been."""
    if column.categories:
        places = list(range(len(column.categories)))
        texts = [style.shorten(text, 18) for text in column.categories]
        crowded = sum(len(text) + 2 for text in texts) > 34
        look: Look = {
            "grid": False,
            "labelAngle": -30 if crowded else 0,
            "labelOverlap": len(texts) > 12,
        }
        axis = texts_by_value(places, texts, **look)
        domain = [-0.6, len(places) - 0.4]
        return alt.X("c1:Q", title=None, axis=axis, scale=alt.Scale(domain=domain, nice=False))
    low, high = column.low, column.high
    if not column.log:
        margin = 0.04 * (high - low) or 0.5
        scale = alt.Scale(domain=[low - margin, high + margin], nice=False, zero=False)
        axis = whole_numbers(low, high, 6) if column.integer else alt.Axis(tickCount=5)
        return alt.X("c1:Q", title=None, axis=axis, scale=scale)
    margin = (high / low) ** 0.04 if high > low else 2.0
    scale = alt.Scale(type="log", domain=[low / margin, high * margin], nice=False)
    ticks = log_ticks(low, high)
    texts = [number(tick, 5) for tick in ticks]
    if column.zero_at is not None:
        above = [tick for tick in ticks if tick > 2 * low]
        ticks, texts = [low, *above], ["0", *(number(tick, 5) for tick in above)]
    return alt.X("c1:Q", title=None, axis=texts_by_value(ticks, texts), scale=scale)


def _sampled(goodness: npt.NDArray[Any], n_most: int) -> npt.NDArray[Any]:
    """Row numbers: all, or the best 100 and every so many of the others."""
    order = np.argsort(-goodness, kind="stable")
    if order.size > n_most:
        rest = np.linspace(100, order.size - 1, n_most - 100).round().astype(int)
        order = np.r_[order[:100], order[rest]]
    return np.sort(order)
