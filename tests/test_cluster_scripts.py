"""The scripts of docs/cluster: well formed, their commands ones that besom takes, and one run."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import besom
from user_project import wait_for

SCRIPTS = Path(__file__).parents[1] / "docs" / "cluster"

#: On one machine: two host names that mean it, and steps that just run.
STAND_INS = {
    "scontrol": 'if [ "$1" = show ]; then echo localhost; echo other; else echo "$@" >&2; fi',
    "srun": 'while [ "${1#-}" != "$1" ]; do shift; done; echo "srun $1 $2 $3" >&2; exec "$@"',
    "besom": f'exec {shlex.quote(sys.executable)} -c "from besom.cli import main; main()" "$@"',
    "python": f'exec {shlex.quote(sys.executable)} "$@"',
    "ray": f"exec {shlex.quote(sys.executable)} -P -c "
    '"from ray.scripts.scripts import main; main()" "$@"',
}


def commands(text: str) -> list[list[str]]:
    """Each ``besom sweep`` in a script, as words."""
    joined = text.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if "besom sweep " in line and line[0] != "#"]
    return [shlex.split(line.partition("besom sweep ")[2].rstrip('"')) for line in lines]


def test_the_slurm_script_is_a_shell_script() -> None:
    subprocess.run(["bash", "-n", str(SCRIPTS / "sweep.sbatch")], check=True)


def test_the_slurm_script_without_a_sweep_says_how_to_use_it() -> None:
    done = subprocess.run(
        ["bash", str(SCRIPTS / "sweep.sbatch")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.split()[0]) == (2, "usage:")


def test_the_job_for_kuberay_runs_a_sweep_that_besom_takes() -> None:
    job = yaml.safe_load((SCRIPTS / "rayjob.yaml").read_text())
    (words,) = commands(job["spec"]["entrypoint"])
    from besom.study import make_plan

    plan = make_plan(words[0], words[1:])
    assert plan.sweep.executor["address"] == "auto"
    spec = job["spec"]["rayClusterSpec"]
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    versions = {spec["rayVersion"], *_ray_versions()}
    assert len(versions) == 1


def _ray_versions() -> list[str]:
    image = next(
        line for line in (SCRIPTS / "Dockerfile").read_text().splitlines() if line[:4] == "FROM"
    )
    return [image.partition(":")[2].partition("-")[0]]


def test_the_cluster_of_virtual_machines_fits_ray_s_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    spec = find_spec("ray")
    if spec is None or spec.origin is None:
        pytest.skip("ray is not installed")
    schema = json.loads((Path(spec.origin).parent / "autoscaler/ray-schema.json").read_text())
    cluster = yaml.safe_load((SCRIPTS / "aws.yaml").read_text())
    jsonschema.validate(cluster, schema)
    assert cluster["head_node_type"] in cluster["available_node_types"]


@pytest.mark.long
@pytest.mark.timeout(400)
def test_the_slurm_script_sweeps_stops_at_slurm_s_signal_and_asks_to_be_queued_again(
    tmp_path: Path,
) -> None:
    pytest.importorskip("ray")
    stand_ins = tmp_path / "bin"
    stand_ins.mkdir()
    for name, script in STAND_INS.items():
        (stand_ins / name).write_text(f"#!/bin/bash\n{script}\n")
        (stand_ins / name).chmod(0o755)
    project = tmp_path / "project"
    (project / "sweeps").mkdir(parents=True)
    (project / "mine.py").write_text(TRIAL)
    (project / "sweeps/slow.yaml").write_text(SWEEP)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "PATH": f"{stand_ins}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(besom.__file__).parents[1]),
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": "localhost,other",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "1",
        "SLURM_JOB_END_TIME": str(int(time.time()) + 100),
    }
    job = subprocess.Popen(
        ["bash", str(SCRIPTS / "sweep.sbatch"), "slow", f"trainer.trace={tmp_path / 'trace'}"],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    trace = tmp_path / "trace"
    try:
        wait_for(lambda: trace.exists() and len(trace.read_text()) > 3, "some trials", 240.0)
        job.send_signal(signal.SIGTERM)  # as `--signal=B:TERM@120`: to the script alone
        said, _ = job.communicate(timeout=120)
    finally:
        with contextlib.suppress(ProcessLookupError):  # all has ended by itself
            os.killpg(job.pid, signal.SIGKILL)
    assert job.returncode == 130, said
    assert f"requeue {os.getpid()}" in said
    study = besom.load_study("slow", results_dir=str(project / "results"))
    assert 0 < len([trial for trial in study.trials if trial.value is not None]) < 1000


TRIAL = """
import time

from besom.seam import TrialResult


def trial(config, report):
    with open(config["trainer"]["trace"], "a") as trace:
        trace.write("x")
    time.sleep(0.3)
    report(1, {"loss": config["trainer"]["x"]})
    return TrialResult(history={"loss": [config["trainer"]["x"]]}, best_epoch=1)
"""

SWEEP = """
defaults: [sweep, override sweep/sampler: random, override sweep/pruner: none, _self_]
trainer: {x: 1.0, trace: null}
sweep:
  trial_function: mine.trial
  objective: {metric: loss, direction: minimize}
  n_trials: 1000
  space:
    trainer.x: {type: float, low: 0, high: 1}
"""
