"""docs/from-keras-tuner.md: each example runs, and what stands beside it means the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from besom.store.records import Outcome
from besom.store.storage import load_record
from besom.study import make_plan
from migration_pages import imports, learned, read_page, run_commands, same_space, theirs
from page_examples import Block, blocks, write_files
from user_project import Project, some_long

PAGE = read_page("from-keras-tuner.md")
THEIRS = theirs(PAGE, "KerasTuner")
SWEEPS = [b.path for b in blocks(PAGE) if b.path is not None and b.path.startswith("sweeps/")]
(_, TUNED), (_, LAYERED) = imports(PAGE)


@pytest.fixture
def reader(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Somebody who has copied every file of the page."""
    write_files(PAGE, project.root)
    monkeypatch.syspath_prepend(str(project.root))
    return project


class Asked:
    """Stands for KerasTuner's ``hp``: notes what a function asks for, in Optuna's words."""

    def __init__(self, **answers: Any) -> None:
        self.seen: dict[str, BaseDistribution] = {}
        self._answers = answers

    def _ask(self, name: str, default: Any, distribution: BaseDistribution) -> Any:
        self.seen[name] = distribution
        return self._answers.get(name, default)

    def Int(self, name: str, low: int, high: int, step: int = 1) -> int:  # noqa: N802
        return int(self._ask(name, low, IntDistribution(low, high, step=step)))

    def Float(  # noqa: N802
        self, name: str, low: float, high: float, step: float | None = None, sampling: str = ""
    ) -> float:
        distribution = FloatDistribution(low, high, step=step, log=sampling == "log")
        return float(self._ask(name, low, distribution))

    def Choice(self, name: str, values: list[Any]) -> Any:  # noqa: N802
        return self._ask(name, values[0], CategoricalDistribution(values))

    def Boolean(self, name: str) -> bool:  # noqa: N802
        return bool(self._ask(name, True, CategoricalDistribution([True, False])))

    def conditional_scope(self, name: str, values: list[Any]) -> Asked:
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def asked(block: Block, **answers: Any) -> dict[str, BaseDistribution]:
    """What the example's model function asks for."""
    names: dict[str, Any] = {}
    exec(block.text, names)
    build = next(value for name, value in names.items() if name.startswith("build"))
    build(hp := Asked(**answers))
    return hp.seen


@pytest.mark.tensorflow
def test_a_sweep_samples_what_the_model_function_of_the_tuner_asks_for(reader: Project) -> None:
    same_space(asked(THEIRS[0], layers=3), LAYERED, "built")


@pytest.mark.tensorflow
def test_when_is_the_conditional_scope(reader: Project) -> None:
    given = {name: f"optimizer.{name}" for name in ("learning_rate", "momentum")}
    same_space(asked(THEIRS[1], optimizer="sgd"), given, "scoped")
    assert "momentum" not in asked(THEIRS[1], optimizer="adam")


@pytest.mark.tensorflow
def test_what_a_hypermodel_asks_for_is_sampled_by_path(
    reader: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras_tuner = MagicMock(HyperModel=object)
    monkeypatch.setitem(sys.modules, "keras_tuner", keras_tuner)
    names: dict[str, Any] = {}
    exec(THEIRS[2].text, names)
    hp, model = Asked(), names["Digits"]()
    model.build(hp)
    model.fit(hp, MagicMock())
    same_space(hp.seen, TUNED, "fitted")
    same_space(hp.seen, TUNED, "tuned")


@pytest.mark.tensorflow
@pytest.mark.parametrize("sweep", some_long(SWEEPS, ["sweeps/built.yaml", "sweeps/fitted.yaml"]))
def test_trials_of_each_sweep_run(reader: Project, sweep: str) -> None:
    from besom.training.trial import run_trial

    plan = make_plan(sweep)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=2))
    configs = [plan.base, plan.trial_config(plan.space.suggest(study.ask()), 0)]
    for config in configs:
        trainer = {**config["trainer"], "epochs": 2}
        result = run_trial({**config, "trainer": trainer}, lambda *_: False)
        assert len(result.history["val_accuracy"]) == 2


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_commands_do_what_stands_beside_them(reader: Project) -> None:
    told = run_commands(reader, PAGE, lambda words: not needs_a_project(words))
    study = load_record(Path("results"), "tuned")
    assert len(study.trials) == 3
    assert [len(trial.runs) for trial in study.complete] == [2] * len(study.complete)
    assert "tuned: best val_accuracy" in told["leaderboard tuned"]
    assert Path("results/train").is_dir()


def needs_a_project(words: str) -> bool:
    """Whether a command is about a project of KerasTuner's."""
    return any(
        name in words.split() or f"warm_start={name}" in words for name in ("old", "layered")
    )


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_script_sweeps_and_has_its_best_model(reader: Project) -> None:
    done = subprocess.run([sys.executable, "python_call.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "optimizer.learning_rate" in done.stdout
    assert len(load_record(Path("results"), "from_python").complete) == 2


@pytest.mark.long
@pytest.mark.timeout(600)
def test_keras_tuner_runs_and_sweeps_learn_from_its_projects(reader: Project) -> None:
    pytest.importorskip("keras_tuner")
    shown = "\n".join(block.text for block in THEIRS).replace("max_epochs=9", "max_epochs=3")
    code = shown + (
        "\nfrom sklearn.datasets import load_digits\n"
        "x, y = load_digits(return_X_y=True)\n"
        "x = x.reshape(-1, 8, 8)\n"
        "keras_tuner.RandomSearch(build, 'val_accuracy', max_trials=3, directory='kt', "
        "project_name='layered').search(x, y, validation_split=0.2, verbose=0)\n"
        "keras_tuner.RandomSearch(build_with_scope, 'val_accuracy', max_trials=2, directory='b')"
        ".search(x, y, validation_split=0.2, verbose=0)\n"
        "values, model = afterwards(search(x[:500], y[:500], x[500:700], y[500:700]), x, y)\n"
        "assert {'units', 'batch_size'} <= set(values)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = run_commands(reader, PAGE, needs_a_project)
    assert "as knowledge" in learned(told, "old")
    assert "3 trials of 'layered' are added" in learned(told, "layered")
    tuned = load_record(Path("results"), "old")
    assert {trial.outcome for trial in tuned.trials} == {Outcome.COMPLETE, Outcome.PRUNED}
    assert all(len(t.params["model.hidden_units"]) == 1 for t in tuned.trials)
