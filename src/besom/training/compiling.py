"""Compiles a built model: loss and metrics as the config says, else as the task and outputs say."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from besom.errors import ConfigError, did_you_mean
from besom.targets import PARTIAL, TARGET, resolve
from besom.text.counting import listed
from besom.text.values import given_text
from besom.training.data.nests import leaves
from besom.training.data.task import Task
from besom.training.epochs.batches import first_batch
from besom.training.fast.keras_private import all_layers
from besom.training.loss_kinds import OF_NUMBERS, bare_name
from besom.training.making import as_config_error, instantiated
from besom.training.outputs import Outputs, is_linear
from besom.training.settings import TrainerSettings

_METRICS_KEY = "trainer.metrics"

#: Said once where a model function returns its model compiled.
COMES_COMPILED = (
    "The model comes compiled, and keeps its own optimizer, loss and metrics: `optimizer`, "
    "trainer.loss and trainer.metrics are not used, and searching them changes nothing."
)


def compile_model(model: Any, optimizer: Any, settings: TrainerSettings, data: Any) -> None:
    """Compile the model for the data's task.

    Args:
        model: built.
        optimizer: from the config.
        settings: whose losses and metrics outrank those of the task.
        data: a ``besom.training.data.TrainingData``.

    Raises:
        ConfigError: a loss or metric is unknown, does not fit the outputs, or is missing.
    """
    outputs = Outputs.of(model, data.train)
    if outputs is not None and isinstance(data.task.kind, Mapping) and not has_own_step(model):
        outputs.arranged(data.task.kind, "labels")  # each output has some
    kinds = kinds_of(settings, data.task, outputs)
    loss = _losses(model, settings, data, outputs, kinds)
    has_loss = any(each is not None for each in (loss.values() if by_name(loss) else [loss]))
    asked = settings.metrics
    if asked is None:
        asked = Task(kinds).default_metrics() if has_loss else []
    metrics = _metrics("trainer.metrics", asked, model, outputs, kinds, settings)
    weighted = _metrics(
        "trainer.weighted_metrics", settings.weighted_metrics, model, outputs, kinds, settings
    )
    with as_config_error("The model cannot be compiled"):
        model.compile(
            optimizer=optimizer,
            loss=loss if has_loss else None,
            loss_weights=_loss_weights(settings, outputs, loss),
            metrics=metrics,
            weighted_metrics=weighted,
        )


def by_name(node: Any) -> bool:
    """Whether a node of the config is a mapping by output, and names nothing itself."""
    return isinstance(node, Mapping) and TARGET not in node


def kinds_of(settings: TrainerSettings, task: Any, outputs: Outputs | None) -> Any:
    """The kind of each output by its name, or of the only one; a loss said outranks the labels.

    See ``besom.training.data.task``.
    """
    several = outputs is not None and outputs.are_several
    kind = task.kind
    kinds: Any
    if isinstance(kind, str):
        kinds = dict.fromkeys(outputs.names, kind) if several and outputs else kind
    elif several and outputs:
        kinds = kind if isinstance(kind, Mapping) else dict(zip(outputs.names, kind, strict=False))
    else:
        kinds = next(iter(kind.values() if isinstance(kind, Mapping) else kind), "none")
    loss = settings.loss
    if isinstance(kinds, str):
        return _outranked(kinds, loss)
    of = loss if by_name(loss) else dict.fromkeys(kinds, loss)
    return {name: _outranked(kind, of.get(name)) for name, kind in kinds.items()}


def _outranked(kind: str, loss: Any) -> str:
    of_numbers = loss is not None and bare_name(loss) in OF_NUMBERS
    return "regression" if of_numbers and kind in ("classification", "binary") else kind


def _losses(
    model: Any, settings: TrainerSettings, data: Any, outputs: Outputs | None, kinds: Any
) -> Any:
    """A loss, or a mapping with one for each output; None where the model has its own."""
    said, key = settings.loss, "trainer.loss"
    if said is None:
        if isinstance(kinds, str):
            return _default_loss(model, data, outputs, kinds)
        return {
            name: _default_loss(model, data, outputs, kinds.get(name, "none"), i)
            for i, name in enumerate(outputs.names if outputs else kinds)
        }
    if isinstance(said, list | tuple) and outputs is None:
        return [made_loss(each, key) for each in said]
    if (by_name(said) or isinstance(said, list | tuple)) and outputs is not None:
        named = outputs.by_name(said, key)
        if missing := [name for name in outputs.names if name not in named]:
            raise ConfigError(
                f"The model's output {missing[0]!r} has no loss: add trainer.loss.{missing[0]}, "
                "which may be null."
            )
        made = {
            name: None if named[name] is None else made_loss(named[name], f"{key}.{name}")
            for name in outputs.names
        }
        return made if outputs.are_several else made[outputs.names[0]]
    if by_name(said):
        return {name: made_loss(each, f"{key}.{name}") for name, each in said.items()}
    if outputs is not None and outputs.are_several:
        return {name: made_loss(said, key) for name in outputs.names}
    return made_loss(said, key)


def _default_loss(
    model: Any, data: Any, outputs: Outputs | None, kind: str, position: int = 0
) -> Any:
    shape = outputs.shapes[position] if outputs and position < len(outputs.shapes) else (None,)
    if kind == "none":
        return _of_no_labels(model, data, outputs)
    name = Task(kind).default_loss(shape)
    if name in _LOGITS and has_logits(model, outputs, position):
        return _LOGITS[name](from_logits=True, name=name)
    return name


_LOGITS = {
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
}


def has_logits(model: Any, outputs: Outputs | None, position: int = 0) -> bool:
    """Whether an output of classes is a Dense layer without an activation."""
    return outputs is not None and is_linear(model, leaves(outputs.nest)[position])


def _of_no_labels(model: Any, data: Any, outputs: Outputs | None) -> str | None:
    """The loss of a model that has no labels: its input's, unless it has a loss of its own."""
    if has_own_step(model) or adds_losses(model, data):
        return None
    shapes = None if outputs is None else [shape[1:] for shape in outputs.shapes]
    inputs = [tuple(leaf.shape[1:]) for leaf in leaves(_one_batch(data))]
    if shapes is not None and shapes != inputs:
        raise ConfigError(
            f"The data has no labels, and the model returns {listed(shapes)} for examples of "
            f"{listed(inputs)}: an autoencoder returns what it is given. Give the data labels, or "
            "the model an add_loss or its own train_step."
        )
    return "mse"


