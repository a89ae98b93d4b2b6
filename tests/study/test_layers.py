"""A sweep over layers that have entries of their own: all that a study does with other entries."""

from __future__ import annotations

import csv
import json

import pytest

from besom.config import read_yaml
from besom.report.export import dump
from besom.store.records import Outcome, StudyRecord
from besom.study import load_record, make_plan
from besom.study.dry_run import corners
from user_project import CHEAP_SWEEP, Project

EACH = {
    "units": {"low": 16, "high": 512, "log": True},
    "activation": ["relu", "gelu"],
    "dropout": {"choices": [0.1, 0.2], "when": {"activation": "relu"}},
}
BASE = [{"units": 64, "activation": "relu", "dropout": 0.1}]
LAYERS = {"length": {"low": 1, "high": 3}, "each": EACH}


@pytest.fixture
def layered(project: Project) -> Project:
    """A project with the sweep ``deep``."""
    space = {"model.layers": LAYERS, "model.dropout": {"low": 0.0, "high": 0.5}}
    head = CHEAP_SWEEP.partition("  space:\n")[0]
    model = dump({"model": {"hidden_units": [16], "layers": BASE}})
    project.write(
        "sweeps/deep.yaml",
        head + "  " + dump({"space": space}).replace("\n", "\n  ") + "\n" + model,
    )
    return project


def study_of(project: Project, name: str = "deep") -> StudyRecord:
    return load_record(project.root / "results", name)


def layers_of(study: StudyRecord) -> list[list[dict[str, object]]]:
    return [trial.params["model.layers"] for trial in study.trials]


@pytest.mark.long
def test_layers_are_swept_shown_plotted_exported_and_tried_again(
    layered: Project, no_orphans: None
) -> None:
    words = ("sweep.n_trials=16", "sweep/sampler=tpe", "sweep.plots=true")
    layered.done("sweep", "deep", *words)
    study = study_of(layered)
    assert [t.outcome for t in study.trials] == [Outcome.COMPLETE] * 16
    assert layers_of(study)[0] == BASE
    for trial in study.trials:
        assert trial.config["model"]["layers"] == trial.params["model.layers"]
    assert {len(layers) for layers in layers_of(study)} == {1, 2, 3}

    shown = layered.done("leaderboard", "deep", "--format", "md")
    assert "64 relu 0.1" in shown
    two = next(layers for layers in layers_of(study) if len(layers) == 2)
    text = " – ".join(" ".join(str(value) for value in layer.values()) for layer in two)
    assert text in shown
    rows = csv.DictReader((layered.root / "results/deep/leaderboard.csv").read_text().splitlines())
    in_files = {row["trial"]: json.loads(row["model.layers"]) for row in rows}
    assert in_files == {str(t.number): t.params["model.layers"] for t in study.trials}

    pictures = layered.root / "results/deep/plots"
    assert {"importance.png", "slices.png", "parallel_coordinates.png"} <= {
        picture.name for picture in pictures.iterdir()
    }
    assert "64 relu 0.1" in layered.done("diff", "deep", "0", "1")
    layered.done("export", "deep", "-o", "best.yaml")
    (best,) = [t for t in study.trials if t.value == max(s.value or 0.0 for s in study.trials)]
    assert read_yaml(layered.root / "best.yaml")["model"]["layers"] == best.params["model.layers"]
    done = layered.done("replay", "deep", str(best.number))
    assert "equal" in done

    words = ["sweep.enqueue=[best.yaml]", "sweep.n_trials=3", "sweep.name=again"]
    words += ["sweep.warm_start=deep", "sweep.space.model.layers.each.units.high=600"]
    assert "outside" not in layered.done("sweep", "deep", *words)
    again = study_of(layered, "again").trials
    warm = [t.params["model.layers"] for t in again if t.outcome is Outcome.WARM_START]
    assert warm == layers_of(study)
    assert again[len(warm) + 1].params["model.layers"] == best.params["model.layers"]
    layered.done("compare", "deep", "again")
    compared = (layered.root / "results/compare/deep-again.md").read_text()
    assert "model.layers.each.units.high" in compared


def test_a_grid_walks_every_list_of_layers(layered: Project, no_orphans: None) -> None:
    dropout = "{choices: [0.1, 0.2], when: {activation: relu}}"
    each = f"{{units: [16, 64], activation: [relu, gelu], dropout: {dropout}}}"
    words = [f"sweep.space={{model.layers: {{length: [1, 2], each: {each}}}}}", "sweep.n_trials=99"]
    words += ["sweep/sampler=grid", "~sweep.space.model.dropout", "trainer.epochs=1"]
    layered.done("sweep", "deep", *words)
    layers = [json.dumps(one) for one in layers_of(study_of(layered))]
    assert len(layers) == len(set(layers)) == 6 + 36


def test_a_command_line_narrows_fixes_and_drops_what_is_in_an_element(layered: Project) -> None:
    for words, text in (
        (["sweep.space.model.layers.each.units.high=32"], "units: 16 .. 32, log"),
        (["sweep.space.model.layers.each.units=[16, 32]"], "units: 16, 32"),
        (["sweep.space.model.layers.each.norm=[true, false]"], "norm: true, false"),
        (["sweep.space.model.layers.length=2"], "list of 2 x"),
        (
            ["sweep.space.model.layers={length: 1, each: {units: 'range(16, 32)'}}"],
            "list of 1 x (units: 16 .. 31)",
        ),
    ):
        plan = make_plan("deep", words)
        assert text in str(plan.space.entries[0])
    for word in (
        "~sweep.space.model.layers.each.dropout",
        "sweep.space.model.layers.each.dropout=null",
    ):
        assert "dropout" not in str(make_plan("deep", [word]).space.entries[0])
    fixed = make_plan("deep", ["model.layers=[{units: 8}]"])
    assert fixed.space.paths == ("model.dropout",)
    refused = layered.besom("sweep", "deep", "sweep.space.model.layers.each.unit=[16, 32]")
    assert refused.exit_code == 2
    assert "Did you mean 'units'" in refused.output
    refused = layered.besom("sweep", "deep", "~sweep.space.model.layers.each.unit")
    assert refused.exit_code == 2
    assert "Did you mean 'model.layers.each.units'" in refused.output


def test_a_list_follows_one_that_the_command_line_fixes(layered: Project) -> None:
    follow = "+sweep.space.model.dropouts={length: model.hidden_units.length, each: [0.1, 0.2]}"
    units = "sweep.space.model.hidden_units={length: [1, 2], each: [16, 32]}"
    said = [str(entry) for entry in make_plan("deep", [follow, units]).space.entries]
    assert "list of model.hidden_units.length x (0.1, 0.2)" in said
    fixed = make_plan(
        "deep", [follow, units, "~sweep.space.model.hidden_units", "model.hidden_units=[1,2,3]"]
    )
    assert "list of 3 x (0.1, 0.2)" in str(fixed.space.entries[-1])


def test_the_dry_run_builds_both_ends_of_every_element(layered: Project) -> None:
    built = [sample.params["model.layers"] for sample in corners(make_plan("deep", []).space)]
    assert {len(layers) for layers in built} == {1, 3}
    units = {layer["units"] for layers in built for layer in layers}
    assert units == {16, 512}
    choices = {layer["activation"] for layers in built for layer in layers}
    assert choices == {"relu", "gelu"}
