"""What a sampler is shown of its study: all that is asked ahead, and of a long history enough."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from besom.store.optuna_private import new_trial, speed_up_tpe
from besom.store.storage import SweepStudy
from besom.store.stored_records import AHEAD
from besom.study.sampler_study import BEST_SHARE, SamplerStudy

STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


def study_of(
    n: int, sampler: optuna.samplers.BaseSampler | None = None, n_objectives: int = 1
) -> SweepStudy:
    """A study of ``n`` trials drawn at random, every fourth of them pruned."""
    storage = InMemoryStorage()
    optuna.create_study(study_name="s", storage=storage, directions=["maximize"] * n_objectives)
    study = SweepStudy("s", storage, sampler or TPESampler(seed=0), optuna.pruners.NopPruner())
    random = np.random.default_rng(0)
    distribution = optuna.distributions.FloatDistribution(0.0, 1.0)
    for number in range(n):
        x = float(random.random())
        pruned = n_objectives == 1 and number % 4 == 3
        study.add_trial(
            optuna.create_trial(
                state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
                params={"x": x},
                distributions={"x": distribution},
                values=None if pruned else [math.sin(9 * x), -x][:n_objectives],
                intermediate_values={1: x} if pruned else {},
            )
        )
    return study


def shown(study: SamplerStudy) -> list[FrozenTrial]:
    study.look()
    return study._get_trials(deepcopy=False, states=STATES)


def test_of_a_short_history_tpe_is_shown_everything() -> None:
    study = study_of(40)
    assert [t.number for t in shown(SamplerStudy(study, most_shown=40))] == list(range(40))


def test_of_a_long_history_tpe_is_shown_the_best_and_a_sample_of_the_rest() -> None:
    study = study_of(400)
    numbers = [t.number for t in shown(SamplerStudy(study, most_shown=80))]
    assert len(numbers) == 80
    assert numbers == sorted(numbers)
    complete = [t for t in study.trials if t.state is TrialState.COMPLETE]
    best = sorted(complete, key=lambda t: -(t.value or 0.0))[: int(80 * BEST_SHARE)]
    assert {t.number for t in best} <= set(numbers)
    others = [n for n in numbers if n not in {t.number for t in best}]
    assert 120 < np.mean(others) < 280, "from all of the history"


def test_of_several_objectives_the_best_are_those_of_the_pareto_front() -> None:
    study = study_of(200, n_objectives=2)
    numbers = {t.number for t in shown(SamplerStudy(study, most_shown=120))}
    assert len(numbers) == 120
    assert {t.number for t in study.best_trials} <= numbers or len(study.best_trials) > 30


def test_what_is_shown_follows_from_the_seed_whenever_it_was_looked_at() -> None:
    study, grown = study_of(300), study_of(100)
    looked_often = SamplerStudy(grown, seed=3, most_shown=60)
    for trial in study.trials[100:]:
        grown.add_trial(trial)
        shown(looked_often)
    at_once = [t.number for t in shown(SamplerStudy(study, seed=3, most_shown=60))]
    assert {t.number for t in shown(SamplerStudy(study, seed=4, most_shown=60))} != set(at_once)
    assert len(at_once) == 60
    often = [t.number for t in shown(looked_often)]
    assert len(set(often) ^ set(at_once)) <= 4  # (what was among the best once is judged later)


def test_all_that_run_are_shown_those_asked_ahead_too_but_not_to_pruners() -> None:
    study = study_of(100)
    sampler_study = SamplerStudy(study, most_shown=40)
    running = study.ask().number
    ahead = new_trial(sampler_study, {AHEAD: True}).number
    numbers = [t.number for t in shown(sampler_study)]
    assert numbers[-2:] == [running, ahead]
    assert len(numbers) == 42
    seen = {t.number for t in study.get_trials(deepcopy=False)}
    assert running in seen
    assert ahead not in seen


def test_a_study_that_is_told_here_shows_what_it_was_told_and_reads_nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study, finished = study_of(8), (TrialState.COMPLETE, TrialState.PRUNED)
    study.told_here = True
    trial = study.ask()
    assert len(study.get_trials(deepcopy=False, states=finished)) == 8
    with monkeypatch.context() as patch:
        patch.setattr(InMemoryStorage, "get_all_trials", None)
        assert len(study.get_trials(deepcopy=False, states=finished)) == 8
    assert trial.number in [t.number for t in study.get_trials(deepcopy=False)]
    study.tell(trial, state=TrialState.PRUNED)
    assert trial.number not in [t.number for t in study.get_trials(states=(TrialState.COMPLETE,))]
    study.tell(study.ask({"x": optuna.distributions.FloatDistribution(0.0, 1.0)}), 0.5)
    assert len(study.get_trials(deepcopy=False, states=finished)) == 9


def test_other_samplers_see_every_trial() -> None:
    study = study_of(100, RandomSampler(seed=0))
    assert len(shown(SamplerStudy(study, most_shown=40))) == 100


def test_tpe_proposes_what_it_would_have_proposed_of_the_whole_study() -> None:
    def propose(study: optuna.Study) -> list[float]:
        found = []
        for _ in range(10):
            if isinstance(study, SamplerStudy):
                study.look()
            trial = study.ask()
            found.append(trial.suggest_float("x", 0.0, 1.0))
            study.tell(trial, found[-1])
        return found

    plain, sweep = study_of(60), study_of(60)
    assert propose(SamplerStudy(sweep, most_shown=100)) == pytest.approx(propose(plain))


def test_scipys_normal_distribution_is_that_of_optuna() -> None:
    from optuna.samplers._tpe import _truncnorm

    x = np.concatenate([np.linspace(-40.0, 8.0, 4001), -np.logspace(-8, 3, 200)])
    one_by_one = np.array([_truncnorm._log_ndtr_single(float(value)) for value in x])
    speed_up_tpe()
    assert _truncnorm._log_ndtr(x) == pytest.approx(one_by_one, rel=1e-6, abs=1e-15)
