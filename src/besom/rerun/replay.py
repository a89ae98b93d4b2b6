"""``besom replay``: one trial again, from its stored config and seed, compared bit by bit.

On the same machine with the same versions every metric of every epoch comes out the same. Where it
does not, what has changed since says why.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from besom.equality import SameFields
from besom.errors import StudyError
from besom.executors.base import Epoch, Failed, Finished
from besom.executors.run_loop import RunLoop, TrialSource, TrialTask
from besom.executors.stop import Ending
from besom.rerun.stored_runs import (
    check_trusted,
    executor_config,
    runs_in,
    same_data,
    started_executor,
    stored_config,
    with_functions,
)
from besom.runs import RunOf
from besom.seam import TrialConfig
from besom.store.environment import environment_now, environment_then, not_recorded, what_changed
from besom.store.holding import hold_study
from besom.store.paths import StudyPaths
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.store.storage import stored_url
from besom.store.stored_records import check_not_imported
from besom.study.parts import Parts
from besom.study.tell import finite_epochs, stored_outcome
from besom.text.counting import counted
from besom.text.printable import command
from besom.trust import trusting

_NOT_TRAINED = {
    Outcome.DUPLICATE: "it reuses the value of an earlier trial with the same config",
    Outcome.INFEASIBLE: "it violates a constraint",
    Outcome.WARM_START: "it was taken from another study",
}
_OTHER_IMAGES = "it now classifies other validation images right, with the same metrics"
#: Told by the worker's surroundings rather than by the config: it need not happen again.
_OUTSIDE = (Outcome.WORKER_DIED, Outcome.TIMEOUT)

History = Mapping[str, Sequence[float]]


@dataclass(frozen=True, eq=False)
class Difference(SameFields):
    """The first value that came out differently.

    Attributes:
        metric: its name.
        epoch: from 1.
        then, now: the two values; None where one run has no such epoch or metric.
    """

    metric: str
    epoch: int
    then: float | None
    now: float | None

    def __str__(self) -> str:
        then, now = ("not there" if v is None else repr(v) for v in (self.then, self.now))
        return f"{self.metric} at epoch {self.epoch} was {then}, now it is {now}"


@dataclass(frozen=True)
class Replay:
    """A trial and its repetition.

    Attributes:
        study, trial: what was run again.
        history: what it measured now.
        difference: the first one; None if every metric of every epoch is bitwise equal.
        ended_otherwise: what it came to then and now, if that differs; else empty.
        changed: what has changed since, one line each.
        not_recorded: what may have changed without a trace, in a sentence; else empty.
        interrupted: whether it was stopped before its end, so that nothing can be said.
    """

    study: StudyRecord
    trial: TrialRecord
    history: History
    difference: Difference | None
    ended_otherwise: str = ""
    changed: tuple[str, ...] = ()
    not_recorded: str = ""
    interrupted: bool = False

    @property
    def equal(self) -> bool:
        """Whether it came out the same."""
        return self.difference is None and not self.ended_otherwise and not self.interrupted

    @property
    def exit_code(self) -> int:
        """0 equal, 1 different, 130 interrupted."""
        if self.interrupted:
            return 130
        return 0 if self.equal else 1


@with_functions
def replay(
    study: StudyRecord,
    trial: TrialRecord,
    paths: StudyPaths,
    *,
    words: Sequence[str] = (),
    on_epoch: Callable[[int, Mapping[str, float]], None] = lambda *_: None,
    on_run: Callable[[RunOf], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Replay:
    """Run a trial again in one worker with as many threads as it had, and compare.

    A trial that was stopped from outside (pruned, timed out, its worker died) is stopped at the
    same epoch; of several runs, after those that had ended.

    Args:
        study, trial: what to run again.
        paths: where the study lives; the worker's log goes there.
        words: ``executor.KEY=VALUE``, see ``besom.rerun.stored_runs.executor_config``.
        on_epoch: told of each epoch (from 1) and its metrics.
        on_run: told of each run that begins, of a trial of several.
        say: hears of waiting for another process that may hold the study.

    Raises:
        StudyError: the trial was never trained, or another process holds the study.
        ConfigError: a word that cannot be used.
        BesomError: the worker cannot be prepared.
    """
    _check_was_trained(study, trial)
    config = stored_config(trial)
    then = environment_then(study, trial)
    threads = then.get("device", {}).get("threads")
    node = executor_config(study, words, workers=1, threads=threads)
    runs = runs_in(study)
    parts = Parts(_again(trial, runs), int(config.get("seed", 0)), study.objectives)
    if not runs[0].is_only:  # whether a mean over runs has weights depends on what is kept
        config["orders"] = {"per_example": [objective.metric for objective in study.objectives]}
    again = _ReplayRun(trial, config, study.objective.metric, parts, on_epoch, on_run)
    sweep = study.config["sweep"]
    function, timeout_s = sweep["trial_function"], sweep.get("trial_timeout_s")
    named = check_trusted(function, node, [trial])
    first = runs[0].config(config)
    started = started_executor(node, function, first, paths.logs / "replay", 1)
    held = hold_study(paths, stored_url(paths), study.name, "replay", say)
    with held as hold, trusting(named=named), started as (executor, facts):
        ending = RunLoop(executor, again, timeout_s, held=hold).run_with_signals()
    if ending is not Ending.DONE or again.end is None:
        return Replay(study, trial, again.history, None, interrupted=True)
    seen = again.end.result.environment if isinstance(again.end, Finished) else {}
    now = environment_now(facts, seen)
    if not same_data(study, trial):  # the study's facts are those of its base data
        then.pop("data", None)
    return Replay(
        study,
        trial,
        again.history,
        first_difference(trial.history, again.history),
        _other_ending(trial, again),
        tuple(what_changed(then, now)),
        not_recorded(then, now),
    )


def _again(trial: TrialRecord, runs: Sequence[RunOf]) -> list[RunOf]:
    """Which of a trial's runs are run again, those first that had ended."""
    known = {(run["repeat"], run["fold"]) for run in trial.runs}
    ended = [run for run in runs if (run.repeat, run.fold) in known]
    if trial.outcome is Outcome.PRUNED or trial.outcome in _OUTSIDE:
        return ended or list(runs[:1])
    return ended + [run for run in runs if run not in ended]


