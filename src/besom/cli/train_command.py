"""``besom train`` and ``besom show``: the commands that need no study."""

from __future__ import annotations

from pathlib import Path

import click

from besom.cli.group import (
    TAKES_OVERRIDES,
    config_dir_option,
    echo,
    main,
    overrides_argument,
    trust_option,
)
from besom.errors import BesomError, TrialDiverged
from besom.store.paths import checked_folder


@main.command(context_settings=TAKES_OVERRIDES)
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED, metavar="[CONFIG] [OVERRIDES]...")
@config_dir_option
@trust_option
def train(overrides: tuple[str, ...], config_dir: str | None) -> None:
    """Train one config.

    CONFIG is a YAML such as `besom export` writes; the default is conf/train.yaml.

    \b
      besom train data=mnist
      besom train best.yaml trainer.epochs=40 seed=3
    """
    from besom.report.export import composer_for_train
    from besom.rerun.single_run import train_once

    config, rest = _split_config(overrides)
    composed = composer_for_train(config, config_dir).compose(rest)
    try:
        run = train_once(composed, checked_folder(composed.config["results_dir"]), echo)
    except TrialDiverged as error:
        raise BesomError(f"Training diverged: {error}. Try a smaller learning rate.") from error
    echo(f"Written: {run.paths.root}/")


@main.command(context_settings=TAKES_OVERRIDES)
@overrides_argument
@config_dir_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write the picture to this file."
)
@trust_option
def show(overrides: tuple[str, ...], config_dir: str | None, output: Path | None) -> None:
    """Draw ten random training images with their labels.

    \b
      besom show data=mnist
    """
    from besom.config import Composer, SearchPath
    from besom.rerun.single_run import draw_examples

    composed = Composer(SearchPath.of(config_dir), "train").compose(overrides)
    echo(draw_examples(composed, output))


def _split_config(words: tuple[str, ...]) -> tuple[str | None, list[str]]:
    """The first word is a config if it is no override."""
    if words and "=" not in words[0] and not words[0].startswith(("-", "~", "+")):
        return words[0], list(words[1:])
    return None, list(words)
