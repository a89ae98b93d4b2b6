"""Several objectives: the first against each of the others."""

from __future__ import annotations

from typing import Any

import altair as alt

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
)
from besom.plots import pareto, style
from besom.plots.scales import log_ticks, number
from besom.store.records import StudyRecord


def pareto_charts(study: StudyRecord, id: str) -> list[PageChart]:
    """The first objective against each of the others."""
    found = pareto.summarise(study)
    if not found.values.size:
        return [PageChart(f"{id}-1", "Pareto front", "No trial has completed.")]
    return [_pareto(found, panel, f"{id}-{panel}") for panel in range(1, len(found.metrics))]


def _pareto(found: pareto.Pareto, panel: int, id: str) -> PageChart:
    up, across = found.values[:, 0], found.values[:, panel]
    place = _axes(found, panel)
    colour = alt.condition("datum.c2", alt.value("var(--complete)"), alt.value("var(--faint)"))
    size = alt.condition("datum.c2", alt.value(60), alt.value(26))
    base = marks().mark_circle(opacity=fading(0.9), **DOT)
    base = base.encode(**place, color=colour, size=size)
    layers: list[Any] = [base.add_params(FADE, brush())]
    if len(found.metrics) == 2:
        # With both corners to the bad side: between two members of the front nothing is reached.
        step: Any = "step-after" if found.signs[1] < 0 else "step-before"
        front = marks().transform_filter("datum.c2")
        line = front.mark_line(interpolate=step, stroke="var(--complete)", opacity=fading(0.7))
        layers.append(line.encode(**place, order=alt.Order("c1:Q")))
    ring: Look = {"stroke": "var(--best)", "strokeWidth": 2, "size": 130}
    diamond: Look = {"shape": "diamond", "fill": "var(--ink)", "stroke": "var(--paper)", "size": 80}
    keys = [Key("complete", "faint"), Key(f"beaten by none ({int(found.front.sum())})", "complete")]
    for spot, look, key in (
        (found.baseline, diamond, Key("baseline", "ink", "diamond")),
        (found.knee, ring, Key("knee", "best", "ring")),
    ):
        if spot is not None:
            only = marks().transform_filter(f"datum.trial == {int(found.numbers[spot])}")
            layers.append(only.mark_point(opacity=1, **look).encode(**place))
            keys.append(key)
    picked = marks("picked").mark_point(size=110, **PICKED)
    layers.append(picked.encode(**place))
    caption = "; ".join(filter(None, ["each dot is a complete trial", pareto.knee_text(found)]))
    title = f"{found.metrics[0]} against {found.metrics[panel]}"
    columns: dict[str, list[Any]] = {
        "trial": cells(found.numbers),
        "c0": cells(up),
        "c1": cells(across),
        "c2": found.front.tolist(),
    }
    return PageChart(
        id,
        title,
        caption,
        spec_of(layers, 360, f"Pareto front: {title}"),
        columns,
        (*keys, PICKED_KEY),
        ("c1", "c0"),
        len(columns["trial"]),
    )


def _axes(found: pareto.Pareto, panel: int) -> Look:
    """Where marks stand: ``x`` and ``y``."""
    place: Look = {}
    for name, channel, column, i in (("x", alt.X, "c1", panel), ("y", alt.Y, "c0", 0)):
        window = found.windows[i]
        kind: Look = {"type": "log"} if found.log[i] else {"zero": False}
        scale = alt.Scale(domain=[window.low, window.high], nice=False, clamp=True, **kind)
        axis = alt.Axis(tickCount=6)
        if found.log[i]:
            ticks = log_ticks(window.low, window.high)
            axis = texts_by_value(ticks, [number(tick, 5) for tick in ticks])
        title = style.reading(found.metrics[i], found.signs[i])
        place[name] = channel(f"{column}:Q", title=title, scale=scale, axis=axis)
    return place
