"""The fidelity audit and "stop now?": what early scores and past trials say of what comes."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from besom.report.ledger import conclusions, ledger
from besom.statistics import (
    agreement_by_epoch,
    expected_gain,
    fewest_trials,
    pruning_cost,
    rank_agreement,
)
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord

# Rank agreement


def test_the_correlations_are_scipys_ties_included() -> None:
    rng = np.random.default_rng(0)
    early = np.round(rng.random(40), 1)
    final = np.round(early + 0.3 * rng.random(40), 1)
    ours = rank_agreement(early, final)
    assert ours.kendall == pytest.approx(stats.kendalltau(early, final).statistic)
    assert ours.spearman == pytest.approx(stats.spearmanr(early, final).statistic)
    assert ours.interval.low < ours.kendall < ours.interval.high


def test_an_audited_trial_of_weight_three_counts_as_three() -> None:
    rng = np.random.default_rng(1)
    early, final = rng.random(12), rng.random(12)
    weights = np.r_[np.ones(8), 3 * np.ones(4)]
    copies = np.repeat(np.arange(12), weights.astype(int))
    weighted = rank_agreement(early, final, weights=weights).kendall
    assert weighted == pytest.approx(rank_agreement(early[copies], final[copies]).kendall, abs=1e-9)


def test_a_perfect_order_of_twenty_is_no_proof_of_perfection() -> None:
    agreement = rank_agreement(range(20), range(20))
    assert agreement.kendall == 1.0
    assert agreement.spearman == pytest.approx(1.0)
    assert 0.9 < agreement.interval.low < 1.0


@pytest.mark.parametrize(("early", "final"), [([1, 2], [2, 1]), ([1, 1, 1], [1, 2, 3]), ([], [])])
def test_where_there_is_no_order_there_is_no_correlation(
    early: list[float], final: list[float]
) -> None:
    agreement = rank_agreement(early, final)
    assert math.isnan(agreement.kendall)
    assert math.isnan(agreement.spearman)


def test_a_few_trials_have_a_correlation_without_an_interval() -> None:
    agreement = rank_agreement([1, 2, 3, 4], [1, 2, 4, 3])
    assert agreement.kendall == pytest.approx(2 / 3)
    assert math.isnan(agreement.interval.low)


def test_scores_that_do_not_match_or_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="3 early, 2 final"):
        rank_agreement([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="finite"):
        rank_agreement([1, 2, math.nan], [1, 2, 3])


def test_agreement_grows_towards_the_last_epoch_and_short_curves_keep_their_last_value() -> None:
    rng = np.random.default_rng(2)
    final = rng.random(60)
    curves = [[f + rng.normal() / 3, f + rng.normal() / 9, f] for f in final]
    curves[0] = curves[0][2:]
    epochs = agreement_by_epoch(curves, final)
    assert epochs[0].kendall < epochs[1].kendall < epochs[2].kendall == 1.0
    assert agreement_by_epoch([], []) == []
    with pytest.raises(ValueError, match="single epoch"):
        agreement_by_epoch([[], [1.0]], [1.0, 2.0])


# What pruning costs


def test_the_regret_is_the_mean_best_of_draws_from_the_audit() -> None:
    audited, best, n_pruned = [0.90, 0.97, 0.99, 0.95], 0.96, 3
    draws = np.random.default_rng(0).choice(audited, size=(200_000, n_pruned)).max(axis=1)
    cost = pruning_cost(audited, best, n_pruned, "maximize")
    assert cost.expected_regret == pytest.approx(np.maximum(draws - best, 0).mean(), abs=1e-4)
    assert (cost.n_winners, cost.winner_share) == (2, 0.5)
    mirrored = pruning_cost([1 - a for a in audited], 1 - best, n_pruned, "minimize")
    assert mirrored.expected_regret == pytest.approx(cost.expected_regret)


def test_an_audit_without_a_winner_still_allows_some() -> None:
    cost = pruning_cost([0.5] * 20, 0.9, 400, "maximize")
    assert cost.expected_regret == 0.0
    assert cost.winner_interval.low == 0.0
    assert cost.winner_interval.high == pytest.approx(3.7 / 20, rel=0.1)


def test_nothing_pruned_costs_nothing_and_nothing_audited_is_refused() -> None:
    assert pruning_cost([0.99], 0.9, 0, "maximize").expected_regret == 0.0
    with pytest.raises(ValueError, match="needs an audited trial"):
        pruning_cost([], 0.9, 5, "maximize")
    with pytest.raises(ValueError, match="negative"):
        pruning_cost([0.9], 0.9, -1, "maximize")


# Stop now?


def test_the_expected_gain_is_the_mean_over_all_orders_of_what_the_last_ones_added() -> None:
    values = [0.1, 0.9, 0.4, 0.7, 0.2, 0.8, 0.3, 0.85, 0.6, 0.5, 0.15, 0.35]
    # 12 trials and 6 more: the last 4 of 12 lengthened the search by the same factor.
    gains = [max(values) - max(kept) for kept in combinations(values, 8)]
    prospect = expected_gain(values, 6, "maximize")
    assert prospect.expected_gain == pytest.approx(np.mean(gains))
    assert prospect.chance == pytest.approx(1 / 3)
    assert prospect.recent_gain == 0.0
    mirrored = expected_gain([1 - v for v in values], 6, "minimize")
    assert mirrored.expected_gain == pytest.approx(prospect.expected_gain)


def test_pruned_and_failed_trials_count_as_trials_that_did_not_win() -> None:
    values = [0.1, 0.9, 0.4, 0.7, 0.2, 0.8, 0.3, 0.85, 0.6, 0.5]
    alone = expected_gain(values, 5, "maximize")
    among = expected_gain([*values, *[None] * 10], 10, "maximize")
    assert among.n_trials == 20
    assert among.expected_gain == pytest.approx(alone.expected_gain, rel=0.3)
    lasting = expected_gain([*values, *[None] * 90], 10, "maximize")
    assert lasting.expected_gain < alone.expected_gain


def test_the_gain_is_held_against_the_noise() -> None:
    values = [0.98 + 0.0001 * i for i in range(30)]
    assert expected_gain(values, 20, "maximize", noise=0.01).above_noise is False
    assert expected_gain(values, 20, "maximize", noise=0.00001).above_noise is True
    assert expected_gain(values, 20, "maximize").above_noise is None


def test_with_few_trials_nothing_is_said() -> None:
    prospect = expected_gain([0.9, 0.91, None], 20, "maximize", noise=0.001)
    assert math.isnan(prospect.expected_gain)
    assert prospect.above_noise is None
    rng = np.random.default_rng(3)
    few, enough = rng.random(19), rng.random(20)
    assert math.isnan(expected_gain([*few, None], 20, "maximize").expected_gain)
    assert expected_gain([*enough, None], 20, "maximize").expected_gain > 0.0
    assert (fewest_trials(5), fewest_trials(20)) == (10, 20)
    assert math.isnan(expected_gain([None] * 20, 5, "maximize").expected_gain)
    assert math.isnan(expected_gain([], 5, "maximize").expected_gain)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_ledger_says_improve_and_what_is_too_few(direction: str) -> None:
    def said(n: int) -> str:
        trials = tuple(
            TrialRecord(i, Outcome.COMPLETE, (v,), seconds=1.0)
            for i, v in enumerate(np.random.default_rng(4).random(n).tolist())
        )
        study = StudyRecord("s", (Objective("val_loss", direction),), trials)  # type: ignore[arg-type]
        return " ".join(conclusions(study, ledger(study)))

    assert said(19) == (
        "Expected gain in val_loss from 20 more trials: not known before 20 trials have a score."
    )
    assert "the noise is not known" in said(20)


def test_equal_values_promise_no_gain_and_no_trials_cannot_be_asked_about() -> None:
    assert expected_gain([0.5] * 20, 5, "maximize").expected_gain == 0.0
    with pytest.raises(ValueError, match="at least 1 more"):
        expected_gain([0.5] * 20, 0, "maximize")
    with pytest.raises(ValueError, match="finite"):
        expected_gain([math.nan] * 20, 1, "maximize")


def test_the_recent_gain_is_what_the_last_trials_really_added() -> None:
    values = [0.5] * 10 + [0.7] + [0.6] * 4
    assert expected_gain(values, 5, "maximize").recent_gain == pytest.approx(0.2)
    assert expected_gain(values, 4, "maximize").recent_gain == 0.0
    assert math.isnan(expected_gain(values, 15, "maximize").recent_gain)
