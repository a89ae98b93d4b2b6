"""Append-only files: after a full disk or a killed process they still hold whole lines only.

A line counts once it has ended with a newline.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BLOCK = 65536


@contextmanager
def all_or_nothing(descriptor: int) -> Iterator[int]:
    """Undo what was appended in the block if it ends with an OSError; yields the old size.

    Args:
        descriptor: of a file that is open for appending, and that nobody else writes to.
    """
    size = os.fstat(descriptor).st_size
    try:
        yield size
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def write_all(descriptor: int, data: bytes) -> None:
    """Write ``data`` in as many pieces as the system needs.

    Raises:
        OSError: the disk is full, or the file cannot be written; a part may have been.
    """
    written = 0
    while written < len(data):
        written += os.write(descriptor, data[written:])


def drop_cut_line(path: Path) -> None:
    """Remove what follows the last newline: a line that was never finished."""
    if not path.exists() or not (size := path.stat().st_size):
        return
    with path.open("rb+") as file:
        end, block = size, b""
        while b"\n" not in block and end > 0:
            start = max(0, end - _BLOCK)
            file.seek(start)
            block = file.read(end - start)
            end = start if b"\n" not in block else end
        keep = start + block.rfind(b"\n") + 1
        if keep < size:
            file.truncate(keep)
