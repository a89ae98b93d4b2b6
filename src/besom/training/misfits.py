"""Which part of a config does not fit, in one sentence instead of TensorFlow's traceback.

A failing step shows where TensorFlow gave up, which is seldom what has to be changed. So the parts
are tried one by one, eagerly: the model, the loss, each metric. The first that fails is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from besom.errors import ConfigError, did_you_mean, reason_of
from besom.targets import TARGET
from besom.text.counting import counted
from besom.text.values import value_text
from besom.training.compiling import (
    has_own_step,
    kinds_of,
    made_loss,
    made_metric,
)
from besom.training.data.examples import Examples
from besom.training.data.nests import is_nest, leaves, named_leaves
from besom.training.loss_kinds import bare_name, suggested_task
from besom.training.outputs import Outputs
from besom.training.settings import TrainerSettings

#: Losses and metrics for one-hot labels, and their counterparts for whole numbers, if any.
#: With whole numbers these raise an error or, as those in ``_SILENT``, give a meaningless number.
_ONE_HOT = {
    "categoricalcrossentropy": "sparse_categorical_crossentropy",
    "categoricalfocalcrossentropy": "sparse_categorical_crossentropy",
    "categoricalhinge": "sparse_categorical_crossentropy",
    "categoricalaccuracy": "accuracy",
    "topkcategoricalaccuracy": "keras.metrics.SparseTopKCategoricalAccuracy",
    "onehotiou": "keras.metrics.IoU with sparse_y_pred=false",
    "onehotmeaniou": "keras.metrics.MeanIoU with sparse_y_pred=false",
    "f1score": "",
    "fbetascore": "",
}
_SILENT = ("categoricalaccuracy", "onehotiou", "onehotmeaniou")


def check(model: Any, settings: TrainerSettings, data: Any) -> None:
    """Refuse what would give no error but meaningless numbers, such as a loss of NaN on a GPU.

    Raises:
        ConfigError: the labels go beyond the model's outputs, a metric is for one-hot labels, or
            the inputs have other names than the model's.
    """
    _check_inputs(model, data.train)
    if has_own_step(model):
        return
    outputs = Outputs.of(model, data.train)
    kinds = kinds_of(settings, data.task, outputs)
    for output, node in _nodes(settings.metrics, outputs):
        kind = kinds if isinstance(kinds, str) else kinds.get(output)
        if kind == "classification" and bare_name(node) in _SILENT:
            raise ConfigError(f"The metric {_shown(node)}{_for_one_hot(node)}")
    if outputs is None or outputs.are_several or not isinstance(data.train, Examples):
        return
    labels, size = data.train.y, outputs.shapes[0][-1] if outputs.shapes[0] else None
    if kinds != "classification" or labels is None or is_nest(labels) or not isinstance(size, int):
        return
    loss = _loss_of(model)
    shown = f"trainer.loss={loss if settings.loss is None else _shown(settings.loss)}"
    if bare_name(loss) in _ONE_HOT:
        raise ConfigError(shown + _for_one_hot(loss))
    if suggested_task(loss) == "regression" and settings.loss is None:
        raise ConfigError(
            f"The model comes compiled with the loss {loss}, which is for quantities, but the "
            "labels are whole numbers, which are taken for classes. Set data.task=regression."
        )
    if bare_name(loss).startswith("sparsecategorical") and size <= (largest := int(labels.max())):
        raise ConfigError(
            f"The model {model.name!r} has {counted(size, 'output')}, but the labels go up to "
            f"{largest}: {shown} needs one output for each of the {data.num_classes} classes."
        )


def _loss_of(model: Any) -> str:
    """The name of the loss that a model was compiled with."""
    loss = model.loss
    return loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)


def _check_inputs(model: Any, train: Any) -> None:
    """Refuse inputs by name that the model does not have, and the other way round."""
    if not isinstance(train, Examples) or not isinstance(train.x, Mapping):
        return
    try:
        symbolic = model.input
    except (AttributeError, ValueError):
        return
    wanted = (
        list(symbolic)
        if isinstance(symbolic, Mapping)
        else [each.name for each in keras.tree.flatten(symbolic)]
    )
    for name in train.x:
        if name not in wanted:
            raise ConfigError(
                f"The data has an input {name!r}, which the model {model.name!r} does not have."
                + did_you_mean(str(name), wanted)
            )
    for name in wanted:
        if name not in train.x:
            raise ConfigError(
                f"The model {model.name!r} has an input {name!r}, which the data does not have."
                + did_you_mean(str(name), list(train.x))
            )


def _nodes(metrics: Any, outputs: Outputs | None) -> list[tuple[str, Any]]:
    """Each metric that the config names, after the output that it is for."""
    if metrics is None:
        return []
    if isinstance(metrics, Mapping):
        lists = [(name, of) for name, of in metrics.items() if of is not None]
    elif outputs is not None and outputs.are_several:
        lists = list(zip(outputs.names, metrics, strict=False))
    else:
        lists = [("", metrics)]
    return [
        (str(name), node)
        for name, of in lists
        for node in (of if isinstance(of, list | tuple) else [of])
    ]


def explain(
    error: BaseException,
    model: Any,
    settings: TrainerSettings,
    *,
    data: Any,
    x: Any,
    y: Any,
    weight: Any = None,
) -> str:
    """Say which part of a config makes a step fail; empty if each works by itself.

    Args:
        error: what the step raised.
        model: newly built and compiled.
        settings: what it was compiled with.
        data: what it is trained on.
        x, y, weight: a batch of it, ready for the model; y and weight may be None.
    """
    if has_own_step(model):
        return f"A step of the model {model.name!r} fails: {reason_of(error)}."
    try:
        outputs = model(x, training=True)
    except Exception as failed:
        return _model_fails(model, x, failed)
    named = Outputs.of(model, data.train)
    return _loss_fails(model, settings, named, outputs, x, y, weight) or _metric_fails(
        settings, data, named, outputs, y
    )


def _model_fails(model: Any, x: Any, error: Exception) -> str:
    ragged = [leaf for leaf in leaves(x) if isinstance(leaf, tf.RaggedTensor)]
    if ragged:
        return (
            f"The model {model.name!r} does not take ragged inputs, as the data's are: pad them to "
            f"one length (keras.utils.pad_sequences), or let the model do it. {reason_of(error)}."
        )
    return (
        f"The model {model.name!r} fails on examples of shape {_shape_text(x)}: {reason_of(error)}."
    )


def _shape_text(nest: Any) -> str:
    named = [f"{name} {tuple(leaf.shape[1:])}".strip() for name, leaf in named_leaves(nest)]
    return ", ".join(named)


def _loss_fails(
    model: Any,
    settings: TrainerSettings,
    named: Outputs | None,
    outputs: Any,
    x: Any,
    y: Any,
    weight: Any,
) -> str:
    if y is None:
        return ""
    try:
        model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=weight, training=True)
    except Exception as error:
        for name, each, labels in _by_output(named, outputs, y):
            loss = _loss_node(settings, model, name)
            if loss is None:
                continue
            try:
                keras.losses.get(made_loss(loss))(labels, each)
            except Exception as of_one:
                key = f"trainer.loss.{name}" if name else "trainer.loss"
                return f"{key}={_shown(loss)}" + _against(labels, each, loss, of_one)
        return (
            f"trainer.loss={_shown(settings.loss)} does not fit outputs of shape "
            f"{_shape_text(outputs)} and labels of shape {_shape_text(y)}: {reason_of(error)}."
        )
    return ""


def _loss_node(settings: TrainerSettings, model: Any, name: str) -> Any:
    """What the config says of an output's loss; what the task gave it, if nothing."""
    said = settings.loss
    if said is None:
        given = model.loss
        loss = given.get(name) if isinstance(given, Mapping) and name else given
        return loss if loss is None or isinstance(loss, str) else loss.name
    if isinstance(said, Mapping) and TARGET not in said:
        return said.get(name) if name else next(iter(said.values()), None)
    return said


