"""What a model function is handed about the data: what its signature asks for."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from besom.errors import ConfigError
from besom.targets import TARGET, resolve
from besom.training.data.dataset import TrainingData
from besom.training.data.examples import Examples, LazyRows, Stream, is_ragged
from besom.training.data.nests import map_nest

#: What a model function may ask for, beside what its config gives.
_Offer = Callable[[TrainingData], Any]


def model_arguments(node: Mapping[str, Any], data: TrainingData) -> dict[str, Any]:
    """Return the arguments that a model function gets besides those of its config.

    Args:
        node: the config's ``model``, whose ``_target_`` may have parameters ``input_shape``,
            ``num_classes``, ``output_shape``, ``output_activation``, ``training_x``,
            ``class_names``, ``feature_space`` and ``vocabulary``. Where the config itself gives
            ``output_shape`` or one after it, that counts.
        data: what it will be trained on.

    Returns:
        Those it has a parameter for, by name:

        - input_shape: of one example; a nest for several inputs
        - num_classes: None where the task has no classes; a dict or list for several outputs
        - output_shape: of what the model should return for one example
        - output_activation: softmax for classes, sigmoid for tags, None for all else; a dict or
          list for several outputs
        - training_x: the training part's inputs as the model will see them, for layers that
          ``adapt``: no validation example is among them
        - class_names: as the dataset gives them
        - feature_space: of a table, a ``keras.utils.FeatureSpace`` adapted to the training part
        - vocabulary: for each input of text the values of the training part, the most frequent
          first; a nest for several inputs, None for those that are numbers

    Raises:
        ConfigError: ``training_x`` or ``vocabulary`` is asked for, but the data is a stream that
            cannot give it.
    """
    asked = _parameters(node)
    return {
        name: offer(data)
        for name, offer in _OFFERS.items()
        if name in asked and (name in _WINS or name not in node)
    }


def _parameters(node: Mapping[str, Any]) -> Any:
    """The names of the target's parameters; of one that takes any, those it always got."""
    if TARGET not in node:
        return _WINS
    target = resolve(node[TARGET])
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):  # some C functions have none
        return ()
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    return {*parameters, *_WINS} if takes_any and not _is_layer(target) else parameters


def _is_layer(target: Any) -> bool:
    """Whether it is a class of Keras's, whose ``**kwargs`` are Keras's own: name, dtype ..."""
    if not inspect.isclass(target):
        return False
    import keras

    return issubclass(target, keras.layers.Layer)


def _output_shape(data: TrainingData) -> Any:
    """The task's; without labels, what reconstructs the inputs."""
    if data.task.kind == "none":
        return data.input_shape
    return data.task.output_shape


def _training_x(data: TrainingData) -> Any:
    train = data.train
    if isinstance(train, Stream):
        return _inputs_of(train, data.name)
    if not train.in_memory:
        return _batches_of(train)
    return map_nest(_as_seen, train.x, train.scales)


def _as_seen(leaf: Any, scale: float) -> Any:
    """A leaf as it reaches the model."""
    if is_ragged(leaf) or leaf.dtype not in (np.uint8, np.float32):
        return leaf
    seen = leaf.astype(np.float32, copy=False)
    return seen if scale == 1.0 else seen * np.float32(scale)


def _inputs_of(stream: Stream, name: str) -> Any:
    if not hasattr(stream.source, "map"):
        raise ConfigError(
            f"The model function asks for training_x, but {name} is a "
            f"{type(stream.source).__name__}: only arrays and tf.data can be adapted to."
        )
    if stream.is_endless:
        raise ConfigError(
            f"The model function asks for training_x, but {name} never ends, and nor would adapt: "
            "omit repeat(). trainer.steps_per_epoch repeats the data where it needs to be."
        )
    spec = stream.element_spec
    if not isinstance(spec, tuple):
        return stream.source
    return stream.source.map(lambda *batch: batch[0])


def _batches_of(train: Examples, size: int = 1024) -> Any:
    """The inputs of a file too large to copy, as a ``tf.data.Dataset``."""
    import tensorflow as tf

    first = map_nest(lambda leaf, scale: _as_seen(leaf[:1], scale), train.x, train.scales)
    spec = map_nest(lambda a: tf.TensorSpec((None, *a.shape[1:]), a.dtype), first)

    def batches() -> Any:
        for start in range(0, train.n, size):
            x = train.take(np.arange(start, min(start + size, train.n))).loaded.x
            yield map_nest(_as_seen, x, train.scales)

    return tf.data.Dataset.from_generator(batches, output_signature=spec)


def _vocabulary(data: TrainingData) -> Any:
    if isinstance(data.train, Stream):
        raise ConfigError(
            f"The model function asks for vocabulary, but {data.name} is a stream: ask for "
            "training_x and adapt a layer to it."
        )
    return map_nest(_values, data.train.x)


def _values(leaf: Any) -> list[str] | None:
    if is_ragged(leaf):
        leaf = np.asarray(leaf.flat_values)
    if isinstance(leaf, LazyRows) or leaf.dtype.kind not in "OSU":
        return None
    texts = [t.decode(errors="replace") if isinstance(t, bytes) else str(t) for t in leaf.flat]
    return [
        text for text, _ in sorted(Counter(texts).items(), key=lambda item: (-item[1], item[0]))
    ]


_OFFERS: dict[str, _Offer] = {
    "input_shape": lambda data: data.input_shape,
    "num_classes": lambda data: data.num_classes,
    "output_shape": _output_shape,
    "output_activation": lambda data: data.task.output_activation,
    "training_x": _training_x,
    "class_names": lambda data: data.class_names,
    "feature_space": lambda data: None if data.columns is None else data.columns.feature_space,
    "vocabulary": _vocabulary,
}

#: These outrank the config, which may name them in a copy of an older one.
_WINS = ("input_shape", "num_classes")
