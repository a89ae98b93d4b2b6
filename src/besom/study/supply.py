"""The trials that are yet to begin, in their order, and whether one may begin now."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from besom.store.records import TrialRecord
from besom.store.storage import SweepStudy
from besom.study.ask import Asker, Duplicates
from besom.study.ask_ahead import AskAhead
from besom.study.budget import Budget
from besom.study.plan import SweepPlan
from besom.study.running_trial import RunningTrial


class TrialSupply:
    """Hands out trials: those to run again first, then what the study is asked for.

    Args:
        plan: the sweep.
        study: the study, open for writing.
        finished: the trials that finished in earlier runs.
        budget: says how many there may be, and how long they may take.
        n_workers: how many workers there are now.

    Attributes:
        ahead: asks for trials before workers want them.
        duplicates: which trials need no run, or wait for one that has the same config.
        screening_cut: the rest of the time is for training the best screened to their end.
    """

    def __init__(
        self,
        plan: SweepPlan,
        study: SweepStudy,
        finished: Iterable[TrialRecord],
        budget: Budget,
        n_workers: Callable[[], int],
    ) -> None:
        finished = list(finished)
        self._budget, self._n_workers = budget, n_workers
        self._asker = Asker(plan, study, finished)
        self._waiting: deque[RunningTrial] = deque()  # to begin before any other
        self.ahead = AskAhead(self._asker.ask, self._asker.begin, n_workers)
        self.duplicates = Duplicates(plan.sweep.reuse_duplicates, finished)
        self.screening_cut = False
        budget.n_extra = self._asker.n_continued

    def recover(self) -> set[int]:
        """Take in the trials of a coordinator that died.

        Returns:
            The numbers of those that had begun.
        """
        begun, ahead = self._asker.recover()
        self._waiting.extend(begun)
        self.ahead.add(ahead)
        return {trial.number for trial in begun}

    def ask_ahead(self, n_idle: int, n_running: int) -> None:
        """Have trials asked for ahead, as far as the budget allows.

        Args:
            n_idle: how many are wanted now.
            n_running: how many have begun.
        """
        n_held = self.duplicates.n_held
        n_begun = n_running + len(self._waiting) + n_held
        n_wanted = self._budget.remaining_trials - n_begun - len(self.ahead)
        waits = n_held >= self._n_workers() or self.screening_cut
        if n_wanted > 0 and not (waits or self._asker.exhausted):
            self.ahead.order(n_idle)

    @property
    def again(self) -> bool:
        """Whether a trial is there that has begun already: to run again, or held back until now."""
        return bool(self._waiting)

    def may_ask(self, n_running: int) -> bool:
        """Whether a trial may be asked for, besides those that run."""
        n_workers, n_held = self._n_workers(), self.duplicates.n_held
        if n_held >= n_workers or self._budget.remaining_trials <= n_running + n_held:
            return False  # (a sampler that proposes the same again and again waits for its end)
        if not self.screening_cut:
            self.screening_cut = self._asker.time_is_up(self._budget.remaining_s, n_workers)
        if self.screening_cut:
            return self._asker.preset_waits
        return bool(len(self.ahead)) or not self._asker.exhausted

    def ready(self, n_running: int) -> bool:
        """Whether ``take`` may be called, and has a trial at once."""
        return self.again or (self.may_ask(n_running) and (self.screening_cut or self.ahead.ready))

    def take(self) -> RunningTrial:
        """The trial to begin next.

        Raises:
            ConfigError: the sampler cannot propose one.
        """
        if self._waiting:
            return self._waiting.popleft()
        if self.screening_cut:  # what was asked ahead is yet to be screened: too late
            return self._asker.ask()
        return self.ahead.take()

    def continue_best(self) -> int:
        """After screening, enqueue the best trials to be trained to their end.

        Returns:
            How many were enqueued now: so many more than ``n_trials`` there will be.
        """
        n = self._asker.continue_best()
        self._budget.n_extra += n
        return n

    @property
    def n_missing(self) -> int:
        """How many of the best screened trials have not been trained to their end."""
        return self._asker.n_missing

    def note(self, record: TrialRecord) -> None:
        """A trial has ended; those that waited for it come next."""
        self._asker.note(record)
        self.ahead.note(record.seconds)
        self._waiting.extendleft(reversed(self.duplicates.note(record)))
