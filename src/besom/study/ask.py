"""Which trial runs next, and with which config: recovered, preset, continued or sampled; none that
has run already.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from optuna.trial import FrozenTrial, Trial, TrialState

from besom.errors import ConfigError
from besom.runs import mix_seed
from besom.seam import TrialConfig
from besom.store.optuna_private import all_trials, as_stored, new_trial, running_again
from besom.store.records import Origin, Outcome, TrialRecord
from besom.store.storage import SweepStudy
from besom.store.stored_records import AHEAD, PRESET, origin_of, waits_ahead
from besom.store.study_identity import fingerprint
from besom.study.plan import SweepPlan
from besom.study.running_trial import RunningTrial
from besom.study.sampler_study import MOST_SHOWN, SamplerStudy
from besom.study.samplers import SpaceGridSampler
from besom.study.screening import ScreeningPruner, seconds_to_finish
from besom.targets import TARGET


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
        self._plan, self._told = plan, study
        most_shown = max(MOST_SHOWN, plan.sweep.sampler.get("n_startup_trials") or 0)
        self._study = SamplerStudy(study, int(plan.config["seed"]), most_shown)
        self._finished = {trial.number: trial for trial in finished}

    def note(self, trial: TrialRecord) -> None:
        """Remember a finished trial."""
        self._finished[trial.number] = trial

    def recover(self) -> tuple[list[RunningTrial], list[RunningTrial]]:
        """The trials that were running when the last coordinator died, to run again in place.

        Returns:
            These, and those that had been asked ahead.
        """
        begun, ahead = list[RunningTrial](), list[RunningTrial]()
        self._study.look()
        for trial in self._stored(TrialState.RUNNING):
            again = self._prepare(running_again(self._study, trial))
            (ahead if waits_ahead(trial) else begun).append(again)
        return begun, ahead

    def ask(self, ahead: bool = False) -> RunningTrial:
        """The next trial: enqueued ones first, then what the sampler proposes.

        Args:
            ahead: it will wait until ``begin`` is called.

        Raises:
            ConfigError: the sampler cannot propose one.
        """
        self._study.look()
        with self._sampler_errors():
            if ahead and not self.preset_waits:
                trial = new_trial(self._study, {AHEAD: True})
            else:
                trial = self._study.ask()
                if ahead:
                    trial.set_user_attr(AHEAD, True)
        return self._prepare(trial)

    def begin(self, running: RunningTrial) -> RunningTrial:
        """Store that a trial that was asked ahead begins now."""
        running.trial.set_user_attr(AHEAD, time.time())
        return running

    @property
    def exhausted(self) -> bool:
        """Whether no preset trial waits, and the sampler has nothing left to propose."""
        sampler = self._study.sampler
        walked = isinstance(sampler, SpaceGridSampler) and sampler.exhausted(self._study)
        return (walked or self._told.exhausted) and not self.preset_waits

    @property
    def preset_waits(self) -> bool:
        """Whether a trial waits that was enqueued."""
        return bool(self._stored(TrialState.WAITING))

    @property
    def n_continued(self) -> int:
        """How many screened trials are continued: they come on top of ``n_trials``."""
        return len(self._continued())

    @property
    def n_missing(self) -> int:
        """How many of the best screened trials have not been trained to their end."""
        unfinished = [t for t in self._continued() if not t.state.is_finished()]
        return len(unfinished) + len(self._to_continue())

    def _to_continue(self) -> list[TrialRecord]:
        """The best screened trials for whose training nothing has been done yet."""
        pruner = self._study.pruner
        if not isinstance(pruner, ScreeningPruner):
            return []
        continued = {t.user_attrs[PRESET]["continues"] for t in self._continued()}
        return pruner.missing(self._in_order(), self._plan.objectives[0], continued)

    def time_is_up(self, remaining_s: float, n_workers: int) -> bool:
        """Whether what is left of the time is needed to train the best screened to their end."""
        if math.isinf(remaining_s) or not (waiting := self._to_continue()):
            return False
        return remaining_s <= seconds_to_finish(waiting, self._in_order(), n_workers)

    def continue_best(self) -> int:
        """After screening, enqueue the best trials to be trained to their end, each once.

        Returns:
            How many were enqueued now.
        """
        for record in (kept := self._to_continue()):
            preset = {
                "origin": str(Origin.CONTINUED),
                "config": record.config,
                "params": record.params,
                "continues": record.number,
            }
            self._study.enqueue_trial(record.raw_params, user_attrs={PRESET: preset})
        return len(kept)

    def _continued(self) -> list[FrozenTrial]:
        return [t for t in self._stored(*TrialState) if origin_of(t) is Origin.CONTINUED]

    def _stored(self, *states: TrialState) -> list[FrozenTrial]:
        return all_trials(self._study, states)

    def _in_order(self) -> list[TrialRecord]:
        return [self._finished[number] for number in sorted(self._finished)]

    def _prepare(self, trial: Trial) -> RunningTrial:
        preset: dict[str, Any] = trial.user_attrs.get(PRESET, {})
        if "config" not in preset:
            with self._sampler_errors():
                sample = self._plan.space.suggest(trial)
            sampled = self._plan.trial_config(sample, self._seed(trial.number))
            return RunningTrial(trial, sample.params, sampled)
        if as_stored(trial).system_attrs.get("fixed_params"):
            self._plan.space.suggest(trial)  # so that the sampler learns from it
        origin = Origin(preset["origin"])
        config: TrialConfig = dict(preset["config"])
        if self._plan.sweep.vary_seed and origin is not Origin.CONTINUED:
            config["seed"] = self._seed(trial.number)
        return RunningTrial(trial, preset["params"], config, origin, preset.get("continues"))

    def _seed(self, number: int) -> int:
        """The config's own seed; with ``vary_seed``, one of its own for every trial but the first.

        Common seeds make trials comparable: they see the images in the same order.
        """
        seed = int(self._plan.config["seed"])
        return mix_seed(seed, number) if self._plan.sweep.vary_seed and number else seed

    @contextmanager
    def _sampler_errors(self) -> Iterator[None]:
        """Samplers say with a ValueError what they cannot take; only a running study shows it."""
        try:
            yield
        except (ValueError, NotImplementedError) as error:
            raise ConfigError(
                f"The sampler {self._plan.sweep.sampler.get(TARGET)} cannot propose a trial: "
                f"{str(error).rstrip('.')}. Take another, such as sweep/sampler=tpe, with --fresh "
                "or under another sweep.name."
            ) from error


#: Endings that a duplicate would have too, so that it need not be trained.
_REUSABLE = (Outcome.COMPLETE, Outcome.PRUNED, Outcome.DIVERGED)
_CONTINUED = (Outcome.PRUNED, Outcome.COMPLETE)


class Duplicates:
    """Finds the trial that has run a config already, and holds back those that wait for it.

    Args:
        reuse: False: nothing counts as a duplicate.
        finished: the trials that finished in earlier runs.
    """

    def __init__(self, reuse: bool, finished: Iterable[TrialRecord] = ()) -> None:
        self._reuse = reuse
        self._ended: dict[str, TrialRecord] = {}
        self._running: dict[str, int] = {}
        self._held: dict[int, list[RunningTrial]] = {}
        for trial in finished:
            self.note(trial)

    @property
    def n_held(self) -> int:
        """How many trials wait for a running one with the same config."""
        return sum(len(held) for held in self._held.values())

    def original_of(self, running: RunningTrial) -> TrialRecord | None:
        """The trial that has already run this config, if its ending may be reused."""
        return self._ended.get(fingerprint(running.config)) if self._may_wait(running) else None

    def hold(self, running: RunningTrial) -> bool:
        """Hold a trial back while another one with its config runs; else note that this one runs.

        Returns:
            True: it is held, until :meth:`note` gives it back.
        """
        if not self._may_wait(running):
            return False
        first = self._running.setdefault(fingerprint(running.config), running.number)
        if first == running.number:
            return False
        self._held.setdefault(first, []).append(running)
        return True

    def note(self, trial: TrialRecord) -> list[RunningTrial]:
        """Remember a finished trial.

        Returns:
            Those that waited for it: to reuse its ending, or to run if that cannot be reused.
        """
        if trial.config and trial.outcome in _REUSABLE:
            key = fingerprint(trial.config)
            known = self._ended.get(key)
            # A screened trial that is continued has two endings; the complete one counts.
            if known is None or (known.outcome, trial.outcome) == _CONTINUED:
                self._ended[key] = trial
        self._running = {key: n for key, n in self._running.items() if n != trial.number}
        return self._held.pop(trial.number, [])

    def _may_wait(self, running: RunningTrial) -> bool:
        return self._reuse and running.origin is not Origin.CONTINUED
