"""A grid of images with their labels: what the data looks like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from besom.errors import DataError
from besom.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_ACROSS = 5


class ImageGrid(NamedTuple):
    """Images ready to show.

    Attributes:
        pixels: (n, height, width) of grey, or (n, height, width, 3 or 4) of colour.
        labels: (n,) texts.
        black, white: the values drawn black and white.
    """

    pixels: npt.NDArray[Any]
    labels: tuple[str, ...]
    black: float
    white: float


def summarise(images: npt.NDArray[Any], labels: Sequence[object]) -> ImageGrid:
    """Bring images to a shape that can be drawn, see ``write_image_grid``."""
    pixels = np.asarray(images)
    if pixels.ndim == 4 and pixels.shape[3] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[3] not in (3, 4)):
        raise DataError(
            f"Images have the shape {np.shape(images)}, expected (n, height, width) or "
            "(n, height, width, channels) with 1, 3 or 4 channels."
        )
    if not len(pixels):
        raise DataError("There is no image to show: expected at least one.")
    if len(labels) != len(pixels):
        raise DataError(
            f"{len(pixels)} images but {len(labels)} labels: expected one label per image."
        )
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    low, high = float(np.nanmin(pixels)), float(np.nanmax(pixels))
    whole = np.issubdtype(pixels.dtype, np.integer)
    if whole and low >= 0 and 16 < high <= 255:
        black, white = 0.0, 255.0
    elif not whole and low >= 0 and high <= 1:
        black, white = 0.0, 1.0
    else:
        black, white = low, high if high > low else low + 1
    if pixels.ndim == 4:  # colour is not scaled when it is drawn
        pixels = np.clip((pixels.astype(float) - black) / (white - black), 0, 1)
    return ImageGrid(pixels, tuple(str(label) for label in labels), black, white)


def draw(grid: ImageGrid, figure: Figure) -> None:
    """Draw the images in rows of five, unsmoothed, each under its label."""
    n = len(grid.labels)
    across = min(n, N_ACROSS)
    axes = figure.subplots(math.ceil(n / N_ACROSS), across, squeeze=False).flatten()
    for ax in axes:
        ax.set_axis_off()
    for ax, image, label in zip(axes, grid.pixels, grid.labels, strict=False):
        ax.imshow(image, cmap="gray", vmin=grid.black, vmax=grid.white, interpolation="nearest")
        ax.set_title(style.shorten(label, 20), loc="center", size=11, weight="bold")


def write_image_grid(
    images: npt.NDArray[Any], labels: Sequence[object], path: Path, title: str
) -> Path:
    """Draw images with their labels, five in a row.

    Args:
        images: (n, height, width), or (n, height, width, channels) with 1, 3 or 4 channels;
            integers of 0 to 255, or floats of 0 to 1 (any other range is stretched).
        labels: one per image.
        path: where the PNG goes.
        title: the headline.

    Raises:
        DataError: another shape, no image, or another number of labels.
    """
    grid = summarise(images, labels)
    rows, columns = grid.pixels.shape[1:3]
    subtitle = f"{len(grid.labels)} images of {rows} × {columns} pixels, each under its label"
    height = 1.95 * math.ceil(len(grid.labels) / N_ACROSS)
    with style.picture(path, height, title, subtitle, grid.pixels.ndim == 4) as figure:
        draw(grid, figure)
    return path
