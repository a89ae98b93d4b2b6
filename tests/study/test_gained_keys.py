"""A newer besom's configs have more keys: what an older one stored goes on as it was."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sweeping import assert_whole, stored, sweep

from besom.errors import StudyError
from besom.report.diff import differences
from besom.store.paths import StudyPaths
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.store.stored_records import ATTRIBUTE, STUDY_ATTRIBUTE
from besom.store.study_identity import as_of_now
from besom.study import make_plan
from user_project import Project, edit_journal

pytestmark = pytest.mark.usefixtures("project")

#: Of the schema, of one of its nodes, and of options: plain, interpolated, nested in ``sweep``.
GAINED = (
    "sweep.audit",
    "sweep.patience",
    "sweep.objective.epoch",
    "trainer.engine",
    "optimizer.weight_decay",
    "sweep.sampler.seed",
    "sweep.executor.workers_per_gpu",
)


def without(config: Mapping[str, Any], *paths: str) -> dict[str, Any]:
    """A config as it was stored before there were these keys."""
    older = copy.deepcopy(dict(config))
    for path in paths:
        *outer, key = path.split(".")
        node = older
        for name in outer:
            node = node[name]
        del node[key]
    return older


def make_older(name: str = "cheap", *paths: str) -> None:
    """Rewrite a stored study, its trials too, as a besom without these keys would have left it."""
    journal = StudyPaths.of(Path("results"), name).journal
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        for added in ("seq", "crc"):
            line.pop(added, None)
        attributes = line.get("user_attr", {})
        if STUDY_ATTRIBUTE in attributes:
            facts = attributes[STUDY_ATTRIBUTE]
            facts["config"] = without(facts["config"], *paths)
        if ATTRIBUTE in attributes:
            of_trial = [path for path in paths if not path.startswith("sweep.")]
            attributes[ATTRIBUTE]["config"] = without(attributes[ATTRIBUTE]["config"], *of_trial)
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    edit_journal(journal, str)


def test_a_study_stored_without_keys_that_came_since_resumes(project: Project) -> None:
    sweep("sweep.n_trials=2")
    make_older("cheap", *GAINED)
    assert "audit" not in stored().config["sweep"]
    sweep("sweep.n_trials=3", extend=True)
    study = assert_whole(3)
    assert study.config["sweep"]["audit"] == 0.0
    sweep("sweep.n_trials=3")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("sweep.audit=0.5", "sweep.audit: 0.0 -> 0.5"),
        ("trainer.engine=keras", 'trainer.engine: "auto" -> "keras"'),
        ("sweep.sampler.seed=7", "sweep.sampler.seed: 0 -> 7"),
    ],
)
def test_a_gained_key_with_another_value_than_its_default_is_a_change(
    project: Project, change: str, said: str
) -> None:
    sweep("sweep.n_trials=1")
    make_older("cheap", *GAINED)
    with pytest.raises(StudyError, match="made with a different config") as caught:
        sweep("sweep.n_trials=1", change)
    lines = str(caught.value).splitlines()[1:-1]
    assert [line.strip() for line in lines] == [said]


def test_a_key_that_only_the_users_option_has_is_a_change(project: Project) -> None:
    """What it means for trials that ran without it is not besom's to say."""
    project.write("conf/optimizer/mine.yaml", "_target_: keras.optimizers.Adam\nlearning_rate: 0.1")
    sweep("sweep.n_trials=1", "optimizer=mine")
    project.write(
        "conf/optimizer/mine.yaml",
        "_target_: keras.optimizers.Adam\nlearning_rate: 0.1\nuse_ema: true",
    )
    with pytest.raises(StudyError, match=r"optimizer\.use_ema: \(absent\) -> true"):
        sweep("sweep.n_trials=1", "optimizer=mine")


