"""A single example as a reader can recognise it: a small picture, or a line of text."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from besom.text.printable import cut
from besom.training.data.nests import named_leaves

#: Larger pictures are made smaller: pixels of the longer side.
_SIDE = 64
_MOST_CHARS = 300
_MOST_NUMBERS = 8


@dataclass(frozen=True)
class Described:
    """One example: (height, width) or (height, width, channels), or None; and text, maybe empty."""

    image: Any
    text: str


@dataclass(frozen=True)
class Inputs:
    """A batch of examples as the model gets them.

    Attributes:
        x: a nest of tensors or arrays.
        positions: (n,) where they are in the data.
        columns: a table's columns as they are in it, from the batch's first row on; or None.
    """

    x: Any
    positions: Any
    columns: Mapping[str, Any] | None = None

    def described(self, i: int) -> Described:
        """The example at a position of the batch."""
        if self.columns is not None:
            cells = (f"{name} {_value(column[i])}" for name, column in self.columns.items())
            return Described(None, cut(", ".join(cells), _MOST_CHARS))
        image, texts = None, []
        for name, leaf in named_leaves(self.x):
            row = _row(leaf, i)
            if image is None and _is_image(row):
                image = np.asarray(row, np.float64)
            else:
                texts.append(f"{name}: {_value(row)}" if name else _value(row))
        return Described(image, cut("; ".join(texts), _MOST_CHARS))


def _row(leaf: Any, i: int) -> Any:
    row = leaf[i]
    row = row.to_list() if hasattr(row, "to_list") else row  # of a tf.RaggedTensor
    return np.asarray(row.numpy() if hasattr(row, "numpy") else row)


def _is_image(row: Any) -> bool:
    is_plane = row.ndim == 2 or (row.ndim == 3 and row.shape[2] in (1, 3, 4))
    return is_plane and row.dtype.kind in "fiub" and min(row.shape[:2]) > 1


def _value(row: Any) -> str:
    """What an input holds, in a few words."""
    row = np.asarray(row)
    if row.dtype.kind in "OSU":
        return " ".join(_text(part) for part in row.reshape(-1)[:_MOST_NUMBERS].tolist())
    flat = row.reshape(-1)
    shown = " ".join(f"{value:.4g}" for value in flat[:_MOST_NUMBERS].tolist())
    return shown + (f" … ({flat.size} numbers)" if flat.size > _MOST_NUMBERS else "")


def _text(part: Any) -> str:
    return part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part)


def as_pngs(images: Sequence[Any]) -> list[str | None]:
    """Images as PNG in base64, None for None; black and white are the same in all of them."""
    known = [image for image in images if image is not None]
    if not known:
        return [None] * len(images)
    low, high = (float(f([f(image) for image in known])) for f in (np.nanmin, np.nanmax))
    if not (np.isfinite(low) and np.isfinite(high)):
        return [None] * len(images)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and 16 < high <= 255:
        low, high = 0.0, 255.0
    return [None if image is None else _png(image, low, high) for image in images]


def _png(image: Any, low: float, high: float) -> str:
    from PIL import Image

    scaled = (np.nan_to_num(image, nan=low) - low) / ((high - low) or 1.0)
    pixels = np.rint(np.clip(scaled, 0.0, 1.0) * 255.0).astype(np.uint8)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    small = Image.fromarray(pixels)
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    file = io.BytesIO()
    small.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
