"""Studies side by side: the best so far against compute spent, and against trials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from besom.errors import StudyError
from besom.plots import style
from besom.plots.scales import Floats, Window, best_so_far, score, window
from besom.store.records import Outcome, StudyRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
_DASHES = ("-", (0, (6, 1.5)), (0, (2, 1)))


class Progress(NamedTuple):
    """One study's lines.

    Attributes:
        name: the study's name.
        seconds: (n,) worker seconds spent when the best changed: of all trials finished by then,
            the pruned and the failed too. The last entry is the study's total.
        trials: (n,) trials finished by then; the last entry is their number.
        best: (n,) the best value then. All three are empty without a complete trial.
        baseline: the base config's value; None if it did not complete.
    """

    name: str
    seconds: Floats
    trials: Floats
    best: Floats
    baseline: float | None


class StudyCurves(NamedTuple):
    """What the picture shows: one line per study, of one ``metric``, in the order given."""

    metric: str
    sign: int
    studies: tuple[Progress, ...]
    window: Window


def summarise(studies: Sequence[StudyRecord]) -> StudyCurves:
    """Read the progress of several studies on the first objective.

    Raises:
        StudyError: no study is given, or they do not pursue the same metric in one direction.
    """
    if not studies:
        raise StudyError("Nothing to compare: no study is given, expected one or more.")
    aims = {(s.objective.metric, s.objective.direction) for s in studies}
    if len(aims) > 1:
        given = ", ".join(
            f"{s.name} has {s.objective.metric} ({s.objective.direction})" for s in studies
        )
        raise StudyError(
            f"These studies pursue different objectives: {given}. Compare studies that share one."
        )
    aim = studies[0].objective
    lines = tuple(_progress(study, aim.sign) for study in studies)
    points = np.concatenate([line.best for line in lines])
    ends = [b for line in lines if (b := line.baseline) is not None]
    return StudyCurves(aim.metric, aim.sign, lines, window(points, aim.sign, ends))


def _progress(study: StudyRecord, sign: int) -> Progress:
    over = [t for t in study.trials if t.outcome is not Outcome.RUNNING]
    # Parallel trials end out of order; what counts is what was known when.
    over.sort(key=lambda t: (t.finished if t.finished is not None else float("inf"), t.number))
    spent = np.cumsum([t.seconds for t in over])
    known = np.array([i for i, t in enumerate(over) if t.outcome is Outcome.COMPLETE], dtype=int)
    baseline = study.baseline.value if study.baseline is not None else None
    if not known.size:
        empty = np.array([])
        return Progress(study.name, empty, empty, empty, baseline)
    best = best_so_far(np.array([over[i].value for i in known], dtype=float), sign)
    corners = np.flatnonzero(np.r_[True, np.diff(best) != 0])
    at = np.r_[known[corners], len(over) - 1]
    return Progress(study.name, spent[at], at + 1.0, np.r_[best[corners], best[-1]], baseline)


def draw(comparison: StudyCurves, figure: Figure) -> None:
    """Draw compute on the left, trials on the right, with one value axis."""
    if not any(line.best.size for line in comparison.studies):
        style.say_nothing_to_see(figure, "None of these studies has a complete trial yet.")
        return
    left, right = figure.subplots(1, 2, sharey=True)
    total = max(float(line.seconds[-1]) for line in comparison.studies if line.best.size)
    unit, per = next(((u, p) for u, p in _UNITS if total >= 2 * p), _UNITS[-1])
    left.set_xlabel(f"worker {unit} spent")
    right.set_xlabel("trials finished")
    left.set_ylabel(f"best {comparison.metric} so far")
    left.set_ylim(comparison.window.low, comparison.window.high)
    style.format_axis(left.yaxis, log=False, low=0, high=1)
    for index, line in enumerate(comparison.studies):
        look = {"c": style.SERIES[index % len(style.SERIES)], "ls": _DASHES[index // 6 % 3]}
        for ax, across in ((left, line.seconds / per), (right, line.trials)):
            shown = comparison.window.clip(line.best)
            ax.step(across, shown, where="post", lw=2, zorder=4, **look)
            if across.size:
                ax.plot(across[-1], shown[-1], "o", ms=4.5, c=look["c"], zorder=5)
            if line.baseline is not None:
                ax.axhline(line.baseline, c=look["c"], ls=(0, (4, 3)), lw=1, alpha=0.7, zorder=2)
    for ax, integer in ((left, False), (right, True)):
        ax.set_xlim(left=0)
        style.format_axis(ax.xaxis, log=False, low=0, high=1, integer=integer)
    ends = [
        (
            float(line.trials[-1]),
            float(comparison.window.clip(line.best)[-1]),
            f"{style.shorten(line.name, 22)}\n{score(float(line.best[-1]))}",
            style.SERIES[index % len(style.SERIES)],
        )
        for index, line in enumerate(comparison.studies)
        if line.best.size
    ]
    style.label_ends(right, ends, gap=0.125)
    handles: list[object] = [
        style.key("best so far", c=style.MUTED, lw=2),
        style.key("baseline", c=style.MUTED, ls=(0, (4, 3)), lw=1),
    ]
    style.legend(figure, handles)


def write_comparison(studies: Sequence[StudyRecord], path: Path) -> Path:
    """Draw the best so far of several studies, against compute and against trials.

    Raises:
        StudyError: no study is given, or they do not pursue the same metric in one direction.
    """
    summary = summarise(studies)
    title = f"{summary.metric} of {len(studies)} {'study' if len(studies) == 1 else 'studies'}"
    subtitle = (
        f"{style.reading(summary.metric, summary.sign)}; compute is the worker time of all trials, "
        "including pruned and failed ones"
    )
    with style.picture(path, 3.9, title, subtitle) as figure:
        draw(summary, figure)
    return path
