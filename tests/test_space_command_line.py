"""What a command line may change of a sweep's space, and what it fixes."""

from __future__ import annotations

from typing import Any

import pytest

from besom.errors import ConfigError, SpaceError
from besom.space import Sample
from besom.study import SweepPlan, make_plan
from besom.study.preset_trials import enqueued
from user_project import Project

#: Entries that depend on each other.
CHAINED = """
defaults: [sweep, {override optimizer: sgd}, _self_]
sweep:
  space:
    optimizer.momentum: {low: 0.0, high: 0.99}
    optimizer.nesterov: {choices: [true, false], when: {optimizer.momentum: {min: 0.5}}}
"""


def plan_of(project: Project, text: str, *overrides: str) -> SweepPlan:
    project.write("sweeps/mine.yaml", text)
    return make_plan("mine", overrides)


def model_of(plan: SweepPlan, option: str) -> dict[str, Any]:
    """The node ``model`` of a trial that sampled this option."""
    model: dict[str, Any] = plan.trial_config(Sample(groups={"model": option}), 0)["model"]
    return model


# Values that other entries' conditions read


@pytest.mark.parametrize(
    "override",
    ["optimizer.momentum=0.2", "~sweep.space.optimizer.momentum"],
)
def test_what_depends_on_a_value_that_is_no_longer_searched_is_left_out_with_a_note(
    project: Project, override: str
) -> None:
    plan = plan_of(project, CHAINED, override)
    assert plan.space.paths == ()
    assert any(note.startswith("'optimizer.nesterov' is left out: ") for note in plan.notes)


def test_what_depends_on_a_fixed_value_that_meets_its_condition_is_searched(
    project: Project,
) -> None:
    plan = plan_of(project, CHAINED, "optimizer.momentum=0.7")
    assert plan.space.paths == ("optimizer.nesterov",)


# The space as one mapping

PLAIN = """
defaults: [sweep, _self_]
sweep:
  space:
    model.dropout: {low: 0.0, high: 0.5, when: {model.activation: relu}}
    model.activation: [relu, tanh]
"""
DROPOUT = "sweep.space={model.dropout: {low: 0.1, high: 0.2, when: {optimizer.beta_1: 0.9}}}"


@pytest.mark.parametrize("mark", ["", "+", "++"])
def test_entries_given_at_once_take_the_place_of_those_for_their_paths(
    project: Project, mark: str
) -> None:
    plan = plan_of(project, PLAIN, mark + DROPOUT)
    assert plan.sweep.space == {
        "model.activation": ["relu", "tanh"],
        "model.dropout": {"low": 0.1, "high": 0.2, "when": {"optimizer.beta_1": 0.9}},
    }


def test_entries_given_at_once_may_be_nested_and_null_drops_one(project: Project) -> None:
    given = "sweep.space={model: {dropout: [0.1, 0.2]}, model.activation: null}"
    assert plan_of(project, PLAIN, given).space.paths == ("model.dropout",)


def test_an_emptied_space_holds_what_comes_after_it_only(project: Project) -> None:
    plan = plan_of(project, PLAIN, "model.activation=relu,gelu", "sweep.space={}", DROPOUT)
    assert plan.space.paths == ("model.dropout",)


def test_entries_given_at_once_are_searched_though_their_path_is_set(project: Project) -> None:
    plan = plan_of(project, PLAIN, "model.dropout=0.3", DROPOUT)
    assert "model.dropout" in plan.space.paths
    assert plan.base["model"]["dropout"] == 0.3


def test_of_a_labelled_entry_given_at_once_and_a_value_for_its_path_the_last_counts(
    project: Project,
) -> None:
    entry = "{low: 0.1, high: 0.2, when: {model.activation: tanh}}"
    given, value = f"sweep.space={{model.dropout@tanh: {entry}}}", "model.dropout=0.3"
    searched = plan_of(project, PLAIN, value, given).space
    assert "model.dropout@tanh" in [entry.name for entry in searched.entries]
    assert plan_of(project, PLAIN, given, value).space.paths == ("model.activation",)


