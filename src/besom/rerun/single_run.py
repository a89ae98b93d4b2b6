"""``besom train``: one run without a sweep, judged once on the test images, and kept."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from besom.config import TRAIN_GROUPS, Composed
from besom.errors import BesomError, ConfigError, StudyError, TrialDiverged, reason_of
from besom.report.export import dump, exported_config, find_trial
from besom.report.tables import csv
from besom.store.paths import (
    StudyPaths,
    TrainPaths,
    checked_name,
    remove_leftovers,
    temporary_prefix,
    write_atomically,
)
from besom.store.test_set_log import data_named, log_opening, outside
from besom.targets import follow, names_in, refuse_untrusted

#: How the names of Keras's logs are said to people.
_SPOKEN = (("val_", "validation "), ("test_", "test "), ("", "training "))

#: The log names this many changed settings of a trial, and counts the rest.
_MOST_NAMED = 5


@dataclass(frozen=True)
class TrainRun:
    """A finished run.

    Attributes:
        paths: where it was written.
        history: metric name to its value after each epoch.
        test: the metrics on the test images; None where the dataset has none.
    """

    paths: TrainPaths
    history: dict[str, list[float]]
    test: dict[str, float] | None


def train_once(
    composed: Composed, results_dir: Path, say: Callable[[str], None] = print
) -> TrainRun:
    """Train what the config says, and write ``results/train/<name>/`` when all of it is there.

    Args:
        composed: a composed ``conf/train.yaml``.
        results_dir: where ``train/<name>/`` is made.
        say: called with each line for the user.

    Raises:
        ConfigError, DataError: the config cannot be trained, or the data cannot be loaded.
        StudyError: the opening of the test images cannot be logged.
        TrialDiverged: a metric became NaN or infinite.
    """
    from besom.training import runtime

    refuse_untrusted(composed.config)
    name = run_name(composed)  # refused before anything is trained
    with _native_chatter_hidden():
        runtime.start()
        runtime.device()
    from besom.training.data.builtin import NoTestImages, label_gaps, load_test, load_training
    from besom.training.error_text import sentence
    from besom.training.rehearsal import rehearse
    from besom.training.trainer import evaluate, fit

    config = composed.config
    follow(names_in(config))  # before the data is read, and the test images opened
    data = load_training(config["data"])
    if gaps := label_gaps(data):
        say(f"{gaps[:1].upper()}{gaps[1:]}.")
    identity = {"name": data.name, "fingerprint": data.fingerprint}
    epochs = config["trainer"]["epochs"]
    every_epoch = config["trainer"].get("test_every_epoch", False)
    # What would fail, fails here, before the opening.
    tried = rehearse(config, data, opens_test=True, test=every_epoch)
    if tried.unsavable:
        say(f"The model cannot be saved, so there will be no .keras of it: {tried.unsavable}.")
    try:
        test = load_test(config["data"], data)
    except NoTestImages:
        test = None

    def on_epoch(epoch: int, metrics: Mapping[str, float]) -> bool:
        say(f"Epoch {epoch}/{epochs}: {spoken(metrics)}")
        return False

    if every_epoch and test is None:
        raise ConfigError("trainer.test_every_epoch=true, but the dataset has no test images.")
    if every_epoch:
        _log_opening(config, data_named(identity), results_dir, say)
    try:
        fitted = fit(config, data, on_epoch=on_epoch, test=test if every_epoch else None)
    except (BesomError, TrialDiverged):
        raise
    except Exception as error:  # a callback's, or a later epoch's: nothing of it was rehearsed
        raise ConfigError(f"Training failed: {sentence(error)}.") from error
    measured = None
    if test is not None:
        if not every_epoch:  # nothing has looked at them before
            _log_opening(config, data_named(identity), results_dir, say)
        measured = evaluate(fitted.model, test.x, test.y, test.scale, by=fitted.engine)
        say(f"Test {', '.join(f'{name} {value:.4f}' for name, value in measured.items())}")
    paths = TrainPaths.fresh(results_dir, name)
    metrics = {
        "test": measured,
        "last_epoch": {name: values[-1] for name, values in fitted.history.items()},
        "best_epoch": fitted.best_epoch,
        "n_params": fitted.model.count_params(),
        "seconds_per_epoch": fitted.seconds_per_epoch,
        "engine": fitted.engine,
        "input_scale": data.scale,
        "data": identity,
        "versions": runtime.versions(),
    }
    missing = _write(paths, composed, fitted.model, fitted.history, metrics)
    if tried.unsavable:  # said before
        missing.pop(paths.model.name, None)
    for remark in [*fitted.remarks.values(), *missing.values()]:
        say(remark)
    return TrainRun(paths, fitted.history, measured)


def run_name(composed: Composed) -> str:
    """The run's ``name``, else the options chosen: ``mnist-mlp-adam``."""
    name = composed.config.get("name")
    if name is None:
        chosen = [composed.choices.get(group, "") for group in TRAIN_GROUPS[:3]]
        name = "-".join(option for option in chosen if option and not option.startswith("_"))
    return checked_name("name", str(name))


