"""The commands that only read studies: leaderboard, list, report, plot, ledger, export and more."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from besom.cli.completing import complete_columns, complete_studies
from besom.cli.group import echo, echo_as, format_option, main, results_dir_option
from besom.equality import same
from besom.errors import ConfigError, StudyError
from besom.text.counting import counted, listed

if TYPE_CHECKING:
    import pandas as pd

    from besom.statistics import Claim
    from besom.store.records import StudyRecord
    from besom.text.console import TerminalConsole


@main.command()
@click.argument(
    "names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_studies
)
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Show the first N rows.")
@click.option(
    "--sort",
    metavar="COLUMN",
    shell_complete=complete_columns,
    help="Sort by a column instead of the rank.",
)
@click.option(
    "--columns",
    multiple=True,
    metavar="NAME,...",
    shell_complete=complete_columns,
    help="Show these beside rank, trial and score.",
)
@click.option("--all", "show_all", is_flag=True, help="Show every row, and what is not ranked.")
@format_option
@results_dir_option
def leaderboard(
    names: tuple[str, ...],
    top: int | None,
    sort: str | None,
    columns: tuple[str, ...],
    show_all: bool,
    form: str,
    results_dir: Path,
) -> None:
    """Rank the trials of NAME, and say what you may claim.

    Several studies that were judged on the same validation examples are ranked as one: you have
    picked the best trial among all of theirs, and it is corrected for that.
    """
    from besom.report import fitted_ranking
    from besom.report import leaderboard as board
    from besom.report.claimed import claim_among
    from besom.report.pooled import claims_together, refuse_several
    from besom.report.study_text import print_study
    from besom.store.storage import load_record
    from besom.text.console import TerminalConsole, paged

    studies = [load_record(results_dir, name) for name in dict.fromkeys(names)]
    if len(studies) == 1:
        claims: list[tuple[StudyRecord, Claim]] = [
            (studies[0], claim_among(studies[0], results_dir))
        ]
    else:
        claims = [*claims_together(studies, results_dir)]
    if form in ("csv", "json"):
        why = f"--format {form}, which holds one ranking, cannot show them; --format md can."
        refuse_several([study for study, _ in claims], why)
    for study, claimed in claims:
        frame = board.sort_by(board.ranking(study, claimed), sort)
        if top is not None:
            frame = frame.head(top)
        if columns:
            frame = fitted_ranking.only(frame, study, columns)
        if form == "table":
            with paged(TerminalConsole()) as console:
                chosen = bool(columns)
                print_study(study, frame, claimed, console, top, show_all=show_all, chosen=chosen)
            continue
        echo_as(
            form,
            csv=partial(board.to_csv, frame),
            md=partial(board.to_markdown, study, frame, claimed),
            json=partial(board.to_json, frame),
        )


@main.command(name="list")
@results_dir_option
@click.pass_context
def list_studies(ctx: click.Context, results_dir: Path) -> None:
    """Show every study under the results folder."""
    from besom.report.study_list import print_studies
    from besom.text.console import TerminalConsole

    named = ctx.get_parameter_source("results_dir") is not ParameterSource.DEFAULT
    if not results_dir.is_dir() and (named or results_dir.exists()):
        what = "is not a folder" if results_dir.exists() else "does not exist"
        raise StudyError(
            f"The results folder {results_dir} {what}. Set --results-dir or BESOM_RESULTS_DIR "
            "to the folder of your studies."
        )
    print_studies(results_dir, TerminalConsole())


@main.command()
@click.argument("name", shell_complete=complete_studies)
@results_dir_option
def plot(name: str, results_dir: Path) -> None:
    """Draw the plots of NAME again."""
    from besom.errors import StudyError
    from besom.plots import not_drawn, write_plots
    from besom.store.paths import StudyPaths
    from besom.store.storage import load_record

    study = load_record(results_dir, name)
    problems: dict[str, str] = {}
    for path in write_plots(study, StudyPaths.of(results_dir, name).plots, problems):
        echo(path)
    if problems:
        raise StudyError("\n".join(not_drawn(problems)))


@main.command()
@click.argument(
    "names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_studies
)
@click.option("--no-examples", is_flag=True, help="Leave out what validation examples hold.")
@click.option(
    "--redact", is_flag=True, help="Leave out hosts, absolute paths and environment values."
)
@results_dir_option
def report(names: tuple[str, ...], no_examples: bool, redact: bool, results_dir: Path) -> None:
    """Write a page about NAME to open in a browser.

    The page is one HTML file that needs no network. Several names are shown side by side.
    """
    from besom.page import write_comparison_page, write_study_page
    from besom.report.comparison import compare as side_by_side
    from besom.report.comparison import write_comparison_files
    from besom.store.paths import StudyPaths
    from besom.store.storage import load_record
    from besom.text.redacted import redactor

    studies = [load_record(results_dir, name) for name in names]
    redacts = redactor() if redact else None
    if len(studies) == 1:
        paths, examples = StudyPaths.of(results_dir, studies[0].name), not no_examples
        echo(write_study_page(studies[0], paths, examples=examples, redact=redacts))
        return
    compared = side_by_side(studies)
    write_comparison_files(compared, results_dir)
    echo(write_comparison_page(compared, results_dir, redacts))


@main.command()
@click.argument("name", shell_complete=complete_studies)
@format_option
@results_dir_option
def ledger(name: str, form: str, results_dir: Path) -> None:
    """Show what NAME has cost, and what more trials may bring.

    The table has one row per outcome, csv and json one row per trial, and md both.
    """
    from besom.report import ledger as book
    from besom.store.storage import load_record
    from besom.text.console import TerminalConsole

    study = load_record(results_dir, name)
    if form == "table":
        book.print_ledger(study, TerminalConsole())
        return
    echo_as(
        form,
        csv=lambda: book.to_csv(study),
        md=lambda: book.to_markdown(study),
        json=lambda: book.to_json(study),
    )


@main.command()
@click.argument("name", shell_complete=complete_studies)
@click.option("--trial", type=int, metavar="N", help="Export trial N instead of the first.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to a file.")
@click.option(
    "--model", is_flag=True, help="Copy the trained .keras instead; with folds, train it first."
)
@click.option(
    "--predictions", is_flag=True, help="Write the validation predictions as CSV instead."
)
@click.option(
    "--to",
    type=click.Choice(("tensorboard", "mlflow", "wandb")),
    help="Write all trials to this tracker instead.",
)
@results_dir_option
def export(
    name: str,
    trial: int | None,
    output: Path | None,
    model: bool,
    predictions: bool,
    to: str | None,
    results_dir: Path,
) -> None:
    """Write the best trial of NAME as a config for `besom train`.

    The config goes to standard output, a model to NAME.keras, predictions to NAME.csv, unless
    --output is given. With several objectives, the knee of the Pareto front is taken.

    With --to, every trial that was trained goes to a tracker, or only that of --trial. Its files
    are in results/NAME/trackers, unless --output names another folder.
    """
    from besom.report.export import best_trial, class_names_of, find_trial, kept_model, to_yaml
    from besom.rerun.retraining import model_file
    from besom.rerun.stored_runs import runs_in
    from besom.store.environment import environment_then
    from besom.store.paths import StudyPaths, write_atomically
    from besom.store.storage import load_record

    given = {"--model": model, "--predictions": predictions, "--to": to is not None}
    if len(kinds := [option for option, is_given in given.items() if is_given]) > 1:
        raise ConfigError(f"{listed(kinds)} write different files: give one of them.")
    if to is None and output is not None and output.is_dir():
        raise ConfigError(f"--output {output} is a folder, expected a file to write.")
    study = load_record(results_dir, name)
    if to is not None:
        from besom.trackers import export_to

        chosen_ones = study.trials if trial is None else [find_trial(study, trial)]
        folder = output or StudyPaths.of(results_dir, name).trackers
        n_written, place = export_to(to, study, chosen_ones, folder)
        echo(f"{counted(n_written, 'trial')} of {name}: {place}")
        return
    chosen = best_trial(study) if trial is None else find_trial(study, trial)
    if trial is None and len(study.objectives) > 1:
        echo(
            f"Trial {chosen.number} of {name} is the knee of its Pareto front, or its first trial "
            "if the front has no knee. Use --trial N for another.",
            err=True,
        )
    if model:
        target = output or Path(f"{name}.keras")
        paths = StudyPaths.of(results_dir, name)
        if len(runs_in(study)) == 1:
            kept_model(study, chosen, paths)  # refused where there is none
        with model_file(study, chosen, paths, echo) as trained:
            write_atomically(target, trained.read_bytes())
        echo(f"Trial {chosen.number} of {name}: {target}")
        for of, names in class_names_of(target).items():
            echo(
                f"Classes{f' of {of}' if of else ''}, in the order of the outputs: {listed(names)}"
            )
        data = environment_then(study, chosen).get("data", {})
        scale, scaled = data.get("input_scale", 1.0), data.get("scaled")
        if data.get("raw_columns"):
            echo("It takes the columns as they are in the table.")
        elif isinstance(scale, float) and scale != 1.0:
            echo(f"It was trained on images multiplied by {scale:.8g}: scale yours the same way.")
        elif scaled:  # of several inputs, or of a stream, each has a scale or none
            echo(f"It was trained on scaled inputs ({scaled}): scale yours the same way.")
        return
    if predictions:
        from besom.report.tables import csv
        from besom.rerun.predicted import validation_predictions

        frame = validation_predictions(study, chosen, StudyPaths.of(results_dir, name), echo)
        target = output or Path(f"{name}.csv")
        write_atomically(target, csv(frame))
        echo(
            f"Trial {chosen.number} of {name}, "
            f"{counted(len(frame), 'validation example')}: {target}"
        )
        return
    text = to_yaml(study, chosen)
    if output is None:
        echo(text, nl=False)
    else:
        write_atomically(output, text)
        echo(f"Trial {chosen.number} of {name}: {output}")


@main.command()
@click.argument("names", nargs=-1, required=True, shell_complete=complete_studies)
@format_option
@results_dir_option
def compare(names: tuple[str, ...], form: str, results_dir: Path) -> None:
    """Show the studies NAMES side by side.

    It says what they reached, what they spent, and what differs between them.
    """
    from besom.report import comparison as reporting
    from besom.report.leaderboard import to_json
    from besom.report.tables import csv
    from besom.store.storage import load_record
    from besom.text.console import TerminalConsole, say

    compared = reporting.compare([load_record(results_dir, name) for name in names])
    if form != "table":
        echo_as(
            form,
            csv=lambda: csv(compared.outcomes),
            md=lambda: reporting.to_markdown(compared),
            json=lambda: to_json(compared.outcomes),
        )
    else:
        console = TerminalConsole()
        _print_table(reporting.display(compared), "Studies", console)
        if len(compared.contrasts):
            _print_table(compared.contrasts, "What differs", console)
        else:
            say(console, "They differ in nothing that is stored of them.", wrap=True)
        for line in filter(None, [reporting.headline(compared), *compared.remarks]):
            say(console, line)
    written = reporting.write_comparison_files(compared, results_dir)
    if form == "table":
        echo(f"Written: {', '.join(map(str, written))}")


@main.command()
@click.argument("name", shell_complete=complete_studies)
@click.argument("trials", nargs=2, type=int, metavar="TRIAL TRIAL")
@format_option
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
    if same(one.config or one.params, other.config or other.params):
        echo(f"Their {'configs' if one.config else 'hyperparameters'} are the same.")
    if sentence := verdict(study, one, other):
        echo(sentence)


def _print_table(frame: pd.DataFrame, title: str, console: TerminalConsole) -> None:
    """Everything at the left, and wrapped: these are texts."""
    from besom.report.tables import frame_table

    console.print(frame_table(frame, title, wrapped=list(frame.columns)))
