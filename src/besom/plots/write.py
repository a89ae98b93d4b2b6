"""Which pictures a study gets, and under which names: summarise, headline, draw, write."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from besom.errors import reason_of
from besom.plots import (
    curves,
    history,
    image_grid,
    importance,
    parallel,
    pareto,
    single_curve,
    slices,
    study_curves,
    style,
)
from besom.store.records import StudyRecord


def write_plots(
    study: StudyRecord, folder: Path, problems: dict[str, str] | None = None
) -> list[Path]:
    """Write every picture of ``study`` as PNG into ``folder``, each atomically.

    A study with one objective gets ``optimization_history.png``, ``learning_curves.png``,
    ``importance.png``, ``slices.png`` and ``parallel_coordinates.png``. With several, each of
    these carries the objective's metric (``slices-val_loss.png``), there are learning curves only
    for metrics that have a value each epoch, and ``pareto.png`` comes first.

    Pictures that have nothing to show say why, so the files are the same whatever has happened.

    Args:
        study: what is drawn.
        folder: where the files land.
        problems: gets the name of each picture that cannot be drawn, and why; the others are drawn
            all the same. None: the first problem is raised.

    Returns:
        The files, in the order of this description.
    """
    several = len(study.objectives) > 1
    wanted: list[tuple[Path, Callable[[Path], Path]]] = []
    if several:
        wanted.append((folder / "pareto.png", lambda path: _write_pareto(study, path)))
    with_history = {name for t in study.trials for name in t.history}
    for index, aim in enumerate(study.objectives):
        suffix = f"-{re.sub(r'[^A-Za-z0-9_.]+', '_', aim.metric)}" if several else ""
        for name, write in _PICTURES.items():
            if write is not _write_curves or not several or aim.metric in with_history:
                path = folder / f"{name}{suffix}.png"
                wanted.append((path, functools.partial(write, study, index)))
    written = []
    for path, draw in wanted:
        try:
            written.append(draw(path))
        except Exception as error:
            if problems is None:
                raise
            problems[path.name] = reason_of(error)
    return written


def not_drawn(problems: Mapping[str, str]) -> list[str]:
    """``problems`` of ``write_plots`` as lines for people, one per reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in problems.items():
        by_reason.setdefault(reason, []).append(name)
    return [f"Not drawn: {', '.join(names)} ({reason})." for reason, names in by_reason.items()]


def write_learning_curve(
    history: Mapping[str, Sequence[float]],
    path: Path,
    title: str,
    best_epoch: int | None = None,
) -> Path:
    """Draw one run: every metric after each epoch, training against validation.

    Args:
        history: metric name (``loss``, ``val_loss``, ...) to its value after each epoch.
        path: where the PNG goes.
        title: the headline.
        best_epoch: the epoch (from 1) whose weights count, to be marked; None marks none.
    """
    panels = single_curve.summarise(history)
    n_epochs = max((v.size for panel in panels for v in panel.parts.values()), default=0)
    subtitle = f"after each of {n_epochs} epochs" if n_epochs > 1 else "after one epoch"
    with style.picture(path, single_curve.height(panels), title, subtitle) as figure:
        single_curve.draw(panels, figure, best_epoch)
    return path


def write_image_grid(
    images: npt.NDArray[Any], labels: Sequence[object], path: Path, title: str
) -> Path:
    """Draw images with their labels, five in a row.

    Args:
        images: (n, height, width), or (n, height, width, channels) with 1, 3 or 4 channels;
            integers of 0 to 255, or floats.
        labels: one per image.
        path: where the PNG goes.
        title: the headline.

    Raises:
        DataError: another shape, no image, or another number of labels.
    """
    grid = image_grid.summarise(images, labels)
    rows, columns = grid.pixels.shape[1:3]
    subtitle = f"{len(grid.labels)} images of {rows} × {columns} pixels, each under its label"
    colour = grid.pixels.ndim == 4
    with style.picture(path, image_grid.height(grid), title, subtitle, colour) as figure:
        image_grid.draw(grid, figure)
    return path


