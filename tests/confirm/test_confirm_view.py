"""What is seen of a running confirmation: a line a run in a log, a panel on a terminal."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

from rich.console import Console

from besom.rerun.confirm import ConfirmPlan
from besom.rerun.confirm.confirm_run import ConfirmWatcher
from besom.rerun.confirm.result import make_contest
from besom.rerun.confirm.run_journal import RunRecord
from besom.store.records import Outcome, StudyRecord
from besom.terminal.confirm_view import LiveConfirmView, PlainConfirmView

RUN = RunRecord(
    key="k",
    trial=1,
    seed=2,
    on="validation",
    outcome=Outcome.COMPLETE,
    history={"val_accuracy": [0.5, 0.91]},
    seconds=1.25,
)
BROKEN = replace(RUN, seed=3, outcome=Outcome.ERROR, reason="ValueError: no [red] layer")


def show(view: ConfirmWatcher, plan: ConfirmPlan) -> None:
    """A confirmation in which trial 1 has one good run and one bad, and trial 3 is beaten."""
    contest = make_contest(plan)
    contest.fill({(1, 1): 0.9, (2, 1): 0.8})
    view.began(plan, contest, 2)
    contest.start((1, 2))
    view.started((1, 2), 0)
    view.epoch((1, 2), 0, 1, {"val_accuracy": 0.5})
    contest.end((1, 2), 0.91)
    view.ended(RUN)
    view.retried((2, 2), "killed by SIGKILL")
    contest.end((1, 3), None)
    view.ended(BROKEN)
    contest.beaten[3] = 3
    view.dropped(3)
    contest.hopeless[0] = 3
    view.dropped(0)
    view.started((2, 3), 1)


def test_a_log_has_one_line_a_run(study: StudyRecord, plan_of: Callable[..., ConfirmPlan]) -> None:
    out = io.StringIO()
    view = PlainConfirmView(Console(file=out, width=60))
    show(view, plan_of(study, n_seeds=4))
    view.remarked("worker 1 replaced: its memory grew")
    view.stopping("SIGINT received")
    assert out.getvalue().splitlines() == [
        "study: 4 configs on 4 seeds, measured on the validation examples; 2 runs already done, "
        "2 workers",
        "[3/16] trial 1 seed 2: val_accuracy 0.9100 (2 epochs, 1.2 s)",
        "trial 2 seed 2 runs again on a fresh worker: killed by SIGKILL",
        "[4/16] trial 1 seed 3: error: ValueError: no [red] layer",
        "trial 3 is far behind after 3 seeds and gets no more",
        "trial 0 failed on every seed so far and gets no more seeds",
        "worker 1 replaced: its memory grew",
        "stopping after the running epochs (SIGINT received); a second Ctrl-C stops at once",
    ]


def test_a_terminal_has_a_panel_and_above_it_what_lasts(
    study: StudyRecord, plan_of: Callable[..., ConfirmPlan]
) -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system=None)
    with LiveConfirmView(console) as view:
        starting = io.StringIO()
        Console(file=starting).print(view.render())
        assert "starting the workers" in starting.getvalue()
        show(view, plan_of(study, n_seeds=4))
        panel, stopping = io.StringIO(), io.StringIO()
        Console(file=panel, width=100).print(view.render())
        view.stopping("SIGINT received")
        Console(file=stopping, width=100).print(view.render())
    assert "trial 2 seed 3" in panel.getvalue()
    assert "4/" in panel.getvalue()
    assert "ETA" in panel.getvalue()
    assert "stopping after the running epochs (SIGINT received)" in stopping.getvalue()
    assert "ETA" not in stopping.getvalue()
    assert "trial 1 seed 3: error: ValueError: no [red] layer" in out.getvalue()
    assert "trial 1 seed 2: val_accuracy" not in out.getvalue()
