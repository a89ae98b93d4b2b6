"""An exported config: complete, typed again when it is read, and open to every override."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from besom.config import Composed, read_yaml
from besom.config.tree import lookup
from besom.errors import ConfigError, StudyError
from besom.report.export import (
    best_trial,
    composer_for_train,
    dump,
    final_config,
    find_trial,
    kept_model,
    to_yaml,
    write_best,
)
from besom.seam import KERAS_TRIALS
from besom.store.paths import StudyPaths
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.study import make_plan
from records_factory import VAL_ACCURACY, make_study
from user_project import Project


def exported(project: Project, *overrides: str, sweep: str = "quickstart") -> dict[str, Any]:
    """Write ``best.yaml`` as a sweep of these overrides would; returns the trial's config."""
    config = make_plan(sweep, overrides).base
    trial = TrialRecord(
        number=4,
        outcome=Outcome.COMPLETE,
        values=(0.5,),
        config=config,
        best_epoch=1,
        history={"val_accuracy": [0.5, 0.25]},
    )
    study = StudyRecord("quickstart", (VAL_ACCURACY,), (trial,))
    project.write("best.yaml", to_yaml(study, trial))
    return config


def compose(*overrides: str, config: str = "best.yaml") -> Composed:
    return composer_for_train(config, None).compose(overrides)


def refusal(*overrides: str, config: str = "best.yaml") -> str:
    with pytest.raises(ConfigError) as caught:
        compose(*overrides, config=config)
    return str(caught.value)


def edit(project: Project, **changes: Any) -> None:
    """Change ``best.yaml`` by dotted path (``__`` for the dot); ``...`` deletes."""
    config = read_yaml(project.root / "best.yaml")
    for path, value in changes.items():
        *parents, leaf = path.split("__")
        node = config
        for parent in parents:
            node = node[parent]
        if value is ...:
            del node[leaf]
        else:
            node[leaf] = value
    project.write("best.yaml", dump(config))


# Round trips


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("optimizer=sgd", "optimizer.momentum=0.9", "optimizer.nesterov=true"),
        ("model=cnn", "model.filters=[8]", "data.validation_split=100"),
        ("optimizer.learning_rate=1e-05", "trainer.patience=3", "seed=7"),
        ("model.hidden_units=[]", "model.activation='yes'", "+model.note='1e-3'"),
        ("+optimizer.note=null", "+optimizer.tag='null'", "+optimizer.flag='true'"),
    ],
)
def test_an_exported_config_composes_to_what_was_trained(
    project: Project, overrides: tuple[str, ...]
) -> None:
    trained = exported(project, *overrides)
    again = compose().config
    assert {key: again[key] for key in trained} == trained
    assert _types(again["optimizer"]) == _types(trained["optimizer"])


def _types(node: Any) -> Any:
    return {key: type(value) for key, value in node.items()}


def test_a_trial_of_folds_is_exported_to_train_on_everything_as_long_as_they_found(
    project: Project,
) -> None:
    config = make_plan("quickstart", ["trainer.patience=3", "data.validation_split=0.3"]).base
    trial = TrialRecord(4, Outcome.COMPLETE, (0.5,), config=config, best_epoch=7)
    sweep = {"trial_function": KERAS_TRIALS, "folds": 5}
    study = StudyRecord("s", (VAL_ACCURACY,), (trial,), {"sweep": sweep})
    project.write("best.yaml", to_yaml(study, trial))
    now = compose().config
    assert now["data"] == {**config["data"], "validation_split": 0}
    changes = {"epochs": 7, "patience": None, "monitor": None, "restore_best": False}
    assert now["trainer"] == {**config["trainer"], **changes}
    assert "trained on all of the training part" in (project.root / "best.yaml").read_text().lower()
    for other in ({**sweep, "folds": None}, {**sweep, "trial_function": "mine.run"}):
        study = StudyRecord("s", (VAL_ACCURACY,), (trial,), {"sweep": other})
        assert final_config(study, trial) == config


