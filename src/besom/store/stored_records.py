"""How records are written into Optuna's storage, and read back."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

from besom.errors import StudyError
from besom.seam import TrialResult
from besom.store.optuna_private import all_trials
from besom.store.paths import StudyPaths
from besom.store.predictions import EpochBits, KeptExamples
from besom.text.printable import storable

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial


from besom.store.records import Objective, Origin, Outcome, StudyRecord, TrialRecord

#: The trial's user attribute in Optuna's storage that holds what Optuna has no field for.
ATTRIBUTE = "besom"

#: The study's user attribute: its definition and environments, see ``besom.store.study_identity``.
STUDY_ATTRIBUTE = "besom_study"

#: The trial's user attribute, set when it is enqueued, that says where its config comes from.
PRESET = "besom_given"

#: The trial's user attribute, set when it is created, of a trial that is asked for before a worker
#: wants it: True while it waits, then when it began, in seconds since the Unix epoch.
AHEAD = "besom_ahead"

#: Begins the study's user attributes that hold its replicates: trial and seed end the name. Optuna
#: lets nothing be added to a trial that has ended.
REPLICATE = "besom_replicate"

#: Fields of a record that Optuna itself stores, or ``PRESET``. Our attribute holds all
#: others, by their names, so that a new field needs nothing here.
_STORED_ELSEWHERE = {
    *("number", "values", "started", "finished", "constraints", "distributions", "raw_params"),
    *("baseline", "origin"),
}
_STORED = tuple(f.name for f in fields(TrialRecord) if f.name not in _STORED_ELSEWHERE)

#: Of these, what JSON does not have: how it is written and read. None is left out.
_CODECS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "outcome": (str, Outcome),
    "correct": (lambda bits: base64.b64encode(bits).decode("ascii"), base64.b64decode),
    "correct_by_epoch": (lambda bits: bits.stored, EpochBits),
    "per_example": (
        lambda kept: dict(kept.stored) or None,
        lambda stored: KeptExamples({metric: dict(known) for metric, known in stored.items()}),
    ),
    "runs": (lambda runs: runs or None, list),
}

#: What a trial function returns and a record keeps, under the same name.
_FROM_RESULT = [f.name for f in fields(TrialResult) if f.name in _STORED]

#: What is a trial's own text, which may hold characters that no file takes.
_TRIAL_TEXTS = {*_FROM_RESULT, "reason", "detail"} - _CODECS.keys()


def kept_of(result: TrialResult) -> dict[str, Any]:
    """The facts of a trial's result that its record keeps, by their names."""
    return {name: getattr(result, name) for name in _FROM_RESULT}


def to_attribute(record: TrialRecord) -> dict[str, Any]:
    """The JSON-able part of a record that is stored as the trial's user attribute."""
    attribute: dict[str, Any] = {name: getattr(record, name) for name in _STORED}
    for name, (write, _) in _CODECS.items():
        value = attribute.pop(name)
        if value is not None and (written := write(value)) is not None:
            attribute[name] = written
    return attribute


def origin_of(trial: FrozenTrial) -> Origin:
    """Where the config of one of Optuna's trials comes from."""
    return Origin(trial.user_attrs.get(PRESET, {}).get("origin", Origin.SAMPLED))


def waits_ahead(trial: FrozenTrial) -> bool:
    """Whether a trial has been asked for but not begun. Only samplers and a resume see it."""
    return trial.user_attrs.get(AHEAD) is True


def from_frozen(trial: FrozenTrial, folder: Path | None = None) -> TrialRecord:
    """The record of one of Optuna's trials; a trial without our attribute is shown as running.

    Args:
        trial: as stored.
        folder: the study's, with what is kept of each example.
    """
    attribute = trial.user_attrs.get(ATTRIBUTE, {})
    preset, origin = trial.user_attrs.get(PRESET, {}), origin_of(trial)
    known = _from_attribute(attribute)
    known.setdefault("params", preset.get("params", dict(trial.params)))
    is_taken = origin is Origin.WARM_START
    known.setdefault("outcome", Outcome.WARM_START if is_taken else Outcome.RUNNING)
    if not trial.state.is_finished():
        known["outcome"] = Outcome.RUNNING
    if folder is not None and "per_example" in known:
        path = StudyPaths(folder).prediction(trial.number)
        known["per_example"] = replace(known["per_example"], path=path)
    ranked = trial.state is TrialState.COMPLETE
    return TrialRecord(
        number=trial.number,
        values=tuple(map(float, trial.values)) if ranked and trial.values is not None else None,
        started=_started(trial),
        finished=trial.datetime_complete.timestamp() if trial.datetime_complete else None,
        baseline=origin is Origin.BASELINE,
        origin=origin,
        constraints=dict(trial.constraints),
        distributions=dict(trial.distributions),
        raw_params=dict(trial.params),
        **known,
    )