def test_a_condition_given_at_once_is_checked_as_one_in_a_file(project: Project) -> None:
    with pytest.raises(SpaceError, match="neither sampled nor in the config"):
        plan_of(project, PLAIN, "sweep.space={model.dropout: {low: 0, high: 1, when: {no: 3}}}")
    with pytest.raises(ConfigError, match=r"sweep\.space=3: expected the entries by path"):
        plan_of(project, PLAIN, "sweep.space=3")


# Values of one option of a sampled group


def test_a_value_that_one_of_the_sampled_options_has_is_fixed_for_that_one(
    project: Project,
) -> None:
    plan = make_plan("cheap", ["model=choice(mlp,cnn)", "model.hidden_units=[32]"])
    assert model_of(plan, "mlp")["hidden_units"] == [32]
    assert "hidden_units" not in model_of(plan, "cnn")
    for option in ("mlp", "cnn"):
        assert model_of(plan, option)["_target_"].endswith(option)


def test_a_value_that_every_sampled_option_has_is_fixed_for_all(project: Project) -> None:
    plan = make_plan("cheap", ["model=choice(mlp,cnn)", "model.dropout=0.3", "+model.name=a"])
    for option in ("mlp", "cnn"):
        model = model_of(plan, option)
        assert (model["dropout"], model["name"]) == (0.3, "a")


def test_a_value_of_another_option_than_the_bases_is_said_to_be_so(project: Project) -> None:
    sampled = ["model=choice(mlp,cnn)", "model.filters=[8]"]
    with pytest.raises(ConfigError) as caught:
        make_plan("cheap", sampled)
    said = str(caught.value)
    assert "model has no 'filters'" in said
    assert "It is a key of model=cnn, but model=mlp is chosen here" in said
    assert "+model.filters" not in said
    plan = make_plan("cheap", ["model=cnn", *sampled])
    assert model_of(plan, "cnn")["filters"] == [8]
    assert "filters" not in model_of(plan, "mlp")


# Entries under a label


def test_a_field_of_a_labelled_entry_searches_a_path_that_is_also_set(project: Project) -> None:
    labelled = """
defaults: [sweep, _self_]
sweep:
  space:
    optimizer: [adam, sgd]
    optimizer.learning_rate@adam: {low: 0.001, high: 0.01, when: {optimizer: adam}}
    optimizer.learning_rate@sgd: {low: 0.01, high: 0.1, when: {optimizer: sgd}}
"""
    rate, high = "optimizer.learning_rate=0.05", "sweep.space.optimizer.learning_rate@sgd.high=0.8"
    plan = plan_of(project, labelled, rate, high)
    highs = {entry.name: entry.high for entry in plan.space.entries}
    assert highs["optimizer.learning_rate@sgd"] == 0.8
    assert highs["optimizer.learning_rate@adam"] == 0.01
    assert plan.base["optimizer"]["learning_rate"] == 0.05
    assert plan_of(project, labelled, high, rate).space.paths == ("optimizer",)  # the last counts


# Entries that an option's own space brings along


OWN = """
_target_: keras.optimizers.SGD
learning_rate: 0.01
momentum: 0.0
nesterov: false
space:
  momentum: {low: 0.0, high: 0.99}
  nesterov: {choices: [true, false], when: {momentum: {min: 0.5}}}
"""
WITH_OWN = """
defaults: [sweep, {override optimizer: up}, _self_]
sweep:
  space:
    optimizer: {choices: [down, up], with_own_spaces: true}
"""


def own(project: Project, *overrides: str) -> SweepPlan:
    for option in ("down", "up"):
        project.write(f"conf/optimizer/{option}.yaml", OWN)
    return plan_of(project, WITH_OWN, *overrides)


def names(plan: SweepPlan) -> list[str]:
    return [entry.name for entry in plan.space.entries]


def test_an_options_own_entry_is_dropped_for_every_option(project: Project) -> None:
    plan = own(project, "~sweep.space.optimizer.momentum")
    assert names(plan) == ["optimizer"]
    assert any("nesterov" in note for note in plan.notes)


