"""How far a sweep is, in a few words: what a page shows between two makings of its charts."""

from __future__ import annotations

import time
from heapq import nlargest
from typing import Any, NamedTuple

from besom.report.tables import outcome_counts, over_baseline, shown_outcome, shown_params
from besom.store.following import Followed
from besom.store.holder import Holder
from besom.store.records import Origin, Outcome, StudyRecord, TrialRecord
from besom.text.counting import counted, tally
from besom.text.numbers import duration

#: Trials that have ended last, beside all that run.
N_LATEST = 5
_MOST_CHARS = 160
_COLUMNS = ("trial", "state", "value", "took", "hyperparameters")


class StudyNow(NamedTuple):
    """How far a study is.

    Attributes:
        state: what runs it.
        is_running: whether anything does.
        n_ended: trials that have ended, in whatever way.
        n_trials: how many there will be; 0 if that is not known.
        counts: the same in words, by outcome.
        going: how many trials run, and the time to go; empty where nothing runs.
        best: the best so far.
        rows: the trials that run and those that ended last, see ``for_script``.
    """

    state: str
    is_running: bool
    n_ended: int
    n_trials: int
    counts: str
    going: str
    best: str
    rows: list[list[str]]

    def for_script(self) -> dict[str, Any]:
        """What ``live.js`` shows."""
        words = "; ".join(filter(None, [self.counts, self.going, self.best]))
        known = {"state": self.state, "words": words, "columns": _COLUMNS, "rows": self.rows}
        return known | {"done": self.n_ended, "total": self.n_trials}


def study_now(followed: Followed, holder: Holder | None) -> StudyNow:
    """How far a study is, given who holds it."""
    study = followed.study
    running = [t for t in study.trials if t.outcome is Outcome.RUNNING]
    ended = [t for t in study.trials if t.outcome not in (Outcome.RUNNING, Outcome.WARM_START)]
    n_trials = _n_trials(study)
    counts = f"{len(ended):,} of {n_trials:,} trials" if n_trials else counted(len(ended), "trial")
    counts += f" ({tally(outcome_counts(ended))})" if ended else ""
    going = []
    if holder is not None:
        going += [f"{len(running)} running"] if running else []
        if (to_go := _seconds_to_go(study, ended, n_trials, holder)) is not None:
            going.append(f"ETA {duration(to_go)}")
        if study.replicates:
            going.append(f"{counted(len(study.replicates), 'run')} on fresh seeds done")
    latest = nlargest(N_LATEST, ended, key=lambda t: (t.finished or 0.0, t.number))
    rows = [_running_row(trial, followed) for trial in running] if holder is not None else []
    rows += [_ended_row(trial, study) for trial in latest]
    state = "Finished." if 0 < n_trials <= len(ended) else "Not running."
    if holder is not None:
        state = f"{_capital(str(holder))}."
    return StudyNow(
        state,
        holder is not None,
        len(ended),
        n_trials,
        counts,
        ", ".join(going),
        best_text(study),
        rows,
    )


def nothing_now(state: str) -> dict[str, Any]:
    """The same for ``live.js`` where there is no study, or not one alone."""
    return StudyNow(state, False, 0, 0, "", "", "", []).for_script()


def best_text(study: StudyRecord) -> str:
    """The best value so far, raw, and its gain over the baseline; of several objectives, each."""
    aim = study.objective
    if not study.complete:
        return "no complete trial yet"
    if len(study.objectives) > 1:
        return ", ".join(_best_of(study, index) for index in range(len(study.objectives)))
    best = max(study.complete, key=lambda trial: aim.sign * (trial.value or 0.0))
    assert best.value is not None
    text = f"best {aim.metric} {aim.text(best.value)} (trial {best.number}, raw)"
    base = study.baseline
    if base is not None and base is not best and base.value is not None:
        text += f", {over_baseline(aim, aim.sign * (best.value - base.value))}"
    return text


def _best_of(study: StudyRecord, index: int) -> str:
    aim = study.objectives[index]
    best = max((t.values[index] for t in study.complete if t.values), key=lambda v: aim.sign * v)
    return f"best {aim.metric} {aim.text(best)}"


def _n_trials(study: StudyRecord) -> int:
    """What the sweep was asked for, and the screened trials that it continues on top of it."""
    asked = study.n_asked
    if not isinstance(asked, int):
        return 0
    return asked + sum(trial.origin is Origin.CONTINUED for trial in study.trials)


def _seconds_to_go(
    study: StudyRecord, ended: list[TrialRecord], n_trials: int, holder: Holder
) -> float | None:
    """At this sweep's pace since it was started; it counts down between the endings of trials."""
    left = n_trials - len(ended)
    here = [t.finished for t in ended if t.finished is not None and t.finished >= holder.since]
    if holder.command != "sweep" or not here or left <= 0:
        return None
    last, now = max(here), time.time()
    to_go = max(0.0, last + (last - holder.since) / len(here) * left - now)
    limit = study.config.get("sweep", {}).get("timeout_s")
    if isinstance(limit, int | float):
        to_go = min(to_go, max(0.0, holder.since + limit - now))
    return to_go


def _running_row(trial: TrialRecord, followed: Followed) -> list[str]:
    state, value = "running", ""
    if trial.number in followed.epochs:
        epoch, reached = followed.epochs[trial.number]
        state, value = f"epoch {epoch}", followed.study.objective.text(reached)
    took = "" if trial.started is None else duration(max(0.0, time.time() - trial.started))
    return [str(trial.number), state, value, took, _shown(trial)]


def _ended_row(trial: TrialRecord, study: StudyRecord) -> list[str]:
    values = trial.values or ()
    value = ", ".join(aim.text(v) for aim, v in zip(study.objectives, values, strict=False))
    state = shown_outcome(trial).replace("_", " ")
    if trial.outcome.failed and trial.reason:
        state += f": {trial.reason[:_MOST_CHARS]}"
    return [str(trial.number), state, value, duration(trial.seconds), _shown(trial)]


def _shown(trial: TrialRecord) -> str:
    return shown_params(trial.params)[:_MOST_CHARS]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
