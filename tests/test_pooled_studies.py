"""The best trial of several studies was picked among the trials of all of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import besom
from besom.errors import ConfigError
from besom.report.pooled import claims_together
from besom.statistics import claim
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from records_factory import VAL_LOSS, make_study
from reporting_world import store
from user_project import Project

AIM = Objective("val_accuracy", "maximize")
N, TRUE = 400, 0.9


def study_of(name: str, right: np.ndarray, data: str = "a", **more: object) -> StudyRecord:
    """Each row of ``right`` as a trial; the first is the baseline."""
    trials = tuple(
        TrialRecord(
            number,
            Outcome.COMPLETE,
            (float(row.mean()),),
            n_validation=row.size,
            correct=np.packbits(row).tobytes(),
            environment={"data": {"fingerprint": data}},
            baseline=number == 0,
        )
        for number, row in enumerate(right)
    )
    return replace(StudyRecord(name, (AIM,), trials), **more)  # type: ignore[arg-type]


def equals(name: str, seed: int, n_trials: int = 15, data: str = "a") -> StudyRecord:
    """Trials that are equally good in the population."""
    return study_of(name, np.random.default_rng(seed).random((n_trials, N)) < TRUE, data)


def test_the_luck_of_having_picked_among_all_studies_is_taken_off() -> None:
    """Of 3 x 15 equal trials: corrected within each study alone, the best still looks too good."""
    together, alone = [], []
    for seed in range(0, 75, 3):
        studies = [equals(name, seed + i) for i, name in enumerate("ABC")]
        ((_, found),) = claims_together(studies, Path("nowhere"))
        best = max(studies, key=lambda s: max(t.value or 0.0 for t in s.trials))
        together.append(found.corrected or 0.0)
        alone.append(claim(best, n_draws=300).corrected or 0.0)
    assert abs(np.mean(together) - TRUE) < 0.006  # three standard errors of the simulation
    assert np.mean(np.subtract(alone, together)) > 0.002


def test_the_sentence_names_the_study_and_the_caveat_says_what_counts(project: Project) -> None:
    for seed, name in enumerate("ABC"):
        store(project.root / "results", equals(name, seed, 8))
    said = " ".join(project.done("leaderboard", "A", "B", "C", "--format", "md").split())
    rows = json.loads(project.done("leaderboard", "A", "B", "C", "--format", "json"))
    assert len(rows) == 24
    assert f"trial {rows[0]['trial']}: " in said
    assert rows[0]["trial"].split(" of ")[1] in "ABC"
    assert "all 24 complete trials of them count in its correction and in the ties" in said
    assert "only the choice within" not in said


def test_studies_of_other_examples_have_a_claim_of_their_own(project: Project) -> None:
    for seed, (name, data) in enumerate([("A", "a"), ("B", "a"), ("C", "other")]):
        store(project.root / "results", equals(name, seed, 8, data))
    said = " ".join(project.done("leaderboard", "A", "B", "C", "--format", "md").split())
    assert "C was judged on other examples, and has a claim of its own" in said
    assert "judged on other examples, and have a claim of their own" in said
    assert "all 16 complete trials" in said
    refused = project.besom("leaderboard", "A", "B", "C", "--format", "csv")
    assert refused.exit_code == 2
    assert "judged on different validation examples" in refused.output


def test_from_python_studies_are_ranked_with_others(project: Project) -> None:
    for seed, (name, data) in enumerate([("A", "a"), ("B", "a"), ("C", "other")]):
        store(project.root / "results", equals(name, seed, 8, data))
    one, two, other = map(besom.load_study, "ABC")
    frame = one.leaderboard(two)
    assert len(frame) == 16
    said = one.claim_with(two).text
    assert said.startswith(f"trial {frame['trial'].iloc[0]}: ")
    assert said == two.claim_with(one).text
    assert one.claim_with() == one.claim
    with pytest.raises(ConfigError, match="judged on different validation examples"):
        one.leaderboard(other)


def test_a_trial_that_taught_another_study_counts_once() -> None:
    teacher = equals("A", 0, 8)
    taught = equals("B", 1, 8)
    lessons = tuple(
        replace(t, number=8 + t.number, outcome=Outcome.WARM_START, baseline=False)
        for t in teacher.trials
    )
    taught = replace(taught, trials=taught.trials + lessons, config={"sweep": {"warm_start": "A"}})
    ((pool, found),) = claims_together([teacher, taught], Path("nowhere"))
    assert len(pool.trials) == 16
    assert not [caveat for caveat in found.caveats if "guided this search" in caveat]


def test_the_gain_is_over_the_baseline_of_the_best_trials_study() -> None:
    poor = np.random.default_rng(0).random((4, N)) < 0.5
    good = np.random.default_rng(1).random((4, N)) < [[0.7], [0.9], [0.9], [0.9]]
    ((pool, found),) = claims_together(
        [study_of("poor", poor), study_of("good", good)], Path("nowhere")
    )
    assert found.baseline is not None
    assert pool.shown(found.baseline.trial) == "0 of good"
    assert found.leader is not None
    assert pool.home(found.leader) == "good"


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (make_study(8, name="B", objectives=[VAL_LOSS]), "only studies with the same objective"),
        (make_study(8, name="B", objectives=[AIM, VAL_LOSS]), "has several objectives"),
        (StudyRecord("B", (AIM,), ()), "No trial of 'B' has completed"),
    ],
)
def test_studies_that_cannot_be_ranked_together_are_refused(
    project: Project, other: StudyRecord, says: str
) -> None:
    for study in (equals("A", 0, 4), other):
        store(project.root / "results", study)
    done = project.besom("leaderboard", "A", "B")
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())
