"""What a confirmation reports while it runs."""

from __future__ import annotations

from collections.abc import Mapping

from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.rerun.confirm.contest import Contest, RunKey
from besom.rerun.confirm.run_journal import RunRecord


class ConfirmWatcher:
    """Is called as a confirmation proceeds; each method does nothing unless overridden."""

    def began(self, plan: ConfirmPlan, contest: Contest, n_workers: int) -> None:
        """The workers are ready; ``contest`` keeps changing."""

    def started(self, run: RunKey, worker: int) -> None:
        """A worker began a run."""

    def epoch(self, run: RunKey, worker: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch of a run ended."""

    def ended(self, run: RunRecord) -> None:
        """A run ended, in whatever way, and is stored."""

    def dropped(self, trial: int) -> None:
        """A trial gets no more seeds."""

    def retried(self, run: RunKey, reason: str) -> None:
        """A run lost its worker and will be made again."""

    def replaced(self, worker: int, reason: str) -> None:
        """A worker was replaced by a fresh one."""

    def stopping(self, reason: str) -> None:
        """No new runs; those running stop at the end of their epoch."""
