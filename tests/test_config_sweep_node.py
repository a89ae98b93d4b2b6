"""What a sweep may paste, empty or leave out; options of one group that build the same thing."""

from __future__ import annotations

from typing import Any

import pytest

from besom.config import Composer, SearchPath, find_sweep
from besom.errors import ConfigError
from besom.metrics import usual_direction
from besom.study import make_plan
from user_project import Project

COSINE = """
_target_: keras.optimizers.Adam
learning_rate:
  _target_: keras.optimizers.schedules.CosineDecay
  initial_learning_rate: 0.01
  decay_steps: 900
"""


def node(project: Project, text: str, *overrides: str) -> dict[str, Any]:
    """The node ``sweep`` of a sweep whose YAML goes on with ``text``."""
    project.write("sweeps/mine.yaml", f"defaults: [sweep, _self_]\n{text}")
    search, primary = find_sweep("mine", None)
    sweep: dict[str, Any] = Composer(search, primary).compose(overrides).config["sweep"]
    return sweep


def refusal(project: Project, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        node(project, text, *overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Options that build the same thing


def test_a_second_option_with_the_same_target_breaks_nothing(project: Project) -> None:
    project.write("conf/optimizer/cosine.yaml", COSINE)
    composer = Composer(*find_sweep("cheap", None))
    assert composer.compose().config["optimizer"]["learning_rate"] == 0.001
    chosen = composer.compose(["optimizer=cosine", "optimizer.learning_rate.decay_steps=9"])
    assert chosen.config["optimizer"]["learning_rate"]["decay_steps"] == 9


def test_each_option_is_held_to_its_own_types(project: Project) -> None:
    project.write("conf/optimizer/cosine.yaml", COSINE)
    composer = Composer(*find_sweep("cheap", None))
    with pytest.raises(ConfigError, match=r"expected a number such as 0\.001"):
        composer.compose(["optimizer.learning_rate=fast"])
    with pytest.raises(ConfigError, match="expected a mapping such as"):
        composer.compose(["optimizer=cosine", "optimizer.learning_rate=0.1"])


def test_of_options_with_one_target_the_nearest_is_told(project: Project) -> None:
    project.write("conf/optimizer/cosine.yaml", COSINE)
    composer = Composer(*find_sweep("cheap", None))
    for option in ("adam", "cosine", "sgd"):
        optimizer = composer.compose([f"optimizer={option}"]).config["optimizer"]
        assert composer.option_of("optimizer", optimizer) == option
    faster = composer.compose(["optimizer.learning_rate=0.01"]).config["optimizer"]
    assert composer.option_of("optimizer", faster) == "adam"
    assert composer.option_of("optimizer", {"_target_": "mine.Own"}) is None


# What is pasted


PASTED = """
hydra:
  sweeper:
    params:
      model.dropout: interval(0.0, 0.4)
      optimizer: adam,sgd
      trainer.batch_size: choice(16, 32)
"""


def test_a_pasted_hydra_sweeper_params_block_is_searched(project: Project) -> None:
    project.write("sweeps/mine.yaml", f"defaults: [sweep, _self_]\n{PASTED}")
    plan = make_plan("mine")
    assert plan.space.paths == ("model.dropout", "optimizer", "trainer.batch_size")
    assert plan.space.entries[0].high == 0.4


def test_a_pasted_block_and_a_space_are_searched_together(project: Project) -> None:
    space = node(project, f"{PASTED}sweep: {{space: {{model.activation: [relu, tanh]}}}}\n")[
        "space"
    ]
    assert list(space) == ["model.dropout", "optimizer", "trainer.batch_size", "model.activation"]


def test_a_single_value_in_a_pasted_block_is_refused(project: Project) -> None:
    project.write("sweeps/mine.yaml", f"defaults: [sweep, _self_]\n{PASTED}      seed: 3\n")
    with pytest.raises(ConfigError, match="'seed': \"3\" is a single value"):
        make_plan("mine")


@pytest.mark.parametrize(
    "text",
    [
        "hydra: {sweeper: {n_trials: 3}}",
        "hydra: {sweeper: {sampler: {seed: 3}}}",
        "hydra: {launcher: {n_jobs: 2}}",
    ],
)
def test_what_else_hydras_sweeper_takes_is_refused_naming_it(project: Project, text: str) -> None:
    said = refusal(project, text)
    key = text.replace("hydra: {", "hydra.").replace(": {", ".").partition(":")[0]
    assert f"has '{key.removesuffix('.seed')}'" in said
    assert "delete it" in said
    assert "sweep.executor.workers replaces" in said


def test_another_sweeper_among_the_defaults_is_refused_naming_the_line(project: Project) -> None:
    defaults = "defaults: [sweep, {override hydra/sweeper: optuna}, _self_]\n"
    project.write("sweeps/mine.yaml", defaults)
    with pytest.raises(ConfigError, match="'override hydra/sweeper: optuna': delete it"):
        make_plan("mine")


# What is emptied


FULL = """
sweep:
  constraints: {n_params: {min: 3, max: 9}}
  space: {model.dropout: {low: 0.0, high: 0.5}}
"""


@pytest.mark.parametrize("key", ["space", "constraints"])
@pytest.mark.parametrize("form", ["sweep.{}={{}}", "~sweep.{}", "++sweep.{}={{}}"])
def test_an_empty_mapping_empties_what_a_sweep_has(project: Project, key: str, form: str) -> None:
    sweep = node(project, FULL, form.format(key))
    assert sweep[key] == {}
    assert sweep["space" if key == "constraints" else "constraints"] != {}


def test_what_comes_after_the_emptying_counts_and_nothing_inherited(project: Project) -> None:
    sweep = node(project, FULL, "sweep.constraints={}", "++sweep.constraints.n_params.max=5")
    assert sweep["constraints"] == {"n_params": {"max": 5}}
    sweep = node(project, FULL, "++sweep.constraints.n_params.max=5", "sweep.constraints={}")
    assert sweep["constraints"] == {}


def test_a_whole_sweep_takes_an_emptied_space_and_constraints(project: Project) -> None:
    project.write("sweeps/mine.yaml", f"defaults: [sweep, _self_]\n{FULL}")
    plan = make_plan("mine", ["sweep.space={}", "~sweep.constraints", "model.dropout=0,0.1"])
    assert plan.space.paths == ("model.dropout",)
    assert plan.sweep.constraints == {}


@pytest.mark.parametrize("form", ["sweep.space={}", "~sweep.space", "sweep.space=null"])
def test_an_emptied_space_holds_nothing_of_a_pasted_block_either(
    project: Project, form: str
) -> None:
    assert node(project, PASTED)["space"] != {}
    assert node(project, PASTED, form)["space"] == {}


@pytest.mark.parametrize("key", ["space", "constraints", "enqueue", "objectives"])
def test_a_key_with_nothing_below_it_is_empty(project: Project, key: str) -> None:
    assert not node(project, f"sweep:\n  {key}:\n")[key]
    assert not node(project, "", f"sweep.{key}=null")[key]
    assert node(project, f"sweep:\n  {key}:\n")[key] is not None


@pytest.mark.parametrize("value", ["null", "nothing"])
@pytest.mark.parametrize("key", ["sampler", "pruner", "executor"])
def test_a_part_that_builds_nothing_is_refused_with_the_names_to_choose_from(
    project: Project, key: str, value: str
) -> None:
    for said in (
        refusal(project, f"sweep: {{{key}: {value}}}\n"),
        refusal(project, "", f"sweep.{key}={value}"),
    ):
        assert said.startswith(f"sweep.{key} is ")
        assert f"with sweep/{key}=NAME" in said
        assert ", ".join(sorted(SearchPath.of().options(f"sweep/{key}"))) in said


# What is left out


@pytest.mark.parametrize(
    "metric",
    [
        *("val_loss", "loss", "val_mean_squared_error", "val_mae", "sparse_crossentropy"),
        *("val_kl_divergence", "val_false_negatives", "val_logcosh", "val_error_rate", "val_err"),
        *("time_ms", "MeanSquaredError", "val_MSE"),
        *("n_params", "seconds_per_epoch", "model_bytes", "seconds", "cpu_seconds"),
    ],
)
def test_losses_errors_and_costs_are_minimized_if_nothing_is_said(metric: str) -> None:
    assert usual_direction(metric) == "minimize"


@pytest.mark.parametrize(
    "metric",
    ["val_accuracy", "val_auc", "val_f1_score", "val_AUC", "reward"],
)
def test_everything_else_is_maximized_if_nothing_is_said(metric: str) -> None:
    assert usual_direction(metric) == "maximize"


@pytest.mark.parametrize(
    "override", ["sweep.objective.metric=val_loss", "sweep.objective={metric: val_loss}"]
)
def test_another_metric_on_the_command_line_has_its_own_direction(
    project: Project, override: str
) -> None:
    assert node(project, "")["objective"] == {"metric": None, "direction": None, "epoch": "best"}
    assert node(project, "", override)["objective"]["direction"] == "minimize"


def test_a_direction_that_is_given_counts(project: Project) -> None:
    text = "sweep: {objective: {metric: val_loss, direction: maximize}}\n"
    assert node(project, text)["objective"]["direction"] == "maximize"
    said = node(project, "", "sweep.objective={metric: val_loss, direction: maximize}")
    assert said["objective"]["direction"] == "maximize"


def test_another_metric_than_the_one_a_direction_was_given_for_is_refused(project: Project) -> None:
    text = "sweep: {objective: {metric: val_auc, direction: maximize}}\n"
    said = refusal(project, text, "sweep.objective.metric=val_loss")
    assert "sweep.objective.direction=minimize" in said
    both = ["sweep.objective.metric=val_loss", "sweep.objective.direction=maximize"]
    assert node(project, text, *both)["objective"]["direction"] == "maximize"


def test_each_of_several_objectives_has_its_own_direction(project: Project) -> None:
    text = "sweep: {objectives: [{metric: val_accuracy}, {metric: n_params}]}\n"
    assert [o["direction"] for o in node(project, text)["objectives"]] == ["maximize", "minimize"]


# Keys that nobody knows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sweep: {objectives: [{metrics: val_loss}]}", "no 'metrics'. Did you mean 'metric'?"),
        ("sweep: {ntrials: 3}", "the node sweep has no 'ntrials'. Did you mean 'n_trials'?"),
        ("trainr: {epochs: 3}", "the config has no 'trainr'. Did you mean 'trainer'?"),
    ],
)
def test_an_unknown_key_in_the_file_is_refused_with_near_names(
    project: Project, text: str, message: str
) -> None:
    assert message in refusal(project, text)
