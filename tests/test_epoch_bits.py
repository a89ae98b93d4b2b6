"""Every epoch's predictions, from a worker to what a reporting command reads, and small on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest
from optuna.trial import create_trial

from besom.statistics import claim
from besom.store.predictions import EpochBits
from besom.store.records import Outcome, TrialRecord
from besom.store.stored_records import ATTRIBUTE, from_frozen, to_attribute
from besom.study import load_record, make_plan, run_sweep
from user_project import Project


def packed(right: np.ndarray) -> list[bytes]:
    return [row.tobytes() for row in np.packbits(right, axis=1)]


@pytest.mark.parametrize(("n_epochs", "n_images"), [(1, 1), (1, 9), (7, 16), (30, 1001)])
def test_what_is_packed_is_unpacked_bit_for_bit(n_epochs: int, n_images: int) -> None:
    right = np.random.default_rng(0).random((n_epochs, n_images)) < 0.9
    np.testing.assert_array_equal(EpochBits.pack(packed(right)).unpack(n_images), right)


def test_epochs_that_agree_on_most_images_take_little_room() -> None:
    rng = np.random.default_rng(0)
    first = rng.random(10_000) < 0.98
    changed = rng.random((20, 10_000)) < 0.005
    changed[0] = False
    epochs = packed(first ^ np.logical_xor.accumulate(changed, axis=0))
    assert len(EpochBits.pack(epochs).stored) < 0.25 * sum(map(len, epochs))


@pytest.mark.parametrize("stored", ["AAAA", "not base64"])
def test_what_is_damaged_is_refused_when_it_is_asked_for(stored: str) -> None:
    with pytest.raises(ValueError):
        EpochBits(stored).unpack(100)


def test_a_record_is_read_as_it_was_stored_and_an_old_one_has_no_epochs() -> None:
    bits = EpochBits.pack([b"\xff", b"\x7f"])
    record = TrialRecord(0, Outcome.COMPLETE, (0.5,), n_validation=8, correct_by_epoch=bits)
    attribute = json.loads(json.dumps(to_attribute(record)))
    stored = create_trial(value=0.5, user_attrs={ATTRIBUTE: attribute})
    assert from_frozen(stored).correct_by_epoch == bits
    del attribute["correct_by_epoch"]
    old = create_trial(value=0.5, user_attrs={ATTRIBUTE: attribute})
    assert from_frozen(old).correct_by_epoch is None


def test_a_sweep_keeps_them_where_the_best_epoch_counts_and_only_there(project: Project) -> None:
    studies = {}
    for epoch in ("best", "last"):
        name = f"judged_{epoch}"
        overrides = [
            "sweep.trial_function=cheap_trials.judged",
            f"sweep.objective.epoch={epoch}",
            f"sweep.name={name}",
            "sweep.n_trials=4",
        ]
        results = project.root / "results"
        run_sweep(make_plan("cheap", overrides, results_dir=results))
        studies[epoch] = load_record(results, name)
    for trial in studies["best"].complete:
        assert trial.correct_by_epoch is not None
        shares = trial.correct_by_epoch.unpack(trial.n_validation).mean(axis=1)
        assert shares == pytest.approx(trial.history["val_accuracy"])
    assert not any("epoch" in caveat for caveat in claim(studies["best"]).caveats)
    assert len(studies["last"].complete) == 4
    assert all(trial.correct_by_epoch is None for trial in studies["last"].complete)
