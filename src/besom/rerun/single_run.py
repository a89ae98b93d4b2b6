"""``besom train`` and ``besom show``: a run without a sweep, and a look at the data."""

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
from besom.store.environment import data_in_words
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
from besom.trust import current

#: Prefixes of metric names, and the words for them.
_PREFIX_WORDS = (("val_", "validation "), ("test_", "test "), ("", "training "))

_CHOOSE_NOTHING = (
    "The test set is opened for this run, and its log says so. Choose nothing by the test metrics: "
    "`besom sweep` compares configs on validation examples instead."
)

#: The log names this many changed settings of a trial, and counts the rest.
_MOST_NAMED = 5


@dataclass(frozen=True)
class TrainRun:
    """A finished run.

    Attributes:
        paths: where it was written.
        history: metric name to its value after each epoch.
        test: the metrics on the test set; None if the dataset has none.
    """

    paths: TrainPaths
    history: dict[str, list[float]]
    test: dict[str, float] | None


def functions_of(config: str | None, composed: Composed) -> Path | None:
    """The folder of what a config was given from Python: beside its file, or in its study.

    Args:
        config: the path of the file, as the user gives it.
        composed: what it says.
    """
    source, folders = composed.config.get("source"), list[Path]()
    if config is not None:
        folders.append(Path(config).expanduser().absolute().parent)
    if isinstance(source, Mapping) and "study" in source:
        folders.append(Path(composed.config["results_dir"], str(source["study"])))
    found = (StudyPaths(folder).from_python for folder in folders)
    return next((folder for folder in found if folder.is_dir()), None)


def train_once(
    composed: Composed, results_dir: Path, say: Callable[[str], None] = print
) -> TrainRun:
    """Train what the config says, and write ``results/train/<name>/`` when everything is ready.

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
    with native_output_hidden():
        runtime.start()
        runtime.device()
    from besom.training.data.dataset import NoTestImages, label_gaps
    from besom.training.data.loading import load_test, load_training
    from besom.training.loss_kinds import suggested_task
    from besom.training.rehearsal import rehearse
    from besom.training.trainer import evaluate

    config = composed.config
    source = config.get("source")
    if isinstance(source, Mapping) and "trial_function" in source:
        own = source["trial_function"]
        say(f"This config was trained by {own}, which besom train does not call.")
    follow(names_in(config))  # before the data is read and the test set opened
    data = load_training(config["data"], suggested_task(config["trainer"].get("loss")))
    if data.is_remarkable:
        say(f"{data_in_words(runtime.environment(data))}.")
    if gaps := label_gaps(data):
        say(f"{gaps[:1].upper()}{gaps[1:]}.")
    identity = {"name": data.name, "fingerprint": data.fingerprint}
    every_epoch = config["trainer"].get("test_every_epoch", False)
    # Whatever will fail should fail here, before the test set is opened.
    tried = rehearse(config, data, opens_test=True, test=every_epoch)
    if tried.unsavable:
        say(f"The model cannot be saved, so no .keras file will be written: {tried.unsavable}.")
    try:
        test = load_test(config["data"], data)
    except NoTestImages as error:
        test = None
        if every_epoch:
            raise ConfigError(
                "trainer.test_every_epoch=true, but the dataset has no test set."
            ) from error
    if every_epoch:
        _log_opening(config, data_named(identity), results_dir, say)
        say(_CHOOSE_NOTHING)
    data = runtime.from_the_start(config, data)
    fitted = _fit(config, data, test if every_epoch else None, say)
    measured, unmeasured = None, ""
    if test is not None and not every_epoch:  # nothing has looked at it before
        try:
            _log_opening(config, data_named(identity), results_dir, say)
        except StudyError as error:  # the run is kept without its test
            unmeasured, test = str(error), None
    if test is not None:
        try:
            measured = evaluate(
                fitted.model,
                test.x,
                test.y,
                test.scale,
                by=fitted.engine,
                weight=test.sample_weight,
            )
        except Exception as error:  # opened or not: the training is kept
            unmeasured = f"The model cannot be measured on the test set: {reason_of(error)}."
    if measured is not None:
        say(f"Test {', '.join(f'{name} {value:.4f}' for name, value in measured.items())}")
    paths = TrainPaths.fresh(results_dir, name)
    metrics = {
        "test": measured,
        "last_epoch": {name: values[-1] for name, values in fitted.history.items()},
        "best_epoch": fitted.best_epoch,
        "n_params": fitted.model.count_params(),
        "seconds_per_epoch": fitted.seconds_per_epoch,
        "engine": fitted.engine,
        "input_scale": getattr(data.train, "scales", None),
        "data": identity,
        "versions": runtime.versions(),
    }
    missing = _write(paths, composed, fitted.model, data, fitted.history, metrics)
    if tried.unsavable:  # already mentioned
        missing.pop(paths.model.name, None)
    for remark in [*fitted.remarks.values(), *missing.values()]:
        say(remark)
    if unmeasured:
        raise StudyError(f"{unmeasured} The run is in {paths.root}, without its test.")
    return TrainRun(paths, fitted.history, measured)


def _fit(config: Mapping[str, Any], data: Any, test: Any, say: Callable[[str], None]) -> Any:
    """Train, with one line for the user per epoch; ``test``: measured after each, None: nothing."""
    from besom.training.trainer import fit

    def on_epoch(epoch: int, metrics: Mapping[str, float]) -> bool:
        say(f"Epoch {epoch}/{config['trainer']['epochs']}: {metrics_text(metrics)}")
        return False

    try:
        return fit(config, data, on_epoch=on_epoch, test=test)
    except (BesomError, TrialDiverged):
        raise
    except Exception as error:  # a callback's, or a later epoch's: nothing of it was rehearsed
        raise ConfigError(f"Training failed: {reason_of(error)}.") from error


def run_name(composed: Composed) -> str:
    """The run's ``name``, else the options chosen: ``mnist-mlp-adam``."""
    name = composed.config.get("name")
    if name is None:
        chosen = [composed.choices.get(group, "") for group in TRAIN_GROUPS[:3]]
        name = "-".join(option for option in chosen if option and not option.startswith("_"))
    return checked_name("name", str(name))


