"""Learning curves after each epoch: of a study, one line per trial; of one run, one per metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from besom.plots import style
from besom.plots.scales import Floats, Window, score, window
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Lines drawn of each kind at most; more would only be slower, and a solid block.
MAX_LINES = 500
N_LABELLED = 5

TITLE = "learning curves"


class Curve(NamedTuple):
    """One trial's line.

    Attributes:
        number: the trial's number; ``value`` what it is ranked by, None unless complete.
        heights: (n_epochs,) the metric after epoch 1, 2, ...
        best_epoch: the epoch (from 1) that counts; None if it is the last, or unknown.
    """

    number: int
    value: float | None
    heights: Floats
    best_epoch: int | None


class Curves(NamedTuple):
    """What the picture shows.

    Attributes:
        complete: best first; ``pruned`` and ``failed`` by number.
        baseline: the base config's curve, if it completed.
        n_complete, n_pruned, n_failed: how many have a curve; ``MAX_LINES`` of each are drawn.
        n_epochs: the longest curve's.
    """

    metric: str
    sign: int
    complete: tuple[Curve, ...]
    pruned: tuple[Curve, ...]
    failed: tuple[Curve, ...]
    baseline: Curve | None
    n_complete: int
    n_pruned: int
    n_failed: int
    n_epochs: int
    window: Window

    @property
    def n_hidden(self) -> int:
        """Curves that are not drawn."""
        drawn = len(self.complete) + len(self.pruned) + len(self.failed)
        return self.n_complete + self.n_pruned + self.n_failed - drawn


def summarise(study: StudyRecord, objective: int = 0) -> Curves:
    """Read the curves of the study's objective with this index."""
    aim = study.objectives[objective]

    def curves_of(trials: Iterable[TrialRecord]) -> list[Curve]:
        return [c for t in trials if (c := _curve(t, aim, objective))]

    complete = curves_of(study.complete)
    complete.sort(key=lambda c: (-aim.sign * (c.value or 0.0), c.number))
    pruned = curves_of(t for t in study.trials if t.outcome is Outcome.PRUNED)
    failed = curves_of(t for t in study.trials if t.outcome.failed)
    baseline = next(iter(curves_of([study.baseline])), None) if study.baseline else None
    longest = max((c.heights.size for c in [*complete, *pruned, *failed]), default=0)
    return Curves(
        metric=aim.metric,
        sign=aim.sign,
        complete=_thinned(complete, n_first=N_LABELLED),
        pruned=_thinned(pruned),
        failed=_thinned(failed),
        baseline=baseline,
        n_complete=len(complete),
        n_pruned=len(pruned),
        n_failed=len(failed),
        n_epochs=longest,
        window=_window(complete or pruned or failed, baseline, aim.sign),
    )


def _curve(trial: TrialRecord, aim: Objective, objective: int) -> Curve | None:
    heights = np.array(trial.history.get(aim.metric, ()), dtype=float)
    broken = np.flatnonzero(~np.isfinite(heights))
    heights = heights[: broken[0]] if broken.size else heights
    if not heights.size:
        return None
    value = trial.values[objective] if trial.values else None
    return Curve(trial.number, value, heights, trial.best_epoch if aim.epoch == "best" else None)


def _thinned(curves: list[Curve], n_first: int = 0) -> tuple[Curve, ...]:
    """At most ``MAX_LINES``: the first ``n_first``, then the others evenly."""
    if len(curves) <= MAX_LINES:
        return tuple(curves)
    picks = np.linspace(n_first, len(curves) - 1, MAX_LINES - n_first).round().astype(int)
    return tuple(curves[:n_first]) + tuple(curves[i] for i in picks)


