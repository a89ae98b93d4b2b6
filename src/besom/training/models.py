"""The two models that come with besom, and the pattern for a user's own.

A model is any importable function that returns an uncompiled ``keras.Model``; the trainer compiles
it. Of the data it gets what its signature asks for (``besom.training.data.asked_for``). Keras is
imported inside, so that a signature can be read without TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from besom.errors import ConfigError, did_you_mean
from besom.text.counting import counted
from besom.text.values import given_text

#: The keys of each of an mlp's ``layers``.
_OF_A_LAYER = ("units", "activation", "dropout")


def mlp(
    input_shape: tuple[int, ...],
    num_classes: int | None,
    hidden_units: Sequence[int] = (512, 256),
    activation: str = "relu",
    dropout: float = 0.2,
    output_shape: tuple[int, ...] | None = None,
    output_activation: str | None = "softmax",
    activations: Sequence[str] | None = None,
    dropouts: Sequence[float] | None = None,
    layers: Sequence[Mapping[str, Any]] | None = None,
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
        activations: one for each hidden layer, in place of ``activation``.
        dropouts: one for each hidden layer, in place of ``dropout``.
        layers: the hidden layers, in place of ``hidden_units``: each a mapping of ``units`` and,
            where they are its own, ``activation`` and ``dropout``.

    Returns:
        An uncompiled ``keras.Sequential``; output shape ``(batch, num_classes)`` or
        ``(batch, *output_shape)``, float32.

    Raises:
        ConfigError: a unit count below 1, a dropout outside [0, 1), an unknown activation; not one
            activation or dropout for each layer; a layer without units, or with an unknown key;
            several inputs or outputs.
    """
    import keras

    _check_single("mlp", input_shape, num_classes, output_shape)
    _check_counts("hidden_units", hidden_units)
    _check_activation("activation", activation)
    _check_dropout("dropout", dropout)
    if layers is None:
        per_layer = {
            "activation": _one_each("activations", activations, activation, len(hidden_units)),
            "dropout": _one_each("dropouts", dropouts, dropout, len(hidden_units)),
        }
        hidden = [
            {"units": units, **{key: values[i] for key, values in per_layer.items()}}
            for i, units in enumerate(hidden_units)
        ]
    else:
        _check_layers(layers, {"activations": activations, "dropouts": dropouts})
        given = [{k: v for k, v in layer.items() if v is not None} for layer in layers]
        hidden = [{"activation": activation, "dropout": dropout, **layer} for layer in given]
    built = [keras.Input(shape=input_shape), keras.layers.Flatten()]
    for layer in hidden:
        built.append(keras.layers.Dense(layer["units"], activation=layer["activation"]))
        if layer["dropout"] > 0:
            built.append(keras.layers.Dropout(layer["dropout"]))
    built += _output(num_classes, output_shape, output_activation)
    return keras.Sequential(built, name="mlp")


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
    _check_activation("activation", activation)
    _check_dropout("dropout", dropout)
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


def _one_each(name: str, given: object, one: Any, n_layers: int) -> Sequence[Any]:
    """What each hidden layer has: its own, or the same for all."""
    if given is None:
        return [one] * n_layers
    if not isinstance(given, list | tuple):
        raise ConfigError(f"model.{name} is {given_text(given)}, expected a list or null.")
    check = _check_activation if name == "activations" else _check_dropout
    for i, value in enumerate(given):
        check(f"{name}.{i}", value)
    if len(given) != n_layers:
        raise ConfigError(
            f"model.{name} is {given_text(list(given))}, {counted(len(given), 'value')} for "
            f"{counted(n_layers, 'hidden layer')}: give one for each of model.hidden_units."
        )
    return given


def _check_layers(layers: object, beside: Mapping[str, object]) -> None:
    such = "such as [{units: 512, activation: relu, dropout: 0.2}]"
    if not isinstance(layers, list | tuple):
        raise ConfigError(
            f"model.layers is {given_text(layers)}, expected a list of mappings {such}."
        )
    for name, value in beside.items():
        if value is not None:
            raise ConfigError(
                f"model.{name} is {given_text(value)}, which goes with model.hidden_units: in "
                f"model.layers each layer has its own {name.removesuffix('s')}."
            )
    for i, layer in enumerate(layers):
        where = f"layers.{i}"
        if not isinstance(layer, Mapping):
            raise ConfigError(
                f"model.{where} is {given_text(layer)}, expected the mapping of a layer, {such}."
            )
        for key in layer:
            if key not in _OF_A_LAYER:
                raise ConfigError(
                    f"model.{where} has the key {key!r}, which no layer has."
                    + did_you_mean(str(key), _OF_A_LAYER)
                )
        if layer.get("units") is None:
            raise ConfigError(
                f"model.{where} is {given_text(layer)}, which has no units: every layer needs "
                f"some, {such}."
            )
        _check_counts(f"{where}.units", [layer["units"]])
        if layer.get("activation") is not None:
            _check_activation(f"{where}.activation", layer["activation"])
        if layer.get("dropout") is not None:
            _check_dropout(f"{where}.dropout", layer["dropout"])


def _check_dropout(name: str, dropout: float) -> None:
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise ConfigError(
            f"model.{name} is {given_text(dropout)}, expected a share of units from 0 up to (not "
            "including) 1, such as 0.2."
        )


def _check_activation(name: str, activation: str) -> None:
    import keras

    if not isinstance(activation, str):
        raise ConfigError(
            f"model.{name} is {given_text(activation)}, expected a name such as 'relu'."
        )
    try:
        keras.activations.get(activation)
    except ValueError:
        known = [n for n in dir(keras.activations) if not n.startswith("_")]
        known = [n for n in known if n not in ("get", "serialize", "deserialize")]
        raise ConfigError(
            f"model.{name} is {activation!r}, which Keras does not know."
            + did_you_mean(activation, known)
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