def _check_was_trained(study: StudyRecord, trial: TrialRecord) -> None:
    check_not_imported(study, "replayed")
    if trial.outcome in _NOT_TRAINED or not trial.config:
        why = _NOT_TRAINED.get(trial.outcome, "its config is not stored")
        raise StudyError(
            f"Trial {trial.number} of {study.name!r} was never trained ({trial.outcome}): {why}. "
            f"`{command('leaderboard', study.name)}` shows those that were."
        )


def _other_ending(trial: TrialRecord, again: _ReplayRun) -> str:
    """What the two runs came to, if not to the same; empty if they did."""
    end = again.end
    if isinstance(end, Failed):
        now = stored_outcome(end.kind)
        reason = end.reason
    else:
        now = Outcome.DIVERGED if again.not_finite else Outcome.COMPLETE
        reason = ""
    then = trial.outcome
    as_it_was = (then is now) or (
        now is Outcome.COMPLETE and (then is Outcome.PRUNED or (then in _OUTSIDE and trial.epochs))
    )
    if not as_it_was:
        was, is_now = (
            f"{outcome} ({why})" if why else str(outcome)
            for outcome, why in ((then, trial.reason), (now, reason))
        )
        return f"then it was {was}, now it is {is_now}"
    if isinstance(end, Finished) and then is Outcome.COMPLETE:
        right = end.result.correct
        if trial.correct is not None and right is not None and right != trial.correct:
            return _OTHER_IMAGES
    return ""


def first_difference(then: History, now: History) -> Difference | None:
    """The first epoch, and in it the first metric, whose value is not bitwise the same."""
    metrics = dict.fromkeys([*then, *now])
    n_epochs = max((len(v) for history in (then, now) for v in history.values()), default=0)
    for epoch in range(1, n_epochs + 1):
        for metric in metrics:
            was, value = (_at(history, metric, epoch) for history in (then, now))
            if _bits(was) != _bits(value):
                return Difference(metric, epoch, was, value)
    return None


def _at(history: History, metric: str, epoch: int) -> float | None:
    values = history.get(metric, ())
    return float(values[epoch - 1]) if epoch <= len(values) else None


def _bits(value: float | None) -> bytes | None:
    """A float as its eight bytes: -0.0 is not 0.0 here, and NaN is NaN."""
    return None if value is None else struct.pack("<d", value)


