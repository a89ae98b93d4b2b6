"""Shows a running sweep: a live panel on a terminal, else one plain line per finished trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from besom.store.records import Objective, StudyRecord, TrialRecord
from besom.study.watcher import Watcher
from besom.terminal.live_panel import STARTING, LivePanel, stopping_text
from besom.terminal.progress import SweepProgress
from besom.text.console import say
from besom.text.counting import counted
from besom.text.numbers import duration
from besom.text.printable import one_line

#: A terminal narrower than this has no room for a bar, nor for a metric's name on each line.
NARROW = 60
BAR = 30


class PlainView(Watcher):
    """One line per finished trial: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: SweepProgress | None = None

    def began(self, study: Callable[[], StudyRecord], n_trials: int, n_workers: int) -> None:
        self._progress = SweepProgress(study(), n_trials)
        done = self._progress.resumed
        resumed = f", {done} already done" if done else ""
        working = f", {counted(n_workers, 'worker')}" if n_workers else ""  # else all is done
        self._say(f"{self._progress.name}: {counted(n_trials, 'trial')}{resumed}{working}")

    def finished(self, trial: TrialRecord) -> None:
        progress = self._progress
        assert progress is not None
        is_first = progress.best is None
        new_best = progress.count(trial) and not is_first
        aim = progress.objective
        if trial.value is not None:
            what = f"{aim.metric} {aim.text(trial.value)}"
            what += " *" if new_best else ""
        else:
            what = trial.reason
        took = f"{counted(trial.epochs, 'epoch')}, {trial.seconds:.1f} s"
        self._say(
            f"[{progress.finished}/{progress.n_trials}] trial {trial.number} {trial.outcome}: "
            f"{what} ({took}); {progress.best_text()}"
        )

    def extended(self, n_trials: int) -> None:
        assert self._progress is not None
        self._progress.extend(n_trials)

    def retried(self, trial: int, reason: str) -> None:
        self._say(f"trial {trial} runs again on a fresh worker: {reason}")

    def stopping(self, reason: str) -> None:
        self._say(stopping_text(reason))

    def remarked(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        try:
            say(self._console, text)
        except OSError:  # a full disk under `> sweep.log`: the sweep goes on without output
            self._console.quiet = True


class LiveView(LivePanel, Watcher):
    """A panel of progress, workers and the best so far."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: SweepProgress | None = None
        self._workers: dict[int, tuple[int, int, float | None]] = {}
        self._stopping = ""

    def began(self, study: Callable[[], StudyRecord], n_trials: int, n_workers: int) -> None:  # noqa: ARG002
        self._progress = SweepProgress(study(), n_trials)

    def started(self, trial: int, worker: int) -> None:
        self._workers[worker] = (trial, 0, None)

    def epoch(self, trial: int, worker: int, epoch: int, metrics: Mapping[str, float]) -> None:
        assert self._progress is not None
        self._workers[worker] = (trial, epoch, metrics.get(self._progress.objective.metric))

    def finished(self, trial: TrialRecord) -> None:
        assert self._progress is not None
        self._progress.count(trial)
        if trial.worker is not None:
            self._workers.pop(trial.worker, None)
        if trial.outcome.failed:
            say(self._console, f"trial {trial.number} {trial.outcome}: {trial.reason}", wrap=True)

    def extended(self, n_trials: int) -> None:
        assert self._progress is not None
        self._progress.extend(n_trials)

    def retried(self, trial: int, reason: str) -> None:
        self._clear(trial)
        say(self._console, f"trial {trial} runs again on a fresh worker: {reason}", wrap=True)

    def kept(self, trial: int) -> None:
        self._clear(trial)

    def stopping(self, reason: str) -> None:
        self._stopping = stopping_text(reason)

    def remarked(self, text: str) -> None:
        say(self._console, text, wrap=True)

    def _clear(self, trial: int) -> None:
        self._workers = {w: shown for w, shown in self._workers.items() if shown[0] != trial}

    def render(self) -> RenderableType:
        progress = self._progress
        if progress is None:
            return Text(STARTING)
        lines: list[RenderableType] = [self._head(progress), Text(one_line(progress.best_text()))]
        if counts := progress.counts_text():
            lines.append(Text(counts, style="dim"))
        if self._stopping:
            lines.append(Text(one_line(self._stopping), style="yellow"))
        # Last: on a low terminal, what does not fit is cut off at the bottom.
        return Group(*lines, self._workers_table(progress.objective))

    def _head(self, progress: SweepProgress) -> RenderableType:
        eta = progress.eta_s
        to_go = "" if eta is None else f"ETA {duration(eta)}"
        texts = [
            f"{progress.finished}/{progress.n_trials}",
            "stopping" if self._stopping else to_go,
        ]
        bar: list[RenderableType] = []
        if self._console.width >= NARROW:
            bar = [ProgressBar(total=progress.n_trials, completed=progress.finished, width=BAR)]
        # If there is no room, it is the name that gives way.
        room = self._console.width - sum(len(text) + 1 for text in texts) - len(bar) * (BAR + 1)
        head = Table.grid(padding=(0, 1))
        head.add_column(no_wrap=True, overflow="ellipsis", max_width=max(1, room))
        head.add_row(Text(one_line(progress.name), style="bold"), *bar, *texts)
        return head

    def _workers_table(self, aim: Objective) -> Table:
        table = Table.grid(padding=(0, 1))
        name = f"{aim.metric} " if self._console.width >= NARROW else ""
        # A list of its own: workers come and go while this is drawn, in a thread of its own.
        for worker, (trial, epoch, value) in sorted(self._workers.items()):
            shown = "" if value is None else f"{name}{aim.text(value)}"
            table.add_row(
                f"worker {worker}", f"trial {trial}", f"epoch {epoch}", Text(one_line(shown))
            )
        return table
