"""What ``besom confirm`` has found of a study, read from the files that it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from besom.page.charts import (
    Key,
    Look,
    PageChart,
    by_colour,
    cells,
    inline,
    spec_of,
    texts_by_value,
)
from besom.plots.scales import window
from besom.regular import special_kind
from besom.store.records import Objective
from besom.text.counting import counted

#: The kinds of confirmation, by the stems of their files.
_KINDS = {
    "confirm": "on the test examples",
    "confirm_new_split": "on the test examples, with new splits",
    "confirm_validation": "on the validation examples",
    "confirm_validation_new_split": "on new validation splits",
}
_COLOURS = {"first": "best", "tied": "complete", "behind": "muted"}


class Confirmed(NamedTuple):
    """One confirmation.

    Attributes:
        title: what it was measured on.
        sentences: its conclusion, and what limits it.
        table: its rows for people.
        chart: means, seeds and intervals.
    """

    title: str
    sentences: list[str]
    table: pd.DataFrame
    chart: PageChart


def confirmed(root: Path, aim: Objective) -> list[Confirmed]:
    """Every confirmation in a study's folder; one whose files cannot be read is left out."""
    found = []
    for stem, title in _KINDS.items():
        if any(special_kind(root / f"{stem}.{kind}") for kind in ("json", "csv")):
            continue
        try:
            said = json.loads((root / f"{stem}.json").read_text(encoding="utf-8"))
            sentences = [str(line) for line in said["sentences"]]
            table = pd.DataFrame(said["rows"], columns=said["columns"], dtype=str)
            chart = _forest(pd.read_csv(root / f"{stem}.csv"), aim, stem.replace("_", "-"))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        found.append(Confirmed(title, sentences, table, chart))
    return found


def _forest(frame: pd.DataFrame, aim: Objective, id: str) -> PageChart:
    rows = frame[frame["mean"].notna()].to_dict(orient="records")
    if not rows:
        return PageChart(id, "", "No run has succeeded, so there is no score to show.")
    lines, dots = _lines_and_dots(rows)
    known = [line[end] for line in lines for end in ("c1", "c2", "c3", "c4", "c5")]
    shown = window([v for v in known if v is not None] + [d["c1"] for d in dots], aim.sign)
    names = [f"trial {row['trial']}" + " (baseline)" * (row["baseline"] is True) for row in rows]
    look: Look = {"ticks": False, "domain": False, "grid": False}
    y = alt.Y("c0:O", title=None, axis=texts_by_value(range(len(rows)), names, **look))
    scale = alt.Scale(domain=[shown.low, shown.high], nice=False, zero=False, clamp=True)
    metric = aim.metric.removeprefix("val_")
    x, thick, thin = (
        alt.X(f"{column}:Q", title=metric, scale=scale, axis=alt.Axis(tickCount=6))
        for column in ("c1", "c2", "c4")
    )
    colours = by_colour("c6", [line["c6"] for line in lines])
    base, seed = inline(lines), inline(dots)
    layers: list[Any] = [
        base.mark_rule(strokeWidth=1.2).encode(x=thin, x2=alt.X2("c5"), y=y, color=colours),
        base.mark_rule(strokeWidth=3.5).encode(x=thick, x2=alt.X2("c3"), y=y, color=colours),
        seed.mark_point(size=22, opacity=0.7).encode(x=x, y=y, color=colours),
        base.mark_circle(size=90, opacity=1).encode(x=x, y=y, color=colours),
    ]
    for at in (i for i, row in enumerate(rows) if row["baseline"] is True):
        rule = inline([{"c1": lines[at]["c1"], "tip": "the baseline's mean"}])
        layers.append(rule.mark_rule(stroke="var(--ink)", strokeDash=[5, 3]).encode(x=x))
    keys = [Key("mean of the first", "best"), Key("tied with it", "complete")]
    keys += [Key("behind", "muted"), Key("one seed", "muted", "ring")]
    keys += [Key("95 % with other seeds", "muted", "bar"), Key("and new examples", "muted", "line")]
    return PageChart(
        id,
        "",
        "the mean over seeds of each config, and its intervals",
        spec_of(layers, 44 * len(rows) + 10, f"Means and intervals of {metric}"),
        keys=tuple(keys),
        n_marks=len(dots),
    )


def _lines_and_dots(rows: list[Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Each config's mean ``c1`` and the ends of its intervals, and each seed's score."""
    lines, dots = [], []
    for at, row in enumerate(rows):
        colour = _COLOURS.get(str(row["status"]), "muted")
        scores = cells([v for key, v in row.items() if key.startswith("seed_") and not pd.isna(v)])
        wide = [row["low"], row["high"]] if row["of_new"] is True else [None, None]
        ends = cells([row["mean"], row["fixed_low"], row["fixed_high"], *wide])
        tip = f"trial {row['trial']}: mean {row['mean']:.4g} over {counted(len(scores), 'seed')}"
        columns = dict(zip(("c1", "c2", "c3", "c4", "c5"), ends, strict=True))
        lines.append({"c0": at, "c6": colour, "tip": tip, **columns})
        dots += [{"c0": at, "c1": score, "c6": colour} for score in scores]
    return lines, dots
