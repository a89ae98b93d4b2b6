"""Runs a user's own function in place of ``model.fit``: ``trainer.fit``.

The function calls ``model.fit`` as often as it likes, on batches that arrive as the other engines
train on them, and compiles the model between its calls. Epochs are counted across the calls by a
callback, which measures and reports each of them, and ends the function by an exception: setting
``model.stop_training`` would end one call only.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.errors import ConfigError, TrainingStopped
from besom.targets import PARTIAL, TARGET, function_name
from besom.training.data.examples import Examples, Stream, is_ragged
from besom.training.data.nests import map_nest
from besom.training.epochs.batches import Passes, in_memory, stream_problems, tensors_of
from besom.training.epochs.job import EpochsRun, Job
from besom.training.epochs.keras_engine import (
    recorded_validation,
    restored_rows,
    training_batches,
    validation_batches,
)
from besom.training.epochs.measuring import Before, Measuring
from besom.training.epochs.recompiling import Recompiled, recompiling_noticed
from besom.training.fast.tensors import ready
from besom.training.making import instantiated
from besom.training.settings import TrainerSettings

#: The key of a config that holds what the coordinator asks of a trial: not for the function.
_ORDERS = "orders"


def name_of(settings: TrainerSettings) -> str:
    """The dotted name of the function."""
    return function_name(settings.fit)


def reason(settings: TrainerSettings) -> str:
    """Why the run is not the compiled engine's."""
    return f"trainer.fit={name_of(settings)}"


def function_of(settings: TrainerSettings) -> Callable[..., Any]:
    """The function, with the arguments of its node.

    Raises:
        ConfigError: there is no such function, or it cannot be called as ``trainer.fit`` is.
    """
    node = {TARGET: settings.fit} if isinstance(settings.fit, str) else settings.fit
    function: Callable[..., Any] = instantiated("trainer.fit", {**node, PARTIAL: True})
    try:
        inspect.signature(function).bind(None, None, None, None)
    except (TypeError, ValueError) as error:
        more = "".join(f", {key}=..." for key in node if not key.startswith("_"))
        raise ConfigError(
            f"trainer.fit={name_of(settings)} is called as fit(model, data, config, "
            f"callbacks{more}), which it cannot be: {error}."
        ) from error
    return function


def fit(job: Job, config: Mapping[str, Any]) -> EpochsRun:
    """Run the job's epochs by ``trainer.fit``.

    Args:
        job: what is trained.
        config: the run's, of which the function gets a copy.

    Raises:
        ConfigError: the function ran no epoch, or returned something else than a ``History``; and
            what the function raises, or what the run's watch does.
    """
    name, function = name_of(job.settings), function_of(job.settings)
    validation, recorder = recorded_validation(job)
    measuring = Measuring(job, recorder)
    with (
        recorder.attached_to(job.model) if recorder else nullcontext(),
        recompiling_noticed(job.model) as recompiled,
    ):
        reports = _Reports(job, measuring, recompiled)
        plain = copy.deepcopy({key: value for key, value in config.items() if key != _ORDERS})
        callbacks = [Before(measuring), *job.callbacks, reports]
        returned: Any = None
        passes = None if in_memory(job.data.train) else training_batches(job)
        given = FitData(job, validation, passes)
        try:
            with warnings.catch_warnings():
                # It is shuffled, though not by tf.data.
                warnings.filterwarnings("ignore", "`shuffle=True` was passed", UserWarning)
                returned = function(job.model, given, plain, callbacks)
        except BaseException as error:
            of_batches = isinstance(error, tf.errors.OpError)
            if passes and reports.ended is None and (passes.problems or of_batches):
                with stream_problems(passes, lambda: measuring.epoch):
                    raise
            if reports.ended is None or not isinstance(error, Exception):
                raise
    if isinstance(reports.ended, TrainingStopped):
        for callback in job.callbacks if reports.in_train else ():
            callback.on_train_end()
    elif reports.ended is not None:
        raise reports.ended
    elif returned is not None and not isinstance(returned, keras.callbacks.History):
        raise ConfigError(
            f"trainer.fit={name} returned a {type(returned).__name__}, expected the History of its "
            "last model.fit. The model that is kept is the one it was given."
        )
    if not job.watch.history:
        raise ConfigError(
            f"trainer.fit={name} ended without an epoch: hand the callbacks that it is given to "
            "model.fit, as callbacks=callbacks."
        )
    compiled_later = recompiled.since_last() or reports.compiled_in > job.watch.counted_epoch
    rows = restored_rows(job, validation)
    remarks = _remarks(job, reports)
    return EpochsRun(measuring.seconds, rows, None, remarks, compiled_later)


def _remarks(job: Job, reports: _Reports) -> dict[str, str]:
    name, remarks = name_of(job.settings), {}
    if job.watch.changed_later:
        remarks["weights"] = (
            f"trainer.fit={name} changes the weights after the last epoch that was measured. The "
            "weights that were measured are kept, without that change. Hand callbacks=callbacks "
            "and validation_data=data.validation to every call of model.fit."
        )
    if reports.too_many:
        remarks["epochs"] = (
            f"trainer.fit={name} was ended after trainer.epochs={job.settings.epochs} epochs, and "
            "would have run more. Let its calls of model.fit share config['trainer']['epochs']."
        )
    return remarks


