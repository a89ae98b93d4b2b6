"""Matches a run's examples to its model: which output a label is for, and what each one weighs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras

from besom.training.class_weights import ClassWeights
from besom.training.compiling import has_own_step
from besom.training.data.examples import Examples, Stream
from besom.training.data.nests import is_nest
from besom.training.epochs.batches import cached
from besom.training.epochs.mapped_streams import mapped
from besom.training.outputs import Outputs, symbolic_outputs
from besom.training.settings import TrainerSettings


def matched(model: Any, data: Any, settings: TrainerSettings) -> Any:
    """The training data with its labels in the nest of the model's outputs, and class weights.

    What is one array for one output is left as it is.

    Args:
        model: built and compiled.
        data: a ``besom.training.data.TrainingData``.
        settings: whose class weights join the sample weights of what is trained on.

    Raises:
        ConfigError: labels or class weights do not fit the outputs.
    """
    train = part_matched(model, data.train)
    if settings.class_weight is not None:
        weights = ClassWeights.of(settings.class_weight, data, Outputs.of(model, data.train))
        train = weights.applied_to(train)
    validation = data.validation
    if validation is not None:
        validation = part_matched(model, cached(validation))
    if train is data.train and validation is data.validation:
        return data
    return replace(data, train=train, validation=validation)


def part_matched(model: Any, part: Examples | Stream) -> Examples | Stream:
    """A part of the data as the model takes it; see ``matched``.

    Args:
        model: built and compiled.
        part: training, validation or test.
    """
    own = has_own_step(model)
    if isinstance(part, Stream):
        return part if own else _stream_matched(model, part)
    if part.y is None:
        return replace(part, target_is_x=True) if target_is_x(model) else part
    if own or not (is_nest(part.y) or may_have_several(model)):
        return part
    outputs = Outputs.of(model, part)
    if outputs is None:
        return part
    weight = part.weight
    if weight is not None and is_nest(weight):
        weight = outputs.arranged(weight, "sample weights")
    return replace(part, y=outputs.arranged(part.y, "labels"), weight=weight)


def may_have_several(model: Any) -> bool:
    """Whether a model may have several outputs: only a call tells, where Keras does not know."""
    outputs = symbolic_outputs(model)
    return outputs is None or is_nest(outputs)


def target_is_x(model: Any) -> bool:
    """Whether a model without labels is to give back its input."""
    return not has_own_step(model) and getattr(model, "loss", None) is not None


def _stream_matched(model: Any, part: Stream) -> Stream:
    if not _has_labels(part):
        return mapped(part, lambda x: (x, x)) if target_is_x(model) else part
    if not may_have_several(model):
        return part
    outputs = Outputs.of(model, part)
    if outputs is None or not is_nest(outputs.nest):
        return part

    def of(x: Any, y: Any, weight: Any = None) -> Any:
        y = outputs.arranged(y, "labels")
        weight = outputs.arranged(weight, "weights") if is_nest(weight) else weight
        return keras.utils.pack_x_y_sample_weight(x, y, weight)

    return mapped(part, of)


def _has_labels(part: Stream) -> bool:
    spec = part.element_spec
    return isinstance(spec, tuple) and len(spec) > 1