def spoken(metrics: Mapping[str, float]) -> str:
    """``training accuracy 0.9754, validation accuracy 0.9769``: each metric but the losses.

    Losses are told only where nothing else is.
    """
    named = {name: value for name, value in metrics.items() if not name.endswith("loss")} or metrics
    parts = []
    for name, value in named.items():
        prefix, words = next(pair for pair in _SPOKEN if name.startswith(pair[0]))
        parts.append(f"{words}{name[len(prefix) :].replace('_', ' ')} {value:.4f}")
    return ", ".join(parts)


def _log_opening(
    config: Mapping[str, Any], data: str, results_dir: Path, say: Callable[[str], None]
) -> None:
    """The test images are about to be opened: write down for which config, in whose name."""
    source, seed = config.get("source"), config["seed"]
    if not isinstance(source, Mapping) or "study" not in source:
        log_opening(outside(results_dir), "", None, seed, "train", data)
        return
    study, trial = str(source["study"]), source.get("trial")
    folder = StudyPaths.of(results_dir, study).root
    if folder.is_dir():
        log_opening(folder, study, trial, seed, _command(results_dir, study, trial, config), data)
        return
    log_opening(outside(results_dir), study, trial, seed, "train", data)
    say(
        f"This config comes from the study {study!r}, which is not under {results_dir}: that its "
        f"test images are opened here is logged in {outside(results_dir)} only. "
        "results_dir=FOLDER says where the study is."
    )


def _command(results_dir: Path, name: str, trial: int | None, config: Mapping[str, Any]) -> str:
    """``train``, and what has been changed in the trial's config since, which is another then."""
    from besom.store.storage import load_record  # Optuna: not for a run without a study

    if trial is None:
        return "train"
    try:
        study = load_record(results_dir, name)
        exported = exported_config(study, find_trial(study, trial))
    except StudyError:
        return "train (not compared: the study has no such trial)"
    changed = changed_settings(exported, config)
    more = [f"{len(changed) - _MOST_NAMED} more"] if len(changed) > _MOST_NAMED else []
    named = ", ".join(changed[:_MOST_NAMED] + more)
    return f"train (changed: {named})" if changed else "train"


def changed_settings(exported: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """What is trained otherwise than was exported: dotted paths, or a group that was exchanged.

    The seed is none of it: it has a column of its own in the log.
    """
    from besom.report.diff import contrast
    from besom.store.defaults import as_of_now

    now = {group: config[group] for group in TRAIN_GROUPS}
    was = as_of_now({group: exported.get(group, {}) for group in TRAIN_GROUPS}, now)
    changed = []
    for group in TRAIN_GROUPS:
        if was[group].get("_target_") != now[group].get("_target_"):
            changed.append(group)
        else:
            changed += [f"{group}.{path}" for path, *_ in contrast(was[group], now[group])]
    return changed


@contextmanager
def _native_chatter_hidden() -> Iterator[None]:
    """Keep what TensorFlow's C++ writes while it loads off the screen; no setting silences it."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no standard error at all
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _write(
    paths: TrainPaths,
    composed: Composed,
    model: Any,
    history: Mapping[str, list[float]],
    metrics: Mapping[str, Any],
) -> dict[str, str]:
    """Write the whole folder beside its place, then move it there in one step.

    Returns:
        What is missing in it: file name to a line that says why. The rest is there.
    """
    from besom.plots import write_learning_curve
    from besom.training.saving import save_model

    missing: dict[str, str] = {}
    paths.root.parent.mkdir(parents=True, exist_ok=True)
    # Not mkdtemp, whose folder is its owner's alone: here as everywhere, the umask decides.
    remove_leftovers(paths.root.parent)
    partial = paths.root.with_name(temporary_prefix(paths.root) + secrets.token_hex(4))
    partial.mkdir()
    try:
        beside = TrainPaths(partial)
        config = {key: composed.config[key] for key in (*TRAIN_GROUPS, "seed", "source")}
        config["name"] = paths.root.name
        head = "# What `besom train` ran, resolved. Run it again: besom train THIS_FILE\n"
        write_atomically(beside.config, head + dump(config))
        frame = pd.DataFrame(history)
        frame.insert(0, "epoch", range(1, len(frame) + 1))
        write_atomically(beside.history, csv(frame))
        best_epoch = metrics["best_epoch"]
        try:
            write_learning_curve(history, beside.learning_curve, paths.root.name, best_epoch)
        except Exception as error:  # a picture decides nothing
            file = paths.learning_curve.name
            missing[file] = f"{file} is missing: {reason_of(error)}."
        if problem := save_model(model, beside.model):
            missing[paths.model.name] = f"{paths.model.name} is missing: {problem}"
        write_atomically(beside.metrics, json.dumps(metrics, indent=2) + "\n")
        partial.rename(paths.root)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return missing
