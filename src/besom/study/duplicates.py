"""Configs that have run, and those that run now: no config is trained twice."""

from __future__ import annotations

from collections.abc import Iterable

from besom.store.records import Origin, Outcome, TrialRecord
from besom.store.study_identity import fingerprint
from besom.study.running_trial import RunningTrial

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
