"""Besom's look, and the one way a picture comes to be: drawn off screen, written atomically.

Matplotlib is imported when a picture is drawn, never before, and without pyplot: no backend is
chosen, no global figure is kept, and the caller's rcParams are as before afterwards.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from besom.plots.scales import Window, log_ticks, number, spread
from besom.store.paths import write_atomically
from besom.text.printable import one_line, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

#: Inches; at 100 pixels an inch this is the width of a README's column.
WIDTH = 8.8
DPI = 160
#: Inches of the headline with a subtitle of one line, and of each further line or row of keys.
HEADER, LINE, KEYS = 0.66, 0.17, 0.23

# Okabe and Ito's colours, which colour-blind readers tell apart, darkened where text needs it.
INK, MUTED, FAINT, GRID = "#1c2733", "#5b6775", "#b9c2cc", "#e8ecf0"
BLUE, VERMILLION, GREEN, PURPLE, AMBER = "#0072b2", "#d55e00", "#00806a", "#8a4a93", "#a06c00"
#: For lines that are told apart by colour, most important first.
SERIES = (VERMILLION, BLUE, GREEN, PURPLE, AMBER, INK)

#: Keyword arguments of a line or marker.
Look = dict[str, Any]

#: The baseline, as a line and as a mark; the best trial, as a mark.
BASELINE: Look = {"c": INK, "ls": (0, (4, 2)), "lw": 1.6}
BASELINE_MARK: Look = {"marker": "D", "ls": "", "ms": 6, "c": INK, "mec": "white", "mew": 0.8}
BEST_MARK: Look = {"marker": "o", "ls": "", "ms": 8, "mfc": "none", "mec": VERMILLION, "mew": 2}

LOOK: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,  # a '$' in a category is a '$'
    "text.usetex": False,
    "axes.edgecolor": FAINT,
    "axes.facecolor": "white",
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.8,
    "legend.borderaxespad": 0.2,
    "legend.columnspacing": 1.4,
    "legend.handletextpad": 0.5,
    "lines.solid_capstyle": "round",
    "path.simplify": True,
}


@contextmanager
def framed(height: float, title: str, subtitle: str = "") -> Iterator[Figure]:
    """Give a figure to draw on, with its headline; when the block ends, it may be shown.

    Args:
        height: inches, without the headline; the width is ``WIDTH``.
        title, subtitle: what is seen, and how to read it.
    """
    import matplotlib as mpl
    from matplotlib.text import Text

    from besom.plots.besom_figure import BesomFigure

    lines = textwrap.wrap(subtitle, 128) or [""]
    header = HEADER + LINE * (len(lines) - 1)
    with mpl.rc_context(LOOK):
        total = height + header
        figure = BesomFigure(LOOK, figsize=(WIDTH, total), dpi=DPI, layout="constrained")
        _leave_room(figure, header)
        left: Look = {"x": 0.013, "va": "top", "ha": "left"}
        headline = shorten(one_line(title), 88)
        figure.text(y=1 - 0.13 / total, s=headline, size=13, weight="bold", **left)
        figure.text(y=1 - 0.41 / total, s="\n".join(lines), size=9.5, color=MUTED, **left)
        yield figure
        for text in figure.findobj(Text):
            text.set_text(visible(text.get_text()))


@contextmanager
def picture(
    path: Path, height: float, title: str, subtitle: str = "", photographic: bool = False
) -> Iterator[Figure]:
    """Give a figure as ``framed`` does; write it to ``path`` as PNG when the block ends.

    Args:
        path: where the PNG goes; missing folders are made. Nothing is written if the block raises.
        height, title, subtitle: see ``framed``.
        photographic: keep all colours. Drawings do with 256, in a third of the bytes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with framed(height, title, subtitle) as figure:
        canvas: Any = FigureCanvasAgg(figure)
        yield figure
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    write_atomically(path, _png(pixels, photographic))


