"""What a trial gets wrong: what it takes for what, and the worst examples below it."""

from __future__ import annotations

import io
import math
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from besom.plots import style
from besom.plots.image_grid import N_ACROSS
from besom.plots.scales import number
from besom.store.mistakes import (
    ClassMistakes,
    NumberMistakes,
    OutputMistakes,
    TagMistakes,
    WrongExample,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Classes are named on the axes up to so many, and their cells numbered up to so many.
_MOST_NAMED, _MOST_NUMBERED = 40, 15
_MOST_BARS = 12
#: Inches: of the upper part, of a row of images, and of a line of text.
_UPPER, _ROW, _LINE = 4.1, 1.85, 0.4


def write_mistakes_picture(
    found: OutputMistakes, captions: list[tuple[str, str]], path: Path, title: str, subtitle: str
) -> Path:
    """Draw what one output of a trial gets wrong.

    Args:
        found: what that is.
        captions: two short lines for each of the worst examples.
        path: where the PNG goes.
        title, subtitle: what is seen.
    """
    with_images = any(wrong.image for wrong in found.worst)
    n = len(found.worst)
    lower = _ROW * math.ceil(n / N_ACROSS) if with_images else _LINE * n + 0.2
    upper = _UPPER if _has_upper(found) else 0.0
    if not n and not upper:
        lower = 1.0
    with style.picture(path, upper + lower, title, subtitle, with_images) as figure:
        if not n and not upper:
            style.say_nothing_to_see(figure, "No validation example is wrong.")
            return path
        heights = [height for height in (upper, lower if n else 0.0) if height]
        parts = list(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
        if upper:
            _draw_upper(found, parts.pop(0))
        if n:
            draw_worst = _draw_images if with_images else _draw_texts
            draw_worst(found.worst, captions, parts.pop(0))
    return path


def _has_upper(found: OutputMistakes) -> bool:
    if isinstance(found, ClassMistakes):
        return bool(found.matrix or found.confusions)
    return bool(found.tags if isinstance(found, TagMistakes) else getattr(found, "points", ()))


def _draw_upper(found: OutputMistakes, figure: Any) -> None:
    if isinstance(found, NumberMistakes):
        left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
        _draw_points(found, left)
        _draw_errors(found, right)
    elif isinstance(found, TagMistakes):
        _draw_tags(found, figure.subplots())
    elif isinstance(found, ClassMistakes):
        if not found.matrix:
            _draw_confusions(found, figure.subplots())
            return
        left, right = figure.subplots(1, 2, width_ratios=[1.35, 1])
        _draw_matrix(found, left)
        _draw_confusions(found, right)


def _draw_matrix(found: ClassMistakes, ax: Axes) -> None:
    """Each row is a true class; a cell is as dark as the share of the row that it has."""
    counts = np.array(found.matrix, float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    n = len(counts)
    right = np.eye(n, dtype=bool)
    blues, reds = style.gradient("white", style.BLUE), style.gradient("white", style.VERMILLION)
    worst = max(float(shares[~right].max(initial=0.0)), 0.02)
    ax.imshow(np.where(right[..., None], blues(0.75 * shares), reds(0.9 * shares / worst)))
    ax.grid(visible=False)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    if n > _MOST_NAMED:
        ax.set_xticks([])
        ax.set_yticks([])
        return
    names = [style.shorten(name, 12) for name in found.classes]
    turned = max(map(len, names)) > 2 and n > 4
    ax.set_xticks(range(n), names, rotation=90 if turned else 0)
    ax.set_yticks(range(n), names)
    ax.tick_params(length=0)
    if n > _MOST_NUMBERED:
        return
    for row, column in zip(*np.nonzero(counts), strict=True):
        dark = shares[row, column] > (0.6 if row == column else 0.6 * worst)
        ax.text(
            column,
            row,
            f"{int(counts[row, column]):,}",
            ha="center",
            va="center",
            size=8.5 if counts.max() < 1000 else 7,
            color="white" if dark else style.INK,
        )


def _draw_confusions(found: ClassMistakes, ax: Axes) -> None:
    pairs = found.confusions[:_MOST_BARS]
    if not pairs:
        ax.set_axis_off()
        style.message(ax, "No validation example is wrong.")
        return
    names = [f"{style.shorten(t, 16)} → {style.shorten(p, 16)}" for t, p, _ in pairs]
    _draw_bars(ax, names, [[n for *_, n in pairs]], [style.VERMILLION])
    ax.set_title("Most often: true → predicted")


def _draw_tags(found: TagMistakes, ax: Axes) -> None:
    tags = sorted(found.tags, key=lambda tag: -(tag[2] + tag[3]))[:_MOST_BARS]
    names = [style.shorten(name, 24) for name, *_ in tags]
    parts = [list(column) for column in zip(*(row for _, *row in tags), strict=True)]
    _draw_bars(ax, names, parts, [style.BLUE, style.FAINT, style.VERMILLION])
    ax.set_title("Tags: found (blue), missed (grey), wrongly given (orange)")


def _draw_bars(ax: Axes, names: list[str], parts: list[list[int]], colours: list[str]) -> None:
    places = np.arange(len(names))
    left = np.zeros(len(names))
    for widths, colour in zip(parts, colours, strict=True):
        ax.barh(places, widths, left=left, height=0.62, color=colour)
        left += widths
    for place, end in zip(places, left, strict=True) if len(parts) == 1 else ():
        ax.annotate(
            f"{int(end):,}", (end, place), (4, 0), textcoords="offset points", va="center", size=8.5
        )
    ax.set_yticks(places, names)
    ax.set_ylim(max(len(names), 5) - 0.4, -0.6)
    ax.set_xlim(0, max(left.max(), 1) * 1.12)
    ax.set_xticks([])
    ax.grid(visible=False)
    ax.spines[["bottom", "left"]].set_visible(False)
    ax.tick_params(length=0, labelcolor=style.INK)


def _draw_points(found: NumberMistakes, ax: Axes) -> None:
    true, given = np.array(found.points).T
    low, high = float(min(true.min(), given.min())), float(max(true.max(), given.max()))
    pad = 0.04 * (high - low or 1.0)
    ends = (low - pad, high + pad)
    ax.plot(ends, ends, c=style.FAINT, lw=1.4, zorder=2)
    ax.scatter(true, given, s=14, c=style.BLUE, alpha=0.55, linewidths=0, zorder=3)
    ax.set_xlim(ends)
    ax.set_ylim(ends)
    for axis in (ax.xaxis, ax.yaxis):
        style.format_axis(axis, log=False, low=ends[0], high=ends[1])
    ax.set_xlabel("true")
    ax.set_ylabel("predicted")
    ax.set_title("On the line, a prediction is right")


def _draw_errors(found: NumberMistakes, ax: Axes) -> None:
    true, given = np.array(found.points).T
    errors = given - true
    ax.hist(errors, bins=25, color=style.BLUE)
    ax.axvline(0.0, c=style.INK, lw=1.2)
    style.format_axis(ax.xaxis, log=False, low=float(errors.min()), high=float(errors.max()))
    style.format_axis(ax.yaxis, log=False, low=0, high=1, integer=True)
    ax.set_xlabel("predicted minus true")
    ax.set_title(f"Errors; in the mean {number(found.bias or 0.0, 3)}")


def _draw_images(
    worst: tuple[WrongExample, ...], captions: list[tuple[str, str]], figure: Any
) -> None:
    """In rows, unsmoothed, each under what it was taken for."""
    axes = figure.subplots(math.ceil(len(worst) / N_ACROSS), N_ACROSS, squeeze=False).flatten()
    for ax in axes:
        ax.set_axis_off()
    for ax, wrong, (first, second) in zip(axes, worst, captions, strict=False):
        if (pixels := _pixels(wrong.image)) is not None:
            ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        short = " → ".join(
            style.shorten(part, 10 if "→" in first else 22) for part in first.split(" → ")
        )
        size = 10.5 if len(short) <= 16 else 8.5
        ax.set_title(short, loc="center", size=size, weight="bold", pad=15, va="bottom")
        ax.annotate(
            style.shorten(f"{second}, #{wrong.example}".removeprefix(", "), 30),
            (0.5, 1.0),
            (0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="center",
            size=8,
            color=style.MUTED,
        )


def _pixels(png: bytes) -> Any:
    """None of a picture that is damaged, or missing."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            return np.asarray(image if image.mode == "L" else image.convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        return None


def _draw_texts(
    worst: tuple[WrongExample, ...], captions: list[tuple[str, str]], figure: Figure
) -> None:
    ax = figure.subplots()
    ax.set_axis_off()
    ax.set_xlim(0, 1)
    ax.set_ylim(len(worst), 0)
    for i, (wrong, (first, second)) in enumerate(zip(worst, captions, strict=True)):
        ax.text(0.0, i + 0.5, style.shorten(first, 26), size=9.5, weight="bold", va="center")
        beside = f"{second}, #{wrong.example}".removeprefix(", ")
        ax.text(0.27, i + 0.5, style.shorten(beside, 26), size=8.5, color=style.MUTED, va="center")
        lines = textwrap.wrap(" ".join(wrong.text.split()), 80, max_lines=2, placeholder=" …")
        ax.text(0.46, i + 0.5, "\n".join(lines), size=8.2, va="center", linespacing=1.1)
