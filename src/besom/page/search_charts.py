"""The course of a search as charts: optimization history, learning curves, importance."""

from __future__ import annotations

from typing import Any, NamedTuple

import altair as alt
import numpy as np

from besom.page.charts import (
    DOT,
    FADE,
    PICKED,
    PICKED_KEY,
    Key,
    Look,
    PageChart,
    brush,
    by_colour,
    cells,
    fading,
    inline,
    marks,
    spec_of,
    texts_by_value,
    value_axis,
    whole_numbers,
)
from besom.plots import curves, history, importance, style
from besom.plots.curves import Curve, Curves
from besom.plots.history import History
from besom.plots.scales import Ints, number, score
from besom.store.records import StudyRecord

#: Curves: the best complete trials, and so many of each other kind.
MOST_CURVES, MOST_OTHER_CURVES = 100, 50

#: The height, in shares of the axis, of the strip for trials without a value.
_STRIP = 0.14


class _Dots(NamedTuple):
    """Trials of one kind in the optimization history, and the variable of their colour."""

    label: str
    colour: str
    numbers: Ints
    heights: list[float]


def history_chart(study: StudyRecord, objective: int, id: str) -> PageChart:
    """Every trial's value in the order of the trials; below them those that have none."""
    found = history.summarise(study, objective)
    caption = "; ".join([style.reading(found.metric, found.sign), history.caption(found)[0]])
    if not found.n_trials:
        return PageChart(id, "Optimization history", caption)
    if found.window.n_outside:
        caption += f"; {found.window.n_outside:,} beyond the edge"
        caption += f" (worst {number(found.window.worst, 3)})"
    dots = [kind for kind in _dots(found) if kind.numbers.size]
    kinds = [kind.colour for kind in dots for _ in kind.heights]
    x = alt.X(
        "trial:Q",
        title="trial",
        scale=alt.Scale(domain=[-0.5, max(found.n_trials, 4) - 0.5], nice=False, zero=False),
        axis=whole_numbers(0, max(found.n_trials, 4) - 1),
    )
    y = value_axis(found.window, found.metric, also_below=_STRIP)
    size = float(np.clip(4000 / found.n_trials, 12, 45))
    base = marks().mark_circle(size=size, opacity=fading(0.8), **DOT)
    base = base.encode(x=x, y=y, color=by_colour("c1", kinds)).add_params(FADE, brush())
    keys, lines = _history_lines(found)
    picked = marks("picked").mark_point(size=2 * size + 30, **PICKED).encode(x=x, y=y)
    return PageChart(
        id,
        "Optimization history",
        caption,
        spec_of([base, *lines, picked], 300, f"Optimization history of {study.name}: {caption}"),
        {
            "trial": cells(np.concatenate([kind.numbers for kind in dots])) if dots else [],
            "c0": cells([height for kind in dots for height in kind.heights]),
            "c1": kinds,
        },
        (*(Key(f"{d.label} ({d.numbers.size:,})", d.colour) for d in dots), *keys, PICKED_KEY),
        ("trial", "c0"),
        len(kinds),
    )


def _dots(found: History) -> list[_Dots]:
    shown = found.window.clip
    reused, taken = found.duplicates, found.warm_starts
    span = found.window.high - found.window.low

    def below(label: str, colour: str, numbers: Ints, depth: float) -> _Dots:
        return _Dots(label, colour, numbers, [found.window.low - depth * span] * numbers.size)

    return [
        _Dots("complete", "complete", found.numbers, shown(found.values).tolist()),
        _Dots("same config as before", "third", _whole(reused), shown(reused[:, 1]).tolist()),
        _Dots("from another study", "early", _whole(taken), shown(taken[:, 1]).tolist()),
        below("pruned", "muted", found.pruned, 0.03),
        below("infeasible", "infeasible", found.infeasible, 0.07),
        below("failed", "failed", found.failed, 0.11),
    ]


def _whole(points: Any) -> Ints:
    return np.asarray(points[:, 0], dtype=np.int64)


def _history_lines(found: History) -> tuple[list[Key], list[Any]]:
    """The best so far, and the baseline."""
    keys: list[Key] = []
    layers: list[Any] = []
    if found.step_values.size:
        steps = zip(found.step_numbers, found.window.clip(found.step_values), strict=True)
        line = inline({"trial": int(n), "c0": float(v)} for n, v in steps)
        look: Look = {"interpolate": "step-after", "stroke": "var(--best)", "strokeWidth": 2}
        layers.append(line.mark_line(**look).encode(x=alt.X("trial:Q"), y=alt.Y("c0:Q")))
        keys.append(Key(f"best so far, trial {found.best_number}", "best", "line"))
    if found.baseline is not None:
        text = f"baseline {score(found.baseline)}"
        if found.window.holds(found.baseline):
            rule = inline([{"c0": found.baseline, "tip": text}])
            look = {"stroke": "var(--ink)", "strokeDash": [5, 3], "strokeWidth": 1.4}
            layers.append(rule.mark_rule(**look).encode(y=alt.Y("c0:Q")))
        else:
            text += ", beyond the edge"
        keys.append(Key(text, "ink", "dashes"))
    return keys, layers


