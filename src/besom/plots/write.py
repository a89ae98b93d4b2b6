"""Which pictures a study gets, and under which names: summarise, headline, draw, write."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

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

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Picture(Protocol):
    """What each of the modules below has."""

    TITLE: str

    def summarise(self, study: StudyRecord, objective: int, /) -> Any: ...
    def subtitle(self, summary: Any, /) -> str: ...
    def height(self, summary: Any, /) -> float: ...
    def draw(self, summary: Any, figure: Figure, /) -> None: ...


#: The pictures of each objective, by the names of their files.
_PICTURES: dict[str, _Picture] = {
    "optimization_history": history,
    "learning_curves": curves,
    "importance": importance,
    "slices": slices,
    "parallel_coordinates": parallel,
}


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
        for name, picture in _PICTURES.items():
            if name != "learning_curves" or not several or aim.metric in with_history:
                path = folder / f"{name}{suffix}.png"
                wanted.append((path, functools.partial(_write, picture, study, index)))
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


def _write(picture: _Picture, study: StudyRecord, objective: int, path: Path) -> Path:
    summary = picture.summarise(study, objective)
    title = f"{study.name}: {picture.TITLE}"
    subtitle = "; ".join(filter(None, [_reading(study, objective), picture.subtitle(summary)]))
    with style.picture(path, picture.height(summary), title, subtitle) as figure:
        picture.draw(summary, figure)
    return path


def _write_pareto(study: StudyRecord, path: Path) -> Path:
    summary = pareto.summarise(study)
    title = f"{study.name}: {pareto.headline(summary)}"
    with style.picture(path, 4.4, title, pareto.subtitle(summary)) as figure:
        pareto.draw(summary, figure)
    return path
