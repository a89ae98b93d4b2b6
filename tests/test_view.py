"""The two views of a running sweep: what they count, and what they print."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from typing import Any

import pytest
from rich.console import Console

from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.study.watcher import Watcher, Watchers
from besom.terminal.sweep_view import LiveView, PlainView, SweepProgress
from records_factory import BASE_PARAMS, VAL_ACCURACY, VAL_LOSS, make_trial

EMPTY = StudyRecord("cheap", (VAL_ACCURACY,), ())


def trial(
    number: int, value: float | None = None, outcome: Outcome = Outcome.COMPLETE
) -> TrialRecord:
    made = make_trial(number, BASE_PARAMS, baseline=number == 0)
    values = None if value is None else (value,)
    reason = "" if outcome is Outcome.COMPLETE else "the layer [red] is [/missing]"
    return dataclasses.replace(
        made, outcome=outcome, values=values, reason=reason, seconds=1.25, worker=0
    )


def plain(*trials: TrialRecord, study: StudyRecord = EMPTY, n_trials: int = 4) -> list[str]:
    out = io.StringIO()
    view = PlainView(Console(file=out, width=40))
    view.began(lambda: study, n_trials, 2)
    for one in trials:
        view.finished(one)
    return out.getvalue().splitlines()


# Plain lines


def test_one_line_a_finished_trial_however_narrow_the_pipe() -> None:
    lines = plain(trial(0, 0.5), trial(1, 0.75), trial(2, 0.25))
    assert lines[0] == "cheap: 4 trials, 2 workers"
    assert lines[1].startswith("[1/4] trial 0 complete: val_accuracy 0.5000 (")
    assert lines[2].startswith("[2/4] trial 1 complete: val_accuracy 0.7500 * (")
    assert lines[2].endswith("best val_accuracy 0.7500 (trial 1), +25.00 points over the baseline")
    assert lines[3].startswith("[3/4] trial 2 complete: val_accuracy 0.2500 (")
    assert len(lines) == 4


def test_a_trial_that_did_not_complete_is_said_with_its_reason() -> None:
    (_, line) = plain(trial(1, outcome=Outcome.ERROR))
    assert "trial 1 error: the layer [red] is [/missing]" in line
    assert "no complete trial yet" in line


@pytest.mark.parametrize(
    "outcome", [o for o in Outcome if o not in (Outcome.RUNNING, Outcome.WARM_START)]
)
def test_every_way_a_trial_can_end_moves_the_count(outcome: Outcome) -> None:
    value = 0.5 if outcome is Outcome.COMPLETE else None
    lines = plain(trial(0, 0.5), trial(1, value, outcome))
    assert lines[-1].startswith(f"[2/4] trial 1 {outcome}")


def test_a_resumed_sweep_says_what_is_done_and_goes_on_counting() -> None:
    running = trial(2, outcome=Outcome.RUNNING)
    study = dataclasses.replace(EMPTY, trials=(trial(0, 0.5), trial(1, 0.75), running))
    lines = plain(trial(2, 0.6), study=study)
    assert lines[0] == "cheap: 4 trials, 2 already done, 2 workers"
    assert lines[1].startswith("[3/4] trial 2 complete: val_accuracy 0.6000 (")
    assert "best val_accuracy 0.7500 (trial 1)" in lines[1]


def test_what_is_minimised_is_better_when_it_is_smaller() -> None:
    standing = SweepProgress(dataclasses.replace(EMPTY, objectives=(VAL_LOSS,)), 3)
    assert standing.count(trial(0, 0.5))
    assert standing.count(trial(1, 0.25))
    assert not standing.count(trial(2, 0.75))
    assert "(trial 1), 0.25 better than the baseline" in standing.best_text()


def test_the_time_to_go_is_counted_from_this_runs_own_trials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("besom.terminal.sweep_view.time.monotonic", lambda: now[0])
    standing = SweepProgress(dataclasses.replace(EMPTY, trials=(trial(0, 0.5),)), 5)
    assert standing.eta_s is None
    now[0] = 10.0
    standing.count(trial(1, 0.5))
    assert standing.eta_s == pytest.approx(30.0)
    now[0] = 15.0  # between endings it counts down, and never up
    assert standing.eta_s == pytest.approx(25.0)
    now[0] = 100.0
    assert standing.eta_s == 0.0
    standing.extend(7)
    assert standing.eta_s == pytest.approx(500.0)


def test_a_retry_and_a_stop_are_said() -> None:
    out = io.StringIO()
    view = PlainView(Console(file=out, width=40))
    view.retried(3, "killed by SIGKILL [x]")
    view.stopping("SIGINT received")
    assert out.getvalue().splitlines() == [
        "trial 3 runs again on a fresh worker: killed by SIGKILL [x]",
        "stopping after the running epochs (SIGINT received); a second Ctrl-C stops at once",
    ]


def test_one_is_not_said_as_many() -> None:
    out = io.StringIO()
    view = PlainView(Console(file=out, width=200))
    view.began(lambda: EMPTY, 1, 1)
    view.finished(dataclasses.replace(trial(0, 0.5), history={"loss": [1.0]}))
    first, second = out.getvalue().splitlines()
    assert first == "cheap: 1 trial, 1 worker"
    assert "(1 epoch, " in second


def test_a_sweep_outlives_a_log_that_cannot_be_written() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        view = PlainView(Console(file=full))
        view.began(lambda: EMPTY, 4, 2)
        view.finished(trial(0, 0.5))
        with contextlib.suppress(OSError):
            full.close()


# The live panel


def live(width: int = 100) -> tuple[LiveView, Console]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    return LiveView(console), console


def shown(view: LiveView, console: Console) -> str:
    with console.capture() as capture:
        console.print(view.render())
    return capture.get()


def test_the_panel_shows_which_machine_a_worker_is_on_where_there_are_several() -> None:
    view, console = live()
    view.began(lambda: EMPTY, 4, 2)
    view.started(0, 0)
    view.placed(0, "node-7")
    view.started(1, 1)
    rows = shown(view, console).splitlines()
    assert [row.split() for row in rows if "worker" in row] == [
        ["worker", "0", "on", "node-7", "trial", "0", "epoch", "0"],
        ["worker", "1", "trial", "1", "epoch", "0"],
    ]


def test_the_panel_shows_progress_workers_best_and_counts() -> None:
    view, console = live()
    assert "TensorFlow" in shown(view, console)
    view.began(lambda: EMPTY, 4, 2)
    view.started(0, 0)
    view.started(1, 1)
    view.epoch(1, 1, 3, {"val_accuracy": 0.625, "loss": 1.0})
    view.finished(trial(0, 0.5))
    view.started(2, 0)
    text = shown(view, console)
    for words in (
        *("cheap", "1/4", "ETA", "worker 0", "trial 2", "worker 1", "trial 1", "epoch 3"),
        *("val_accuracy 0.6250", "best val_accuracy 0.5000 (trial 0)", "1 complete"),
    ):
        assert words in text, words
    view.stopping("SIGINT received")
    view.kept(2)
    text = shown(view, console)
    assert "stopping after the running epochs (SIGINT received)" in text
    assert "ETA" not in text
    assert "trial 2" not in text
    assert "trial 1" in text


def test_the_panel_shows_which_run_of_a_trial_a_worker_is_at() -> None:
    view, console = live()
    view.began(lambda: EMPTY, 4, 2)
    for worker, run in ((0, 1), (1, 2)):
        view.started(0, worker)
        view.run_started(0, worker, run, 5)
    assert "run 1/5" in shown(view, console)
    assert "run 2/5" in shown(view, console)
    assert "ETA" not in shown(view, console)
    view.run_ended(0, 0)
    text = shown(view, console)
    assert "run 1/5" not in text
    assert "worker 0" not in text
    assert "ETA" in text, "known after the first run, long before the first trial has ended"
    view.started(1, 1)
    assert "run" not in shown(view, console).replace("run 2/5", "")


def test_the_panel_is_gone_when_it_ends_and_failures_stay_on_the_screen() -> None:
    view, console = live()
    with view:
        view.began(lambda: EMPTY, 4, 2)
        view.finished(trial(0, 0.5))
        view.finished(trial(1, outcome=Outcome.ERROR))
        view.retried(2, "killed [x]")
    out = console.file.getvalue()  # type: ignore[attr-defined]
    assert "trial 1 error: the layer [red] is [/missing]" in out
    assert "trial 2 runs again on a fresh worker: killed [x]" in out


def test_the_panel_survives_a_metric_that_an_epoch_does_not_have() -> None:
    view, console = live(40)
    view.began(lambda: EMPTY, 4, 2)
    view.started(0, 0)
    view.epoch(0, 0, 1, {"loss": 1.0})
    assert "epoch 1" in shown(view, console)


def test_what_a_low_and_narrow_terminal_cuts_off_is_workers() -> None:
    view, console = live(40)
    view.began(lambda: dataclasses.replace(EMPTY, name="a_name_of_considerable_length"), 5000, 64)
    view.finished(trial(0, 0.5))
    for worker in range(64):
        view.started(worker, worker)
        view.epoch(worker, worker, 12, {"val_accuracy": 0.5})
    lines = shown(view, console).splitlines()
    assert max(map(len, lines)) <= 40
    assert len(lines) < 70
    at = {words: next(i for i, line in enumerate(lines) if words in line) for words in _FIRST}
    assert sorted(at, key=at.__getitem__) == list(_FIRST)
    assert at["worker 0"] < 10
    assert re.fullmatch(r"a_name\w+… 1/5000 ETA [0-9.]+ (s|min|h)", lines[0].rstrip())
    assert "0.5000" in lines[-1]


_FIRST = ("1/5000", "best val_accuracy", "1 complete", "worker 0", "worker 63")


def test_a_worker_that_lost_its_trial_is_not_shown_with_it() -> None:
    view, console = live()
    view.began(lambda: EMPTY, 4, 1)
    view.started(0, 0)
    view.retried(0, "killed")
    assert "trial 0" not in shown(view, console)


# Several watchers


def test_everybody_hears_everything() -> None:
    heard: list[str] = []

    def hears(name: str) -> Any:
        return lambda _, *what: heard.append(name)

    public = [name for name in vars(Watcher) if not name.startswith("_")]
    ear = type("Ear", (Watcher,), {name: hears(name) for name in public})
    watchers = Watchers(ear(), ear())
    watchers.began(lambda: EMPTY, 1, 1)
    watchers.started(0, 0)
    watchers.placed(0, "x")
    watchers.run_started(0, 0, 1, 5)
    watchers.run_ended(0, 0)
    watchers.epoch(0, 0, 1, {})
    watchers.finished(trial(0, 0.5))
    watchers.retried(0, "x")
    watchers.kept(0)
    watchers.extended(2)
    watchers.stopping("x")
    watchers.remarked("x")
    watchers.idle()
    assert heard == [name for name in public for _ in range(2)]
