"""A study of cheap trials that was never swept: what confirmations are tested on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confirm_world import make_study

from besom.rerun.confirm import ConfirmPlan, make_confirm_plan
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Where trial functions write down what they ran."""
    return tmp_path / "trace.jsonl"


@pytest.fixture
def study(trace: Path, tmp_path: Path) -> StudyRecord:
    """Four complete trials of QUALITIES, the first one the baseline; noise 0.005."""
    return make_study(trace=str(trace), log=str(tmp_path / "study" / "test_openings.csv"))


@pytest.fixture
def plan_of(tmp_path: Path) -> Callable[..., ConfirmPlan]:
    """Make a plan for a study: ``plan_of(study, n_seeds=3, on="validation")``."""

    def make(study: StudyRecord, **options: Any) -> ConfirmPlan:
        options.setdefault("on", "validation")
        return make_confirm_plan(study, StudyPaths.of(tmp_path, study.name), **options)

    return make
