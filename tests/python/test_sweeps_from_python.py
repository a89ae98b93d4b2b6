"""``besom.sweep(function, ...)``: what it composes, refuses, continues and leaves for commands.

The trial function trains nothing, so neither function nor data is loaded by a worker here.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import besom
from besom.errors import BesomError, ConfigError, DataError, SpaceError, StudyError, TrustError
from besom.from_python import given_file
from besom.store.paths import StudyPaths
from besom.store.storage import load_record
from besom.targets import resolve
from besom.trust import trusting
from user_project import Project

X, Y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
SPACE = {"dropout": (0.0, 0.5), "optimizer.learning_rate": (1e-4, 1e-1, "log")}


@pytest.fixture(autouse=True)
def _no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take longer than all trials; what is drawn is tested elsewhere."""
    monkeypatch.setattr("besom.plots.write_plots", lambda *_: [])


def build(input_shape: Any, hidden_units: Any = (8,), dropout: float = 0) -> None:
    """Never called: the trials of this module train nothing."""


def loads(split: str, n: int = 3) -> Any:
    return X, Y


def sweep(function: Any = build, **said: Any) -> Any:
    """Three trials that cost nothing."""
    said = {"data": (X, Y), "space": SPACE, "n_trials": 3, **said}
    cheap = {"trial_function": "sweep_trials.quadratic", "sampler": "random", "pruner": "none"}
    return besom.sweep(function, executor={"workers": 1, "gpus": "none"}, **{**cheap, **said})


def test_the_study_has_the_functions_name_and_the_names_of_its_parameters(project: Project) -> None:
    study = sweep()
    assert (study.name, len(study.complete)) == ("build", 3)
    assert set(study.complete[1].params) == {"model.dropout", "optimizer.learning_rate"}
    model = study.complete[0].config["model"]
    assert model.pop("_target_").startswith("besom.from_python.build_")
    assert model == {"hidden_units": [8], "dropout": 0.0}


def test_the_same_call_goes_on_and_a_larger_budget_needs_extend(project: Project) -> None:
    first = sweep()
    assert [t.values for t in sweep().trials] == [t.values for t in first.trials]
    with pytest.raises(StudyError, match="n_trials"):
        sweep(n_trials=5)
    assert len(sweep(n_trials=5, extend=True).complete) == 5


def test_every_node_is_a_keyword_and_overrides_still_count(project: Project) -> None:
    study = sweep(
        overrides=["trainer.batch_size=16"],
        name="mine",
        trainer={"epochs": 2},
        optimizer="sgd",
        model={"hidden_units": [4, 4]},
        seed=7,
        objective="val_loss",
        enqueue=[{"dropout": 0.25}],
        validation_split=0.3,
    )
    config = study.complete[1].config
    assert study.name == "mine"
    assert (config["trainer"]["epochs"], config["trainer"]["batch_size"]) == (2, 16)
    assert config["optimizer"]["_target_"] == "keras.optimizers.SGD"
    assert (config["model"]["hidden_units"], config["model"]["dropout"]) == ([4, 4], 0.25)
    assert (config["seed"], config["data"]["validation_split"]) == (7, 0.3)
    assert (study.objective.metric, study.objective.direction) == ("val_loss", "minimize")


def test_target_is_the_column_of_a_table_and_else_the_score_to_stop_at(project: Project) -> None:
    table = pd.DataFrame({"a": X[:, 0], "b": Y})
    study = sweep(data=table, target="b", sweep={"target": 5.0}, exclude=["c"])
    assert study.config["data"]["target"] == "b"
    assert study.config["data"]["exclude"] == ["c"]
    assert study.config["sweep"]["target"] == 5.0
    assert sweep(target=5.0, name="other").config["sweep"]["target"] == 5.0