def metrics_text(metrics: Mapping[str, float]) -> str:
    """``training accuracy 0.9754, validation accuracy 0.9769``: each metric but the losses.

    Losses are included only if there is nothing else.
    """
    named = {name: value for name, value in metrics.items() if not name.endswith("loss")} or metrics
    parts = []
    for name, value in named.items():
        prefix, words = next(pair for pair in _PREFIX_WORDS if name.startswith(pair[0]))
        parts.append(f"{words}{name[len(prefix) :].replace('_', ' ')} {value:.4f}")
    return ", ".join(parts)


def _log_opening(
    config: Mapping[str, Any], data: str, results_dir: Path, say: Callable[[str], None]
) -> None:
    """Log that the test set is about to be opened, and for which config."""
    source, seed = config.get("source"), config["seed"]
    if not isinstance(source, Mapping) or "study" not in source:
        log_opening(outside(results_dir), "", None, seed, "train", data)
        return
    study, trial = str(source["study"]), source.get("trial")
    folder = StudyPaths.of(results_dir, study).root
    if folder.is_dir():
        log_opening(
            folder, study, trial, seed, _logged_command(results_dir, study, trial, config), data
        )
        return
    log_opening(outside(results_dir), study, trial, seed, "train", data)
    say(
        f"This config comes from the study {study!r}, which is not under {results_dir}. So the "
        f"opening of its test set is logged only in {outside(results_dir)}. Use "
        "results_dir=FOLDER to say where the study is."
    )


def _logged_command(
    results_dir: Path, name: str, trial: int | None, config: Mapping[str, Any]
) -> str:
    """``train``, with the settings of the trial's config that were changed since."""
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
    """What differs from the exported config: dotted paths, or whole groups that were replaced.

    The seed is not included: it has its own column in the log.
    """
    from besom.report.diff import contrast
    from besom.store.study_identity import as_of_now

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
def native_output_hidden() -> Iterator[None]:
    """Hide what TensorFlow's C++ code prints while it loads; no setting silences it."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no standard error at all
        yield
        return
    null_device = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null_device, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null_device)


def _write(
    paths: TrainPaths,
    composed: Composed,
    model: Any,
    data: Any,
    history: Mapping[str, list[float]],
    metrics: Mapping[str, Any],
) -> dict[str, str]:
    """Write the whole folder under a temporary name, then rename it in one step.

    Returns:
        What could not be written: file name to a line that says why.
    """
    from besom.plots import write_learning_curve
    from besom.training.saving import save_model

    missing: dict[str, str] = {}
    paths.root.parent.mkdir(parents=True, exist_ok=True)
    # Not mkdtemp, whose folder only its owner can read: the umask decides.
    remove_leftovers(paths.root.parent)
    partial = paths.root.with_name(temporary_prefix(paths.root) + secrets.token_hex(4))
    partial.mkdir()
    try:
        beside = TrainPaths(partial)
        config = {key: composed.config[key] for key in (*TRAIN_GROUPS, "seed", "source")}
        config["name"] = paths.root.name
        head = "# What `besom train` ran, resolved. Run it again: besom train THIS_FILE\n"
        write_atomically(beside.config, head + dump(config))
        given = current().functions
        if given is not None and config["source"] is None:  # a study keeps its own
            shutil.copytree(given, StudyPaths(partial).from_python)
        frame = pd.DataFrame(history)
        frame.insert(0, "epoch", range(1, len(frame) + 1))
        write_atomically(beside.history, csv(frame))
        best_epoch = metrics["best_epoch"]
        try:
            write_learning_curve(history, beside.learning_curve, paths.root.name, best_epoch)
        except Exception as error:  # a missing plot is no reason to lose the run
            file = paths.learning_curve.name
            missing[file] = f"{file} is missing: {reason_of(error)}."
        if problem := save_model(model, beside.model, data):
            missing[paths.model.name] = f"{paths.model.name} is missing: {problem}"
        write_atomically(beside.metrics, json.dumps(metrics, indent=2) + "\n")
        partial.rename(paths.root)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return missing