def write_comparison(studies: Sequence[StudyRecord], path: Path) -> Path:
    """Draw the best so far of several studies, against compute and against trials.

    Raises:
        StudyError: no study is given, or they do not pursue the same metric in one direction.
    """
    summary = study_curves.summarise(studies)
    better = "higher" if summary.sign > 0 else "lower"
    title = f"{summary.metric} of {len(studies)} {'study' if len(studies) == 1 else 'studies'}"
    subtitle = (
        f"{summary.metric}, {better} is better; compute is the worker time of all trials, "
        "including pruned and failed ones"
    )
    with style.picture(path, 3.9, title, subtitle) as figure:
        study_curves.draw(summary, figure)
    return path


def _reading(study: StudyRecord, objective: int) -> str:
    """The objective and its direction, such as ``val_accuracy, higher is better``."""
    aim = study.objectives[objective]
    return f"{aim.metric}, {'higher' if aim.sign > 0 else 'lower'} is better"


def _tally(study: StudyRecord) -> str:
    """How the trials ended, such as ``120 trials: 80 complete, 36 pruned, 4 failed``."""
    kinds = Counter(
        "failed" if t.outcome.failed else str(t.outcome).replace("_", " ") for t in study.trials
    )
    n = len(study.trials)
    counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    return f"{n:,} trial{'' if n == 1 else 's'}" + (f": {counts}" if counts else "")


def _write_history(study: StudyRecord, objective: int, path: Path) -> Path:
    summary = history.summarise(study, objective)
    subtitle = f"{_reading(study, objective)}; {_tally(study)}"
    with style.picture(path, 3.9, f"{study.name}: optimization history", subtitle) as figure:
        history.draw(summary, figure)
    return path


def _write_curves(study: StudyRecord, objective: int, path: Path) -> Path:
    summary = curves.summarise(study, objective)
    subtitle = f"{_reading(study, objective)}; after each epoch, one line per trial"
    if summary.n_hidden:
        subtitle += f"; {summary.n_hidden:,} lines left out"
    with style.picture(path, 4.2, f"{study.name}: learning curves", subtitle) as figure:
        curves.draw(summary, figure)
    return path


def _write_importance(study: StudyRecord, objective: int, path: Path) -> Path:
    summary = importance.summarise(study, objective)
    metric = study.objectives[objective].metric
    title = f"{study.name}: what mattered for {metric}"
    subtitle = ""
    if not summary.problem:
        subtitle = (
            f"PED-ANOVA: which hyperparameters set the best {summary.quantile:.0%} of "
            f"{summary.n_trials:,} complete trials apart"
        )
    if summary.n_outside:
        subtitle += f"; {summary.n_outside} outside the space left out"
    with style.picture(path, importance.height(summary), title, subtitle.lstrip("; ")) as figure:
        importance.draw(summary, figure)
    return path


def _write_slices(study: StudyRecord, objective: int, path: Path) -> Path:
    summary = slices.summarise(study, objective)
    subtitle = f"{_reading(study, objective)}; each dot is a complete trial"
    title = f"{study.name}: one hyperparameter at a time"
    with style.picture(path, slices.height(summary), title, subtitle) as figure:
        slices.draw(summary, figure)
    return path


def _write_parallel(study: StudyRecord, objective: int, path: Path) -> Path:
    summary = parallel.summarise(study, objective)
    subtitle = f"{_reading(study, objective)}; each line is a complete trial; up is better"
    if summary.n_hidden:
        subtitle += f"; {summary.n_hidden:,} lines left out"
    title = f"{study.name}: parallel coordinates"
    with style.picture(path, parallel.height(summary), title, subtitle) as figure:
        parallel.draw(summary, figure)
    return path


def _write_pareto(study: StudyRecord, path: Path) -> Path:
    summary = pareto.summarise(study)
    title = f"{study.name}: {pareto.headline(summary)}"
    with style.picture(path, 4.4, title, pareto.subtitle(summary)) as figure:
        pareto.draw(summary, figure)
    return path


#: The pictures of each objective, by the names of their files.
_PICTURES: dict[str, Callable[[StudyRecord, int, Path], Path]] = {
    "optimization_history": _write_history,
    "learning_curves": _write_curves,
    "importance": _write_importance,
    "slices": _write_slices,
    "parallel_coordinates": _write_parallel,
}
