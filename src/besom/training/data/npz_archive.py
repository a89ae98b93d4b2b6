"""Reading named arrays from a NumPy ``.npz`` archive, and nothing but arrays: never a pickle."""

from __future__ import annotations

import lzma
import math
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from besom.errors import DataError
from besom.training.data.array_checks import Array, MissingArrays, check_fits_memory

_DAMAGE = (
    *(OSError, EOFError, ValueError, NotImplementedError, RecursionError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError),
)


def read_arrays(path: Path, names: Sequence[str]) -> list[Array]:
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
            return [_read(archive, name, path) for name in names]
    except _DAMAGE as error:
        raise DataError(f"{path} is damaged: {error}.") from error


def _read(archive: np.lib.npyio.NpzFile, name: str, path: Path) -> Array:
    where = f"{name} in {path}"
    try:
        assert archive.zip is not None  # it is open
        _check_claim(archive.zip, name, where)
        array: Array = archive[name]
    except _DAMAGE as error:
        raise DataError(f"{where} cannot be read, the file is damaged: {error}") from error
    except MemoryError as error:
        raise DataError(f"{where} does not fit into memory: {error}") from error
    return array


def _check_claim(archive: zipfile.ZipFile, name: str, where: str) -> None:
    """Refuse what an array's header says, and the archive does not hold, or this machine.

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
            f"{where} holds Python objects, which are never loaded, since loading them could run "
            "any code. Save it as an array of numbers."
        )
    n_claimed = math.prod(shape) * dtype.itemsize
    if any(n < 0 for n in shape) or n_claimed != n_held:
        raise DataError(
            f"{where} is damaged: its header says shape {shape} of {dtype}, {n_claimed:,} bytes, "
            f"and the archive holds {n_held:,}."
        )
    check_fits_memory(n_claimed, where)
