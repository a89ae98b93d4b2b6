"""Shows a running sweep: a live panel on a terminal, else one plain line a finished trial."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from besom.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.study.watcher import Watcher
from besom.tables import format_gain, format_value

#: What a panel shows until the first worker is ready.
STARTING = "starting the workers: importing TensorFlow, loading the data ..."


class Standing:
    """What both views count: the best so far, its gain, how trials ended, the time to come."""

    def __init__(self, study: StudyRecord, n_trials: int) -> None:
        self.name = study.name
        self.objective: Objective = study.objective
        self.n_trials = n_trials
        self.best: TrialRecord | None = None
        self.baseline: TrialRecord | None = None
        self.complete = self.pruned = self.failed = self.reused = self.infeasible = 0
        for trial in study.trials:
            if trial.outcome is not Outcome.RUNNING:
                self.count(trial)
        self.resumed = self.finished
        self._began = time.monotonic()

    def count(self, trial: TrialRecord) -> bool:
        """Count a finished trial; True if it is the new best."""
        if trial.outcome is not Outcome.COMPLETE:
            self.pruned += trial.outcome is Outcome.PRUNED
            self.failed += trial.outcome.failed
            self.reused += trial.outcome is Outcome.DUPLICATE
            self.infeasible += trial.outcome is Outcome.INFEASIBLE
            return False
        self.complete += 1
        if trial.baseline:
            self.baseline = trial
        better = self.best is None or self.gain(trial, self.best) > 0
        if better:
            self.best = trial
        return better

    def gain(self, trial: TrialRecord, over: TrialRecord) -> float:
        """How much better one complete trial is than another; positive is better."""
        assert trial.value is not None
        assert over.value is not None
        return self.objective.sign * (trial.value - over.value)

    @property
    def finished(self) -> int:
        """Trials that ended, in whatever way."""
        return self.complete + self.pruned + self.failed + self.reused + self.infeasible

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at this run's pace so far; None before its first trial has ended."""
        here = self.finished - self.resumed
        if not here:
            return None
        return (time.monotonic() - self._began) / here * max(0, self.n_trials - self.finished)

    def best_text(self) -> str:
        """The best so far and its gain over the baseline."""
        if self.best is None or self.best.value is None:
            return "no complete trial yet"
        metric = self.objective.metric
        text = f"best {metric} {format_value(metric, self.best.value)} (trial {self.best.number})"
        if self.baseline is not None and self.baseline is not self.best:
            gain = format_gain(metric, self.gain(self.best, self.baseline))
            text += f", {gain} over the baseline"
        return text

    def counts_text(self) -> str:
        """How many trials ended in which way."""
        text = f"{self.complete} complete, {self.pruned} pruned, {self.failed} failed"
        text += f", {self.reused} reused" if self.reused else ""
        return text + (f", {self.infeasible} infeasible" if self.infeasible else "")


class PlainView(Watcher):
    """One line a finished trial: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._standing: Standing | None = None

    def began(self, study: Callable[[], StudyRecord], n_trials: int, n_workers: int) -> None:
        self._standing = Standing(study(), n_trials)
        done = self._standing.resumed
        resumed = f", {done} already done" if done else ""
        self._say(f"{self._standing.name}: {n_trials} trials{resumed}, {n_workers} workers")

    def finished(self, trial: TrialRecord) -> None:
        standing = self._standing
        assert standing is not None
        new_best = standing.count(trial)
        metric = standing.objective.metric
        if trial.value is not None:
            what = f"{metric} {format_value(metric, trial.value)}"
            what += " *" if new_best and standing.complete > 1 else ""
        else:
            what = trial.reason
        self._say(
            f"[{standing.finished}/{standing.n_trials}] trial {trial.number} {trial.outcome}: "
            f"{what} ({_epochs(trial.epochs)}, {trial.seconds:.1f} s); {standing.best_text()}"
        )

    def extended(self, n_trials: int) -> None:
        assert self._standing is not None
        self._standing.n_trials = n_trials

    def retried(self, trial: int, reason: str) -> None:
        self._say(f"trial {trial} runs again on a fresh worker: {reason}")

    def stopping(self, reason: str) -> None:
        self._say(f"stopping: {reason}; running trials end with their epoch")

    def remarked(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class Panel:
    """A context manager: what ``render`` gives is redrawn in place, and gone at the end.

    What is printed to the console meanwhile stays above it.
    """

    _console: Console
    _live: Live | None = None

    def __enter__(self) -> Self:
        self._live = Live(
            console=self._console,
            get_renderable=self.render,
            refresh_per_second=4,
            transient=True,
        )
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.__exit__(None, None, None)
            self._live = None

    def render(self) -> RenderableType:
        """The panel as it stands."""
        raise NotImplementedError


class LiveView(Panel, Watcher):
    """A panel of progress, workers and the best so far."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._standing: Standing | None = None
        self._workers: dict[int, tuple[int, int, float | None]] = {}
        self._n_workers = 0
        self._stopping = ""

    def began(self, study: Callable[[], StudyRecord], n_trials: int, n_workers: int) -> None:
        self._standing, self._n_workers = Standing(study(), n_trials), n_workers

    def started(self, trial: int, worker: int) -> None:
        self._workers[worker] = (trial, 0, None)

    def epoch(self, trial: int, worker: int, epoch: int, metrics: Mapping[str, float]) -> None:
        assert self._standing is not None
        self._workers[worker] = (trial, epoch, metrics.get(self._standing.objective.metric))

    def finished(self, trial: TrialRecord) -> None:
        assert self._standing is not None
        self._standing.count(trial)
        if trial.worker is not None:
            self._workers.pop(trial.worker, None)
        if trial.outcome.failed:
            self._console.print(
                f"trial {trial.number} {trial.outcome}: {trial.reason}", markup=False
            )

    def extended(self, n_trials: int) -> None:
        assert self._standing is not None
        self._standing.n_trials = n_trials

    def retried(self, trial: int, reason: str) -> None:
        self._workers = {w: shown for w, shown in self._workers.items() if shown[0] != trial}
        self._console.print(f"trial {trial} runs again on a fresh worker: {reason}", markup=False)

    def stopping(self, reason: str) -> None:
        self._stopping = f"stopping: {reason}; running trials end with their epoch"

    def remarked(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def render(self) -> RenderableType:
        standing = self._standing
        if standing is None:
            return Text(STARTING)
        eta = standing.eta_s
        head = Table.grid(padding=(0, 1))
        head.add_row(
            Text(standing.name, style="bold"),
            ProgressBar(total=standing.n_trials, completed=standing.finished, width=30),
            f"{standing.finished}/{standing.n_trials}",
            "" if eta is None else f"ETA {_clock(eta)}",
        )
        workers = Table.grid(padding=(0, 2))
        for worker in sorted(self._workers):
            trial, epoch, value = self._workers[worker]
            metric = standing.objective.metric
            shown = "" if value is None else f"{metric} {format_value(metric, value)}"
            workers.add_row(f"worker {worker}", f"trial {trial}", f"epoch {epoch}", shown)
        lines: list[RenderableType] = [head, Text(standing.best_text()), workers]
        lines.append(Text(standing.counts_text(), style="dim"))
        if self._stopping:
            lines.append(Text(self._stopping, style="yellow"))
        return Group(*lines)


def _epochs(n: int) -> str:
    return "1 epoch" if n == 1 else f"{n} epochs"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
