"""TPE that draws at random until a study is as long as it is to be measured at."""

from __future__ import annotations

from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial


class GrowingTPE(TPESampler):
    """TPE from a trial on.

    Args:
        grow_to: its number.
        options: those of TPE.
    """

    def __init__(self, grow_to: int, **options: Any) -> None:
        super().__init__(**options)
        self._grow_to = grow_to

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Several parameters together; none before."""
        if trial.number < self._grow_to:
            return {}
        return super().sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        """One parameter."""
        if trial.number < self._grow_to:
            return self._random_sampler.sample_independent(study, trial, name, distribution)
        return super().sample_independent(study, trial, name, distribution)
