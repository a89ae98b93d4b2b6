"""The claim: one sentence that is right for every study, also the awkward ones."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from besom.errors import StudyError
from besom.statistics import claim, score
from besom.store.predictions import EpochBits, KeptExamples, keep
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


def bits_of(metric: str, *epochs: np.ndarray) -> KeptExamples:
    """What is stored of a share: its bits at the counted epoch, and at all that follow."""
    packed = [np.packbits(row).tobytes() for row in epochs]
    known = {"kind": "share", "bits": base64.b64encode(packed[0]).decode()}
    if len(packed) > 1:
        known["by_epoch"] = EpochBits.pack(packed[1:]).stored
    return KeptExamples({metric: known})


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
    assert result.text.startswith("trial 2: 98.")
    assert " % ± 0." in result.text
    assert " on new examples (97." in result.text
    assert ", these weights, corrected for selection. " in result.text
    assert result.text.endswith("2 others are tied with it")
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
    assert text.endswith(". 1 other is tied with it")
    text = claim(study([trial(i, row) for i, row in enumerate(right[1:])])).text
    assert text.endswith(". No other is tied with it")


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
    assert gain.p_value is not None
    assert gain.p_value < 1e-6
    assert ". Gain over the baseline: +1." in result.text
    assert "not shown" not in result.text


def test_a_leader_that_cannot_be_told_from_the_baseline_is_said_not_to_be() -> None:
    right = predictions([0.983, 0.9832, 0.9829])
    trials = [trial(i, row, baseline=i == 0) for i, row in enumerate(right)]
    result = claim(study(trials))
    assert result.baseline is not None
    assert not result.baseline.shown
    assert "), not shown. " in result.text


def test_a_baseline_that_leads_is_named_and_gains_nothing_over_itself() -> None:
    right = predictions([0.99, 0.98])
    result = claim(study([trial(0, right[0], baseline=True), trial(1, right[1])]))
    assert result.baseline is None
    assert "It is the baseline itself" in result.text


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
    assert result.text.endswith("Trial 1 has the same score; no other is tied with them")


def test_all_trials_equal_are_all_tied() -> None:
    row = predictions([0.98], n=500)[0]
    result = claim(study([trial(i, row) for i in range(9)]))
    assert "8 trials (1, 2, 3, ...) have the same score" in result.text
    assert result.tied == tuple(range(1, 9))
    assert result.corrected == pytest.approx(result.raw)


def test_one_complete_trial_was_not_picked() -> None:
    row = predictions([0.98])[0]
    result = claim(study([trial(3, row), TrialRecord(4, Outcome.ERROR)]))
    assert result.text == (
        "trial 3: 98.00 % ± 0.14 on new examples (97.71 to 98.26), these weights, nothing was "
        "picked. It is the only complete trial"
    )
    assert result.corrected == pytest.approx(result.raw)


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
    trials = [
        trial(i, row, 1.0 - float(row.mean()), per_example=bits_of("val_error", ~row))
        for i, row in enumerate(right)
    ]
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
    assert not any("epoch" in caveat for caveat in known.caveats)
    assert [c for c in unknown.caveats if "each trial's best epoch (of up to 8) was picked" in c]
    assert (known.leader, known.raw, known.tied) == (unknown.leader, unknown.raw, unknown.tied)
    assert known.corrected is not None
    assert unknown.corrected is not None
    assert known.corrected < unknown.corrected < (unknown.raw or 0)


def test_an_error_rate_is_corrected_for_its_epoch_like_an_accuracy() -> None:
    runs = noisy_runs()
    right = claim(study([run_of(i, epochs) for i, epochs in enumerate(runs)]))
    trials = []
    for i, epochs in enumerate(runs):
        kept = bits_of("val_error", ~epochs[epochs.mean(axis=1).argmax()], *~epochs)
        trials.append(run_of(i, epochs, "val_error", per_example=kept))
    wrong = claim(study(trials, ERROR_RATE))
    assert (wrong.leader, wrong.tied, wrong.caveats) == (right.leader, right.tied, right.caveats)
    assert right.corrected is not None
    assert wrong.corrected == pytest.approx(1.0 - right.corrected)


def test_one_trial_was_picked_from_its_epochs() -> None:
    result = claim(study([run_of(0, noisy_runs(1)[0])]))
    assert result.text.startswith(
        "trial 0: 9",
    )
    assert "corrected for the choice of its epoch. It is the only complete trial" in result.text
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


# A metric is known by its name, never by its value


@pytest.mark.parametrize(
    "metric",
    [
        *("val_balanced_accuracy", "val_f1_score", "val_top_k_categorical_accuracy"),
        *("val_sparse_categorical_accuracy", "val_binary_accuracy", "val_auc"),
    ],
)
def test_another_metric_is_never_taken_for_the_accuracy_however_near(metric: str) -> None:
    """What is classified right says nothing of it, and changes no value that is shown."""
    right = predictions([0.9504, 0.9512, 0.95])
    aim = Objective(metric, "maximize")
    values = [float(np.float32(row.mean())) + 1e-9 for row in right]
    for near in (0.0, 3e-5, -3e-5):
        trials = [trial(i, row, values[i] + near) for i, row in enumerate(right)]
        result = claim(study(trials, aim))
        assert result.corrected is None
        assert [row.value for row in result.rows.values()] == sorted(
            (t.value for t in trials), reverse=True
        )


def test_a_share_is_shown_as_it_was_measured_and_ranked_by_its_examples() -> None:
    right = predictions([0.95, 0.96])
    trials = [trial(i, row, float(row.mean()) + 3e-8) for i, row in enumerate(right)]
    result = claim(study(trials))
    assert [row.value for row in result.rows.values()] == [trials[1].value, trials[0].value]


def test_a_metric_of_the_users_own_with_the_name_of_the_accuracy_is_not_the_accuracy() -> None:
    right = predictions([0.95, 0.96])
    aim = ACCURACY.of_kind("other")
    result = claim(study([trial(i, row) for i, row in enumerate(right)], aim))
    assert result.corrected is None


# Fresh seeds


def fresh(number: int, seed: int, right: np.ndarray, look: int = 9) -> TrialRecord:
    """A replicate, as it is stored."""
    return trial(number, right, seed=seed, environment={"look": look})


def replicated(accuracies: Sequence[float], **facts: object) -> StudyRecord:
    """Trials, the first the baseline, and three fresh seeds of each but the last."""
    rows = predictions([*accuracies, *np.repeat(accuracies[:-1], 3)], n=3000)
    n = len(accuracies)
    trials = [trial(i, row, baseline=i == 0) for i, row in enumerate(rows[:n])]
    seeds = [fresh(i // 3, i % 3, row, **facts) for i, row in enumerate(rows[n:])]
    return replace(study(trials), replicates=tuple(seeds))


def test_the_gain_of_a_config_is_claimed_from_fresh_seeds() -> None:
    found = replicated([0.9, 0.97, 0.95])
    result = claim(found)
    assert result.leader == 1
    assert (result.n_seeds, result.baseline and result.baseline.n_seeds) == (3, 3)
    assert result.baseline is not None
    assert result.baseline.shown
    assert result.corrected == pytest.approx(
        np.mean([r.value for r in found.replicates if r.number == 1])
    )
    assert ", by 3 fresh seeds. Gain over the baseline: +" in result.text
    assert "these weights" not in result.text


def test_a_lucky_seed_is_not_claimed() -> None:
    """Its config is worth what the baseline is: both scatter by half a point between seeds."""
    shares = [0.950, 0.970, 0.940, 0.946, 0.955, 0.949, 0.953, 0.944, 0.951]
    rows = predictions(shares, n=3000)
    trials = tuple(trial(i, row, baseline=i == 0) for i, row in enumerate(rows[:3]))
    by_one = claim(study(trials)).baseline
    assert by_one is not None
    assert by_one.shown
    seeds = tuple(fresh(i // 3, i % 3, row) for i, row in enumerate(rows[3:]))
    result = claim(replace(study(trials), replicates=seeds))
    assert result.baseline is not None
    assert not result.baseline.shown
    assert ", not shown" in result.text


def test_each_further_look_at_fresh_seeds_widens_what_is_claimed() -> None:
    once = claim(replicated([0.9, 0.92, 0.89])).baseline
    found = replicated([0.9, 0.92, 0.89])
    again = [replace(r, environment={"look": 9 + r.number}) for r in found.replicates]
    twice = claim(replace(found, replicates=tuple(again))).baseline
    assert once is not None
    assert twice is not None
    assert twice.interval.width > once.interval.width


def test_fresh_seeds_of_others_than_the_leader_change_no_claim() -> None:
    found = replicated([0.9, 0.95, 0.94])
    others = tuple(r for r in found.replicates if r.number != 1)
    assert claim(replace(found, replicates=others)) == claim(replace(found, replicates=()))
    failed = replace(found.replicates[0], outcome=Outcome.DIVERGED, values=None)
    assert claim(replace(found, replicates=(failed, *found.replicates[1:]))).n_seeds == 0


def test_a_baseline_that_leads_is_claimed_by_its_own_weights_whatever_fresh_seeds_there_are() -> (
    None
):
    found = replicated([0.97, 0.9, 0.89])
    result = claim(found)
    assert result == claim(replace(found, replicates=()))
    assert (result.leader, result.n_seeds, result.baseline) == (0, 0, None)


def test_trials_of_another_study_raise_a_caveat() -> None:
    right = predictions([0.8, 0.9])
    warm = TrialRecord(2, Outcome.WARM_START, (0.95,))
    found = claim(study([*(trial(i, r) for i, r in enumerate(right)), warm]))
    assert any(c.startswith("1 trial of another study guided this search") for c in found.caveats)
