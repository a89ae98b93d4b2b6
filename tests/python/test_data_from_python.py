"""Arrays, tables and functions given as data arrive in a worker as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from besom.errors import DataError
from besom.python.datasets import given_data
from besom.python.handing_over import Given
from besom.training.data import Dataset, NoTestExamples, load_test, load_training
from besom.training.data.dataset import TrainingData
from besom.trust import trusting

X = np.arange(80, dtype=np.float32).reshape(40, 2)
Y = np.arange(40) % 2
_GIVEN, _FRAME = "besom.training.data.given", "besom.training.data.frame"


def arrive(folder: Path, data: Any, test: Any = None, **options: Any) -> tuple[TrainingData, Any]:
    """The training part and the test part as a worker has them; no test part: None."""
    parts = [given_data(data, "train")]
    parts += [given_data(test, "test")] if test is not None else []
    Given({}, tuple(parts)).write(folder)
    target = _FRAME if parts[0].table else _GIVEN
    node = {"_target_": target, "train": parts[0].name, **options}
    with trusting(functions=folder):
        training = load_training(node)
        try:
            return training, load_test(node, training)
        except NoTestExamples:
            return training, None


def all_of(data: TrainingData) -> Any:
    return np.concatenate([data.x_train, data.x_validation])


def test_arrays_weights_and_a_test_part(tmp_path: Path) -> None:
    weights = np.linspace(0, 1, 40)
    training, test = arrive(tmp_path, (X, Y, weights), (X[:4], Y[:4]))
    assert {tuple(row) for row in all_of(training)} == {tuple(row) for row in X}
    assert training.train.weight is not None
    assert np.array_equal(test.x, X[:4])


def test_without_a_test_part_there_is_none(tmp_path: Path) -> None:
    assert arrive(tmp_path, (X, Y))[1] is None


def test_arrays_are_mapped_into_memory_not_read(tmp_path: Path) -> None:
    part = given_data((X, Y), "train")
    part.write(tmp_path / part.name)
    from besom.training.data.reading.given import given

    with trusting(functions=tmp_path):
        assert isinstance(given("train", part.name).x, np.memmap)


def test_lists_and_tensors_are_arrays(tmp_path: Path) -> None:
    training, _ = arrive(tmp_path, (X.tolist(), Y.tolist()), validation_split=0)
    assert np.array_equal(training.x_train, X)


def test_a_dataset_keeps_its_fields(tmp_path: Path) -> None:
    text = np.array(["good day", 'bad, "day"'] * 20, dtype=object)
    data = Dataset(
        x={"size": X, "text": text},
        y=Y,
        name="letters",
        class_names=["no", "yes"],
        groups=np.repeat(np.arange(10), 4),
        scale={"size": 0.5},
    )
    training, _ = arrive(tmp_path, data, validation_split=0.2)
    assert (training.name, list(training.class_names)) == ("letters", ["no", "yes"])
    assert set(training.x_train["text"]) == set(text)
    assert training.scale["size"] == 0.5
    assert "group" in training.split


def test_an_autoencoders_labels_are_its_inputs(tmp_path: Path) -> None:
    assert arrive(tmp_path, Dataset(X, X))[0].task.kind == "none"


def test_a_validation_set_comes_along(tmp_path: Path) -> None:
    data = Dataset(X, Y, x_validation=X[:6], y_validation=Y[:6])
    training, _ = arrive(tmp_path, data)
    assert (training.n_train, training.n_validation) == (40, 6)


def frame(n: int = 40) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "area": np.arange(n, dtype=float),
            "rooms": pd.array([1, 2] * (n // 2), dtype="Int64"),
            "city": pd.Categorical(["here", "there"] * (n // 2)),
            "seen": pd.date_range("2020-01-01", periods=n),
            "sold": ["no", "yes"] * (n // 2),
        }
    )


def test_a_table_is_read_as_a_csv_file_would_be(tmp_path: Path) -> None:
    options = {"target": "sold", "order": "seen", "validation_split": 0.25}
    training, test = arrive(tmp_path, frame(), frame(4), **options)
    assert training.task.kind == "classification"
    assert training.class_names == ["no", "yes"]
    assert training.n_validation == 10
    assert test.y.tolist() == [0, 1, 0, 1]


def test_gaps_of_a_table_are_gaps_in_the_worker(tmp_path: Path) -> None:
    table = frame().drop(columns="seen")
    table.loc[3, "rooms"] = pd.NA
    table["city"] = table["city"].astype(object)
    table.loc[5, "city"] = None
    with pytest.raises(DataError, match=r"missing in 2 rows, in the columns rooms .* and city"):
        arrive(tmp_path, table, target="sold")
    training, _ = arrive(tmp_path, table, target="sold", missing="drop", validation_split=0)
    assert training.n_train == 38


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ([object()] * 2, "'odd' of the table holds a object"),
        (pd.to_timedelta([1, 2]), "'odd' of the table holds timedelta64"),
    ],
)
def test_a_column_that_no_file_holds_is_named(column: Any, said: str) -> None:
    with pytest.raises(DataError) as refused:
        given_data(pd.DataFrame({"odd": column}), "train")
    assert said in str(refused.value)


def test_equal_data_is_known_again_and_other_data_is_not() -> None:
    first = given_data((X, Y), "train").digest
    assert given_data((X.copy(), Y.copy()), "train").digest == first
    assert given_data((X + 1, Y), "train").digest != first
    assert given_data((X.astype(float), Y), "train").digest != first
    assert given_data((np.asfortranarray(X), Y), "train").digest == first


def _arrays() -> Any:
    return X, Y


def test_a_function_that_makes_arrays_is_called_in_the_worker(tmp_path: Path) -> None:
    training, test = arrive(tmp_path, _arrays, _arrays)
    assert (training.n_train, len(test.x)) == (36, 40)


def _fails() -> Any:
    raise ValueError("the disk is gone")


def test_a_function_that_fails_is_named_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"fails\(\) failed: ValueError: the disk is gone"):
        arrive(tmp_path, _fails)


def _batches() -> Iterator[Any]:
    for start in range(0, 40, 10):
        yield X[start : start + 10], Y[start : start + 10]


def _shuffled() -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(40).batch(10)


def _held_out() -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X[:10], Y[:10])).batch(10)


@pytest.mark.tensorflow
def test_a_generator_function_is_a_stream(tmp_path: Path) -> None:
    training, _ = arrive(tmp_path, (_batches, _batches))
    assert training.n_validation == 40


@pytest.mark.tensorflow
def test_a_function_that_makes_tf_data_is_called_anew_for_each_trial(tmp_path: Path) -> None:
    from besom.training.build import seed_everything
    from besom.training.data.loading import opened_anew

    parts = [given_data((_shuffled, _held_out), "train")]
    Given({}, tuple(parts)).write(tmp_path)
    node = {"_target_": _GIVEN, "train": parts[0].name}
    with trusting(functions=tmp_path):
        training = load_training(node)
        seen = []
        for _ in range(2):
            seed_everything(3)
            stream = opened_anew(node, training).train
            seen.append(np.concatenate([x for x, _ in stream.source.as_numpy_iterator()]))
    assert np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], X)


@pytest.mark.tensorflow
def test_a_stream_itself_is_refused_with_the_way_out() -> None:
    with pytest.raises(DataError, match=r"data=make, not data=make\(\)"):
        given_data(_shuffled(), "train")
