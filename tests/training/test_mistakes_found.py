"""What a worker writes of the examples that a model gets wrong, by a model with known answers."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from training_world import config, onward, tiny_data

from besom.seam import N_WORST
from besom.store.mistakes import ClassMistakes, NumberMistakes, TagMistakes, read_mistakes
from besom.training.data.dataset import TrainingData
from besom.training.data.examples import Examples, Stream
from besom.training.data.task import infer_task
from besom.training.epochs.rows import Rows
from besom.training.mistakes_found import mistakes_of, write_mistakes
from besom.training.trial import train

pytestmark = pytest.mark.tensorflow


class Answers:
    """A model that answers what it was told: the first number of an example is its place."""

    def __init__(self, *answers: Any, names: tuple[str, ...] = ()) -> None:
        self._answers, self._names = answers, names

    def __call__(self, x: Any, training: bool = False) -> Any:
        first = next(iter(x.values())) if isinstance(x, dict) else x
        places = tf.cast(tf.reshape(first, (tf.shape(first)[0], -1))[:, 0], tf.int32)
        found = [tf.gather(tf.constant(answer, tf.float32), places) for answer in self._answers]
        return dict(zip(self._names, found, strict=True)) if self._names else found[0]


def judged(
    model: Answers, y: Any, x: Any = None, kind: str | None = None, size: int = 7, **known: Any
) -> dict[str, Any]:
    n = len(next(iter(y.values())) if isinstance(y, dict) else y)
    x = np.arange(n, dtype=np.float32)[:, None] if x is None else x
    scales = 1.0 if not isinstance(x, dict) else dict.fromkeys(x, 1.0)
    part = x if isinstance(x, Stream) else Examples(x, y, None, scales)
    task = infer_task(y, "mine", said=kind)
    data = TrainingData(part, part, task, task.num_classes, "0" * 16, "mine", **known)
    return mistakes_of(SimpleNamespace(model=model, data=data, keeping=Rows("")), size)


def read(found: dict[str, Any], tmp_path: Path) -> Any:
    (tmp_path / "found.json").write_text(json.dumps(found, allow_nan=False))
    mistakes = read_mistakes(tmp_path / "found.json")
    assert mistakes is not None
    return mistakes


def one_hot(classes: Any, sure: Any, n: int = 3) -> Any:
    rest = (1.0 - np.asarray(sure)) / (n - 1)
    p = np.repeat(rest[:, None], n, axis=1)
    p[np.arange(len(p)), classes] = sure
    return p


def test_the_matrix_has_a_row_for_each_class_and_the_surest_mistake_comes_first(
    tmp_path: Path,
) -> None:
    y = np.array([0, 0, 1, 1, 2, 2, 2, 0, 1])
    said = [0, 1, 1, 2, 2, 0, 1, 0, 2]
    sure = [0.9, 0.8, 0.9, 0.7, 0.9, 0.99, 0.6, 0.5, 0.95]
    found = read(
        judged(Answers(one_hot(said, sure)), y, class_names=["cat", "dog", "cow"]), tmp_path
    )
    (output,) = found.outputs
    assert isinstance(output, ClassMistakes)
    assert (found.n, output.n_wrong) == (9, 5)
    assert output.classes == ("cat", "dog", "cow")
    assert output.matrix == ((2, 1, 0), (0, 1, 2), (1, 1, 1))
    assert output.confusions[0] == ("dog", "cow", 2)
    first = [(w.example, w.true, w.predicted, w.probability) for w in output.worst]
    assert [entry[0] for entry in first] == [5, 8, 1, 3, 6]
    assert first[0] == (5, "cow", "cat", pytest.approx(0.99))


def test_examples_are_named_by_their_place_in_the_training_part() -> None:
    y = np.array([0, 1, 0, 1])
    places = np.array([70, 3, 12, 5])
    found = judged(Answers(one_hot([1, 1, 1, 1], [0.9, 0.9, 0.8, 0.9], 2)), y, positions=places)
    assert [worst["example"] for worst in found["outputs"][0]["worst"]] == [70, 12]


def test_only_the_worst_are_kept_in_whatever_batch_they_come() -> None:
    n = 100
    sure = np.linspace(0.5, 0.99, n)
    found = judged(Answers(one_hot(np.ones(n, int), sure)), np.arange(n) % 2 * 2)
    worst = [entry["example"] for entry in found["outputs"][0]["worst"]]
    assert worst == list(range(n - 1, n - 1 - N_WORST, -1))


def test_a_lone_output_of_two_classes_is_the_probability_of_the_second() -> None:
    y = np.array([0.0, 1.0, 1.0, 0.0])
    found = judged(Answers([[0.1], [0.9], [0.2], [0.7]]), y, kind="classification")
    (output,) = found["outputs"]
    assert output["matrix"] == [[1, 1], [1, 1]]
    probabilities = [(w["true"], w["predicted"], w["probability"]) for w in output["worst"]]
    assert probabilities == [("1", "0", pytest.approx(0.8)), ("0", "1", pytest.approx(0.7))]


def test_logits_are_shown_as_probabilities() -> None:
    y = np.array([0, 1, 2])
    found = judged(Answers([[5.0, 0.0, 0.0], [9.0, 1.0, 0.0], [0.0, 0.0, 7.0]]), y)
    (wrong,) = found["outputs"][0]["worst"]
    assert wrong["probability"] == pytest.approx(np.exp(9) / (np.exp(9) + np.exp(1) + 1), abs=1e-5)


def test_of_many_classes_only_what_is_taken_for_each_other_is_kept(tmp_path: Path) -> None:
    y = np.arange(300) % 150
    found = read(judged(Answers(np.eye(150)[(y + (y == 3)) % 150]), y), tmp_path)
    (output,) = found.outputs
    assert (output.classes, output.matrix) == ((), ())
    assert output.confusions == (("3", "4", 2),)


def test_each_tag_says_how_often_it_was_found_missed_and_wrongly_given(tmp_path: Path) -> None:
    y = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 1, 1]], np.float32)
    p = np.array([[0.9, 0.2, 0.3], [0.1, 0.9, 0.2], [0.8, 0.1, 0.6], [0.1, 0.9, 0.9]])
    found = read(judged(Answers(p), y, kind="multilabel", class_names=["a", "b", "c"]), tmp_path)
    (output,) = found.outputs
    assert isinstance(output, TagMistakes)
    assert output.n_wrong == 2
    assert output.tags == (("a", 2, 0, 0), ("b", 2, 1, 0), ("c", 1, 1, 1))
    first, second = output.worst
    assert (first.example, first.true, first.predicted, first.tag) == (2, "a, b", "a, c", "b")
    assert (second.example, second.tag, second.probability) == (0, "c", pytest.approx(0.3))


def test_of_numbers_the_errors_are_kept_and_the_examples_that_are_furthest_off(
    tmp_path: Path,
) -> None:
    y = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    found = read(judged(Answers([[1.5], [2.0], [1.0], [4.5]]), y), tmp_path)
    (output,) = found.outputs
    assert isinstance(output, NumberMistakes)
    assert (output.bias, output.mean_error) == (pytest.approx(-0.25), pytest.approx(0.75))
    assert output.rms_error == pytest.approx(np.sqrt(4.5 / 4), rel=1e-5)
    assert output.r2 == pytest.approx(1 - 4.5 / 5.0)
    assert output.points == ((1.0, 1.5), (2.0, 2.0), (3.0, 1.0), (4.0, 4.5))
    assert output.worst[0].example == 2
    assert output.worst[0].error == pytest.approx(-2.0)


def test_each_output_is_looked_at_by_its_own_labels() -> None:
    y = {"price": np.array([1.0, 2.0], np.float32), "kind": np.array([0, 1])}
    model = Answers([[1.0], [4.0]], [[0.9, 0.1], [0.8, 0.2]], names=("price", "kind"))
    found = judged(model, y)
    assert [(o["name"], o["kind"]) for o in found["outputs"]] == [
        ("price", "numbers"),
        ("kind", "classes"),
    ]
    assert found["outputs"][1]["n_wrong"] == 1


def png_of(entry: dict[str, Any]) -> Any:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(entry["image"]))))


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_an_image_is_kept_as_a_small_picture(channels: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(1, 256, (3, 80, 100, *channels)).astype(np.uint8)
    x[:, 0, 0] = np.arange(3)[(slice(None), *[None] * len(channels))]
    found = judged(Answers(one_hot([1, 2, 1], [0.9] * 3)), np.array([0, 1, 2]), x)
    pictures = [png_of(entry) for entry in found["outputs"][0]["worst"]]
    assert {picture.shape[:2] for picture in pictures} == {(51, 64)}
    assert len(pictures[0].shape) == (3 if channels == (3,) else 2)


def test_a_small_image_keeps_its_pixels() -> None:
    x = np.zeros((3, 4, 4), np.uint8)
    x[:, 0, 0] = [0, 1, 2]
    x[:, 2, 2] = 255
    found = judged(Answers(one_hot([1, 2, 1], [0.9, 0.8, 0.7])), np.array([0, 1, 2]), x)
    assert png_of(found["outputs"][0]["worst"][1]).tolist() == x[1].tolist()


def test_text_and_columns_are_kept_as_text() -> None:
    x = {
        "place": np.arange(2, dtype=np.float32)[:, None],
        "review": np.array(["good <b>film</b>", "bad " * 200], object)[:, None],
    }
    found = judged(Answers(one_hot([1, 0], [0.9, 0.8], 2)), np.array([0, 1]), x)
    first, second = found["outputs"][0]["worst"]
    assert first["text"] == "place: 0; review: good <b>film</b>"
    assert len(second["text"]) == 300


def test_a_row_of_a_table_is_shown_as_it_is_in_the_table() -> None:
    columns = {"age": np.array([31.0, 54.5]), "city": np.array(["Rome", "Oslo"], object)}
    model = Answers(one_hot([1, 0], [0.9, 0.8], 2))
    found = judged(model, np.array([0, 1]), validation_columns=columns, size=1)
    texts = [entry["text"] for entry in found["outputs"][0]["worst"]]
    assert texts == ["age 31, city Rome", "age 54.5, city Oslo"]


@pytest.mark.parametrize(
    ("y", "answer", "kind", "why"),
    [
        (np.eye(5, dtype=int)[:3], np.zeros((3, 5, 2)), "classification", "several classes"),
        (np.array([1.0, 2.0, 3.0]), np.zeros((3, 2)), "regression", "what the labels mean"),
    ],
)
def test_labels_of_another_kind_are_said_not_to_be_shown(
    y: Any, answer: Any, kind: str | None, why: str
) -> None:
    found = judged(Answers(answer), y, kind=kind)
    assert found["outputs"] == []
    assert why in found["why"]


def test_a_model_that_fails_leaves_a_sentence_and_no_file(tmp_path: Path) -> None:
    class Fails:
        def __call__(self, x: Any, training: bool = False) -> Any:
            raise RuntimeError("no such layer")

    data = tiny_data()
    fitted: Any = SimpleNamespace(model=Fails(), data=data, keeping=Rows(""))
    problem = write_mistakes(fitted, tmp_path / "mistakes" / "trial-1.json", 7)
    assert problem is not None
    assert "no such layer" in problem
    assert not list(tmp_path.rglob("*.json"))


def test_a_trial_writes_what_its_counted_weights_get_wrong_if_it_is_better(tmp_path: Path) -> None:
    data = tiny_data()
    path = tmp_path / "trial-0.json"

    def run(better_than: float | None) -> Any:
        orders = {"mistakes": {"path": str(path), "better_than": better_than}}
        return train(config(orders=orders, trainer={"restore_best": True}), onward, data=data)

    assert run(1.0).environment.get("remarks") is None
    assert not path.exists()
    result = run(None)
    found = read_mistakes(path)
    assert found is not None
    right = np.unpackbits(np.frombuffer(result.correct, np.uint8), count=result.n_validation)
    assert found.n == result.n_validation
    assert found.outputs[0].n_wrong == found.n - int(right.sum())  # type: ignore[attr-defined]


def test_a_file_that_cannot_be_written_is_a_remark_and_the_trial_counts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    orders = {"mistakes": {"path": str(tmp_path / "file" / "x.json"), "better_than": None}}
    result = train(config(orders=orders), onward, data=tiny_data())
    assert len(result.history["val_accuracy"]) == 3
    assert "could not be kept" in result.environment["remarks"]["mistakes"]


def test_a_stream_is_looked_at_batch_by_batch() -> None:
    x, y = np.arange(10, dtype=np.float32)[:, None], np.arange(10) % 2
    model = Answers(one_hot(np.zeros(10, int), np.linspace(0.6, 0.9, 10), 2))
    source = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    stream = Stream(source, 3, source.element_spec, 10)
    data = replace(tiny_data(), train=stream, validation=stream)
    fitted = SimpleNamespace(model=model, data=data, keeping=Rows(""))
    found = mistakes_of(fitted, 500)
    assert found["n"] == 10
    assert [entry["example"] for entry in found["outputs"][0]["worst"]] == [9, 7, 5, 3, 1]


def test_a_real_model_of_two_outputs_is_looked_at_by_name() -> None:
    inputs = keras.Input((3,))
    outputs = {
        "size": keras.layers.Dense(1, name="size")(inputs),
        "kind": keras.layers.Dense(2, name="kind")(inputs),
    }
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    y = {"kind": np.arange(20) % 2, "size": x[:, 0]}
    found = judged(keras.Model(inputs, outputs), {k: y[k] for k in outputs}, x)  # type: ignore[arg-type]
    assert {output["name"]: output["kind"] for output in found["outputs"]} == {
        "size": "numbers",
        "kind": "classes",
    }
    for entry in found["outputs"][1]["worst"] if found["outputs"][1]["kind"] == "classes" else []:
        assert 0.5 <= entry["probability"] <= 1.0
