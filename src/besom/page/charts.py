"""A chart of the page: a Vega-Lite specification and its data, both plain.

What all charts share is decided here. Colours are CSS variables (``var(--best)``), which the page
replaces by those of its theme. Columns are called ``trial`` and ``c0``, ``c1`` ..., because Vega
reads dots and brackets in a name as nesting. Each chart reads two data sets of the same columns:
``all``, and ``picked``, which the page fills with the trials that the reader has picked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

from besom.plots.scales import Window, even_ticks
from besom.text.printable import one_line

#: Keyword arguments of a mark or an axis.
Look = dict[str, Any]
#: The look of picked trials, and their entry in a legend.
PICKED: Look = {"stroke": "var(--picked)", "strokeWidth": 2.5, "opacity": 1}
#: ... and a trial, whose edge nobody sees: it makes a dot of five pixels easy to point at.
DOT: Look = {"stroke": "transparent", "strokeWidth": 8}

#: Above this many marks a chart is drawn on a canvas: SVG would make the page slow.
MOST_SVG_MARKS = 2000

#: Values of one column; None is no value.
Cells = Sequence[Any] | npt.NDArray[Any]

#: True while any trial is picked: the others then fade.
FADE = alt.param(name="fade", value=False)


@dataclass(frozen=True)
class Key:
    """An entry of a chart's legend: a label, a colour variable and the shape of its swatch."""

    label: str
    colour: str
    shape: str = "dot"


PICKED_KEY = Key("picked", "picked", "ring")


@dataclass(frozen=True)
class PageChart:
    """One chart of the page.

    Attributes:
        id: of its element; letters, digits and dashes.
        title: its heading.
        caption: how to read it.
        spec: Vega-Lite, without data; None where there is nothing to show, as ``caption`` says.
        columns: name to values, all of one length; the trial's number is ``trial``.
        keys: the legend.
        brushes: the two columns that a brush selects by; empty for none.
        n_marks: about how many marks it draws.
        min_width: pixels that it needs; where there are fewer it scrolls.
        tips: whether a mark without a trial says what it is in the column ``tip``.
    """

    id: str
    title: str
    caption: str
    spec: dict[str, Any] | None = None
    columns: Mapping[str, list[Any]] = field(default_factory=dict)
    keys: tuple[Key, ...] = ()
    brushes: tuple[str, ...] = ()
    n_marks: int = 0
    min_width: int = 0

    def for_script(self) -> dict[str, Any]:
        """What the page's script needs to draw it."""
        return {
            "id": self.id,
            "spec": self.spec,
            "columns": self.columns,
            "brushes": list(self.brushes),
            "renderer": "canvas" if self.n_marks > MOST_SVG_MARKS else "svg",
        }


def spec_of(layers: Sequence[Any], height: int, description: str) -> dict[str, Any]:
    """Layers as one Vega-Lite chart that fills its element's width."""
    sized = alt.layer(*layers).properties(
        width="container", height=height, description=one_line(description)
    )
    spec = sized.to_dict(validate=False)  # slow; tests/page validates what is made
    for key in ("$schema", "config"):
        spec.pop(key, None)
    return spec


def marks(data: str = "all") -> alt.Chart:
    """Marks for the rows of a data set: ``all`` or ``picked``."""
    return alt.Chart(alt.NamedData(data))


def inline(rows: Iterable[Mapping[str, Any]]) -> alt.Chart:
    """Marks for a few rows that no pick concerns, such as a baseline."""
    return alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))


def fading(opacity: float) -> alt.ExprRef:
    """An opacity that falls while trials are picked."""
    return alt.ExprRef(f"fade ? {0.25 * opacity:.3g} : {opacity:.3g}")


def brush() -> alt.Parameter:
    """The selection by dragging, which the page's script listens to."""
    return alt.selection_interval(
        name="brush",
        mark=alt.BrushConfig(fill="var(--ink)", fillOpacity=0.06, stroke="var(--muted)"),
    )


def by_colour(column: str, names: Iterable[str]) -> alt.Color:
    """Colours by a column that holds the names of their variables."""
    known = list(dict.fromkeys(names))
    scale = alt.Scale(domain=known, range=[f"var(--{name})" for name in known])
    return alt.Color(f"{column}:N", legend=None, scale=scale)


def value_axis(window: Window, title: str, column: str = "c0", also_below: float = 0.0) -> alt.Y:
    """The objective's axis: its window, with room below for what has no value."""
    floor = window.low - also_below * (window.high - window.low)
    axis = alt.Axis(tickCount=6)
    if also_below:
        axis.labelExpr = f"datum.value >= {window.low!r} ? datum.label : ''"
    scale = alt.Scale(domain=[floor, window.high], nice=False, zero=False)
    return alt.Y(f"{column}:Q", title=title, scale=scale, axis=axis)


def whole_numbers(low: float, high: float, n_most: int = 10) -> alt.Axis:
    """An axis of counts. Vega's own ticks fall between them where there are few."""
    return alt.Axis(values=even_ticks(low, high, n_most, integer=True), format=",d")


def texts_by_value(values: Sequence[float], texts: Sequence[str], **look: Any) -> alt.Axis:
    """An axis with these ticks and texts, which may be any text of a user's."""
    # A plain number is written alike by Python and by Vega's parser.
    expression = f"{literal(list(texts))}[indexof({literal(list(values))}, datum.value)]"
    return alt.Axis(values=list(values), labelExpr=expression, **look)


def literal(value: Any) -> str:
    """A value as a literal of Vega's expression language."""
    return json.dumps(value, ensure_ascii=True)


def cells(values: Cells, digits: int = 6) -> list[Any]:
    """A column for JSON: numbers with so many digits, and None for what is not finite."""
    return [_cell(value, digits) for value in np.asarray(values).tolist()]


def _cell(value: Any, digits: int) -> Any:
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.{digits}g}")