def test_an_exported_config_is_complete_without_the_option_files(project: Project) -> None:
    project.write("conf/optimizer/mine.yaml", "_target_: mine.Opt\nlearning_rate: 0.5\nextra: 1\n")
    trained = exported(project, "optimizer=mine")
    (project.root / "conf/optimizer/mine.yaml").unlink()
    assert compose().config["optimizer"] == trained["optimizer"]


def test_small_floats_stay_numbers_for_every_reader_of_yaml(project: Project) -> None:
    values = [1e-05, 1e-7, 1e22, 0.1, 1.0, -2.5e-9, 123456.789, 5e-324]
    text = dump({"values": values})
    assert yaml.safe_load(text)["values"] == values
    assert all(isinstance(value, float) for value in yaml.safe_load(text)["values"])
    project.write("values.yaml", text)
    assert read_yaml(project.root / "values.yaml")["values"] == values


def test_what_is_not_finite_survives_yaml() -> None:
    loaded = yaml.safe_load(dump({"a": math.inf, "b": -math.inf, "c": math.nan}))
    assert (loaded["a"], loaded["b"]) == (math.inf, -math.inf)
    assert math.isnan(loaded["c"])


def test_text_that_looks_like_something_else_stays_text(project: Project) -> None:
    odd = {"a": "1e-3", "b": "null", "c": "yes", "d": "", "e": "x: y # z", "f": "ü\n", "g": "=1"}
    project.write("odd.yaml", dump(odd))
    assert read_yaml(project.root / "odd.yaml") == odd


def test_the_file_says_where_it_comes_from_and_how_it_is_used(project: Project) -> None:
    exported(project)
    head = (project.root / "best.yaml").read_text().split("data:")[0]
    assert "Trial 4 of the besom study 'quickstart'" in head
    assert "val_accuracy 0.5000" in head
    assert "epoch 1 of 2" in head
    assert "besom train" in head


def test_a_config_that_train_wrote_is_one_for_train(project: Project) -> None:
    config = compose(config=exported_as(project, "config.yaml")).config
    assert config["model"]["hidden_units"] == [128]


def exported_as(project: Project, name: str) -> str:
    exported(project)
    (project.root / "best.yaml").rename(project.root / name)
    return name


# Overrides over an exported config


def test_overrides_win_over_the_exported_values(project: Project) -> None:
    exported(project)
    config = compose("trainer.epochs=40", "seed=3", "name=again", "model.hidden_units=[8,8]").config
    assert config["trainer"]["epochs"] == 40
    assert (config["seed"], config["name"]) == (3, "again")
    assert config["model"]["hidden_units"] == [8, 8]


def test_exported_values_outside_the_groups_are_kept(project: Project) -> None:
    exported(project, "seed=9")
    assert compose().config["seed"] == 9
    assert compose().config["name"] == "quickstart"


def test_an_override_of_the_wrong_type_is_refused(project: Project) -> None:
    exported(project)
    message = refusal("optimizer.learning_rate=abc")
    assert "optimizer.learning_rate is 'abc', expected a number" in message
    assert "a whole number" in refusal("trainer.epochs=1.5")
    assert "Integer" in refusal("seed=abc")


def test_an_unknown_key_or_option_is_refused_with_near_names(project: Project) -> None:
    exported(project)
    assert "Did you mean 'learning_rate'?" in refusal("optimizer.learning_rat=1")
    assert "Did you mean 'adam'" in refusal("optimizer=adma")


def test_another_option_of_a_group_replaces_the_whole_group(project: Project) -> None:
    exported(project, "optimizer.learning_rate=0.5", "optimizer.beta_1=0.5")
    optimizer = compose("optimizer=sgd").config["optimizer"]
    assert optimizer["_target_"] == "keras.optimizers.SGD"
    assert "beta_1" not in optimizer
    assert optimizer["learning_rate"] == 0.01
    both = compose("optimizer=sgd", "optimizer.momentum=0.5").config
    assert both["optimizer"]["momentum"] == 0.5
    assert both["model"]["hidden_units"] == [128]


def test_the_same_option_of_a_group_brings_its_defaults_back(project: Project) -> None:
    exported(project, "optimizer.learning_rate=0.5")
    assert compose("optimizer=adam").config["optimizer"]["learning_rate"] == 0.001


