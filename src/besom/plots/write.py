"""Which pictures a study gets, and under which names: summarise, headline, draw, write or show."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from besom.errors import ConfigError, did_you_mean, reason_of
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
#: The picture of several objectives.
_PARETO = "pareto"


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
    wanted: list[tuple[Path, Callable[[], _Described]]] = []
    if several:
        wanted.append((folder / f"{_PARETO}.png", functools.partial(_described_pareto, study)))
    with_history = {name for t in study.trials for name in t.history}
    for index, aim in enumerate(study.objectives):
        suffix = f"-{re.sub(r'[^A-Za-z0-9_.]+', '_', aim.metric)}" if several else ""
        for name, picture in _PICTURES.items():
            if name != "learning_curves" or not several or aim.metric in with_history:
                path = folder / f"{name}{suffix}.png"
                wanted.append((path, functools.partial(_described, picture, study, index)))
    written = []
    for path, described in wanted:
        try:
            written.append(_write(described, path))
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


def _write(described: Callable[[], _Described], path: Path) -> Path:
    height, title, subtitle, draw = described()
    with style.picture(path, height, title, subtitle) as figure:
        draw(figure)
    return path


def draw_plot(study: StudyRecord, name: str, objective: str | None = None) -> Figure:
    """Draw one picture of ``study`` and return it, see ``write_plots``; no file is written.

    Args:
        study: what is drawn.
        name: a picture's name, such as ``slices``.
        objective: the metric of one of several objectives; None: the first.

    Raises:
        ConfigError: there is no such picture or objective (near names are listed).
    """
    names = plot_names(study)
    if name not in names:
        raise ConfigError(f"There is no plot {name!r}.{did_you_mean(str(name), names)}")
    metrics = [o.metric for o in study.objectives]
    if objective is not None and objective not in metrics:
        raise ConfigError(
            f"{objective!r} is no objective of {study.name!r}.{did_you_mean(objective, metrics)}"
        )
    index = 0 if objective is None else metrics.index(objective)
    is_front = name == _PARETO
    described = _described_pareto(study) if is_front else _described(_PICTURES[name], study, index)
    height, title, subtitle, draw = described
    with style.framed(height, title, subtitle) as figure:
        draw(figure)
    return figure


def plot_names(study: StudyRecord) -> list[str]:
    """The pictures that a study has."""
    return [*([_PARETO] if len(study.objectives) > 1 else []), *_PICTURES]


class _Described(NamedTuple):
    """One picture of one study, ready to be drawn."""

    height: float
    title: str
    subtitle: str
    draw: Callable[[Figure], None]


def _described(picture: _Picture, study: StudyRecord, objective: int) -> _Described:
    summary, aim = picture.summarise(study, objective), study.objectives[objective]
    caption, height = picture.caption(summary)
    subtitle = "; ".join(filter(None, [style.reading(aim.metric, aim.sign), caption]))
    title = f"{study.name}: {picture.TITLE}"
    return _Described(height, title, subtitle, functools.partial(picture.draw, summary))


def _described_pareto(study: StudyRecord) -> _Described:
    summary = pareto.summarise(study)
    title = f"{study.name}: {pareto.headline(summary)}"
    draw = functools.partial(pareto.draw, summary)
    return _Described(4.4, title, pareto.subtitle(summary), draw)
