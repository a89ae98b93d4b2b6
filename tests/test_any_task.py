"""Tasks besides classification of images, each from the sweep to the replay."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from besom.store.records import Outcome
from besom.study import load_record
from user_project import Project

pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Job:
    """A job and what is promised of it.

    Attributes:
        model, data: the functions.
        task: what the sweep says of the data, after its name.
        metrics: the objectives.
        trainer: settings of its own.
        unknown: why its scores have no error and no ties; empty: they have.
        grown_mib: by how much its processes may grow; 0: they do not note it.
    """

    model: str
    data: str
    task: str
    metrics: tuple[str, ...] = ("val_loss",)
    trainer: str = ""
    unknown: str = ""
    grown_mib: float = 0.0


JOBS = {
    "table": Job(
        "jobs_world.of_table",
        "jobs_swept.table",
        "table: binary classification",
        ("val_auc",),
        "class_weight: balanced, metrics: [accuracy, {_target_: keras.metrics.AUC, name: auc}]",
    ),
    "quantities": Job(
        "jobs_world.number", "jobs_swept.quantities", "quantities: regression", ("val_mae",)
    ),
    "texts": Job(
        "jobs_world.of_text",
        "jobs_swept.texts",
        "texts: classification, 2 classes",
        ("val_accuracy",),
    ),
    "stream": Job(
        "jobs_swept.augmenting",
        "jobs_swept.stream",
        "stream: classification, 2 classes",
        ("val_accuracy",),
        "callbacks: [{_target_: jobs_swept.NotesMemory}]",
        grown_mib=200,
    ),
    "three": Job(
        "jobs_world.three_headed",
        "jobs_swept.three",
        "three: kind: classification, 2 classes; size: regression; tags: multi-label",
        ("val_kind_accuracy", "val_size_mae"),
    ),
    "autoencoder": Job("jobs_world.autoencoder", "jobs_swept.unlabelled", "unlabelled: no labels"),
    "vae": Job(
        "jobs_world.vae",
        "jobs_swept.unlabelled",
        "unlabelled: no labels",
        unknown="is no mean over examples",
    ),
}


#: Other places that data comes from.
SOURCES = {
    "tokens": Job(
        "jobs_swept.of_tokens",
        "besom.training.data.npz\npath: tokens.npz",
        "tokens: classification, 2 classes",
        ("val_accuracy",),
    ),
    "mapped": Job(
        "jobs_world.plain_number",
        "jobs_swept.mapped",
        "mapped: regression",
        ("val_mae",),
        "loss: huber",
    ),
    "generated": Job(
        "jobs_world.plain_number",
        "jobs_swept.generated",
        "generated: regression",
        trainer="steps_per_epoch: 4",
    ),
    "pipeline": Job(
        "jobs_world.scores",
        "jobs_swept.pipeline",
        "pipeline: classification, 2 classes",
        ("val_accuracy",),
        "steps_per_epoch: 4",
    ),
}


def prepare(home: Project, name: str) -> None:
    """Write what the user of a job has in the folder."""
    job = (JOBS | SOURCES)[name]
    objectives = "".join(f"    - {{metric: {each}}}\n" for each in job.metrics)
    home.write(f"conf/model/{name}.yaml", f"_target_: {job.model}\n")
    home.write(f"conf/data/{name}.yaml", f"_target_: {job.data}\n")
    home.write(
        f"sweeps/{name}.yaml",
        f"""
defaults:
  - sweep
  - override model: {name}
  - override data: {name}
  - override sweep/pruner: none
  - _self_
trainer: {{epochs: 2, batch_size: 32, {job.trainer}}}
sweep:
  n_trials: 2
  plots: false
  keep_models: 2
  objectives:
{objectives}
  executor: {{workers: 1, gpus: none}}
  space:
    optimizer.learning_rate: {{low: 1.0e-3, high: 1.0e-2, log: true}}
