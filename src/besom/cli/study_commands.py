"""``besom study``: what happens to a whole study: stop it, rename it, delete it, import one."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from besom.cli.completing import complete_studies
from besom.cli.group import Commands, echo, main, results_dir_option
from besom.errors import ConfigError
from besom.text.counting import counted, listed


@main.group(name="study", cls=Commands)
def study_group() -> None:
    """Stop, rename, delete or import a study."""


@study_group.command()
@click.argument("name", shell_complete=complete_studies)
@click.option("--wait", is_flag=True, help="Return when it has stopped.")
@results_dir_option
def stop(name: str, wait: bool, results_dir: Path) -> None:
    """Stop the sweep or confirmation that runs NAME, as Ctrl-C does.

    Its running trials end with their epoch and are kept: the same `besom sweep` continues. It may
    run in another shell, or, where the study is in a database, on another machine.
    """
    from besom.store.asking_to_stop import stop_study, wait_for_the_end
    from besom.store.storage import find_study

    paths = find_study(results_dir, name)
    asked = stop_study(paths, name)
    echo(asked or f"Nothing runs {name}.")
    if asked and wait:
        wait_for_the_end(paths, name)
        echo(f"{name} has stopped.")


@study_group.command()
@click.argument("name", shell_complete=complete_studies)
@click.argument("new")
@results_dir_option
def rename(name: str, new: str, results_dir: Path) -> None:
    """Give the study NAME the name NEW.

    Everything of it comes along: its trials, models, confirmations and the log of its test set.
    Continue it with `besom sweep ... sweep.name=NEW`.
    """
    from besom.report.claimed import claim_among
    from besom.report.files import write_tables
    from besom.store.moving import rename_study
    from besom.store.paths import StudyPaths, checked_name
    from besom.store.storage import load_record

    rename_study(results_dir, name, checked_name("NEW", new), _say)
    study = load_record(results_dir, new)
    write_tables(study, StudyPaths.of(results_dir, new), claim_among(study, results_dir))
    echo(f"{name} is {new} now: {results_dir / new}/")


@study_group.command()
@click.argument("name", shell_complete=complete_studies)
@click.option("--yes", is_flag=True, help="Do not ask.")
@results_dir_option
def delete(name: str, yes: bool, results_dir: Path) -> None:
    """Delete the study NAME and its folder, after asking.

    The log of its test set is kept: the examples have been seen.
    """
    from besom.store.moving import delete_study, what_is_lost
    from besom.store.storage import find_study

    paths = find_study(results_dir, name)
    if not yes:
        echo(f"This deletes {what_is_lost(paths, name)}.")
        try:
            is_sure = click.confirm("Delete it for good?")
        except click.Abort:
            raise ConfigError(
                f"{name} was not deleted: nobody answered. Add --yes to delete it without asking."
            ) from None
        if not is_sure:
            echo(f"{name} was not deleted.")
            sys.exit(1)
    delete_study(paths, name, _say)
    echo(f"{name} is deleted.")


def _say(text: str) -> None:
    """Text of a wait that is only of interest while it lasts."""
    echo(f"besom: {text}", err=True)


def _pairs(words: tuple[str, ...]) -> dict[str, str]:
    """``--param lr=optimizer.learning_rate``, read."""
    read = {}
    for word in words:
        name, separator, path = word.rpartition("=")
        if not separator or not name or not path:
            raise ConfigError(
                f"--param {word} is not NAME=PATH. Write for example "
                "--param lr=optimizer.learning_rate."
            )
        read[name] = path
    return read


@study_group.command(name="import")
@click.argument("name")
@click.option(
    "--from",
    "source",
    required=True,
    metavar="SOURCE",
    help="A storage URL or file of Optuna's, or a folder of Ray Tune's or KerasTuner's.",
)
@click.option("--study", metavar="STUDY", help="Its name there, where there are several.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="METRIC",
    help="What its values are, such as val_accuracy; once for each objective.",
)
@click.option(
    "--direction",
    "directions",
    multiple=True,
    type=click.Choice(["maximize", "minimize"]),
    help="Which way is better, for a folder that does not say; once for each --metric.",
)
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=PATH",
    help="The config path that a parameter stands for, {i} being any number; may be repeated.",
)
@click.option("--storage", metavar="URL", help="Store it in a database, as sweep.storage does.")
@results_dir_option
def import_(
    name: str,
    source: str,
    study: str | None,
    metrics: tuple[str, ...],
    directions: tuple[str, ...],
    params: tuple[str, ...],
    storage: str | None,
    results_dir: Path,
) -> None:
    """Copy a study that was made without besom, as NAME.

    SOURCE is a storage of Optuna's, or the folder of an experiment of Ray Tune's or a project of
    KerasTuner's. The copy can be ranked, plotted and compared, and a sweep can learn from it
    (sweep.warm_start=NAME):

    \b
      besom study import old --from sqlite:///optuna.db --study mlp \\
          --metric val_accuracy --param lr=optimizer.learning_rate
      besom study import tuned --from results/my_project \\
          --param 'units_{i}=model.hidden_units.{i}'
    """
    from besom.report.claimed import claim_among
    from besom.report.files import write_tables
    from besom.report.tables import counts_text
    from besom.store.imported import import_study
    from besom.store.paths import StudyPaths, checked_name
    from besom.store.storage_url import check_no_password

    paths = StudyPaths.of(results_dir, checked_name("NAME", name))
    if storage is not None:
        check_no_password(storage)
    found = import_study(source, study, paths, storage, metrics, _pairs(params), directions)
    write_tables(found, paths, claim_among(found, results_dir))
    trials = f"{counted(len(found.trials), 'trial')} ({counts_text(found)})"
    ranked = listed([f"{o.metric} is {o.direction}d" for o in found.objectives])
    echo(f"{name}: {trials}; {ranked}. {paths.root}/")