def _one_batch(data: Any) -> Any:
    return first_batch(data.train, 1)[0]


def has_own_step(model: Any) -> bool:
    """Whether the model computes its loss itself."""
    names = ("train_step", "test_step", "compute_loss")
    return any(getattr(type(model), name) is not getattr(keras.Model, name) for name in names)


def adds_losses(model: Any, data: Any) -> bool:
    """Whether the model adds losses that are no penalties on its weights or activations."""
    try:
        model(_one_batch(data), training=True)
    except Exception:  # what is wrong with it is said where a step is tried
        return False
    penalties = sum(v.regularizer is not None for v in model.trainable_variables)
    penalties += sum(
        getattr(layer, "activity_regularizer", None) is not None for layer in all_layers(model)
    )
    return len(model.losses) > penalties


def _loss_weights(settings: TrainerSettings, outputs: Outputs | None, loss: Any) -> Any:
    weights = settings.loss_weights
    if weights is None:
        return None
    if isinstance(weights, int | float) and not isinstance(weights, bool):
        return float(weights) if not by_name(loss) else dict.fromkeys(loss, float(weights))
    if not isinstance(weights, list | tuple | Mapping):
        raise ConfigError(
            f"trainer.loss_weights is {given_text(weights)}, expected a number for each output."
        )
    named = (
        outputs.by_name(weights, "trainer.loss_weights") if outputs is not None else dict(weights)
    )
    for name, weight in named.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise ConfigError(
                f"trainer.loss_weights.{name} is {given_text(weight)}, expected a number."
            )
    if not by_name(loss):
        return float(next(iter(named.values()), 1.0))
    return {name: float(named.get(name, 1.0)) for name in loss}


