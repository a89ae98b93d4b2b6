"""What the page of one study says, as plain values for its template."""

from __future__ import annotations

import datetime
import importlib.metadata
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from besom.page.charts import Key, PageChart
from besom.page.confirmed import confirmed
from besom.page.mistakes_section import mistakes_section
from besom.page.page_table import PageTable
from besom.page.parallel_chart import parallel_charts
from besom.page.pareto_chart import pareto_charts
from besom.page.search_charts import curves_chart, history_chart, importance_chart
from besom.page.slice_charts import SLICE_KEYS, slice_charts, slices_caption
from besom.page.trial_table import STATIC_ROWS, trial_table, unranked_for_script
from besom.report.claimed import claim_among
from besom.report.diff import CONFIG, differences, display_differences
from besom.report.export import best_trial, dump, own_function, to_yaml
from besom.report.leaderboard import headline, ranking, unranked
from besom.report.ledger import conclusions, ledger
from besom.report.tables import PARAM_DIGITS, counts_text
from besom.statistics import Claim, gained
from besom.store.environment import data_in_words, environment_then
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord, TrialRecord
from besom.text.numbers import duration, with_error
from besom.text.printable import command

#: Failures whose traceback the page has.
MOST_DETAILS = 10
_MOST_DETAIL_CHARS = 4000


class Tile(NamedTuple):
    """A number at the top of the page."""

    label: str
    value: str
    note: str = ""


class Section(NamedTuple):
    """Charts under one heading; a grid of small ones, or one below the other."""

    title: str
    caption: str
    charts: list[PageChart]
    keys: tuple[Key, ...] = ()
    is_grid: bool = False


#: Makes the charts of this name, which take longer than all else in a page, or has them already.
Drawn = Callable[[str, Callable[[], list[PageChart]]], list[PageChart]]


def _at_once(name: str, make: Callable[[], list[PageChart]]) -> list[PageChart]:  # noqa: ARG001
    return make()


def study_context(
    study: StudyRecord,
    paths: StudyPaths,
    claimed: Claim | None,
    drawn: Drawn = _at_once,
    examples: bool = True,
) -> dict[str, Any]:
    """Everything that the template ``study.html`` shows, but for the pictures.

    ``examples`` says whether it shows what validation examples hold.
    """
    claimed = claimed or claim_among(study, paths.root.parent)
    frame = ranking(study, claimed)
    best = best_trial(study) if study.complete else None
    table, sections = trial_table(frame), sections_of(study, drawn)
    confirmations: list[dict[str, Any]] = [
        {
            "title": found.title,
            "claim": in_sentences(found.sentences[0].removeprefix(f"{study.name}: ")),
            "limits": found.sentences[1:],
            "table": PageTable.of(found.table),
            "chart": found.chart,
        }
        for found in confirmed(paths.root, study.objective)
    ]
    charts = [chart for section in sections for chart in section.charts]
    charts += [found["chart"] for found in confirmations]
    rest, book = unranked(study), ledger(study)
    failed = [t for t in study.trials if t.outcome.failed and t.detail]
    return {
        "name": study.name,
        "made": made_by(),
        "headline": sentence(headline(study, frame, claimed).removeprefix(f"{study.name}: ")),
        "claim": in_sentences(claimed.text),
        "caveats": [sentence(line) for line in claimed.caveats],
        "tiles": tiles_of(study, claimed, best),
        "rival": "winner" if len(study.objectives) == 1 else "the knee of the front",
        "changes": _changes(study, best),
        "table": table,
        "n_static": min(STATIC_ROWS, len(table.trials)),
        "sections": sections,
        "mistakes": mistakes_section(study, best, paths, examples),
        "confirmations": confirmations,
        "costs": PageTable.of(_costs(book.by_outcome)),
        "cost_lines": conclusions(study, book, claimed),
        "unranked": PageTable.of(rest),
        "details": [(t.number, t.reason, t.detail[-_MOST_DETAIL_CHARS:]) for t in failed][
            :MOST_DETAILS
        ],
        "n_more_details": max(len(failed) - MOST_DETAILS, 0),
        "commands": _commands(study, paths, best),
        "configs": _configs(study, best),
        "environment": _environment(study, best),
        "data": {
            "charts": [chart.for_script() for chart in charts if chart.spec is not None],
            "table": table.for_script(),
            "unranked": unranked_for_script(study),
        },
    }


def made_by() -> str:
    """When and by what the page was made."""
    now = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    return f"{now}, besom {importlib.metadata.version('besom')}"


def sentence(text: str) -> str:
    """A phrase as a sentence of its own."""
    return f"{text[:1].upper()}{text[1:]}" + "." * (not text.endswith((".", "!", "?", ":")))


def in_sentences(text: str) -> list[str]:
    """A claim's short sentences, one each."""
    return [sentence(part) for part in text.split(". ") if part]


