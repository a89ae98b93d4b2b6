"""What a user is promised of a warm start: knowledge, true to what this sweep asks for."""

from __future__ import annotations

import shutil

import pytest
import sweeping

from besom.api import load_study
from besom.errors import ConfigError
from besom.store.records import Origin, Outcome, StudyRecord
from besom.study.watcher import Watcher

WIDE = (
    "model.hidden_units=[300]",
    "sweep.space.model.hidden_units={length: 1, each: {low: 4, high: 600}}",
    "~sweep.space.model.dropout",
    "~sweep.space.optimizer.learning_rate",
)
NARROW = "sweep.constraints={n_params: {max: 60}}"


class Remarks(Watcher):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def remarked(self, text: str) -> None:
        self.lines.append(text)


def taken(study: StudyRecord) -> list:
    return [t for t in study.trials if t.origin is Origin.WARM_START]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_what_breaks_a_constraint_of_this_sweep_is_known_as_infeasible(
    project, no_orphans, sampler
):
    sweeping.sweep("sweep.name=first", *WIDE, "sweep.n_trials=12")
    told = Remarks()
    sweeping.sweep(
        "sweep.name=second", *WIDE, NARROW, f"sweep/sampler={sampler}", "sweep.warm_start=first",
        "sweep.n_trials=3", watcher=told,
    )  # fmt: skip
    old = load_study("first").complete
    known = taken(load_study("second"))
    assert [t.constraints for t in known] == [{"n_params": t.numbers["n_params"] - 60} for t in old]
    n_infeasible = sum(t.numbers["n_params"] > 60 for t in old)
    assert n_infeasible
    assert any(
        f"{n_infeasible} of them outside the constraints of this sweep" in x for x in told.lines
    )


def test_a_study_goes_on_without_the_one_it_has_learnt_from(project, no_orphans):
    sweeping.sweep("sweep.name=first", "sweep.n_trials=2")
    second = ("sweep.name=second", "sweep.warm_start=first")
    sweeping.sweep(*second, "sweep.n_trials=1")
    shutil.rmtree("results/first")
    sweeping.sweep(*second, "sweep.n_trials=2", extend=True)
    assert len(load_study("second").complete) == 2


def test_knowledge_has_no_config_to_export(project, no_orphans):
    sweeping.sweep("sweep.name=first", "sweep.n_trials=1")
    sweeping.sweep("sweep.name=second", "sweep.warm_start=first", "sweep.n_trials=1")
    (known,) = taken(load_study("second"))
    done = project.besom("export", "second", "--trial", str(known.number))
    assert done.exit_code == 2
    assert "trial 0 of 'first'" in done.output


def test_pruners_compare_with_trials_run_here_only(project, no_orphans):
    sweeping.sweep("sweep.name=first", "sweep.n_trials=8")
    sweeping.sweep(
        "sweep.name=second", "sweep.warm_start=first", "sweep.n_trials=8", "trainer.epochs=6",
        "sweep/pruner=median",
    )  # fmt: skip
    ended = [t.outcome for t in load_study("second").trials if t.origin is not Origin.WARM_START]
    assert Outcome.PRUNED not in ended[:5]  # median waits for five complete trials


def test_rows_of_another_study_say_whose_they_are(project, no_orphans):
    sweeping.sweep("sweep.name=first", "sweep.n_trials=3")
    sweeping.sweep("sweep.name=second", "sweep.warm_start=first", "sweep.n_trials=1")
    assert [t.reason for t in taken(load_study("second"))] == [
        f"trial {n} of 'first'" for n in range(3)
    ]
    assert "trial 2 of 'first'" in project.besom("leaderboard", "second", "--all").output


def test_a_study_that_does_not_know_the_objective_is_refused_as_often_as_it_is_given(
    project, no_orphans
):
    sweeping.sweep("sweep.name=first", "sweep.n_trials=2")
    for _ in range(2):
        with pytest.raises(ConfigError, match="none of its trials reported val_f1, which this"):
            sweeping.sweep(
                "sweep.name=second", "sweep.warm_start=first", "sweep.objective.metric=val_f1"
            )
        assert not (project.root / "results" / "second").exists()


TWO = "sweep.objectives=[{metric: val_loss}, {metric: n_params}]"


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("sweep.objective.metric=val_loss", lambda t: [min(t.history["val_loss"])]),
        ("sweep.objective.epoch=last", lambda t: [t.history["val_accuracy"][-1]]),
        (TWO, lambda t: [min(t.history["val_loss"]), t.numbers["n_params"]]),
    ],
    ids=["metric", "epoch", "several"],
)
def test_what_another_study_did_not_optimise_is_read_from_its_curves(
    project, no_orphans, objective, expected
):
    sweeping.sweep("sweep.name=first", "sweep.n_trials=4", TWO.replace("val_loss", "val_accuracy"))
    sweeping.sweep("sweep.name=second", "sweep.warm_start=first", objective, "sweep.n_trials=1")
    study = load_study("second")
    values = {t.reason: list(t.values) for t in taken(study)}
    assert values == {
        f"trial {t.number} of 'first'": pytest.approx(expected(t))
        for t in load_study("first").complete
    }


def test_a_study_whose_seeding_was_cut_off_is_seeded_anew(project, no_orphans, monkeypatch):
    sweeping.sweep("sweep.name=first", "sweep.n_trials=3")
    again = ("sweep.name=second", "sweep.warm_start=first", "sweep.n_trials=2")

    def cut_off(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("besom.study.run.warm_start", cut_off)
        with pytest.raises(Exception, match="No space left"):
            sweeping.sweep(*again)
    sweeping.sweep(*again)
    study = load_study("second")
    assert len(taken(study)) == 3
    assert [t.baseline for t in study.trials] == [True, False, False, False, False]


def test_the_option_of_a_group_is_known_by_its_name_not_by_what_it_builds(project, no_orphans):
    for name in ("slow", "quick"):
        project.write(
            f"conf/optimizer/{name}.yaml", "_target_: keras.optimizers.SGD\nlearning_rate: 0.01\n"
        )
    choice = "sweep.space.optimizer=[slow,quick]"
    sweeping.sweep("sweep.name=first", choice, "optimizer=slow", "sweep.n_trials=6")
    sweeping.sweep("sweep.name=fixed", "optimizer=quick", "sweep.n_trials=3")
    for other in ("first", "fixed"):
        sweeping.sweep(
            f"sweep.name=after-{other}", choice, "optimizer=slow", f"sweep.warm_start={other}",
            "sweep.n_trials=1",
        )  # fmt: skip
    first = [t.params["optimizer"] for t in load_study("first").complete]
    assert [t.raw_params["optimizer"] for t in taken(load_study("after-first"))] == first
    assert {t.raw_params["optimizer"] for t in taken(load_study("after-fixed"))} == {"quick"}
