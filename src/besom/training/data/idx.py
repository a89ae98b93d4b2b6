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
from besom.regular import oddity
from besom.training.data.array_checks import Array, MissingArrays, check_fits_memory

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
    if found is None and (odd := next(filter(oddity, candidates), None)):
        raise DataError(f"{odd} is {oddity(odd)}, expected an IDX file.")
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
    header_size = 4 + 4 * n_dimensions
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(header_size)
            shape = _shape(path, header, n_dimensions)
            size = math.prod(shape)
            found = size + 1 if path.suffix == ".gz" else path.stat().st_size - header_size
            if found >= size:  # else it is cut short, and holds no more than its own bytes
                check_fits_memory(size, f"{path}, by its header of shape {shape},")
            body = file.read(min(size + 1, found))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}. Fetch it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    if len(body) != size:
        fault = "truncated" if len(body) < size else "longer than its header says"
        n_found = found if found > size + 1 else len(body)
        raise DataError(
            f"{path} is {fault}: expected {header_size + size} bytes for shape {shape}, "
            f"found {header_size + n_found}. Fetch it again."
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def _shape(path: Path, header: bytes, n_dimensions: int) -> tuple[int, ...]:
    """The shape that a header says."""
    expected_magic = bytes([0, 0, _UNSIGNED_BYTE, n_dimensions])
    if len(header) >= 4 and header[:4] != expected_magic:
        raise DataError(
            f"{path} is not an IDX file of {n_dimensions}-dimensional unsigned bytes: it begins "
            f"with {header[:4].hex(' ')}, expected {expected_magic.hex(' ')}."
        )
    if len(header) < 4 + 4 * n_dimensions:
        raise DataError(
            f"{path} is truncated: its header alone takes {4 + 4 * n_dimensions} bytes, "
            f"but it holds {len(header)}. Fetch it again."
        )
    return struct.unpack(f">{n_dimensions}I", header[4:])
