"""Which pictures a study gets, and under which names: summarise, headline, draw, write."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from besom.errors import reason_of
from besom.plots import (
    curves,
    history,
    importance,
    parallel,
    pareto,
    slices,
    style,
)
from besom.store.records import StudyRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Picture(Protocol):
    """What each of the modules below has."""

    TITLE: str

    def summarise(self, study: StudyRecord, objective: int, /) -> Any: ...
    def caption(self, summary: Any, /) -> tuple[str, float]: ...
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


def _write(picture: _Picture, study: StudyRecord, objective: int, path: Path) -> Path:
    summary, aim = picture.summarise(study, objective), study.objectives[objective]
    caption, height = picture.caption(summary)
    subtitle = "; ".join(filter(None, [style.reading(aim.metric, aim.sign), caption]))
    with style.picture(path, height, f"{study.name}: {picture.TITLE}", subtitle) as figure:
        picture.draw(summary, figure)
    return path


def _write_pareto(study: StudyRecord, path: Path) -> Path:
    summary = pareto.summarise(study)
    title = f"{study.name}: {pareto.headline(summary)}"
    with style.picture(path, 4.4, title, pareto.subtitle(summary)) as figure:
        pareto.draw(summary, figure)
    return path
