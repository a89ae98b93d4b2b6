"""The claim: one sentence that is right for every study, also the awkward ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from besom.errors import StudyError
from besom.statistics import claim, score
from besom.store.predictions import EpochBits, keep
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord

ACCURACY = Objective("val_accuracy", "maximize")
ERROR_RATE = Objective("val_error", "minimize")
LOSS = Objective("val_loss", "minimize")


def trial(
    number: int, right: np.ndarray, value: float | None = None, **rest: object
) -> TrialRecord:
    """A complete trial; its value is what Keras would report, in float32."""
    stored = float(np.float32(right.mean())) if value is None else value
    bits = np.packbits(right).tobytes()
    return TrialRecord(
        number, Outcome.COMPLETE, (stored,), n_validation=right.size, correct=bits, **rest
    )


def study(
    trials: Sequence[TrialRecord], *objectives: Objective, name: str = "mnist_mlp"
) -> StudyRecord:
    return StudyRecord(name, objectives or (ACCURACY,), tuple(trials))


def predictions(accuracies: Sequence[float], n: int = 10_000, seed: int = 0) -> np.ndarray:
    """Rows that share the difficulty of the images, as trained networks do."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n)
    own = rng.random((len(accuracies), n))
    blurred = 0.97 * hard + 0.03 * own
    limits = np.quantile(blurred, accuracies, axis=1).diagonal()
    return blurred < limits[:, None]


def test_the_sentence_says_who_leads_who_is_tied_and_the_corrected_score() -> None:
    right = predictions([0.97, 0.983, 0.9832, 0.9831, 0.96])
    result = claim(study([trial(i, row) for i, row in enumerate(right)]))
    assert result.leader == 2
    assert result.tied == (3, 1)
    assert result.text.startswith("trial 2 leads; 2 others are tied with it at 95 %; corrected for")
    assert "selection it is 98." in result.text
    assert " % ± 0." in result.text
    assert result.raw is not None
    assert result.corrected is not None
    assert result.raw > result.corrected
    assert result.interval is not None
    assert result.interval.low < result.corrected < result.interval.high


def test_every_row_carries_its_rank_error_and_tie() -> None:
    right = predictions([0.97, 0.983, 0.9832])
    rows = claim(study([trial(i, row) for i, row in enumerate(right)])).rows
    assert list(rows) == [2, 1, 0]
    assert [row.rank for row in rows.values()] == [1, 2, 3]
    assert [row.tied for row in rows.values()] == [True, True, False]
    assert rows[2].p_value == 1.0
    assert rows[0].p_value is not None
    assert rows[0].p_value < 0.05
    assert rows[0].standard_error == pytest.approx(0.0017, abs=1e-4)


def test_one_tied_trial_is_spoken_of_in_the_singular_and_none_as_none() -> None:
    right = predictions([0.983, 0.9832, 0.9])
    text = claim(study([trial(i, row) for i, row in enumerate(right)])).text
    assert "; 1 other is tied with it at 95 %;" in text
    text = claim(study([trial(i, row) for i, row in enumerate(right[1:])])).text
    assert "; no other is tied with it at 95 %;" in text


def test_the_first_row_is_tied_only_if_another_is_tied_with_it() -> None:
    right = predictions([0.983, 0.9832, 0.9])
    trials = [trial(i, row) for i, row in enumerate(right)]
    assert claim(study(trials)).rows[1].tied is True
    assert claim(study(trials[1:])).rows[1].tied is False


