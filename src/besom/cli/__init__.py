"""The command line: the only wiring of besom's parts; nothing imports it.

Commands that report never import TensorFlow; what a command needs is imported when it runs.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from besom.errors import BesomError, did_you_mean

#: What the reporting commands print.
FORMATS = ("table", "csv", "md", "json")

#: The commands, in the order a user meets them.
ORDER = (
    "sweep",
    "leaderboard",
    "confirm",
    "list",
    "ledger",
    "compare",
    "diff",
    "plot",
    "export",
    "train",
    "replay",
    "show",
)


class Commands(click.Group):
    """A group that lists near commands, and turns every error of ours into one line."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; an unknown one is answered with the near ones."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            hint = did_you_mean(args[0], self.list_commands(ctx))
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """In the order a user meets them."""
        return sorted(self.commands, key=[*ORDER, *sorted(self.commands)].index)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; whatever the user can mend is one message, never a traceback."""
        try:
            return super().invoke(ctx)
        except BesomError as error:
            click.echo(f"besom: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("besom: interrupted", err=True)
            ctx.exit(130)
        except BrokenPipeError:  # `besom leaderboard ... | head`
            sys.stderr.close()
            ctx.exit(0)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"besom: {where}{error.strerror or error}", err=True)
            click.echo("Make room or permission, or choose another place.", err=True)
            ctx.exit(2)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="besom")
def main() -> None:
    """Hyperparameter sweeps for Keras, with a leaderboard you can believe.

    Begin with:  besom sweep quickstart
    """
    # Python would end by searching all that is loaded for garbage: 0.2 s in which nothing happens.
    atexit.register(gc.freeze)
    # User modules named by a _target_ live where the command is given, as with `python -m`.
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)


def results_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--results-dir`` for the commands that only read."""
    return click.option(
        "--results-dir",
        type=click.Path(path_type=Path),
        envvar="BESOM_RESULTS_DIR",
        default=Path("results"),
        show_default=True,
        help="The folder that holds the studies (also BESOM_RESULTS_DIR).",
    )(command)


def config_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--config-dir`` for the commands that compose a config."""
    return click.option(
        "--config-dir",
        type=click.Path(),
        default=None,
        help="Your config folder; default: ./conf and ./sweeps. Besom's own come after it.",
    )(command)


def overrides_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Everything else on the command line: Hydra overrides."""
    return click.argument("overrides", nargs=-1, type=click.UNPROCESSED)(command)


#: Options that are not ours are passed on, to be refused with a word on what replaces them.
TAKES_OVERRIDES = {"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]}

# Commands register when they are imported.
from besom.cli import compare, confirm, report, sweep, train  # noqa: E402, F401
