"""``besom show``: what a trial gets wrong, or what the training data looks like."""

from __future__ import annotations

from pathlib import Path

import click

from besom.cli.completing import complete_shown
from besom.cli.group import (
    TAKES_OVERRIDES,
    config_dir_option,
    echo,
    find_modules_of,
    main,
    results_dir_option,
    trust_option,
)
from besom.errors import ConfigError


@main.command(context_settings=TAKES_OVERRIDES)
@click.argument(
    "words",
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="[NAME | OVERRIDES...]",
    shell_complete=complete_shown,
)
@click.option(
    "--trial", type=int, metavar="N", help="Of the study NAME, this trial instead of the first."
)
@click.option(
    "--retrain", is_flag=True, help="Train the trial again, if what it gets wrong was not kept."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the picture to this file.",
)
@config_dir_option
@results_dir_option
@trust_option
def show(
    words: tuple[str, ...],
    trial: int | None,
    retrain: bool,
    output: Path | None,
    config_dir: str | None,
    results_dir: Path,
) -> None:
    """Show what a trial gets wrong, or training images.

    With NAME, a study: what its trial takes for what, and the validation examples that the model
    was most wrongly sure of. With OVERRIDES: ten random training images with their labels.

    \b
      besom show mnist_mlp
      besom show mnist_mlp --trial 12 --retrain
      besom show data=mnist
    """
    names = [word for word in words if "=" not in word and not word.startswith(("-", "~", "+"))]
    if names:
        if len(words) > 1:
            raise ConfigError(
                f"besom show was given {' '.join(words)}: expected the name of one study, or "
                "overrides such as data=mnist."
            )
        _show_mistakes(names[0], trial, retrain, output, results_dir)
        return
    if trial is not None or retrain:
        raise ConfigError("--trial and --retrain need a study: besom show NAME --trial N.")
    from besom.config import Composer, SearchPath
    from besom.rerun.preview import draw_examples

    find_modules_of(None, config_dir)
    composed = Composer(SearchPath.of(config_dir), "train").compose(words)
    echo(draw_examples(composed, output))


def _show_mistakes(
    name: str, trial: int | None, retrain: bool, output: Path | None, results_dir: Path
) -> None:
    from besom.report.export import best_trial, find_trial
    from besom.report.mistakes_text import kept_mistakes, print_mistakes
    from besom.store.paths import StudyPaths
    from besom.store.storage import load_record
    from besom.text.console import TerminalConsole

    study, paths = load_record(results_dir, name), StudyPaths.of(results_dir, name)
    chosen = best_trial(study) if trial is None else find_trial(study, trial)
    if retrain and not paths.mistakes_of(chosen.number).exists():
        from besom.rerun.retraining import find_mistakes

        find_mistakes(study, chosen, paths, echo)
    mistakes = kept_mistakes(study, chosen, paths)
    print_mistakes(mistakes, f"Trial {chosen.number} of {name}", TerminalConsole())
    from besom.report.mistakes_files import write_mistakes_pictures  # slow to load

    for path in write_mistakes_pictures(mistakes, study, chosen, paths, output):
        echo(path)
