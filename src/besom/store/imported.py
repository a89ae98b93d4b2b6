"""A study that Optuna or another tuner made without besom, kept as one of besom's.

It can be ranked, plotted, compared and learned from. Its trials have hyperparameters, values and
curves. What else they ran with, and what they scored on each example, nobody knows: they cannot be
run again, and no claim has an error.
"""

from __future__ import annotations

import copy
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from besom.errors import ConfigError, StudyError
from besom.metrics import kind_of
from besom.store.holding import Hold, hold_study
from besom.store.import_source import study_from
from besom.store.imported_params import ImportedParams
from besom.store.paths import StudyPaths
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.store.storage import (
    check_files,
    find,
    flush,
    load_record,
    only_other,
    open_storage,
    remember_url,
    settle_url,
)
from besom.store.stored_records import ATTRIBUTE, STUDY_ATTRIBUTE, to_attribute
from besom.store.study_identity import FORMAT, fingerprint
from besom.text.counting import counted, listed

#: The study's user attribute while its trials are being copied: one that has it is not whole.
_BEGUN = "besom_import_begun"

_OUTCOMES = {
    TrialState.COMPLETE: Outcome.COMPLETE,
    TrialState.PRUNED: Outcome.PRUNED,
    TrialState.FAIL: Outcome.ERROR,
}


def import_study(
    source: str,
    study: str | None,
    paths: StudyPaths,
    url: str | None = None,
    metrics: Sequence[str] = (),
    params: Mapping[str, str] | None = None,
    directions: Sequence[str] = (),
) -> StudyRecord:
    """Copy a study, all of it or nothing; what a killed process began begins again.

    Args:
        source: a storage URL of Optuna's, an SQLite file, a journal file, or the folder of an
            experiment of Ray Tune's or a project of KerasTuner's.
        study: its name there; None: the only one that is there.
        paths: where it goes; its folder's name is the study's.
        url: the storage it goes to; None: a journal, or ``BESOM_STORAGE``.
        metrics: what its values are, one for each objective; empty: as the source says.
        params: names of parameters that stand for a config's dotted path, to that path; ``{i}``
            stands for a number in both.
        directions: of the metrics, for a folder; empty: as it says, else as is usual.

    Raises:
        ConfigError: there are more or fewer objectives than metrics, or no such parameter.
        StudyError: the source cannot be read, or there is a study of this name already.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    check_files(paths)
    is_new, name = not paths.root.exists(), paths.root.name
    with study_from(source, study, metrics, directions) as (theirs, shown, metrics):
        trials = theirs.get_trials(deepcopy=False)
        objectives = _objectives(theirs, trials, metrics)
        named = ImportedParams([name for trial in trials for name in trial.params], params or {})
        facts = _facts(theirs, shown, objectives, len(trials))
        url = settle_url(paths, name, url)
        try:
            with hold_study(paths, url, name, "import") as hold:
                storage = open_storage(paths, url, writable=True)
                hold.guard(storage)
                _make_room(storage, hold, f"{url or paths.root}")
                remember_url(paths, url)
                with _whole_or_gone(storage, hold, objectives) as made:
                    made.add_trials([_with_record(trial, objectives, named) for trial in trials])
                    made.set_user_attr(STUDY_ATTRIBUTE, facts)
                flush(storage)
        except BaseException:
            if is_new:
                shutil.rmtree(paths.root, ignore_errors=True)
            raise
    return load_record(paths.root.parent, name)


@contextmanager
def _whole_or_gone(
    storage: BaseStorage, hold: Hold, objectives: Sequence[Objective]
) -> Iterator[optuna.Study]:
    """A new study, held; deleted again if the block ends with an error."""
    directions = [objective.direction for objective in objectives]
    made = optuna.create_study(study_name=hold.name, storage=storage, directions=directions)
    try:
        made.set_user_attr(_BEGUN, True)
        hold.claim(storage, storage.get_study_id_from_name(hold.name))
        yield made
    except BaseException:
        hold.stand_still()
        with suppress(Exception):  # the database may be what has failed
            optuna.delete_study(study_name=hold.name, storage=storage)
        raise


def _make_room(storage: BaseStorage, hold: Hold, where: str) -> None:
    """Delete what a killed process has begun to import.

    Raises:
        StudyError: there is a study already.
    """
    name = hold.name
    there = find(storage, name)
    if there is not None:
        attributes = storage.get_study_user_attrs(there)
        if _BEGUN in attributes and STUDY_ATTRIBUTE not in attributes:
            hold.stand_still()
            storage.delete_study(there)
            return
    if there is not None or only_other(storage, name):
        raise StudyError(
            f"{where} already holds a study{f' {name!r}' if there is not None else ''}. Choose "
            "another name, or delete that one with `besom study delete`."
        )


def _objectives(
    source: optuna.Study, trials: Sequence[FrozenTrial], metrics: Sequence[str]
) -> list[Objective]:
    n = len(source.directions)
    if metrics and len(metrics) != n:
        raise ConfigError(
            f"The study {source.study_name!r} has {counted(n, 'objective')}, but "
            f"{counted(len(metrics), 'metric')} given ({listed(metrics)}). Give --metric once for "
            "each, in their order."
        )
    if len(set(metrics)) < len(metrics):
        raise ConfigError(f"--metric names one metric twice ({listed(metrics)}).")
    usual = ["value"] if n == 1 else [f"value_{index}" for index in range(n)]
    names = list(metrics) or usual
    found = []
    for index, (name, direction) in enumerate(zip(names, source.directions, strict=True)):
        values = [t.values[index] for t in trials if t.state is TrialState.COMPLETE]
        kind = kind_of(name)
        if kind == "share" and any(math.isfinite(v) and not 0 <= v <= 1 for v in values):
            kind = "number"  # an accuracy in percent
        better: Literal["maximize", "minimize"] = (
            "maximize" if direction is optuna.study.StudyDirection.MAXIMIZE else "minimize"
        )
        found.append(Objective(name, better, "last", kind))
    if n == 1 and _is_of_best_epoch(trials, found[0]):
        found[0] = Objective(found[0].metric, found[0].direction, "best", found[0].kind)
    return found


def _is_of_best_epoch(trials: Sequence[FrozenTrial], objective: Objective) -> bool:
    """Whether the values are the best of their curves, and not all the last."""
    curves = [
        (t.value, curve)
        for t in trials
        if t.state is TrialState.COMPLETE and (curve := _curve(t)) and t.value is not None
    ]
    best = max if objective.sign > 0 else min
    is_best = all(math.isclose(value, best(curve)) for value, curve in curves)
    return is_best and any(not math.isclose(value, curve[-1]) for value, curve in curves)


def _curve(trial: FrozenTrial) -> list[float]:
    """What it reported, in the order of the steps; what is not finite is left out."""
    return [v for _, v in sorted(trial.intermediate_values.items()) if math.isfinite(v)]


def _with_record(
    trial: FrozenTrial, objectives: Sequence[Objective], named: ImportedParams
) -> FrozenTrial:
    """A copy as it is stored: in its state and with its number, and what besom would know."""
    taken = copy.copy(trial)
    taken.params = {named.paths[name]: value for name, value in trial.params.items()}
    taken.distributions = {named.paths[name]: d for name, d in trial.distributions.items()}
    taken.system_attrs = {k: v for k, v in trial.system_attrs.items() if "constraint" in k}
    metrics = {objective.metric for objective in objectives}
    curve = _curve(trial) if len(objectives) == 1 else []
    outcome, reason = _ending(trial)
    if outcome in (Outcome.DIVERGED, Outcome.INFEASIBLE):
        taken.state, taken.values = TrialState.FAIL, None
    record = TrialRecord(
        trial.number,
        outcome,
        params=named.values(trial.params, trial.distributions),
        reason=reason,
        history={objectives[0].metric: curve} if curve else {},
        best_epoch=_epoch_of(trial.value, curve) if outcome is Outcome.COMPLETE and curve else None,
        numbers={k: float(v) for k, v in trial.user_attrs.items() if k not in metrics and _is(v)},
        seconds=trial.duration.total_seconds() if trial.duration else 0.0,
    )
    taken.user_attrs = {ATTRIBUTE: to_attribute(record)} if trial.state.is_finished() else {}
    return taken


def _is(value: Any) -> bool:
    """Whether an attribute is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _epoch_of(value: float | None, curve: Sequence[float]) -> int | None:
    found = [
        i for i, v in enumerate(curve, start=1) if value is not None and math.isclose(v, value)
    ]
    return found[0] if found else None


