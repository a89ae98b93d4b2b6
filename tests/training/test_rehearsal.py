"""What is known before the first epoch is said before it, and changes nothing that comes after."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_world import config, onward, tiny_data, tiny_test

from besom.errors import ConfigError, reason_of
from besom.training.rehearsal import rehearse
from besom.training.trainer import evaluate, fit
from user_project import some_long

pytestmark = pytest.mark.tensorflow

DATA = tiny_data()


def node(target: str, /, **arguments: Any) -> dict[str, Any]:
    return {"_target_": target if "." in target else f"training_world.{target}", **arguments}


def measuring(*metrics: Any, **trainer: Any) -> dict[str, Any]:
    return config(trainer={"metrics": ["accuracy", *metrics], **trainer})


def test_a_run_gives_bit_for_bit_what_it_would_have_given_without() -> None:
    dropping = config(model=node("besom.training.models.mlp", hidden_units=[8], dropout=0.5))
    without = fit(dropping, DATA, on_epoch=onward).history
    tried = rehearse(dropping, DATA)
    assert fit(dropping, DATA, on_epoch=onward).history == without
    assert (tried.engine, tried.unsavable) == ("compiled", "")
    assert set(tried.metrics) == set(without)


def test_all_random_state_is_put_back() -> None:
    def drawn() -> list[Any]:
        of_keras, of_tensorflow = keras.random.uniform(()), tf.random.uniform(())
        return [random.random(), np.random.rand(), float(of_keras), float(of_tensorflow)]

    draws = []
    for between in (lambda: None, lambda: rehearse(config(seed=9), DATA)):
        keras.utils.set_random_seed(1)
        random.random()
        np.random.rand()
        between()
        draws.append((drawn(), keras.layers.Dense(1).name.partition("_")[0]))
    assert draws[0] == draws[1]


@pytest.mark.parametrize("engine", some_long(["auto", "keras"], "auto"))
def test_a_metric_that_is_a_mapping_has_a_line_of_the_history_for_each_key(engine: str) -> None:
    asked = measuring(node("Extremes"), engine=engine)
    names = {"loss", "accuracy", "highest", "doubt"}
    tried, fitted = rehearse(asked, DATA), fit(asked, DATA, on_epoch=onward)
    assert set(tried.metrics) == set(fitted.history) == names | {f"val_{n}" for n in names}
    assert fitted.engine == {"auto": "compiled"}.get(engine, engine)
    assert np.add(fitted.history["highest"], fitted.history["doubt"]) == pytest.approx(1.0)
    test = tiny_test()
    assert set(evaluate(fitted.model, test.x, test.y, test.scale, by=fitted.engine)) == names


@pytest.mark.long
def test_auto_takes_keras_where_the_compiled_engine_was_tried_and_failed() -> None:
    asked = measuring(node("NotInALoop"), epochs=1)
    for found in (rehearse(asked, DATA), fit(asked, DATA, on_epoch=onward)):
        assert found.engine == "keras"
        assert "cannot run this: TypeError: this metric knows no loops" in found.engine_reason
    by_name = measuring(node("NotInALoop"), epochs=1, engine="keras")
    auto, keras_alone = (fit(c, DATA, on_epoch=onward).history for c in (asked, by_name))
    assert auto == keras_alone
    wanted = measuring(node("NotInALoop"), engine="compiled")
    with pytest.raises(ConfigError, match=r"knows no loops.*Use trainer\.engine=auto"):
        rehearse(wanted, DATA)
    with pytest.raises(ConfigError, match=r"^trainer\.engine=compiled: .*knows no loops"):
        fit(wanted, DATA, on_epoch=onward)


def test_a_model_that_cannot_be_saved_is_said_to_be_and_not_refused() -> None:
    tried = rehearse(config(model=node("unsavable")), DATA)
    assert tried.unsavable.startswith("NotImplementedError: Object Unsavable was created")
    assert "get_config" in tried.unsavable
    assert "\n" not in tried.unsavable


@pytest.mark.long
def test_without_validation_images_the_evaluation_is_tried_all_the_same() -> None:
    tried = rehearse(measuring(node("Extremes")), tiny_data(n_validation=0))
    assert tried.metrics == ["loss", "accuracy", "highest", "doubt"]
    with pytest.raises(ConfigError, match="'per_class' gives 4 values"):
        rehearse(measuring(node("PerClass", name="per_class")), tiny_data(n_validation=0))


F1 = node("keras.metrics.F1Score", average="macro")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (measuring(node("PerClass", name="pc")), r"^The metric 'pc' gives 4 values per epoch"),
        (measuring(F1), r"^The metric F1Score\(average=macro\) expects one-hot labels"),
        (measuring("categorical_accuracy"), r"^The metric categorical_accuracy expects.*accuracy"),
        (measuring(node("Diary")), "which is a Diary, expected a keras.metrics.Metric"),
        (measuring(node("keras.metrics.TopKCategoricalAccuracy")), "SparseTopKCategoricalAccuracy"),
        (measuring(loss="categorical_crossentropy"),
         r"^trainer\.loss=categorical_crossentropy expects.* Use sparse_categorical_crossentropy"),
        (measuring(loss="mse"), r"^trainer\.loss=mse does not fit.* outputs of shape \(4,\): Inv"),
        (config(model=node("narrow")), r"has 3 outputs, but the labels go up to 3:.* 4 classes"),
        (config(model=node("two_headed")), "has 2 outputs, but an example has one label"),
        (config(model=node("with_broken_step")), r"^A step of the model .*: KeyError: 'loss'"),
        (config(trainer={"callbacks": [node("NeedsServer")]}),
         r"callbacks: training_world\.NeedsServer cannot be built: RuntimeError: no server"),
        (config(trainer={"callbacks": [node("Extremes")]}), "is a Extremes, expected a keras"),
        (config(trainer={"callbacks": ["EarlyStopping"]}), "'EarlyStopping', expected nodes"),
        (config(trainer={"monitor": "val_acuracy", "patience": 1}), "Did you mean 'val_accuracy'"),
    ],
)  # fmt: skip
def test_what_no_trial_could_run_is_one_reason_of(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        rehearse(asked, DATA)
    assert "\n" not in str(refused.value)


def test_labels_can_be_numbers_to_regress_on() -> None:
    one_output = {"_target_": "besom.training.models.mlp", "hidden_units": []}
    asked = config(model={**one_output, "activation": "relu"}, trainer={"metrics": ["mae"]})
    asked["trainer"]["loss"] = "mse"
    data = tiny_data()
    object.__setattr__(data, "num_classes", 1)
    assert "val_mae" in rehearse(asked, data).metrics


def test_of_tensorflows_messages_the_sentence_that_informs_is_kept() -> None:
    error = ValueError(
        "Graph execution error:\n\nDetected at node loss/X defined at (most recent call last):\n"
        "<stack traces unavailable>\n{{function_node __x}} Received a label of 9.  Label values: 9"
        "\n\t [[{{node loss/X}}]] [Op:__inference_1]"
    )
    assert reason_of(error) == "ValueError: Received a label of 9"
    assert reason_of(KeyError()) == "KeyError"
