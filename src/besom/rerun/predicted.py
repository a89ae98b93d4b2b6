"""``besom export --predictions``: what a trial's model predicts for each validation example."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from besom.errors import BesomError, DataError, StudyError, TrialDiverged, reason_of
from besom.rerun.single_run import native_output_hidden
from besom.rerun.stored_runs import (
    check_trusted,
    runs_in,
    same_data,
    stored_config,
    with_functions,
)
from besom.runs import RunOf
from besom.seam import KERAS_TRIALS, TrialConfig
from besom.store.environment import environment_then
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord, TrialRecord
from besom.store.stored_records import check_not_imported
from besom.targets import follow
from besom.text.counting import counted
from besom.text.values import csv_text
from besom.trust import trusting

_AT_ONCE = 1024


@with_functions
def validation_predictions(
    study: StudyRecord, trial: TrialRecord, paths: StudyPaths, say: Callable[[str], None]
) -> pd.DataFrame:
    """Return a row for each validation example, with its label and what is predicted for it.

    The kept model predicts; where the trial's was not kept, its config is trained again first. With
    folds, the model of each is trained again, and predicts the examples that it has not seen.

    Args:
        study, trial: whose validation examples and model.
        paths: where the study lives.
        say: told which of the two models it is.

    Returns:
        ``example``, its position in the training part of the data; with folds ``fold``, from 0,
        which had it held out (with several outputs the other columns begin with the output's name
        and a dot); ``label``; of classes ``prediction`` and
        the output for each class, ``p_<class>``; else the outputs, ``prediction``.

    Raises:
        StudyError: the trial was not trained with Keras here, or cannot be trained again.
        DataError: nothing is held out, or the data is not what it was.
    """
    check_not_imported(study, "retrained")
    if study.config["sweep"]["trial_function"] != KERAS_TRIALS or not trial.config:
        raise StudyError(
            f"Trial {trial.number} of {study.name!r} was not trained by besom's Keras trainer, so "
            "its predictions cannot be computed."
        )
    config = stored_config(trial)
    named = check_trusted(KERAS_TRIALS, {}, [trial])
    with trusting(named=named):
        from besom.training import runtime

        with native_output_hidden():
            runtime.start()
            runtime.device()
        from besom.training.saving import load_kept

        follow(named)
        if folds := [run for run in runs_in(study) if run.fold is not None and not run.repeat]:
            return _out_of_fold(study, trial, folds, say)
        data = runtime.training_data(config)
        _check_data(study, trial, data)
        kept, why = paths.model(trial.number), "was not kept"
        if kept.is_file():
            try:
                frame = _frame(load_kept(kept, data), data)
            except Exception as error:  # whatever a user's layers raise when they are loaded
                why = f"cannot be used ({reason_of(error)})"
            else:
                say(f"Predicted by the kept model of trial {trial.number}.")
                return frame
        say(f"The model of trial {trial.number} {why}: training it again.")
        return _frame(_trained(study, trial, config, data), data)


def _out_of_fold(
    study: StudyRecord, trial: TrialRecord, folds: list[RunOf], say: Callable[[str], None]
) -> pd.DataFrame:
    """What the model of each fold predicts for the examples of that fold, by example."""
    from besom.training import runtime

    config, frames = stored_config(trial), []
    if trial.best_epoch:
        # The weights that count are those of one epoch for all folds, not of each fold's own best.
        watching = {"patience": None, "restore_best": False, "epochs": trial.best_epoch}
        config["trainer"] = {**config["trainer"], **watching}
    say(
        f"Training the {counted(len(folds), 'fold')} of trial {trial.number} again, to predict "
        "each example by the model that has not seen it."
    )
    for run in folds:
        of_run = run.config(config)
        data = runtime.training_data(of_run)
        _check_data(study, trial, data)
        frame = _frame(_trained(study, trial, of_run, data), data)
        frame.insert(1, "fold", run.fold)
        frames.append(frame)
        runtime.free_models()
    return pd.concat(frames).sort_values("example", ignore_index=True)


def _trained(study: StudyRecord, trial: TrialRecord, config: TrialConfig, data: Any) -> Any:
    """The model of a trial, or of one of its runs, trained again in this process."""
    from besom.training.trainer import fit

    try:
        return fit(config, data, on_epoch=lambda *_: False).model
    except BesomError:
        raise
    except Exception as error:  # a trial that diverges, or whatever a user's model raises
        reason = str(error) if isinstance(error, TrialDiverged) else reason_of(error)
        raise StudyError(
            f"Trial {trial.number} of {study.name!r} cannot be trained again: {reason}."
        ) from error


def _check_data(study: StudyRecord, trial: TrialRecord, data: Any) -> None:
    if data.validation is None:
        raise DataError(f"{data.name} has no validation examples (data.validation_split=0).")
    then = environment_then(study, trial).get("data", {}).get("fingerprint")
    if same_data(study, trial) and then is not None and then != data.fingerprint:
        raise DataError(
            f"{data.name} has changed since the sweep (fingerprint {then} then, "
            f"{data.fingerprint} now), so its validation examples may be others."
        )


def _frame(model: Any, data: Any) -> pd.DataFrame:
    from besom.training.data.nests import is_nest, leaves
    from besom.training.epochs.batches import cached, evaluation_batches
    from besom.training.matching import part_matched
    from besom.training.outputs import Outputs

    part = part_matched(model, cached(data.validation))
    predicted: list[list[Any]] = []
    labels: list[list[Any]] = []
    for batch in evaluation_batches(part, _AT_ONCE):
        x, y = (*batch, None)[:2] if isinstance(batch, tuple) else (batch, None)
        predicted.append([np.asarray(leaf) for leaf in leaves(model(x, training=False))])
        labels.append([] if y is None else [np.asarray(leaf) for leaf in leaves(y)])
    outputs = [np.concatenate(parts).astype(np.float64) for parts in zip(*predicted, strict=True)]
    truths = [np.concatenate(parts) for parts in zip(*labels, strict=True)]
    described = Outputs.of(model, data.train)
    names = described.names if described is not None and len(outputs) > 1 else [""] * len(outputs)
    n = len(outputs[0])
    positions = np.arange(n) if data.positions is None else data.positions
    columns: dict[str, Any] = {"example": positions}
    kinds, classes = data.task.kind, data.class_names
    for i, (name, output) in enumerate(zip(names, outputs, strict=True)):
        kind = kinds.get(name) if isinstance(kinds, Mapping) else kinds
        kind = kind[i] if isinstance(kind, list) else kind
        own = classes.get(name) if isinstance(classes, Mapping) else classes
        truth = truths[i] if i < len(truths) and not is_nest(truths[i]) else None
        for key, column in _columns(output, truth, kind, own):
            columns[f"{name}.{key}" if name else key] = column
    return pd.DataFrame(columns)


def _columns(output: Any, truth: Any, kind: str | None, names: Any) -> Iterator[tuple[str, Any]]:
    """The columns of one output: (n, ...) numbers."""
    flat = output.reshape(len(output), -1)
    if kind in ("classification", "one-hot", "binary") and output.ndim <= 2:
        if truth is not None:
            classes = truth.argmax(axis=1) if kind == "one-hot" else truth.reshape(-1).astype(int)
            yield "label", _named(classes, names)
        if flat.shape[1] > 1:
            yield "prediction", _named(flat.argmax(axis=1), names)
            for i in range(flat.shape[1]):
                yield f"p_{_named(np.array([i]), names)[0]}", flat[:, i]
        else:
            yield "prediction", flat[:, 0]
        return
    if truth is not None and truth.dtype.kind in "biuf":
        yield from _wide("label", truth.reshape(len(truth), -1))
    yield from _wide("prediction", flat)


def _wide(key: str, values: Any) -> Iterator[tuple[str, Any]]:
    if values.shape[1] == 1:
        yield key, values[:, 0]
        return
    for i in range(values.shape[1]):
        yield f"{key}_{i}", values[:, i]


def _named(classes: Any, names: Any) -> Any:
    if names is None:
        return classes
    return np.array([csv_text(str(names[c])) for c in classes], object)
