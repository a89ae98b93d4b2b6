"""Builds what a config names: the compiled Keras model, its optimizer, loss, metrics, callbacks.

The model's matrix products use float32, or bfloat16 where that is faster. In bfloat16 (Keras's
``mixed_bfloat16``) only the products and what lies between them are; weights, the optimizer's
state, the output layer, loss and metrics stay float32.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from besom.errors import BesomError, ConfigError, did_you_mean, reason_of
from besom.targets import TARGET, instantiate
from besom.text.values import given_text
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


def build_model(config: Mapping[str, Any], settings: TrainerSettings, data: Any) -> Any:
    """Return the config's model, built and compiled for ``data``.

    Raises:
        ConfigError: a node is missing or wrong, or the model does not fit the data.
    """
    with _precision_policy(resolved_precision(settings.precision, settings.batch_size)):
        model = _instantiated(
            "model",
            _node(config, "model"),
            input_shape=tuple(data.x_train.shape[1:]),
            num_classes=data.num_classes,
        )
        if not isinstance(model, keras.Model):
            raise ConfigError(
                f"model._target_ {config['model']['_target_']!r} returned a "
                f"{type(model).__name__}, expected a keras.Model."
            )
        with _as_config_error("The model cannot be built"):
            if not model.built:
                model.build((None, *data.x_train.shape[1:]))
        optimizer, loss = _optimizer(_node(config, "optimizer")), _loss(settings.loss)
        metrics = [build_metric(metric, model) for metric in settings.metrics]
        with _as_config_error("The model cannot be compiled"):
            model.compile(optimizer=optimizer, loss=loss, metrics=metrics)
    if not model.trainable_variables:
        raise ConfigError(f"The model {model.name!r} has no weights to train.")
    return model


def build_callbacks(settings: TrainerSettings) -> list[Any]:
    """Return the Keras callbacks that the settings name.

    Raises:
        ConfigError: one is not a ``keras.callbacks.Callback``.
    """
    callbacks = [_instantiated("trainer.callbacks", node) for node in settings.callbacks]
    for node, callback in zip(settings.callbacks, callbacks, strict=True):
        if not isinstance(callback, keras.callbacks.Callback):
            raise ConfigError(
                f"trainer.callbacks holds {node['_target_']!r}, which is a "
                f"{type(callback).__name__}, expected a keras.callbacks.Callback."
            )
    return callbacks


def _instantiated(key: str, node: Mapping[str, Any], **extra: Any) -> Any:
    """What a node describes; whatever its target raises is a reason that names the key."""
    if not isinstance(node, Mapping):
        raise ConfigError(f"{key} holds {node!r}, expected nodes with a _target_.")
    with _as_config_error(f"{key}: {node.get(TARGET)} cannot be built"):
        return instantiate(node, **extra)


def _callable(key: str, node: Mapping[str, Any], expected: str) -> Any:
    made = _instantiated(key, node)
    if not callable(made) and not isinstance(made, keras.metrics.Metric):
        what = f"{key} holds {node[TARGET]!r}, which is a {type(made).__name__}"
        raise ConfigError(f"{what}, expected {expected}.")
    return made


@contextmanager
def _as_config_error(what: str) -> Iterator[None]:
    """While open, an exception of the user's code or of Keras becomes a ``ConfigError``.

    A lack of memory is not: the trial may be given to a worker that has more.
    """
    try:
        yield
    except (BesomError, MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:
        raise ConfigError(f"{what}: {reason_of(error)}.") from error


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
    optimizer = _instantiated("optimizer", node)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ConfigError(
            f"optimizer._target_ {node['_target_']!r} made a {type(optimizer).__name__}, "
            "expected a keras.optimizers.Optimizer."
        )
    return optimizer


def _loss(loss: Any) -> Any:
    if isinstance(loss, Mapping):
        return _callable("trainer.loss", loss, "a keras.losses.Loss or a function")
    return _named(keras.losses, "trainer.loss", loss)


def build_metric(metric: Any, model: Any) -> Any:
    """Return a metric object, not its name: Keras would build it in the middle of the first step
    traced, and TensorFlow then traces the whole epoch again, as it must not create variables.

    Args:
        metric: an entry of ``trainer.metrics``.
        model: the built model that it is for.

    Raises:
        ConfigError: there is no such metric.
    """
    if isinstance(metric, Mapping):
        return _callable("trainer.metrics", metric, "a keras.metrics.Metric or a function")
    if metric in ("accuracy", "acc"):
        outputs = getattr(model, "output_shape", None)
        if not isinstance(outputs, tuple) or not outputs or not isinstance(outputs[-1], int):
            return metric  # Keras decides from the predictions
        accuracy = keras.metrics.BinaryAccuracy
        if outputs[-1] > 1:
            accuracy = keras.metrics.SparseCategoricalAccuracy
        return accuracy(name=metric)
    found = keras.metrics.get(_named(keras.metrics, "trainer.metrics", metric))
    if not isinstance(found, keras.metrics.Metric):
        return keras.metrics.MeanMetricWrapper(found, name=metric)
    found.name = metric  # as model.compile does: the history has the name that was asked for
    return found


def _named(module: Any, key: str, name: Any) -> Any:
    """Check that Keras knows ``name``, and return it as it is: Keras resolves its own "
    "shorthands."""
    if not isinstance(name, str):
        raise ConfigError(f"{key} is {given_text(name)}, expected a name, or a node with _target_.")
    try:
        module.get(name)
    except ValueError:
        known = [n for n in dir(module) if n.islower() and not n.startswith("_")]
        known = [n for n in known if n not in ("get", "serialize", "deserialize")]
        raise ConfigError(
            f"{key} is {given_text(name)}, which Keras does not know.{did_you_mean(name, known)}"
        ) from None
    return name


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
