"""One step of training, evaluation and saving, with a model that is thrown away.

What would fail in every trial fails here first, before a trial is spent on it and before a test
example is opened, in one sentence (``besom.training.misfits``). It is tried, not deduced: an engine
runs one epoch over a few examples.
"""

from __future__ import annotations

import logging
import math
import random
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from besom.errors import BesomError, ConfigError, reason_of
from besom.text.counting import counted
from besom.training import misfits
from besom.training.build import build_callbacks, build_model, seed_everything
from besom.training.data.examples import Examples, Stream
from besom.training.data.nests import leaves
from besom.training.epochs import keras_engine, own_fit
from besom.training.epochs.batches import (
    check_lasts,
    first_batch,
    first_of,
    in_memory,
    training_passes,
)
from besom.training.epochs.engine_choice import choose_engine, untraceable
from besom.training.epochs.job import EVALUATION_BATCH_SIZE, Job
from besom.training.epochs.per_example import kinds_of
from besom.training.epochs.rows import Rows
from besom.training.epochs.watch import Watch, monitored
from besom.training.fast import engine
from besom.training.fast.keras_private import random_state_kept
from besom.training.matching import matched
from besom.training.settings import TrainerSettings
from besom.training.trainer import check_monitor

log = logging.getLogger("besom")

#: Examples in the one batch; few, since a sweep waits for it.
N_EXAMPLES = 8

#: After so many seconds of the processor's, no further epoch of a ``trainer.fit`` is tried.
LONGEST_OWN_S = 10.0


@dataclass(frozen=True)
class Rehearsed:
    """What is known of a config before its first epoch.

    Attributes:
        engine: what a run of it takes, ``compiled`` or ``keras``; ``engine_reason`` says why.
        metrics: every name that its history will have.
        kinds: of each metric of the validation examples what it is: ``share``, ``mean``, ``other``.
        monitor: the metric that judges a trial where nothing else is said.
        open_ended: whether callbacks may add metrics of their own.
        n_params: the model's parameters.
        unsavable: why the model cannot be saved, in a line; empty if it can.
        comes_compiled: whether the model function returns it compiled.
    """

    engine: str
    engine_reason: str
    metrics: list[str]
    kinds: dict[str, str]
    monitor: str
    open_ended: bool
    n_params: int
    unsavable: str
    comes_compiled: bool


