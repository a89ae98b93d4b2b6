"""The group that commands belong to, and the options that several of them have."""

from __future__ import annotations

import atexit
import functools
import gc
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from besom.cli.completing import complete_overrides
from besom.errors import BesomError, did_you_mean
from besom.store.storage_url import hide_passwords
from besom.text.printable import visible

#: What the reporting commands print.
FORMATS = ("table", "csv", "md", "json")

#: The commands, in the order a user meets them.
ORDER = (
    "init",
    "sweep",
    "leaderboard",
    "confirm",
    "list",
    "report",
    "serve",
    "ledger",
    "compare",
    "diff",
    "plot",
    "export",
    "study",
    "train",
    "replay",
    "show",
    "completion",
)


class Commands(click.Group):
    """A group that suggests similar commands, and turns each of our errors into one message."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; for an unknown one, suggest similar ones."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            hint = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """List the commands in the order a user meets them."""
        return sorted(self.commands, key=[*ORDER, *sorted(self.commands)].index)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; anything the user can fix is one message, never a traceback."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:  # it repeats what was typed
            vars(error)["message"] = visible(error.message)
            raise
        except BesomError as error:
            echo(f"besom: {hide_passwords(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("besom: interrupted", err=True)
            ctx.exit(130)
        except BrokenPipeError:  # `besom leaderboard ... | head`
            sys.stderr.close()
            ctx.exit(0)
        except RecursionError:
            echo("besom: the input is nested too deeply to be read.", err=True)
            ctx.exit(2)
        except MemoryError:
            echo("besom: this needs more memory than is free on this machine.", err=True)
            ctx.exit(2)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            echo(
                f"besom: {where}{error.strerror or error}. Free disk space or fix the permissions, "
                "or choose another folder.",
                err=True,
            )
            ctx.exit(2)


def echo(text: object, nl: bool = True, err: bool = False) -> None:
    """Print one or more lines; text from outside cannot control the terminal."""
    click.echo(visible(str(text)), nl=nl, err=err)


def echo_as(form: str, **texts: Callable[[], str]) -> None:
    """Print the text in the format asked for, ending with one newline."""
    echo(texts[form]().removesuffix("\n"))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="besom")
def main() -> None:
    """Hyperparameter sweeps for Keras, with a leaderboard you can trust.

    Start with:  besom sweep quickstart
    """
    # A large study is millions of objects, none of them garbage: by default Python looks through
    # them again and again while they are read, and once more at exit.
    gc.set_threshold(100_000, 50, 100)
    atexit.register(gc.freeze)
    if logging.lastResort is not None:  # prints warnings where logging is not set up
        logging.lastResort.setFormatter(_Visible())
    # User modules named by a _target_ live where the command is given, as with `python -m`.
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)


class _Visible(logging.Formatter):
    """A log record with its hidden characters shown as escapes."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def format_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--format``, for the commands that print a table."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How to print it.",
    )(command)


def results_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--results-dir`` for the commands that only read."""
    return click.option(
        "--results-dir",
        type=click.Path(path_type=Path),
        envvar="BESOM_RESULTS_DIR",
        default=Path("results"),
        show_default=True,
        help="The folder of the studies (also BESOM_RESULTS_DIR).",
    )(command)


def config_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--config-dir`` for the commands that compose a config."""
    return click.option(
        "--config-dir",
        type=click.Path(),
        default=None,
        help="Your config folder; default: ./conf and ./sweeps. It precedes besom's own.",
    )(command)


def trust_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--trust`` for the commands that run what a config names; the innermost decorator."""

    @functools.wraps(command)
    def trusted(*args: Any, trust: tuple[str, ...], **options: Any) -> Any:
        from besom.trust import trusting

        click.get_current_context().with_resource(trusting(trust))
        return command(*args, **options)

    return click.option(
        "--trust",
        multiple=True,
        metavar="PACKAGE",
        help="Let configs name this, too; may be repeated (also conf/trusted.yaml).",
    )(trusted)


def find_modules_of(config: str | None, config_dir: str | None) -> None:
    """For the rest of the command, find and trust the modules of the projects it names by path."""
    from besom.config import projects_of
    from besom.trust import trusting

    projects = projects_of(config, config_dir)
    click.get_current_context().with_resource(trusting(projects=projects))


def overrides_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Everything else on the command line: Hydra overrides."""
    return click.argument(
        "overrides", nargs=-1, type=click.UNPROCESSED, shell_complete=complete_overrides
    )(command)


#: Unknown options are passed on, so that the refusal can say what replaces them.
TAKES_OVERRIDES = {"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]}
