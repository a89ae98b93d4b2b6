"""``besom confirm`` and ``besom replay``: running a study's trials again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from besom.cli.completing import complete_executor, complete_studies
from besom.cli.group import TAKES_OVERRIDES, echo, main, results_dir_option, trust_option

if TYPE_CHECKING:
    from besom.rerun.confirm.confirm_run import ConfirmWatcher
    from besom.runs import RunOf
    from besom.text.console import TerminalConsole


#: Overrides of the executor that the runs are given to.
_words_argument = click.argument(
    "words",
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="[OVERRIDES]...",
    shell_complete=complete_executor,
)


def _view(console: TerminalConsole, stack: ExitStack) -> ConfirmWatcher:
    """How a confirmation is shown: not at all, on a live panel, or one line per run."""
    from besom.rerun.confirm.confirm_run import ConfirmWatcher
    from besom.terminal.confirm_view import LiveConfirmView, PlainConfirmView

    if console.quiet:
        return ConfirmWatcher()
    if console.shows_panels:
        return stack.enter_context(LiveConfirmView(console))
    return PlainConfirmView(console)


@main.command(context_settings=TAKES_OVERRIDES)
@click.argument("name", shell_complete=complete_studies)
@_words_argument
@click.option("--top", type=int, metavar="N", help="Take the leaderboard's first N.  [default: 5]")
@click.option(
    "--trial", "trials", type=int, metavar="N", multiple=True, help="Take trial N; may be repeated."
)
@click.option(
    "--seeds", type=int, metavar="N", default=5, show_default=True, help="Fresh seeds per trial."
)
@click.option(
    "--on",
    type=click.Choice(["test", "validation"]),
    default="test",
    show_default=True,
    help="The examples that count. Every opening of the test set is logged.",
)
@click.option("--new-split", is_flag=True, help="Hold out other validation examples for each seed.")
@click.option("--no-race", is_flag=True, help="Run every seed, also of configs already beaten.")
@click.option(
    "--interval",
    type=click.Choice(["t", "bootstrap"]),
    default="t",
    show_default=True,
    help="Student's t, or the bootstrap (with six seeds or more).",
)
@click.option("--workers", type=int, metavar="N", help="Workers; default: as in the sweep.")
@click.option("--retry-failed", is_flag=True, help="Run again what failed earlier.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@results_dir_option
@trust_option
def confirm(
    name: str,
    words: tuple[str, ...],
    top: int | None,
    trials: tuple[int, ...],
    seeds: int,
    on: Literal["test", "validation"],
    new_split: bool,
    no_race: bool,
    interval: str,
    workers: int | None,
    retry_failed: bool,
    quiet: bool,
    results_dir: Path,
) -> None:
    """Train the best trials of NAME on fresh seeds.

    The baseline is always trained, too. Run the same command again to continue where it stopped.
    OVERRIDES change the executor, or the precision, which is float32 even after a bfloat16 sweep:

      besom confirm mnist_mlp --top 5 --seeds 10 executor.workers=2
    """
    from besom.rerun.confirm import make_confirm_plan, run_confirm
    from besom.rerun.confirm.confirm_report import print_report, replaced, write_report
    from besom.store.paths import StudyPaths
    from besom.store.storage import load_record
    from besom.store.test_set_log import read_openings
    from besom.text.console import TerminalConsole, say

    plan = make_confirm_plan(
        load_record(results_dir, name),
        StudyPaths.of(results_dir, name),
        top=top,
        trials=trials,
        n_seeds=seeds,
        on=on,
        new_split=new_split,
        race=not no_race,
        interval=interval,
        words=words,
        workers=workers,
        retry_failed=retry_failed,
    )
    console = TerminalConsole(quiet=quiet)
    if plan.left_out:
        say(console, plan.left_out)
    with ExitStack() as stack:
        outcome = run_confirm(plan, _view(console, stack))
    openings = read_openings(plan.paths.root)
    lost = replaced(outcome.confirmation)
    files = write_report(outcome.confirmation, openings)
    shown = ""
    if plan.paths.report.is_file():
        from besom.page import refresh_study_page  # slow to load, so after the runs

        not_written = refresh_study_page(plan.study, plan.paths)
        shown = not_written or f"To see all of it in a browser: {plan.paths.report}"
    if outcome.reason:
        say(console, f"Stopped: {outcome.reason}.", wrap=True)
    print_report(outcome.confirmation, openings, console)
    for line in filter(None, [lost, shown]):
        say(console, line)
    written = ", ".join(map(str, files))
    say(console, f"Written: {written}")
    sys.exit(outcome.exit_code)


@main.command(context_settings=TAKES_OVERRIDES)
@click.argument("name", shell_complete=complete_studies)
@click.argument("trial", type=int)
@_words_argument
@results_dir_option
@trust_option
def replay(name: str, trial: int, words: tuple[str, ...], results_dir: Path) -> None:
    """Run TRIAL of NAME again and compare it bit by bit.

    The exit code is 0 if every epoch is equal, 1 if not. OVERRIDES change the executor:

      besom replay mnist_mlp 12 executor.gpus=none
    """
    from besom.report.export import find_trial
    from besom.rerun import replay as replaying
    from besom.store.paths import StudyPaths
    from besom.store.storage import load_record

    study = load_record(results_dir, name)
    chosen = find_trial(study, trial)

    def tell(epoch: int, metrics: Mapping[str, float]) -> None:
        shown = ", ".join(f"{metric} {value:.6g}" for metric, value in metrics.items())
        echo(f"Epoch {epoch}: {shown}")

    def begin(run: RunOf) -> None:
        echo(f"{str(run).capitalize()}:")

    paths = StudyPaths.of(results_dir, name)
    outcome = replaying.replay(
        study, chosen, paths, words=words, on_epoch=tell, on_run=begin, say=echo
    )
    echo(replaying.report(outcome))
    sys.exit(outcome.exit_code)
