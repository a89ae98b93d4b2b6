"""``besom init``: a new project, of an example or for a table."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from besom.cli.group import echo, main
from besom.errors import ConfigError
from besom.text.counting import listed
from besom.text.printable import command


@main.command()
@click.argument(
    "folder", metavar="[DIR]", required=False, default=".", type=click.Path(path_type=Path)
)
@click.option(
    "--from",
    "source",
    nargs=2,
    type=str,
    metavar="csv FILE",
    help="Write it for this table: task, loss and space follow from its columns.",
)
@click.option("--target", metavar="COLUMN", help="With --from: the column to predict.")
def init(folder: Path, source: tuple[str, str] | None, target: str | None) -> None:
    """Write a new project with a sweep that runs at once.

    DIR is a new folder or an empty one; the default is the current folder.

    \b
      besom init my_project
      besom init houses --from csv houses.csv --target price
    """
    from besom.scaffold import check_folder, example_project, project_for_csv, project_name

    file = _file_of(source, target)
    check_folder(folder, None if file is None else file.resolve())
    if file is None or target is None:
        project = example_project(project_name(folder.resolve().name))
    else:
        project = project_for_csv(project_name(file.stem), file, target, folder)
    project.write(folder)
    for line in project.found:
        echo(line)
    echo(f"Written in {folder}/: {listed(list(project.files))}.")
    go = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    echo(f"Try it:  {go}{command('sweep', project.sweep, options='--dry-run')}")
    echo(f"Run it:  {go}{command('sweep', project.sweep)}")


def _file_of(source: tuple[str, str] | None, target: str | None) -> Path | None:
    """The table that the options name; None: there is none.

    Raises:
        ConfigError: they do not go together.
    """
    if source is None:
        if target is not None:
            raise ConfigError(
                "--target needs --from csv FILE: it is the column of a table to predict."
            )
        return None
    kind, file = source
    if kind != "csv":
        raise ConfigError(f"--from is {kind!r}, expected csv, as in --from csv FILE.")
    if target is None:
        raise ConfigError("--from csv needs --target COLUMN: the column to predict.")
    return Path(file).expanduser()
