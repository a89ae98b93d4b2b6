"""A trial's trained model: the one that was kept, or its config trained once more.

It is trained in one worker, as the trial was, and with as many threads: the caller's process keeps
its own TensorFlow settings, and on the same machine the model is the same.
"""

from __future__ import annotations

import copy
import os
import secrets
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from besom.errors import StudyError, reason_of
from besom.executors.base import Epoch, Failed, Finished
from besom.executors.run_loop import RunLoop, TrialSource, TrialTask
from besom.executors.session import started
from besom.executors.stop import Ending
from besom.report.export import exported_config, own_function
from besom.rerun.single_run import native_output_hidden
from besom.rerun.stored_runs import (
    check_trusted,
    executor_config,
    runs_in,
    same_data,
    stored_config,
)
from besom.seam import TrialConfig
from besom.store.environment import environment_then
from besom.store.paths import StudyPaths, temporary_prefix
from besom.store.pooled_mistakes import pool_mistakes
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.store.stored_records import check_not_imported
from besom.targets import instantiate
from besom.text.counting import counted
from besom.trust import trusting


def trained_model(
    study: StudyRecord, trial: TrialRecord, paths: StudyPaths, say: Callable[[str], None]
) -> Any:
    """Load a trial's model with Keras in this process; where none was kept, train it again first.

    Args:
        study, trial: whose model.
        paths: where the study lives.
        say: told if it is trained again.

    Returns:
        A ``keras.Model`` that takes what the model of ``besom export --model`` takes.

    Raises:
        StudyError: the trial cannot be trained again, or its model not be saved or loaded.
        KeyboardInterrupt: training was interrupted.
    """
    with model_file(study, trial, paths, say) as path:
        return _loaded(path)


