"""Shows a running sweep: a live panel on a terminal, else one plain line per finished trial."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from rich.console import Console, RenderableType
from rich.text import Text

from besom.report.tables import outcome_counts, over_baseline
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.study.watcher import Watcher
from besom.terminal.live_panel import NARROW, STARTING, LivePanel, stopping_text
from besom.text.console import say
from besom.text.counting import counted, tally
from besom.text.printable import one_line


class SweepProgress:
    """Counts a study's trials as they end."""

    def __init__(self, study: StudyRecord, n_trials: int) -> None:
        self.name = study.name
        self.objective: Objective = study.objective
        self.n_trials = n_trials
        self.best: TrialRecord | None = None
        self.baseline: TrialRecord | None = None
        self.ended: list[TrialRecord] = []
        for trial in study.trials:
            if trial.outcome not in (Outcome.RUNNING, Outcome.WARM_START):
                self._count(trial)
        self.resumed = self.finished
        self._runs: dict[int, int] = {}  # of unfinished trials: how many have ended here
        self._n_runs = 1
        self._began = time.monotonic()
        self._end: float | None = None  # when all will have ended, at the pace so far

    def count(self, trial: TrialRecord) -> bool:
        """Count a finished trial; True if it is the new best."""
        self._runs.pop(trial.number, None)
        better = self._count(trial)
        self._update_end()
        return better

    def count_run(self, trial: int, n_runs: int) -> None:
        """Count one of the several runs of a trial."""
        self._n_runs = n_runs
        self._runs[trial] = self._runs.get(trial, 0) + 1
        self._update_end()

    def _count(self, trial: TrialRecord) -> bool:
        self.ended.append(trial)
        if trial.outcome is not Outcome.COMPLETE:
            return False
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
        return len(self.ended)

    def extend(self, n_trials: int) -> None:
        """More trials than at first will run."""
        self.n_trials = n_trials
        self._update_end()

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at this sweep's pace so far; None before anything has ended.

        Counts down between the endings of trials.
        """
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def _update_end(self) -> None:
        now, begun = time.monotonic(), sum(self._runs.values()) / self._n_runs
        here = self.finished - self.resumed + begun
        left = max(0, self.n_trials - self.finished - begun)
        self._end = now + (now - self._began) / here * left if here else None

    def best_text(self) -> str:
        """The best so far and its gain over the baseline."""
        if self.best is None or self.best.value is None:
            return "no complete trial yet"
        aim = self.objective
        text = f"best {aim.metric} {aim.text(self.best.value)} (trial {self.best.number})"
        if self.baseline is not None and self.baseline is not self.best:
            gain = self.gain(self.best, self.baseline)
            text += f", {over_baseline(self.objective, gain)}"
        return text

    def counts_text(self) -> str:
        """How many trials ended in which way."""
        return tally(outcome_counts(self.ended))


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
        took = f"{counted(trial.epochs_run, 'epoch')}, {trial.seconds:.1f} s"
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
        self._nodes: dict[int, str] = {}  # the workers' machines, where there are several
        self._runs: dict[int, tuple[int, int]] = {}  # a worker's: which of its trial's, of how many

    def began(self, study: Callable[[], StudyRecord], n_trials: int, n_workers: int) -> None:  # noqa: ARG002
        self._progress = SweepProgress(study(), n_trials)

    def started(self, trial: int, worker: int) -> None:
        self._workers[worker] = (trial, 0, None)

    def placed(self, worker: int, node: str) -> None:
        self._nodes[worker] = node

    def run_started(self, trial: int, worker: int, run: int, n_runs: int) -> None:  # noqa: ARG002
        self._runs[worker] = (run, n_runs)

    def run_ended(self, trial: int, worker: int) -> None:
        assert self._progress is not None
        self._workers.pop(worker, None)
        if (run := self._runs.pop(worker, None)) is not None:
            self._progress.count_run(trial, run[1])

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

    def remarked(self, text: str) -> None:
        say(self._console, text, wrap=True)

    def _clear(self, trial: int) -> None:
        self._workers = {w: shown for w, shown in self._workers.items() if shown[0] != trial}

    def render(self) -> RenderableType:
        progress = self._progress
        if progress is None:
            return Text(STARTING)
        lines = [Text(one_line(progress.best_text()))]
        if counts := progress.counts_text():
            lines.append(Text(counts, style="dim"))
        aim, n_trials = progress.objective, progress.n_trials
        name = f"{aim.metric} " if self._console.width >= NARROW else ""
        rows = []
        # A list of its own: workers come and go while this is drawn, in a thread of its own.
        for worker, (trial, epoch, value) in sorted(self._workers.items()):
            shown = "" if value is None else f"{name}{aim.text(value)}"
            run = "run {}/{}".format(*self._runs[worker]) if worker in self._runs else ""
            node = f" on {self._nodes[worker]}" if worker in self._nodes else ""
            cells = [f"worker {worker}{node}", f"trial {trial}", run, f"epoch {epoch}", shown]
            rows.append([cell for cell in cells if cell])
        eta_s = progress.eta_s
        return self.panel(progress.name, progress.finished, n_trials, eta_s, lines, rows)
