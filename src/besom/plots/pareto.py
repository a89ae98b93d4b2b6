"""The Pareto picture: what one objective costs in another, and which trials no other beats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from besom.plots import style
from besom.plots.scales import Floats, Ints, Window, score, window
from besom.statistics import knee, pareto_front
from besom.store.records import StudyRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_LABELLED = 8
#: Positive values that span more than this ratio go on a log axis.
LOG_FROM = 30.0


class Pareto(NamedTuple):
    """What the picture shows.

    Attributes:
        metrics: the objectives' names; ``signs`` +1 where larger is better, else -1.
        numbers: (n_complete,) trial numbers; ``values`` (n_complete, n_objectives).
        front: (n_complete,) whether no trial is at least as good in all and better in one.
        knee, baseline: rows; None if there is none.
        log: for each objective, whether its values span so much that its axis is log.
        windows: for each objective, the shown part of its axis.
    """

    metrics: tuple[str, ...]
    signs: tuple[int, ...]
    numbers: Ints
    values: Floats
    front: npt.NDArray[np.bool_]
    knee: int | None
    baseline: int | None
    log: tuple[bool, ...]
    windows: tuple[Window, ...]


def summarise(study: StudyRecord) -> Pareto:
    """Read values, front and knee over all of the study's objectives."""
    trials = study.complete
    signs = tuple(o.sign for o in study.objectives)
    directions = [o.direction for o in study.objectives]
    values = np.array([t.values for t in trials], dtype=float).reshape(len(trials), len(signs))
    front = pareto_front(values, directions)
    log = tuple(bool(v.size and v.min() > 0 and v.max() / v.min() > LOG_FROM) for v in values.T)
    return Pareto(
        metrics=tuple(o.metric for o in study.objectives),
        signs=signs,
        numbers=np.array([t.number for t in trials], dtype=np.int64),
        values=values,
        front=front,
        knee=knee(values, directions),
        baseline=next((i for i, t in enumerate(trials) if t.baseline), None),
        log=log,
        windows=tuple(
            _log_window(v) if is_log else window(v, sign, v[front])
            for v, sign, is_log in zip(values.T, signs, log, strict=True)
        ),
    )


def _log_window(values: Floats) -> Window:
    pad = float(values.max() / values.min()) ** 0.06
    return Window(float(values.min()) / pad, float(values.max()) * pad)


def draw(pareto: Pareto, figure: Figure) -> None:
    """Draw the first objective against each of the others."""
    if not pareto.values.size:
        style.say_nothing_to_see(figure, "No trial has completed: there is nothing to weigh.")
        return
    n_panels = len(pareto.metrics) - 1
    axes = figure.subplots(1, n_panels, sharey=True, squeeze=False)[0]
    for panel, ax in enumerate(axes, start=1):
        _draw_panel(ax, pareto, panel)
    axes[0].set_ylabel(style.reading(pareto.metrics[0], pareto.signs[0]))
    handles: list[object] = [style.key("complete", marker="o", ls="", ms=5, c=style.FAINT)]
    label = f"beaten by none ({int(pareto.front.sum())})"
    handles.append(style.key(label, marker="o", ms=6, c=style.BLUE, lw=1.5 if n_panels == 1 else 0))
    if pareto.knee is not None:
        label = f"knee, trial {pareto.numbers[pareto.knee]}"
        handles.append(style.key(label, **style.BEST_MARK))
    if pareto.baseline is not None:
        handles.append(style.key("baseline", **style.BASELINE_MARK))
    n_outside = sum(w.n_outside for w in pareto.windows)
    if n_outside:
        handles.append(style.key(f"{n_outside} beyond the edge", ls=""))
    style.legend(figure, handles)


def _draw_panel(ax: Axes, pareto: Pareto, panel: int) -> None:
    across, up = pareto.values[:, panel], pareto.values[:, 0]
    front = pareto.front
    for axis, index in ((ax.xaxis, panel), (ax.yaxis, 0)):
        limits = pareto.windows[index]
        log = pareto.log[index]
        (ax.set_xlim if axis is ax.xaxis else ax.set_ylim)(limits.low, limits.high)
        if log:
            (ax.set_xscale if axis is ax.xaxis else ax.set_yscale)("log")
        style.format_axis(axis, log=log, low=limits.low, high=limits.high)
    ax.set_xlabel(style.reading(pareto.metrics[panel], pareto.signs[panel]))
    ax.scatter(across[~front], up[~front], s=20, c=style.FAINT, linewidths=0, zorder=2)
    order = np.flatnonzero(front)[np.argsort(across[front], kind="stable")]
    if len(pareto.metrics) == 2:
        # With both corners to the bad side: between two members of the front nothing is reached.
        corners = "steps-post" if pareto.signs[1] < 0 else "steps-pre"
        ax.plot(across[order], up[order], ds=corners, c=style.BLUE, lw=1.5, alpha=0.6, zorder=3)
    ax.scatter(across[order], up[order], s=36, c=style.BLUE, linewidths=0, zorder=4)
    if pareto.baseline is not None:
        spot = (across[pareto.baseline], up[pareto.baseline])
        ax.plot(*spot, zorder=6, **style.BASELINE_MARK)
    if pareto.knee is not None:
        ax.plot(across[pareto.knee], up[pareto.knee], zorder=5, **{**style.BEST_MARK, "ms": 12})
    if panel > 1:
        return
    right = pareto.signs[panel] < 0
    spots: dict[tuple[float, float], list[int]] = {}
    for row in order:
        spots.setdefault((across[row], up[row]), []).append(int(pareto.numbers[row]))
    step = max(-(-len(spots) // N_LABELLED), 1)
    for spot, numbers in list(spots.items())[::step]:
        ax.annotate(
            spot_label(numbers),
            spot,
            xytext=(-5 if right else 5, 5 * pareto.signs[0]),
            textcoords="offset points",
            ha="right" if right else "left",
            va="bottom" if pareto.signs[0] > 0 else "top",
            size=8,
            color=style.BLUE,
            zorder=7,
        )


def spot_label(numbers: Sequence[int]) -> str:
    """The trials that share a place, such as ``4, 9`` or ``4, 9 and 3 more``."""
    first = ", ".join(map(str, sorted(numbers)[:2]))
    return f"{first} and {len(numbers) - 2} more" if len(numbers) > 2 else first


def headline(pareto: Pareto) -> str:
    """What is weighed, such as ``val_accuracy against n_params``."""
    return f"{pareto.metrics[0]} against {' and '.join(pareto.metrics[1:])}"


def subtitle(pareto: Pareto) -> str:
    """The line under the headline: how to read the picture, and what the knee buys."""
    lines = ["each dot is a complete trial", "labels are trial numbers", knee_text(pareto)]
    return "; ".join(filter(None, lines))


def knee_text(pareto: Pareto) -> str:
    """What the knee buys, such as ``the knee has val_accuracy 0.91, n_params 5,300``."""
    if pareto.knee is None:
        return ""
    bought = ", ".join(
        f"{metric} {score(float(value))}"
        for metric, value in zip(pareto.metrics, pareto.values[pareto.knee], strict=True)
    )
    return f"the knee has {bought}"
