"""Functions for ``trainer.fit``: those that people write, and those that end in some other way."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

layers = keras.layers


def pretrained(input_shape: tuple[int, ...], num_classes: int) -> Any:
    """A base with weights that training should begin from, and a new head."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(input_shape)
    hidden = layers.Flatten()(inputs)
    base = layers.Dense(8, "relu", name="base")
    base.trainable = False
    outputs = layers.Dense(num_classes, "softmax")(base(hidden))
    return keras.Model(inputs, outputs)


def _train(model: Any, data: Any, callbacks: list[Any], epochs: int) -> Any:
    return model.fit(
        data.train,
        validation_data=data.validation,
        epochs=epochs,
        callbacks=callbacks,
        verbose=0,
    )


def plain(model: Any, data: Any, config: Any, callbacks: list[Any]) -> Any:
    return _train(model, data, callbacks, config["trainer"]["epochs"])


def two_phases(
    model: Any, data: Any, config: Any, callbacks: list[Any], frozen_epochs: int = 1
) -> Any:
    """Frozen, then unfrozen and compiled anew with a smaller step."""
    _train(model, data, callbacks, frozen_epochs)
    model.get_layer("base").trainable = True
    rate = config["optimizer"]["learning_rate"] / 10
    model.compile(keras.optimizers.Adam(rate), loss=model.loss, metrics=["accuracy"])
    return _train(model, data, callbacks, config["trainer"]["epochs"] - frozen_epochs)


#: What the functions below noted.
NOTED: list[str] = []


def deaf(model: Any, data: Any, config: Any, callbacks: list[Any]) -> None:
    """Goes on after a stop, again and again."""
    for _ in range(config["trainer"]["epochs"]):
        try:
            _train(model, data, callbacks, 1)
        except Exception as error:
            NOTED.append(type(error).__name__)


def tidy(model: Any, data: Any, config: Any, callbacks: list[Any]) -> Any:
    try:
        return plain(model, data, config, callbacks)
    finally:
        NOTED.append("tidied up")


def by_hand(model: Any, data: Any, config: Any, callbacks: list[Any]) -> None:
    """A loop of its own, as of a GAN: it calls the callbacks itself."""
    listeners = keras.callbacks.CallbackList(callbacks, model=model)
    for epoch in range(config["trainer"]["epochs"]):
        listeners.on_epoch_begin(epoch)
        losses = [model.train_on_batch(x, y)[0] for x, y in data.train]
        measured = model.evaluate(data.validation, callbacks=listeners, verbose=0, return_dict=True)
        logs = {f"val_{name}": value for name, value in measured.items()}
        listeners.on_epoch_end(epoch, {"loss": float(np.mean(losses)), **logs})


def curriculum(model: Any, data: Any, config: Any, callbacks: list[Any]) -> Any:
    """The easy examples first, from arrays."""
    assert data.x_train.max() <= 1.0
    assert data.x_train.dtype == np.float32
    easy = data.y_train < 2
    held = (data.x_validation, data.y_validation)
    common = {"validation_data": held, "callbacks": callbacks, "verbose": 0}
    model.fit(data.x_train[easy], data.y_train[easy], epochs=1, **common)
    return model.fit(
        data.x_train, data.y_train, initial_epoch=1, epochs=config["trainer"]["epochs"], **common
    )


def failing(model: Any, data: Any, config: Any, callbacks: list[Any]) -> Any:
    _train(model, data, callbacks, 1)
    raise RuntimeError("the second phase has no base")


def without_callbacks(model: Any, data: Any, config: Any, callbacks: list[Any]) -> Any:
    return model.fit(data.train, epochs=1, verbose=0)


def a_new_model(model: Any, data: Any, config: Any, callbacks: list[Any]) -> Any:
    plain(model, data, config, callbacks)
    return model


def other_metrics(model: Any, data: Any, config: Any, callbacks: list[Any]) -> Any:
    _train(model, data, callbacks, 1)
    model.compile("adam", loss=model.loss, metrics=["sparse_top_k_categorical_accuracy"])
    return _train(model, data, callbacks, 1)


def compiled_at_the_end(model: Any, data: Any, config: Any, callbacks: list[Any]) -> Any:
    history = plain(model, data, config, callbacks)
    model.compile("adam", "mse")
    return history


def into_nan(model: Any, data: Any, config: Any, callbacks: list[Any]) -> Any:
    _train(model, data, callbacks, 1)
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    return _train(model, data, callbacks, 1)


def without_end(model: Any, data: Any, config: Any, callbacks: list[Any]) -> Any:
    return _train(model, data, callbacks, 10**6)


def changing_later(model: Any, data: Any, config: Any, callbacks: list[Any]) -> Any:
    history = plain(model, data, config, callbacks)
    model.set_weights([weight * 0 for weight in model.get_weights()])
    return history


def of_two(model: Any, data: Any) -> Any:
    return model.fit(data.train)