# Edited into nonsense


@pytest.mark.parametrize("group", ["data", "model", "optimizer", "trainer"])
def test_a_group_that_was_deleted_is_named(project: Project, group: str) -> None:
    exported(project)
    edit(project, **{group: ...})
    assert f"{group} is missing or no mapping" in refusal()


@pytest.mark.parametrize("value", [3, "adam", None, ["adam"]])
def test_a_group_that_is_no_mapping_is_named(project: Project, value: Any) -> None:
    exported(project)
    edit(project, optimizer=value)
    assert "optimizer is missing or no mapping" in refusal()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"optimizer__learning_rate": "fast"}, "optimizer.learning_rate is 'fast'"),
        ({"trainer__epochs": 2.5}, "trainer.epochs is 2.5"),
        ({"model__hidden_units": {"first": 3}}, "model.hidden_units is {first: 3}"),
        ({"model__hidden_units": ["many"]}, "model.hidden_units.0 is 'many'"),
        ({"seed": "abc"}, "seed"),
        ({"seeds": 3}, "Did you mean 'seed'?"),
        ({"sweep": {"n_trials": 3}}, "unknown key 'sweep'"),
    ],
)
def test_a_value_edited_into_the_wrong_type_is_refused(
    project: Project, changes: dict[str, Any], says: str
) -> None:
    exported(project)
    edit(project, **changes)
    assert says in refusal()


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "data: [1\n", "\tdata: 1", "a: b: c", "data: ${nowhere}\n", "\x00"]
)
def test_a_file_edited_into_no_config_at_all_is_refused_naming_it(
    project: Project, text: str
) -> None:
    project.write("best.yaml", text)
    assert "best.yaml" in refusal()


def test_an_interpolation_that_leads_nowhere_is_refused(project: Project) -> None:
    exported(project)
    edit(project, trainer__epochs="${nowhere}")
    assert "nowhere" in refusal()


def test_a_binary_file_is_refused_naming_it(project: Project) -> None:
    (project.root / "best.yaml").write_bytes(b"\xff\xfe\x00\x01" * 20)
    assert "best.yaml" in refusal()


def test_a_config_that_is_not_there_is_refused(project: Project) -> None:
    assert "no config file 'bset.yaml'" in refusal(config="bset.yaml")
    (project.root / "folder.yaml").mkdir()
    assert "folder.yaml" in refusal(config="folder.yaml")


def test_a_primary_config_of_the_users_own_can_be_trained(project: Project) -> None:
    project.write("runs/mine.yaml", "defaults: [train, _self_]\nmodel: {dropout: 0.125}\n")
    assert compose(config="runs/mine.yaml").config["model"]["dropout"] == 0.125


# By name

LESSON = "defaults: [train, _self_]\nmodel: {dropout: 0.125}\n"


def test_a_config_on_the_search_path_can_be_trained_by_its_name(project: Project) -> None:
    project.write("conf/mine.yaml", LESSON)
    project.write("conf/wider.yaml", "defaults: [mine, _self_]\nmodel: {hidden_units: [999]}\n")
    assert compose(config="mine").config["model"]["dropout"] == 0.125
    wider = compose("trainer.epochs=3", config="wider").config
    assert (wider["model"]["hidden_units"], wider["trainer"]["epochs"]) == ([999], 3)
    assert wider["model"]["dropout"] == 0.125


def test_a_sweep_and_a_config_to_train_may_share_a_name(project: Project) -> None:
    project.write("conf/both.yaml", LESSON)
    project.write("sweeps/both.yaml", "defaults: [cheap, _self_]\nmodel: {dropout: 0.25}\n")
    project.write("sweeps/more.yaml", "defaults: [both, _self_]\nseed: 3\n")
    trained = compose(config="both").config
    assert trained["model"]["dropout"] == 0.125
    assert "sweep" not in trained
    assert make_plan("both").config["model"]["dropout"] == 0.25
    assert make_plan("more").config["model"]["dropout"] == 0.25
    project.write("conf/tutorial.yaml", LESSON)
    assert compose(config="tutorial").config["model"]["dropout"] == 0.125
    assert make_plan("tutorial").config["model"]["activation"] == "sigmoid"


