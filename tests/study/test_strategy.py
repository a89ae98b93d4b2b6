"""What a user is promised of the search itself: samplers, pruners, objectives, given trials."""

from __future__ import annotations

import pytest
import sweeping

from besom.api import load_study
from besom.errors import BesomError
from besom.report.export import best_trial
from besom.report.leaderboard import ranking
from besom.store.records import Origin, Outcome, StudyRecord
from besom.study import make_plan
from besom.study.checks import check_names
from besom.study.remarks import remarks, remarks_on_workers
from besom.study.screening import ScreeningPruner

FINITE = (
    "sweep.space.model.dropout=[0.1,0.2,0.3]",
    "sweep.space.optimizer.learning_rate=[0.001,0.01]",
)


@pytest.fixture
def sweep(project, no_orphans):
    """Run the cheap sweep with overrides, and read its study; draws no pictures."""

    def run(*overrides: str, name: str = "cheap") -> StudyRecord:
        sweeping.sweep(f"sweep.name={name}", *overrides)
        return load_study(name)

    return run


def refusal(project, *overrides: str) -> str:
    done = project.besom("sweep", "cheap", *overrides)
    assert done.exit_code == 2
    assert project.results() == []
    return done.output


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "cmaes", "nsga2", "nsga3"])
def test_every_sampler_fills_the_budget(sweep, sampler):
    study = sweep(f"sweep/sampler={sampler}", "sweep.n_trials=14")
    assert len(study.complete) == 14
    assert study.trials[0].baseline


def test_a_walk_through_a_finite_space_ends_with_its_last_point(sweep):
    study = sweep("sweep/sampler=grid", *FINITE, "sweep.n_trials=100")
    assert len({tuple(t.params.values()) for t in study.trials}) == len(study.trials) == 6


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["sweep/sampler=grid"], "infinitely many values"),
        (["sweep/sampler=grid", "model.hidden_units=choice([8],[9])"], "infinitely many values"),
        (["sweep/sampler=cmaes", "model.activation=choice(relu,tanh)"], "model.activation is a"),
    ],
)
def test_a_sampler_that_cannot_take_the_space_says_so_before_the_first_trial(
    project, overrides, message
):
    assert message in refusal(project, *overrides)


PRUNERS = "none median percentile successive_halving hyperband threshold patient wilcoxon screening"


@pytest.mark.parametrize("pruner", PRUNERS.split())
def test_every_pruner_leaves_the_baseline_complete_and_every_trial_ended(sweep, pruner):
    limits = ["sweep.pruner.lower=0.15"] if pruner == "threshold" else []
    study = sweep(f"sweep/pruner={pruner}", "sweep.n_trials=12", "trainer.epochs=6", *limits)
    assert study.baseline is not None
    assert {t.outcome for t in study.trials} <= {Outcome.COMPLETE, Outcome.PRUNED}
    assert len([t for t in study.trials if t.continues is None]) == 12


@pytest.mark.parametrize("repeats", [1, 2])
def test_the_signed_rank_pruner_compares_trials_of_different_lengths_without_a_warning(
    sweep, repeats
):
    study = sweep(
        "sweep/pruner=wilcoxon",
        "sweep.space.trainer.epochs=[2,4,7]",
        "sweep.n_trials=12",
        "trainer.epochs=4",
        f"sweep.repeats={repeats}",
    )
    assert len(study.trials) == 12


def test_a_pruned_trial_keeps_its_curve_and_its_reason(sweep):
    study = sweep("sweep/pruner=median", "sweep.n_trials=25", "trainer.epochs=6")
    pruned = [t for t in study.trials if t.outcome is Outcome.PRUNED]
    assert pruned
    assert all(1 <= t.epochs < 6 and t.value is None and "stopped at" in t.reason for t in pruned)


def test_screening_gives_everyone_an_epoch_and_trains_the_best_few_to_their_end(sweep):
    study = sweep(
        "sweep/pruner=screening", "sweep.pruner.keep=3", "sweep.n_trials=10", "trainer.epochs=5"
    )
    screened = [t for t in study.trials if t.outcome is Outcome.PRUNED]
    kept = [t for t in study.trials if t.origin is Origin.CONTINUED]
    assert {t.epochs for t in screened} == {1}
    assert (len(screened), len(kept)) == (9, 3)
    assert {t.epochs for t in kept} == {5}
    best = sorted(screened, key=lambda t: -t.history["val_accuracy"][0])[:3]
    assert {t.continues for t in kept} == {t.number for t in best}
    assert {t.number: t.params for t in best} == {t.continues: t.params for t in kept}


