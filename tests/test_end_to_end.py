"""The two commands of the README and what comes after them, on real data with real training."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from besom.config import read_yaml
from besom.store.records import Outcome
from besom.study import load_record
from besom.training.data import load_test
from user_project import Project

pytestmark = pytest.mark.tensorflow

MNIST = os.environ.get("BESOM_MNIST")
FAST = "trainer.batch_size=64"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """An empty folder that the tests of this module share, as a user's day goes on."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("home")
        patch.chdir(root)
        patch.delenv("BESOM_RESULTS_DIR", raising=False)
        yield Project(root)


def python(code: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# The first command


#: Folds are in test_folds_end_to_end.py. With one worker TensorFlow is imported once.
ONE_SPLIT = ("sweep.folds=null", "sweep.n_trials=3", "trainer.epochs=2", FAST)
ONE_SPLIT += ("sweep.executor.workers=1", "sweep.plots=false", "sweep.replicates=auto")


@pytest.fixture(scope="module")
def swept(home: Project) -> subprocess.CompletedProcess[str]:
    return home.run("sweep", "quickstart", *ONE_SPLIT)


Swept = subprocess.CompletedProcess[str]


def test_the_first_command_sweeps_in_an_empty_folder(home: Project, swept: Swept) -> None:
    assert swept.returncode == 0, swept.stderr
    assert swept.stderr == ""
    assert "over the baseline" in swept.stdout
    for chatter in ("oneDNN", "cuda", "CUDA", "WARNING", "tensorflow"):
        assert chatter not in swept.stdout
    study = load_record(home.root / "results", "quickstart")
    assert [t.outcome for t in study.trials] == [Outcome.COMPLETE] * 3
    for trial in study.trials:
        assert set(trial.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
        assert trial.epochs == 2
        assert trial.value == max(trial.history["val_accuracy"])
        assert trial.numbers["n_params"] > 0
        assert trial.n_validation == 287
        assert trial.correct is not None
    assert study.trials[0].config["model"]["hidden_units"] == [128]
    (environment,) = study.facts["environments"].values()
    assert {"tensorflow", "keras", "numpy"} <= set(environment["versions"])
    assert len(environment["data"]["fingerprint"]) >= 8


def test_the_same_command_again_finds_nothing_left_to_do(home: Project, swept: Swept) -> None:
    journal = home.root / "results/quickstart/study.journal"
    before = journal.read_bytes()
    again = home.besom("sweep", "quickstart", *ONE_SPLIT)
    assert again.exit_code == 0, again.output
    assert journal.read_bytes() == before


# The winner, retrained


@pytest.fixture(scope="module")
def trained(home: Project, swept: Swept) -> list[tuple[int, str, str]]:
    exported = home.besom("export", "quickstart", "-o", "best.yaml")
    assert exported.exit_code == 0, exported.output
    home.write("mine.py", USERS_OWN)
    home.write("conf/model/mine.yaml", "_target_: mine.model\nwidth: 4\n")
    given = [
        ["train", "best.yaml", "trainer.epochs=3", "seed=3", "name=winner"],
        ["train", FAST, "trainer.epochs=2", "name=twin", "seed=5"],
        ["train", "results/train/twin/config.yaml"],
        ["train", *TUTORIAL],
        ["show"],
        ["show", "-o", "pictures/digits.png", "seed=1"],
        ["train", "model=mine", "optimizer._target_=mine.MyAdam", *SHORT],
        ["train", "optimizer.learning_rate=1e30", "optimizer=sgd", "name=diverged", *SHORT],
    ]
    said = [home.besom(*words) for words in given]
    return [(one.exit_code, one.stdout, one.stderr + repr(one.exception or "")) for one in said]


TUTORIAL = ("tutorial", "data=digits", "trainer.epochs=2", FAST)
SHORT = ("trainer.epochs=1", FAST)
USERS_OWN = """
import keras

class MyAdam(keras.optimizers.Adam):
    pass

def model(input_shape, num_classes, width):
    return keras.Sequential([
        keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(width),
        keras.layers.Dense(num_classes, activation="softmax"),
    ])
"""


Trained = list[tuple[int, str, str]]


def test_an_exported_model_comes_with_the_scale_of_its_input(home: Project, swept: Swept) -> None:
    del swept
    exported = home.besom("export", "quickstart", "--model", "-o", "best.keras")
    assert exported.exit_code == 0, exported.output
    assert (home.root / "best.keras").is_file()
    assert "images multiplied by 0.0625" in exported.output


def test_the_exported_winner_is_retrained_with_overrides(home: Project, trained: Trained) -> None:
    code, out, err = trained[0]
    assert code == 0, err
    lines = out.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3"]
    assert "training accuracy 0." in lines[0]
    assert "validation accuracy 0." in lines[0]
    assert sum("test" in line.lower() for line in lines) == 1
    folder = home.root / "results/train/winner"
    config = read_yaml(folder / "config.yaml")
    best = read_yaml(home.root / "best.yaml")
    assert config["model"] == best["model"]
    assert (config["seed"], config["trainer"]["epochs"]) == (3, 3)


def test_a_run_leaves_everything_that_was_promised(home: Project, trained: Trained) -> None:
    folder = home.root / "results/train/winner"
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.yaml",
        "history.csv",
        "learning_curve.png",
        "metrics.json",
        "model.keras",
    ]
    rows = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(rows[0])
    metrics = json.loads((folder / "metrics.json").read_text())
    assert 0 < metrics["test"]["accuracy"] <= 1


def test_a_trials_values_come_back_when_its_stored_config_is_trained_again(
    home: Project, swept: Swept
) -> None:
    from besom.training.trial import run_trial

    trial = load_record(home.root / "results", "quickstart").trials[1]
    assert run_trial(trial.config, lambda *_: False).history == trial.history
    assert len(trial.history["val_accuracy"]) == 2


def test_two_runs_of_the_same_seed_give_the_same_history(home: Project, trained: Trained) -> None:
    histories = [
        (home.root / "results/train" / name / "history.csv").read_bytes()
        for name in ("twin", "twin-2")
    ]
    assert [code for code, _, _ in trained[1:3]] == [0, 0]
    assert histories[0] == histories[1], "the command, and its own resolved config"


def test_the_tutorials_way_watches_the_test_accuracy_every_epoch(
    home: Project, trained: Trained
) -> None:
    code, out, err = trained[3]
    assert code == 0, err
    epochs = [line for line in out.splitlines() if line.startswith("Epoch")]
    assert len(epochs) == 2
    assert all(
        re.fullmatch(r"Epoch ./2: training accuracy 0\.\d+, test accuracy 0\.\d+", line)
        for line in epochs
    )
    assert "Choose nothing by the test metrics" in out
    log = (home.root / "results/train/test_openings.csv").read_text()
    assert "train,digits" in log
    assert (home.root / "results/train/tutorial/learning_curve.png").is_file()


def test_show_draws_ten_images_and_prints_where(home: Project, trained: Trained) -> None:
    for code, out, err in trained[4:6]:
        assert code == 0, err
        path = home.root / out.strip()
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 5000
    assert (home.root / "pictures/digits.png").exists()


def test_a_users_own_model_and_optimizer_need_no_change_of_besom(
    home: Project, trained: Trained
) -> None:
    code, _, err = trained[6]
    assert code == 0, err


def test_a_run_that_diverges_is_said_and_leaves_no_half_folder(
    home: Project, trained: Trained
) -> None:
    code, _, err = trained[7]
    assert code == 2
    assert "diverged" in err
    assert "Traceback" not in err
    names = [path.name for path in (home.root / "results/train").iterdir()]
    assert not [name for name in names if "diverged" in name]


@pytest.mark.long
def test_the_model_loads_with_plain_keras_where_besom_is_not_installed(
    home: Project, trained: Trained
) -> None:
    """And it classifies every test image as it did where it was trained."""
    folder = home.root / "results/train/winner"
    config = read_yaml(folder / "config.yaml")
    metrics = json.loads((folder / "metrics.json").read_text())
    images = load_test(config["data"])
    np.savez(home.root / "test.npz", x=images.x * np.float32(metrics["input_scale"]), y=images.y)
    code = """
import json, sys
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "besom":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nowhere())
import keras, numpy
model = keras.models.load_model(sys.argv[1])
assert "besom" not in sys.modules
with numpy.load(sys.argv[2]) as images:
    outputs = model.predict(images["x"], verbose=0)
    print(json.dumps([outputs.shape, float((outputs.argmax(1) == images["y"]).mean())]))
"""
    said = python(code, str(folder / "model.keras"), str(home.root / "test.npz"))
    shape, accuracy = json.loads(said.splitlines()[-1])
    assert shape == [360, 10]
    assert accuracy == pytest.approx(metrics["test"]["accuracy"])


# The test images


def test_a_sweep_never_opens_the_test_images(home: Project) -> None:
    """The dataset itself breaks whoever asks it for them."""
    home.write(
        "guarded.py",
        "import numpy as np\n"
        "from besom.training.data import Dataset\n"
        "def spirals(split):\n"
        "    open('asked_for', 'a').write(split + '\\n')\n"
        "    assert split == 'train', 'the sweep has asked for the test images'\n"
        "    random = np.random.default_rng(0)\n"
        "    y = np.arange(200) % 2\n"
        "    x = (random.normal(size=(200, 4)) + y[:, None]).astype('float32')\n"
        "    return Dataset(x=x, y=y, num_classes=2, scale=1.0, name='spirals')\n",
    )
    option = "_target_: guarded.spirals\nvalidation_split: 0.2\nsplit_seed: 0\n"
    home.write("conf/data/spirals.yaml", option)
    words = ("data=spirals", "sweep.n_trials=2", "trainer.epochs=1", "sweep.name=guarded")
    words += ("sweep.folds=2", "sweep.executor.workers=1", "sweep.plots=false")
    words += ("sweep.replicates=0", "trainer.batch_size=200")
    home.done("sweep", "quickstart", *words)
    study = load_record(home.root / "results", "guarded")
    assert [t.outcome for t in study.trials] == [Outcome.COMPLETE] * 2
    asked = (home.root / "asked_for").read_text().split()
    assert set(asked) == {"train"}


# MNIST


@pytest.mark.long
@pytest.mark.skipif(MNIST is None, reason="BESOM_MNIST names no mnist.npz")
def test_the_tutorials_run_on_mnist_beats_ninety_percent_after_one_epoch(home: Project) -> None:
    small = ("trainer.epochs=1", "trainer.batch_size=512", "name=mnist")
    out = home.done("train", "tutorial", f"data.path={MNIST}", *small)
    assert "Epoch 1/1: training accuracy 0." in out
    shown = home.done("show", "data=mnist", f"data.path={MNIST}")
    assert (home.root / shown.strip()).exists()
    metrics = json.loads((home.root / "results/train/mnist/metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.9
    assert metrics["n_params"] == 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10