def test_an_interpolated_default_is_what_it_would_have_been_then(project: Project) -> None:
    config = make_plan("cheap", ["seed=5"]).config
    older = without(config, "sweep.sampler.seed")
    assert as_of_now(older, config) == config
    assert as_of_now(older, make_plan("cheap", ["seed=6"]).config)["sweep"]["sampler"]["seed"] == 5


def test_what_neither_config_has_is_not_made_up(project: Project) -> None:
    config = without(make_plan("cheap").config, "optimizer.weight_decay")
    assert as_of_now(config, config) == config
    fewer = without(config, "sweep.audit")
    assert as_of_now(fewer, config) == config


def test_what_one_config_alone_has_stays_with_it() -> None:
    assert as_of_now({"a": 1, "model": {"x": 2}}, {"b": 3, "model": {}}) == {
        "a": 1,
        "model": {"x": 2},
    }


def test_a_warm_start_takes_the_trials_of_an_older_study(project: Project) -> None:
    """Also where it samples such a key now: the default is what they ran with."""
    sweep("sweep.name=first", "sweep.n_trials=3")
    make_older("first", "trainer.engine", "trainer.min_delta")
    words = ["sweep.name=second", "sweep.n_trials=1", "sweep.warm_start=first"]
    done = project.besom("sweep", "cheap", *words, "trainer.min_delta=interval(0.0, 0.1)")
    assert done.exit_code == 0, done.output
    assert "warm start: 3 trials of 'first' are added as knowledge\n" in done.output
    taken = [t for t in stored("second").trials if t.outcome is Outcome.WARM_START]
    assert [t.raw_params["trainer.min_delta"] for t in taken] == [0.0] * 3


def test_trials_before_and_after_a_key_came_do_not_differ_in_its_default() -> None:
    config = {key: make_plan("cheap").config[key] for key in ("trainer", "model", "seed")}
    older = without(config, "trainer.engine", "model.dropout")
    config = {**config, "model": {**config["model"], "dropout": 0.4}}
    one, other = (TrialRecord(n, Outcome.PRUNED, config=c) for n, c in ((1, older), (2, config)))
    study = StudyRecord("s", (Objective("val_accuracy", "maximize"),), (one, other))
    frame = differences(study, one, other)
    assert [tuple(row) for row in frame.itertuples(index=False)] == [
        ("config", "model.dropout", 0.2, 0.4)
    ]


def test_a_sweep_that_names_no_objective_takes_the_tasks_and_a_resume_keeps_it(
    project: Project,
) -> None:
    project.write(
        "regress.py",
        "import sweep_trials\n"
        "def prepare(config): return {**sweep_trials.prepare(config), 'objective': 'val_loss'}\n"
        "run = sweep_trials.quadratic\n",
    )
    none = ("sweep.objective.metric=null", "sweep.objective.direction=null")
    words = ("sweep", "cheap", "sweep.trial_function=regress.run", *none)
    assert project.besom(*words, "sweep.n_trials=2").exit_code == 0
    done = project.besom(*words, "sweep.n_trials=3", "--extend")
    assert done.exit_code == 0, done.output
    assert [trial.number for trial in stored("cheap").complete] == [0, 1, 2]
    objective = stored("cheap").objective
    assert (objective.metric, objective.direction) == ("val_loss", "minimize")
    config = stored("cheap").complete[0].config["trainer"]
    assert (config["monitor"], config["mode"]) == ("val_loss", "min")


def test_a_study_made_for_the_former_default_objective_goes_on_without_one(
    project: Project,
) -> None:
    named = ("sweep.objective.metric=val_accuracy", "sweep.objective.direction=maximize")
    assert project.besom("sweep", "cheap", *named, "sweep.n_trials=1").exit_code == 0
    none = ("sweep.objective.metric=null", "sweep.objective.direction=null")
    done = project.besom("sweep", "cheap", *none, "sweep.n_trials=2", "--extend")
    assert done.exit_code == 0, done.output
    assert stored("cheap").objective.metric == "val_accuracy"
