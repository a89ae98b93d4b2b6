"""``besom train``: one run without a sweep, judged once on the test images, and kept."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from besom.config import TRAIN_GROUPS, Composed
from besom.errors import ConfigError
from besom.export import dump
from besom.layout import StudyPaths, TrainPaths, write_atomically
from besom.openings import log_opening

#: How the names of Keras's logs are said to people.
_SPOKEN = (("val_", "validation "), ("test_", "test "), ("", "training "))


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
        TrialDiverged: a metric became NaN or infinite.
    """
    from besom.training import runtime

    with _native_chatter_hidden():
        runtime.start()
        runtime.device()
    from besom.training.data import NoTestImages, load_test, load_training
    from besom.training.trainer import evaluate, fit

    config = composed.config
    data = load_training(config["data"])
    _log_opening(config, results_dir, say)
    try:
        test = load_test(config["data"], data)
    except NoTestImages:
        test = None
    epochs = config["trainer"]["epochs"]

    def on_epoch(epoch: int, metrics: Mapping[str, float]) -> bool:
        say(f"Epoch {epoch}/{epochs}: {spoken(metrics)}")
        return False

    every_epoch = config["trainer"].get("test_every_epoch", False)
    if every_epoch and test is None:
        raise ConfigError("trainer.test_every_epoch=true, but the dataset has no test images.")
    fitted = fit(config, data, on_epoch=on_epoch, test=test if every_epoch else None)
    measured = None if test is None else evaluate(fitted.model, test.x, test.y, test.scale)
    if measured is not None:
        say(f"Test {', '.join(f'{name} {value:.4f}' for name, value in measured.items())}")
    paths = TrainPaths.fresh(results_dir, run_name(composed))
    metrics = {
        "test": measured,
        "last_epoch": {name: values[-1] for name, values in fitted.history.items()},
        "best_epoch": fitted.best_epoch,
        "n_params": fitted.model.count_params(),
        "seconds_per_epoch": fitted.seconds_per_epoch,
        "engine": fitted.engine,
        "input_scale": data.scale,
        "data": {"name": data.name, "fingerprint": data.fingerprint},
        "versions": runtime.versions(),
    }
    _write(paths, composed, fitted.model, fitted.history, metrics)
    return TrainRun(paths, fitted.history, measured)


def run_name(composed: Composed) -> str:
    """The run's ``name``, else the options chosen: ``mnist-mlp-adam``."""
    name = composed.config.get("name")
    if name is None:
        chosen = [composed.choices.get(group, "") for group in TRAIN_GROUPS[:3]]
        name = "-".join(option for option in chosen if option and not option.startswith("_"))
    if not name or "/" in name or name.startswith("."):
        raise ConfigError(f"name is {name!r}; it is a folder under results/train, without '/'.")
    return str(name)


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


def _log_opening(config: Mapping[str, Any], results_dir: Path, say: Callable[[str], None]) -> None:
    """A config that comes from a study is about to be judged on the test images: write it down."""
    source = config.get("source")
    if not isinstance(source, Mapping) or "study" not in source:
        return
    folder = StudyPaths.of(results_dir, str(source["study"])).root
    if folder.is_dir():
        log_opening(folder, str(source["study"]), source.get("trial"), config["seed"], "train")
    else:
        say(
            f"This config comes from the study {source['study']!r}, which is not under "
            f"{results_dir}: that its test images are opened here is not logged there. "
            "results_dir=FOLDER says where it is."
        )


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
) -> None:
    """Write the whole folder beside its place, then move it there in one step."""
    from besom.plots import write_learning_curve

    paths.root.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=paths.root.parent, prefix=f".{paths.root.name}."))
    try:
        beside = TrainPaths(partial)
        config = {key: composed.config[key] for key in (*TRAIN_GROUPS, "seed", "source")}
        config["name"] = paths.root.name
        head = "# What `besom train` ran, resolved. Run it again: besom train THIS_FILE\n"
        write_atomically(beside.config, head + dump(config))
        frame = pd.DataFrame(history)
        frame.insert(0, "epoch", range(1, len(frame) + 1))
        write_atomically(beside.history, frame.to_csv(index=False))
        write_learning_curve(history, beside.learning_curve, paths.root.name, metrics["best_epoch"])
        model.save(beside.model)
        write_atomically(beside.metrics, json.dumps(metrics, indent=2) + "\n")
        partial.chmod(0o755)
        partial.rename(paths.root)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