def _by_output(named: Outputs | None, outputs: Any, y: Any) -> list[tuple[str, Any, Any]]:
    """The name, outputs and labels of each output; the name is empty where there is one."""
    several = is_nest(outputs)
    if not several or named is None:
        return [("", outputs, y)] if not several and not is_nest(y) else []
    if isinstance(outputs, Mapping) and isinstance(y, Mapping):
        return [(name, outputs[name], y[name]) for name in outputs if name in y]
    return list(zip(named.names, leaves(outputs), leaves(y), strict=False))


def _metric_fails(
    settings: TrainerSettings, data: Any, named: Outputs | None, outputs: Any, y: Any
) -> str:
    if y is None:
        return ""
    kinds = kinds_of(settings, data.task, named)
    of_output = {name: (each, labels) for name, each, labels in _by_output(named, outputs, y)}
    for metrics in (settings.metrics, settings.weighted_metrics):
        for name, node in _nodes(metrics, named):
            each, labels = of_output.get(name) or of_output.get("") or (None, None)
            if each is None:
                continue
            kind = kinds if isinstance(kinds, str) else kinds.get(name, "none")
            metric = made_metric(node, tuple(each.shape), kind)
            if isinstance(metric, str):
                continue
            if not isinstance(metric, keras.metrics.Metric):
                metric = keras.metrics.MeanMetricWrapper(metric)
            try:
                metric.update_state(labels, each)
                metric.result()
            except Exception as error:
                of = f" of the output {name!r}" if name in of_output and name else ""
                return f"The metric {_shown(node)}{of}" + _against(labels, each, node, error)
    return ""


def _against(labels: Any, outputs: Any, node: Any, error: BaseException) -> str:
    """Why a loss or a metric cannot compare the labels with the outputs."""
    whole = labels.dtype.is_integer and len(labels.shape) == 1
    if whole and bare_name(node) in _ONE_HOT:
        return _for_one_hot(node)
    shape = tuple(labels.shape[1:])
    what = "that are whole numbers" if whole else f"of shape {shape}" if shape else "of one number"
    return (
        f" does not fit labels {what} and outputs of shape {tuple(outputs.shape[1:])}: "
        f"{reason_of(error)}."
    )


def _for_one_hot(node: Any) -> str:
    instead = _ONE_HOT[bare_name(node)]
    one_hot = "have the data give one-hot labels (keras.utils.to_categorical)"
    advice = f"Use {instead}, or {one_hot}." if instead else f"{one_hot[:1].upper()}{one_hot[1:]}."
    return f" expects one-hot labels, but the labels are whole numbers. {advice}"


def _shown(node: Any) -> str:
    return value_text(node) if isinstance(node, Mapping) else str(node)
