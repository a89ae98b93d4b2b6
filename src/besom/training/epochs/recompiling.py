"""Notices that a callback compiles the model anew: what was traced before is then another model's.

``keras.Model.compile`` replaces the optimizer, the loss and the metrics, or fixes which layers are
trained. Both engines go on with the model as it is compiled from the next epoch on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from besom.training.fast.keras_private import replaced


class Recompiled:
    """Whether the model has been compiled anew.

    Attributes:
        ever: whether it has, at any time.
    """

    def __init__(self) -> None:
        self.ever = self._lately = False

    def note(self) -> None:
        """It has just been."""
        self.ever = self._lately = True

    def since_last(self) -> bool:
        """Whether it has been since this was last asked."""
        lately, self._lately = self._lately, False
        return lately


@contextmanager
def recompiling_noticed(model: Any) -> Iterator[Recompiled]:
    """While open, what is yielded knows whether the model is compiled anew."""
    recompiled, compile_model = Recompiled(), model.compile

    def compile_and_note(*args: Any, **kwargs: Any) -> Any:
        recompiled.note()
        return compile_model(*args, **kwargs)

    with replaced(model, compile=compile_and_note):
        yield recompiled
