"""Builds what a config names: the compiled Keras model, its optimizer and callbacks.

The model's matrix products use float32, or bfloat16 where that is faster. In bfloat16 (Keras's
``mixed_bfloat16``) only the products and what lies between them are; weights, the optimizer's
state, the output layer, loss and metrics stay float32.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from besom.errors import ConfigError
from besom.text.values import given_text
from besom.training.compiling import COMES_COMPILED, compile_model
from besom.training.data.asked_for import model_arguments
from besom.training.data.examples import Examples, is_ragged
from besom.training.data.nests import is_nest, leaves
from besom.training.epochs.batches import first_batch
from besom.training.making import as_config_error, instantiated
from besom.training.settings import TrainerSettings

_LARGEST_SEED = 2**32 - 1


def seed_everything(seed: Any) -> None:
    """Seed Python, NumPy and TensorFlow, from which Keras's initial weights and dropout follow.

    Raises:
        ConfigError: not a whole number in [0, 2**32).
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= _LARGEST_SEED:
        raise ConfigError(
            f"seed is {given_text(seed)}, expected a whole number from 0 to {_LARGEST_SEED}."
        )
    keras.utils.set_random_seed(seed)


def build_model(
    config: Mapping[str, Any],
    settings: TrainerSettings,
    data: Any,
    remarks: dict[str, str] | None = None,
) -> Any:
    """Return the config's model, built and compiled for ``data``.

    Args:
        config: ``model`` and ``optimizer``.
        settings: the ``trainer`` node.
        data: a ``besom.training.data.TrainingData``.
        remarks: takes what the user should know, by subject.

    Raises:
        ConfigError: a node is missing or wrong, or the model does not fit the data.
    """
    with _precision_policy(resolved_precision(settings.precision, settings.batch_size)):
        node = _node(config, "model")
        with as_config_error("model"):
            arguments = model_arguments(node, data)
        with _told_of_lengths(data):
            model = instantiated("model", node, **arguments)
        if not isinstance(model, keras.Model):
            raise ConfigError(
                f"model._target_ {node['_target_']!r} returned a {type(model).__name__}, expected "
                "a keras.Model."
            )
        with as_config_error("The model cannot be built"):
            if not model.built:
                _build(model, data)
        if model.compiled and model.optimizer is not None:
            if remarks is not None:
                remarks["compiled"] = COMES_COMPILED
        else:
            compile_model(model, _optimizer(_node(config, "optimizer")), settings, data)
    if not model.trainable_variables:
        raise ConfigError(f"The model {model.name!r} has no weights to train.")
    return model


@contextmanager
def _told_of_lengths(data: Any) -> Iterator[None]:
    """Say what is behind it where a layer refuses examples of no one shape."""
    try:
        yield
    except ConfigError as error:
        of_lengths = isinstance(data.train, Examples) and any(map(is_ragged, leaves(data.train.x)))
        if error.__cause__ is None or "None" not in str(error) or not of_lengths:
            raise  # besom's own words say it already
        raise ConfigError(
            "The examples have different lengths, and a layer of the model needs one length, as "
            "Dense does. Pad the examples to one length (keras.utils.pad_sequences), or begin the "
            f"model with layers that take any. {error}"
        ) from error


def _build(model: Any, data: Any) -> None:
    """Build a model that has not been called: with the shape of its input, or on some examples."""
    if isinstance(data.train, Examples) and not is_nest(data.train.x):
        with warnings.catch_warnings():
            # What a model of layers lacks here, it builds when it is called first.
            warnings.filterwarnings("ignore", "`build\\(\\)` was called on layer", UserWarning)
            model.build((None, *data.train.x.shape[1:]))
    else:
        model(first_batch(data.train, 2)[0])


def build_callbacks(settings: TrainerSettings, data: Any) -> list[Any]:
    """Return the Keras callbacks that the settings name.

    Raises:
        ConfigError: one is not a ``keras.callbacks.Callback``; or the data is a fold, and one goes
            by validation examples, which the final model, trained on all folds, has not.
    """
    callbacks = [instantiated("trainer.callbacks", node) for node in settings.callbacks]
    for node, callback in zip(settings.callbacks, callbacks, strict=True):
        if not isinstance(callback, keras.callbacks.Callback):
            raise ConfigError(
                f"trainer.callbacks holds {node['_target_']!r}, which is a "
                f"{type(callback).__name__}, expected a keras.callbacks.Callback."
            )
        monitor = getattr(callback, "monitor", None)
        if data.whole is not None and isinstance(monitor, str) and monitor.startswith("val_"):
            raise ConfigError(
                f"trainer.callbacks: {type(callback).__name__} monitors {monitor}, which does not "
                "go with sweep.folds: the final model is trained on all examples, so it has no "
                f"validation examples. Monitor {monitor.removeprefix('val_')}, or leave it out; "
                "trainer.patience works with folds."
            )
    return callbacks


def _node(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    node = config.get(name)
    if not isinstance(node, Mapping):
        raise ConfigError(
            f"The config's {name!r} is {given_text(node)}, expected a node with a _target_."
        )
    return node


def _optimizer(node: Mapping[str, Any]) -> Any:
    rate = node.get("learning_rate")
    if isinstance(rate, int) and not isinstance(rate, bool):
        node = {**node, "learning_rate": float(rate)}  # Keras takes only floats here
    optimizer = instantiated("optimizer", node)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ConfigError(
            f"optimizer._target_ {node['_target_']!r} made a {type(optimizer).__name__}, "
            "expected a keras.optimizers.Optimizer."
        )
    return optimizer


_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}

#: Examples per step from which bfloat16 pays on a processor that has it. Below, casting the weights
#: costs what the products gain (docs/log.md has the numbers).
_LEAST_BATCH = 64


def resolved_precision(precision: str, batch_size: int) -> str:
    """Return ``float32`` or ``bfloat16`` for ``trainer.precision``, which may be ``auto``."""
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        fast = all(d.get("compute_capability", (0, 0)) >= (8, 0) for d in details)
    else:
        fast = batch_size >= _LEAST_BATCH and bool(_processor_flags() & {"avx512_bf16", "amx_bf16"})
    return "bfloat16" if fast else "float32"


@contextmanager
def _precision_policy(precision: str) -> Iterator[None]:
    """Build layers under Keras's policy for ``float32`` or ``bfloat16``."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(_POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@functools.cache
def _processor_flags() -> frozenset[str]:
    """The processor's features as Linux names them; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())
