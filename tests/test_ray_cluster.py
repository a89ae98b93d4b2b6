"""Sweeps on several real Ray nodes: none of them sees the project's folder; some are lost."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import besom
from besom.store.records import Outcome
from ray_cluster import RayCluster
from user_project import Project, wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

TRIALS = """
import os
import time
from pathlib import Path

from besom.seam import TrialResult
from helpers.distances import squared


def trial(config, report):
    settings = config["trainer"]
    with open(settings["trace"], "a") as trace:
        trace.write(os.environ.get("BESOM_TEST_NODE", "here") + "\\n")
    begun = len(Path(settings["trace"]).read_text().split())
    while begun > settings["hold_after"] and not Path(settings["go"]).exists():
        time.sleep(0.05)
    losses = []
    for epoch in range(1, settings["epochs"] + 1):
        losses.append(squared(settings["x"]) / epoch)
        time.sleep(0.05)
        if report(epoch, {"loss": losses[-1]}):
            break
    if save := config["orders"].get("save_model"):
        Path(save["path"]).write_text(f"{losses[-1]}")
    return TrialResult(history={"loss": losses}, best_epoch=len(losses))
"""

SWEEP = """
defaults:
  - sweep
  - override sweep/executor: ray
  - override sweep/sampler: random
  - override sweep/pruner: none
  - _self_
trainer: {epochs: 3, x: 3.0, trace: /dev/null, hold_after: 1000, go: null, table: null}
sweep:
  trial_function: mine.trial
  objective: {metric: loss, direction: minimize}
  n_trials: 6
  space:
    trainer.x: {type: float, low: -4, high: 4}
"""

#: What a coordinator's driver inherits: it need not wait a minute for a head that is gone.
IMPATIENT = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with modules of its own, in a folder that the nodes do not see."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.write("mine.py", TRIALS)
    project.write("helpers/distances.py", "def squared(x):\n    return (x - 1) ** 2\n")
    project.write("sweeps/far.yaml", SWEEP)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        for name in ("BESOM_RESULTS_DIR", "BESOM_STORAGE", "PYTHONPATH", "BESOM_TRUSTED"):
            patch.delenv(name, raising=False)
        patch.setenv("PYTHONPATH", str(Path(besom.__file__).parents[1]))
        for name, value in IMPATIENT.items():
            patch.setenv(name, value)
        yield project


@pytest.fixture(scope="module")
def cluster(project: Project) -> Iterator[RayCluster]:
    """A head for the driver, and one node with two CPUs."""
    with RayCluster(hidden=project.root) as cluster:
        cluster.add_node(cpus=2)
        yield cluster


def sweep(project: Project, cluster: RayCluster, name: str, *words: str) -> subprocess.Popen[str]:
    """Start a sweep of a name of its own on the cluster."""
    address = f"sweep.executor.address={cluster.address}"
    environment = {**os.environ, "RAY_AUTH_TOKEN": cluster.token}
    return project.spawn("sweep", "far", f"sweep.name={name}", address, *words, env=environment)


def done(process: subprocess.Popen[str], code: int = 0) -> str:
    """Wait until it has ended; return what it said."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, f"{out}\n{err}"
    assert "Traceback" not in out + err
    return out + err


def values(project: Project, name: str) -> list[float | None]:
    study = besom.load_study(name, results_dir=str(project.root / "results"))
    assert all(trial.outcome is Outcome.COMPLETE for trial in study.trials)
    return [trial.value for trial in study.trials]


def held(folder: Path, after: int, n_trials: int) -> tuple[Path, Path, list[str]]:
    """A trace of who began trials, a file that those after the first ones wait for, and options."""
    trace, go = folder / "trace", folder / "go"
    options = {"trace": trace, "go": go, "hold_after": after}
    words = [f"trainer.{key}={value}" for key, value in options.items()]
    return trace, go, [*words, f"sweep.n_trials={n_trials}"]


def places(trace: Path) -> Counter[str]:
    """How often each node began a trial."""
    return Counter(trace.read_text().split() if trace.exists() else [])