def rehearse(
    config: Mapping[str, Any], data: Any, *, opens_test: bool = False, test: bool = False
) -> Rehearsed:
    """Train, evaluate and save the config's model once, on a few examples, and throw it away.

    The callbacks are built, and never called. All random state is put back, so that what runs
    afterwards gives what it would have given without.

    Args:
        config: ``model``, ``optimizer``, ``trainer`` and ``seed``, resolved, plain.
        data: a ``besom.training.data.TrainingData``.
        opens_test: whether the run will be measured on test examples, which may be many more.
        test: whether it will be so after each epoch.

    Raises:
        ConfigError: the config cannot be trained; names the part of it that does not fit.
    """
    settings = TrainerSettings.from_config(config.get("trainer", {}))
    with _all_random_state_kept(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the run itself gives these warnings
        stage = _Stage(config, settings, data, opens_test)
        callbacks = build_callbacks(settings, data)
        chosen, reason, names, model = _tried(stage, callbacks)
        measured = [name for name in names if not name.startswith("val_")]
        monitor = monitored(settings, data.task.default_objective[0], names)
        check_monitor(settings, names + [f"test_{name}" for name in measured if test], monitor)
        n_params, kinds = model.count_params(), stage.kinds(model, names)
        found = (chosen, reason, names, kinds, monitor, bool(callbacks))
        return Rehearsed(*found, n_params, _unsavable(model), "compiled" in stage.remarks)


def _tried(stage: _Stage, callbacks: list[Any]) -> tuple[str, str, list[str], Any]:
    """The engine that a run would take, why, what it measures, and the model it has trained."""
    wanted, data, model = stage.settings.engine, stage.data, stage.model()
    if stage.settings.fit is not None:
        stage.check_steps()
        return "keras", own_fit.reason(stage.settings), stage.own_epochs(model), model
    parts = [part for part in (data.train, data.validation) if part is not None]
    chosen, reason = choose_engine(wanted, model, callbacks, *parts)
    misfits.check(model, stage.settings, data)
    stage.check_steps()
    try:
        return chosen, reason, stage.epoch(chosen, model), model
    except BesomError:
        raise
    except Exception as error:
        why, failed = error.__cause__ or error, error
    if wanted == "auto" and chosen == "compiled":
        model = stage.model()
        try:
            names = stage.epoch("keras", model)
        except BesomError:
            raise
        except Exception as error:  # it is not the engine's
            why, failed = error, error
        else:
            reason = untraceable(why)
            if isinstance(failed, engine.Untraceable):
                return "keras", reason, names, model
            raise ConfigError(f"{reason}. Set trainer.engine=keras.") from failed
    message = stage.explanation(why)
    if isinstance(failed, engine.Untraceable):
        message = (
            message or f"trainer.engine=compiled: {untraceable(why)}. Use trainer.engine=auto."
        )
    raise ConfigError(
        message or f"A step of training or evaluation fails: {reason_of(why)}."
    ) from failed


class _Stage:
    """A config and a few examples to try it on.

    Args:
        config, settings, data, opens_test: as for ``rehearse``.
    """

    def __init__(
        self, config: Mapping[str, Any], settings: TrainerSettings, data: Any, opens_test: bool
    ) -> None:
        self.settings, self.data = settings, data
        at_once = settings.evaluation_batch_size or EVALUATION_BATCH_SIZE
        self._in_batches = opens_test or data.n_validation > at_once
        self._config, self._seed = config, config.get("seed", 0)
        # Not as many as there are classes: shapes that do not fit would look as if they did.
        n = N_EXAMPLES - (data.num_classes == N_EXAMPLES)
        self._few = _few(data, min(n, settings.batch_size))
        self.remarks: dict[str, str] = {}

    def model(self) -> Any:
        """The config's model, newly built."""
        seed_everything(self._seed)
        return build_model(self._config, self.settings, self.data, self.remarks)

    def check_steps(self) -> None:
        """Refuse a stream of which it is not known how many steps an epoch has."""
        train, settings = self.data.train, self.settings
        if not in_memory(train):
            passes = training_passes(
                train, settings.batch_size, settings.steps_per_epoch, lambda _: np.arange(1)
            )
            check_lasts(train, passes.n_steps)

    def epoch(self, chosen: str, model: Any) -> list[str]:
        """Run an epoch of one step, and return what is measured."""
        few = matched(model, self._few, self.settings)
        n = few.train.n or N_EXAMPLES
        # Two batches to evaluate where the run has several: one alone needs no loop in the graph.
        settings = replace(
            self.settings,
            epochs=1,
            steps_per_epoch=None,
            patience=None,
            restore_best=False,
            evaluation_batch_size=max(n // 2, 1) if self._in_batches else None,
        )
        collector = _NameCollector(settings, model, lambda *_: False)
        job = Job(model, few, settings, self._seed, [], collector, Rows(None))
        (engine if chosen == "compiled" else keras_engine).fit(job)
        return self._names(collector)

    def own_epochs(self, model: Any) -> list[str]:
        """Run all epochs of ``trainer.fit``, for a while, and return what is measured."""
        few = matched(model, self._few, self.settings)
        settings = replace(
            self.settings, steps_per_epoch=None, patience=None, restore_best=False, monitor=None
        )
        began = time.process_time()
        collector = _NameCollector(
            settings, model, lambda *_: time.process_time() - began > LONGEST_OWN_S
        )
        job = Job(model, few, settings, self._seed, [], collector, Rows(None))
        try:
            own_fit.fit(job, self._config)
        except BesomError:
            raise
        except Exception as error:
            name = own_fit.name_of(settings)
            raise ConfigError(
                f"trainer.fit={name} fails on {counted(N_EXAMPLES, 'example')}, on which it is "
                f"tried: {reason_of(error)}."
            ) from error
        return self._names(collector)

    def _names(self, collector: _NameCollector) -> list[str]:
        if self.data.validation is not None:
            return collector.names
        return [name for name in collector.names if not name.startswith("val_")]

    def kinds(self, model: Any, names: list[str]) -> dict[str, str]:
        """What the metrics of the validation examples are, by a model that has made a step."""
        measured = [name.removeprefix("val_") for name in names if name.startswith("val_")]
        if not measured:
            return {}
        batch = first_batch(matched(model, self._few, self.settings).validation, N_EXAMPLES)
        try:
            found = kinds_of(model, measured, batch)
        except Exception as error:  # what is kept beside a trial never decides it
            log.debug("kinds of metrics: %s", reason_of(error))
            return {}
        return {f"val_{name}": kind for name, kind in found.items()}

    def explanation(self, error: BaseException) -> str:
        """Which part of the config makes a step fail, in a sentence; empty if that is not known."""
        model = self.model()
        few = matched(model, self._few, self.settings)
        x, y, weight = first_batch(few.train, N_EXAMPLES)
        return misfits.explain(error, model, self.settings, data=few, x=x, y=y, weight=weight)


class _NameCollector(Watch):
    """Notes the names of what is measured; that a first step diverges is left to the trial."""

    names: list[str]

    def epoch_ended(self, epoch: int, metrics: Mapping[str, Any], *args: Any, **more: Any) -> None:
        """Note the names, and refuse what is no single number; see ``Watch``."""
        self.names = list(metrics)
        finite = {name: _finite(name, value) for name, value in metrics.items()}
        super().epoch_ended(epoch, finite, *args, **more)


def _finite(name: str, value: Any) -> Any:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ConfigError(f"The metric {name!r} gives {value!r}, expected one number.")
    return value if array.size != 1 or math.isfinite(array.item()) else 0.0


def _few(data: Any, n: int) -> Any:
    """The data's first ``n`` examples of either part, the largest label among them.

    Without validation examples, training examples are used in their place: what a run is measured
    on at its end is tried, too.
    """
    train = _first(data.train, n)
    validation = train if data.validation is None else _first(data.validation, n)
    return replace(data, train=train, validation=validation)


def _first(part: Examples | Stream, n: int) -> Examples | Stream:
    """The first examples of a part in memory, or a stream of the first batch alone."""
    if isinstance(part, Examples):
        return part.take(_positions(part, n))
    return first_of(part)


def _positions(part: Examples, n: int) -> Any:
    """At most ``n`` of them: a loss that has too few outputs fails at the largest label."""
    positions = np.arange(min(n, part.n))
    labels = [y for y in ([] if part.y is None else leaves(part.y)) if np.ndim(y) == 1]
    for i, each in enumerate(labels[: len(positions)], start=1):
        if np.issubdtype(each.dtype, np.integer) and each.argmax() not in positions:
            positions[-i] = each.argmax()
    return positions


def _unsavable(model: Any) -> str:
    """Why the model cannot be saved, in a line; empty if it can, or if that cannot be tried."""
    try:
        with tempfile.TemporaryDirectory(prefix="besom-") as folder:
            model.save(Path(folder) / "model.keras")
    except OSError:  # the disk's fault
        return ""
    except Exception as error:
        return reason_of(error)
    return ""


@contextmanager
def _all_random_state_kept() -> Iterator[None]:
    """Put back what Python, NumPy, Keras and TensorFlow draw from, and count names by."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        with random_state_kept():
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
