"""``sweep.notify``: a command of the user's that runs when a sweep has ended, however it did."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator

from besom.executors.signals import held_back
from besom.report.export import best_trial
from besom.store.storage_url import hide_passwords
from besom.study.plan import SweepPlan
from besom.study.run import SweepOutcome
from besom.text.printable import one_line
from besom.trust import current

#: The system refuses a process an environment of any length.
_LONGEST_REASON = 2000


def check_notify(plan: SweepPlan) -> None:
    """Refuse a command that the user does not trust: sweeps travel, and may be a stranger's.

    Raises:
        TrustError: with the line that would allow it.
    """
    if plan.sweep.notify is not None:
        current().check_command("sweep.notify", plan.sweep.notify)


@contextlib.contextmanager
def notifying(
    plan: SweepPlan, remark: Callable[[str], None]
) -> Iterator[Callable[[SweepOutcome], None]]:
    """Run the command when the block ends, also where it ends with an error.

    Args:
        plan: the sweep.
        remark: told if the command fails, which changes nothing else.

    Yields:
        What to tell how the sweep ended.

    Raises:
        TrustError: the user does not trust the command.
    """
    check_notify(plan)
    outcomes: list[SweepOutcome] = []
    failure: BaseException | None = None
    try:
        yield outcomes.append
    except BaseException as error:
        failure = error
        raise
    finally:
        if plan.sweep.notify is not None:
            told = _how_it_ended(outcomes[0]) if outcomes else _what_failed(failure)
            _run(plan, plan.sweep.notify, told, remark)


def _how_it_ended(outcome: SweepOutcome) -> dict[str, str]:
    study = outcome.study
    told = {
        "BESOM_OUTCOME": str(outcome.ending),
        "BESOM_REASON": outcome.reason,
        "BESOM_EXIT_CODE": str(outcome.exit_code),
        "BESOM_TRIALS": str(len(study.trials)),
    }
    if study.complete:
        best = best_trial(study)
        told |= {
            "BESOM_METRIC": study.objective.metric,
            "BESOM_BEST_SCORE": str(best.value),
            "BESOM_BEST_TRIAL": str(best.number),
        }
    return told


def _what_failed(error: BaseException | None) -> dict[str, str]:
    interrupted = isinstance(error, KeyboardInterrupt)
    return {
        "BESOM_OUTCOME": "interrupted" if interrupted else "error",
        "BESOM_REASON": str(error or ""),
        "BESOM_EXIT_CODE": "130" if interrupted else str(getattr(error, "exit_code", 1)),
    }


def _run(plan: SweepPlan, given: str, told: dict[str, str], remark: Callable[[str], None]) -> None:
    told["BESOM_REASON"] = one_line(hide_passwords(told["BESOM_REASON"]))[:_LONGEST_REASON]
    told |= {"BESOM_STUDY": plan.name, "BESOM_FOLDER": str(plan.paths.root.resolve())}
    running: subprocess.Popen[bytes] | None = None
    try:
        with held_back():  # a signal while it starts would leave it behind
            # In a group of its own, so that Ctrl-C can end what the command has started, too.
            running = subprocess.Popen(
                given,
                shell=True,
                env={**os.environ, **told},
                stdin=subprocess.DEVNULL,
                process_group=0,
            )
        code = running.wait()
    except (OSError, ValueError) as error:
        remark(f"sweep.notify could not be run: {error}.")
    except KeyboardInterrupt:
        if running is None:
            raise
        # The sweep has ended: this can only be meant for the command.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        remark(f"sweep.notify was interrupted: {given}")
    else:
        if code:
            remark(f"sweep.notify ended with exit code {code}: {given}")
