"""Optimization history: each trial's value in the order of the trials, and the best so far."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from besom.plots import style
from besom.plots.scales import Floats, Ints, Window, best_so_far, score, window
from besom.store.records import Outcome, StudyRecord
from besom.text.counting import tally

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "optimization history"


class History(NamedTuple):
    """What the picture shows of one objective.

    Attributes:
        numbers, values: (n_complete,) trial numbers and values, by number.
        duplicates, warm_starts: (n, 2) the same for trials that were not run: whose value was
            reused, or came from another study. They lead nothing.
        step_numbers, step_values: the corners of the best-so-far line, up to the last trial.
        best_number: the trial that leads; None without a complete trial.
        baseline: the base config's value, if it completed.
        pruned, infeasible: trial numbers.
        failed: trial numbers; ``failures`` counts them by outcome, most first.
        n_trials: one more than the highest trial number.
    """

    metric: str
    sign: int
    numbers: Ints
    values: Floats
    duplicates: Floats
    warm_starts: Floats
    step_numbers: Ints
    step_values: Floats
    best_number: int | None
    baseline: float | None
    pruned: Ints
    infeasible: Ints
    failed: Ints
    failures: dict[str, int]
    n_trials: int
    window: Window


def summarise(study: StudyRecord, objective: int = 0) -> History:
    """Read the history of the study's objective with this index."""
    aim = study.objectives[objective]

    def points(outcome: Outcome) -> Floats:
        pairs = [
            (t.number, t.values[objective])
            for t in study.trials
            if t.outcome is outcome and t.values
        ]
        return np.array(pairs, dtype=float).reshape(-1, 2)

    def numbers_of(*outcomes: Outcome) -> Ints:
        return np.array([t.number for t in study.trials if t.outcome in outcomes], dtype=np.int64)

    numbers, values = points(Outcome.COMPLETE).T
    numbers = numbers.astype(np.int64)
    n_trials = max((t.number for t in study.trials), default=-1) + 1
    best = best_so_far(values, aim.sign)
    corners = np.flatnonzero(np.r_[True, np.diff(best) != 0]) if best.size else np.array([], int)
    baseline = study.baseline
    start = baseline.values[objective] if baseline is not None and baseline.values else None
    kinds = Counter(t.outcome for t in study.trials if t.outcome.failed)
    return History(
        metric=aim.metric,
        sign=aim.sign,
        numbers=numbers,
        values=values,
        duplicates=points(Outcome.DUPLICATE),
        warm_starts=points(Outcome.WARM_START),
        step_numbers=np.r_[numbers[corners], [n_trials - 1] if best.size else []].astype(np.int64),
        step_values=np.r_[best[corners], best[-1:]],
        best_number=int(numbers[corners[-1]]) if best.size else None,
        baseline=start,
        pruned=numbers_of(Outcome.PRUNED),
        infeasible=numbers_of(Outcome.INFEASIBLE),
        failed=numbers_of(*kinds),
        failures={str(kind).replace("_", " "): n for kind, n in kinds.most_common()},
        n_trials=n_trials,
        window=window(values, aim.sign, [] if start is None else [start]),
    )


def caption(history: History) -> tuple[str, float]:
    """How the trials ended, and the inches that the picture needs."""
    counts = {
        "complete": history.numbers.size,
        "reused": len(history.duplicates),
        "taken from another study": len(history.warm_starts),
        "pruned": history.pruned.size,
        "infeasible": history.infeasible.size,
        "failed": history.failed.size,
    }
    return tally(counts) or "no trial has ended", 3.9


def draw(history: History, figure: Figure) -> None:
    """Draw values above, and below them a strip for the trials that have none."""
    ax = figure.add_subplot()
    low, high = history.window.low, history.window.high
    # The strip under the values belongs to the trials that were stopped or broke.
    strip = 0.13 if history.pruned.size + history.failed.size + history.infeasible.size else 0.0
    if history.sign < 0:  # room for the best trial's label, which then stands under the line
        low -= 0.07 * (high - low)
    floor = low - strip / (1 - strip) * (high - low)
    ax.set_ylim(floor, high)
    ax.set_xlim(-0.02 * max(history.n_trials, 4) - 0.3, max(history.n_trials, 4) * 1.02 - 0.7)
    ax.set_xlabel("trial")
    ax.set_ylabel(history.metric)
    style.format_axis(ax.xaxis, log=False, low=0, high=1, integer=True)
    style.format_axis(ax.yaxis, log=False, low=low, high=high)
    if strip:
        ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= high])
        ax.set_ylim(floor, high)
        ax.axhline(low, color=style.FAINT, lw=0.8)
    handles = [*_draw_values(ax, history), *_draw_strip(ax, history, strip)]
    if not history.values.size:
        style.message(ax, style.why_empty(history.metric, 0))
        ax.set_yticks([])
    style.legend(figure, handles)


