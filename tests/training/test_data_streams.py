"""Streams of batches: taken as they are, and judged by the same examples each time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from besom.errors import ConfigError, DataError
from besom.training.data import Dataset, TrainingData, load_test, load_training
from besom.training.data.asked_for import model_arguments
from besom.training.data.examples import Examples, Stream
from besom.training.runtime import environment

pytestmark = pytest.mark.tensorflow

N, SIZE = 20, 8
X = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
Y = np.arange(N) % 2

WORLD: list[Any] = []


def given(split: str) -> Any:
    return WORLD[0]


def load(dataset: Any, **node: Any) -> TrainingData:
    WORLD[:] = [dataset]
    return load_training({"_target_": f"{__name__}.given", **node})


def tf_data(x: Any = X, y: Any = Y) -> Any:
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(SIZE)


class Batches(keras.utils.PyDataset):
    def __init__(self, n_batches: int = 3, x: Any = X) -> None:
        super().__init__()
        self.n, self.x = n_batches, x

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Any:
        rows = slice(index * SIZE, (index + 1) * SIZE)
        return self.x[rows], Y[rows]


def generated() -> Iterator[Any]:
    for start in range(0, N, SIZE):
        yield X[start : start + SIZE], Y[start : start + SIZE]


SOURCES = {"tf.data": tf_data, "PyDataset": Batches, "function": lambda: generated}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_stream_is_taken_as_it_is(kind: str) -> None:
    source = SOURCES[kind]()
    training = load(Dataset(x=source, x_validation=SOURCES[kind](), name="flow"))
    assert isinstance(training.train, Stream)
    assert isinstance(training.validation, Stream)
    assert training.train.source is source
    assert training.train.n_batches == (None if kind == "function" else 3)
    assert (training.validation.n_batches, training.n_validation) == (3, N)
    assert (training.task.kind, training.num_classes) == ("classification", 2)
    assert (training.input_shape, training.split) == ((3,), "given validation set")
    assert environment(training)["data"]["input_shape"] == [3]


def test_the_fingerprint_is_that_of_the_validation_pass_and_of_the_batches_form() -> None:
    def of(train: Any, held: Any) -> str:
        return load(Dataset(x=train, x_validation=held)).fingerprint

    first = of(tf_data(), tf_data())
    assert of(tf_data(), tf_data()) == first
    other = {of(tf_data(), tf_data(X + 1)), of(tf_data().take(2), tf_data())}
    other.add(of(tf_data(y=Y.astype(np.int32)), tf_data(y=Y.astype(np.int32))))
    assert len(other | {first}) == 4


def test_the_validation_set_of_a_stream_may_be_arrays() -> None:
    training = load(Dataset(x=tf_data(), x_validation=X[:6], y_validation=Y[:6]))
    assert isinstance(training.validation, Examples)
    assert training.n_validation == 6


def test_a_function_may_return_a_stream_alone_to_train_without_validation() -> None:
    training = load(tf_data(), validation_split=0)
    assert (training.validation, training.split) == (None, "none held out")
    assert training.task.kind == "classification"


def test_a_tf_data_need_not_know_its_shapes() -> None:
    flow = tf.data.Dataset.from_generator(generated, output_types=(tf.float32, tf.int64))
    training = load(Dataset(x=flow, x_validation=tf_data()))
    assert training.input_shape is None
    assert environment(training)["data"]["input_shape"] is None


def test_a_layer_adapts_to_the_inputs_of_a_tf_data() -> None:
    training = load(Dataset(x=tf_data(), x_validation=tf_data()))
    x = model_arguments({"_target_": f"{__name__}.adapts"}, training)["training_x"]
    assert next(iter(x)).shape == (SIZE, 3)
    with pytest.raises(ConfigError, match=r"training_x, but data is a Batches: only arrays and tf"):
        model_arguments(
            {"_target_": f"{__name__}.adapts"}, load(Dataset(x=Batches(), x_validation=Batches()))
        )


def adapts(training_x: Any) -> None: ...


def restless() -> Iterator[Any]:
    yield np.random.default_rng().normal(size=(4, 3)), Y[:4]


def uneven() -> Iterator[Any]:
    yield X[:4], Y[:4]
    yield X[:4, :, None], Y[:4]


class Twice:
    """A stream that is another one when it is read again."""

    def __init__(self, n_alike: int) -> None:
        self.n_read, self.n_alike = 0, n_alike

    def __call__(self) -> Iterator[Any]:
        self.n_read += 1
        if self.n_read <= self.n_alike:
            yield X[:4], Y[:4]
        else:
            yield X[:4, :, None], Y[:4]


def broken() -> Iterator[Any]:
    yield X[:4], Y[:4]
    raise OSError("the disk is away")


@pytest.mark.parametrize(
    ("dataset", "node", "message"),
    [
        ({}, {}, r"cannot be split, so it needs Dataset\(x_validation=...\)"),
        ({}, {"validation_split": 0.2}, r"data.validation_split is set, but a stream cannot be sp"),
        ({"y": Y}, {}, "y is given beside a stream, which is taken as it is"),
        ({"scale": 0.5}, {}, "scale is given beside a stream"),
        (
            {"x": generated()},
            {},
            r"a generator can be read only once.*x=batches, not x=batches\(\)",
        ),
        ({"x": list}, {"validation_split": 0}, "the stream gives no batches"),
        ({"x_validation": tf_data().repeat()}, {}, "the stream never ends. Remove repeat"),
        ({"x_validation": Twice(3)}, {}, r"read a second time, the stream begins with \(\(3, 1\) "),
        (
            {"x": Twice(1), "x_validation": tf_data()},
            {},
            r"\(train\): read a second time, .*\(3, 1",
        ),
        ({"x": tf_data().unbatch()}, {}, r"gives single examples, expected batches: .*batch\(n\)"),
        ({"x_validation": restless}, {}, "gives other examples when it is read again.*Shuffle"),
        ({"x_validation": uneven}, {}, r"batch 2 is \(\(3, 1\) float32, .*the first is \(\(3,\) f"),
        ({"x_validation": Batches(5)}, {}, "batch 4 has no examples"),
        ({"x_validation": broken}, {}, "the stream cannot be read: .*the disk is away"),
        ({"x_validation": tf_data(X[:, :2])}, {}, r"\(2,\) float32.*trained on are \(\(3,\) float"),
    ],
)
def test_a_stream_that_cannot_be_used_is_refused_in_a_sentence(
    dataset: dict[str, Any], node: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as refused:
        load(Dataset(**{"x": tf_data(), "name": "flow"} | dataset), **node)
    assert str(refused.value).startswith("flow (")


def test_arrays_are_not_judged_on_a_stream() -> None:
    with pytest.raises(DataError, match=r"x_validation is a .*, but the training examples"):
        load(Dataset(x=X, y=Y, x_validation=tf_data()))


def test_a_test_part_may_be_a_stream_of_the_same_form() -> None:
    training = load(Dataset(x=tf_data(), x_validation=tf_data()))
    node = {"_target_": f"{__name__}.given"}
    test = load_test(node, training)
    assert isinstance(test.examples, Stream)
    assert test.examples.n == N
    WORLD[:] = [Dataset(x=tf_data(X[:, :2]))]
    with pytest.raises(DataError, match=r"\(test\): batches of .*, but those trained on are"):
        load_test(node, training)


def test_arrays_beside_a_stream_are_not_scaled_and_must_be_of_its_shape() -> None:
    pictures = np.zeros((N, 4, 4), np.uint8)
    flow = tf_data(pictures)
    training = load(Dataset(x=flow, x_validation=pictures[:6], y_validation=Y[:6]))
    assert training.validation.scales == 1.0
    WORLD[:] = [Dataset(x=pictures, y=Y)]
    test = load_test({"_target_": f"{__name__}.given"}, training)
    assert (test.scale, len(test.y)) == (1.0, N)
    WORLD[:] = [Dataset(x=X, y=Y)]
    with pytest.raises(
        DataError, match=r"examples of \(3,\) .*, but those trained on are \(4, 4\)"
    ):
        load_test({"_target_": f"{__name__}.given"}, training)
