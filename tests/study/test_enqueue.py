"""What a user is promised of configs to try first: inline, or files of several forms."""

from __future__ import annotations

import pytest
import sweeping
import yaml

from besom.errors import ConfigError
from besom.study import make_plan
from besom.study.preset_trials import PresetTrial, enqueued, remarks_on_preset_trials
from user_project import Project


def given(*overrides: str, entry: str) -> PresetTrial:
    (one,) = enqueued(make_plan("cheap", [*overrides, f"sweep.enqueue=[{entry}]"]))
    return one


def two_of_one_target(project: Project) -> tuple[str, ...]:
    """Two options that build the same optimizer, and a sweep that chooses between them."""
    for name, rate in (("slow", 0.001), ("quick", 0.1)):
        project.write(
            f"conf/optimizer/{name}.yaml",
            f"_target_: keras.optimizers.SGD\nlearning_rate: {rate}\nmomentum: 0.0\n",
        )
    return "sweep.space.optimizer=[slow,quick]", "optimizer=slow"


def as_file(project: Project, **content: object) -> str:
    project.write("first.yaml", yaml.safe_dump(content))
    return "first.yaml"


MODEL = {"_target_": "besom.training.models.mlp", "hidden_units": [7], "activation": "tanh"}


def test_an_exported_config_is_known_by_the_option_its_study_sampled(project, no_orphans):
    choose = two_of_one_target(project)
    sweeping.sweep(*choose, "sweep.n_trials=6", "sweep.name=before")
    study = sweeping.stored("before")
    trials = [t for t in study.trials if not t.baseline]
    assert {t.params["optimizer"] for t in trials} == {"slow", "quick"}
    for trial in trials:  # sampled rates lie anywhere: they do not tell which option it was
        number = str(trial.number)
        project.besom("export", "before", "--trial", number, "-o", f"{number}.yaml")
        one = given(*choose, entry=f"{number}.yaml")
        assert one.choices["optimizer"] == trial.params["optimizer"]
        assert one.shown == trial.params


def test_of_several_options_of_one_target_the_nearest_is_taken_for_a_file_of_unknown_origin(
    project,
):
    choose = two_of_one_target(project)
    optimizer = {"_target_": "keras.optimizers.SGD", "learning_rate": 0.1, "momentum": 0.5}
    for source in ({}, {"source": {"study": "gone", "trial": 3}}, {"source": "a friend"}):
        file = as_file(project, model=MODEL, optimizer=optimizer, **source)
        assert given(*choose, entry=file).choices["optimizer"] == "quick"


def test_a_file_may_name_the_option_of_a_group(project):
    choose = two_of_one_target(project)
    one = given(*choose, entry=as_file(project, model=MODEL, optimizer="quick"))
    assert (one.choices["optimizer"], one.config["optimizer"]["learning_rate"]) == ("quick", 0.1)
    assert one.config["model"] == MODEL
    with pytest.raises(ConfigError, match=r"first.yaml: there is no option 'quik'.*'quick'"):
        given(*choose, entry=as_file(project, model=MODEL, optimizer="quik"))


@pytest.mark.parametrize(
    "content",
    [
        {"model.dropout": 0.05, "optimizer": "sgd", "optimizer.momentum": 0.5},
        {"model": {"dropout": 0.05}, "optimizer": "sgd", "optimizer.momentum": 0.5},
    ],
    ids=["dotted", "nested"],
)
@pytest.mark.parametrize("inline", [True, False])
def test_a_change_of_the_base_config_is_written_inline_or_in_a_file(project, content, inline):
    entry = as_file(project, **content)
    if inline:
        entry = yaml.safe_dump(content, default_flow_style=True, width=1000).strip()
    one = given(entry=entry)
    assert one.choices["optimizer"] == "sgd"
    assert one.config["model"]["dropout"] == 0.05
    assert one.config["optimizer"]["momentum"] == 0.5
    assert one.config["trainer"] == make_plan("cheap").base["trainer"]


def test_a_sampled_trainer_is_taken_from_a_file_and_one_that_is_not_sampled_stays(project):
    for name, size in (("small", 8), ("large", 64)):
        project.write(f"conf/trainer/{name}.yaml", f"defaults: [default]\nbatch_size: {size}\n")
    optimizer = {"_target_": "keras.optimizers.Adam", "learning_rate": 0.001}
    file = as_file(project, model=MODEL, optimizer=optimizer, trainer="large")
    chosen = given("sweep.space.trainer=[small,large]", "trainer=small", entry=file)
    assert (chosen.choices["trainer"], chosen.config["trainer"]["batch_size"]) == ("large", 64)
    assert given(entry=file).config["trainer"] == make_plan("cheap").base["trainer"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model.droput": 0.1}, r"sweep.enqueue\[0\] \(first.yaml\): 'model.droput' is not in"),
        ({"model": MODEL}, r"sweep.enqueue\[0\]: first.yaml has no optimizer"),
        ({"defaults": ["train"], "model": MODEL}, "has a defaults list"),
    ],
)
def test_a_file_that_is_no_config_is_refused_with_its_name(project, content, message):
    with pytest.raises(ConfigError, match=message):
        given(entry=as_file(project, **content))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("{model.dropout: 0.1}", None),
        ("{model.dropout: 0.9}", "model.dropout"),
        ("{trainer.epochs: 50, model.dropout: 0.1}", "trainer.epochs is 50, here 3"),
        ("{optimizer: sgd, optimizer.learning_rate: 0.01}", "optimizer._target_ is"),
    ],
    ids=["a point", "outside", "longer", "another group"],
)
def test_a_sampler_learns_only_from_what_it_could_have_proposed(project, entry, reason):
    plan = make_plan("cheap", [f"sweep.enqueue=[{entry}]"])
    (one,) = enqueued(plan)
    remarks = remarks_on_preset_trials(plan)
    if reason is None:
        assert one.params(plan) == {"model.dropout": 0.1, "optimizer.learning_rate": 0.001}
        assert not remarks
    else:
        assert one.params(plan) is None
        (remark,) = remarks
        assert remark.startswith("sweep.enqueue[0] lies outside the space (")
        assert reason in remark
