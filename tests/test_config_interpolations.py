"""What is made from a sampled value would not follow it: that is refused, and said."""

from __future__ import annotations

import pytest

from besom.config.backend import reads
from besom.errors import ConfigError
from besom.study import make_plan
from user_project import Project

SWEEP = """
defaults: [sweep, _self_]
trainer: {{epochs: 20, patience: {patience}}}
sweep:
  space: {{{space}}}
"""


@pytest.mark.parametrize(
    "text",
    ["${trainer.epochs}", "${.epochs}", "${oc.select:trainer.epochs,3}", "${trainer[epochs]}"],
)
def test_a_value_made_from_a_sampled_one_is_refused_naming_both(
    project: Project, text: str
) -> None:
    text = SWEEP.format(patience=f'"{text}"', space="trainer.epochs: [5, 10]")
    project.write("sweeps/mine.yaml", text)
    with pytest.raises(ConfigError) as caught:
        make_plan("mine")
    said = str(caught.value)
    assert "trainer.patience is made from trainer.epochs" in said
    assert "trainer.patience=VALUE" in said
    assert make_plan("mine", ["trainer.patience=3"]).base["trainer"]["patience"] == 3


@pytest.mark.parametrize(
    "space", ["'trainer.epochs': [5, 10], 'trainer.patience': [1, 2]", "model.dropout: [0.1, 0.2]"]
)
def test_a_value_that_is_sampled_too_or_made_from_a_fixed_one_is_taken(
    project: Project, space: str
) -> None:
    project.write("sweeps/mine.yaml", SWEEP.format(patience='"${trainer.epochs}"', space=space))
    assert make_plan("mine").base["trainer"]["patience"] == 20


def test_an_option_that_is_only_sampled_is_looked_at_too(project: Project) -> None:
    project.write("conf/optimizer/tied.yaml", "_target_: m.M\nlearning_rate: ${model.dropout}\n")
    sampled = "optimizer=choice(adam,tied)"
    with pytest.raises(ConfigError, match=r"optimizer\.learning_rate is made from model\.dropout"):
        make_plan("cheap", [sampled, "~sweep.space.optimizer.learning_rate"])
    assert make_plan("cheap", [sampled])


def test_what_a_group_that_is_sampled_holds_is_followed(project: Project) -> None:
    project.write("sweeps/mine.yaml", SWEEP.format(patience="null", space="model: [mlp, cnn]"))
    plan = make_plan("mine", ["+trainer.name=${model._target_}"])
    assert plan.bases.of({"model": "cnn"})["trainer"]["name"].endswith("cnn")


def test_values_are_followed_from_one_to_the_next() -> None:
    config = {
        "a": {"b": 1, "c": "${.b}", "d": ["x${a.c}", 2]},
        "e": "${add:${a.d},${oc.env:HOME}}",
        "f": "plain",
    }
    found = reads(config)
    assert found["a.c"] == {"a.b"}
    assert found["a.d.0"] == {"a.c", "a.b"}
    assert "a.b" in found["e"]
    assert "f" not in found
