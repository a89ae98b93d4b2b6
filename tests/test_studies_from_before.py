"""A study made before besom's rooms were rebuilt goes on after it: ranked, resumed, run again.

``tests/studies/before`` holds a sweep and the journal it left when it was killed in trial 6 of 10.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import besom
from besom.records import Origin, Outcome
from user_project import TESTS, Project

VALUES = {0: 0.923345, 1: 0.135889, 2: 0.916376, 3: 0.933798, 4: 0.944251, 5: 0.832753}


@pytest.fixture
def killed(project: Project) -> Project:
    """A project with the study as the kill left it."""
    before = TESTS / "studies" / "before"
    project.write("sweeps/before.yaml", (before / "before.yaml").read_text())
    target = project.root / "results" / "before" / "study.journal"
    target.parent.mkdir(parents=True)
    shutil.copy(before / "study.journal", target)
    return project


def values_of(project: Project) -> dict[int, float | None]:
    study = besom.load_study("before", project.root / "results")
    return {t.number: t.value for t in study.trials if t.outcome is Outcome.COMPLETE}


def test_it_ranks_compares_and_exports_as_before(killed: Project) -> None:
    assert values_of(killed) == pytest.approx(VALUES, abs=1e-6)
    done = killed.besom("leaderboard", "before", "--format", "json")
    assert done.exit_code == 0, done.output
    assert [row["trial"] for row in json.loads(done.output)] == [4, 3, 0, 2, 5, 1]
    exported = killed.besom("export", "before")
    assert exported.exit_code == 0
    assert "besom.training.data.digits" in exported.output
    assert killed.besom("diff", "before", "0", "4").exit_code == 0
    assert killed.besom("ledger", "before").exit_code == 0


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.timeout(300)
def test_it_resumes_confirms_and_replays(killed: Project) -> None:
    done = killed.run("sweep", "before")
    assert done.returncode == 0, done.stderr
    study = besom.load_study("before", killed.root / "results")
    assert [t.number for t in study.trials] == list(range(10))
    assert study.trials[0].origin is Origin.BASELINE
    assert all(t.outcome is not Outcome.RUNNING for t in study.trials)
    # The trial that was lost has run with the parameters it had.
    assert study.trials[6].params["model.hidden_units"] == [28]
    assert study.trials[6].params["optimizer.learning_rate"] == pytest.approx(0.0022104771)
    kept = values_of(killed)
    assert {n: kept[n] for n in VALUES} == pytest.approx(VALUES, abs=1e-6)
    words = ("--on", "validation", "--top", "1", "--seeds", "2", "--no-race")
    confirmed = killed.run("confirm", "before", *words)
    assert confirmed.returncode == 0, confirmed.stderr
    # Another processor may round otherwise, so what is promised is a verdict, not equality.
    replayed = killed.run("replay", "before", "4")
    assert replayed.returncode in (0, 1), replayed.stderr
    assert "trial 4" in replayed.stdout.lower()


def test_the_journal_is_of_the_kind_that_was_written_then() -> None:
    lines = (Path(TESTS) / "studies" / "before" / "study.journal").read_text().splitlines()
    assert all(json.loads(line)["op_code"] in range(10) for line in lines)