def test_a_sweep_by_name_takes_keywords_too(project: Project) -> None:
    study = besom.sweep("cheap", n_trials=2, space={"optimizer": ["adam", "sgd"]})
    assert (study.name, len(study.complete)) == ("cheap", 2)
    assert {"optimizer", "model.dropout"} <= set(study.complete[1].params)


def test_a_parameter_without_a_default_is_given_by_the_space(project: Project) -> None:
    def narrow(hidden_units: Any, dropout: float) -> None: ...

    study = sweep(narrow, space={**SPACE, "hidden_units": [[4], [8]]})
    assert study.complete[0].config["model"]["hidden_units"] == [4]
    assert study.complete[0].config["model"]["dropout"] == 0.25
    with pytest.raises(ConfigError, match="narrow has the parameter 'hidden_units' without a def"):
        sweep(narrow, name="other")


@pytest.mark.parametrize(
    ("said", "error", "why"),
    [
        ({"space": {"units": (1, 2)}}, SpaceError, "build has no parameter 'units'"),
        ({"model": {"depth": 1}}, ConfigError, "build has no such parameter"),
        ({"epochs": 3}, ConfigError, "key of trainer: trainer={'epochs': VALUE}"),
        ({"dropout": 0.1}, ConfigError, "parameter of your function"),
        ({"n_trails": 3}, ConfigError, "Did you mean 'n_trials'"),
        ({"data": X.tolist()}, DataError, "expected (x, y)"),
        ({"data": (X, np.array([object()] * 20))}, DataError, "among them a object"),
        ({"data": iter([1])}, DataError, "Give the function that makes it"),
        ({"data": (iter([1]), Y)}, DataError, "x is a list_iterator"),
        ({"data": pd.DataFrame({"a": [1.0], "b": [2.0]})}, ConfigError, "add target='COLUMN'"),
        ({"data": "digits", "test": (X, Y)}, ConfigError, "test is given"),
        ({"test": (X, Y), "test_split": 0.1}, ConfigError, "give one of them"),
        ({"test": pd.DataFrame({"a": [1.0]})}, ConfigError, "give the same for both"),
        ({"space": [1]}, SpaceError, "expected a mapping"),
        ({"trainer": {"loss": object()}}, SpaceError, "trainer.loss is a object"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    project: Project, said: dict[str, Any], error: type[BesomError], why: str
) -> None:
    with pytest.raises(error) as refused:
        sweep(**said)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not Path("results").exists()


def test_a_model_that_is_made_already_is_refused(project: Project) -> None:
    with pytest.raises(ConfigError, match="is given 3 first, expected a function"):
        besom.sweep(3, data=(X, Y))  # type: ignore[arg-type]


def test_a_function_that_cannot_be_pickled_is_refused_with_the_reason(project: Project) -> None:
    lock = threading.Lock()

    def locked(dropout: float = 0.0) -> None:
        lock.acquire()

    with pytest.raises(ConfigError, match=r"locked cannot be sent .*: it uses lock, a lock, which"):
        sweep(locked)
    assert not Path("results").exists()


def defined(tmp_path: Path, text: str) -> Any:
    """A function as another version of a script has it."""
    file = tmp_path / "version.py"
    file.write_text(text)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, str(file), "exec"), names)
    return names["build"]


@pytest.mark.long
def test_a_changed_function_is_refused_and_both_ways_on_are_named(project: Project) -> None:
    text = "WIDTH = 3\ndef build(dropout=0.0):\n    return WIDTH\n"
    sweep(defined(project.root, text))
    sweep(defined(project.root, "# moved\n\n" + text))
    before = project.results()
    with pytest.raises(StudyError) as refused:
        sweep(defined(project.root, text.replace("WIDTH = 3", "WIDTH = 4")))
    assert "build uses WIDTH, which was 3 and is 4." in str(refused.value)
    assert "fresh=True" in str(refused.value)
    assert "name='build-2'" in str(refused.value)
    assert project.results() == before
    changed = defined(project.root, text.replace("return WIDTH", "return -WIDTH"))
    with pytest.raises(StudyError, match="build has changed since"):
        sweep(changed)
    assert sweep(changed, name="build-2").name == "build-2"
    assert len(sweep(changed, fresh=True).complete) == 3
    assert len(list(Path("results/archive").iterdir())) == 1