def _metrics(
    key: str, asked: Any, model: Any, outputs: Outputs | None, kinds: Any, settings: TrainerSettings
) -> Any:
    """Metric objects, a list or a mapping of lists by output; None for none."""
    if not asked:
        return None
    if outputs is None or not outputs.are_several:
        if by_name(asked):
            named = outputs.by_name(asked, key) if outputs is not None else asked
            asked = next(iter(named.values()))
        named, kinds = {"": asked}, {"": kinds if isinstance(kinds, str) else "none"}
    else:
        named = outputs.by_name(asked, key)
    made = {}
    for i, name in enumerate(outputs.names if outputs is not None and len(kinds) > 1 else [""]):
        of, where = named.get(name) or [], f"{key}.{name}" if name else key
        of = of if isinstance(of, list | tuple) else [of]
        shape = outputs.shapes[i] if outputs is not None else ()
        logits = settings.loss is None and has_logits(model, outputs, i)
        kind = kinds.get(name, "none")
        if of:
            made[name] = [made_metric(each, shape, kind, logits, where) for each in of]
    return made.get("") if set(made) <= {""} else made


def made_metric(
    metric: Any, shape: tuple[Any, ...], kind: str, logits: bool = False, key: str = _METRICS_KEY
) -> Any:
    """A metric object, not its name: Keras would build it in the middle of the first step traced,
    and TensorFlow then traces the whole epoch again, as it must not create variables.

    Args:
        metric: an entry of ``trainer.metrics``.
        shape: of the output that it is for; empty: not known.
        kind: what that output's labels are.
        logits: whether the output is a score without an activation.
        key: where the metric stands, for messages.

    Raises:
        ConfigError: there is no such metric.
    """
    if isinstance(metric, Mapping):
        return _callable(key, metric, "a keras.metrics.Metric or a function")
    if metric in ("accuracy", "acc"):
        return _accuracy(metric, shape, kind, logits)
    found = keras.metrics.get(_named(keras.metrics, key, metric))
    if not isinstance(found, keras.metrics.Metric):
        return keras.metrics.MeanMetricWrapper(found, name=metric)
    found.name = metric  # as model.compile does: the history has the name that was asked for
    return found


def _accuracy(name: str, shape: tuple[Any, ...], kind: str, logits: bool) -> Any:
    """The accuracy of an output's labels; its name where Keras must decide from predictions."""
    if not shape or not isinstance(shape[-1], int):
        return name
    if kind == "multilabel" or shape[-1] == 1:
        return keras.metrics.BinaryAccuracy(name=name, threshold=0.0 if logits else 0.5)
    if kind == "one-hot":
        return keras.metrics.CategoricalAccuracy(name=name)
    if kind in ("none", "regression"):
        return name
    return keras.metrics.SparseCategoricalAccuracy(name=name)


def made_loss(loss: Any, key: str = "trainer.loss") -> Any:
    """A loss object or name.

    Raises:
        ConfigError: there is no such loss.
    """
    if isinstance(loss, Mapping):
        return _callable(key, loss, "a keras.losses.Loss or a function")
    return _named(keras.losses, key, loss)


def _callable(key: str, node: Mapping[str, Any], expected: str) -> Any:
    try:
        made = instantiated(key, node)
    except ConfigError as error:
        if PARTIAL in node or not inspect.isfunction(resolve(node[TARGET], key)):
            raise
        raise ConfigError(f"{error} To use the function itself, add _partial_: true.") from error
    if not callable(made) and not isinstance(made, keras.metrics.Metric):
        what = f"{key} holds {node[TARGET]!r}, which is a {type(made).__name__}"
        raise ConfigError(f"{what}, expected {expected}.")
    return made


def _named(module: Any, key: str, name: Any) -> Any:
    """Check that Keras knows ``name``, and return it as it is: Keras resolves its own "
    "shorthands."""
    if not isinstance(name, str):
        raise ConfigError(f"{key} is {given_text(name)}, expected a name, or a node with _target_.")
    try:
        module.get(name)
    except ValueError:
        if "." in name:
            raise ConfigError(
                f"{key} is {given_text(name)}, which Keras does not know. A function of your own "
                f"is {{_target_: {name}, _partial_: true}}, a class {{_target_: {name}}}."
            ) from None
        known = [n for n in dir(module) if n.islower() and not n.startswith("_")]
        known = [n for n in known if n not in ("get", "serialize", "deserialize")]
        raise ConfigError(
            f"{key} is {given_text(name)}, which Keras does not know.{did_you_mean(name, known)}"
        ) from None
    return name
