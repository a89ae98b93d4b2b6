"""docs/from-ray-tune.md: both sides search the same space, and all that is shown runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any
from unittest.mock import MagicMock

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from besom.store.storage import load_record
from besom.study import make_plan
from migration_pages import imports, learned, read_page, run_commands, same_space, theirs
from page_examples import write_files
from user_project import Project

PAGE = read_page("from-ray-tune.md")
(SEARCH,) = theirs(PAGE, "Ray Tune")
((_, GIVEN),) = imports(PAGE)


class Tune:
    """Stands for ``ray.tune``, which needs more packages than Ray: its space in Optuna's words."""

    uniform = staticmethod(FloatDistribution)
    choice = staticmethod(CategoricalDistribution)

    @staticmethod
    def loguniform(low: float, high: float) -> BaseDistribution:
        return FloatDistribution(low, high, log=True)

    @staticmethod
    def randint(low: int, high: int) -> BaseDistribution:
        return IntDistribution(low, high - 1)

    @staticmethod
    def lograndint(low: int, high: int) -> BaseDistribution:
        return IntDistribution(low, high - 1, log=True)


def param_space() -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(SEARCH.text, names)
    return {k: v for k, v in names["param_space"].items() if k != "epochs"}


def test_param_space_is_the_space_of_the_sweep(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = MagicMock(tune=Tune)
    for name in ("ray", "ray.tune.schedulers", "ray.tune.search.optuna"):
        monkeypatch.setitem(sys.modules, name, ray)
    write_files(PAGE, project.root)
    same_space(param_space(), GIVEN, "digits_asha")


def test_what_had_no_part_in_a_trial_is_no_part_of_its_knowledge(project: Project) -> None:
    write_files(PAGE, project.root)
    space = make_plan("digits_asha").space
    used = dict.fromkeys(("model.dropout", "optimizer.learning_rate"), 0.1)
    used |= {"model.hidden_units": [64], "model.activation": "relu", "trainer.batch_size": 32}
    sampled = {**used, "optimizer": "adam", "optimizer.momentum": 0.9}
    assert space.without_idle(sampled) == {**used, "optimizer": "adam"}
    assert space.encode(*space.complete(space.without_idle(sampled))) is not None
    sampled["optimizer"] = "sgd"
    assert space.without_idle(sampled) == sampled


@pytest.mark.long
@pytest.mark.timeout(600)
def test_ray_tune_runs_and_the_sweep_learns_from_its_experiment(project: Project) -> None:
    pytest.importorskip("tensorboardX", reason="needs ray[tune]")
    write_files(PAGE, project.root)
    short = SEARCH.text.replace('"epochs": 20', '"epochs": 2')
    short = short.replace("num_samples=50", "num_samples=4")
    project.write("search.py", short.replace("max_concurrent_trials=4", "max_concurrent_trials=2"))
    code = (
        "import json, os, ray, search\n"
        "from ray.tune.search.optuna import OptunaSearch\n"
        "from optuna.distributions import distribution_to_json as text\n"
        "ray.init(num_cpus=2, include_dashboard=False)\n"
        "results = search.search(os.path.abspath('ray_results'))\n"
        "sampled = {k: v for k, v in search.param_space.items() if k != 'epochs'}\n"
        "found = OptunaSearch.convert_search_space(sampled)\n"
        "best = results.get_best_result().config\n"
        "said = {'space': {k: text(v) for k, v in found.items()}, 'best': best}\n"
        "open('said.json', 'w').write(json.dumps(said))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(project.root), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads((project.root / "said.json").read_text())
    same_space({k: json_to_distribution(v) for k, v in said["space"].items()}, GIVEN, "digits_asha")
    told = run_commands(project, PAGE)
    assert "4 trials of 'old' are added" in learned(told, "old")
    best = load_record(project.root / "results", "old")
    first = max(best.complete, key=lambda trial: trial.value or 0.0)
    assert first.params["optimizer.learning_rate"] == said["best"]["lr"]
