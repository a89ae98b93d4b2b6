"""A table swept as its first user would: sweep, export, predictions, the exported model, a test."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from besom.store.records import Outcome
from besom.store.storage import load_record
from user_project import Project

pytestmark = [pytest.mark.long, pytest.mark.tensorflow, pytest.mark.timeout(300)]

N = 200
TABLE = ["data=csv", "data.path=houses.csv", "data.test_split=0.2", "model=mlp"]
SHORT = ["sweep.folds=null", "sweep.n_trials=2", "sweep.executor.workers=1", "trainer.epochs=2"]
SHORT += ["trainer.batch_size=128", "sweep.plots=false"]


@pytest.fixture(scope="module")
def home(home: Project) -> Project:
    """A folder with a table in it, that the tests of this module share."""
    houses().to_csv("houses.csv", index=False)
    return home


def houses() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    area, city = rng.normal(90, 20, N).round(1), rng.choice(["Bonn", "Köln", "Ulm"], N)
    price = (area / 30 + (city == "Ulm")).round(3)
    kind = np.where(price > 3.2, "dear", "cheap")
    return pd.DataFrame({"area": area, "city": city, "price": price, "kind": kind})


@pytest.fixture(scope="module")
def kinds(home: Project) -> str:
    """A swept classification of text labels."""
    words = [*TABLE, "data.target=kind", "data.exclude=[price]", "sweep.name=kinds"]
    done = home.run("sweep", "quickstart", *words, *SHORT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_text_labels_are_swept_as_classes(home: Project, kinds: str) -> None:
    assert "houses: classification, 2 classes; 128 training and 32 validation examples" in kinds
    assert "test part of 40 set aside stratified by class, seed 0" in kinds
    assert "scaled: 1 column normalised and 1 column one-hot" in kinds
    study = load_record(home.root / "results", "kinds")
    assert [trial.outcome for trial in study.trials] == [Outcome.COMPLETE] * 2
    assert "Confusion matrix" in home.done("show", "kinds")


def test_the_exported_model_takes_the_columns_and_predictions_are_written(
    home: Project, kinds: str
) -> None:
    exported = home.besom("export", "kinds", "--model")
    assert "It takes the columns as they are in the table." in exported.output
    assert exported.exit_code == 0, exported.output
    assert "Classes, in the order of the outputs: cheap and dear" in exported.output
    done = home.run("export", "kinds", "--predictions")
    assert done.returncode == 0, done.stderr
    assert "Predicted by the kept model of trial" in done.stdout
    rows = pd.read_csv("kinds.csv")
    assert list(rows) == ["example", "label", "prediction", "p_cheap", "p_dear"]
    table = houses().iloc[rows["example"]]
    assert list(table["kind"]) == list(rows["label"])

    import keras

    model = keras.models.load_model("kinds.keras")
    raw = {"area": table["area"].to_numpy(), "city": table["city"].to_numpy(object)}
    np.testing.assert_allclose(
        model.predict(raw, verbose=0), rows[["p_cheap", "p_dear"]], atol=1e-5
    )
    with zipfile.ZipFile("kinds.keras") as archive:
        assert json.loads(archive.read("besom.json")) == {"class_names": ["cheap", "dear"]}


def test_numbers_are_swept_as_quantities_and_a_model_not_kept_is_trained_again(
    home: Project,
) -> None:
    words = [*TABLE, "data.target=price", "data.exclude=[kind]", "sweep.name=prices"]
    done = home.run("sweep", "quickstart", *words, "sweep.keep_models=0", *SHORT)
    assert done.returncode == 0, done.stderr
    assert "houses: regression; 128 training and 32 validation examples" in done.stdout
    done = home.run("export", "prices", "--predictions", "-o", "rows.csv")
    assert done.returncode == 0, done.stderr
    assert "was not kept: training it again" in done.stdout
    rows = pd.read_csv("rows.csv")
    study = load_record(home.root / "results", "prices")
    wrong = home.done("show", "prices")
    assert "32 validation examples: mean error" in wrong
    assert "area" in wrong
    error = float(np.mean((rows["label"] - rows["prediction"]) ** 2))
    assert error == pytest.approx(min(trial.value for trial in study.complete), rel=1e-4)


def test_a_wrong_table_is_refused_before_the_first_trial(home: Project) -> None:
    done = home.run("sweep", "quickstart", *TABLE, "data.target=prize", "sweep.name=wrong", *SHORT)
    assert done.returncode == 2
    assert "data.target names the column 'prize', which houses.csv does not have." in done.stderr
    assert "Traceback" not in done.stderr


def test_predictions_of_a_trial_that_diverges_again_are_refused_with_the_reason(
    home: Project,
) -> None:
    words = [
        "sweep.n_trials=1",
        "optimizer.learning_rate=1e30",
        "sweep.name=burst",
        "data.target=price",
        "data.exclude=[kind]",
    ]
    home.run("sweep", "quickstart", *TABLE, *SHORT, *words)
    done = home.run("export", "burst", "--trial", "0", "--predictions")
    assert done.returncode == 2
    assert done.stderr.startswith("besom: Trial 0 of 'burst' cannot be trained again: ")
    assert "Traceback" not in done.stderr
