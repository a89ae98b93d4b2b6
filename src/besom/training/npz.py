"""Reading named arrays from a NumPy ``.npz`` archive, and nothing but arrays: never a pickle."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from besom.errors import DataError
from besom.training.arrays import Array, MissingArrays

_DAMAGE = (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error)


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
    try:
        array: Array = archive[name]
    except _DAMAGE as error:
        if "allow_pickle" in str(error):
            raise DataError(
                f"{name} in {path} holds Python objects, which are never loaded, since loading "
                "them could run any code. Save it as an array of numbers."
            ) from error
        raise DataError(f"{name} in {path} cannot be read, the file is damaged: {error}") from error
    return array
