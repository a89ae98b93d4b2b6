"""``besom compare``: several studies side by side, in what they reached, spent and are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from besom.config import TRAIN_GROUPS, leaves
from besom.equality import same
from besom.errors import StudyError
from besom.plots.study_curves import summarise as summarise_progress
from besom.report.diff import CONFIG, shown
from besom.report.tables import UNFINISHED, outcome_counts
from besom.statistics import claim, pareto_front, score
from besom.store import study_identity
from besom.store.records import Outcome, StudyRecord
from besom.store.study_identity import as_of_now
from besom.text.values import ABSENT

#: The parts of what differs that hold a config's values.
_OF_CONFIGS = ("space", "config", "budget")

#: Longer names are cut: a file's name has 255 bytes.
_MOST_CHARS = 120


@dataclass(frozen=True)
class Comparison:
    """Several studies, side by side.

    Attributes:
        studies: in the order given.
        outcomes: one row per study, see ``outcomes_of``.
        contrasts: one row per difference, one column per study, see ``contrasts_of``.
        remarks: what to keep in mind when reading the values against each other.
        comparable: whether all pursue the same metrics in the same directions; only then may their
            values be compared.
        equal_compute: the worker seconds at which ``at equal compute`` is read off; None without.
        unbeaten: with several objectives, how many of each study's trials no trial of any study
            beats, by the study's name; empty with one, or where they are not comparable.
    """

    studies: tuple[StudyRecord, ...]
    outcomes: pd.DataFrame
    contrasts: pd.DataFrame
    remarks: tuple[str, ...]
    comparable: bool
    equal_compute: float | None
    unbeaten: Mapping[str, int]

    @property
    def stem(self) -> str:
        """The files' name: the studies', joined."""
        return "-".join(study.name for study in self.studies)[:_MOST_CHARS]


def compare(studies: Sequence[StudyRecord]) -> Comparison:
    """Put studies side by side.

    Raises:
        StudyError: fewer than two, or one is named twice.
    """
    names = [study.name for study in studies]
    if len(names) < 2:
        raise StudyError("compare takes two studies or more: besom compare NAME NAME [NAME ...].")
    if twice := {name for name in names if names.count(name) > 1}:
        raise StudyError(f"The study {min(twice)!r} is named twice. Name each study once.")
    aims = {tuple((o.metric, o.direction) for o in study.objectives) for study in studies}
    comparable, several = len(aims) == 1, any(len(study.objectives) > 1 for study in studies)
    totals = [spent(study)[0] for study in studies if study.complete]
    budget = min(totals) if comparable and totals and not several else None
    contrasts = contrasts_of(studies)
    return Comparison(
        tuple(studies),
        outcomes_of(studies, budget),
        contrasts,
        tuple(_remarks(studies, contrasts, comparable)),
        comparable,
        budget,
        unbeaten_of(studies) if comparable and several else {},
    )


def outcomes_of(studies: Sequence[StudyRecord], budget: float | None) -> pd.DataFrame:
    """One row per study.

    Columns: study, metric, direction, best, trial, corrected, low, high (the best corrected for
    having been picked, with its 95 % interval), baseline, gain (of the best, raw), at_equal_compute
    (the best after ``budget`` worker seconds), trials, complete, pruned, failed, worker_seconds,
    cpu_seconds. Empty where it is not known. Several objectives have no best: their studies have
    front (trials beaten by none of their own), and for each metric ``best METRIC``.
    """
    rows, more = [], dict[str, None]()
    for study in studies:
        aim, counts = study.objective, outcome_counts(study.trials)
        row: dict[str, Any] = {"study": study.name, "metric": _metrics(study)}
        row["direction"] = " ".join(o.direction for o in study.objectives)
        if len(study.objectives) > 1:
            of_each = _best_of_each(study)
            row, more = row | of_each, more | dict.fromkeys(of_each)
        else:
            row |= _best(study)
        if study.baseline is not None and len(study.objectives) == 1:
            row["baseline"], _ = score(study.baseline, aim)
            if "best" in row:
                row["gain"] = aim.sign * (row["best"] - row["baseline"])
        if budget is not None:
            row["at_equal_compute"] = best_after(study, budget)
        row["trials"] = sum(counts.values()) - counts.get(UNFINISHED, 0)
        row["complete"] = len(study.complete)
        row["pruned"] = counts.get(str(Outcome.PRUNED), 0)
        row["failed"] = sum(t.outcome.failed for t in study.trials)
        row["worker_seconds"], row["cpu_seconds"] = spent(study)
        rows.append(row)
    first, last = _COLUMNS
    frame = pd.DataFrame(rows, columns=[*first.split(), *more, *last.split()])
    for column in ("trial", "front"):
        if column in frame:
            frame[column] = frame[column].astype("Int64")
    return frame


#: Before and after those that only several objectives have.
_COLUMNS = (
    "study metric direction best trial corrected low high baseline gain at_equal_compute",
    "trials complete pruned failed worker_seconds cpu_seconds",
)


def _best(study: StudyRecord) -> dict[str, Any]:
    found = claim(study)
    if found.leader is None:
        return {}
    row: dict[str, Any] = {"best": found.raw, "trial": found.leader}
    if found.corrected is not None and found.interval is not None:
        row |= {"corrected": found.corrected, "low": found.interval.low}
        row["high"] = found.interval.high
    return row


def _best_of_each(study: StudyRecord) -> dict[str, Any]:
    """What several objectives have in place of a best."""
    values = _values([study])
    if not values.size:
        return {}
    directions = [o.direction for o in study.objectives]
    row: dict[str, Any] = {"front": int(pareto_front(values, directions).sum())}
    for objective, column in zip(study.objectives, values.T, strict=True):
        row[f"best {objective.metric}"] = objective.sign * float((objective.sign * column).max())
    return row


def unbeaten_of(studies: Sequence[StudyRecord]) -> dict[str, int]:
    """Of each study, how many trials stand on the Pareto front of all their trials together."""
    values = _values(studies)
    if not values.size:
        return {}
    front = pareto_front(values, [o.direction for o in studies[0].objectives])
    owners = [study.name for study in studies for _ in study.complete]
    return {s.name: sum(owner == s.name for owner in compress(owners, front)) for s in studies}


def _values(studies: Sequence[StudyRecord]) -> npt.NDArray[np.float64]:
    """(n_complete of all, n_objectives) the values of complete trials, study by study."""
    return np.array([t.values for study in studies for t in study.complete], dtype=float)


def spent(study: StudyRecord) -> tuple[float, float]:
    """Worker seconds and CPU seconds of every trial that has ended, whatever became of it."""
    over = [trial for trial in study.trials if trial.outcome is not Outcome.RUNNING]
    return sum(t.seconds for t in over), sum(t.cpu_seconds for t in over)


def best_after(study: StudyRecord, seconds: float) -> float | None:
    """The best value known after so many worker seconds; None if no trial had completed by then."""
    line = summarise_progress([study]).studies[0]
    known = line.best[line.seconds <= seconds * (1 + 1e-9)]
    return float(known[-1]) if known.size else None


def contrasts_of(studies: Sequence[StudyRecord]) -> pd.DataFrame:
    """What differs between the studies: one row each, columns part, what, then one per study.

    Parts: ``space``, ``config``, ``budget``, ``code`` (the git revision), ``data`` (the
    fingerprint) and ``versions``. Lists and absent values (``-``) are texts, as all cells are. A
    key that besom has gained since a study was made counts there with its default.
    """
    described = [_described(study, studies) for study in studies]
    rows = []
    for part in dict.fromkeys(part for one in described for part in one):
        flat = [leaves(one.get(part, {})) for one in described]
        paths = dict.fromkeys(path for one in flat for path in one if path)
        for what in paths:
            empty = all(one.get(what, {}) == {} for one in flat)
            if empty and any(path.startswith(f"{what}.") for path in paths):
                continue  # empty in one study; what another has in it is a row each
            values = [one.get(what, ABSENT) for one in flat]
            kind = CONFIG if part in _OF_CONFIGS else part
            texts = [shown(value, kind) for value in values]
            if len(set(texts)) > 1 and not all(same(values[0], value) for value in values):
                named = dict(zip((s.name for s in studies), texts, strict=True))
                rows.append({"part": part, "what": what, **named})
    return pd.DataFrame(rows, columns=["part", "what", *(study.name for study in studies)])


def _described(study: StudyRecord, beside: Sequence[StudyRecord]) -> dict[str, Mapping[str, Any]]:
    config = study.config
    for other in beside:
        config = as_of_now(config, other.config)
    sweep = config.get("sweep", {})
    task = {key: config[key] for key in (*TRAIN_GROUPS, "seed") if key in config}
    aside = (*study_identity.BUDGET, *study_identity.PLACE, "space")
    environments = list(study.facts.get("environments", {}).values())
    return {
        "space": sweep.get("space", {}),
        "config": {**task, **{f"sweep.{k}": v for k, v in sweep.items() if k not in aside}},
        "budget": {key: sweep[key] for key in study_identity.BUDGET if key in sweep},
        "code": _all_seen("git", [{"git": e.get("git")} for e in environments]),
        "data": _all_seen("data", environments),
        "versions": _all_seen("versions", environments),
        "device": _all_seen("device", environments),
    }


def _all_seen(key: str, environments: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What one study saw of something; several values if that changed while it was swept."""
    seen: dict[str, dict[str, None]] = {}
    for environment in environments:
        for path, value in leaves(environment.get(key, {}), key).items():
            seen.setdefault(path.removeprefix(f"{key}."), {})[shown(value, key)] = None
    return {path: ", then ".join(values) for path, values in seen.items()}