def test_several_objectives_are_ranked_by_front_and_nobody_is_crowned(sweep, project):
    study = sweep(
        "sweep.objectives=[{metric: val_accuracy, direction: maximize},"
        "{metric: n_params, direction: minimize}]",
        "sweep.space.model.hidden_units={length: {low: 1, high: 3}, each: {low: 4, high: 64}}",
        "sweep/sampler=nsga2",
        "sweep.n_trials=15",
    )
    frame = ranking(study)
    front = frame[frame["rank"] == 1]
    for _, row in front.iterrows():
        beaten = (frame["val_accuracy"] > row["val_accuracy"]) & (
            frame["n_params"] <= row["n_params"]
        )
        assert not beaten.any()
    assert best_trial(study).number in set(front["trial"])
    exported = project.besom("export", "cheap")
    assert f"Trial {best_trial(study).number} of cheap is the knee" in exported.stderr
    assert "knee" not in exported.stdout
    assert "pareto.png" in project.besom("plot", "cheap").output
    shown = project.besom("leaderboard", "cheap").output
    assert "Pareto front" in shown
    assert "leads" not in shown


def test_an_infeasible_trial_is_told_as_such_and_never_ranked(sweep):
    study = sweep(
        "sweep.constraints={n_params: {max: 60}}",
        "sweep.space.model.hidden_units={length: 1, each: {low: 4, high: 600}}",
        "sweep.n_trials=12",
        "model.activation=relu",
    )
    infeasible = [t for t in study.trials if t.outcome is Outcome.INFEASIBLE]
    assert infeasible
    assert all(t.constraints["n_params"] > 0 for t in infeasible)
    assert all(t.constraints["n_params"] <= 0 for t in study.complete)
    assert all("max 60" in t.reason for t in infeasible)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sweep.constraints={n_parms: {max: 1}}", "Did you mean 'n_params'"),
        ("sweep.constraints={n_params: 3}", "expected {max: NUMBER}"),
        ("sweep.constraints={n_params: {max: many}}", "expected a finite number"),
        ("sweep.objectives=[{metric: a},{metric: a}]", "a metric twice"),
        ("sweep.objective.direction=maximise", "Did you mean 'maximize'"),
        ("sweep.enqueue=[{model.droput: 0.1}]", "model.dropout"),
        ("sweep.enqueue=[nowhere.yaml]", "no file 'nowhere.yaml'"),
        ("sweep.enqueue=[3]", "expected a mapping"),
        ("sweep.warm_start=nothing", "There is no study 'nothing'"),
        ("sweep.warm_start=cheap", "is this study itself"),
        ("sweep/pruner=threshold", "Either lower or upper must be specified"),
        (
            "trainer.monitor=choice(val_loss,val_accuracy)",
            "the objective decides what patience",
        ),
    ],
)
def test_nonsense_in_the_strategy_is_refused_before_anything_is_written(project, override, message):
    assert message in refusal(project, override)


def test_enqueued_configs_run_right_after_the_baseline_wherever_they_lie(sweep, project):
    first = sweep(name="first")
    best = best_trial(first)
    assert project.besom("export", "first", "-o", "first.yaml").exit_code == 0
    study = sweep(
        "sweep.enqueue=[{model.dropout: 0.3},{model.dropout: 0.9},first.yaml]", name="second"
    )
    assert [t.origin for t in study.trials[:4]] == [Origin.BASELINE, *[Origin.ENQUEUED] * 3]
    assert [t.params["model.dropout"] for t in study.trials[1:3]] == [0.3, 0.9]
    assert study.trials[3].params == best.params
    assert study.trials[3].value == best.value