def _started(trial: FrozenTrial) -> float | None:
    began = trial.user_attrs.get(AHEAD)
    if isinstance(began, float):
        return began
    return trial.datetime_start.timestamp() if trial.datetime_start else None


def _from_attribute(attribute: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record that ``to_attribute`` has stored."""
    known = {name: attribute[name] for name in _STORED if name in attribute}
    known |= {name: storable(known[name]) for name in _TRIAL_TEXTS & known.keys()}
    for name, (_, read) in _CODECS.items():
        if stored := known.pop(name, None):
            known[name] = read(stored)
    return known


def store_replicate(study: optuna.Study, record: TrialRecord) -> None:
    """Store a replicate, all of it or nothing."""
    value = None if record.values is None else list(record.values)
    attribute = {**to_attribute(record), "values": value, "finished": record.finished}
    study.set_user_attr(f"{REPLICATE}:{record.number}:{record.seed}", attribute)


def _replicates(study: optuna.Study, folder: Path | None) -> Iterator[TrialRecord]:
    for name, attribute in study.user_attrs.items():
        if not name.startswith(f"{REPLICATE}:"):
            continue
        with _reading(study, f"the replicate {name!r}"):
            number = int(name.split(":")[1])
            known = _from_attribute(attribute)
            if folder is not None and "per_example" in known:
                path = StudyPaths(folder).replicate(number, int(attribute["seed"]))
                known["per_example"] = replace(known["per_example"], path=path)
            values = attribute["values"]
            yield TrialRecord(
                number=number,
                values=None if values is None else tuple(map(float, values)),
                finished=attribute["finished"],
                **known,
            )


@contextmanager
def _reading(study: optuna.Study, what: str) -> Iterator[None]:
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StudyError(
            f"The study {study.study_name!r} is damaged: what is stored of {what} is not a record "
            f"that besom wrote ({error!r:.200}). Restore the study from a backup copy, or start "
            "again with --fresh, which keeps the damaged one in the archive."
        ) from error


#: Records of trials that have ended, by their numbers, with what they were made from.
Known = dict[int, tuple["FrozenTrial", TrialRecord]]


def read_study(
    study: optuna.Study, folder: Path | None = None, known: Known | None = None
) -> StudyRecord:
    """Every trial of a study that besom made, except those that wait.

    Args:
        study: in Optuna's storage.
        folder: its own, with what is kept of each example; None: without that.
        known: what was read before, for whoever reads a study often; it is kept up to date.

    Raises:
        StudyError: the study was not made by besom, or what is stored is no record of it.
    """
    facts = study.user_attrs.get(STUDY_ATTRIBUTE)
    if facts is None:
        raise StudyError(
            f"The study {study.study_name!r} was not made by besom: it has no stored objective "
            "or config. Use Optuna's own tools for it."
        )
    # Not study.get_trials: besom's own study class hides the baseline from samplers where it must.
    records: list[TrialRecord] = []
    for trial in all_trials(study):
        if trial.state is not TrialState.WAITING and not waits_ahead(trial):
            records.append(_record_of(study, trial, folder, known))
    with _reading(study, "its definition"):
        return StudyRecord(
            name=study.study_name,
            objectives=tuple(Objective(**objective) for objective in facts["objectives"]),
            trials=tuple(records),
            config=facts["config"],
            facts={**facts, "environments": _environments(facts)},
            replicates=tuple(_replicates(study, folder)),
        )


def _record_of(
    study: optuna.Study, trial: FrozenTrial, folder: Path | None, known: Known | None
) -> TrialRecord:
    if known is not None and trial.number in known:
        stored, record = known[trial.number]
        if stored is trial:  # a trial that changes becomes another object
            return record
    with _reading(study, f"trial {trial.number}"):
        record = from_frozen(trial, folder)
    if known is not None and trial.state.is_finished():
        known[trial.number] = (trial, record)
    return record


def check_not_imported(study: StudyRecord, done: str) -> None:
    """Refuse what needs the configs of a study's trials.

    Args:
        study: any.
        done: what cannot be done with it, such as ``confirmed``.

    Raises:
        StudyError: it was imported.
    """
    if study.is_imported:
        raise StudyError(
            f"The study {study.name!r} was imported, so it cannot be {done}: its "
            "trials have hyperparameters, but no config to run. A new sweep can learn from it: "
            f"besom sweep SWEEP sweep.warm_start={study.name}"
        )


def _environments(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the trials ran with; studies from before do not say how much of a GPU a worker held."""
    executor = facts["config"].get("sweep", {}).get("executor", {})
    assumed = {"gpus_per_worker": 1.0 / int(executor.get("workers_per_gpu") or 1)}
    stored = storable(facts.get("environments", {}))
    return {identity: {**assumed, **environment} for identity, environment in stored.items()}
