"""What is confirmed, on which seeds and how; and what is refused, with what can be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from confirm_world import changed, make_study

from besom.errors import BesomError
from besom.rerun.confirm import ConfirmPlan
from besom.rerun.confirm.confirm_plan import fresh_seeds
from besom.store.records import Objective, Outcome, StudyRecord

PlanOf = Callable[..., ConfirmPlan]


def test_the_best_are_retrained_and_always_the_baseline(
    study: StudyRecord, plan_of: PlanOf
) -> None:
    plan = plan_of(study, top=2)
    assert [t.number for t in plan.entrants] == [1, 2, 0]
    assert plan.baseline == 0


def test_a_baseline_among_the_best_is_there_once(plan_of: PlanOf) -> None:
    plan = plan_of(make_study([0.9, 0.8]), top=5)
    assert [t.number for t in plan.entrants] == [0, 1]


def test_named_trials_take_the_place_of_the_best(study: StudyRecord, plan_of: PlanOf) -> None:
    assert [t.number for t in plan_of(study, trials=[3]).entrants] == [3, 0]
    assert [t.number for t in plan_of(study, trials=[3], top=1).entrants] == [1, 3, 0]


def test_seeds_are_fresh_and_more_of_them_go_on_from_the_first(study: StudyRecord) -> None:
    study = changed(study, 1, seed=2)
    study = changed(study, 2, config={**study.trials[2].config, "data": {"split_seed": 4}})
    assert fresh_seeds(study, 3) == (1, 3, 5)
    assert fresh_seeds(study, 5)[:3] == (1, 3, 5)


def test_a_new_split_is_refused_where_no_seed_decides_it(
    study: StudyRecord, plan_of: PlanOf
) -> None:
    data = {"split": "by time: the last 200", "fixed_split": True}
    study = replace(study, facts={**study.facts, "environments": {"1": {"data": data}}})
    assert plan_of(study).entrants
    with pytest.raises(
        BesomError, match=r"no seed decides .* \(by time: the last 200\)\. Omit --new"
    ):
        plan_of(study, new_split=True)


def test_a_run_is_the_trials_own_config_with_another_seed(
    study: StudyRecord, plan_of: PlanOf
) -> None:
    config = plan_of(study).config_of(1, 3)
    assert config == {
        **study.trials[1].config,
        "seed": 3,
        "trainer": {**study.trials[1].config["trainer"], "precision": "float32"},
    }
    assert study.trials[1].config["seed"] == 0


def test_precision_is_float32_unless_told_otherwise(study: StudyRecord, plan_of: PlanOf) -> None:
    plan = plan_of(study, words=["trainer.precision=bfloat16"])
    assert plan.config_of(1, 1)["trainer"]["precision"] == "bfloat16"


def test_a_new_split_comes_with_each_seed(study: StudyRecord, plan_of: PlanOf) -> None:
    assert plan_of(study, new_split=True).config_of(1, 3)["data"]["split_seed"] == 3
    assert plan_of(study).config_of(1, 3)["data"]["split_seed"] == 0


def test_what_a_coordinator_wanted_beside_the_value_is_not_wanted_again(
    study: StudyRecord, plan_of: PlanOf
) -> None:
    config = {**study.trials[1].config, "orders": {"save_model": {"path": "/elsewhere"}}}
    assert "orders" not in plan_of(changed(study, 1, config=config)).config_of(1, 1)


def test_the_executor_is_the_studys_unless_words_say_otherwise(
    study: StudyRecord, plan_of: PlanOf
) -> None:
    assert plan_of(study).executor == study.config["sweep"]["executor"]
    words = ["executor.workers=4", "sweep.executor.threads_per_worker=2"]
    executor = plan_of(study, words=words).executor
    assert (executor["workers"], executor["threads_per_worker"]) == (4, 2)
    assert plan_of(study, words=words, workers=3).executor["workers"] == 3
    other = plan_of(study, words=["executor=local"]).executor
    assert other["threads_per_worker"] == 1


def test_the_test_metric_is_the_objectives_counterpart(plan_of: PlanOf) -> None:
    name = "besom.training.trial.run_trial"
    plan = plan_of(make_study(trial_function=name), on="test")
    assert plan.objective == Objective("test_accuracy", "maximize")
    assert plan.trial_function == "besom.training.confirmation.run_confirmation"
    loss = make_study(trial_function=name, objective=Objective("val_loss", "minimize", "last"))
    assert plan_of(loss, on="test").objective == Objective("test_loss", "minimize", "last")


REFUSED = {
    "top": ({"top": 0}, "--top is 0, expected at least 1"),
    "seeds": ({"n_seeds": 1}, "--seeds is 1, expected at least 2"),
    "interval": ({"interval": "z"}, "expected t or bootstrap"),
    "no such trial": ({"trials": [9]}, "no finished trial 9; they are numbered 0 to 3"),
    "not the executor": ({"words": ["model.dropout=0.1"]}, "only the executor may differ"),
    "no such executor": ({"words": ["executor=locl"]}, "Did you mean 'local'"),
    "no override": ({"words": ["executor.workers"]}, "not an override"),
    "an option": ({"words": ["--sedes"]}, "There is no option '--sedes'"),
    "a function of one's own": ({"on": "test"}, "confirm_trials.noisy.*--on validation"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_confirmed_is_refused_in_one_message(
    study: StudyRecord, plan_of: PlanOf, options: dict[str, object], message: str
) -> None:
    with pytest.raises(BesomError, match=message):
        plan_of(study, **options)


def test_a_study_without_a_complete_trial_is_refused(study: StudyRecord, plan_of: PlanOf) -> None:
    for number in range(4):
        study = changed(study, number, outcome=Outcome.ERROR, values=None)
    with pytest.raises(BesomError, match="has no complete trial to confirm"):
        plan_of(study)


def test_a_trial_that_was_never_trained_is_refused(study: StudyRecord, plan_of: PlanOf) -> None:
    study = changed(study, 2, outcome=Outcome.INFEASIBLE, values=None)
    with pytest.raises(BesomError, match=r"never trained \(infeasible\)"):
        plan_of(study, trials=[2])


def test_several_objectives_have_no_first_ones_but_named_trials(
    study: StudyRecord, plan_of: PlanOf
) -> None:
    both = (study.objective, Objective("n_params", "minimize"))
    trials = tuple(replace(t, values=(t.value, 7.0)) for t in study.trials)
    several = replace(study, objectives=both, trials=trials)
    with pytest.raises(BesomError, match=r"val_accuracy and n_params.*--trial N"):
        plan_of(several)
    assert [t.number for t in plan_of(several, trials=[2]).entrants] == [2, 0]


def test_an_objective_that_images_do_not_measure_is_refused_on_test_images(plan_of: PlanOf) -> None:
    study = make_study(
        trial_function="besom.training.trial.run_trial",
        objective=Objective("n_params", "minimize"),
    )
    with pytest.raises(BesomError, match="n_params, which is not measured on examples"):
        plan_of(study, on="test")


def test_a_split_that_the_config_does_not_have_is_refused(
    study: StudyRecord, plan_of: PlanOf
) -> None:
    study = replace(study, config={**study.config, "data": {}})
    with pytest.raises(BesomError, match=r"data\.split_seed"):
        plan_of(study, new_split=True)


def with_bits(study: StudyRecord, n_right: Sequence[int], n: int = 1000) -> StudyRecord:
    """The study with so many of ``n`` validation images right in each trial."""
    for number, right in enumerate(n_right):
        bits = np.arange(n) < right
        study = changed(
            study,
            number,
            values=(right / n,),
            n_validation=n,
            correct=np.packbits(bits).tobytes(),
            history={"val_accuracy": [right / n]},
            best_epoch=1,
        )
    return study


def test_who_is_left_out_with_the_score_of_the_last_one_taken_is_named(plan_of: PlanOf) -> None:
    study = make_study([0.6, 0.9, 0.8, 0.8, 0.8, 0.5])
    said = plan_of(study, top=2).left_out
    assert said == (
        "Left out, but not distinguishable from those taken: trials 3 and 4. "
        "--top 4 takes them, too."
    )
    assert plan_of(study, top=3).left_out.endswith(" taken: trial 4. --top 4 takes them, too.")
    assert plan_of(study, top=2, trials=[3, 4]).left_out == ""
    assert plan_of(study, top=4).left_out == ""
    assert plan_of(study, trials=[2]).left_out == ""
    assert plan_of(study, top=99).left_out == ""


def test_who_is_left_out_although_tied_with_the_first_is_named(plan_of: PlanOf) -> None:
    study = with_bits(make_study([0.6, 0.9, 0.8, 0.7, 0.6]), [500, 950, 949, 948, 600])
    said = plan_of(study, top=1).left_out
    assert said.endswith(" taken: trials 2 and 3. --top 3 takes them, too.")
    level = with_bits(make_study([0.6, 0.9, 0.8, 0.7, 0.6]), [500, 950, 949, 949, 948])
    assert plan_of(level, top=2).left_out.endswith(": trials 3 and 4. --top 4 takes them, too.")


def test_the_baseline_is_never_left_out(plan_of: PlanOf) -> None:
    assert plan_of(make_study([0.8, 0.9, 0.8]), top=1).left_out == ""
    assert plan_of(make_study([0.9, 0.9, 0.8]), top=1).left_out.endswith(
        " taken: trial 1. --top 2 takes them, too."
    )


def test_many_who_are_left_out_are_counted(plan_of: PlanOf) -> None:
    study = make_study([0.6, *[0.9] * 12])
    assert plan_of(study, top=2).left_out.endswith(
        ": 10 trials (3, 4, 5, ...). --top 12 takes them, too."
    )