def test_a_warm_start_is_knowledge_marked_as_such_and_never_ranked(sweep, project):
    first = sweep("sweep.n_trials=8", name="first")
    done = project.besom(
        "sweep", "cheap", "sweep.name=second", "sweep.warm_start=first",
        "sweep.space.model.dropout.high=0.25", "sweep/sampler=tpe",
    )  # fmt: skip
    assert "of 'first' are added as knowledge" in done.output
    assert "do not fit" in done.output
    study = load_study("second")
    taken = [t for t in study.trials if t.outcome is Outcome.WARM_START]
    assert 0 < len(taken) < len(first.complete)
    assert study.trials[0].baseline
    assert len(study.complete) == 5
    assert not {t.number for t in taken} & set(ranking(study)["trial"])


def test_a_config_that_has_run_is_not_trained_again(sweep, project):
    trace = project.root / "trace"
    study = sweep(f"trainer.trace={trace}", *FINITE, "sweep.n_trials=30", "sweep/sampler=random")
    duplicates = [t for t in study.trials if t.outcome is Outcome.DUPLICATE]
    assert len(duplicates) >= 30 - 7
    assert trace.read_text().count('"start"') == 30 - len(duplicates)
    by_number = {t.number: t for t in study.trials}
    for trial in duplicates:
        assert trial.values == by_number[trial.duplicate_of].values
        assert f"trial {trial.duplicate_of}" in trial.reason
        assert trial.seconds == 0


def test_a_noise_study_trains_every_trial_on_a_seed_of_its_own(sweep):
    study = sweep(*FINITE, "sweep.n_trials=12", "sweep.vary_seed=true")
    assert len(study.complete) == 12
    assert len({t.seed for t in study.trials}) == 12


def test_audited_trials_run_to_their_end_and_the_ledger_says_what_pruning_costs(sweep, project):
    study = sweep("sweep/pruner=median", "sweep.audit=0.5", "sweep.n_trials=40", "trainer.epochs=6")
    audited = [t for t in study.complete if t.audited_at is not None]
    assert audited
    assert all(t.audited_at < t.epochs == 6 for t in audited)
    told = project.besom("ledger", "cheap").output
    assert "Audit:" in told
    assert "Kendall" in told


def test_the_ledger_accounts_for_every_trial(sweep, project):
    sweep("sweep/pruner=median", "sweep.n_trials=25", "trainer.epochs=6")
    told = project.besom("ledger", "cheap").output
    assert "complete" in told
    assert "pruned" in told
    assert "more trials: " in told


def test_a_plain_override_of_something_sampled_fixes_it(sweep):
    study = sweep("model.dropout=0.25")
    assert {t.config["model"]["dropout"] for t in study.trials} == {0.25}
    assert all("model.dropout" not in t.params for t in study.trials)


def test_a_plain_override_gives_the_base_of_what_the_same_command_searches(sweep):
    study = sweep("model.dropout=0.25", "sweep.space.model.dropout=[0.1,0.25]")
    assert study.trials[0].config["model"]["dropout"] == 0.25
    assert {t.params["model.dropout"] for t in study.trials} == {0.1, 0.25}


def test_a_plain_override_fixes_entries_under_a_label_and_in_an_options_own_space(sweep, project):
    for name in ("mine", "yours"):
        project.write(
            f"conf/optimizer/{name}.yaml",
            "_target_: keras.optimizers.SGD\nlearning_rate: 0.01\nmomentum: 0.0\n"
            "space:\n  momentum: {type: float, low: 0.1, high: 0.9}\n",
        )
    study = sweep(
        "optimizer=mine",
        "sweep.space.optimizer={choices: [mine, yours], with_own_spaces: true}",
        "~sweep.space.optimizer.learning_rate",
        "sweep.space.optimizer.learning_rate@mine={low: 0.001, high: 0.1, when: {optimizer: mine}}",
        "optimizer.learning_rate=0.05",
        "optimizer.momentum=0.5",
    )
    assert all(t.params.keys() <= {"model.dropout", "optimizer"} for t in study.trials)
    assert {t.config["optimizer"]["learning_rate"] for t in study.trials} == {0.05}
    assert {t.config["optimizer"]["momentum"] for t in study.trials} == {0.5}


