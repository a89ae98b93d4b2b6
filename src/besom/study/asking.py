"""Which trial runs next, and with which config: recovered, given, continued or sampled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optuna.trial import FrozenTrial, Trial, TrialState

from besom.records import GIVEN, Origin, Outcome, TrialRecord
from besom.seam import TrialConfig
from besom.study.definition import fingerprint
from besom.study.flight import InFlight
from besom.study.plan import SweepPlan
from besom.study.screening import ScreeningPruner
from besom.study.storage import SweepStudy
from besom.study.strategy import mix_seed

#: Endings that would be the same again, so that a duplicate need not be trained.
_REUSABLE = (Outcome.COMPLETE, Outcome.PRUNED, Outcome.DIVERGED)


class Asker:
    """Asks the study for trials and makes them ready to run.

    Args:
        plan: the sweep.
        study: the study, open for writing.
        finished: the trials that finished in earlier runs.
    """

    def __init__(
        self, plan: SweepPlan, study: SweepStudy, finished: Iterable[TrialRecord] = ()
    ) -> None:
        self._plan, self._study = plan, study
        self._finished: dict[int, TrialRecord] = {}
        self._by_config: dict[str, TrialRecord] = {}
        for trial in finished:
            self.note(trial)

    @property
    def exhausted(self) -> bool:
        """Whether the sampler has nothing left to propose."""
        return self._study.exhausted

    def note(self, trial: TrialRecord) -> None:
        """Remember a finished trial, so that its config is not trained again."""
        self._finished[trial.number] = trial
        if trial.outcome in _REUSABLE and trial.config:
            self._by_config.setdefault(fingerprint(trial.config), trial)

    def recover(self) -> list[InFlight]:
        """The trials that were running when the last coordinator died, to run again in place."""
        running = self._study._storage.get_all_trials(
            self._study._study_id, deepcopy=False, states=(TrialState.RUNNING,)
        )
        return [self._prepare(Trial(self._study, trial._trial_id)) for trial in running]

    def ask(self) -> InFlight:
        """The next trial: enqueued ones first, then what the sampler proposes."""
        return self._prepare(self._study.ask())

    def duplicate_of(self, flight: InFlight) -> TrialRecord | None:
        """The trial that has run this config already, where its ending may be reused."""
        if not self._plan.sweep["reuse_duplicates"] or flight.origin is Origin.CONTINUED:
            return None
        return self._by_config.get(fingerprint(flight.config))

    @property
    def n_continued(self) -> int:
        """How many screened trials are continued: they come on top of ``n_trials``."""
        return len(self._continued())

    def continue_best(self) -> int:
        """After screening, enqueue the best trials to be trained to their end; once.

        Returns:
            How many were enqueued now.
        """
        pruner = self._study.pruner
        if not isinstance(pruner, ScreeningPruner) or self._continued():
            return 0
        trials = [self._finished[number] for number in sorted(self._finished)]
        for record in (kept := pruner.kept(trials, self._plan.objectives[0])):
            given = {
                "origin": str(Origin.CONTINUED),
                "config": record.config,
                "params": record.params,
                "continues": record.number,
            }
            self._study.enqueue_trial(record.raw_params, user_attrs={GIVEN: given})
        return len(kept)

    def _continued(self) -> list[FrozenTrial]:
        trials = self._study._storage.get_all_trials(self._study._study_id, deepcopy=False)
        return [t for t in trials if t.user_attrs.get(GIVEN, {}).get("origin") == Origin.CONTINUED]

    def _prepare(self, trial: Trial) -> InFlight:
        given: dict[str, Any] = trial.user_attrs.get(GIVEN, {})
        if "config" not in given:
            sample = self._plan.space.suggest(trial)
            sampled = self._plan.trial_config(sample, self._seed(trial.number))
            return InFlight(trial, sample.params, sampled)
        if trial.storage.get_trial(trial._trial_id).system_attrs.get("fixed_params"):
            self._plan.space.suggest(trial)  # so that the sampler learns from it
        origin = Origin(given["origin"])
        config: TrialConfig = dict(given["config"])
        if origin is not Origin.CONTINUED:
            config["seed"] = self._seed(trial.number)
        return InFlight(trial, given["params"], config, origin, given.get("continues"))

    def _seed(self, number: int) -> int:
        """The config's own seed; with ``vary_seed``, one of its own for every trial but the first.

        Common seeds make trials comparable: they see the images in the same order.
        """
        seed = int(self._plan.config["seed"])
        return mix_seed(seed, number) if self._plan.sweep["vary_seed"] and number else seed