def _remarks(
    studies: Sequence[StudyRecord], contrasts: pd.DataFrame, comparable: bool
) -> list[str]:
    found = []
    if not comparable:
        named = ", ".join(f"{s.name} {aim_of(s)}" for s in studies)
        found.append(
            f"These studies have different objectives ({named}), so their values cannot be "
            "compared and no picture is drawn."
        )
    elif any(len(study.objectives) > 1 for study in studies):
        found.append(
            "With several objectives there is no single best: the best of each is shown, possibly "
            "of different trials. The picture shows only the first, "
            f"{studies[0].objective.metric}."
        )
    data = contrasts[(contrasts["part"] == "data") & (contrasts["what"] == "fingerprint")]
    if len(data) and comparable:
        found.append(
            "The studies were judged on different validation examples, so part of the differences "
            "between their values is luck. `besom confirm` measures them on the test examples."
        )
    for study in studies:
        if not study.complete:
            found.append(f"{study.name} has no complete trial.")
    return found


def aim_of(study: StudyRecord) -> str:
    """What a study pursues: ``maximizes val_accuracy and minimizes n_params``."""
    return " and ".join(f"{o.direction}s {o.metric}" for o in study.objectives)


def _metrics(study: StudyRecord) -> str:
    return " and ".join(objective.metric for objective in study.objectives)
