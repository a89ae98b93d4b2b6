"""The private names of Keras that besom uses are all behind one door, and are still there."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.backend.common import global_state
from tensorflow.python.eager import context

import besom.training
from besom.training.fast import keras_private

pytestmark = pytest.mark.tensorflow

TRAINING = Path(str(besom.training.__file__)).parent
DOOR = Path(keras_private.__file__)
GRAPH = ("_keras_history", "_outbound_nodes")
MODEL = (
    *("_flatten_layers", "_call_has_training_arg", "_compute_loss", "_loss_tracker"),
    *("_compile_metrics", "_compile_loss"),
)
METRICS = ("_flat_metrics", "_flat_weighted_metrics", "_flatten_y")
LOSS = ("_flat_losses", "_metrics")
WRAPPER = ("_fn", "_fn_kwargs")
OPTIMIZER = ("_backend_update_step", "_get_variable_index")
SLOTS = ("_momentums", "_velocities", "_velocity_hats", "_average_gradients")


def private_uses(path: Path) -> list[str]:
    uses = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras.src"):
            uses.append(str(node.module))
        if isinstance(node, ast.Attribute) and node.attr in (
            *GRAPH,
            *MODEL,
            *METRICS,
            *LOSS[:1],
            *WRAPPER,
            *OPTIMIZER,
            *SLOTS,
        ):
            uses.append(node.attr)
    return uses


def test_no_other_module_uses_private_names_of_keras() -> None:
    assert private_uses(DOOR)
    others = (path for path in TRAINING.rglob("*.py") if path != DOOR)
    assert {str(path): uses for path in others if (uses := private_uses(path))} == {}


def test_every_private_name_is_there_in_the_installed_keras() -> None:
    keras.utils.set_random_seed(1)  # TensorFlow has no generator before
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.Adam(), loss="mse", metrics=["mae"])
    model.train_on_batch(np.zeros((2, 2)), np.zeros((2, 1)))
    made = [
        keras.optimizers.Adam(amsgrad=True),
        keras.optimizers.SGD(momentum=0.9),
        keras.optimizers.RMSprop(centered=True, momentum=0.9),
    ]
    for optimizer in made:
        optimizer.build(model.trainable_variables)
    adam, sgd, rmsprop = made
    owners: list[tuple[Any, tuple[str, ...]]] = [
        (model, MODEL),
        (model._compile_metrics, METRICS),
        (model._compile_loss, LOSS),
        (model._compile_metrics.metrics[0], WRAPPER),
        *((optimizer, OPTIMIZER) for optimizer in made),
        (adam, ("_momentums", "_velocities", "_velocity_hats")),
        (sgd, ("momentums",)),
        (rmsprop, ("_momentums", "_velocities", "_average_gradients")),
        (global_state, ("GLOBAL_STATE_TRACKER",)),
        (context.context(), ("_seed", "_rng")),
    ]
    gone = [
        f"{getattr(owner, '__name__', type(owner).__name__)}.{name}"
        for owner, names in owners
        for name in names
        if not hasattr(owner, name)
    ]
    assert not gone, (
        f"Keras {keras.__version__} has no {', '.join(gone)} any more. "
        "besom.training.fast.keras_private was checked with Keras "
        f"{keras_private.CHECKED_WITH}: adapt it to the new names."
    )


def test_the_test_step_measures_what_keras_measures() -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    y = np.arange(8) % 2
    theirs = model.test_on_batch(x, y, return_dict=True)
    model.reset_metrics()
    predictions = keras_private.test_step(model, x, y)
    assert np.array_equal(predictions, model(x))
    ours = {name: float(value) for name, value in model.get_metrics_result().items()}
    assert ours == pytest.approx({name: float(value) for name, value in theirs.items()}, abs=1e-6)
