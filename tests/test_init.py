"""``besom init``: a project that sweeps at once, of an example or for a table in a CSV file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from besom.scaffold.csv_columns import look_at
from besom.store.storage import load_record
from besom.study import make_plan
from user_project import Project

N = 200
SHORT = ["sweep.n_trials=2", "sweep.executor.workers=1", "trainer.epochs=2"]


def houses(**more: Any) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    area, city = rng.normal(90, 20, N).round(1), rng.choice(["Bonn", "Köln", "Ulm"], N)
    price = (3000 * area * (1 + 0.2 * (city == "Ulm"))).round(2)
    kind = np.where(price > 280_000, "dear", "cheap")
    columns = {"nr": range(1, N + 1), "area": area, "city": city, "kind": kind, "price": price}
    return pd.DataFrame(columns | more)


@pytest.fixture
def table(project: Project) -> Path:
    """A CSV file in the current folder."""
    houses().to_csv("houses.csv", index=False)
    return project.root / "houses.csv"


def guess(project: Project, target: str, **more: Any) -> Any:
    """What a table with more columns is understood as."""
    houses(**more).to_csv("t.csv", index=False)
    return look_at(Path("t.csv"), target)


# The project


def test_the_example_project_has_a_sweep_its_configs_and_two_functions_all_commented(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = project.done("init", "pets")
    assert "besom sweep pets --dry-run" in told
    root = project.root / "pets"
    files = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}
    configs = {"sweeps/pets.yaml", "conf/data/my_data.yaml", "conf/model/my_model.yaml"}
    assert files == configs | {"my_data.py", "my_model.py"}
    assert all("# " in (root / name).read_text() for name in configs)
    monkeypatch.chdir(root)
    plan = make_plan("pets")
    assert plan.base["model"]["_target_"] == "my_model.build"
    assert {"model.units", "model.dropout", "optimizer.learning_rate"} <= set(plan.space.paths)


def test_the_current_folder_will_do_where_it_is_empty_but_for_hidden_files(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my dogs" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "my dogs")
    told = project.done("init")
    assert Path("sweeps/my_dogs.yaml").is_file()
    assert "Run it:  besom sweep my_dogs\n" in told


@pytest.mark.parametrize("name", ["quickstart", "train", "2024", "ärger", "sweep"])
def test_a_folder_s_name_that_no_sweep_can_have_gets_another(project: Project, name: str) -> None:
    project.done("init", f"work/{name}")
    (sweep,) = (project.root / "work" / name / "sweeps").glob("*.yaml")
    make_plan(str(sweep))
    assert sweep.stem != name


# What it is refused for


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("init", "The current folder is not empty: it holds houses.csv, sweeps. besom init over"),
        ("init sweeps", "The folder sweeps is not empty: it holds cheap.yaml."),
        ("init houses.csv", "houses.csv is not a folder."),
        ("init new --target price", "--target needs --from csv FILE"),
        ("init new --from csv houses.csv", "--from csv needs --target COLUMN"),
        ("init new --from xls houses.csv --target price", "--from is 'xls', expected csv"),
        ("init new --from csv homes.csv --target price", "There is no file 'homes.csv'."),
        ("init new --from csv sweeps --target price", "sweeps is a folder, expected a CSV file."),
        ("init new --from csv houses.csv --target prize", "which is no column of houses.csv. Did"),
        ("init new --from csv bytes.csv --target a", "bytes.csv cannot be read as CSV: "),
        ("init new --from csv empty.csv --target a", "empty.csv cannot be read as CSV: "),
        ("init new --from csv header.csv --target a", "header.csv has no rows."),
        ("init new --from csv short.csv --target a", "short.csv has 3 complete rows, expected at"),
        ("init new --from csv one.csv --target a", "no column is left to predict 'a' from."),
        ("init new --from csv same.csv --target a", "the target 'a' has one value, 1, in all 50"),
        ("init new --from csv gaps.csv --target a", "the target 'a' is missing (NaN) in 1 row"),
        ("init new --from csv names.csv --target a", "the target 'a' has 150 different texts"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(
    project: Project, table: Path, words: str, message: str
) -> None:
    rows = list(range(50))
    project.write("bytes.csv", "").write_bytes(b"a,b\n\xff\xfe,1\n")
    project.write("empty.csv", "")
    project.write("header.csv", "a,b\n")
    project.write("short.csv", "a,b\n1,2\n2,3\n0,9.5\n")
    project.write("one.csv", "a,b\n" + "".join(f"{i},7\n" for i in rows))
    project.write("same.csv", "a,b\n" + "".join(f"1,{i % 7}\n" for i in rows))
    project.write("gaps.csv", "a,b\n" + "".join(f"{i / 2 if i else ''},{i % 7}\n" for i in rows))
    project.write("names.csv", "a,b\n" + "".join(f"n{i},{i % 7}\n" for i in range(150)))
    if words == "init":
        for name in ("bytes", "empty", "header", "short", "one", "same", "gaps", "names"):
            (project.root / f"{name}.csv").unlink()
    before = sorted(project.root.rglob("*"))
    done = project.besom(*words.split())
    assert done.exit_code == 2
    assert message in done.output
    assert len(done.output.splitlines()) == 1
    assert sorted(project.root.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_said_and_stays_as_it_was(project: Project) -> None:
    (project.root / "closed").mkdir(mode=0o500)
    done = project.besom("init", "closed")
    assert done.exit_code == 2
    assert "Permission denied" in done.output


def test_where_a_file_cannot_be_written_none_is(project: Project) -> None:
    from besom.scaffold import NewProject

    broken = NewProject("x", {"conf/a.yaml": "a: 1\n", "conf/a.yaml/b.yaml": "b: 1\n"})
    with pytest.raises(OSError, match=r"a\.yaml"):
        broken.write(project.root / "new")
    assert not (project.root / "new").exists()


# What is guessed from a table


def test_a_table_beside_the_project_is_named_relative_to_it_and_elsewhere_by_its_whole_path(
    project: Project, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.done("init", "new", "--from", "csv", "houses.csv", "--target", "price")
    data = yaml.safe_load(Path("new/conf/data/my_data.yaml").read_text())
    assert data["path"] == str(table)
    home = tmp_path / "home"
    home.mkdir()
    table.rename(home / "houses.csv")
    monkeypatch.chdir(home)
    project.done("init", "--from", "csv", "houses.csv", "--target", "price")
    assert yaml.safe_load(Path("conf/data/my_data.yaml").read_text())["path"] == "houses.csv"


@pytest.mark.parametrize(
    ("target", "task", "objective", "loss"),
    [
        ("price", "regression", "val_mae", "mse"),
        ("kind", "classification", "val_accuracy", "sparse_categorical_crossentropy"),
    ],
)
def test_task_loss_and_objective_follow_from_the_target(
    project: Project, table: Path, target: str, task: str, objective: str, loss: str
) -> None:
    told = project.done("init", "new", "--from", "csv", "houses.csv", "--target", target)
    assert f"houses.csv: {task}" in told
    assert "Left out: nr (another number in each row)." in told
    plan = make_plan("new/sweeps/houses.yaml")
    assert plan.config["data"]["task"] == task
    assert plan.config["data"]["exclude"] == ["nr"]
    assert plan.objectives[0].metric == objective
    assert plan.config["trainer"]["loss"] == loss
    assert "trainer.batch_size" in plan.space.paths


RNG = np.random.default_rng(1)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([f"Ms {i}" for i in range(N)], "names or free text"),
        ([None] * N, "empty"),
        ([7] * N, "the same in every row"),
        ([None] * 100 + list(range(100)), "missing in 50% of the rows"),
        (pd.date_range("2024-01-01", periods=N).strftime("%d.%m.%Y"), "dates; with data.order="),
        (pd.date_range("2024-01-01", periods=N, freq="h").astype(str), "dates; with data.order="),
        (range(1000, 1000 + N), "another number in each row"),
    ],
)
def test_what_no_prediction_can_be_made_from_is_left_out_and_the_file_says_why(
    project: Project, values: Any, why: str
) -> None:
    found = guess(project, "price", odd=values)
    assert found.excluded["odd"].startswith(why)


@pytest.mark.parametrize(
    ("values", "is_categorical"),
    [
        (RNG.choice(["a", "b"], N), False),
        (RNG.normal(size=N), False),
        (RNG.permutation(N), False),
        (RNG.choice(["1", "2", "n/k", "x"], N), True),
        ([None] * 20 + list(range(180)), False),
        (RNG.choice([True, False], N), False),
    ],
)
def test_numbers_and_categories_are_predicted_from(
    project: Project, values: Any, is_categorical: bool
) -> None:
    found = guess(project, "price", odd=values)
    assert "odd" in found.features
    assert found.categorical == (["odd"] if is_categorical else [])


@pytest.mark.parametrize(
    ("values", "n_classes", "need_names"),
    [
        (RNG.integers(0, 5, N), 5, False),
        (RNG.choice([1, 2, 5], N), 3, True),
        (RNG.choice([-1, 1], N), 2, True),
        (RNG.choice([0.0, 1.0], N), 2, False),
        (RNG.choice([True, False], N), 2, False),
        (RNG.choice(["yes", "no"], N), 2, False),
        (RNG.integers(0, 500, N), None, False),
        (RNG.normal(size=N), None, False),
    ],
)
def test_whole_numbers_are_classes_where_they_are_few(
    project: Project, values: Any, n_classes: int | None, need_names: bool
) -> None:
    found = guess(project, "goal", goal=values)
    assert found.n_classes == n_classes
    assert (found.categorical == ["goal"]) is need_names


def test_a_rare_class_and_a_long_tail_are_seen(project: Project) -> None:
    assert guess(project, "goal", goal=["no"] * 190 + ["yes"] * 10).is_dominated
    assert guess(project, "goal", goal=np.exp(RNG.normal(size=N) * 3)).has_long_tail
    assert not guess(project, "price").has_long_tail


def test_rather_a_column_than_most_rows_is_given_up(project: Project) -> None:
    gaps = {f"g{i}": [None if j % 4 == i else j for j in range(N)] for i in range(4)}
    found = guess(project, "price", **gaps)
    assert found.n_rows >= N / 2
    assert set(found.excluded) < {"nr", *gaps}


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_the_separator_is_seen(project: Project, separator: str) -> None:
    houses().to_csv("t.csv", index=False, sep=separator)
    project.done("init", "new", "--from", "csv", "t.csv", "--target", "price")
    assert make_plan("new/sweeps/t.yaml").config["data"]["separator"] == separator


@pytest.mark.parametrize("name", ["a: b #c", "${oc.env:HOME}", "x\ny: 1", "'", "1", "null", "[a"])
def test_columns_may_have_any_name(project: Project, name: str) -> None:
    houses(**{name: [f"text {i}" for i in range(N)]}).to_csv("t.csv", index=False)
    project.done("init", "new", "--from", "csv", "t.csv", "--target", "price")
    assert make_plan("new/sweeps/t.yaml").config["data"]["exclude"] == ["nr", name]


def test_no_tensorflow_is_loaded(project: Project, table: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from besom.cli import main\n"
        "main(['init', 'new', '--from', 'csv', 'houses.csv', '--target', 'kind'],"
        " standalone_mode=False)\n"
        "assert not {'tensorflow', 'keras', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


# The sweep that follows


@pytest.mark.long
@pytest.mark.tensorflow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("target", [None, "kind", "price"])
def test_the_project_sweeps_at_once(
    project: Project, monkeypatch: pytest.MonkeyPatch, target: str | None
) -> None:
    houses(price_2=RNG.normal(size=N)).drop(columns="price" if target == "kind" else "kind").to_csv(
        "houses.csv", index=False
    )
    source = [] if target is None else ["--from", "csv", "houses.csv", "--target", target]
    project.done("init", "new", *source)
    monkeypatch.chdir("new")
    (sweep,) = Path("sweeps").glob("*.yaml")
    done = project.run("sweep", sweep.stem, *SHORT)
    assert done.returncode == 0, done.stderr
    study = load_record(Path("results"), sweep.stem)
    assert len(study.complete) == 2
