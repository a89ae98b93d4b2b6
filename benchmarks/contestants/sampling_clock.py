"""How long Optuna's sampler itself has taken, whoever asks it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from optuna.samplers import BaseSampler

_METHODS = (
    "infer_relative_search_space",
    "sample_relative",
    "sample_independent",
    "before_trial",
    "after_trial",
)


class SamplingClock:
    """Counts the seconds in a sampler class's methods, from now on and for every instance.

    Attributes:
        seconds: so far.
    """

    def __init__(self, sampler: type[BaseSampler]) -> None:
        self.seconds = 0.0
        self._depth = 0
        for name in _METHODS:
            setattr(sampler, name, self._timed(getattr(sampler, name)))

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._depth += 1
            began = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                self._depth -= 1
                if not self._depth:  # one method may call another
                    self.seconds += time.perf_counter() - began

        return timed