@pytest.mark.parametrize(
    ("metric", "kind", "numbers", "low", "high"),
    [
        ("val_mae", "mean", np.eye(60)[0], 0.0, 1.0),
        ("val_bias", "mean", np.eye(60)[0] - 0.016, -1.0, 1.0),
        ("val_rmse", "other", np.linspace(0.0, 0.1, 200), 0.0, 1.0),
        ("val_auc", "other", np.linspace(0.9, 1.0, 200), 0.0, 1.0),
    ],
)
def test_an_interval_holds_no_value_that_the_metric_cannot_have(
    tmp_path: Path, metric: str, kind: str, numbers: np.ndarray, low: float, high: float
) -> None:
    value = float(numbers.mean()) if kind == "mean" else 0.01 if "rmse" in metric else 0.99
    given = {
        "kind": kind,
        "values": np.tile(numbers, 1 + (kind == "other")).astype("<f4").tobytes(),
    }
    kept = keep({metric: given}, tmp_path / "0.npz")
    only = TrialRecord(0, Outcome.COMPLETE, (value,), n_validation=60, per_example=kept)
    found = claim(study([only], Objective(metric, "minimize")))
    assert found.interval is not None
    for interval in (found.interval, found.rows[0].interval):
        assert interval is not None
        assert interval.low < value < interval.high
        assert interval.low >= low
        assert interval.high <= high
        assert (interval.low < 0) is (low < 0)


def test_the_baseline_is_compared_with_the_corrected_leader() -> None:
    right = predictions([0.97, 0.983, 0.9832])
    trials = [trial(i, row, baseline=i == 0) for i, row in enumerate(right)]
    result = claim(study(trials))
    gain = result.baseline
    assert gain is not None
    assert gain.trial == 0
    assert gain.raw == pytest.approx(0.0132, abs=1e-4)
    assert gain.gain < gain.raw
    assert gain.shown
    assert gain.p_value < 1e-6
    assert result.text.endswith("points over the baseline")


def test_a_leader_that_cannot_be_told_from_the_baseline_is_said_not_to_be() -> None:
    right = predictions([0.983, 0.9832, 0.9829])
    trials = [trial(i, row, baseline=i == 0) for i, row in enumerate(right)]
    result = claim(study(trials))
    assert result.baseline is not None
    assert not result.baseline.shown
    assert "which is not distinguishable from the baseline (a gain of" in result.text


def test_a_baseline_that_leads_is_named_and_gains_nothing_over_itself() -> None:
    right = predictions([0.99, 0.98])
    result = claim(study([trial(0, right[0], baseline=True), trial(1, right[1])]))
    assert result.baseline is None
    assert result.text.endswith("and it is the baseline itself")


def test_a_baseline_that_failed_is_missed_aloud() -> None:
    right = predictions([0.98, 0.981])
    base = TrialRecord(0, Outcome.DIVERGED, baseline=True)
    result = claim(study([base, trial(1, right[0]), trial(2, right[1])]))
    assert any("baseline did not complete" in caveat for caveat in result.caveats)


def test_equal_scores_lead_together_whatever_the_rounding_of_keras() -> None:
    rng = np.random.default_rng(0)
    right = np.ones((3, 1000), dtype=bool)
    for row, wrong in zip(right, (20, 20, 300), strict=True):
        row[rng.choice(1000, wrong, replace=False)] = False
    trials = [trial(0, right[0], 0.98), trial(1, right[1], 0.98 + 6e-8), trial(2, right[2])]
    result = claim(study(trials))
    assert [row.rank for row in result.rows.values()] == [1, 1, 3]
    assert result.leader == 0
    assert result.tied == (1,)
    assert result.text.startswith("trials 0 and 1 lead together; no other is tied with them at")
    assert "corrected for selection the best is" in result.text


def test_all_trials_equal_are_all_tied() -> None:
    row = predictions([0.98], n=500)[0]
    result = claim(study([trial(i, row) for i in range(9)]))
    assert result.text.startswith("9 trials (0, 1, 2, ...) lead together")
    assert result.tied == tuple(range(1, 9))
    assert result.corrected == result.raw


def test_one_complete_trial_was_not_picked() -> None:
    row = predictions([0.98])[0]
    result = claim(study([trial(3, row), TrialRecord(4, Outcome.ERROR)]))
    assert result.text == (
        "trial 3 is the only complete trial, so nothing was picked: "
        "it is 98.00 % ± 0.14 (95 % interval 97.71 to 98.26)"
    )
    assert result.corrected == result.raw