def curves_chart(study: StudyRecord, objective: int, id: str) -> PageChart:
    """The metric after each epoch, one line per trial: the best, and some of the others."""
    found = curves.summarise(study, objective)
    if not found.n_epochs:
        reason = f"No trial has a value of {found.metric} for each epoch."
        return PageChart(id, "Learning curves", reason)
    shown = [
        *((c, "failed") for c in found.failed[:MOST_OTHER_CURVES]),
        *((c, "muted") for c in found.pruned[:MOST_OTHER_CURVES]),
        *((c, "complete") for c in reversed(found.complete[:MOST_CURVES])),
    ]
    n_hidden = found.n_complete + found.n_pruned + found.n_failed - len(shown)
    caption = f"{found.metric} after each epoch, one line per trial"
    if n_hidden:
        n_best = min(len(found.complete), MOST_CURVES)
        caption += f"; of the complete trials the best {n_best}; {n_hidden:,} lines are left out"
    return PageChart(
        id,
        "Learning curves",
        caption,
        spec_of(_curve_layers(found, shown), 320, f"Learning curves of {study.name}: {caption}"),
        {
            "trial": [c.number for c, _ in shown for _ in c.heights],
            "c0": [v for c, _ in shown for v in cells(c.heights, 5)],
            "c1": [epoch for c, _ in shown for epoch in range(1, c.heights.size + 1)],
            "c2": [kind for c, kind in shown for _ in c.heights],
        },
        _curve_keys(found),
        n_marks=len(shown),
    )


def _curve_layers(found: Curves, shown: list[tuple[Curve, str]]) -> list[Any]:
    domain = [1, found.n_epochs] if found.n_epochs > 1 else [0.5, 1.5]
    x = alt.X(
        "c1:Q",
        title="epoch",
        scale=alt.Scale(domain=domain, nice=False, zero=False),
        axis=whole_numbers(1, found.n_epochs),
    )
    y = value_axis(found.window, found.metric)
    shape: Look = {"clip": True}
    if found.n_epochs == 1:
        shape["point"] = {"size": 20}
    place: Look = {"x": x, "y": y, "order": alt.Order("c1:Q")}
    crowd = float(np.clip(40 / len(shown), 0.3, 0.8))
    lines = marks().mark_line(strokeWidth=1.1, opacity=fading(crowd), **shape)
    colour = by_colour("c2", [kind for _, kind in shown])
    layers = [lines.encode(**place, color=colour, detail=alt.Detail("trial:N")).add_params(FADE)]
    special: list[tuple[Curve, Look]] = []
    if found.complete:
        special.append((found.complete[0], {"stroke": "var(--best)", "strokeWidth": 2.5}))
    if found.baseline is not None:
        special.append((found.baseline, {"stroke": "var(--ink)", "strokeDash": [5, 3]}))
    for curve, look in special:
        only = marks().transform_filter(f"datum.trial == {curve.number}")
        layers.append(only.mark_line(opacity=fading(1.0), **look, **shape).encode(**place))
    picked = marks("picked").mark_line(stroke="var(--picked)", strokeWidth=2.5, **shape)
    return [*layers, picked.encode(**place, detail=alt.Detail("trial:N"))]


def _curve_keys(found: Curves) -> tuple[Key, ...]:
    keys = []
    if found.complete:
        keys.append(Key(f"best, trial {found.complete[0].number}", "best", "line"))
    for label, colour, n in (
        ("complete", "complete", found.n_complete),
        ("pruned", "muted", found.n_pruned),
        ("failed", "failed", found.n_failed),
    ):
        if n:
            keys.append(Key(f"{label} ({n:,})", colour, "line"))
    if found.baseline is not None:
        keys.append(Key("baseline", "ink", "dashes"))
    return (*keys, Key("picked", "picked", "line"))


def importance_chart(study: StudyRecord, objective: int, id: str) -> PageChart:
    """Which hyperparameters set the best trials apart, beside what chance alone would show."""
    found = importance.summarise(study, objective)
    title = "What mattered"
    caption = importance.caption(found)[0]
    if found.problem:
        return PageChart(id, title, "; ".join(filter(None, [found.problem, caption])))
    shares = found.shares[: importance.MAX_BARS]
    names = [style.shorten(s.name, 40) for s in shares]
    sure = [s.share > s.noise for s in shares]
    tips = [
        f"{s.name}: {s.share:.0%} of the importance, "
        f"{'above' if ok else 'within'} the noise level of {s.noise:.0%}"
        + f"; in {s.n_trials:,} trials"
        * (s.n_trials != found.n_trials)
        for s, ok in zip(shares, sure, strict=True)
    ]
    edge = min(1.0, 1.6 * shares[0].share)
    look: Look = {"labelLimit": 190, "ticks": False, "domain": False, "grid": False}
    y = alt.Y("c0:O", title=None, axis=texts_by_value(range(len(shares)), names, **look))
    x = alt.X(
        "c1:Q",
        title="share of the importance",
        axis=alt.Axis(format=".0%", tickCount=5),
        scale=alt.Scale(domain=[0, edge], nice=False, clamp=True),
    )
    colour = alt.condition("datum.c3", alt.value("var(--complete)"), alt.value("var(--faint)"))
    bars = marks().mark_bar(height={"band": 0.65}).encode(x=x, y=y, color=colour)
    noise = marks().mark_tick(color="var(--best)", thickness=2.5, size=16)
    layers: list[Any] = [bars.add_params(FADE), noise.encode(x=alt.X("c2:Q"), y=y)]
    columns: dict[str, list[Any]] = {
        "c0": list(range(len(shares))),
        "c1": cells([s.share for s in shares]),
        "c2": cells([s.noise for s in shares]),
        "c3": sure,
        "tip": tips,
    }
    keys = [Key("above the noise", "complete", "bar"), Key("within the noise", "faint", "bar")]
    keys.append(Key("noise level: 95 % of shuffled studies stay under it", "best", "tick"))
    height = 26 * len(shares) + 10
    return PageChart(
        id, title, caption, spec_of(layers, height, f"Importance: {caption}"), columns, tuple(keys)
    )