def _window(curves: list[Curve], baseline: Curve | None, sign: int) -> Window:
    """Show the better half's course whole, after its first steps; let the rest run off the edge."""
    if not curves:
        return Window(0.0, 1.0)
    ranked = sorted(curves, key=lambda c: -float((sign * c.heights).max()))
    half = ranked[: max(len(ranked) // 2, min(len(ranked), 5))]
    longest = max(c.heights.size for c in half)
    # The climb of the first epochs is steep and says little: a tenth of the course may be cut.
    skip = longest // 10 if longest >= 5 else 0
    points = np.concatenate([c.heights[min(skip, c.heights.size - 1) :] for c in half])
    if len(curves) < N_LABELLED:  # too few for a crowd: show them from their first epoch
        points = np.concatenate([c.heights for c in curves])
        points = np.array([points.min(), points.max()])
    start = [] if baseline is None else [float(sign * (sign * baseline.heights).max())]
    return window(points, sign, start)


def caption(curves: Curves) -> tuple[str, float]:
    """How to read the picture, how many curves it leaves out, and the inches that it needs."""
    text = "after each epoch, one line per trial"
    return text + f"; {curves.n_hidden:,} lines left out" * bool(curves.n_hidden), 4.2


def draw(curves: Curves, figure: Figure) -> None:
    """Draw the curves: the crowd thin, the best thick and named at their end."""
    if not curves.n_epochs:
        reason = f"No trial has a value of {curves.metric} for each epoch: there is no curve."
        style.say_nothing_to_see(figure, reason)
        return
    ax = figure.add_subplot()
    style.format_axis(ax.yaxis, log=False, low=0, high=1)
    _epoch_axis(ax, curves.n_epochs)
    ax.set_ylim(curves.window.low, curves.window.high)
    ax.set_ylabel(curves.metric)
    handles = [*_draw_crowd(ax, curves), *_draw_top(ax, curves)]
    if curves.baseline is not None:
        _line(ax, curves.baseline.heights, zorder=10.5, **style.BASELINE)
        shown = f" {score(curves.baseline.value)}" if curves.baseline.value is not None else ""
        handles.append(
            style.key(f"baseline, trial {curves.baseline.number}:{shown}", **style.BASELINE)
        )
    style.legend(figure, handles)


def _line(ax: Axes, heights: Floats, **look: Any) -> None:
    marker = {"marker": "o", "ms": 4} if heights.size == 1 else {}
    ax.plot(np.arange(1, heights.size + 1), heights, **{**look, **marker})


def _draw_crowd(ax: Axes, curves: Curves) -> list[object]:
    from matplotlib.collections import LineCollection

    rest = curves.complete[N_LABELLED:]
    handles: list[object] = []
    crowd = len(curves.pruned) + len(rest)
    alpha = float(np.clip(60 / max(crowd, 1), 0.15, 0.8))
    for group, name, colour, mark in (
        (curves.pruned, f"pruned ({curves.n_pruned:,})", style.MUTED, "|"),
        (curves.failed, f"failed ({curves.n_failed:,})", style.PURPLE, "x"),
    ):
        if not group:
            continue
        lines = [np.c_[np.arange(1, c.heights.size + 1), c.heights] for c in group]
        ax.add_collection(
            LineCollection(lines, colors=colour, lw=0.7, alpha=0.5 * alpha, zorder=2),
            autolim=False,
        )
        ends = np.array([line[-1] for line in lines])
        look: style.Look = {"marker": mark, "c": colour, "ms": 5.5, "mew": 1.2}
        ax.plot(ends[:, 0], ends[:, 1], ls="", alpha=min(2 * alpha, 0.9), zorder=3, **look)
        handles.append(style.key(name, lw=0.7, **look))
    if rest:
        lines = [np.c_[np.arange(1, c.heights.size + 1), c.heights] for c in reversed(rest)]
        shade = style.gradient("#cfe3ee", "#5aa3cc", "#1f6ea3")(np.linspace(0, 1, len(lines)))
        ax.add_collection(
            LineCollection(lines, colors=list(shade), lw=0.9, alpha=max(alpha, 0.3), zorder=4),
            autolim=False,
        )
        if curves.n_epochs == 1:
            ax.scatter([1.0] * len(rest), [c.heights[0] for c in rest], s=12, color=style.BLUE)
        handles.append(
            style.key(
                f"complete, darker is better ({curves.n_complete - N_LABELLED:,})",
                c="#5aa3cc",
                lw=2,
            )
        )
    return handles


def _draw_top(ax: Axes, curves: Curves) -> list[object]:
    """The leaders, labelled right of the axes with their rank, number and value."""
    top, ends = curves.complete[:N_LABELLED], []
    for rank, curve in enumerate(top):
        colour = style.SERIES[rank]
        _line(ax, curve.heights, c=colour, lw=1.6 if rank else 2.4, zorder=10 - 0.1 * rank)
        if curve.best_epoch is not None and 0 < curve.best_epoch <= curve.heights.size:
            spot = (curve.best_epoch, float(curve.heights[curve.best_epoch - 1]))
            ax.plot(*spot, "o", ms=5, mfc="white", mec=colour, mew=1.5, zorder=11, clip_on=False)
        text = f"{rank + 1}. trial {curve.number}"
        if curve.value is not None:
            text += f"  {score(curve.value)}"
        end = float(curves.window.clip(curve.heights)[-1])
        ends.append((float(curve.heights.size), end, text, colour))
    style.label_ends(ax, ends, gap=0.052)
    if any(c.best_epoch for c in top):
        return [style.key("epoch that counts", marker="o", ls="", ms=5, mfc="white", c=style.MUTED)]
    return []


def _epoch_axis(ax: Axes, n_epochs: int) -> None:
    """Epochs 1 to ``n_epochs``, each with a tick if they are few."""
    if n_epochs == 1:
        ax.set_xlim(0.5, 1.5)
    else:
        ax.set_xlim(1 - 0.012 * n_epochs, n_epochs)
    style.format_axis(ax.xaxis, log=False, low=1, high=n_epochs, integer=True)
    if n_epochs <= 12:
        ax.set_xticks(range(1, n_epochs + 1))
    ax.set_xlabel("epoch")


#: Of a single run: the prefix in the history, its name in the legend, its colour.
PARTS = (
    ("", "training", style.BLUE),
    ("val_", "validation", style.VERMILLION),
    ("test_", "test", style.GREEN),
)


class CurvePanel(NamedTuple):
    """One metric: its values after each epoch, by part (``training``, ``validation``, ``test``)."""

    metric: str
    parts: dict[str, Floats]


def summarise_run(history: Mapping[str, Sequence[float]]) -> list[CurvePanel]:
    """Group a history's names into panels: loss first, then accuracy, then the others.

    Args:
        history: metric name, with ``val_`` or ``test_`` before it, to its value after each epoch.
    """
    panels: dict[str, dict[str, Floats]] = {}
    for name, values in history.items():
        prefix, part = next(
            ((p, label) for p, label, _ in PARTS[1:] if name.startswith(p)), ("", PARTS[0][1])
        )
        if len(values):
            panels.setdefault(name[len(prefix) :], {})[part] = np.asarray(values, dtype=float)
    first = {"loss": 0, "accuracy": 1}
    order = sorted(panels, key=lambda metric: first.get(metric, 2))
    return [CurvePanel(metric, panels[metric]) for metric in order]


def _draw_run(panels: Sequence[CurvePanel], figure: Figure, best_epoch: int | None) -> None:
    """Draw a panel a metric, two side by side; mark ``best_epoch`` (from 1) if it is given."""
    if not panels:
        style.say_nothing_to_see(figure, "Not one epoch has been run: there is no curve.")
        return
    n_columns = min(len(panels), 2)
    axes = figure.subplots((len(panels) + 1) // 2, n_columns, squeeze=False).flatten()
    for ax, panel in zip(axes, panels, strict=False):
        _draw_panel(ax, panel, best_epoch)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    present = {part for panel in panels for part in panel.parts}
    handles: list[object] = [
        style.key(label, c=colour, lw=2) for _, label, colour in PARTS if label in present
    ]
    if best_epoch is not None:
        label = f"epoch whose weights count ({best_epoch})"
        handles.append(style.key(label, c=style.MUTED, ls=(0, (2, 2)), lw=1.2))
    style.legend(figure, handles)


def _draw_panel(ax: Axes, panel: CurvePanel, best_epoch: int | None) -> None:
    n_epochs = max(values.size for values in panel.parts.values())
    colours = {part: colour for _, part, colour in PARTS}
    for part, values in panel.parts.items():
        marker = "o" if values.size <= 30 else ""
        epochs = np.arange(1, values.size + 1)
        ax.plot(epochs, values, marker=marker, ms=3.5, c=colours[part], lw=1.8, clip_on=False)
    if best_epoch is not None:
        ax.axvline(best_epoch, c=style.MUTED, ls=(0, (2, 2)), lw=1.2, zorder=1)
    ax.set_title(panel.metric, weight="bold", color=style.INK)
    _epoch_axis(ax, n_epochs)
    style.format_axis(ax.yaxis, log=False, low=0, high=1)
    ends = [
        (float(v.size), float(v[-1]), score(float(v[-1])), colours[part])
        for part, v in panel.parts.items()
        if np.isfinite(v[-1])
    ]
    style.label_ends(ax, ends, gap=0.06)


def write_learning_curve(
    history: Mapping[str, Sequence[float]],
    path: Path,
    title: str,
    best_epoch: int | None = None,
) -> Path:
    """Draw one run: every metric after each epoch, training against validation.

    Args:
        history: metric name (``loss``, ``val_loss``, ...) to its value after each epoch.
        path: where the PNG goes.
        title: the headline.
        best_epoch: the epoch (from 1) whose weights count, to be marked; None marks none.
    """
    panels = summarise_run(history)
    n_epochs = max((v.size for panel in panels for v in panel.parts.values()), default=0)
    subtitle = f"after each of {n_epochs} epochs" if n_epochs > 1 else "after one epoch"
    height = 0.3 + 3.3 * max((len(panels) + 1) // 2, 1)
    with style.picture(path, height, title, subtitle) as figure:
        _draw_run(panels, figure, best_epoch)
    return path
