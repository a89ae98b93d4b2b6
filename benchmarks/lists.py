"""One list of configs, trained by besom's command or by a contestant's script, and its log read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import processes
import workload

from besom import load_study
from besom.study import make_plan

#: Chooses the configs, for ever the same.
SEED = 20_26


@dataclass(frozen=True)
class Job:
    """One run: what every contestant is asked to do.

    Attributes:
        work: the data.
        configs: dotted path to value, the base config first.
        epochs: of each config.
        batch_size: of each config.
        workers: besom's.
        folder: for whatever is written; empty.
    """

    work: workload.Workload
    configs: list[dict[str, Any]]
    epochs: int
    batch_size: int
    workers: int
    folder: Path


@dataclass(frozen=True)
class Done:
    """What a contestant did, in seconds since the Unix epoch.

    Attributes:
        run: the process.
        began: when the first config began to train.
        ended: when the last one had trained.
        accuracies: the last validation accuracy of each config, in no order.
        n_epochs: how many were trained in all.
    """

    run: processes.Run
    began: float
    ended: float
    accuracies: list[float]
    n_epochs: int


def draw(n: int) -> list[dict[str, Any]]:
    """Return the base config and ``n - 1`` of the space, dotted path to value; always the same."""
    plan = make_plan(workload.SWEEP)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=SEED))
    drawn = [plan.space.suggest(study.ask()).params for _ in range(n - 1)]
    return [workload.base(), *drawn]


def run_besom(job: Job, precision: str) -> Done:
    """Run ``besom sweep``: trial 0 is the base config, the others are enqueued."""
    name = "throughput"
    overrides = [
        *job.work.overrides,
        f"results_dir={job.folder}",
        f"sweep.name={name}",
        f"sweep.n_trials={len(job.configs)}",
        f"sweep.enqueue={in_hydras_grammar(job.configs[1:])}",
        f"sweep.executor.workers={job.workers}",
        "sweep/pruner=none",
        f"trainer.epochs={job.epochs}",
        f"trainer.batch_size={job.batch_size}",
        f"trainer.precision={precision}",
    ]
    command = [*processes.besom_command(), "sweep", workload.SWEEP, *overrides]
    run = succeeded(processes.run(command, job.folder / "output.txt"))
    trials = load_study(name, job.folder).complete
    ran = sorted(json.dumps(trial.params, sort_keys=True) for trial in trials)
    if ran != sorted(json.dumps(config, sort_keys=True) for config in job.configs):
        raise SystemExit(f"besom ran other configs than it was given: {ran}")
    return Done(
        run,
        began=min(trial.started or 0.0 for trial in trials),
        ended=max(trial.finished or 0.0 for trial in trials),
        accuracies=[trial.history["val_accuracy"][-1] for trial in trials],
        n_epochs=sum(trial.epochs for trial in trials),
    )


def run_script(python: str, script: str, job: Job) -> Done:
    """Run one of the contestants' scripts, and read its log."""
    listed, log = job.folder / "configs.json", job.folder / "epochs.jsonl"
    plain = [{path.rpartition(".")[2]: v for path, v in c.items()} for c in job.configs]
    listed.write_text(json.dumps(plain))
    told: dict[str, Any] = {
        "log": log,
        "folder": job.folder,
        "arrays": job.work.arrays,
        "configs": listed,
        "epochs": job.epochs,
        "batch-size": job.batch_size,
    }
    words = [word for name, value in told.items() for word in (f"--{name}", str(value))]
    command = [python, processes.CONTESTANTS / script, *words]
    run = succeeded(processes.run(command, job.folder / "output.txt"))
    events = [json.loads(line) for line in log.read_text().splitlines()]
    epochs = [event for event in events if event["event"] == "epoch"]
    last = {event["trial"]: event["val_accuracy"] for event in epochs}
    return Done(run, events[0]["time"], epochs[-1]["time"], list(last.values()), len(epochs))


def succeeded(run: processes.Run) -> processes.Run:
    if run.exit_code != 0:
        raise SystemExit(f"A contestant ended with exit code {run.exit_code}:\n{run.output}")
    return run


def in_hydras_grammar(value: Any) -> str:
    """Plain data as a Hydra override holds it; JSON's quoted keys it does not take."""
    if isinstance(value, Mapping):
        inner = ",".join(f"{key}:{in_hydras_grammar(item)}" for key, item in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{','.join(map(in_hydras_grammar, value))}]"
    return str(value)