def test_a_dry_run_says_how_many_workers_have_room(project: Project, cluster: RayCluster) -> None:
    said = done(sweep(project, cluster, "looked", "--dry-run", "sweep.executor.num_cpus=2"))
    assert "a worker (2 CPUs) fits on 1 of 2 nodes, 1 worker at once" in " ".join(said.split())


def test_modules_cross_and_models_come_back_and_the_values_are_those_of_local(
    project: Project, cluster: RayCluster
) -> None:
    done(sweep(project, cluster, "far", "sweep.executor.workers=1", "sweep.keep_models=2"))
    local = ["sweep.name=near", "sweep/executor=local", "sweep.executor.workers=1"]
    done(project.spawn("sweep", "far", *local, "sweep.keep_models=2"))
    found = values(project, "far")
    assert len(found) == 6
    assert found == values(project, "near")
    models = sorted((project.root / "results/far/models").iterdir())
    assert [float(model.read_text()) for model in models] == [
        found[int(model.stem.rpartition("-")[2])] for model in models
    ]
    assert len(models) == 2


def test_a_path_that_the_nodes_lack_ends_the_sweep_with_one_message(
    project: Project, cluster: RayCluster
) -> None:
    project.write("table.csv", "a,b\n1,2\n")
    said = done(sweep(project, cluster, "gone", "trainer.table=table.csv"), code=2)
    path = project.root / "table.csv"
    assert f"does not have what the config names: trainer.table={path}. Put it in a" in said


def test_an_address_where_nothing_answers_ends_the_sweep_at_once(project: Project) -> None:
    words = ["sweep.name=nowhere", "sweep.executor.address=localhost:1"]
    said = done(project.spawn("sweep", "far", *words), code=2)
    assert "cannot use Ray at 'localhost:1' (sweep.executor.address): nothing answers" in said


def test_without_besom_on_a_node_the_sweep_ends_with_one_message(project: Project) -> None:
    with RayCluster(hidden=Path(besom.__file__).parent) as bare:
        bare.add_node(cpus=1)
        said = done(sweep(project, bare, "bare"), code=2)
    assert "besom is not installed on" in said


def test_a_node_that_joins_and_one_that_is_lost_cost_no_trial(
    project: Project, cluster: RayCluster, tmp_path: Path
) -> None:
    trace, go, words = held(tmp_path, after=0, n_trials=8)
    process = sweep(project, cluster, "changing", *words)
    wait_for(lambda: places(trace)["node-1"] == 2, "the first trials", 180.0)
    joined = cluster.add_node(cpus=2)
    wait_for(lambda: places(trace)[f"node-{joined}"] == 2, "trials on the new node", 180.0)
    cluster.kill(joined)
    go.touch()
    said = done(process)
    assert len(values(project, "changing")) == 8
    assert places(trace).total() == 10  # what ran on the lost node ran again
    assert "was lost" in said


def test_sigterm_ends_a_sweep_in_good_order_and_frees_the_node(
    project: Project, cluster: RayCluster, tmp_path: Path
) -> None:
    trace, go, words = held(tmp_path, after=4, n_trials=14)
    process = sweep(project, cluster, "stopped", *words)
    wait_for(lambda: places(trace).total() >= 6, "trials that hang", 180.0)
    process.send_signal(signal.SIGTERM)
    go.touch()
    done(process, code=130)
    study = besom.load_study("stopped", results_dir=str(project.root / "results"))
    assert 4 <= sum(trial.value is not None for trial in study.trials) < 14
    done(sweep(project, cluster, "stopped", *words))
    assert len(values(project, "stopped")) == 14


def test_a_head_that_is_lost_ends_the_sweep_and_another_cluster_continues_it(
    project: Project, cluster: RayCluster, tmp_path: Path
) -> None:
    trace, go, words = held(tmp_path, after=4, n_trials=12)
    process = sweep(project, cluster, "headless", *words)
    wait_for(lambda: places(trace).total() >= 6, "trials that hang", 180.0)
    cluster.kill(0)
    said = done(process, code=2)
    assert "give the same command again" in said
    go.touch()
    with RayCluster(hidden=project.root) as another:
        another.add_node(cpus=2)
        done(sweep(project, another, "headless", *words))
    assert len(values(project, "headless")) == 12
