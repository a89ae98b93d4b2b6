"""One part of a dataset from a path: a NumPy ``.npz`` archive or a folder of IDX files.

Of an archive only arrays are read, never a pickle. IDX is the format that MNIST and Fashion-MNIST
are published in, raw or gzipped: two zero bytes, one byte for the element type (8: unsigned byte),
one for the number of dimensions, each dimension as a big-endian 32-bit integer, then the elements,
last dimension fastest (http://yann.lecun.com/exdb/mnist/).

A file may come from anyone: nothing is allocated because a header says so, before the file's own
size and this machine's memory have been compared with it.
"""

from __future__ import annotations

import gzip
import lzma
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from besom.errors import DataError
from besom.regular import special_kind
from besom.training.data.array_checks import (
    Array,
    MissingArrays,
    check_fits_memory,
)
from besom.training.data.dataset import Dataset, NoTestExamples, Split


def read_part(
    path: str | Path, split: Split, name: str | None = None, scale: float | None = None
) -> Dataset:
    """Read images and labels of one part; of the other part, nothing when ``split`` is train.

    Args:
        path: a file or folder. In text, ``~`` and environment variables are expanded; a relative
            path starts at the current folder.
        split: the part.
        name: the dataset's name; None: the file's, without its suffix.
        scale: what examples are multiplied by; None: see ``Dataset``.

    Raises:
        NoTestExamples: the test part is asked for and not there.
        DataError: the path is missing, or not of one of these formats, or damaged.
    """
    location = path if isinstance(path, Path) else _expanded(path)
    name = name or location.stem
    x, y = _pair(location, split)
    return Dataset(x=x, y=y, scale=scale, name=name)


def _expanded(path: object) -> Path:
    if not isinstance(path, str):
        raise DataError(f"data.path={path!r}: expected the path of an .npz file or a folder.")
    # Path.expanduser() raises for an unknown ~user, where this leaves it to be reported below.
    expanded = Path(os.path.expandvars(os.path.expanduser(path)))  # noqa: PTH111
    if not path or not expanded.exists():
        raise DataError(
            f"data.path={path} does not exist (looked for {expanded.absolute()}). Expected an "
            ".npz file or a folder of IDX files."
        )
    if not expanded.is_dir() and (kind := special_kind(expanded)):
        raise DataError(
            f"data.path={path} is {kind}, expected an .npz file or a folder of IDX files."
        )
    return expanded


def _pair(path: Path, split: Split) -> tuple[Array, Array]:
    try:
        if path.is_dir():
            return _read_idx_part(path, split, "images"), _read_idx_part(path, split, "labels")
        x, y = _read_arrays(path, [f"x_{split}", f"y_{split}"])
    except MissingArrays as error:
        if split == "test":
            raise NoTestExamples(str(error)) from error
        raise
    return x, y


_DAMAGE = (
    *(OSError, EOFError, ValueError, NotImplementedError, RecursionError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError),
)


def _read_arrays(path: Path, names: Sequence[str]) -> list[Array]:
    """Read the named arrays, and no others, in the order asked for.

    Raises:
        MissingArrays: the archive lacks one of them; the message names what it holds.
        DataError: the file is no archive, is damaged, or holds Python objects.
    """
    try:
        is_archive = zipfile.is_zipfile(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    if not is_archive:
        raise DataError(
            f"{path} is not a NumPy .npz archive, or it is cut short. Expected a file written by "
            "np.savez(path, x_train=..., y_train=...)."
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive.files]
            if missing:
                raise MissingArrays(
                    f"{path} has no {' and no '.join(missing)}. "
                    f"It holds: {', '.join(archive.files) or 'nothing'}."
                )
            return [_read_array(archive, name, path) for name in names]
    except _DAMAGE as error:
        raise DataError(f"{path} is damaged: {error}.") from error


def _read_array(archive: np.lib.npyio.NpzFile, name: str, path: Path) -> Array:
    where = f"{name} in {path}"
    try:
        assert archive.zip is not None  # it is open
        _check_header(archive.zip, name, where)
        array: Array = archive[name]
    except _DAMAGE as error:
        raise DataError(f"{where} cannot be read, the file is damaged: {error}") from error
    except MemoryError as error:
        raise DataError(f"{where} does not fit into memory: {error}") from error
    return array


def _check_header(archive: zipfile.ZipFile, name: str, where: str) -> None:
    """Refuse an array whose header does not match the archive, or that this machine cannot hold.

    NumPy takes the memory that the header names before it reads the first number.
    """
    member = archive.getinfo(f"{name}.npy" if f"{name}.npy" in archive.namelist() else name)
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        is_first = version == (1, 0)
        read = (
            np.lib.format.read_array_header_1_0 if is_first else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
        n_held = member.file_size - file.tell()
    if dtype.hasobject:
        raise DataError(
            f"{where} holds Python objects, which are never loaded: loading them could run any "
            "code. Save it as an array of numbers."
        )
    n_claimed = math.prod(shape) * dtype.itemsize
    if any(n < 0 for n in shape) or n_claimed != n_held:
        raise DataError(
            f"{where} is damaged: its header says shape {shape} of {dtype}, {n_claimed:,} bytes, "
            f"but the archive holds {n_held:,}."
        )
    check_fits_memory(n_claimed, where)


_PREFIX = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTE = 8


def _read_idx_part(folder: Path, split: Split, what: Literal["images", "labels"]) -> Array:
    """The unsigned bytes of one part's images, (n, height, width), or labels, (n,).

    Raises:
        MissingArrays: the folder has no such file.
        DataError: the file is truncated or not of this format.
    """
    n_dimensions = 3 if what == "images" else 1
    # Some copies have a dot where the original has a hyphen.
    names = [f"{_PREFIX[split]}-{what}{mark}idx{n_dimensions}-ubyte" for mark in "-."]
    candidates = [folder / f"{name}{suffix}" for suffix in ("", ".gz") for name in names]
    found = next((path for path in candidates if path.is_file()), None)
    if found is not None:
        return _read_idx(found, n_dimensions)
    if special := next(filter(special_kind, candidates), None):
        raise DataError(f"{special} is {special_kind(special)}, expected an IDX file.")
    there = sorted(path.name for path in folder.iterdir())
    listed = ", ".join(there[:8]) + (", ..." if len(there) > 8 else "") if there else "nothing"
    raise MissingArrays(f"{folder} has no {names[0]} or {names[0]}.gz. It holds: {listed}.")


def _read_idx(path: Path, n_dimensions: int) -> Array:
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
            shape = _idx_shape(path, header, n_dimensions)
            size = math.prod(shape)
            found = size + 1 if path.suffix == ".gz" else path.stat().st_size - header_size
            if found >= size:  # else it is cut short, and holds no more than its own bytes
                check_fits_memory(size, f"{path}, by its header of shape {shape},")
            body = file.read(min(size + 1, found))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}. Download it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    if len(body) != size:
        fault = "truncated" if len(body) < size else "longer than its header says"
        n_found = found if found > size + 1 else len(body)
        raise DataError(
            f"{path} is {fault}: expected {header_size + size} bytes for shape {shape}, "
            f"found {header_size + n_found}. Download it again."
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


def _idx_shape(path: Path, header: bytes, n_dimensions: int) -> tuple[int, ...]:
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
            f"but it holds {len(header)}. Download it again."
        )
    return struct.unpack(f">{n_dimensions}I", header[4:])
