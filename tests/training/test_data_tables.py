"""Tables from CSV and Parquet files: which columns are inputs and labels, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from besom.errors import DataError
from besom.training.data import NoTestExamples, csv, load_training, parquet

N = 40


def table(**changes: Any) -> pd.DataFrame:
    """Houses: two columns of numbers, one of text, a whole number, and what they are worth."""
    rng = np.random.default_rng(0)
    columns = {
        "area": rng.normal(90, 20, N).round(1),
        "rooms": rng.integers(1, 6, N),
        "city": rng.choice(["Bonn", "Köln", "Ulm"], N),
        "price": rng.normal(300, 50, N).round(2),
        "kind": rng.choice(["flat", "house"], N),
    }
    return pd.DataFrame({**columns, **changes})


def written(folder: Path, name: str = "houses.csv", **changes: Any) -> str:
    path = folder / name
    table(**changes).to_csv(path, index=False)
    return str(path)


def refused(function: Any, *words: Any, **options: Any) -> str:
    with pytest.raises(DataError) as error:
        function(*words, **options)
    return str(error.value)


def with_cell(column: str, row: int, value: Any) -> dict[str, Any]:
    values = table()[column].astype(object)
    values[row] = value
    return {column: values}


# What becomes of the columns


def test_all_columns_but_the_target_are_inputs(tmp_path: Path) -> None:
    data = csv("train", written(tmp_path), "price")
    assert list(data.x) == ["area", "rooms", "city", "kind"]
    assert {name: x.dtype.kind for name, x in data.x.items()} == {
        "area": "f",
        "rooms": "f",
        "city": "O",
        "kind": "O",
    }
    np.testing.assert_array_equal(data.y, table()["price"])


def test_text_targets_become_classes_that_keep_their_names(tmp_path: Path) -> None:
    data = csv("train", written(tmp_path), "kind", exclude=["price"])
    assert data.class_names == ["flat", "house"]
    assert data.num_classes == 2
    assert [data.class_names[y] for y in data.y] == list(table()["kind"])


def test_numbers_may_be_categories_and_classes_if_the_config_says_so(tmp_path: Path) -> None:
    path = written(tmp_path, rooms=table()["rooms"] * 10)
    data = csv("train", path, "price", categorical=["rooms"])
    assert data.x["rooms"].dtype == np.int64
    classes = csv("train", path, "rooms", categorical=["rooms"], exclude=["price"])
    assert classes.class_names == ["10", "20", "30", "40", "50"]


def test_several_quantities_are_one_matrix_and_other_targets_are_by_column(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert csv("train", path, ["price", "area"]).y.shape == (N, 2)
    both = csv("train", path, ["price", "kind"])
    assert list(both.y) == ["price", "kind"]
    assert both.class_names == {"price": None, "kind": ["flat", "house"]}


def test_columns_of_group_and_time_are_no_inputs(tmp_path: Path) -> None:
    data = csv("train", written(tmp_path), "price", group="city", order="rooms")
    assert list(data.x) == ["area", "kind"]
    assert list(data.groups) == list(table()["city"])
    assert list(data.order) == list(table()["rooms"])


def test_rows_with_missing_values_can_be_dropped(tmp_path: Path) -> None:
    path = written(tmp_path, **with_cell("city", 3, None))
    assert len(csv("train", path, "price", missing="drop").y) == N - 1


def test_dropped_rows_are_told_and_examples_keep_their_place_in_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, **with_cell("city", 3, None))
    node = {"_target_": "besom.training.data.csv", "path": path, "target": "price"}
    for more in ({}, {"test_split": 0.25}):
        data = load_training(node | {"missing": "drop", "validation_split": 0.5} | more)
        assert "1 row with missing values dropped" in data.split
        assert data.positions is not None
        assert data.positions.max() > 3
        prices = table()["price"].to_numpy()[data.positions]
        np.testing.assert_allclose(data.y_validation, prices, rtol=1e-6)


def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "houses.parquet"
    table(city=table()["city"].astype("category")).to_parquet(path)
    one, other = csv("train", written(tmp_path), "kind"), parquet("train", str(path), "kind")
    assert one.class_names == other.class_names
    for name, column in one.x.items():
        np.testing.assert_array_equal(column, other.x[name])


# The test part


def test_there_is_a_test_part_only_where_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoTestExamples, match=r"data\.test_path=FILE, or data\.test_split"):
        csv("test", written(tmp_path), "price")


def test_a_test_file_has_the_columns_and_classes_of_the_training_file(tmp_path: Path) -> None:
    shuffled = table()[["kind", "price", "city", "area", "rooms"]].iloc[:9]
    shuffled = shuffled[shuffled["kind"] == "house"]
    shuffled.to_csv(tmp_path / "test.csv", index=False)
    data = csv("test", written(tmp_path), "kind", test_path=str(tmp_path / "test.csv"))
    assert list(data.x) == ["area", "rooms", "city", "price"]
    assert set(data.y) == {1}
    assert data.class_names == ["flat", "house"]


def test_categories_that_only_the_test_file_has_are_refused_or_unknown(tmp_path: Path) -> None:
    test = written(tmp_path, "test.csv", **with_cell("city", 5, "Paris"))
    options = {"path": written(tmp_path), "target": "price", "test_path": test}
    said = refused(csv, "test", **options)
    assert "'city' has categories that the training file does not have: 'Paris' (in 1 row)" in said
    assert "data.unseen=unknown" in said
    assert "Paris" in csv("test", unseen="unknown", **options).x["city"]
    labels = written(tmp_path, "test.csv", **with_cell("kind", 5, "castle"))
    said = refused(csv, "test", **{**options, "target": "kind", "test_path": labels})
    assert "'kind' is 'castle' in row 6" in said


# What is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "pric"}, "data.target names the column 'pric', which"),
        ({"target": "pric"}, "Did you mean 'price'?"),
        ({"features": ["area", "romms"]}, "data.features names the column 'romms'"),
        ({"exclude": ["citi"]}, "data.exclude names the column 'citi'"),
        ({"group": "town"}, "data.group names the column 'town'"),
        ({"target": None}, "data=csv needs data.target=COLUMN"),
        ({"target": 3.5}, "data.target=3.5: expected the name of a column"),
        ({"features": ["price"]}, "data.features names 'price', which is data.target"),
        ({"features": []}, "no column is left to predict price from"),
        ({"separator": ";"}, "is data.separator right?"),
        ({"missing": "ignore"}, "data.missing='ignore': expected refuse or drop"),
        ({"categorical": ["area"]}, "data.categorical names 'area', but it holds fractions"),
    ],
)
def test_what_the_config_says_wrong_is_one_sentence(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    path = written(tmp_path)
    if "separator" in options:
        Path(path).write_text(Path(path).read_text().replace(",", "|"))
    assert words in refused(csv, "train", path, **{"target": "price", **options})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price": [7.0] * N}, "the target 'price' has one value, 7.0, in all 40 rows"),
        (with_cell("price", 4, None), "the target 'price' is missing (NaN) in 1 row, the first is"),
        (with_cell("price", 4, "x9"), "the column 'price' mixes text and numbers: 39 of 40 values"),
        (with_cell("area", 4, "n.a."), "but row 5 is 'n.a.'. Correct them"),
        (with_cell("city", 4, "12"), "mixes text and numbers: row 5 is '12', but 39 of 40"),
        (with_cell("area", 4, None), "values are missing in 1 row, in the columns area (1)"),
        (with_cell("area", 4, "inf"), "the column 'area' is inf in row 5, expected finite"),
        ({"a/b": range(N)}, "the column 'a/b' cannot be the name of a model's input"),
    ],
)
def test_what_is_wrong_in_a_column_is_one_sentence(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    assert words in refused(csv, "train", written(tmp_path, **changes), "price")


def test_free_text_and_names_are_no_categories(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    pd.DataFrame({"who": [f"w{i}x" for i in range(300)], "y": range(300)}).to_csv(path)
    said = refused(csv, "train", str(path), "y")
    assert "'who' has 300 different texts in 300 rows" in said
    assert "data.exclude=[who]" in said


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\xff\xfe\x00", b'a,b\n1,2\n"3,4,5\n6'])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.csv"
    path.write_bytes(content)
    assert f"{path} cannot be read as CSV" in refused(csv, "train", str(path), "price")
    pytest.importorskip("pyarrow")
    assert f"{path} cannot be read as Parquet" in refused(parquet, "train", str(path), "price")


def test_a_missing_file_and_a_table_without_rows_are_refused(tmp_path: Path) -> None:
    assert "does not exist" in refused(csv, "train", str(tmp_path / "no.csv"), "price")
    assert "is a folder" in refused(csv, "train", str(tmp_path), "price")
    (tmp_path / "head.csv").write_text("area,price\n")
    assert "has no rows" in refused(csv, "train", str(tmp_path / "head.csv"), "price")


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "houses.parquet"
    path.touch()
    assert "pip install 'besom[parquet]'" in refused(parquet, "train", str(path), "price")


def test_a_test_file_and_a_test_split_are_not_both_taken(tmp_path: Path) -> None:
    node = {"_target_": "besom.training.data.csv", "path": written(tmp_path), "target": "price"}
    both = {"test_path": written(tmp_path, "test.csv"), "test_split": 0.2}
    assert "set one of them" in refused(load_training, {**node, **both})
