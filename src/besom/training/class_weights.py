"""``trainer.class_weight``: turned into a weight for each training example, for either engine.

Keras takes class weights for a single output, and not beside sample weights. Here they are
multiplied with the sample weights, output by output, before an engine sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.errors import ConfigError, did_you_mean
from besom.text.values import given_text
from besom.training.data.examples import Examples, Stream
from besom.training.data.nests import is_nest
from besom.training.epochs.mapped_streams import mapped
from besom.training.outputs import Outputs

_KEY = "trainer.class_weight"
_EXPECTED = "expected a weight for each class, such as {0: 1.0, 1: 5.0}, or balanced"
_WITH_CLASSES = ("classification", "one-hot", "binary")


@dataclass(frozen=True)
class ClassWeights:
    """What each class weighs, by output.

    Attributes:
        tables: the outputs' weights by class number, (n_classes,) float32; None for an output
            whose examples weigh 1. The key is empty where there is one output.
    """

    tables: dict[str, tuple[str, np.ndarray[Any, Any]] | None]

    @classmethod
    def of(cls, asked: Any, data: Any, outputs: Outputs | None) -> ClassWeights:
        """Read ``trainer.class_weight``.

        Args:
            asked: the setting, not None.
            data: a ``besom.training.data.TrainingData``.
            outputs: the model's; None where there is one.

        Raises:
            ConfigError: it is no such, or an output has no classes.
        """
        kind = data.task.kind
        if isinstance(kind, str) and (outputs is None or not outputs.are_several):
            y = data.train.y if isinstance(data.train, Examples) else None
            return cls({"": _table(_KEY, asked, kind, y, data.num_classes, data.class_names)})
        if outputs is None:
            raise ConfigError(f"{_KEY} needs to know the model's outputs, which has its own step.")
        if not isinstance(asked, Mapping):
            asked = {
                name: asked for name, each in _kinds(kind, outputs).items() if each in _WITH_CLASSES
            }
        named = outputs.by_name(asked, _KEY)
        y = outputs.arranged(data.train.y, "labels") if isinstance(data.train, Examples) else None
        labels = dict(zip(outputs.names, keras.tree.flatten(y), strict=False)) if y else {}
        if isinstance(y, Mapping):
            labels = dict(y)
        classes = data.num_classes if isinstance(data.num_classes, Mapping) else {}
        kinds = _kinds(kind, outputs)
        return cls(
            {
                name: None
                if named.get(name) is None
                else _table(
                    f"{_KEY}.{name}",
                    named[name],
                    kinds[name],
                    labels.get(name),
                    classes.get(name),
                    None,
                )
                for name in outputs.names
            }
        )

    def applied_to(self, part: Examples | Stream) -> Examples | Stream:
        """The examples with these weights, times those that they have."""
        if isinstance(part, Examples):
            return replace(part, weight=self._weights(part.y, part.weight, np))

        def of(x: Any, y: Any, weight: Any = None) -> Any:
            xp = tf.experimental.numpy if tf.is_tensor(keras.tree.flatten(y)[0]) else np
            return x, y, self._weights(y, weight, xp)

        return mapped(part, of)

    def _weights(self, y: Any, weight: Any, xp: Any) -> Any:
        if "" in self.tables:
            return _product(self.tables[""], y, weight, xp)
        names = list(self.tables)
        if isinstance(y, Mapping):
            return {name: _product(self.tables[name], y[name], _of(weight, name), xp) for name in y}
        return tuple(
            _product(self.tables[name], each, _of(weight, i), xp)
            for i, (name, each) in enumerate(zip(names, y, strict=True))
        )


def _kinds(kind: Any, outputs: Outputs) -> dict[str, str]:
    if isinstance(kind, str):
        return dict.fromkeys(outputs.names, kind)
    if isinstance(kind, Mapping):
        return dict(kind)
    return dict(zip(outputs.names, kind, strict=True))


def _of(weight: Any, key: Any) -> Any:
    return weight[key] if weight is not None and is_nest(weight) else weight


def _product(table: Any, y: Any, weight: Any, xp: Any) -> Any:
    """The weight of each example of one output; shape (n,), or that of its labels."""
    if table is None:
        own = xp.ones(y.shape[:1] if xp is np else tf.shape(y)[:1], np.float32)
    else:
        kind, of_class = table
        classes = xp.argmax(y, -1) if kind == "one-hot" else xp.reshape(y, (-1,))
        if kind == "classification" and len(y.shape) > 1 and y.shape[-1] != 1:
            classes = y  # a class for each position
        classes = classes.astype(np.int32) if xp is np else tf.cast(classes, tf.int32)
        own = of_class[classes] if xp is np else tf.gather(tf.constant(of_class), classes)
    if weight is None:
        return own
    weight = np.asarray(weight, np.float32) if xp is np else tf.cast(weight, tf.float32)
    extra = len(own.shape) - len(weight.shape)
    return own * xp.reshape(weight, (*weight.shape, *[1] * extra)) if extra > 0 else own * weight


def _table(
    key: str, asked: Any, kind: str, y: Any, num_classes: Any, class_names: Any
) -> tuple[str, np.ndarray[Any, Any]]:
    if kind not in _WITH_CLASSES:
        raise ConfigError(
            f"{key} is {given_text(asked)}, but the labels there are no classes: the task is "
            f"{kind}."
        )
    n = int(num_classes or 2)
    if asked == "balanced":
        if y is None:
            raise ConfigError(
                f"{key} is balanced, but the labels of a stream cannot be counted beforehand: give "
                "a weight for each class."
            )
        y = np.asarray(y)
        classes = y.argmax(-1) if kind == "one-hot" else y.reshape(-1)
        counts = np.bincount(classes.astype(np.int64), minlength=n)
        n_present = np.count_nonzero(counts)
        weights = counts.sum() / (n_present * np.maximum(counts, 1))
        return kind, np.where(counts > 0, weights, 1.0).astype(np.float32)
    if not isinstance(asked, Mapping):
        raise ConfigError(f"{key} is {given_text(asked)}, {_EXPECTED}.")
    of_class = np.ones(n, np.float32)
    names = [str(name) for name in class_names] if class_names is not None else []
    known = [str(i) for i in range(n)]
    for name, weight in asked.items():
        text = str(name)
        if text in names:
            position = names.index(text)
        elif text in known:
            position = known.index(text)
        else:
            raise ConfigError(
                f"{key} names the class {text}, which the labels do not have."
                + did_you_mean(text, names or known)
            )
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not is_number or not 0 <= weight < float("inf"):
            raise ConfigError(f"{key}.{text} is {given_text(weight)}, expected a number from 0.")
        of_class[position] = weight
    return kind, of_class
