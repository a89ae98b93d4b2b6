"""An option made from another by its defaults list has all that the other has."""

from __future__ import annotations

import pytest

from besom.config import Composed, Composer, find_sweep
from besom.errors import ConfigError
from besom.study import make_plan
from user_project import Project

SLOW = "defaults: [adam, _self_]\nlearning_rate: 0.0001\n"
FAST = "defaults: [sgd, _self_]\nspace: {learning_rate: {low: 0.1}}\n"


def compose(*overrides: str) -> Composed:
    return Composer(*find_sweep("cheap", None)).compose(overrides)


def test_what_is_inherited_stays_and_what_is_written_counts(project: Project) -> None:
    project.write("conf/optimizer/adam_slow.yaml", SLOW)
    inherited = compose("optimizer=adam").config["optimizer"]
    assert compose("optimizer=adam_slow").config["optimizer"] == {
        **inherited,
        "learning_rate": 0.0001,
    }


def test_an_inherited_key_can_be_set_and_is_held_to_its_type(project: Project) -> None:
    project.write("conf/optimizer/adam_slow.yaml", SLOW)
    optimizer = compose("optimizer=adam_slow", "optimizer.beta_1=0.8").config["optimizer"]
    assert optimizer["beta_1"] == 0.8
    with pytest.raises(ConfigError, match=r"optimizer\.beta_1 is 'x', expected a number"):
        compose("optimizer=adam_slow", "optimizer.beta_1=x")


def test_a_primarys_keys_for_another_option_do_not_reach_an_inheriting_one(
    project: Project,
) -> None:
    project.write("conf/model/small.yaml", "defaults: [cnn, _self_]\nfilters: [4]\n")
    text = "defaults: [sweep, _self_]\nmodel: {hidden_units: [64]}\n"
    project.write("sweeps/mine.yaml", text)
    model = make_plan("mine", ["model=small"]).base["model"]
    assert "hidden_units" not in model
    assert (model["filters"], model["_target_"]) == ([4], "besom.training.models.cnn")


def test_an_inherited_key_can_be_searched(project: Project) -> None:
    project.write("conf/optimizer/sgd_fast.yaml", FAST)
    plan = make_plan("cheap", ["optimizer=sgd_fast", "optimizer.momentum=interval(0.0,0.9)"])
    assert "optimizer.momentum" in plan.space.paths


def test_an_inherited_space_is_searched_with_the_options_own_changes(project: Project) -> None:
    space = "space: {learning_rate: {low: 0.001, high: 1.0}, momentum: {low: 0.0, high: 0.9}}\n"
    project.write("conf/optimizer/mine.yaml", f"_target_: m.M\nlearning_rate: 0.1\n{space}"
                  "momentum: 0.0\n")  # fmt: skip
    project.write("conf/optimizer/mine_fast.yaml", FAST.replace("sgd", "mine"))
    own = "sweep.space.optimizer={choices: [mine, mine_fast], with_own_spaces: true}"
    plan = make_plan("cheap", ["~sweep.space.optimizer.learning_rate", own])
    ranges = {entry.name: (entry.low, entry.high) for entry in plan.space.entries}
    assert ranges["optimizer.learning_rate@mine"] == (0.001, 1.0)
    assert ranges["optimizer.learning_rate@mine_fast"] == (0.1, 1.0)
    assert ranges["optimizer.momentum@mine_fast"] == (0.0, 0.9)


def test_an_option_that_inherits_from_nothing_there_does_not_hurt_the_others(
    project: Project,
) -> None:
    project.write("conf/optimizer/broken.yaml", "defaults: [gone, _self_]\nlearning_rate: 1.0\n")
    assert compose("optimizer=sgd").config["optimizer"]["momentum"] == 0.0
    with pytest.raises(ConfigError, match="gone"):
        compose("optimizer=broken")