class _Reports(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports each epoch, counted across the calls of ``model.fit``; called after all others.

    Attributes:
        ended: what has ended the run; whoever goes on regardless is ended by it again.
        too_many: whether an epoch more than ``trainer.epochs`` was begun.
        in_train: whether a call of ``model.fit`` was cut short.
        compiled_in: the last epoch before which the model was compiled anew; 0: none.
    """

    def __init__(self, job: Job, measuring: Measuring, recompiled: Recompiled) -> None:
        super().__init__()
        self._job, self._measuring, self._recompiled = job, measuring, recompiled
        self.ended: BaseException | None = None
        self.too_many = self.in_train = False
        self.compiled_in = 0

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self.in_train = True

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        self.in_train = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._check_goes_on()
        self._measuring.epoch = len(self._measuring.seconds) + 1
        if self._recompiled.since_last():  # model.fit makes its function only once
            self.model.make_train_function()
            self.compiled_in = self._measuring.epoch

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        self._measuring.test_begins()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._check_goes_on()
        n = len(self._measuring.seconds) + 1
        try:
            if not logs:
                raise ConfigError(
                    f"trainer.fit={name_of(self._job.settings)} ends an epoch without metrics: "
                    f"on_epoch_end({epoch}, logs) needs them, as {{'loss': ...}}."
                )
            self._measuring.epoch_ended(n, dict(logs))
        except BaseException as error:
            self.ended = error
            raise
        self._measuring.epoch_begins(n + 1)
        if self._job.watch.ended:
            self._end()

    def _check_goes_on(self) -> None:
        if self.ended is not None:
            raise self.ended
        if len(self._measuring.seconds) >= self._job.settings.epochs:
            self.too_many = True
            self._end()

    def _end(self) -> None:
        self.ended = TrainingStopped("besom ends this run here")
        raise self.ended


class FitData:
    """What ``trainer.fit`` trains on, as the model takes it: inputs are scaled.

    Attributes:
        train: the batches of one epoch; in another order each time it is iterated over.
        validation: the batches that an epoch is measured by; None: there are none.
        n_train, n_validation: how many examples there are; None: not known.
        num_classes, class_names: of the labels; None: there are none.
    """

    def __init__(
        self, job: Job, validation: Examples | Stream | None, passes: Passes | None
    ) -> None:
        self._train, self._validation = job.data.train, validation
        self.train = _shuffled_anew(job) if passes is None else _epoch_by_epoch(job, passes)
        self.validation = validation_batches(validation, job.evaluation_batch_size)
        self.n_train, self.n_validation = self._train.n, 0 if validation is None else validation.n
        self.num_classes = job.data.num_classes
        self.class_names = getattr(job.data, "class_names", None)

    @property
    def x_train(self) -> Any:
        """The training inputs, a nest of arrays (n_train, ...)."""
        return _inputs(self._train, "train")

    @property
    def y_train(self) -> Any:
        """The training labels, a nest of arrays (n_train, ...); None: there are none."""
        return _labels(self._train, "train")

    @property
    def x_validation(self) -> Any:
        """The validation inputs; None: there are none."""
        return None if self._validation is None else _inputs(self._validation, "validation")

    @property
    def y_validation(self) -> Any:
        """The validation labels; None: there are none."""
        return None if self._validation is None else _labels(self._validation, "validation")


def _arrays(part: Examples | Stream, name: str) -> Examples:
    if isinstance(part, Stream):
        raise ConfigError(
            f"The examples come as a stream, so data.x_{name} and data.y_{name} do not exist in "
            f"trainer.fit: use the batches, data.{name}."
        )
    return part.loaded


def _inputs(part: Examples | Stream, name: str) -> Any:
    examples = _arrays(part, name)

    def scaled(leaf: Any, scale: float) -> Any:
        return leaf if is_ragged(leaf) else np.asarray(ready(tf.convert_to_tensor(leaf), scale))

    return map_nest(scaled, examples.x, examples.scales)


def _labels(part: Examples | Stream, name: str) -> Any:
    examples = _arrays(part, name)
    return _inputs(part, name) if examples.target_is_x else examples.y


def _epoch_by_epoch(job: Job, passes: Passes) -> Any:
    """What gives the batches of one epoch each time it is iterated over."""
    if not passes.goes_on:
        return passes.source
    endless = _batches(passes.source)

    def epoch() -> Iterator[Any]:
        return itertools.islice(endless, passes.n_steps)

    train = job.data.train
    spec = passes.source.element_spec if hasattr(passes.source, "element_spec") else None
    dataset = tf.data.Dataset.from_generator(epoch, output_signature=spec or train.element_spec)
    return dataset.apply(tf.data.experimental.assert_cardinality(passes.n_steps))


def _batches(source: Any) -> Iterator[Any]:
    """The batches of an endless source, one after the other."""
    if not isinstance(source, keras.utils.PyDataset):
        yield from source
        return
    while True:
        yield from (source[i] for i in range(len(source)))
        source.on_epoch_end()


def _shuffled_anew(job: Job) -> Any:
    tensors, size = tensors_of(job.data.train), job.settings.batch_size
    epochs = itertools.count(1)

    def order() -> Iterator[np.ndarray[Any, Any]]:
        yield job.order(next(epochs))

    length = len(job.order(1))
    dataset = tf.data.Dataset.from_generator(
        order, output_signature=tf.TensorSpec([length], tf.int32)
    )
    dataset = dataset.flat_map(lambda each: tf.data.Dataset.from_tensor_slices(each).batch(size))
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(-(-length // size)))
    return dataset.map(tensors.gather).prefetch(tf.data.AUTOTUNE)