def test_where_all_failed_nothing_may_be_claimed() -> None:
    failed = [TrialRecord(i, Outcome.DIVERGED) for i in range(3)]
    assert claim(study(failed)).text == "all 3 trials failed, so nothing may be claimed"
    assert claim(study(failed[:1])).text.startswith("the only trial failed")
    some = [*failed, TrialRecord(3, Outcome.PRUNED)]
    assert claim(study(some)).text.startswith("none of the 4 trials is complete (3 failed)")
    assert claim(study([])).text.startswith("no trial has run yet")
    assert claim(study(failed)).leader is None


def test_an_error_rate_to_be_minimised_is_claimed_like_an_accuracy() -> None:
    right = predictions([0.97, 0.983, 0.9832])
    trials = [trial(i, row, 1.0 - float(row.mean())) for i, row in enumerate(right)]
    result = claim(study(trials, ERROR_RATE))
    assert result.leader == 2
    assert result.tied == (1,)
    assert result.raw == pytest.approx(0.0168)
    assert result.corrected is not None
    assert result.corrected > result.raw
    assert result.interval is not None
    assert result.interval.low < result.corrected < result.interval.high


def test_a_loss_has_a_leader_and_the_rest_is_said_not_to_be_claimable() -> None:
    right = predictions([0.97, 0.98])
    result = claim(study([trial(0, right[0], 0.06), trial(1, right[1], 0.05)], LOSS))
    assert (result.leader, result.raw, result.corrected, result.tied) == (1, 0.05, None, ())
    assert result.text.startswith("trial 1 leads with val_loss 0.05; val_loss is not the share")
    assert "besom confirm mnist_mlp" in result.text
    assert [row.rank for row in result.rows.values()] == [1, 2]
    assert all(row.tied is None for row in result.rows.values())


def test_an_accuracy_at_another_epoch_than_the_bits_is_not_passed_off_as_theirs() -> None:
    right = predictions([0.97, 0.98])
    result = claim(study([trial(i, row, row.mean() - 0.01) for i, row in enumerate(right)]))
    assert result.corrected is None
    assert "is not the share of validation examples that is stored" in result.text


def test_missing_predictions_are_named_and_the_rest_is_compared() -> None:
    right = predictions([0.98, 0.981, 0.97])
    bare = TrialRecord(3, Outcome.COMPLETE, (0.975,))
    result = claim(study([*(trial(i, row) for i, row in enumerate(right)), bare]))
    assert result.leader == 1
    assert result.rows[3].tied is None
    assert any("1 complete trial has no stored predictions" in c for c in result.caveats)
    leads = TrialRecord(3, Outcome.COMPLETE, (0.999,))
    result = claim(study([*(trial(i, row) for i, row in enumerate(right)), leads]))
    assert result.leader == 3
    assert result.corrected is None
    assert "are not stored" in result.text


def test_trials_judged_on_other_images_are_not_called_tied() -> None:
    right = predictions([0.98, 0.981], n=2000)
    other = predictions([0.9805], n=1000)[0]
    result = claim(study([trial(0, right[0]), trial(1, right[1]), trial(2, other)]))
    assert result.tied == (0,)
    assert result.rows[2].tied is None


def test_several_objectives_crown_no_winner() -> None:
    values = [(0.98, 900.0), (0.97, 100.0), (0.96, 500.0)]
    trials = [TrialRecord(i, Outcome.COMPLETE, v) for i, v in enumerate(values)]
    result = claim(study(trials, ACCURACY, Objective("n_params", "minimize")))
    assert result.leader is None
    assert result.front == (0, 1)
    assert result.text == (
        "with 2 objectives (val_accuracy and n_params) there is no single winner; "
        "2 of 3 complete trials are on the Pareto front (trials 0 and 1)"
    )


