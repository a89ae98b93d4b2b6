"""Shows a running sweep: a live panel on a terminal, else one plain line a finished trial."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from besom.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.study.signals import Suspension
from besom.study.watcher import Watcher
from besom.tables import format_gain, format_value

#: A terminal narrower than this has no room for a bar, nor for a metric's name on each line.
NARROW = 60
BAR = 30
_SHOW_CURSOR, _HIDE_CURSOR = b"\x1b[?25h", b"\x1b[?25l"

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
                self._count(trial)
        self.resumed = self.finished
        self._began = time.monotonic()
        self._end: float | None = None  # when all will have ended, at the pace of the last count

    def count(self, trial: TrialRecord) -> bool:
        """Count a finished trial; True if it is the new best."""
        better = self._count(trial)
        self._foresee_end()
        return better

    def _count(self, trial: TrialRecord) -> bool:
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

    def extend(self, n_trials: int) -> None:
        """More trials than at first will run."""
        self.n_trials = n_trials
        self._foresee_end()

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at this run's pace so far; None before its first trial has ended.

        Counts down between the endings of trials.
        """
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def _foresee_end(self) -> None:
        now, here = time.monotonic(), self.finished - self.resumed
        left = max(0, self.n_trials - self.finished)
        self._end = now + (now - self._began) / here * left if here else None

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


class Screen(Console):
    """A console that falls silent when nobody reads it any more: ``besom sweep NAME | head``."""

    @property
    def shows_panels(self) -> bool:
        """Whether it can redraw in place; FORCE_COLOR makes no terminal of a file."""
        return self.is_interactive and self.file.isatty()

    def on_broken_pipe(self) -> None:
        """Go on unheard: what runs is not to end with its reader."""
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()


class PlainView(Watcher):
    """One line a finished trial: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._standing: Standing | None = None

    def began(self, study: Callable[[], StudyRecord], n_trials: int, n_workers: int) -> None:
        self._standing = Standing(study(), n_trials)
        done = self._standing.resumed
        resumed = f", {done} already done" if done else ""
        working = f", {counted(n_workers, 'worker')}" if n_workers else ""  # else all is done
        self._say(f"{self._standing.name}: {counted(n_trials, 'trial')}{resumed}{working}")

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
        took = f"{counted(trial.epochs, 'epoch')}, {trial.seconds:.1f} s"
        self._say(
            f"[{standing.finished}/{standing.n_trials}] trial {trial.number} {trial.outcome}: "
            f"{what} ({took}); {standing.best_text()}"
        )

    def extended(self, n_trials: int) -> None:
        assert self._standing is not None
        self._standing.extend(n_trials)

    def retried(self, trial: int, reason: str) -> None:
        self._say(f"trial {trial} runs again on a fresh worker: {reason}")

    def stopping(self, reason: str) -> None:
        self._say(stopping_text(reason))

    def remarked(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        try:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        except OSError:  # a full disk under `> sweep.log`: the sweep goes on, unheard
            self._console.quiet = True


class Panel:
    """A context manager: what ``render`` gives is redrawn in place, and gone at the end.

    What is printed to the console meanwhile stays above it. Ctrl-Z gives the shell its cursor back.
    """

    _console: Console
    _live: Live | None = None

    def __enter__(self) -> Self:
        self._suspension = Suspension(self._control(_SHOW_CURSOR), self._control(_HIDE_CURSOR))
        self._suspension.__enter__()
        self._live = Live(
            console=self._console, get_renderable=self.render, refresh_per_second=4, transient=True
        )
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.__exit__(None, None, None)
            self._live = None
        self._suspension.__exit__(*error)

    def _control(self, code: bytes) -> Callable[[], None]:
        def write() -> None:
            # Past the console: the signal may have come in the midst of its own writing.
            with contextlib.suppress(OSError):
                os.write(self._console.file.fileno(), code)

        return write

    def render(self) -> RenderableType:
        """The panel as it stands."""
        raise NotImplementedError


class LiveView(Panel, Watcher):
    """A panel of progress, workers and the best so far."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._standing: Standing | None = None
        self._workers: dict[int, tuple[int, int, float | None]] = {}
        self._stopping = ""

    def began(self, study: Callable[[], StudyRecord], n_trials: int, n_workers: int) -> None:  # noqa: ARG002
        self._standing = Standing(study(), n_trials)

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
        self._standing.extend(n_trials)

    def retried(self, trial: int, reason: str) -> None:
        self._clear(trial)
        self._console.print(f"trial {trial} runs again on a fresh worker: {reason}", markup=False)

    def kept(self, trial: int) -> None:
        self._clear(trial)

    def stopping(self, reason: str) -> None:
        self._stopping = stopping_text(reason)

    def remarked(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def _clear(self, trial: int) -> None:
        self._workers = {w: shown for w, shown in self._workers.items() if shown[0] != trial}

    def render(self) -> RenderableType:
        standing = self._standing
        if standing is None:
            return Text(STARTING)
        lines: list[RenderableType] = [self._head(standing), Text(standing.best_text())]
        lines.append(Text(standing.counts_text(), style="dim"))
        if self._stopping:
            lines.append(Text(self._stopping, style="yellow"))
        # Last: on a low terminal, what does not fit is cut off at the bottom.
        return Group(*lines, self._workers_table(standing.objective.metric))

    def _head(self, standing: Standing) -> RenderableType:
        eta = standing.eta_s
        to_go = "" if eta is None else f"ETA {_clock(eta)}"
        told = [f"{standing.finished}/{standing.n_trials}", "stopping" if self._stopping else to_go]
        bar: list[RenderableType] = []
        if self._console.width >= NARROW:
            bar = [ProgressBar(total=standing.n_trials, completed=standing.finished, width=BAR)]
        # If there is no room, it is the name that gives way.
        room = self._console.width - sum(len(text) + 1 for text in told) - len(bar) * (BAR + 1)
        head = Table.grid(padding=(0, 1))
        head.add_column(no_wrap=True, overflow="ellipsis", max_width=max(1, room))
        head.add_row(Text(standing.name, style="bold"), *bar, *told)
        return head

    def _workers_table(self, metric: str) -> Table:
        table = Table.grid(padding=(0, 1))
        name = f"{metric} " if self._console.width >= NARROW else ""
        # A list of its own: workers come and go while this is drawn, in a thread of its own.
        for worker, (trial, epoch, value) in sorted(self._workers.items()):
            shown = "" if value is None else f"{name}{format_value(metric, value)}"
            table.add_row(f"worker {worker}", f"trial {trial}", f"epoch {epoch}", shown)
        return table


def stopping_text(reason: str) -> str:
    """What both views say when no new trials will start."""
    return f"stopping after the running epochs ({reason}); a second Ctrl-C stops at once"


def counted(n: int, of: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"1 {of}" if n == 1 else f"{n} {of}s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
