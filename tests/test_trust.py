"""What a config may run: nothing but what is public, the project's own, or trusted by the user."""

from __future__ import annotations

import functools
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import besom
from besom.config import Composer, SearchPath
from besom.config.search_path import packaged_config_dirs
from besom.errors import ConfigError, TrustError
from besom.report.export import composer_for_train
from besom.targets import instantiate, names_in, refuse_untrusted, resolve
from besom.trust import current, trusting
from besom.trust.public import BESOMS_OWN
from user_project import Project, edit_journal

MINE = """
import functools
import os
import pathlib
import subprocess
from os import system
from subprocess import Popen
import os.path as paths
from besom.targets import instantiate
from besom.training.confirmation import run_confirmation

def build(width=1):
    return width

class Net:
    tool = os

    @classmethod
    def small(cls):
        return cls()

class Command(subprocess.Popen):
    pass

shell = functools.partial(os.system, "true")
narrow = functools.partial(build, 3)
cached = functools.cache(build)
cached_shell = functools.cache(os.system)
folder = pathlib.Path(".")
call = eval
net = Net()
environ = os.environ
"""


@pytest.fixture
def mine(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project with modules of its own, and nothing that the user trusts beside them."""
    monkeypatch.delenv("BESOM_TRUSTED")
    monkeypatch.syspath_prepend(str(project.root))
    project.write("mine.py", MINE)
    project.write("package/__init__.py", "import json as tools\nfrom package import parts\n")
    project.write("package/parts.py", "import shutil\ndef build(): return 7\n")
    project.write("spread/part.py", "def build(): return 8\n")
    known = set(sys.modules)
    yield project
    for name in set(sys.modules) - known:
        if name.split(".")[0] in ("mine", "package", "spread", "linked", "vendored", "shared"):
            del sys.modules[name]


def names(text: str) -> list[str]:
    return text.split()


HOSTILE = names("""
    os.system os.path.join posix.system subprocess.Popen subprocess.run shutil.rmtree
    builtins.eval builtins.exec builtins.print builtins.open builtins.__import__ pickle.loads
    marshal.loads runpy.run_path importlib.import_module ctypes.CDLL webbrowser.open code.interact
    functools.partial operator.attrgetter types.FunctionType sys.exit antigravity.fly
    numpy.load pandas.read_pickle joblib.load yaml.unsafe_load hydra.utils.instantiate
    omegaconf.OmegaConf.register_new_resolver click.edit tensorflow.io.gfile.rmtree
    tensorflow.keras.models.load_model tensorflow.saved_model.load
    keras.models.load_model keras.models.model_from_json keras.saving.load_model
    keras.saving.deserialize_keras_object keras.utils.get_file keras.utils.plot_model
    keras.layers.deserialize keras.layers.Lambda keras.layers.TFSMLayer
    keras.layers.TorchModuleWrapper keras.layers.Dense.from_config keras.Model.from_config
    keras.Sequential.from_config keras.Model.load_weights keras.optimizers.get
    keras.optimizers.deserialize keras.losses.deserialize keras.metrics.get
    keras.config.enable_unsafe_deserialization keras.datasets.imdb.load_data
    keras.callbacks.RemoteMonitor keras.callbacks.BackupAndRestore keras.callbacks.warnings.warn
    keras.src.saving.saving_lib.load_model keras.src.utils.file_utils.get_file keras.export.x
    keras._tf_keras.keras.models.load_model keras.optimizers.Adam.__init__
    optuna.delete_study optuna.create_study optuna.storages.RDBStorage optuna.samplers._base.os
    optuna.artifacts.FileSystemArtifactStore optuna.samplers.TPESampler.__globals__
    besom.executors.process.os.system besom.executors.process.subprocess.Popen
    besom.sweep
    besom.targets.instantiate besom.targets.resolve besom.api.train besom.cli.main
    besom.trust.adopt besom.executors.local.worker_process.WorkerProcess
    besom.training.data.load_test
    besom.training.confirmation.run_confirmation besom.training.models.mlp.__globals__
    mine.os.system mine.os mine.subprocess.Popen mine.paths.join mine.system mine.Popen
    mine.Net.tool.system mine.shell mine.shell.func mine.cached_shell mine.folder.touch mine.call
    mine.environ.update mine.Command.communicate mine.instantiate mine.run_confirmation
    mine.build.__globals__ mine.build.__code__.replace mine.Net.__init__ mine.net.tool.system
    mine.__builtins__ mine.__loader__.load_module package.tools.loads package.parts.shutil.rmtree
    __main__.anything _thread.start_new_thread
""")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_config_cannot_name_it(mine: Project, name: str) -> None:
    with pytest.raises(TrustError) as caught:
        instantiate({"_target_": name, "_partial_": True})
    said = str(caught.value)
    assert name in said
    assert "conf/trusted.yaml" in said
    assert "--trust " in said
    assert "\n" not in said


#: These are told from the project's own module alone, which has to be imported for it.
BY_FOLLOWING = [name for name in HOSTILE if name.startswith(("mine.", "package."))]


@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in BY_FOLLOWING])
def test_it_is_refused_before_anything_is_imported(mine: Project, name: str) -> None:
    before = set(sys.modules)
    with pytest.raises(TrustError, match=rf"^model\._target_ is '{name}': "):
        refuse_untrusted({"model": {"_target_": name}})
    assert set(sys.modules) == before


ALLOWED = names("""
    optuna.samplers.TPESampler optuna.samplers.nsgaii.UNDXCrossover optuna.pruners.NopPruner
    optuna.distributions.FloatDistribution
    mine.build mine.Net mine.Net.small mine.narrow mine.cached mine.Command
    package.parts.build spread.part.build
    besom.executors.local.LocalExecutor besom.training.models.mlp
    besom.study.samplers.SpaceGridSampler besom.training.data.digits
""")


@pytest.mark.parametrize("name", ALLOWED)
def test_a_config_may_name_it(mine: Project, name: str) -> None:
    refuse_untrusted({"model": {"_target_": name}})
    assert callable(resolve(name))


@pytest.mark.parametrize(
    "name",
    names("""
    keras.optimizers.Adam keras.optimizers.schedules.CosineDecay keras.optimizers.get_me_not
    keras.callbacks.EarlyStopping keras.callbacks.CSVLogger keras.losses.CategoricalCrossentropy
    keras.losses.categorical_crossentropy keras.metrics.F1Score keras.layers.Dense keras.Sequential
    keras.Model keras.initializers.HeNormal keras.regularizers.L2 keras.activations.relu
    keras.applications.MobileNetV2 keras.applications.resnet.ResNet50 keras.constraints.MaxNorm
    keras.dtype_policies.DTypePolicy keras.random.SeedGenerator tensorflow.keras.optimizers.Adam
    nosuchpackage.Thing spread.nothere
    """),
)
def test_its_name_alone_is_no_reason_to_refuse_it(mine: Project, name: str) -> None:
    refuse_untrusted({"trainer": {"callbacks": [{"_target_": name}]}})


def test_every_object_that_the_packaged_configs_name_is_besoms_own_or_public(mine: Project) -> None:
    found = set()
    for folder in packaged_config_dirs():
        for path in folder.rglob("*.yaml"):
            found |= set(names_in(yaml.safe_load(path.read_text())))
    for where, name in found:
        current().check_name(name, where)
    named = {name for _, name in found if name.startswith("besom.")}
    of_older_studies = "besom.study.samplers.SpaceBruteForceSampler"
    of_python = {"besom.training.data.frame", "besom.training.data.given"}
    elsewhere = {"besom.training.trial.run_trial", of_older_studies, *of_python}
    assert named == BESOMS_OWN - elsewhere
    for name in BESOMS_OWN:
        assert callable(resolve(name)), f"{name} is the name of a module, too"


@pytest.mark.tensorflow
def test_what_keras_loads_with_is_refused_by_whatever_name_it_is_reached(mine: Project) -> None:
    mine.write(
        "mine.py",
        "import keras\nfrom keras.models import load_model as Adam\n"
        "from keras.utils import get_file\nfrom keras.layers import Lambda, deserialize, Dense\n"
        "import tensorflow as tf\nfrom keras.optimizers import SGD\n"
        "class Net(keras.Model):\n    pass\n"
        "@tf.function\ndef loss(y, p):\n    return y\n",
    )
    for name in ("Adam", "get_file", "Lambda", "deserialize", "Net.from_config", "keras.Model",
                 "Net.load_weights", "tf.io.read_file"):  # fmt: skip
        with pytest.raises(TrustError):
            resolve(f"mine.{name}")
    for name in ("mine.Dense", "mine.SGD", "mine.Net", "mine.loss", "keras.optimizers.Adam",
                 "keras.losses.categorical_crossentropy", "keras.Model", "keras.activations.relu",
                 "keras.random.SeedGenerator", "tensorflow.keras.optimizers.schedules.CosineDecay",
                 "keras.ops.relu", "keras.layers.Input"):  # fmt: skip
        assert callable(resolve(name))
    with pytest.raises(ConfigError, match="has no 'Adma'"):
        resolve("keras.optimizers.Adma")


# What is the project's


def test_a_module_elsewhere_is_not_the_projects(
    mine: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "shared.py").write_text("def build(): return 1\n")
    (elsewhere / "linked.py").write_text("def build(): return 1\n")
    (mine.root / "linked.py").symlink_to(elsewhere / "linked.py")
    (mine.root / "package" / "more.py").symlink_to(elsewhere / "linked.py")
    monkeypatch.syspath_prepend(str(elsewhere))
    monkeypatch.syspath_prepend(f"{mine.root}/package/../../{elsewhere.name}")
    for name in ("shared.build", "linked.build", "package.more.build"):
        with pytest.raises(TrustError, match="under the current folder"):
            resolve(name)
    with trusting(["shared", "linked", "package.more"]):
        assert resolve("shared.build")() == resolve("linked.build")() == 1
        assert resolve("package.more.build")() == 1


@pytest.mark.parametrize(
    ("folder", "mark"),
    [
        ("venv/lib/python3.12/site-packages", None),
        ("libs/dist-packages", None),
        ("env/src", "env/pyvenv.cfg"),
        ("conda/lib", "conda/conda-meta/history"),
    ],
)
def test_an_environment_inside_the_folder_is_not_the_projects(
    mine: Project, monkeypatch: pytest.MonkeyPatch, folder: str, mark: str | None
) -> None:
    mine.write(f"{folder}/vendored.py", "def build(): return 1\n")
    if mark:
        mine.write(mark, "")
    monkeypatch.syspath_prepend(str(mine.root / folder))
    with pytest.raises(TrustError, match="vendored"):
        refuse_untrusted({"_target_": "vendored.build"})


def test_pythons_own_modules_are_not_the_projects_where_python_lies_in_the_folder(
    mine: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    for name in ("subprocess.run", "click.edit", "os.system"):
        with pytest.raises(TrustError):
            resolve(name)


def test_a_package_that_looks_for_its_modules_elsewhere_gets_none_from_there(
    mine: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "more.py").write_text(f"open({str(elsewhere / 'canary')!r}, 'w')\ndef f(): ...\n")
    mine.write("package/__init__.py", f"__path__.append({str(elsewhere)!r})\n")
    with pytest.raises(TrustError, match="not under the current folder"):
        resolve("package.more.f")
    assert not (elsewhere / "canary").exists()


def test_what_begins_where_the_command_was_given_stays_there(mine: Project) -> None:
    with trusting():
        os.chdir("/")
        assert resolve("mine.build")() == 1


# What the user trusts


def test_an_entry_allows_its_package_and_nothing_that_is_reached_through_it(mine: Project) -> None:
    with trusting(["os", "mine"]):
        assert resolve("os.system") is os.system
        for name in ("os.sys.exit", "mine.os.system", "mine.Popen", "mine.folder.touch"):
            with pytest.raises(TrustError):
                resolve(name)
    with pytest.raises(TrustError):
        resolve("os.system")


def test_an_entry_may_be_one_object(mine: Project) -> None:
    with trusting(["mine.Popen"]):
        assert resolve("mine.Popen").__name__ == "Popen"
        with pytest.raises(TrustError):
            resolve("mine.system")
    with trusting(["keras.utils.get_file"]):
        current().check_name("keras.utils.get_file", "x")
        with pytest.raises(TrustError):
            current().check_name("keras.utils.get_files", "x")


@pytest.mark.parametrize("said", ["file", "variable", "option"])
def test_trust_is_said_in_a_file_a_variable_or_an_option(
    mine: Project, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    if said == "file":
        mine.write("conf/trusted.yaml", "# tools\n- textwrap\n- fractions\n")
    elif said == "variable":
        monkeypatch.setenv("BESOM_TRUSTED", "textwrap, fractions")
    with trusting(["textwrap", "fractions"] if said == "option" else []):
        assert resolve("fractions.Fraction")(1, 2).denominator == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("os", "holds a str, expected a list"),
        ("trusted: [os]", "holds a dict, expected a list"),
        ("- os.*", "holds 'os.*', expected the dotted name"),
        ("- 3", "holds 3"),
        ("- [os]", r"holds \['os'\]"),
        ("- !!python/name:os.system", "not valid YAML"),
        ("- '", "not valid YAML"),
        ("- os\n" * 20_000, "larger than"),
    ],
)
def test_a_list_that_cannot_be_read_trusts_nothing(mine: Project, text: str, says: str) -> None:
    mine.write("conf/trusted.yaml", text)
    with pytest.raises(ConfigError, match=says):
        resolve("mine.build")
    done = mine.besom("train", "trainer.epochs=1")
    assert done.exit_code == 2
    assert "conf/trusted.yaml" in done.output


def test_a_list_of_another_folder_is_not_read(mine: Project) -> None:
    for folder in ("other", "other/conf", "sweeps"):
        mine.write(f"{folder}/trusted.yaml", "- os\n")
    Composer(SearchPath.of("other"), "train").compose([])
    with pytest.raises(TrustError):
        resolve("os.system")


def test_a_serialised_keras_object_is_no_argument(mine: Project) -> None:
    dense = {"class_name": "function", "config": "system", "module": "os", "registered_name": "s"}
    for value in (dense, [dense], {"deeper": [{"and": dense}]}):
        node = {"_target_": "mine.build", "width": value}
        with pytest.raises(TrustError, match="Write it as a node"):
            refuse_untrusted({"model": node})
        with pytest.raises(TrustError, match="Write it as a node"):
            instantiate(node)
    refuse_untrusted({"model": {"free": dense}})  # no node: nobody builds it
    assert instantiate({"_target_": "mine.build", "width": {"class_name": "a"}})


# The commands

CANARY = "canary"


@pytest.fixture
def hostile(mine: Project) -> Project:
    """A project, and beside it a module that leaves a canary when it is imported."""
    outside = mine.root.parent / f"{mine.root.name}-outside"
    outside.mkdir()
    (outside / "bird.py").write_text(f"open({str(mine.root / CANARY)!r}, 'w')\ndef f(**_): ...\n")
    (outside / "cage").mkdir()
    (outside / "cage" / "__init__.py").write_text(f"open({str(mine.root / CANARY)!r}, 'w')\n")
    sys.path.insert(0, str(outside))
    mine.write("trials.py", (Path(__file__).parent / "study" / "sweep_trials.py").read_text())
    text = (mine.root / "sweeps/cheap.yaml").read_text()
    mine.write("sweeps/cheap.yaml", text.replace("sweep_trials.", "trials."))
    option = "_target_: bird.f\nhidden_units: [8]\ndropout: 0.1\n"
    mine.write("conf/model/bird.yaml", option)
    mine.write("conf/model/alias.yaml", option.replace("bird.f", "mine.Popen"))
    mine.write("bird.yaml", f"model: {{{', '.join(option.splitlines())}}}\noptimizer: adam\n")
    yield mine
    sys.path.remove(str(outside))


def refused(project: Project, *words: str) -> str:
    done = project.besom(*words)
    assert done.exit_code == 2, done.output
    assert done.output.count("\n") == 1, done.output
    assert "Traceback" not in done.output
    assert not (project.root / CANARY).exists()
    assert not [p for p in project.results() if not p.startswith("results/kept")]
    return done.output


@pytest.mark.parametrize(
    "words",
    [
        "optimizer._target_=os.system +optimizer.command='touch canary'",
        "model._target_=bird.f",
        "model=bird",
        "sweep.trial_function=bird.f",
        "sweep.trial_function=os.system",
        "sweep.trial_function=besom.executors.process.os.system",
        "sweep.sampler._target_=bird.f",
        "sweep.pruner._target_=bird.f",
        "sweep.executor._target_=bird.f",
        "data._target_=bird.f",
        "trainer.callbacks=[{_target_:bird.f}]",
        "trainer.metrics=[accuracy,{_target_:bird.f}]",
        "trainer.loss={_target_:bird.f,_partial_:true}",
        "+model.deep=[{a:{_target_:bird.f}}]",
        "sweep.space.model={choices:[mlp,bird]}",
        "sweep.space.model={choices:[mlp,alias]}",
        "sweep.space.optimizer.learning_rate={choices:[0.1,{_target_:bird.f}]}",
        "+sweep.space.model._target_={choices:[besom.training.models.mlp,bird.f]}",
        "sweep.enqueue=[{model:bird}]",
        "sweep.enqueue=[{optimizer.learning_rate:{_target_:bird.f}}]",
        "sweep.enqueue=[bird.yaml]",
    ],
)
def test_a_sweep_is_refused_before_its_first_trial(hostile: Project, words: str) -> None:
    said = refused(hostile, "sweep", "cheap", *shlex.split(words.replace("'", '"')))
    assert "conf/trusted.yaml" in said


def test_so_is_a_dry_run(hostile: Project) -> None:
    assert "bird" in refused(hostile, "sweep", "cheap", "--dry-run", "model=bird")
    words = ("sweep", "cheap", "--dry-run", "sweep.enqueue=[{model:bird}]")
    assert "bird" in refused(hostile, *words)


@pytest.mark.parametrize("key", ["sweep.trust=[bird]", "+sweep.trust=[bird]", "+trust=[bird]"])
def test_no_config_says_whom_to_trust(hostile: Project, key: str) -> None:
    refused(hostile, "sweep", "cheap", "model=bird", key)
    hostile.write("sweeps/greedy.yaml", "defaults: [cheap, _self_]\nsweep: {trust: [bird]}\n")
    refused(hostile, "sweep", "greedy", "model=bird")


def test_a_search_path_does_not_import_a_package(hostile: Project) -> None:
    text = "defaults: [cheap, _self_]\nhydra: {searchpath: ['pkg://cage']}\n"
    hostile.write("sweeps/wide.yaml", text)
    assert "hydra.searchpath is 'cage'" in refused(hostile, "sweep", "wide")
    hostile.write("sweeps/wide.yaml", "x: pkg://cage\n" + text.replace("pkg://cage", "${x}"))
    assert "hydra.searchpath is 'cage'" in refused(hostile, "sweep", "wide")


@pytest.mark.parametrize("command", ["train", "show"])
def test_train_and_show_are_refused_before_anything_is_imported(
    hostile: Project, command: str
) -> None:
    before = set(sys.modules)
    refused(hostile, command, "data._target_=bird.f")
    assert "tensorflow" in before or "tensorflow" not in sys.modules


def test_an_export_from_a_stranger_is_judged_here(hostile: Project) -> None:
    groups = ("data", "model", "optimizer", "trainer")
    config = Composer(SearchPath.of(), "train").compose([]).config
    config["model"] = {"_target_": "bird.f"}
    hostile.write("best.yaml", yaml.safe_dump({group: config[group] for group in groups}))
    assert "model._target_ is 'bird.f'" in refused(hostile, "train", "best.yaml")


def test_a_stored_study_is_judged_anew(hostile: Project) -> None:
    words = ("sweep", "cheap", "sweep.n_trials=2", "results_dir=results/kept")
    assert hostile.besom(*words).exit_code == 0
    journal = hostile.root / "results/kept/cheap/study.journal"
    # Whoever forges a study leaves out what would give it away; such lines are an older besom's.
    trusted = re.sub(r',"seq":\d+,"crc":\d+}$', "}", journal.read_text(), flags=re.MULTILINE)
    for old, new in (
        ("trials.quadratic", "bird.f"),
        ("besom.training.models.mlp", "os.system"),
        ("besom.executors.local.LocalExecutor", "besom.executors.process.subprocess.Popen"),
    ):
        journal.write_text(trusted)
        edit_journal(journal, lambda text, old=old, new=new: text.replace(old, new))  # type: ignore[misc]
        for again in (["replay", "cheap", "1"], ["confirm", "cheap", "--on", "validation"]):
            said = refused(hostile, *again, "--results-dir", "results/kept")
            assert new in said
    journal.write_text(trusted)
    done = hostile.besom("replay", "cheap", "1", "--results-dir", "results/kept")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("said", ["file", "option"])
def test_what_is_trusted_reaches_the_workers(hostile: Project, said: str) -> None:
    hostile.write("../trusted_trials.py", (hostile.root / "trials.py").read_text())
    sys.path.insert(0, str(hostile.root.parent))
    words = ["sweep", "cheap", "sweep.trial_function=trusted_trials.quadratic", "sweep.n_trials=1"]
    try:
        assert "--trust trusted_trials" in refused(hostile, *words)
        if said == "file":
            hostile.write("conf/trusted.yaml", "- trusted_trials\n")
        done = hostile.besom(*words, *(["--trust", "trusted_trials"] if said == "option" else []))
        assert done.exit_code == 0, done.output
    finally:
        sys.path.remove(str(hostile.root.parent))


def test_python_callers_say_it_with_an_argument(hostile: Project) -> None:
    with pytest.raises(TrustError, match="--trust fractions"):
        besom.sweep("cheap", ["+model.share={_target_: fractions.Fraction}"])
    study = besom.sweep(
        "cheap",
        ["+model.share={_target_: fractions.Fraction}", "sweep.n_trials=1"],
        trust=["fractions"],
    )
    assert study.complete
    assert "fractions" not in current().entries


def test_a_partial_is_judged_by_what_it_calls(mine: Project) -> None:
    assert isinstance(resolve("mine.narrow"), functools.partial)
    assert resolve("mine.narrow")() == 3


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "a${oc.${x}:HOME}", r"\\${oc.env:HOME}"])
def test_a_complete_config_reads_nothing_beside_itself(mine: Project, text: str) -> None:
    config = Composer(SearchPath.of(), "train").compose([]).config
    groups = {group: config[group] for group in ("data", "model", "optimizer", "trainer")}
    mine.write("best.yaml", yaml.safe_dump({**groups, "x": "env", "name": text}))
    assert "name is " in refused(mine, "train", "best.yaml")
    mine.write("best.yaml", yaml.safe_dump({**groups, "name": r"\${oc.env:HOME}"}))
    assert composer_for_train("best.yaml", None).compose([]).config["name"] == "${oc.env:HOME}"
