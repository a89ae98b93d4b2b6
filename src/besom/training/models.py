"""The two models that come with besom, and the pattern for a user's own.

A model is any importable function that returns an uncompiled ``keras.Model``; the trainer compiles
it. Of the data it gets what its signature asks for (``besom.training.data.asked_for``). Keras is
imported inside, so that a signature can be read without TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from besom.errors import ConfigError, did_you_mean
from besom.text.values import given_text


def mlp(
    input_shape: tuple[int, ...],
    num_classes: int | None,
    hidden_units: Sequence[int] = (512, 256),
    activation: str = "relu",
    dropout: float = 0.2,
    output_shape: tuple[int, ...] | None = None,
    output_activation: str | None = "softmax",
) -> Any:
    """A multilayer perceptron: Flatten, then Dense and Dropout for each hidden layer, then softmax.

    Args:
        input_shape: the shape of one example, such as ``(28, 28)``.
        num_classes: the number of outputs; None: there are no classes, ``output_shape`` says it.
        hidden_units: units of each hidden layer; empty: softmax regression.
        activation: a Keras activation name for the hidden layers.
        dropout: the share of units dropped after each hidden layer, in [0, 1).
        output_shape: the shape of what is returned for one example.
        output_activation: that of the last layer: ``softmax`` for classes.

    Returns:
        An uncompiled ``keras.Sequential``; output shape ``(batch, num_classes)`` or
        ``(batch, *output_shape)``, float32.

    Raises:
        ConfigError: a unit count below 1, a dropout outside [0, 1), an unknown activation; several
            inputs or outputs.
    """
    import keras

    _check_single("mlp", input_shape, num_classes, output_shape)
    _check_counts("hidden_units", hidden_units)
    _check_activation(activation)
    _check_dropout(dropout)
    layers = [keras.Input(shape=input_shape), keras.layers.Flatten()]
    for units in hidden_units:
        layers.append(keras.layers.Dense(units, activation=activation))
        if dropout > 0:
            layers.append(keras.layers.Dropout(dropout))
    layers += _output(num_classes, output_shape, output_activation)
    return keras.Sequential(layers, name="mlp")


def cnn(
    input_shape: tuple[int, ...],
    num_classes: int | None,
    filters: Sequence[int] = (32, 64),
    kernel_size: int = 3,
    dense_units: int = 128,
    activation: str = "relu",
    dropout: float = 0.25,
    output_shape: tuple[int, ...] | None = None,
    output_activation: str | None = "softmax",
) -> Any:
    """A small convolutional network: for each of ``filters`` Conv2D and MaxPooling, then one Dense.

    Args:
        input_shape: the shape of one image, ``(height, width)`` or ``(height, width, channels)``.
        num_classes: the number of outputs; None: there are no classes, ``output_shape`` says it.
        filters: filters of each convolution; a 2×2 max pooling halves the image after each.
        kernel_size: height and width of the kernels, in pixels.
        dense_units: units of the dense layer before the output.
        activation: a Keras activation name for the convolutions and the dense layer.
        dropout: the share of units dropped before the dense layer and before the output, in [0, 1).
        output_shape, output_activation: as for ``mlp``.

    Returns:
        An uncompiled ``keras.Sequential``; output shape ``(batch, num_classes)`` or
        ``(batch, *output_shape)``, float32.

    Raises:
        ConfigError: as for ``mlp``; an image that is not 2- or 3-dimensional, or that is halved
            more often than it can be.
    """
    import keras

    _check_single("cnn", input_shape, num_classes, output_shape)
    _check_counts("filters", filters)
    _check_counts("kernel_size", [kernel_size])
    _check_counts("dense_units", [dense_units])
    _check_activation(activation)
    _check_dropout(dropout)
    _check_image(input_shape, n_halvings=len(filters))
    layers = [keras.Input(shape=input_shape)]
    if len(input_shape) == 2:
        layers.append(keras.layers.Reshape((*input_shape, 1)))
    for n in filters:
        layers.append(keras.layers.Conv2D(n, kernel_size, padding="same", activation=activation))
        layers.append(keras.layers.MaxPooling2D(2))
    layers.append(keras.layers.Flatten())
    if dropout > 0:
        layers.append(keras.layers.Dropout(dropout))
    layers.append(keras.layers.Dense(dense_units, activation=activation))
    if dropout > 0:
        layers.append(keras.layers.Dropout(dropout))
    layers += _output(num_classes, output_shape, output_activation)
    return keras.Sequential(layers, name="cnn")


def _output(
    num_classes: int | None, output_shape: tuple[int, ...] | None, activation: str | None
) -> list[Any]:
    """The output layers; float32 under every precision, so that loss and metrics are too."""
    import keras

    shape = output_shape or (1,)
    if len(shape) == 1:
        units = shape[0] if num_classes is None else num_classes
        return [keras.layers.Dense(units, activation=activation, dtype="float32")]
    return [
        keras.layers.Dense(math.prod(shape), dtype="float32"),
        keras.layers.Reshape(shape, dtype="float32"),
        keras.layers.Activation(activation or "linear", dtype="float32"),
    ]


def _check_single(name: str, input_shape: Any, num_classes: Any, output_shape: Any) -> None:
    """Refuse data of several inputs or outputs, whose shapes are a nest, or of no fixed shape."""
    for what, shape in (("inputs", input_shape), ("outputs", output_shape or (num_classes,))):
        several = list(shape) if isinstance(shape, dict) else range(len(shape))
        if isinstance(shape, dict) or any(isinstance(part, tuple | dict) for part in shape):
            raise ConfigError(
                f"model={name} takes one array and has one output, but the data has {len(several)} "
                f"{what} ({', '.join(map(str, several))}). Write a model function of your own."
            )
        if shape == () and what == "inputs":
            raise ConfigError(
                f"model={name} takes arrays of numbers, but an example of the data is a single "
                "value, such as a text. Write a model function that begins with a layer for it, "
                "such as keras.layers.TextVectorization."
            )
        if None in shape and what == "inputs":
            raise ConfigError(
                f"model={name} takes examples of one shape, but the data's have {shape}: their "
                "lengths differ. Pad them, or write a model function of your own."
            )


def _check_counts(name: str, counts: object) -> None:
    if not isinstance(counts, list | tuple):
        raise ConfigError(
            f"model.{name} is {given_text(counts)}, expected a list of whole numbers above 0."
        )
    for count in counts:
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ConfigError(
                f"model.{name} holds {given_text(count)}, expected whole numbers above 0."
            )


def _check_dropout(dropout: float) -> None:
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise ConfigError(
            f"model.dropout is {given_text(dropout)}, expected a share of units from 0 up to (not "
            "including) 1, such as 0.2."
        )


def _check_activation(name: str) -> None:
    import keras

    if not isinstance(name, str):
        raise ConfigError(
            f"model.activation is {given_text(name)}, expected a name such as 'relu'."
        )
    try:
        keras.activations.get(name)
    except ValueError:
        known = [n for n in dir(keras.activations) if not n.startswith("_")]
        known = [n for n in known if n not in ("get", "serialize", "deserialize")]
        raise ConfigError(
            f"model.activation is {name!r}, which Keras does not know.{did_you_mean(name, known)}"
        ) from None


def _check_image(input_shape: tuple[int, ...], n_halvings: int) -> None:
    if len(input_shape) not in (2, 3):
        raise ConfigError(
            f"model=cnn needs images of shape (height, width) or (height, width, channels), but "
            f"the data's are {tuple(input_shape)}. Use model=mlp."
        )
    if min(input_shape[:2]) < 2**n_halvings:
        raise ConfigError(
            f"model.filters has {n_halvings} entries, each halving the image, but the data's are "
            f"only {input_shape[0]}×{input_shape[1]} pixels. Use fewer."
        )