def test_other_data_and_another_test_part_are_refused_but_a_first_one_is_taken(
    project: Project,
) -> None:
    sweep()
    with pytest.raises(StudyError, match="made with other data"):
        sweep(data=(X + 1, Y))
    sweep(test=(X[:5], Y[:5]))
    sweep()
    with pytest.raises(StudyError, match="made with another test part"):
        sweep(test=(X[5:], Y[5:]))


def test_a_lambda_without_source_cannot_be_continued(project: Project) -> None:
    made = eval("lambda dropout=0.0: None")
    assert sweep(made).name == "lambda"
    with pytest.raises(StudyError, match="its lambda has no source to compare") as refused:
        sweep(made)
    assert "\n" not in str(refused.value)


def test_the_commands_read_and_continue_what_a_call_has_made(project: Project) -> None:
    sweep()
    assert "build" in project.done("list")
    assert "dropout" in project.done("leaderboard", "build")
    project.done("export", "build", "-o", "best.yaml")
    config = "results/build/from_python/continue.yaml"
    project.done("sweep", config, "sweep.n_trials=4", "--extend", "--quiet")
    assert len(besom.load_study("build").complete) == 4
    assert "bitwise equal" in project.done("replay", "build", "2")


def test_what_is_written_is_what_was_given(project: Project) -> None:
    sweep(test=(X[:5], Y[:5]))
    paths = StudyPaths.of(Path("results"), "build")
    config = load_record(Path("results"), "build").config
    with trusting(functions=paths.from_python):
        assert resolve(config["model"]["_target_"]) is build
        train = np.load(given_file(config["data"]["train"]) / "0-x.npy")
    assert np.array_equal(train, X)
    assert np.array_equal(np.load(paths.from_python / "test" / "0-x.npy"), X[:5])


def test_a_loader_of_parts_is_named_with_its_defaults(project: Project) -> None:
    data = sweep(data=loads, n=5, validation_split=0.1).complete[0].config["data"]
    assert data.pop("_target_").startswith("besom.from_python.loads_")
    assert data == {"n": 5, "validation_split": 0.1}


def test_functions_and_classes_stand_anywhere_in_a_node(project: Project) -> None:
    def loss(y_true: Any, y_pred: Any) -> None: ...

    class Watch: ...

    config = sweep(trainer={"loss": loss, "callbacks": [Watch]}).complete[0].config["trainer"]
    assert config["loss"]["_partial_"] is True
    assert config["loss"]["_target_"].startswith("besom.from_python.loss_")
    assert list(config["callbacks"][0]) == ["_target_"]


@pytest.fixture
def strangers_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """As if a study had been made by somebody else."""
    from besom.trust import signed

    made = set(signed._MADE)
    signed._MADE.clear()
    signed._key.cache_clear()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "other"))
    yield
    signed._key.cache_clear()
    signed._MADE.update(made)


def test_a_strangers_function_runs_only_if_the_user_trusts_it(
    project: Project, request: pytest.FixtureRequest
) -> None:
    sweep()
    request.getfixturevalue("strangers_key")
    assert "build" in project.done("leaderboard", "build")
    refused = project.besom("replay", "build", "2")
    assert refused.exit_code == 2
    assert "was written by another user or on another machine" in refused.output
    assert "--trust besom.from_python" in refused.output
    with pytest.raises(TrustError):
        besom.sweep("results/build/from_python/continue.yaml", n_trials=9, extend=True)
    project.done("replay", "build", "2", "--trust", "besom.from_python")


def test_calling_besom_loads_no_tensorflow() -> None:
    code = (
        "import sys, besom.python.calls, besom.python.training_apart\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
