"""Which part of a config does not fit, in one sentence instead of TensorFlow's traceback.

A failing step shows where TensorFlow gave up, which is seldom what has to be changed. So the parts
are tried one by one, eagerly: the model, the loss, each metric. The first that fails is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from besom.errors import ConfigError, reason_of
from besom.targets import TARGET
from besom.text.counting import counted
from besom.text.values import value_text
from besom.training.build import build_metric
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
        ConfigError: the labels go beyond the model's outputs, or a metric is for one-hot labels.
    """
    if _has_own_step(model):
        return
    for node in settings.metrics:
        if _bare_name(node) in _SILENT:
            raise ConfigError(f"The metric {_shown(node)}{_for_one_hot(node)}")
    shape, largest = getattr(model, "output_shape", None), int(data.y_train.max())
    if not isinstance(shape, tuple) or not shape or not isinstance(shape[-1], int):
        return
    if _bare_name(settings.loss).startswith("sparsecategorical") and shape[-1] <= largest:
        raise ConfigError(
            f"The model {model.name!r} has {counted(shape[-1], 'output')}, but the "
            f"labels go up to {largest}: trainer.loss={_shown(settings.loss)} needs one output for "
            f"each of the {data.num_classes} classes."
        )


def explain(error: BaseException, model: Any, settings: TrainerSettings, x: Any, y: Any) -> str:
    """Say which part of a config makes a step fail; empty if each works by itself.

    Args:
        error: what the step raised.
        model: newly built and compiled.
        settings: what it was compiled with.
        x, y: the batch: scaled examples, whole labels.
    """
    if _has_own_step(model):
        return f"A step of the model {model.name!r} fails: {reason_of(error)}."
    return (
        _model_fails(model, x)
        or _loss_fails(model, settings, x, y)
        or _metric_fails(model, settings, x, y)
    )


def _has_own_step(model: Any) -> bool:
    names = ("train_step", "test_step", "compute_loss")
    return any(getattr(type(model), name) is not getattr(keras.Model, name) for name in names)


def _model_fails(model: Any, x: Any) -> str:
    try:
        outputs = model(x, training=True)
    except Exception as error:
        what = f"The model {model.name!r} fails on examples of shape {x.shape[1:]}"
        return f"{what}: {reason_of(error)}."
    if tf.is_tensor(outputs):
        return ""
    return (
        f"The model {model.name!r} has {len(outputs)} outputs, but an example has one label: give "
        "it one output, or its own train_step."
    )


def _loss_fails(model: Any, settings: TrainerSettings, x: Any, y: Any) -> str:
    outputs = model(x, training=True)
    try:
        model.compute_loss(x=x, y=y, y_pred=outputs, training=True)
    except Exception as error:
        return f"trainer.loss={_shown(settings.loss)}" + _against(outputs, settings.loss, error)
    return ""


def _metric_fails(model: Any, settings: TrainerSettings, x: Any, y: Any) -> str:
    outputs = model(x, training=False)
    for node in settings.metrics:
        metric = build_metric(node, model)
        if isinstance(metric, str):
            continue
        try:
            metric.update_state(y, outputs)
            metric.result()
        except Exception as error:
            return f"The metric {_shown(node)}" + _against(outputs, node, error)
    return ""


def _against(outputs: Any, node: Any, error: BaseException) -> str:
    """Why a loss or a metric cannot compare the labels with the outputs."""
    if _bare_name(node) in _ONE_HOT:
        return _for_one_hot(node)
    return (
        f" does not fit labels that are whole numbers and outputs of shape {outputs.shape[1:]}: "
        f"{reason_of(error)}."
    )


def _for_one_hot(node: Any) -> str:
    instead = _ONE_HOT[_bare_name(node)]
    advice = f"Use {instead}." if instead else "Write your own that takes whole numbers."
    return f" expects one-hot labels, but the labels are whole numbers. {advice}"


def _bare_name(node: Any) -> str:
    """``CategoricalAccuracy`` and ``categorical_accuracy`` as one: a name in small letters."""
    name = str(node.get(TARGET)) if isinstance(node, Mapping) else str(node)
    return name.rpartition(".")[2].replace("_", "").lower()


def _shown(node: Any) -> str:
    return value_text(node) if isinstance(node, Mapping) else str(node)
