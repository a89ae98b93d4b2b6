"""Which validation examples were right after each epoch, in few bytes."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