def tiles_of(study: StudyRecord, claimed: Claim, best: TrialRecord | None) -> list[Tile]:
    """The numbers that a reader looks for first."""
    aim, tiles = study.objective, []
    if best is not None and best.value is not None and len(study.objectives) == 1:
        tiles.append(Tile(f"best {aim.metric}", aim.text(best.value), f"trial {best.number}, raw"))
        if claimed.corrected is not None and claimed.standard_error is not None:
            worth = with_error(claimed.corrected, claimed.standard_error, aim.is_share)
            seeds = f"by {claimed.n_seeds} fresh seeds" if claimed.n_seeds else "corrected"
            tiles.append(Tile("on new examples", worth, seeds))
        if study.baseline is not None and study.baseline.value is not None:
            base = study.baseline.value
            gain = f"raw gain {aim.gain_text(aim.sign * (best.value - base))}"
            if claimed.baseline is not None:
                gain = f"gain {gained(claimed.baseline, aim, aim.is_share)}"
            tiles.append(Tile("baseline", aim.text(base), gain))
    elif claimed.front:
        tiles.append(Tile("on the Pareto front", str(len(claimed.front)), "trials"))
    tiles.append(Tile("trials", f"{len(study.trials):,}", counts_text(study)))
    spent = duration(sum(t.seconds for t in (*study.trials, *study.replicates)))
    of = "of all trials and fresh seeds" if study.replicates else "of all trials"
    tiles.append(Tile("worker time", spent, of))
    return tiles


def sections_of(study: StudyRecord, drawn: Drawn = _at_once) -> list[Section]:
    """The study's charts, by objective where it has several."""
    several = len(study.objectives) > 1
    found = []
    if several:
        fronts = drawn("pareto", partial(pareto_charts, study, "pareto"))
        found.append(Section("Pareto front", "", fronts))
    with_history = {name for trial in study.trials for name in trial.history}
    for i, aim in enumerate(study.objectives):
        of = f"{aim.metric}: " if several else ""
        single = [history_chart(study, i, f"history-{i}")]
        if not several or aim.metric in with_history:
            single.append(curves_chart(study, i, f"curves-{i}"))
        mattered, lines, small = (
            drawn(name, partial(make, study, i, name))
            for make, name in (
                (_importance_charts, f"importance-{i}"),
                (parallel_charts, f"parallel-{i}"),
                (slice_charts, f"slices-{i}"),
            )
        )
        found += [
            Section(f"{of}search" if several else "The search", "", [*single, *mattered, *lines]),
            Section(
                f"{of}one hyperparameter at a time" if several else "One hyperparameter at a time",
                slices_caption(study, i),
                small,
                SLICE_KEYS,
                is_grid=True,
            ),
        ]
    return found


def _importance_charts(study: StudyRecord, objective: int, id: str) -> list[PageChart]:
    return [importance_chart(study, objective, id)]


def _changes(study: StudyRecord, best: TrialRecord | None) -> PageTable | None:
    """What the winner's config changes in the baseline's; None where there are not both."""
    baseline = study.baseline
    if baseline is None or best is None or best is baseline:
        return None
    found = differences(study, baseline, best)
    shown = display_differences(found[found["part"] == CONFIG], PARAM_DIGITS).drop(columns="part")
    shown.columns = ["config", "baseline", f"trial {best.number}"]
    return PageTable.of(shown)


def _costs(by_outcome: pd.DataFrame) -> pd.DataFrame:
    rows = {
        "outcome": by_outcome["outcome"].str.replace("_", " "),
        "trials": by_outcome["trials"].map("{:,}".format),
        "epochs": by_outcome["epochs"].map("{:,}".format),
        "worker time": by_outcome["seconds"].map(duration),
        "CPU time": by_outcome["cpu_seconds"].map(duration),
        "GPU time": by_outcome["gpu_seconds"].map(duration),
        "share": by_outcome["share"].map("{:.0%}".format),
    }
    shown = pd.DataFrame(rows)
    return shown if by_outcome["gpu_seconds"].any() else shown.drop(columns="GPU time")


def _commands(
    study: StudyRecord, paths: StudyPaths, best: TrialRecord | None
) -> list[tuple[str, str]]:
    """What a reader does next, and the command for it."""
    name = study.name
    found = [("Rank the trials in the terminal", command("leaderboard", name))]
    if best is None:
        return found
    if own_function(study):
        found.append(
            ("Confirm on fresh seeds", command("confirm", name, options="--on validation"))
        )
        return found
    best_file = paths.best.as_posix()
    return [
        ("Confirm the best on fresh seeds and the test examples", command("confirm", name)),
        (f"Train trial {best.number} again, with any override", command("train", best_file)),
        (
            f"Run trial {best.number} again and compare it bit by bit",
            command("replay", name, best.number),
        ),
        *found,
    ]


def _configs(study: StudyRecord, best: TrialRecord | None) -> list[tuple[str, str]]:
    """The configs that the page shows whole: a title and YAML each."""
    found = []
    if best is not None and best.config:
        found.append((f"Trial {best.number}, as besom export writes it", to_yaml(study, best)))
    if study.config:
        found.append(("The sweep, as composed", dump(study.config)))
    return found


def _environment(study: StudyRecord, best: TrialRecord | None) -> list[tuple[str, str]]:
    """What the best trial ran with, one line each."""
    trial = best or (study.trials[0] if study.trials else None)
    known = {} if trial is None else environment_then(study, trial)
    found = [("data", data_in_words(known))]
    for key in ("versions", "device"):
        part = known.get(key)
        if isinstance(part, Mapping):
            found.append((key, ", ".join(f"{k} {_plain(v)}" for k, v in part.items() if v)))
    found += [(key, _plain(known[key])) for key in ("git", "engine", "precision") if known.get(key)]
    return [(key, text) for key, text in found if text]


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