def _ending(trial: FrozenTrial) -> tuple[Outcome, str]:
    """How it ended, and why where it is not complete."""
    if not trial.state.is_finished():
        return Outcome.RUNNING, ""
    outcome = _OUTCOMES[trial.state]
    if outcome is Outcome.COMPLETE:
        if not all(map(math.isfinite, trial.values)):
            return Outcome.DIVERGED, f"its value is {listed(trial.values)}"
        broken = [name for name, excess in trial.constraints.items() if excess > 0]
        if broken:
            return Outcome.INFEASIBLE, f"it breaks a constraint ({listed(broken)})"
        return outcome, ""
    said = trial.system_attrs.get("fail_reason")
    if outcome is Outcome.PRUNED:
        step = trial.last_step
        return outcome, said or ("pruned" if step is None else f"pruned at step {step}")
    return outcome, str(said or "it failed, and no reason was stored")


def _facts(
    source: optuna.Study, shown: str, objectives: Sequence[Objective], n_trials: int
) -> dict[str, Any]:
    """What a besom study stores of itself, as far as it is known of this one."""
    config = {"sweep": {"n_trials": n_trials}}
    return {
        "format": FORMAT,
        "created": time.time(),
        "objectives": [vars(objective) for objective in objectives],
        "choices": {},
        "task_hash": fingerprint(config),
        "environments": {},
        "config": config,
        "imported": {"from": shown, "study": source.study_name},
    }