def test_a_sampled_seed_is_the_one_that_trains(sweep, project):
    study = sweep("sweep.space.seed={low: 10, high: 99}", "sweep.n_trials=6")
    assert all(t.seed == t.config["seed"] == t.params["seed"] for t in study.trials)
    assert len({t.seed for t in study.trials}) > 1
    told = project.besom("sweep", "cheap", "sweep.space.seed={low: 1, high: 9}",
                         "sweep.vary_seed=true", "sweep.name=other").output  # fmt: skip
    assert "only one of them can" in told
    given = sweep("sweep.enqueue=[{seed: 77}]", "sweep.n_trials=2", name="given")
    assert given.trials[1].seed == given.trials[1].config["seed"] == 77


SEVERAL = (
    "sweep.objectives=[{metric: val_accuracy, direction: maximize},"
    "{metric: val_loss, direction: minimize}]"
)


def test_a_sampler_for_one_objective_is_refused_for_several(project):
    told = refusal(project, SEVERAL, "sweep/sampler=cmaes")
    assert "takes one objective" in told
    assert "nsga2" in told


def test_what_a_sampler_refuses_while_it_runs_is_one_message(project, no_orphans):
    project.write(
        "picky.py",
        "import optuna\n"
        "class Picky(optuna.samplers.RandomSampler):\n"
        "    def sample_independent(self, study, trial, name, distribution):\n"
        "        raise ValueError(f'{name} is not to my taste.')\n",
    )
    project.write("conf/sweep/sampler/picky.yaml", "_target_: picky.Picky\n")
    done = project.besom("sweep", "cheap", "sweep/sampler=picky")
    assert done.exit_code == 2
    assert (
        "picky.Picky cannot propose a trial: model.dropout is not to my taste. Take" in done.output
    )
    assert "Traceback" not in done.output


def test_a_config_that_the_sampler_cannot_learn_from_is_run_with_a_remark(project, no_orphans):
    told = project.besom(
        "sweep", "cheap", "sweep.enqueue=[{model.dropout: 0.1},{model.dropout: 0.9}]"
    )
    assert "sweep.enqueue[1] lies outside the space (model.dropout: 0.9 is not in" in told.output
    assert "sweep.enqueue[0]" not in told.output


@pytest.mark.parametrize(("sampler", "remarked"), [("nsga2", True), ("tpe", False)])
def test_a_sampler_that_is_blind_to_constraints_is_remarked(project, no_orphans, sampler, remarked):
    done = project.besom(
        "sweep", "cheap", f"sweep/sampler={sampler}", "sweep.constraints={n_params: {max: 10000}}"
    )
    assert ("learns from complete trials only" in done.output) is remarked


@pytest.mark.parametrize(("sampler", "remarked"), [("nsga2", True), ("qmc", True), ("tpe", False)])
def test_a_sampler_that_is_blind_to_conditions_is_remarked(project, sampler, remarked):
    chosen = f"sweep/sampler={sampler}"
    conditional = "sweep.space.model.hidden_units={length: {low: 1, high: 3}, each: [4,8]}"
    enough = "sweep.n_trials=60"
    plain = make_plan("cheap", [chosen, enough])
    listed = make_plan("cheap", [chosen, enough, conditional])
    assert remarks(plain) == []
    assert ["at random" in line for line in remarks(listed)] == [True] * remarked


@pytest.mark.parametrize(
    ("overrides", "remarked"),
    [
        (["sweep/sampler=cmaes", "sweep/pruner=screening"], "screening stops nearly all"),
        (["sweep/sampler=nsga2"], "population_size=50 makes that all of the 5 trials"),
        (["sweep/sampler=cmaes", "sweep.warm_start=other"], "learns nothing from the trials"),
        (["sweep/sampler=tpe", "sweep/pruner=screening", "sweep.warm_start=other"], ""),
    ],
)
def test_a_sampler_that_cannot_use_what_it_is_given_is_remarked(project, overrides, remarked):
    lines = remarks(make_plan("cheap", overrides))
    assert [remarked in line for line in lines] == [True] * bool(remarked)


def test_workers_that_lack_their_gpus_are_remarked():
    (line,) = remarks_on_workers({"device": {"gpus": [], "lacks_gpu": True}})
    assert "tensorflow[and-cuda]" in line
    assert remarks_on_workers({"device": {"gpus": []}}) == remarks_on_workers({}) == []


