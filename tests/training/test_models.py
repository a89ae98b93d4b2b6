"""The models that come with besom: what they are made of, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from besom.errors import ConfigError
from besom.training.models import cnn, mlp

pytestmark = pytest.mark.tensorflow


def kinds(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def test_the_default_is_the_tutorials_network() -> None:
    model = mlp((28, 28), 10)
    assert kinds(model) == ["Flatten", "Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [512, 256, 10]
    assert model.count_params() == 535_818
    assert model.output_shape == (None, 10)
    assert model.layers[-1].activation.__name__ == "softmax"
    assert not model.compiled


def test_no_hidden_units_is_softmax_regression() -> None:
    model = mlp((8, 8), 3, hidden_units=[])
    assert kinds(model) == ["Flatten", "Dense"]
    assert model.count_params() == 64 * 3 + 3


def test_no_dropout_is_no_dropout_layer() -> None:
    assert "Dropout" not in kinds(mlp((4,), 2, dropout=0.0))
    assert "Dropout" not in kinds(cnn((8, 8), 2, dropout=0))


def test_each_layer_may_have_its_own_activation_and_dropout() -> None:
    lists = {"hidden_units": [6, 4], "activations": ["relu", "gelu"], "dropouts": [0.0, 0.3]}
    layers = [{"units": 6, "activation": "relu", "dropout": 0.0}, {"units": 4}]
    by_layer = {"layers": layers, "activation": "gelu", "dropout": 0.3}
    for arguments in (lists, by_layer):
        model = mlp((8,), 2, **arguments)
        assert kinds(model) == ["Flatten", "Dense", "Dense", "Dropout", "Dense"]
        assert [model.layers[i].units for i in (1, 2)] == [6, 4]
        assert [model.layers[i].activation.__name__ for i in (1, 2)] == ["relu", "gelu"]
        assert model.layers[3].rate == 0.3
    assert kinds(mlp((8,), 2, layers=[])) == ["Flatten", "Dense"]


@pytest.mark.parametrize("input_shape", [(28, 28), (28, 28, 1), (9, 7, 3)])
def test_a_convolutional_network_takes_images_with_and_without_channels(
    input_shape: tuple[int, ...],
) -> None:
    model = cnn(input_shape, 10, filters=[4, 8], dense_units=5)
    assert model.input_shape == (None, *input_shape)
    assert model.output_shape == (None, 10)
    assert kinds(model).count("Conv2D") == 2


@pytest.mark.parametrize(
    ("build", "params", "message"),
    [
        (mlp, {"dropout": 1.5}, r"model\.dropout is 1\.5, expected .* from 0"),
        (mlp, {"dropout": 1}, r"model\.dropout is 1, "),
        (mlp, {"dropout": -0.1}, r"model\.dropout is -0\.1"),
        (mlp, {"dropout": "some"}, r"model\.dropout is 'some'"),
        (mlp, {"hidden_units": [64, 0]}, r"model\.hidden_units holds 0, expected whole numbers"),
        (mlp, {"hidden_units": [64.5]}, r"model\.hidden_units holds 64\.5"),
        (mlp, {"hidden_units": 64}, r"model\.hidden_units is 64, expected a list"),
        (mlp, {"activation": "relo"}, r"'relo', which Keras does not know\. Did you mean 'relu'"),
        (mlp, {"activation": 3}, r"model\.activation is 3, expected a name"),
        (mlp, {"activations": "relu"}, r"model\.activations is 'relu', expected a list or null"),
        (
            mlp,
            {"activations": ["relu"]},
            r"\[relu\], 1 value for 2 hidden layers: give one for each",
        ),
        (mlp, {"activations": ["relu", "gelo"]}, r"model\.activations\.1 is 'gelo'.*Did you mean"),
        (mlp, {"dropouts": [0.1, 1.5]}, r"model\.dropouts\.1 is 1\.5, expected a share"),
        (mlp, {"layers": 3}, r"model\.layers is 3, expected a list of mappings such as"),
        (mlp, {"layers": [64]}, r"model\.layers\.0 is 64, expected the mapping of a layer"),
        (mlp, {"layers": [{"unit": 3}]}, r"layers\.0 has the key 'unit'.* Did you mean 'units'"),
        (mlp, {"layers": [{"dropout": 0.1}]}, r"0 is {dropout: 0\.1}, which has no units"),
        (mlp, {"layers": [{"units": 0}]}, r"model\.layers\.0\.units holds 0"),
        (mlp, {"layers": [{"units": 1, "activation": 1}]}, r"layers\.0\.activation is 1, expected"),
        (mlp, {"layers": [{"units": 1, "dropout": 1}]}, r"layers\.0\.dropout is 1, expected"),
        (mlp, {"layers": [], "dropouts": []}, r"in model\.layers each layer has its own dropout"),
        (cnn, {"filters": [-1]}, r"model\.filters holds -1"),
        (cnn, {"kernel_size": 0}, r"model\.kernel_size holds 0"),
        (cnn, {"dense_units": 0}, r"model\.dense_units holds 0"),
        (cnn, {"filters": [1, 1, 1, 1]}, r"4 entries, each halving .* only 8×8 pixels"),
        (mlp, {"input_shape": {"a": (2,), "b": (3,)}}, r"but the data has 2 inputs \(a, b\)"),
        (mlp, {"output_shape": {"a": (2,), "b": (3,)}}, r"but the data has 2 outputs \(a, b\)"),
        (mlp, {"input_shape": (None,)}, r"takes examples of one shape, .* their lengths differ"),
        (cnn, {"input_shape": (64,)}, r"model=cnn needs images .* \(64,\)\. Use model=mlp"),
    ],
)
def test_nonsense_is_refused_with_what_was_given_and_expected(
    build: Any, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**{"input_shape": (8, 8), "num_classes": 10, **params})


@pytest.mark.parametrize("build", [mlp, cnn])
def test_what_has_no_classes_gets_the_output_it_needs(build: Any) -> None:
    numbers = build((8, 8), None, output_shape=(3,), output_activation=None)
    assert numbers.output_shape == (None, 3)
    assert numbers.layers[-1].activation.__name__ == "linear"
    tags = build((8, 8), 4, output_shape=(4,), output_activation="sigmoid")
    assert (tags.output_shape, tags.layers[-1].activation.__name__) == ((None, 4), "sigmoid")
    image = build((8, 8), None, output_shape=(8, 8), output_activation=None)
    assert image.output_shape == (None, 8, 8)


def test_signatures_can_be_read_without_tensorflow() -> None:
    import subprocess
    import sys

    code = "import sys, besom.training.models; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