def test_pruned_trials_and_few_images_limit_the_claim() -> None:
    right = predictions([0.9, 0.85], n=40)
    result = claim(study([*(trial(i, r) for i, r in enumerate(right)), *_pruned(2)]))
    assert any(c.startswith("2 trials were pruned on the same") for c in result.caveats)
    assert any(
        "only 40 validation examples: one of them is 2.5 points" in c for c in result.caveats
    )
    assert claim(study([trial(0, predictions([0.9])[0])])).caveats == ()


def run_of(
    number: int, epochs: np.ndarray, metric: str = "val_accuracy", **rest: object
) -> TrialRecord:
    """A trial worth its best epoch, with the predictions of every epoch."""
    shares = epochs.mean(axis=1).astype(np.float32)
    scores = shares if metric == "val_accuracy" else np.float32(1) - shares
    best = int(shares.argmax())
    bits = [row.tobytes() for row in np.packbits(epochs, axis=1)]
    return TrialRecord(
        number,
        Outcome.COMPLETE,
        (float(scores[best]),),
        n_validation=epochs.shape[1],
        history={metric: [float(score) for score in scores]},
        best_epoch=best + 1,
        **{"correct": bits[best], "correct_by_epoch": EpochBits.pack(bits)} | rest,
    )


def noisy_runs(n_trials: int = 4, n_epochs: int = 8, n: int = 1000) -> list[np.ndarray]:
    """Equally good epochs of equally good trials."""
    rng = np.random.default_rng(0)
    difficulty = rng.beta(0.57 * 0.95, 0.57 * 0.05, n)
    return list(rng.random((n_trials, n_epochs, n)) < difficulty)


def test_where_every_epochs_predictions_are_stored_its_luck_is_corrected() -> None:
    runs = noisy_runs()
    known = claim(study([run_of(i, epochs) for i, epochs in enumerate(runs)]))
    unknown = claim(
        study([run_of(i, epochs, correct_by_epoch=None) for i, epochs in enumerate(runs)])
    )
    assert known.caveats == ()
    assert [c for c in unknown.caveats if "each trial's best epoch (of up to 8) was picked" in c]
    assert (known.leader, known.raw, known.tied) == (unknown.leader, unknown.raw, unknown.tied)
    assert known.corrected is not None
    assert unknown.corrected is not None
    assert known.corrected < unknown.corrected < (unknown.raw or 0)


def test_an_error_rate_is_corrected_for_its_epoch_like_an_accuracy() -> None:
    runs = noisy_runs()
    right = claim(study([run_of(i, epochs) for i, epochs in enumerate(runs)]))
    wrong = claim(study([run_of(i, e, "val_error") for i, e in enumerate(runs)], ERROR_RATE))
    assert (wrong.leader, wrong.tied, wrong.caveats) == (right.leader, right.tied, ())
    assert right.corrected is not None
    assert wrong.corrected == pytest.approx(1.0 - right.corrected)


def test_one_trial_was_picked_from_its_epochs() -> None:
    result = claim(study([run_of(0, noisy_runs(1)[0])]))
    assert result.text.startswith(
        "trial 0 is the only complete trial; corrected for the choice of its epoch it is 9"
    )
    assert result.raw is not None
    assert result.corrected is not None
    assert result.corrected < result.raw


def test_the_luck_of_the_baselines_epoch_is_not_held_against_the_gain() -> None:
    base, other = noisy_runs(2)
    better = other | (np.random.default_rng(1).random(other.shape) < 0.5)
    trials = [run_of(0, base, baseline=True), run_of(1, better)]
    known = claim(study(trials)).baseline
    one_epoch = claim(study([replace(trials[0], correct_by_epoch=None), trials[1]])).baseline
    assert known is not None
    assert one_epoch is not None
    assert known.raw == one_epoch.raw
    assert known.gain > one_epoch.gain
    assert known.interval.low > one_epoch.interval.low