def test_an_own_entry_is_dropped_for_one_option_by_the_name_that_is_shown(
    project: Project,
) -> None:
    plan = own(project, "~sweep.space.optimizer.momentum@up")
    assert names(plan) == ["optimizer", "optimizer.momentum@down", "optimizer.nesterov@down"]


def test_an_entry_that_took_an_own_ones_place_is_dropped_without_the_own_one_coming_back(
    project: Project,
) -> None:
    entry = "sweep.space.optimizer.momentum={low: 0.5, high: 0.9}"
    assert names(own(project, entry)).count("optimizer.momentum") == 1
    plan = own(project, entry, "~sweep.space.optimizer.momentum")
    assert not any("momentum" in name for name in names(plan))


@pytest.mark.parametrize("label", ["", "@up"])
def test_a_field_of_an_own_entry_is_refused_saying_what_can_be_written(
    project: Project, label: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        own(project, f"sweep.space.optimizer.momentum{label}.high=0.5")
    said = str(caught.value)
    assert "comes from an option's own space" in said
    assert "'~sweep.space.optimizer.momentum" in said
    assert "'sweep.space.optimizer.momentum={low: ..." in said


def test_an_entry_that_nobody_brings_is_refused_with_near_names(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"Did you mean 'optimizer\.momentum"):
        own(project, "~sweep.space.optimizer.momentun")


# What cannot be resolved or stored


@pytest.mark.parametrize(
    "override",
    [
        "model.activation=choice(${trainer.monitor},relu)",
        "sweep.space.model.activation=['${trainer.monitor}',relu]",
    ],
)
def test_an_interpolation_among_swept_values_is_refused(project: Project, override: str) -> None:
    with pytest.raises(ConfigError, match=r"'model\.activation': an interpolation, \$\{\.\.\.\}"):
        make_plan("cheap", [override])


@pytest.mark.parametrize(
    "override",
    [
        "model.activation=choice({0.5:1.0},{0.5:2.0})",
        "sweep.space.model.activation=[{0.5:1.0},{0.5:2.0}]",
        "+model.weights={0.5:1.0}",
        "sweep.enqueue=[{model.activation: {0.5: 1.0}}]",
    ],
)
def test_a_mapping_whose_keys_are_not_text_is_refused_with_its_path(
    project: Project, override: str
) -> None:
    with pytest.raises(ConfigError, match=r"(activation|weights).* has the key 0\.5"):
        make_plan("cheap", [override])


@pytest.mark.parametrize(
    "override",
    [
        "trainer.class_weight=choice({0: 1.0, 1: 5.0},balanced)",
        "sweep.space.trainer.class_weight=[{0: 1.0, 1: 5.0},null]",
        "sweep.space={trainer.class_weight: [{0: 1.0, 1: 5.0}]}",
    ],
)
def test_weights_by_class_number_may_be_chosen_from(project: Project, override: str) -> None:
    (entry,) = [e for e in make_plan("cheap", [override]).space.entries if "weight" in e.path]
    assert entry.choices is not None
    assert entry.choices[0] == {"0": 1.0, "1": 5.0}


def test_a_mapping_by_number_may_stand_anywhere_and_is_stored_with_text(project: Project) -> None:
    space = "sweep: {space: {trainer.class_weight: [{0: 1.0, 1: 5.0}, null]}}"
    text = f"defaults: [sweep, _self_]\nmodel: {{weights: {{0: 1.0}}}}\n{space}\n"
    words = ["+model.names=[{0: zero}]", "sweep.enqueue=[{trainer.class_weight: {0: 1.0, 1: 5.0}}]"]
    plan = plan_of(project, text, *words)
    model = plan.config["model"]
    assert (model["weights"], model["names"]) == ({"0": 1.0}, [{"0": "zero"}])
    (preset,) = enqueued(plan)
    assert preset.params(plan) is not None
    (entry,) = plan.space.entries
    assert entry.choices == ({"0": 1.0, "1": 5.0}, None)
