"""Composing configs: what is found where, what is refused, and how it is said."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from besom.config import (
    TRAIN_GROUPS,
    Composed,
    Composer,
    SearchPath,
    find_sweep,
    parse_overrides,
    read_yaml,
)
from besom.config.search_path import packaged_config_dirs
from besom.errors import ConfigError
from besom.executors.local import LocalExecutor
from besom.study import make_plan
from user_project import Project

CONF, SWEEPS = packaged_config_dirs()
OPTIONS = sorted(
    (str(path.parent.relative_to(CONF)), path.stem)
    for path in CONF.rglob("*.yaml")
    if path.parent != CONF
)


def compose(*overrides: str, primary: str = "train", config_dir: str | None = None) -> Composed:
    return Composer(SearchPath.of(config_dir), primary).compose(overrides)


def refusal(*overrides: str, primary: str = "train") -> str:
    with pytest.raises(ConfigError) as caught:
        compose(*overrides, primary=primary)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Every packaged YAML

#: The options of data that are nothing without a path.
OF_YOUR_FILES = ("npz", "csv", "parquet", "image_folder", "text_folder")


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_under_conf_composes(project: Project, group: str, option: str) -> None:
    needed = ["data.path=mine"] if option in OF_YOUR_FILES else []
    primary = "sweep" if group.startswith("sweep/") else "train"
    if group not in TRAIN_GROUPS and primary == "train":
        pytest.skip(f"{group} is chosen by other options, not on its own")
    composed = compose(f"{group}={option}", *needed, primary=primary)
    node = composed.config["sweep"] if primary == "sweep" else composed.config
    assert node[group.removeprefix("sweep/")]
    assert composed.choices[group] == option


@pytest.mark.parametrize("name", sorted(path.stem for path in SWEEPS.glob("*.yaml")))
def test_every_packaged_sweep_is_ready_to_run(project: Project, name: str) -> None:
    plan = make_plan(name)
    assert plan.name == name
    assert len(plan.space) > 0
    assert plan.paths.root == Path("results") / name


def test_the_default_run_is_the_tutorials(project: Project) -> None:
    config = compose("data=mnist").config
    assert config["model"]["hidden_units"] == [512, 256]
    assert (config["model"]["activation"], config["model"]["dropout"]) == ("relu", 0.2)
    assert config["optimizer"] == {**config["optimizer"], "learning_rate": 0.001}
    assert config["optimizer"]["_target_"] == "keras.optimizers.Adam"
    assert (config["trainer"]["epochs"], config["trainer"]["batch_size"]) == (20, 32)
    assert config["trainer"]["loss"] is None  # it follows the task


def test_the_groups_that_were_promised_are_there(project: Project) -> None:
    search = SearchPath.of()
    assert {"digits", "mnist", "fashion_mnist", "npz"} <= set(search.options("data"))
    assert {"mlp", "cnn"} <= set(search.options("model"))
    optimizers = {"adam", "adamw", "sgd", "rmsprop", "nadam", "lion"}
    assert optimizers <= set(search.options("optimizer"))


def test_every_pruner_of_optuna_is_an_option(project: Project) -> None:
    promised = ["none", "median", "percentile", "successive_halving", "hyperband", "threshold"]
    assert {*promised, "patient", "wilcoxon"} <= set(SearchPath.of().options("sweep/pruner"))


def test_an_npz_without_a_path_is_refused_naming_the_key(project: Project) -> None:
    assert "data.path has no value" in refusal("data=npz")
    assert "data.path=VALUE" in refusal("data=npz")


# The search path


def test_a_users_conf_folder_adds_options_and_comes_first(project: Project) -> None:
    project.write("conf/optimizer/mine.yaml", "_target_: mine.Optimizer\nlearning_rate: 0.5\n")
    project.write("conf/optimizer/adam.yaml", "_target_: mine.Adam\nlearning_rate: 0.25\n")
    assert compose("optimizer=mine").config["optimizer"]["learning_rate"] == 0.5
    assert compose("optimizer=adam").config["optimizer"]["_target_"] == "mine.Adam"
    assert compose("optimizer=sgd").config["optimizer"]["_target_"] == "keras.optimizers.SGD"


def test_null_means_not_set_wherever_a_value_stands(project: Project) -> None:
    del project
    config = compose("model.dropout=null", "optimizer.amsgrad=null", "model.hidden_units=null")
    assert config.config["model"]["dropout"] is None
    plan = make_plan("quickstart", ["sweep.space={model.dropout: [null, 0.1]}"])
    choices = {entry.path: entry.choices for entry in plan.space.entries}
    assert choices["model.dropout"] == (None, 0.1)


def test_auto_stands_where_a_value_of_another_type_may(project: Project) -> None:
    del project
    told = ["sweep.executor.gpus=[0,2]", "sweep.executor.max_worker_memory=2000000000"]
    executor = make_plan("quickstart", told).sweep.executor
    assert (executor["gpus"], executor["max_worker_memory"]) == ([0, 2], 2_000_000_000)


def test_an_executor_without_a_yaml_has_the_defaults_of_the_packaged_one() -> None:
    packaged = read_yaml(CONF / "sweep" / "executor" / "local.yaml")
    taken = inspect.signature(LocalExecutor).parameters.values()
    assert {p.name: p.default for p in taken} == {k: v for k, v in packaged.items() if k[0] != "_"}


def test_a_sweep_yaml_of_the_users_own_need_not_name_every_key(project: Project) -> None:
    content = (CONF / "sweep.yaml").read_text()
    project.write("conf/sweep.yaml", content.replace("  keep_models: 1\n", "  # keep_models: 1\n"))
    assert "keep_models" not in read_yaml(project.root / "conf" / "sweep.yaml")["sweep"]
    assert make_plan("quickstart").sweep.keep_models == 1


def test_a_sweep_starts_from_the_users_own_train_yaml(project: Project) -> None:
    project.write(
        "conf/train.yaml", (CONF / "train.yaml").read_text().replace("seed: 0", "seed: 5")
    )
    assert make_plan("quickstart").config["seed"] == 5


def test_a_users_own_train_yaml_wins_over_the_packaged_one(project: Project) -> None:
    project.write("conf/train.yaml", (CONF / "train.yaml").read_text().replace("mlp", "cnn"))
    assert compose().choices["model"] == "cnn"


def test_a_users_sweep_wins_over_the_packaged_one_of_its_name(project: Project) -> None:
    packaged = (SWEEPS / "quickstart.yaml").read_text()
    project.write("sweeps/quickstart.yaml", re.sub(r"n_trials: \d+", "n_trials: 7", packaged))
    assert make_plan("quickstart").sweep.n_trials == 7


def test_a_config_dir_replaces_the_current_folders_conf_and_sweeps(project: Project) -> None:
    project.write("conf/optimizer/adam.yaml", "_target_: here.Adam\nlearning_rate: 0.25\n")
    project.write("other/optimizer/adam.yaml", "_target_: other.Adam\nlearning_rate: 0.125\n")
    project.write("other/sweeps/theirs.yaml", "defaults: [sweep, _self_]\nsweep: {n_trials: 4}\n")
    assert compose(config_dir="other").config["optimizer"]["_target_"] == "other.Adam"
    assert make_plan("theirs", config_dir="other").sweep.n_trials == 4
    with pytest.raises(ConfigError, match="no sweep 'cheap'"):
        make_plan("cheap", config_dir="other")


def test_a_config_dir_that_is_no_folder_is_refused(project: Project) -> None:
    project.write("a_file", "")
    for given in ("nowhere", "a_file"):
        with pytest.raises(ConfigError, match=f"--config-dir is '{given}', which is not a folder"):
            SearchPath.of(given)


def test_a_sweep_is_found_by_the_path_of_its_yaml(project: Project) -> None:
    path = project.write("elsewhere/deep.yaml", "defaults: [sweep, _self_]\nseed: 3\n")
    project.write("elsewhere/optimizer/adam.yaml", "_target_: beside.Adam\nlearning_rate: 1.0\n")
    for given in ("elsewhere/deep.yaml", "./elsewhere/deep.yaml", str(path)):
        plan = make_plan(given)
        assert (plan.name, plan.config["seed"]) == ("deep", 3)
        assert plan.config["optimizer"]["_target_"] == "beside.Adam"


def test_an_unknown_sweep_is_refused_with_near_names(project: Project) -> None:
    for given, near in (("quickstrat", "quickstart"), ("cheep", "cheap")):
        with pytest.raises(ConfigError, match=f"no sweep '{given}'. Did you mean '{near}'"):
            find_sweep(given, None)


@pytest.mark.parametrize("name", ["train", "sweep"])
def test_primary_configs_that_are_no_sweeps_are_not_taken_for_one(
    project: Project, name: str
) -> None:
    with pytest.raises(ConfigError, match=f"no sweep '{name}'"):
        find_sweep(name, None)


def test_a_yaml_that_is_no_sweep_is_told_what_it_lacks(project: Project) -> None:
    project.write("sweeps/plain.yaml", "model: {dropout: 0.1}\n")
    for given in ("plain", "sweeps/plain.yaml"):
        with pytest.raises(ConfigError, match="defaults list must begin with 'sweep'"):
            find_sweep(given, None)


def test_a_sweep_file_that_is_not_there_or_not_yaml_is_refused(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"no sweep file 'gone\.yaml'"):
        find_sweep("gone.yaml", None)
    project.write("sweeps/odd.yml", "defaults: [sweep]\n")
    with pytest.raises(ConfigError, match="rename it"):
        find_sweep("sweeps/odd.yml", None)


@pytest.mark.parametrize("text", ["sweep: [1\n", "- a\n- b\n", "a: b: c\n", "\x00", ""])
def test_a_sweep_of_invalid_yaml_is_refused_naming_the_file(project: Project, text: str) -> None:
    project.write("sweeps/broken.yaml", text)
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        make_plan("broken")


def test_a_broken_sweep_does_not_hide_the_others(project: Project) -> None:
    project.write("sweeps/broken.yaml", "sweep: [1\n")
    assert {"cheap", "quickstart"} <= set(SearchPath.of().named("sweep")[0])


# Names that are not known


def test_an_unknown_option_is_refused_with_near_names(project: Project) -> None:
    message = refusal("model=mlpp")
    assert "no option 'mlpp' in the group 'model'" in message
    assert "Did you mean 'mlp'?" in message
    assert "Known: adam" in refusal("optimizer=xyz")


def test_an_unknown_sampler_is_refused_with_near_names(project: Project) -> None:
    assert "Did you mean 'tpe'?" in refusal("sweep/sampler=tpee", primary="cheap")


def test_an_unknown_key_is_refused_with_its_neighbours(project: Project) -> None:
    message = refusal("optimizer.learning_rat=0.1")
    assert "optimizer has no 'learning_rat'. Did you mean 'learning_rate'?" in message
    assert "+optimizer.learning_rat=" in message


def test_an_unknown_group_is_refused_with_near_names(project: Project) -> None:
    assert "no 'modl'. Did you mean 'model'?" in refusal("modl=mlp")


def test_an_unknown_key_of_the_sweep_is_refused_with_near_names(project: Project) -> None:
    message = refusal("sweep.ntrials=3", primary="cheap")
    assert "sweep has no 'ntrials'. Did you mean 'n_trials'?" in message


def test_a_key_of_another_option_is_refused(project: Project) -> None:
    assert "optimizer has no 'momentum'" in refusal("optimizer.momentum=0.9")
    assert compose("optimizer=sgd", "optimizer.momentum=0.9").config["optimizer"]["momentum"] == 0.9
    assert compose("optimizer.momentum=0.9", "optimizer=sgd").config["optimizer"]["momentum"] == 0.9


def test_class_weights_may_be_numbered(project: Project) -> None:
    config = compose("trainer.class_weight={0: 1.0, 1: 5.0}").config
    assert config["trainer"]["class_weight"] == {"0": 1.0, "1": 5.0}


def test_a_key_that_any_data_takes_may_be_added_to_data_of_ones_own(project: Project) -> None:
    assert "or write +data.order=... if data=digits takes it" in refusal("data.order=true")


def test_a_plus_adds_a_key_that_the_option_does_not_list(project: Project) -> None:
    assert compose("+optimizer.use_ema=true").config["optimizer"]["use_ema"] is True


def test_a_plus_does_not_add_to_the_typed_node_sweep(project: Project) -> None:
    with pytest.raises(ConfigError, match=r"no 'ntrials'. Did you mean 'n_trials'"):
        make_plan("cheap", ["+sweep.ntrials=3"])


@pytest.mark.parametrize("override", ["+foo=1", "++foo=1", "+foo.bar=1", "++foo.bar=1"])
def test_a_plus_at_the_top_is_refused_for_nothing_would_read_it(
    project: Project, override: str
) -> None:
    for message in (refusal(override), refusal(override, primary="cheap")):
        assert message.startswith(f"{override}: the config has no 'foo")
        assert "Known: data, model" in message
        assert "as in '+model.KEY=VALUE'" in message


def test_a_plus_at_the_top_that_belongs_into_a_group_is_told_where(project: Project) -> None:
    assert "Did you mean 'optimizer.learning_rate'?" in refusal("+learning_rate=0.1")


@pytest.mark.parametrize(
    "override",
    ["+sweep.foo=1", "++sweep.foo=1", "+sweep.foo.bar=1", "+sweep.objective.foo=1"],
)
def test_a_plus_in_what_besom_itself_reads_is_refused(project: Project, override: str) -> None:
    with pytest.raises(ConfigError, match="Nothing would read") as caught:
        make_plan("cheap", [override])
    assert str(caught.value).startswith(override)


def test_a_plus_reaches_functions_below_the_sweep_and_named_limits(project: Project) -> None:
    plan = make_plan("cheap", ["+sweep.executor.mine=1", "+sweep.constraints.n_params.max=3"])
    assert plan.sweep.executor["mine"] == 1
    assert plan.sweep.constraints == {"n_params": {"max": 3}}


def test_a_missing_key_of_the_sweep_is_not_said_to_be_addable(project: Project) -> None:
    assert "+sweep" not in refusal("sweep.ntrials=3", primary="cheap")


@pytest.mark.parametrize(
    "text", ["optimizer", "=3", "optimizer.learning_rate=[1", "a=b=c=(", "   "]
)
def test_what_is_no_override_is_refused_as_given(project: Project, text: str) -> None:
    assert text in refusal(text)


# Types


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("trainer.epochs=8.5", "a whole number such as 20"),
        ("trainer.epochs=true", "a whole number such as 20"),
        ("trainer.epochs=many", "a whole number such as 20"),
        ("trainer.epochs=", "a whole number such as 20"),
        ("optimizer.learning_rate=abc", "a number such as 0.001"),
        ("optimizer.learning_rate='1e-3'", "a number such as 0.001"),
        ('optimizer.learning_rate="1e-3"', "a number such as 0.001"),
        ("optimizer.learning_rate=true", "a number such as 0.001"),
        ("optimizer.amsgrad=1", "true or false such as false"),
        ("model.hidden_units=512", "a list such as [512, 256]"),
        ("model.hidden_units=abc", "a list such as [512, 256]"),
        ("model.hidden_units=[512,abc]", "a whole number such as 512"),
        ("model.hidden_units=[2.5]", "a whole number such as 512"),
        ("model.activation=3", "text such as 'relu'"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_an_example(
    project: Project, override: str, expected: str
) -> None:
    message = refusal(override)
    key = override.partition("=")[0]
    assert message.startswith(key)
    assert expected in message
    assert f"Set it with {key}" in message


def test_a_refused_element_of_a_list_is_mended_by_a_command_that_works(project: Project) -> None:
    message = refusal("model.hidden_units=[512,abc]")
    remedy = message.partition("Set it with ")[2].removesuffix(".")
    mended = compose(remedy.replace("VALUE", "64"))
    assert mended.config["model"]["hidden_units"][1] == 64


@pytest.mark.parametrize("override", ["seed=abc", "seed=1.5", "sweep.n_trials=abc"])
def test_a_value_of_the_wrong_type_outside_the_groups_names_its_key(
    project: Project, override: str
) -> None:
    key, _, value = override.partition("=")
    message = refusal(override, primary="cheap")
    assert key in message
    assert value in message


def test_numbers_of_every_spelling_are_numbers(project: Project) -> None:
    for text, value in (("1e-3", 0.001), ("1e-05", 1e-5), (".5", 0.5), ("1", 1), ("1_0.0", 10.0)):
        rate = compose(f"optimizer.learning_rate={text}").config["optimizer"]["learning_rate"]
        assert rate == value
        assert isinstance(rate, int | float)


def test_none_is_none_and_never_the_text(project: Project) -> None:
    trainer = compose("trainer.patience=null").config["trainer"]
    assert trainer["patience"] is None
    assert compose("trainer.patience=3").config["trainer"]["patience"] == 3
    assert make_plan("cheap", ["sweep.timeout_s=null"]).sweep.timeout_s is None


def test_a_learning_rate_may_be_a_schedule(project: Project) -> None:
    schedule = "{_target_:keras.optimizers.schedules.CosineDecay,decay_steps:10}"
    rate = compose(f"optimizer.learning_rate={schedule}").config["optimizer"]["learning_rate"]
    assert rate["decay_steps"] == 10
    assert "a number" in refusal("optimizer.learning_rate={decay_steps:10}")


def test_a_users_option_is_held_to_its_own_types(project: Project) -> None:
    project.write("conf/model/mine.yaml", "_target_: mine.model\nwidth: 8\nname: a\nflag: false\n")
    assert compose("model=mine", "model.width=9").config["model"]["width"] == 9
    assert "model.width is 'x', expected a whole number" in refusal("model=mine", "model.width=x")


def test_interpolations_are_resolved(project: Project) -> None:
    config = compose("trainer.batch_size=${seed}", "seed=64").config
    assert config["trainer"]["batch_size"] == 64
    assert make_plan("cheap", ["seed=11"]).sweep.sampler["seed"] == 11


def test_an_interpolation_that_leads_nowhere_is_refused(project: Project) -> None:
    assert "nowhere" in refusal("trainer.batch_size=${nowhere}")


# What a user of Hydra might try


@pytest.mark.parametrize(
    "word",
    [
        "-m",
        "--multirun",
        "hydra.sweeper.n_trials=3",
        "hydra.sweeper.params.x=1",
        "++hydra.sweeper.n_jobs=2",
        "hydra.launcher.n_jobs=2",
        "hydra/sweeper=optuna",
        "hydra/launcher=joblib",
    ],
)
def test_hydras_multirun_is_refused_with_what_replaces_it(project: Project, word: str) -> None:
    for message in (refusal(word), refusal(word, primary="cheap")):
        assert message.startswith(word)
        assert "besom sweep NAME" in message
        for replacement in ("sweep.space", "sweep/sampler", "n_trials", "sweep.executor.workers"):
            assert replacement in message


def test_an_unknown_flag_is_refused_as_one(project: Project) -> None:
    assert "no option '--epochs'" in refusal("--epochs")


@pytest.mark.parametrize("override", ["model=mlp,cnn", "optimizer.learning_rate=choice(0.1,0.2)"])
def test_several_values_in_one_run_point_to_the_sweep(project: Project, override: str) -> None:
    message = refusal(override)
    assert "gives several values" in message
    assert "besom sweep NAME" in message


@pytest.mark.parametrize("override", ["model=[mlp,cnn]", "model=null", "model=3"])
def test_a_group_takes_the_name_of_one_option(project: Project, override: str) -> None:
    message = refusal(override)
    assert "model" in message
    assert "cnn" in message
    assert "mlp" in message


def test_overrides_are_parsed_in_the_order_given() -> None:
    assert [o.key_or_group for o in parse_overrides(["b=1", "a=2"])] == ["b", "a"]


def test_a_file_that_is_changed_is_read_again(project: Project) -> None:
    for rate in (0.5, 0.25):
        text = f"_target_: mine.Optimizer\nlearning_rate: {rate}\n"
        project.write("conf/optimizer/mine.yaml", text)
        assert read_yaml(project.root / "conf/optimizer/mine.yaml")["learning_rate"] == rate
    assert compose("optimizer=mine").config["optimizer"]["learning_rate"] == 0.25


def test_what_was_read_is_the_callers_own(project: Project) -> None:
    path = project.write("conf/model/mine.yaml", "_target_: mine.model\nunits: [1, 2]\n")
    read_yaml(path)["units"].append(3)
    assert read_yaml(path)["units"] == [1, 2]


def test_composing_leaves_no_state_for_the_next_one(project: Project) -> None:
    first = compose()
    compose("optimizer=sgd", "model=cnn", "seed=4")
    assert compose() == first
    project.write("conf/optimizer/mine.yaml", "_target_: mine.Optimizer\n")
    assert compose("optimizer=mine").choices["optimizer"] == "mine"
