"""``besom sweep``, and ``train``, which needs no study."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from besom.cli.completing import complete_configs, complete_sweeps
from besom.cli.group import (
    TAKES_OVERRIDES,
    config_dir_option,
    echo,
    find_modules_of,
    main,
    overrides_argument,
    trust_option,
)
from besom.errors import BesomError, TrialDiverged
from besom.store.paths import checked_folder

if TYPE_CHECKING:
    from besom.statistics import Claim
    from besom.store.records import StudyRecord
    from besom.study import SweepOutcome, SweepPlan
    from besom.text.console import TerminalConsole


def _dry_run(plan: SweepPlan, console: TerminalConsole) -> None:
    from besom.cli.dry_run_text import print_dry_run, print_space
    from besom.seam import KERAS_TRIALS
    from besom.study.checks import check_new_study, check_strategy
    from besom.study.dry_run import dry_run
    from besom.study.names import enqueued_configs, names_of
    from besom.study.notify import check_notify
    from besom.study.preset_trials import remarks_on_preset_trials
    from besom.study.remarks import remarks
    from besom.targets import instantiate
    from besom.text.console import say
    from besom.trust import trusting

    check_strategy(plan)
    check_notify(plan)
    check_new_study(plan)
    print_space(plan, console)
    for remark in [*remarks(plan), *remarks_on_preset_trials(plan)]:
        say(console, remark)
    own = plan.sweep.trial_function
    with trusting(named=names_of(plan, enqueued_configs(plan))):
        executor = instantiate(plan.sweep.executor)
        if room := executor.look():
            say(console, f"Cluster: {room}.", wrap=True)
        if own == KERAS_TRIALS:
            print_dry_run(plan, dry_run(plan, executor), console)
            return
    said = f"Nothing is built, because sweep.trial_function is your own: {own}."
    say(console, said, wrap=True)


#: Rows of the leaderboard printed at the end of a sweep.
SHOWN = 10


def _print_result(study: StudyRecord, claimed: Claim, console: TerminalConsole) -> None:
    """On a terminal, the leaderboard's first rows; in a pipe, who leads and what you may claim."""
    from besom.report.leaderboard import headline, ranking
    from besom.report.study_text import print_study
    from besom.text.console import say

    if console.is_terminal:
        print_study(study, ranking(study, claimed).head(SHOWN), claimed, console, SHOWN)
        return
    for line in (
        headline(study, claimed=claimed),
        claimed.text,
        *(f"  {line}" for line in claimed.caveats),
    ):
        say(console, line)


def _run(
    plan: SweepPlan,
    extend: bool,
    fresh: bool,
    quiet: bool,
    console: TerminalConsole,
    ended: Callable[[SweepOutcome], None],
) -> SweepOutcome:
    """Run or continue a sweep, show it, and write what is made of it."""
    from besom.report.claimed import claim_among
    from besom.report.files import write_tables
    from besom.study import run_sweep
    from besom.study.watcher import LeaderboardWriter, Watcher, Watchers
    from besom.terminal.sweep_view import LiveView, PlainView
    from besom.text.console import say

    writer = LeaderboardWriter(plan.paths)
    with ExitStack() as stack:
        view: Watcher
        if quiet:
            view = Watcher()
        elif console.shows_panels:
            view = stack.enter_context(LiveView(console))
        else:
            view = PlainView(console)
        outcome = run_sweep(plan, extend=extend, fresh=fresh, watcher=Watchers(writer, view))
    ended(outcome)
    claimed = claim_among(outcome.study, plan.paths.root.parent)
    write_tables(outcome.study, plan.paths, claimed)
    if outcome.reason:
        again = ". Run the same command again to continue" if outcome.interrupted else ""
        say(console, f"Stopped: {outcome.reason}{again}.", wrap=True)
    _print_result(outcome.study, claimed, console)
    if plan.sweep.plots:
        from besom.page import refresh_study_page
        from besom.plots import not_drawn, write_plots  # slow to load, so after the result

        problems: dict[str, str] = {}
        write_plots(outcome.study, plan.paths.plots, problems)
        not_written = refresh_study_page(outcome.study, plan.paths, claimed)
        shown = not_written or f"To see all of it in a browser: {plan.paths.report}"
        for line in [*not_drawn(problems), shown]:
            say(console, line)
    say(console, f"Written: {plan.paths.root}/")
    if not outcome.study.complete and not outcome.interrupted:
        echo(
            f"besom: no trial of {plan.name} has succeeded; see {plan.paths.leaderboard_md}.",
            err=True,
        )
    return outcome


@main.command(context_settings=TAKES_OVERRIDES)
@click.argument("name", shell_complete=complete_sweeps)
@overrides_argument
@config_dir_option
@click.option("--extend", is_flag=True, help="Accept a larger budget or another executor.")
@click.option("--fresh", is_flag=True, help="Start over; the old study is archived.")
@click.option("--dry-run", is_flag=True, help="Build configs of the space, train nothing.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@trust_option
def sweep(
    name: str,
    overrides: tuple[str, ...],
    config_dir: str | None,
    extend: bool,
    fresh: bool,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Start or continue the sweep NAME.

    NAME is a sweep on the search path, or the path of a YAML. Run the same command again to
    continue where it stopped. OVERRIDES are Hydra's; its sweep grammar adds to the search space:

      besom sweep quickstart sweep.n_trials=50 'optimizer=choice(adam,sgd)'
    """
    from besom.study import make_plan
    from besom.study.notify import notifying
    from besom.text.console import TerminalConsole, say

    find_modules_of(name, config_dir)
    plan = make_plan(name, overrides, config_dir)
    console = TerminalConsole(quiet=quiet)
    if dry_run:
        _dry_run(plan, console)
        return
    with notifying(plan, lambda line: say(console, line)) as ended:
        outcome = _run(plan, extend, fresh, quiet, console, ended)
    sys.exit(outcome.exit_code)


@main.command(context_settings=TAKES_OVERRIDES)
@click.argument(
    "overrides",
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="[CONFIG] [OVERRIDES]...",
    shell_complete=complete_configs,
)
@config_dir_option
@trust_option
def train(overrides: tuple[str, ...], config_dir: str | None) -> None:
    """Train one config.

    CONFIG is a config on the search path, or a YAML such as `besom export` writes; the default
    is conf/train.yaml.

    \b
      besom train tutorial
      besom train data=mnist
      besom train best.yaml trainer.epochs=40 seed=3
    """
    from besom.report.export import composer_for_train
    from besom.rerun.single_run import functions_of, train_once
    from besom.trust import trusting

    config, rest = _split_config(overrides)
    find_modules_of(config, config_dir)
    composed = composer_for_train(config, config_dir).compose(rest)
    try:
        with trusting(functions=functions_of(config, composed)):
            run = train_once(composed, checked_folder(composed.config["results_dir"]), echo)
    except TrialDiverged as error:
        raise BesomError(f"Training diverged: {error}. Try a smaller learning rate.") from error
    echo(f"Written: {run.paths.root}/")


def _split_config(words: tuple[str, ...]) -> tuple[str | None, list[str]]:
    """The first word is a config if it is no override."""
    if words and "=" not in words[0] and not words[0].startswith(("-", "~", "+")):
        return words[0], list(words[1:])
    return None, list(words)
