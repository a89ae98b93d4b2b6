"""Reading the IDX files that MNIST and Fashion-MNIST are published as, raw or gzipped.

The format: two zero bytes, one byte for the element type (8: unsigned byte), one for the number
of dimensions, each dimension as a big-endian 32-bit integer, then the elements, last dimension
fastest (http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Literal

import numpy as np

from besom.errors import DataError
from besom.training.arrays import Array, MissingArrays

_PREFIX = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTE = 8


def read_idx_images(folder: Path, split: Literal["train", "test"]) -> Array:
    """Read (n, height, width) uint8 images of one part from a folder of IDX files.

    Raises:
        MissingArrays: the folder has no such file.
        DataError: the file is truncated or not of this format.
    """
    return read_idx(_find(folder, f"{_PREFIX[split]}-images", n_dimensions=3), n_dimensions=3)


def read_idx_labels(folder: Path, split: Literal["train", "test"]) -> Array:
    """Read (n,) uint8 labels of one part from a folder of IDX files.

    Raises:
        MissingArrays: the folder has no such file.
        DataError: the file is truncated or not of this format.
    """
    return read_idx(_find(folder, f"{_PREFIX[split]}-labels", n_dimensions=1), n_dimensions=1)


def _find(folder: Path, stem: str, n_dimensions: int) -> Path:
    """Return the file of that name; some copies have a dot where the original has a hyphen."""
    stems = [f"{stem}{mark}idx{n_dimensions}-ubyte" for mark in "-."]
    candidates = [folder / f"{name}{suffix}" for suffix in ("", ".gz") for name in stems]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        there = sorted(path.name for path in folder.iterdir())
        listed = ", ".join(there[:8]) + (", ..." if len(there) > 8 else "") if there else "nothing"
        raise MissingArrays(f"{folder} has no {stems[0]} or {stems[0]}.gz. It holds: {listed}.")
    return found


def read_idx(path: Path, n_dimensions: int) -> Array:
    """Read one IDX file of unsigned bytes.

    Args:
        path: the file; gzipped if its name ends with ``.gz``.
        n_dimensions: what its header must say: 3 for images, 1 for labels.

    Returns:
        A read-only uint8 array of the header's shape.

    Raises:
        DataError: an unreadable file, corrupted gzip, another header, or more or fewer bytes
            than the header announces.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}. Fetch it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}.") from error

    header_size = 4 + 4 * n_dimensions
    expected_magic = bytes([0, 0, _UNSIGNED_BYTE, n_dimensions])
    if len(content) >= 4 and content[:4] != expected_magic:
        raise DataError(
            f"{path} is not an IDX file of {n_dimensions}-dimensional unsigned bytes: it begins "
            f"with {content[:4].hex(' ')}, expected {expected_magic.hex(' ')}."
        )
    if len(content) < header_size:
        raise DataError(
            f"{path} is truncated: its header alone takes {header_size} bytes, "
            f"but it holds {len(content)}. Fetch it again."
        )
    shape = struct.unpack(f">{n_dimensions}I", content[4:header_size])
    expected_size = header_size + math.prod(shape)
    if len(content) != expected_size:
        fault = "truncated" if len(content) < expected_size else "longer than its header says"
        raise DataError(
            f"{path} is {fault}: expected {expected_size} bytes for shape {shape}, "
            f"found {len(content)}. Fetch it again."
        )
    return np.frombuffer(content, np.uint8, offset=header_size).reshape(shape)