def test_what_a_model_that_comes_compiled_ignores_is_said_at_the_start() -> None:
    compiled, rate = {"comes_compiled": True}, "optimizer.learning_rate"
    (line,) = remarks_on_workers(compiled, [rate, "trainer.loss"])
    assert line.startswith("the model function returns a compiled model")
    assert f"samples {rate}, trainer.loss, but all trials are equal" in line
    (line,) = remarks_on_workers(compiled, [rate, "model.width"])
    assert f"samples {rate}, but it changes nothing" in line
    (line,) = remarks_on_workers(compiled, ["model.width"])
    assert line.endswith("those of the config are not used")
    assert remarks_on_workers({}, [rate]) == []


def test_a_limited_number_that_is_nan_is_neither_kept_nor_broken(sweep):
    study = sweep(
        "sweep.trial_function=sweep_trials.unsized", "trainer.fault_above=0.2",
        "sweep.constraints={n_params: {max: 1000}}", "sweep.n_trials=8",
    )  # fmt: skip
    nameless = [t for t in study.trials if t.params["model.dropout"] > 0.2]
    assert nameless
    assert {(t.outcome, t.reason) for t in nameless} == {(Outcome.DIVERGED, "n_params is nan")}
    assert len(study.complete) == 8 - len(nameless)


def test_hydra_grammar_on_the_command_line_adds_to_the_space(sweep):
    study = sweep("trainer.batch_size=choice(16,32)", "optimizer=choice(adam,sgd)")
    assert {t.params["trainer.batch_size"] for t in study.trials} <= {16, 32}
    assert {t.params["optimizer"] for t in study.trials} <= {"adam", "sgd"}
    for trial in study.trials:
        wanted = {"adam": "Adam", "sgd": "SGD"}[trial.params["optimizer"]]
        assert trial.config["optimizer"]["_target_"].endswith(wanted)


def test_a_group_option_brings_its_own_space(sweep, project):
    project.write(
        "conf/optimizer/mine.yaml",
        "_target_: keras.optimizers.SGD\nlearning_rate: 0.01\nmomentum: 0.0\n"
        "space:\n  momentum: {type: float, low: 0.1, high: 0.9}\n",
    )
    study = sweep(
        "sweep.space.optimizer={choices: [adam, mine], with_own_spaces: true}", "sweep.n_trials=12"
    )
    mine = [t for t in study.trials if t.params["optimizer"] == "mine"]
    assert mine
    assert all(0.1 <= t.config["optimizer"]["momentum"] <= 0.9 for t in mine)
    assert all("space" not in t.config["optimizer"] for t in study.trials)
    others = [t for t in study.trials if t.params["optimizer"] == "adam"]
    assert all("optimizer.momentum" not in t.params for t in others)


def test_an_unknown_metric_is_refused_with_the_near_ones(project):
    message = refusal(project, "sweep.objective.metric=val_acuracy")
    assert "'val_acuracy'" in message
    assert "Did you mean 'val_accuracy'" in message


def test_the_gaussian_process_needs_torch_and_says_how_to_get_it(project):
    try:
        import torch  # noqa: F401
    except ImportError:
        assert "besom[gp]" in refusal(project, "sweep/sampler=gp")
    else:
        pytest.skip("PyTorch is installed here")


def test_a_pruner_that_is_none_is_refused(project):
    with pytest.raises(BesomError, match="expected at least 1"):
        ScreeningPruner(epochs=0)
    assert "Did you mean" in refusal(project, "sweep/pruner=medain")


def test_replicates_asked_for_with_several_objectives_are_remarked(project):
    several = "sweep.objectives=[{metric: val_accuracy}, {metric: n_params}]"
    for replicates, is_said in (("3", True), ("auto", False), ("0", False)):
        said = remarks(make_plan("cheap", [several, f"sweep.replicates={replicates}"]))
        assert any("sweep.replicates=3 is not used" in line for line in said) == is_said


def test_an_objective_that_the_task_does_not_measure_is_refused_with_one_that_it_does(project):
    plan = make_plan("cheap", ["sweep.objective.metric=val_accuracy"])
    measured = {"metrics": ["loss", "val_loss"], "objective": "val_loss"}
    with pytest.raises(BesomError, match=r"which no trial reports") as refused:
        check_names(plan, measured)
    assert "sweep.objective.metric=val_loss" in str(refused.value)
