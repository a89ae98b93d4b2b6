"""A trial as several runs: which they are, and what each of them is given.

``sweep.folds`` and ``sweep.repeats`` say how many. All trials of a study have the same runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from besom.seam import TrialConfig


@dataclass(frozen=True)
class RunOf:
    """One run of a trial.

    >>> print(RunOf(repeat=1, fold=0, folds=5, repeats=2))
    fold 1 of 5 in repeat 2 of 2

    Attributes:
        repeat: from 0; the seed of each is another, the folds are the same.
        fold: the fold it is measured on, from 0; None without folds.
        folds, repeats: how many there are; None: no folds.
    """

    repeat: int = 0
    fold: int | None = None
    folds: int | None = None
    repeats: int = 1

    def __str__(self) -> str:
        fold = [] if self.fold is None else [f"fold {self.fold + 1} of {self.folds}"]
        repeat = [f"repeat {self.repeat + 1} of {self.repeats}"] if self.repeats > 1 else []
        return " in ".join(fold + repeat)

    @property
    def index(self) -> int:
        """Its place among the runs of its trial, from 0: first all folds, then the next repeat."""
        return self.repeat * (self.folds or 1) + (self.fold or 0)

    @property
    def is_only(self) -> bool:
        """Whether its trial has no other run."""
        return self.folds is None and self.repeats == 1

    def seed(self, seed: int) -> int:
        """The seed it runs with, where its trial has ``seed``."""
        return mix_seed(seed, self.repeat) if self.repeat else seed

    def config(self, config: Mapping[str, Any]) -> TrialConfig:
        """What a worker gets for it: the config of the trial, its own seed and ``run``.

        The config of a trial's only run is the trial's.
        """
        if self.is_only:
            return dict(config)
        run = {"fold": self.fold, "folds": self.folds, "repeat": self.repeat}
        known = {key: value for key, value in run.items() if value is not None}
        return {**config, "seed": self.seed(int(config["seed"])), "run": known}


def runs_of(folds: int | None, repeats: int) -> tuple[RunOf, ...]:
    """The runs of a trial, in the order in which they run.

    >>> [(run.repeat, run.fold) for run in runs_of(folds=2, repeats=2)]
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    >>> runs_of(folds=None, repeats=1)
    (RunOf(repeat=0, fold=None, folds=None, repeats=1),)
    """
    which = [None] if folds is None else range(folds)
    return tuple(RunOf(repeat, fold, folds, repeats) for repeat in range(repeats) for fold in which)


def mix_seed(seed: int, *parts: int) -> int:
    """A seed that depends on every part, and is the same whenever these are."""
    return int(np.random.SeedSequence([seed & 0xFFFFFFFF, *parts]).generate_state(1)[0])