def _png(pixels: npt.NDArray[np.uint8], photographic: bool) -> bytes:
    """(height, width, 3) pixels as PNG; without metadata, so that equal pixels give equal bytes."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    if not photographic:
        image = image.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    # Not optimize=True: eight times as long, for a twentieth of the bytes.
    image.save(buffer, "PNG", compress_level=6, dpi=(DPI, DPI))
    return buffer.getvalue()


def message(ax: Axes, text: str) -> None:
    """Say in the middle of empty axes why there is nothing to see."""
    ax.text(
        0.5,
        0.5,
        textwrap.fill(text, 84),
        transform=ax.transAxes,
        ha="center",
        va="center",
        color=MUTED,
        size=11,
        linespacing=1.5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 6},
        zorder=20,
    )


def say_nothing_to_see(figure: Figure, text: str) -> None:
    """Fill a figure with nothing but the reason why it is empty."""
    ax = figure.add_subplot()
    ax.set_axis_off()
    message(ax, text)


def why_empty(metric: str, n_trials: int) -> str:
    """Why there is nothing to see of hyperparameters against ``metric``."""
    if n_trials:
        return "No hyperparameter is sampled in this study."
    return f"No trial has completed: {metric} has no value to show."


def reading(metric: str, sign: int) -> str:
    """A metric and its direction, such as ``val_accuracy, higher is better``."""
    return f"{metric}, {'higher' if sign > 0 else 'lower'} is better"


def legend(figure: Figure, handles: Sequence[Any]) -> None:
    """Keys in as many rows as they need, between the headline and the axes."""
    rows: list[list[Any]] = []
    filled = 0.0
    for handle in handles:
        width = 0.5 + 0.063 * len(handle.get_label())  # inches, about
        if not rows or filled + width > WIDTH - 0.3:
            rows.append([])
            filled = 0.0
        rows[-1].append(handle)
        filled += width
    total = figure.get_figheight()
    layout: Any = figure.get_layout_engine()
    top = total * (1 - layout.get()["rect"][1] - layout.get()["rect"][3])
    for index, row in enumerate(rows):
        box = figure.legend(
            handles=row,
            loc="upper left",
            bbox_to_anchor=(0.004, 1 - (top - 0.04 + KEYS * index) / total),
            ncols=len(row),
        )
        box.set_in_layout(False)
    _leave_room(figure, top + KEYS * len(rows) + 0.05)


def _leave_room(figure: Figure, header: float) -> None:
    """Keep the axes below the first ``header`` inches."""
    total = figure.get_figheight()
    layout: Any = figure.get_layout_engine()
    margin = 0.06 / total
    layout.set(rect=(0.008, margin, 0.984, 1 - header / total - margin), w_pad=0.05, h_pad=0.05)


def key(label: str, **look: Any) -> Line2D:
    """An entry of a legend: a line or a marker with no data."""
    from matplotlib.lines import Line2D

    # Matplotlib leaves out what begins with an underscore.
    label = one_line(label)
    return Line2D([], [], label=f" {label}" if label.startswith("_") else label, **look)


def beyond(window: Window, sign: int, colour: Any) -> Line2D:
    """The entry for values that are not shown."""
    label = f"{window.n_outside:,} beyond (worst {number(window.worst, 3)})"
    return key(label, marker="v" if sign > 0 else "^", ls="", ms=5.5, c=colour)


def gradient(*colours: str) -> Colormap:
    """A colour map through ``colours``."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("besom", list(colours))


def early_to_late() -> Colormap:
    """Pale for the first trials, dark for the last."""
    return gradient("#a9d3e8", "#3d93c4", "#0b3866")


def format_axis(axis: Axis, *, log: bool, low: float, high: float, integer: bool = False) -> None:
    """Ticks as people write numbers; on a log axis plain ``1e-3`` rather than formulas."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    if log:
        axis.set_major_locator(FixedLocator(log_ticks(low, high)))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(nbins=6, integer=integer, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value, 5)))


def label_ends(ax: Axes, ends: Sequence[tuple[float, float, str, str]], gap: float) -> None:
    """Texts right of the axes, each beside the end of its line.

    Args:
        ax: its limits are set.
        ends: x, y, text and colour of each.
        gap: between two texts, as a share of the axes' height.
    """
    low, high = ax.get_ylim()
    heights = [(y - low) / (high - low) for _, y, _, _ in ends]
    for (x, y, text, colour), at in zip(ends, spread(heights, gap, 0.0, 1.0), strict=True):
        ax.annotate(
            text,
            (x, y),
            xytext=(1.015, at),
            textcoords="axes fraction",
            va="center",
            color=colour,
            size=8.8,
            linespacing=1.15,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.6, "relpos": (0, 0.5)},
        )


def shorten(text: str, n_most: int) -> str:
    """``text`` in at most ``n_most`` characters, its middle left out where it is longer."""
    if len(text) <= n_most:
        return text
    head = n_most // 2
    return f"{text[:head]}…{text[len(text) - (n_most - 1 - head) :]}"
