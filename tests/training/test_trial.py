"""A worker's side of the seam: what ``prepare`` finds out and what ``run_trial`` gives back."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from besom.errors import ConfigError
from besom.seam import TrialResult
from besom.training import runtime
from besom.training.confirmation import run_confirmation
from besom.training.data.dataset import NoTestImages
from besom.training.trial import prepare, prepare_another, run_trial

pytestmark = pytest.mark.tensorflow

CONFIG: dict[str, Any] = {
    "data": {"_target_": "besom.training.data.digits", "validation_split": 0.1},
    "model": {
        "_target_": "besom.training.models.mlp",
        "hidden_units": [16],
        "activation": "relu",
        "dropout": 0.2,
    },
    "optimizer": {"_target_": "keras.optimizers.Adam", "learning_rate": 0.01},
    "trainer": {"epochs": 2, "batch_size": 64},
    "seed": 7,
}


def trial(**trainer: Any) -> TrialResult:
    return run_trial({**CONFIG, "trainer": CONFIG["trainer"] | trainer}, lambda *_: False)


def test_prepare_tells_what_every_trial_will_have() -> None:
    facts = prepare(CONFIG)
    result = trial()
    assert set(facts["metrics"]) == set(result.history)
    assert set(facts["numbers"]) == set(result.numbers)
    assert facts["n_params"] == result.numbers["n_params"] == 64 * 16 + 16 + 16 * 10 + 10
    assert facts["data"] | {"n_train": 0, "n_validation": 0, "fingerprint": ""} == {
        "name": "digits",
        "fingerprint": "",
        "n_train": 0,
        "n_validation": 0,
        "input_shape": [8, 8],
        "input_scale": 1 / 16,
        "num_classes": 10,
        "task": "classification, 10 classes",
        "split": "stratified by class",
    }
    assert facts["n_classes_unjudged"] == 0
    assert set(facts["versions"]) == {"tensorflow", "keras", "numpy", "python"}
    assert set(facts["device"]) == {"cpu", "gpus", "threads"}
    json.dumps(facts)


def test_a_worker_beside_the_first_only_loads() -> None:
    facts = prepare_another(CONFIG | {"model": {"_target_": "not.tried"}})
    assert facts["data"] == prepare(CONFIG)["data"]
    assert "metrics" not in facts


def test_further_configs_are_tried_by_name() -> None:
    other = CONFIG | {"trainer": {"metrics": ["acuracy"]}}
    with pytest.raises(ConfigError, match=r"^Trial 3: trainer\.metrics is 'acuracy'"):
        prepare(CONFIG | {"orders": {"rehearse": {"Trial 3": other}}})


def test_classes_without_a_validation_image_are_counted() -> None:
    from training_world import of_arrays

    x = np.zeros((6, 2, 2), np.uint8)
    data = of_arrays(x, np.arange(6), x[:3], np.array([1, 1, 4]), 6)
    assert runtime.environment(data)["n_classes_unjudged"] == 4
    none = replace(data, validation=None)
    assert runtime.environment(none)["n_classes_unjudged"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainer": {"monitor": "val_acuracy", "patience": 2}}, "Did you mean 'val_accuracy'"),
        ({"trainer": {"loss": "categorical_crossentropy"}}, "expects one-hot labels"),
        ({"model": {"_target_": "besom.training.models.mlp", "units": 3}}, "no argument 'units'"),
        (
            {
                "data": CONFIG["data"] | {"validation_split": 0},
                "trainer": {"restore_best": True},
            },
            "no validation examples",
        ),
    ],
)
def test_prepare_refuses_what_no_trial_could_run(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare({**CONFIG, **changes})


def test_a_result_holds_what_a_leaderboard_needs() -> None:
    reported: list[int] = []

    def report(epoch: int, metrics: object) -> bool:
        reported.append(epoch)
        return False

    result = run_trial(CONFIG, report)
    assert reported == [1, 2]
    assert result.best_epoch == 2
    assert not result.stopped_early
    assert result.numbers["model_bytes"] == 4 * result.numbers["n_params"]
    assert result.numbers["seconds_per_epoch"] > 0
    assert result.environment["engine"] == "compiled"
    assert result.environment["kernel"] == "ResourceApplyAdam"
    assert result.correct is not None
    bits = np.unpackbits(np.frombuffer(result.correct, np.uint8), count=result.n_validation)
    assert bits.mean() == pytest.approx(result.history["val_accuracy"][-1])
    assert result.correct_by_epoch is not None
    assert (len(result.correct_by_epoch), result.correct_by_epoch[-1]) == (2, result.correct)
    json.dumps(result.environment)


def test_a_stopped_trial_returns_its_history_so_far() -> None:
    result = run_trial(CONFIG, lambda epoch, _: epoch == 1)
    assert all(len(values) == 1 for values in result.history.values())
    assert result.best_epoch == 1


def test_a_confirmation_is_the_trial_and_what_the_test_images_say() -> None:
    config = {**CONFIG, "trainer": CONFIG["trainer"] | {"restore_best": True}}
    trained = run_trial(config, lambda *_: False)
    confirmed = run_confirmation(config, lambda *_: False)
    assert confirmed.history == trained.history
    assert confirmed.best_epoch == trained.best_epoch
    assert confirmed.environment == trained.environment
    added = set(confirmed.numbers) - set(trained.numbers)
    assert added == {"test_loss", "test_accuracy", "n_test"}
    assert confirmed.numbers["n_test"] == confirmed.n_validation == 360
    assert confirmed.correct is not None
    right = np.unpackbits(np.frombuffer(confirmed.correct, np.uint8), count=360)
    assert right.mean() == pytest.approx(confirmed.numbers["test_accuracy"], abs=1e-6)
    json.dumps(confirmed.numbers)


def test_a_confirmation_that_was_stopped_opens_no_test_image_to_its_model() -> None:
    stopped = run_confirmation(CONFIG, lambda epoch, _: epoch == 1)
    assert stopped.epochs == 1
    assert not [name for name in stopped.numbers if "test" in name]


def test_without_test_images_a_confirmation_trains_nothing(tmp_path: Path) -> None:
    x, y = np.zeros((40, 4, 4), np.uint8), np.arange(40) % 4
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y)
    node = {"_target_": "besom.training.data.npz", "path": str(tmp_path / "mine.npz")}
    reported: list[int] = []
    with pytest.raises(NoTestImages):
        run_confirmation({**CONFIG, "data": node}, lambda epoch, _: bool(reported.append(epoch)))
    assert reported == []


@pytest.mark.long
def test_a_fresh_process_gives_the_same_history_bit_for_bit() -> None:
    code = (
        "import json, sys; from besom.training.trial import run_trial;"
        "print(json.dumps(run_trial(json.loads(sys.argv[1]), lambda *_: False).history))"
    )
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(CONFIG)],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == trial().history


def test_nonsense_in_the_thread_variable_is_refused() -> None:
    from besom.training.runtime import threads_wanted

    with pytest.MonkeyPatch.context() as patch:
        for text in ("0", "two", "-1"):
            patch.setenv("BESOM_THREADS", text)
            with pytest.raises(ConfigError, match=f"BESOM_THREADS is '{text}'"):
                threads_wanted()
        patch.setenv("BESOM_THREADS", "3")
        assert threads_wanted() == 3
        patch.setenv("BESOM_THREADS", "")
        assert threads_wanted() is None


@pytest.mark.long
def test_many_trials_do_not_fill_the_memory() -> None:
    import psutil

    process = psutil.Process()
    sizes = []
    for _ in range(3):
        for _ in range(4):
            assert math.isfinite(trial(epochs=1).numbers["seconds_per_epoch"])
        sizes.append(process.memory_info().rss)
    assert sizes[-1] - sizes[0] < 64 * 2**20