""",
    )


@pytest.mark.long
@pytest.mark.parametrize("name", JOBS)
def test_a_job_is_swept_ranked_exported_retrained_confirmed_and_replayed(
    home: Project, name: str
) -> None:
    job = JOBS[name]
    prepare(home, name)
    assert job.task in " ".join(home.done("sweep", name).split())
    study = load_record(Path("results"), name)
    assert [trial.outcome for trial in study.trials] == [Outcome.COMPLETE] * 2
    assert all(set(trial.history) >= set(job.metrics) for trial in study.trials)

    several = len(job.metrics) > 1
    shown = " ".join(home.done("leaderboard", name).split())
    with Path(f"results/{name}/leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    for metric in job.metrics:
        errors = [row[f"{metric}_error" if several else "standard_error"] for row in rows]
        ties = [row[f"tied_by_{metric}" if several else "tied"] for row in rows]
        if job.unknown:
            assert not any(errors + ties)
        else:
            assert all(float(error) > 0 for error in errors)
            assert set(ties) <= {"True", "False"}
    assert job.unknown in shown
    assert "±" in shown or job.unknown

    if not several:  # with several, no model is kept
        home.done("export", name, "--trial", "1", "--model")
        assert Path(f"{name}.keras").is_file()
        wrong = home.besom("show", name, "--trial", "1")
        assert wrong.exit_code == 0 or "the examples have no labels" in wrong.output
    home.done("export", name, "--trial", "1", "-o", "best.yaml")
    home.done("train", "best.yaml", f"name={name}")
    measured = json.loads(Path(f"results/train/{name}/metrics.json").read_text())
    for metric in job.metrics:
        last = study.trials[1].history[metric][-1]
        assert measured["last_epoch"][metric] == pytest.approx(last, rel=1e-5)
        assert metric.removeprefix("val_") in measured["test"]
    assert Path(f"results/train/{name}/model.keras").is_file()

    test = job.metrics[0].replace("val_", "test_")
    assert test in home.done("confirm", name, "--trial", "1", "--seeds", "2", "--on", "test")
    assert "equal" in home.done("replay", name, "1")
    if job.grown_mib:
        grown = [float(line) for line in Path("grown.txt").read_text().split()]
        assert len(grown) >= 16
        assert max(grown) < job.grown_mib


@pytest.mark.long
@pytest.mark.parametrize("name", SOURCES)
def test_data_from_anywhere_is_swept_ranked_and_retrained(home: Project, name: str) -> None:
    from jobs_swept import save_tokens

    save_tokens(Path("tokens.npz"))
    job = SOURCES[name]
    prepare(home, name)
    said = " ".join(home.done("sweep", name).split())
    assert job.task in said
    assert "scaled" not in said
    study = load_record(Path("results"), name)
    assert [trial.outcome for trial in study.trials] == [Outcome.COMPLETE] * 2
    assert "±" in home.done("leaderboard", name)
    home.done("export", name, "--trial", "1", "-o", "best.yaml")
    home.done("train", "best.yaml", f"name={name}")
    measured = json.loads(Path(f"results/train/{name}/metrics.json").read_text())
    (metric,) = job.metrics
    last = study.trials[1].history[metric][-1]
    assert measured["last_epoch"][metric] == pytest.approx(last, rel=1e-5)
    assert metric.removeprefix("val_") in measured["test"]
    if name == "mapped":  # the loss says of the test part, too, what its labels are
        home.done("confirm", name, "--trial", "1", "--seeds", "2", "--on", "test")


@pytest.mark.long
def test_an_objective_that_the_task_does_not_measure_is_refused_with_one_that_it_does(
    home: Project,
) -> None:
    prepare(home, "quantities")
    words = ["sweep.objectives=[]", "sweep.objective.metric=val_accuracy", "sweep.name=refused"]
    done = home.besom("sweep", "quantities", *words)
    assert done.exit_code == 2
    assert "which no trial reports" in done.output
    assert "sweep.objective.metric=val_loss" in done.output
    assert not Path("results/refused").exists()
