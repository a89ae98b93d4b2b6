"""The study as its sampler sees it: what is asked ahead too, and of a long history enough."""

from __future__ import annotations

import bisect
import random
from collections.abc import Sequence

import optuna
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from besom.store.optuna_private import all_trials, best_of, speed_up_tpe, storage_of, unknown
from besom.store.storage import SweepStudy

#: TPE is shown so many finished trials; BEST_SHARE of them are the best. It models the best 25 by
#: themselves and all others together, so of those a sample says nearly as much as all of them.
#: ``benchmarks/shown_history.py`` measures what this and other sizes cost in regret.
MOST_SHOWN = 500
BEST_SHARE = 0.25

_LEARNED_FROM = (TrialState.COMPLETE, TrialState.PRUNED)


class ShownHistory:
    """The best finished trials and a sample of the others.

    The sample stays the same but for what new trials displace, and a resume makes the same one.

    Args:
        most: how many trials are shown; as long as there are no more, all are.
        seed: of the sample.
    """

    def __init__(self, most: int, seed: int) -> None:
        self._n_best, self._seed = int(most * BEST_SHARE), seed
        self._n_others = most - self._n_best
        self._known: set[int] = set()
        self._best: list[FrozenTrial] = []
        self._others: list[tuple[float, int, FrozenTrial]] = []  # the sample, in its own order

    def of(self, study: optuna.Study, finished: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Those of the finished trials to show, in no order.

        Args:
            study: says which trials are better.
            finished: all that TPE learns from; what was among them in an earlier call still is.
        """
        if new := unknown(finished, self._known):
            self._best, others = best_of(study, [*self._best, *new], self._n_best)
            for trial in others:
                drawn = random.Random(f"{self._seed}:{trial.number}").random()
                bisect.insort(self._others, (drawn, trial.number, trial))
            del self._others[self._n_others :]
        return [*self._best, *(trial for _, _, trial in self._others)]


class SamplerStudy(SweepStudy):
    """A study that trials are asked of.

    Args:
        study: the same one, as pruners see it.
        seed: of the sample of its history.
        most_shown: so many finished trials are shown to TPE.
    """

    def __init__(self, study: SweepStudy, seed: int = 0, most_shown: int = MOST_SHOWN) -> None:
        super().__init__(study.study_name, storage_of(study), study.sampler, study.pruner)
        self._study = study
        self._shown: ShownHistory | None = None
        if isinstance(study.sampler, TPESampler):
            speed_up_tpe()
            self._shown = ShownHistory(most_shown, seed)

    def stop(self) -> None:
        """Called by samplers."""
        self._study.stop()

    def visible(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """Those of the trials that the sampler sees, those asked ahead among them."""
        return [t for t in trials if self.has_parameters(t)]

    def look(self) -> None:
        """Show TPE the study as it is now, until the next call; others look for themselves."""
        if self._shown is None:
            return
        finished, running = list[FrozenTrial](), list[FrozenTrial]()
        for trial in self.visible(all_trials(self, (*_LEARNED_FROM, TrialState.RUNNING))):
            (running if trial.state is TrialState.RUNNING else finished).append(trial)
        shown = [*self._shown.of(self, finished), *running]
        self.snapshot = sorted(shown, key=lambda trial: trial.number)