def _draw_values(ax: Axes, history: History) -> list[object]:
    if not history.values.size:
        return []
    shown = history.window.clip(history.values)
    inside = (history.values >= history.window.low) & (history.values <= history.window.high)
    size = float(np.clip(2600 / history.n_trials, 5, 30))
    alpha = 0.75 if history.n_trials < 1000 else 0.4
    dots: style.Look = {"color": style.BLUE, "alpha": alpha, "linewidths": 0}
    ax.scatter(history.numbers[inside], shown[inside], s=size, zorder=3, **dots)
    handles: list[object] = [
        style.key(f"complete ({history.values.size:,})", marker="o", ls="", ms=5, c=style.BLUE)
    ]
    for points, label, colour in (
        (history.duplicates, "same config as before", style.BLUE),
        (history.warm_starts, "from another study", style.MUTED),
    ):
        if points.size:
            hollow: style.Look = {"facecolors": "none", "edgecolors": colour, "linewidths": 1}
            ax.scatter(points[:, 0], history.window.clip(points[:, 1]), s=size, zorder=3, **hollow)
            mark: style.Look = {"marker": "o", "ls": "", "ms": 5, "mfc": "none", "c": colour}
            handles.append(style.key(f"{label} ({len(points):,})", **mark))
    _draw_best(ax, history)
    handles.append(style.key("best so far", c=style.VERMILLION, lw=2))
    if history.baseline is not None:
        where = "" if history.window.holds(history.baseline) else ", outside the picture"
        if not where:
            ax.axhline(history.baseline, zorder=2, **style.BASELINE)
        handles.append(style.key(f"baseline {score(history.baseline)}{where}", **style.BASELINE))
    if (~inside).any():
        out: style.Look = {"color": style.PURPLE, "marker": "v" if history.sign > 0 else "^"}
        ax.scatter(
            history.numbers[~inside], shown[~inside], s=26, zorder=6, lw=0, clip_on=False, **out
        )
        handles.append(style.beyond(history.window, history.sign, style.PURPLE))
    return handles


def _draw_best(ax: Axes, history: History) -> None:
    ax.step(
        history.step_numbers,
        history.window.clip(history.step_values),
        where="post",
        color=style.VERMILLION,
        lw=2,
        zorder=5,
    )
    best = float(history.step_values[-1])
    spot = (float(history.step_numbers[-2]), best)
    ax.plot(*spot, "o", ms=7, mfc="white", mec=style.VERMILLION, mew=2, zorder=6)
    left = spot[0] < 0.75 * history.n_trials
    ax.annotate(
        f"trial {history.best_number}: {score(best)}",
        spot,
        xytext=(0 if left else 4, 9 * history.sign),
        textcoords="offset points",
        ha="left" if left else "right",
        va="bottom" if history.sign > 0 else "top",
        color=style.VERMILLION,
        weight="bold",
        annotation_clip=False,
        zorder=7,
    )


def _draw_strip(ax: Axes, history: History, strip: float) -> list[object]:
    """Marks by trial number in the strip, whose height is ``strip`` of the axes."""
    handles: list[object] = []
    across = ax.get_xaxis_transform()
    small = 1.0 if history.n_trials < 500 else 0.6
    alpha = float(np.clip(250 / max(history.n_trials, 1), 0.2, 1.0))
    rows = (
        (history.pruned, "pruned", "|", style.MUTED, 0.3, 7.0, 0.9),
        (history.infeasible, "infeasible", "_", style.AMBER, 0.52, 6.0, 1.6),
        (history.failed, "failed", "x", style.PURPLE, 0.75, 5.5 * small, 1.8 * small),
    )
    for numbers, name, marker, colour, height, size, weight in rows:
        if not numbers.size:
            continue
        look: style.Look = {"marker": marker, "ls": "", "c": colour, "ms": size, "mew": weight}
        at = np.full(numbers.size, strip * height)
        ax.plot(numbers, at, transform=across, clip_on=False, zorder=4, alpha=alpha, **look)
        detail = ", ".join(f"{n:,} {kind}" for kind, n in history.failures.items())
        count = detail if name == "failed" else f"{numbers.size:,}"
        handles.append(style.key(f"{name} ({count})", **look))
    return handles
