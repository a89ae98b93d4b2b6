"""A single run's learning curves: each metric, training against validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from besom.plots import style
from besom.plots.scales import Floats, score, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Prefix in the history, its name in the legend, its colour.
PARTS = (
    ("", "training", style.BLUE),
    ("val_", "validation", style.VERMILLION),
    ("test_", "test", style.GREEN),
)


class CurvePanel(NamedTuple):
    """One metric: its values after each epoch, by part (``training``, ``validation``, ``test``)."""

    metric: str
    parts: dict[str, Floats]


def summarise(history: Mapping[str, Sequence[float]]) -> list[CurvePanel]:
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


def height(panels: Sequence[CurvePanel]) -> float:
    """Inches the picture needs."""
    return 0.3 + 3.3 * max((len(panels) + 1) // 2, 1)


def draw(panels: Sequence[CurvePanel], figure: Figure, best_epoch: int | None = None) -> None:
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
    style.epoch_axis(ax, n_epochs)
    style.format_axis(ax.yaxis, log=False, low=0, high=1)
    low, high = ax.get_ylim()
    ends = {part: v[-1] for part, v in panel.parts.items() if np.isfinite(v[-1])}
    heights = [float((end - low) / (high - low)) for end in ends.values()]
    for (part, end), height in zip(ends.items(), spread(heights, 0.06, 0.0, 1.0), strict=True):
        ax.annotate(
            score(float(end)),
            (1.02, height),
            xycoords="axes fraction",
            va="center",
            size=8.5,
            color=colours[part],
            annotation_clip=False,
        )
