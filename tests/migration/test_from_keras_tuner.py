"""docs/from-keras-tuner.md: each example runs, and what stands beside it means the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

from besom.space.domains import Range
from besom.store.storage import load_record
from besom.study import make_plan
from test_documentation import Block, blocks, command_lines, write_files
from user_project import Project

PAGE = (Path(__file__).parents[2] / "docs/from-keras-tuner.md").read_text()
THEIRS = [block for block in blocks(PAGE) if block.text.startswith("# KerasTuner\n")]
SWEEPS = [b.path for b in blocks(PAGE) if b.path is not None and b.path.startswith("sweeps/")]


@pytest.fixture
def reader(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Somebody who has copied every file of the page."""
    write_files(PAGE, project.root)
    monkeypatch.syspath_prepend(str(project.root))
    return project


class Asked:
    """Stands for KerasTuner's ``hp``: notes what a function asks for."""

    def __init__(self, **answers: Any) -> None:
        self.seen: dict[str, Any] = {}
        self._answers = answers

    def _ask(self, name: str, default: Any, *said: Any, **more: Any) -> Any:
        self.seen[name] = (*said, more)
        return self._answers.get(name, default)

    def Int(self, name: str, low: int, high: int, **more: Any) -> int:  # noqa: N802
        return int(self._ask(name, low, low, high, **more))

    def Float(self, name: str, low: float, high: float, **more: Any) -> float:  # noqa: N802
        return float(self._ask(name, low, low, high, **more))

    def Choice(self, name: str, values: list[Any]) -> Any:  # noqa: N802
        return self._ask(name, values[0], *values)

    def Boolean(self, name: str) -> bool:  # noqa: N802
        return bool(self._ask(name, True, True, False))

    def conditional_scope(self, name: str, values: list[Any]) -> Asked:
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def asked(block: Block, **answers: Any) -> dict[str, Any]:
    """What the example's model function asks for."""
    names: dict[str, Any] = {}
    exec(block.text, names)
    build = next(value for name, value in names.items() if name.startswith("build"))
    build(hp := Asked(**answers))
    return hp.seen


def said(sweep: str, *paths: str) -> list[Any]:
    """What a sweep's space has for these paths, in the tuner's words."""
    found = {entry.path: entry for entry in make_plan(sweep).space.entries}
    told = []
    for path in paths:
        entry = found[path]
        if entry.choices is not None:
            told.append((*entry.choices, {}))
            continue
        assert isinstance(entry.values, Range)
        more = {"sampling": "log"} if entry.values.log else {}
        more |= {"step": entry.values.step} if entry.values.step is not None else {}
        told.append((entry.low, entry.high, more))
    return told


@pytest.mark.tensorflow
def test_a_sweep_asks_for_what_the_model_function_of_the_tuner_asks_for(reader: Project) -> None:
    theirs = asked(THEIRS[0], layers=3)
    mine = said("built", "model.use_dropout", "model.dropout", "optimizer.learning_rate")
    assert mine == [theirs[name] for name in ("use_dropout", "dropout", "learning_rate")]
    layers = make_plan("built").config["sweep"]["space"]["model.layers"]
    low, high, _ = theirs["layers"]
    assert layers["length"] == {"low": low, "high": high}
    low, high, more = theirs["units_2"]
    assert layers["each"]["units"] == {"low": low, "high": high, **more}
    assert layers["each"]["activation"] == list(theirs["activation_2"][:-1])


@pytest.mark.tensorflow
def test_when_is_the_conditional_scope(reader: Project) -> None:
    theirs = asked(THEIRS[1], optimizer="sgd")
    mine = said("scoped", "optimizer", "optimizer.learning_rate", "optimizer.momentum")
    assert mine == [theirs[name] for name in ("optimizer", "learning_rate", "momentum")]
    assert "momentum" not in asked(THEIRS[1], optimizer="adam")


@pytest.mark.tensorflow
@pytest.mark.parametrize("sweep", SWEEPS)
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
def test_the_commands_do_what_stands_beside_them(reader: Project) -> None:
    told = {}
    for words in command_lines(PAGE):
        if "--dry-run" in words:  # trains nothing; tried elsewhere
            continue
        short = ["sweep.executor.workers=1", "trainer.epochs=3"] if words[0] == "sweep" else []
        n_trials = ["sweep.n_trials=3" if "--extend" in words else "sweep.n_trials=2"]
        kept = [word for word in words if not word.startswith("sweep.n_trials")]
        done = reader.run(*kept, *short, *(n_trials if short else []))
        assert done.returncode == 0, done.stderr
        told[tuple(words)] = done.stdout
    study = load_record(Path("results"), "tuned")
    assert len(study.trials) == 3
    assert [len(trial.runs) for trial in study.complete] == [2] * len(study.complete)
    assert "tuned: best val_accuracy" in told["leaderboard", "tuned"]
    assert Path("results/train").is_dir()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_script_sweeps_and_has_its_best_model(reader: Project) -> None:
    done = subprocess.run([sys.executable, "python_call.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "optimizer.learning_rate" in done.stdout
    assert len(load_record(Path("results"), "from_python").complete) == 2


@pytest.mark.long
def test_keras_tuner_takes_what_is_said_to_be_its(reader: Project) -> None:
    pytest.importorskip("keras_tuner")
    code = "\n".join(block.text for block in THEIRS) + (
        "\nfrom sklearn.datasets import load_digits\n"
        "x, y = load_digits(return_X_y=True)\n"
        "x = x.reshape(-1, 8, 8)\n"
        "keras_tuner.RandomSearch(build, 'val_accuracy', max_trials=1, directory='a')"
        ".search(x, y, validation_split=0.2, verbose=0)\n"
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
