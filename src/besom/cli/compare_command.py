"""``besom compare`` and ``besom diff``: studies, or two trials of one, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from besom.cli.group import FORMATS, echo, main, results_dir_option
from besom.equality import same

if TYPE_CHECKING:
    import pandas as pd

    from besom.text.console import TerminalConsole


@main.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@results_dir_option
def compare(names: tuple[str, ...], form: str, results_dir: Path) -> None:
    """Show the studies NAMES side by side.

    It says what they reached, what they spent, and what differs between them.
    """
    from besom.report import comparison_text as reporting
    from besom.report.comparison import compare as compare_studies
    from besom.report.leaderboard import to_json
    from besom.report.tables import csv
    from besom.store.storage import load_record
    from besom.text.console import TerminalConsole, say

    compared = compare_studies([load_record(results_dir, name) for name in names])
    if form == "md":
        echo(reporting.to_markdown(compared), nl=False)
    elif form == "csv":
        echo(csv(compared.outcomes), nl=False)
    elif form == "json":
        echo(to_json(compared.outcomes))
    else:
        console = TerminalConsole()
        _print_table(reporting.display(compared), "Studies", console)
        if len(compared.contrasts):
            _print_table(compared.contrasts, "What differs", console)
        else:
            say(
                console,
                "They differ in nothing: space, config, budget, code, data, versions or device.",
                wrap=True,
            )
        for line in filter(None, [reporting.headline(compared), *compared.remarks]):
            say(console, line)
    written = reporting.write_comparison_files(compared, results_dir)
    if form == "table":
        echo(f"Written: {', '.join(map(str, written))}")


@main.command()
@click.argument("name")
@click.argument("trials", nargs=2, type=int, metavar="TRIAL TRIAL")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@results_dir_option
def diff(name: str, trials: tuple[int, int], form: str, results_dir: Path) -> None:
    """Show only what differs between two trials of NAME.

    It compares their configs and their outcomes.
    """
    from besom.report.diff import differences, display_differences, to_csv, to_json, verdict
    from besom.report.export import find_trial
    from besom.report.tables import markdown
    from besom.store.storage import load_record
    from besom.text.console import TerminalConsole, say

    study = load_record(results_dir, name)
    one, other = (find_trial(study, number) for number in trials)
    frame = differences(study, one, other)
    if form in ("csv", "json"):
        echo(to_csv(frame).rstrip("\n") if form == "csv" else to_json(frame))
        return
    console = TerminalConsole()
    both = f"Trials {one.number} and {other.number} of {name}"
    if form == "md":
        echo(markdown(display_differences(frame)))
    elif len(frame):
        _print_table(display_differences(frame), both, console)
    else:
        say(console, f"{both} do not differ in anything.", wrap=True)
    if same(one.config, other.config):
        echo("Their configs are the same.")
    if sentence := verdict(study, one, other):
        echo(sentence)


def _print_table(frame: pd.DataFrame, title: str, console: TerminalConsole) -> None:
    """Everything at the left, and wrapped: these are texts."""
    from besom.report.tables import frame_table

    console.print(frame_table(frame, title, wrapped=list(frame.columns)))
