"""Shows a running confirmation: a live panel on a terminal, else one plain line per run."""

# ruff: noqa: D102  (ConfirmWatcher documents the methods)

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console, RenderableType
from rich.text import Text

from besom.report.export import FINAL, is_final
from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.rerun.confirm.confirm_run import ConfirmWatcher
from besom.rerun.confirm.contest import Contest, RunKey
from besom.rerun.confirm.result import score_of
from besom.rerun.confirm.run_journal import RunRecord
from besom.terminal.live_panel import STARTING, LivePanel, stopping_text
from besom.text.console import say
from besom.text.counting import counted


class PlainConfirmView(ConfirmWatcher):
    """One line per run: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._plan: ConfirmPlan | None = None
        self._contest: Contest | None = None

    def began(self, plan: ConfirmPlan, contest: Contest, n_workers: int) -> None:
        self._plan, self._contest = plan, contest
        done, configs = len(contest.scores), counted(len(plan.entrants), "config")
        self._say(
            f"{plan.study.name}: {configs} on {counted(len(plan.seeds), 'seed')}, measured "
            f"on the {plan.on} examples"
            + (f" of {counted(n_folds, 'fold')}" if (n_folds := len(plan.parts)) > 1 else "")
            + (f", each {FINAL}" if plan.on == "test" and is_final(plan.study) else "")
            + (f"; {counted(done, 'run')} already done" if done else "")
            + (f", {counted(n_workers, 'worker')}" if n_workers else "")
        )

    def ended(self, run: RunRecord) -> None:
        self._say(f"[{self._progress()}] {_named(run)}: {self._outcome(run)}")

    def dropped(self, trial: int) -> None:
        assert self._contest is not None
        if trial in self._contest.beaten:
            n_seeds = self._contest.beaten[trial]
            self._say(
                f"trial {trial} is far behind after {counted(n_seeds, 'seed')} and gets no more"
            )
        else:
            self._say(f"trial {trial} failed on every seed so far and gets no more seeds")

    def retried(self, run: RunKey, reason: str) -> None:
        self._say(f"trial {run[0]} seed {run[1]} runs again on a fresh worker: {reason}")

    def remarked(self, text: str) -> None:
        self._say(text)

    def stopping(self, reason: str) -> None:
        self._say(stopping_text(reason))

    def _progress(self) -> str:
        assert self._contest is not None
        return f"{len(self._contest.scores)}/{self._contest.n_runs}"

    def _outcome(self, run: RunRecord) -> str:
        assert self._plan is not None
        score = score_of(self._plan, run)
        if score is None:
            return f"{run.outcome}: {run.reason}"
        aim = self._plan.objective
        shown = f"{aim.metric} {aim.text(score)}"
        return f"{shown} ({counted(run.epochs, 'epoch')}, {run.seconds:.1f} s)"

    def _say(self, text: str) -> None:
        say(self._console, text)


class LiveConfirmView(LivePanel, PlainConfirmView):
    """A panel of progress and workers; what is lasting is printed above it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._workers: dict[int, tuple[RunKey, int]] = {}
        self._began, self._n_before = 0.0, 0

    def began(self, plan: ConfirmPlan, contest: Contest, n_workers: int) -> None:
        super().began(plan, contest, n_workers)
        self._began, self._n_before = time.monotonic(), len(contest.scores)

    def started(self, run: RunKey, worker: int) -> None:
        self._workers[worker] = (run, 0)

    def epoch(self, run: RunKey, worker: int, epoch: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        self._workers[worker] = (run, epoch)

    def ended(self, run: RunRecord) -> None:
        at = (run.trial, run.seed)
        self._workers = {w: on for w, on in self._workers.items() if on[0] != at}
        if run.outcome.failed:
            super().ended(run)

    def render(self) -> RenderableType:
        if self._plan is None or self._contest is None:
            return Text(STARTING)
        done, total = len(self._contest.scores), self._contest.n_runs
        here, eta_s = done - self._n_before, None
        if here:
            eta_s = (time.monotonic() - self._began) / here * (total - done)
        rows = [
            [f"worker {worker}", f"trial {trial} seed {seed}", f"epoch {epoch}"]
            for worker, ((trial, seed), epoch) in sorted(self._workers.items())
        ]
        return self.panel(self._plan.study.name, done, total, eta_s, [], rows)


def _named(run: RunRecord) -> str:
    return f"trial {run.trial} seed {run.seed}"