def test_epochs_that_are_not_those_of_the_history_are_not_corrected_with() -> None:
    runs = noisy_runs(3)
    trials = [run_of(i, epochs) for i, epochs in enumerate(runs)]
    trials[1] = replace(trials[1], correct_by_epoch=run_of(1, runs[1][::-1]).correct_by_epoch)
    said = claim(study(trials)).caveats
    assert [c for c in said if c.startswith("the best epoch of 1 trial (of up to 8) was picked")]


def test_damaged_predictions_of_epochs_are_named() -> None:
    trials = [run_of(i, epochs) for i, epochs in enumerate(noisy_runs(2))]
    for stored in ("AAAA", "not base64", EpochBits.pack([b"abc"]).stored):
        damaged = replace(trials[0], correct_by_epoch=EpochBits(stored))
        with pytest.raises(StudyError, match="trial 0 stores predictions of its epochs"):
            claim(study([damaged, trials[1]]))


def test_epochs_hopelessly_behind_are_not_even_unpacked() -> None:
    good = [run_of(i, epochs) for i, epochs in enumerate(noisy_runs(3))]
    bad = run_of(3, predictions([0.5] * 4, 1000), correct_by_epoch=EpochBits("damaged"))
    assert claim(study([*good, bad])).corrected == claim(study(good)).corrected


def test_the_best_of_several_epochs_limits_the_claim_and_the_last_one_does_not() -> None:
    right = predictions([0.98, 0.95])
    curves = ([0.9, 0.97, 0.98], [0.95])
    trials = [
        trial(i, row, history={"val_accuracy": curve})
        for i, (row, curve) in enumerate(zip(right, curves, strict=True))
    ]
    said = claim(study(trials)).caveats
    assert [c for c in said if "best epoch (of up to 3) was picked on the same validation" in c]
    last = Objective("val_accuracy", "maximize", "last")
    assert claim(study(trials, last)).caveats == ()
    assert claim(study([trials[1]])).caveats == ()


def test_classes_absent_from_validation_limit_the_claim() -> None:
    right = predictions([0.98, 0.981])
    said = {
        n: claim(
            study([trial(i, r, environment={"n_classes_unjudged": n}) for i, r in enumerate(right)])
        ).caveats
        for n in (0, 1, 3)
    }
    assert said[0] == claim(study([trial(i, r) for i, r in enumerate(right)])).caveats == ()
    assert said[1] == (
        "1 class has no validation example, so nothing here says how well it is recognised",
    )
    assert said[3][0].startswith("3 classes have no validation example")
    loss = [trial(0, right[0], 0.05, environment={"n_classes_unjudged": 3})]
    assert claim(study(loss, LOSS)).caveats == said[3]


def test_a_duplicate_and_a_running_trial_take_no_part() -> None:
    right = predictions([0.98, 0.981])
    trials = [trial(i, row) for i, row in enumerate(right)]
    copy = TrialRecord(2, Outcome.DUPLICATE, trials[1].values)
    result = claim(study([*trials, copy, TrialRecord(3, Outcome.RUNNING)]))
    assert list(result.rows) == [1, 0]


def test_one_validation_image_supports_no_claim() -> None:
    result = claim(study([trial(0, np.array([True])), trial(1, np.array([False]))]))
    assert result.leader == 0
    assert "judged on a single example" in result.text


def test_the_same_study_gives_the_same_claim() -> None:
    trials = [trial(i, row) for i, row in enumerate(predictions([0.98, 0.981, 0.979]))]
    assert claim(study(trials)) == claim(study(trials))


def test_a_trial_without_a_value_has_no_score() -> None:
    with pytest.raises(ValueError, match="trial 5 is pruned"):
        score(TrialRecord(5, Outcome.PRUNED), ACCURACY)


def _pruned(n: int) -> list[TrialRecord]:
    return [TrialRecord(100 + i, Outcome.PRUNED) for i in range(n)]
