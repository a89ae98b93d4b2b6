"""What the page of several studies says, as plain values for its template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt

from besom.page.charts import (
    FADE,
    Key,
    Look,
    PageChart,
    cells,
    inline,
    marks,
    spec_of,
    value_axis,
    whole_numbers,
)
from besom.page.page_table import PageTable
from besom.page.pictures import Picture, picture_of
from besom.page.study_page import Section, in_sentences, made_by, sentence
from besom.plots import study_curves
from besom.plots.scales import Floats, Window, score
from besom.report.claimed import claim_among
from besom.report.comparison import FOLDER, Comparison, display, headline
from besom.store.paths import StudyPaths
from besom.text.counting import listed
from besom.text.numbers import duration

#: Colours of the studies, in their order; then again from the first, dashed.
_COLOURS = ("best", "complete", "third", "failed", "infeasible", "ink")
_DASHES = ([1, 0], [6, 2], [2, 2])


def comparison_context(comparison: Comparison, results_dir: Path) -> dict[str, Any]:
    """Everything that the template ``comparison.html`` shows."""
    charts = _charts(comparison) if comparison.comparable else []
    claims = []
    for study in comparison.studies:
        own = StudyPaths.of(results_dir, study.name).report
        link = f"../../{study.name}/{own.name}" if own.is_file() else ""
        claims.append((study.name, link, in_sentences(claim_among(study, results_dir).text)))
    return {
        "name": listed([study.name for study in comparison.studies]),
        "made": made_by(),
        "headline": headline(comparison),
        "remarks": [sentence(line) for line in comparison.remarks],
        "outcomes": PageTable.of(display(comparison)),
        "claims": claims,
        "sections": [Section("The search", "", charts)] if charts else [],
        "contrasts": PageTable.of(comparison.contrasts),
        "pictures": _pictures(comparison, results_dir),
        "data": {"charts": [chart.for_script() for chart in charts if chart.spec is not None]},
    }


def _pictures(comparison: Comparison, results_dir: Path) -> list[Picture]:
    picture = results_dir / FOLDER / f"{comparison.stem}.png"
    return [picture_of(picture)] if picture.is_file() else []


def _charts(comparison: Comparison) -> list[PageChart]:
    """The best value so far of each study, against compute and against trials."""
    found = study_curves.summarise(comparison.studies)
    lines = [line for line in found.studies if line.best.size]
    if not lines:
        return [PageChart("spent", "Best so far", "None of these studies has a complete trial.")]
    minutes = max(float(line.seconds[-1]) for line in lines) > 180
    unit, per = ("minutes", 60.0) if minutes else ("seconds", 1.0)
    return [
        _progress(
            found,
            "spent",
            f"Best {found.metric} by worker time",
            f"worker {unit} spent, of all trials, also pruned and failed ones",
            [line.seconds / per for line in found.studies],
            alt.Axis(tickCount=8),
        ),
        _progress(
            found,
            "trials",
            f"Best {found.metric} by trials",
            "trials finished",
            [line.trials for line in found.studies],
            whole_numbers(0, max(line.trials.max(initial=1) for line in found.studies)),
        ),
    ]


def _progress(
    found: study_curves.StudyCurves,
    id: str,
    title: str,
    across: str,
    places: list[Floats],
    axis: alt.Axis,
) -> PageChart:
    columns: dict[str, list[Any]] = {"c0": [], "c1": [], "c2": [], "tip": []}
    layers: list[Any] = []
    x = alt.X("c1:Q", title=across, axis=axis, scale=alt.Scale(zero=True, nice=False))
    y = value_axis(found.window, found.metric)
    keys = []
    for i, (line, place) in enumerate(zip(found.studies, places, strict=True)):
        if not line.best.size:
            continue
        colour = _COLOURS[i % len(_COLOURS)]
        dash = _DASHES[i // len(_COLOURS) % len(_DASHES)]
        keys.append(Key(f"{line.name}: {score(float(line.best[-1]))}", colour, "line"))
        columns["c0"] += cells(found.window.clip(line.best))
        columns["c1"] += cells(place)
        columns["c2"] += [i] * line.best.size
        columns["tip"] += [
            f"{line.name}: {score(best)} after {n:g} trials, {duration(spent)}"
            for best, n, spent in zip(line.best, line.trials, line.seconds, strict=True)
        ]
        look: Look = {"stroke": f"var(--{colour})", "strokeDash": dash, "strokeWidth": 2}
        only = marks().transform_filter(f"datum.c2 == {i}")
        layers.append(only.mark_line(interpolate="step-after", **look).encode(x=x, y=y))
        layers.append(
            only.mark_circle(size=36, color=f"var(--{colour})", opacity=1).encode(x=x, y=y)
        )
        layers += _baseline(found.window, line, colour)
    layers[0] = layers[0].add_params(FADE)
    description = f"{title} of {', '.join(line.name for line in found.studies)}"
    spec = spec_of(layers, 300, description)
    return PageChart(id, title, "", spec, columns, tuple(keys), n_marks=len(columns["c0"]))


def _baseline(window: Window, line: study_curves.Progress, colour: str) -> list[alt.Chart]:
    if line.baseline is None or not window.holds(line.baseline):
        return []
    rule = inline(
        [{"c0": line.baseline, "tip": f"baseline of {line.name}: {score(line.baseline)}"}]
    )
    look: Look = {
        "stroke": f"var(--{colour})",
        "strokeDash": [4, 3],
        "strokeWidth": 1,
        "opacity": 0.8,
    }
    return [rule.mark_rule(**look).encode(y=alt.Y("c0:Q"))]
