"""What is kept of each validation example: bits in the study itself, numbers in a file beside it.

A share of examples, such as an accuracy, has a bit for each. A mean, such as a loss, has a number,
and any other metric has its scores on bootstrap draws: for these the study's journal is too slow
and too small. Their files can be lost without losing a result: only errors, ties and the
correction for selection rest on them.
"""

from __future__ import annotations

import base64
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from besom.store.paths import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class EpochBits:
    """Which validation examples were right after each epoch, as stored: unpacked only when asked.

    One epoch differs from the next in few examples, so each is stored as what it changed,
    compressed.

    Attributes:
        stored: base64 of zlib of the packed bits, one epoch after another.

    Example:
        >>> right = [[False, True, True], [True, True, True]]  # after epoch 1 and after epoch 2
        >>> bits = EpochBits.pack([np.packbits(epoch).tobytes() for epoch in right])
        >>> bits.unpack(3).tolist()
        [[False, True, True], [True, True, True]]
    """

    stored: str

    @classmethod
    def pack(cls, epochs: Sequence[bytes]) -> EpochBits:
        """Make it from the packed bits (``numpy.packbits``) of each epoch, all of one size."""
        bits = np.frombuffer(b"".join(epochs), np.uint8).reshape(len(epochs), -1)
        changed = np.vstack([bits[:1], bits[1:] ^ bits[:-1]])
        return cls(base64.b64encode(zlib.compress(changed.tobytes())).decode("ascii"))

    def unpack(self, n_images: int) -> NDArray[np.bool_]:
        """Return booleans of shape ``(n_epochs, n_images)``.

        Raises:
            ValueError: it is damaged, or of another number of examples.
        """
        try:
            changed = np.frombuffer(zlib.decompress(base64.b64decode(self.stored)), np.uint8)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        bits = np.bitwise_xor.accumulate(changed.reshape(-1, (n_images + 7) // 8), axis=0)
        return np.unpackbits(bits, axis=1, count=n_images).view(np.bool_)


@dataclass(frozen=True)
class KeptExamples:
    """What is kept of each validation example, by metric; numbers are read when asked for.

    Attributes:
        stored: metric to its ``kind``: ``share``, ``mean`` or ``other``; a share also has ``bits``,
            of ``numpy.packbits`` in base64, and ``by_epoch``, see ``EpochBits``; a mean the number
            of its ``epochs``, where the file has those, and of its ``units``, where it has a number
            for each group of examples instead.
        path: the file with the numbers of the others; None where there is none.
    """

    stored: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    path: Path | None = None

    def kind(self, metric: str) -> str | None:
        """What is kept of a metric; None: nothing."""
        return self.stored.get(metric, {}).get("kind")

    def bits(self, metric: str) -> bytes | None:
        """Of a share: the packed bits of the epoch that counts."""
        stored = self.stored.get(metric, {}).get("bits")
        return None if stored is None else base64.b64decode(stored)

    def bits_by_epoch(self, metric: str) -> EpochBits | None:
        """Of a share: those of every epoch."""
        stored = self.stored.get(metric, {}).get("by_epoch")
        return None if stored is None else EpochBits(stored)

    def n_units(self, metric: str, n_examples: int) -> int:
        """How many numbers there are: one for each example, or for each group of them."""
        return int(self.stored.get(metric, {}).get("units", n_examples))

    def numbers(self, metric: str) -> NDArray[np.float32] | None:
        """Of the epoch that counts: (n_examples,), or (2, n_draws): on each draw, and beside it.

        None where nothing is kept, or the file is lost or damaged.
        """
        return self._counted.get(metric)

    def has_epochs(self, metric: str) -> bool:
        """Whether the numbers of every epoch are kept, by what the study says."""
        return "epochs" in self.stored.get(metric, {})

    def by_epoch(self, metric: str) -> NDArray[np.floating[Any]] | None:
        """Of a mean: (n_epochs, n_examples); None where that is not known."""
        return self._read(_EPOCHS).get(metric)

    @cached_property
    def _counted(self) -> dict[str, NDArray[Any]]:
        return self._read("")

    def _read(self, suffix: str) -> dict[str, NDArray[Any]]:
        if self.path is None:
            return {}
        found = {}
        try:
            with np.load(self.path, allow_pickle=False) as arrays:
                for index, metric in enumerate(self.stored):
                    if (name := f"{index}{suffix}") in arrays.files:
                        found[metric] = arrays[name]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return {}
        return found


#: Ends the name, in a file of numbers, of those of every epoch.
_EPOCHS = "-epochs"

#: So many bytes of numbers are kept of one study; beyond, only those of the epoch that counts.
MOST_BYTES = 64 * 2**20


def keep(
    given: Mapping[str, Mapping[str, Any]], path: Path, by_epoch: Sequence[str] = ()
) -> KeptExamples:
    """Store what a trial returned of each example (``besom.seam.TrialResult.per_example``).

    Args:
        given: metric to its ``kind``, ``values`` and ``by_epoch``.
        path: where numbers go; its folder has those of the other trials of the study.
        by_epoch: the metrics of which every epoch matters.

    Raises:
        OSError: the file cannot be written.
    """
    stored: dict[str, dict[str, str]] = {}
    counted: dict[str, NDArray[Any]] = {}
    epochs: dict[str, NDArray[Any]] = {}
    for index, (metric, known) in enumerate(given.items()):
        stored[metric] = {"kind": known["kind"]}
        if units := known.get("units"):
            stored[metric]["units"] = str(units)
        rows = known.get("by_epoch") if metric in by_epoch else None
        if known["kind"] == "share":
            stored[metric]["bits"] = base64.b64encode(known["values"]).decode("ascii")
            if rows:
                stored[metric]["by_epoch"] = EpochBits.pack(rows).stored
            continue
        numbers = np.frombuffer(known["values"], "<f4")
        counted[str(index)] = numbers.reshape(2, -1) if known["kind"] == "other" else numbers
        if rows:
            matrix = np.frombuffer(b"".join(rows), "<f4").reshape(len(rows), -1)
            epochs[f"{index}{_EPOCHS}"] = _small(matrix)
            stored[metric]["epochs"] = str(len(rows))
    if not counted:
        return KeptExamples(stored)
    data = _packed(counted | epochs)
    if epochs and _size(path.parent) + len(data) > MOST_BYTES:
        data = _packed(counted)
        for known in stored.values():
            known.pop("epochs", None)
    write_atomically(path, data)
    return KeptExamples(stored, path)


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.npz"))


def _small(matrix: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """As float16 where rounding adds less than a hundredth to the spread between examples."""
    with np.errstate(over="ignore"):
        half = matrix.astype(np.float16)
    if not np.isfinite(half).all():
        return matrix
    lost = np.sqrt(np.square(half.astype(np.float32) - matrix).mean(axis=1))
    return half if bool((lost <= 0.01 * matrix.std(axis=1)).all()) else matrix
