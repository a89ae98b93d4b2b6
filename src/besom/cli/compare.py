"""``besom compare`` and ``besom diff``: studies, or two trials of one, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from besom.cli import FORMATS, main, results_dir_option

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table


@main.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@results_dir_option
def compare(names: tuple[str, ...], form: str, results_dir: Path) -> None:
    """Show the studies NAMES side by side: what they reached, what they spent, what differs."""
    from besom import comparison_report as reporting
    from besom.comparison import compare as compare_studies
    from besom.study.storage import load_record

    compared = compare_studies([load_record(results_dir, name) for name in names])
    if form == "md":
        click.echo(reporting.to_markdown(compared), nl=False)
    elif form != "table":
        _echo(compared.outcomes, form)
    else:
        console = Console()
        console.print(_table(reporting.display(compared), "Studies"))
        if len(compared.contrasts):
            console.print(_table(compared.contrasts, "What differs"))
        else:
            console.print(
                "They differ in nothing: space, config, budget, code, data, versions or device."
            )
        for line in filter(None, [reporting.headline(compared), *compared.remarks]):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    written = reporting.write_comparison_files(compared, results_dir)
    if form == "table":
        click.echo(f"Written: {', '.join(map(str, written))}")


@main.command()
@click.argument("name")
@click.argument("trials", nargs=2, type=int, metavar="TRIAL TRIAL")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@results_dir_option
def diff(name: str, trials: tuple[int, int], form: str, results_dir: Path) -> None:
    """Show only what differs between two trials of the study NAME, in config and outcome."""
    from besom.differences import differences, shown, verdict
    from besom.export import find_trial
    from besom.study.storage import load_record

    study = load_record(results_dir, name)
    one, other = (find_trial(study, number) for number in trials)
    frame = differences(study, one, other)
    if form in ("csv", "json"):
        _echo(frame, form)
        return
    told = frame.map(shown)
    console = Console()
    if form == "md":
        click.echo(told.to_markdown(index=False, disable_numparse=True))
    elif len(frame):
        console.print(_table(told, f"Trials {one.number} and {other.number} of {name}"))
    else:
        console.print(
            f"Trials {one.number} and {other.number} of {name} do not differ in anything."
        )
    if one.config == other.config:
        click.echo("Their configs are the same.")
    if sentence := verdict(study, one, other):
        click.echo(sentence)


def _echo(frame: pd.DataFrame, form: str) -> None:
    if form == "csv":
        click.echo(frame.to_csv(index=False), nl=False)
    else:
        click.echo(frame.to_json(orient="records", indent=2, default_handler=str))


def _table(frame: pd.DataFrame, title: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold")
    for column in frame.columns:
        table.add_column(str(column), overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*map(str, row))
    return table