def test_the_tutorial_is_one_run_and_one_sweep(project: Project) -> None:
    run = compose(config="tutorial")
    assert run.choices["data"] == "mnist"
    assert run.config["model"]["hidden_units"] == [512, 256]
    assert run.config["trainer"]["epochs"] == 20
    assert run.config["trainer"]["test_every_epoch"] is True
    sweep = make_plan("tutorial")
    assert sweep.config["trainer"]["test_every_epoch"] is False
    (enqueued,) = sweep.sweep.enqueue
    assert enqueued.keys() == sweep.sweep.space.keys()
    for path, value in enqueued.items():
        assert lookup(run.config, path) == value, "the sweep tries what the run trains"


def test_a_name_that_no_config_to_train_has_is_refused(project: Project) -> None:
    project.write("conf/mine.yaml", LESSON)
    assert "no config 'mien' for `besom train`. Did you mean 'mine'" in refusal(config="mien")
    assert "`besom sweep cheap`" in refusal(config="cheap")
    for name in ("train", "sweep"):
        assert f"no config '{name}'" in refusal(config=name)


# Which trial


def test_the_best_trial_is_the_first_of_the_leaderboard() -> None:
    study = make_study(40)
    best = max(study.complete, key=lambda t: (t.value, -t.number))  # type: ignore[type-var]
    assert best_trial(study).number == best.number


def test_a_study_without_a_complete_trial_has_nothing_to_export(tmp_path: Path) -> None:
    from besom.errors import StudyError

    study = StudyRecord("s", (VAL_ACCURACY,), (TrialRecord(0, Outcome.ERROR),))
    with pytest.raises(StudyError, match="no complete trial to export"):
        best_trial(study)
    assert write_best(study, StudyPaths.of(tmp_path, "s")) is None
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_is_not_there_or_still_runs_is_refused() -> None:
    from besom.errors import StudyError

    study = StudyRecord(
        "s", (VAL_ACCURACY,), (TrialRecord(0, Outcome.ERROR), TrialRecord(1, Outcome.RUNNING))
    )
    assert find_trial(study, 0).number == 0
    for number in (-1, 1, 2):
        with pytest.raises(StudyError, match=f"no finished trial {number}"):
            find_trial(study, number)


def test_a_trial_that_failed_is_exported_with_its_reason(project: Project) -> None:
    config = make_plan("quickstart").base
    trial = TrialRecord(2, Outcome.ERROR, reason="ValueError: no layer: here", config=config)
    text = to_yaml(StudyRecord("s", (VAL_ACCURACY,), (trial,)), trial)
    project.write("failed.yaml", text)
    assert "It did not complete: error (ValueError: no layer: here)" in text
    assert compose(config="failed.yaml").config["model"] == config["model"]


def of_own_function() -> tuple[StudyRecord, TrialRecord]:
    trial = TrialRecord(
        number=0,
        outcome=Outcome.COMPLETE,
        values=(0.5,),
        config={"model": {"alpha": 1.0}, "trainer": {"precision": "exact"}, "seed": 1},
        best_epoch=1,
        history={"val_accuracy": [0.5]},
    )
    config = {"sweep": {"trial_function": "linear.run_trial"}}
    return StudyRecord("linear", (VAL_ACCURACY,), (trial,), config=config), trial


def test_a_config_of_another_trial_function_says_what_can_be_done_with_it() -> None:
    study, trial = of_own_function()
    text = to_yaml(study, trial)
    assert "# It was trained by linear.run_trial, which besom train does not call." in text
    assert "besom confirm linear --on validation" in text
    assert "Retrain it" not in text
    content = yaml.safe_load(text)
    assert content["trainer"] == {"precision": "exact"}
    assert content["source"]["trial_function"] == "linear.run_trial"


def test_a_model_that_another_trial_function_did_not_write_is_missed_in_its_words(
    project: Project,
) -> None:
    study, trial = of_own_function()
    paths = StudyPaths.of(project.root / "results", "linear")
    with pytest.raises(StudyError, match=r"linear\.run_trial, the trial function .* wrote none"):
        kept_model(study, trial, paths)