@contextmanager
def model_file(
    study: StudyRecord, trial: TrialRecord, paths: StudyPaths, say: Callable[[str], None]
) -> Iterator[Path]:
    """While open, a ``.keras`` of a trial: the kept one, else one that is trained first.

    Args:
        study, trial, paths, say: as for ``trained_model``.

    Raises:
        StudyError: as ``retrained_model``; or a file cannot be written.
    """
    kept = paths.model(trial.number)
    if kept.is_file():
        yield kept
        return
    folder = paths.root / f"{temporary_prefix(Path('retrained'))}{secrets.token_hex(4)}"
    try:
        folder.mkdir()
        retrained_model(study, trial, paths, folder / "model.keras", say)
        yield folder / "model.keras"
    except OSError as error:
        raise StudyError(
            f"{error.filename or folder} cannot be written: {error.strerror or error}. Free disk "
            "space or fix the permissions."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def retrained_model(
    study: StudyRecord,
    trial: TrialRecord,
    paths: StudyPaths,
    target: Path,
    say: Callable[[str], None],
) -> None:
    """Train a trial's config once more in a worker, and write the model to ``target``.

    Args:
        study, trial: what is trained.
        paths: where the study lives; the worker's log goes there.
        target: a ``.keras`` file; its folder exists.
        say: told that it is trained, and on what.

    Raises:
        StudyError: there is no config to train, training failed, or the model cannot be saved.
        KeyboardInterrupt: it was interrupted.
    """
    _check_has_config(trial, study)
    config, how = _config(study, trial)
    say(f"No model of trial {trial.number} of {study.name} was kept: training it again {how}.")
    orders = {"save_model": {"path": os.path.relpath(target, paths.root), "better_than": None}}
    ended = _run_again(study, trial, paths, [{**config, "orders": orders}])
    if not target.is_file():
        raise StudyError(f"{_why_unsaved(study, trial, ended[0])}")


def find_mistakes(
    study: StudyRecord, trial: TrialRecord, paths: StudyPaths, say: Callable[[str], None]
) -> None:
    """Train a trial's config once more in a worker, and keep what it gets wrong.

    With folds the model of each is trained again, and judges the examples that it has not seen.

    Args:
        study, trial: what is trained.
        paths: where the study lives.
        say: told that it is trained.

    Raises:
        StudyError: there is no config to train, training failed, or nothing was written.
        KeyboardInterrupt: it was interrupted.
    """
    check_not_imported(study, "retrained")
    _check_has_config(trial, study)
    config = stored_config(trial)
    runs = [run for run in runs_in(study) if not run.repeat]
    of_runs = counted(len(runs), "fold") + ", " if len(runs) > 1 else ""
    say(
        f"Training trial {trial.number} of {study.name} again ({of_runs}"
        f"{_epochs_of(trial)}), to see what it gets wrong."
    )
    parts = [paths.mistakes_part(trial.number, run.index) for run in runs]
    configs = []
    for run, part in zip(runs, parts, strict=True):
        order = {"path": part.relative_to(paths.root).as_posix(), "better_than": None}
        configs.append({**run.config(config), "orders": {"mistakes": order}})
    ended = _run_again(study, trial, paths, configs)
    then, now = environment_then(study, trial), ended[0].result.environment
    prints = [known.get("data", {}).get("fingerprint") for known in (then, now)]
    if same_data(study, trial) and None not in prints and prints[0] != prints[1]:
        say("The data has changed since the sweep, so these validation examples may be others.")
    target = paths.mistakes_of(trial.number)
    target.unlink(missing_ok=True)
    problem = pool_mistakes(parts, target)
    if problem or not target.is_file():
        remarks = [one.result.environment.get("remarks") or {} for one in ended]
        known = next((str(found["mistakes"]) for found in remarks if "mistakes" in found), "")
        who = own_function(study) or "the trial function"
        raise StudyError(
            problem or known or f"{who} wrote nothing to config['orders']['mistakes']['path']."
        )


def _check_has_config(trial: TrialRecord, study: StudyRecord) -> None:
    if not trial.config:
        raise StudyError(
            f"Trial {trial.number} of {study.name!r} has no config to train: it is {trial.outcome}."
        )


def _run_again(
    study: StudyRecord, trial: TrialRecord, paths: StudyPaths, configs: list[TrialConfig]
) -> list[Finished]:
    """Run configs in one worker, one after the other, and return how each ended."""
    threads = environment_then(study, trial).get("device", {}).get("threads")
    node = executor_config(study, (), workers=1, threads=threads)
    function = study.config["sweep"]["trial_function"]
    first = {key: value for key, value in configs[0].items() if key != "orders"}
    again = _RunsAgain(deque(TrialTask(i, config) for i, config in enumerate(configs)))
    executor = instantiate(node)
    logs = paths.logs / "retrained"
    with (
        trusting(functions=paths.from_python),
        trusting(named=check_trusted(function, node, [trial])),
        started(executor, function, first, logs, len(configs), paths.root),
    ):
        ending = RunLoop(executor, again, None).run_with_signals()
    if again.failed is not None:
        raise StudyError(
            f"Trial {trial.number} of {study.name!r} cannot be trained again: "
            f"{again.failed.reason}. The worker's log is in {logs}."
        )
    if ending is not Ending.DONE or len(again.ended) < len(configs):
        raise KeyboardInterrupt(f"the training of trial {trial.number} was interrupted")
    return again.ended


def _epochs_of(trial: TrialRecord) -> str:
    """How long a trial trains again: one that did not complete is not stopped where it ended."""
    planned = (trial.config.get("trainer") or {}).get("epochs")
    if trial.outcome is Outcome.COMPLETE or not isinstance(planned, int):
        return counted(trial.epochs, "epoch")
    return counted(planned, "epoch")


def _config(study: StudyRecord, trial: TrialRecord) -> tuple[TrialConfig, str]:
    """What is trained, and how, in words."""
    if not (study.config.get("sweep") or {}).get("folds"):
        return stored_config(trial), f"({_epochs_of(trial)})"
    exported = copy.deepcopy(exported_config(study, trial))
    config = {key: value for key, value in exported.items() if key not in ("name", "source")}
    return config, "on all of the training part, with the epochs that the folds found"


def _why_unsaved(study: StudyRecord, trial: TrialRecord, end: Finished) -> str:
    remarks = end.result.environment.get("remarks")
    if isinstance(remarks, Mapping) and "model" in remarks:
        return str(remarks["model"])
    who = own_function(study) or "the trial function"
    return (
        f"Trial {trial.number} of {study.name!r} was trained again, but {who} wrote no model to "
        "config['orders']['save_model']['path']."
    )


def _loaded(path: Path) -> Any:
    from besom.training import runtime

    if "keras" not in sys.modules:
        with native_output_hidden():
            runtime.start()
            runtime.device()
    from besom.training.saving import load_model

    try:
        return load_model(path, _own_classes())
    except Exception as error:  # whatever a user's layers raise when they are loaded
        raise StudyError(
            f"The model {path.name} cannot be loaded: {reason_of(_first_of(error))}. Import or "
            "define the layers and functions that it names first, give the layers a get_config(), "
            "and register them with @keras.saving.register_keras_serializable(). The __init__ of "
            "such a class takes **kwargs too, and passes them to super().__init__()."
        ) from error


def _first_of(error: BaseException) -> BaseException:
    """What went wrong first: Keras wraps it in one error for each layer of its own code."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return error


def _own_classes() -> dict[str, Any]:
    """The classes and functions of the caller's notebook or script, which a model may name."""
    defined = vars(sys.modules["__main__"]).items()
    return {
        name: found
        for name, found in defined
        if callable(found) and getattr(found, "__module__", None) == "__main__"
    }


@dataclass
class _RunsAgain(TrialSource):
    """Runs, one after the other, until one fails."""

    waiting: deque[TrialTask]
    ended: list[Finished] = field(default_factory=list)
    failed: Failed | None = None

    def has_next(self) -> bool:
        return bool(self.waiting) and self.failed is None

    def next_trial(self) -> TrialTask:
        return self.waiting.popleft()

    def stops_after(self, event: Epoch) -> bool:  # noqa: ARG002
        return False

    def on_ended(self, event: Finished | Failed, was_stopped: bool) -> None:  # noqa: ARG002
        if isinstance(event, Failed):
            self.failed = event
        else:
            self.ended.append(event)