@dataclass
class _ReplayRun(TrialSource):
    """The runs of a replay, one after the other; as a rule one."""

    trial: TrialRecord
    config: TrialConfig
    metric: str
    parts: Parts
    show_epoch: Callable[[int, Mapping[str, float]], None]
    show_run: Callable[[RunOf], None]
    history: dict[str, list[float]] = field(default_factory=dict)
    end: Finished | Failed | None = None
    not_finite: bool = False
    run: RunOf = field(default_factory=RunOf)

    def has_next(self) -> bool:
        return bool(self.parts.waiting) and not self.parts.over

    def next_trial(self) -> TrialTask:
        self.run = self.parts.waiting.popleft()
        if not self.run.is_only:
            self.show_run(self.run)
        self.history.clear()
        return TrialTask(self.run.index, self.run.config(self.config))

    def stops_after(self, event: Epoch) -> bool:
        """Stop where the trial was stopped, if that came from outside of it."""
        for name, value in event.metrics.items():
            self.history.setdefault(name, []).append(float(value))
        value = event.metrics.get(self.metric, 0.0)
        if not math.isfinite(value):
            self.not_finite = True
            return True
        cut_short = self.trial.outcome is Outcome.PRUNED or self.trial.outcome in _OUTSIDE
        return cut_short and not self.trial.runs and event.epoch >= self.trial.epochs

    def on_epoch(self, event: Epoch) -> None:
        self.show_epoch(event.epoch, event.metrics)

    def on_ended(self, event: Finished | Failed, was_stopped: bool) -> None:  # noqa: ARG002
        self.end = self.parts.end(self.run, event, diverged=self.not_finite)
        if self.end is None:
            return
        if self.parts.n_ended and not self.run.is_only:
            self.history = self._pooled_history()
        elif isinstance(event, Finished) and event.result.history:
            self.history = dict(event.result.history)
        self.history = finite_epochs(self.history)
        if self.trial.outcome in _OUTSIDE:  # what it would have gone on to is not known
            self.history = {m: v[: self.trial.epochs] for m, v in self.history.items()}

    def _pooled_history(self) -> dict[str, list[float]]:
        """Of what has ended; or of the first of it, where the pruner had no more before it.

        Other workers may have ended further runs before the trial was stopped.
        """
        n = self.parts.n_ended
        counts = range(2, n) if self.trial.outcome is Outcome.PRUNED else ()
        for m in [*counts, n]:
            history = self.parts.so_far(m).history
            if first_difference(self.trial.history, history) is None:
                break
        return history

    def on_retry(self, trial: int, reason: str) -> None:  # noqa: ARG002
        self.history.clear()


def report(replayed: Replay) -> str:
    """What came of it, for people."""
    name = f"Trial {replayed.trial.number} of {replayed.study.name!r}"
    if replayed.interrupted:
        return f"{name} was interrupted: nothing can be said of it."
    n_epochs = max((len(values) for values in replayed.history.values()), default=0)
    if replayed.equal:
        lines = [
            f"{name} is bitwise equal: {counted(len(replayed.history), 'metric')} over "
            f"{counted(n_epochs, 'epoch')}."
            if n_epochs
            else f"{name} ended as it did then ({replayed.trial.outcome}), before its first epoch."
        ]
    else:
        lines = [f"{name} came out differently."]
        if replayed.difference is not None:
            lines.append(f"First difference: {replayed.difference}.")
        if replayed.ended_otherwise:
            lines.append(f"How it ended: {replayed.ended_otherwise}.")
        if replayed.difference is None and n_epochs:
            lines.append("The metrics of every epoch are bitwise equal.")
            if replayed.trial.outcome is Outcome.ERROR:
                lines.append(
                    "A replay saves no model and no state: it cannot fail where a trial of an "
                    "earlier besom failed for those."
                )
    if replayed.changed:
        lines.append("What has changed since:")
        lines += [f"  {line}" for line in replayed.changed]
    if replayed.not_recorded and not replayed.equal:
        lines.append(replayed.not_recorded)
    numbers_differ = replayed.difference or replayed.ended_otherwise == _OTHER_IMAGES
    if numbers_differ and not (replayed.changed or replayed.not_recorded):
        lines.append(
            "Nothing that is known to matter has changed since: neither versions, git revision, "
            "data, processor nor threads. Something in the config is not seeded."
        )
    return "\n".join(lines)
