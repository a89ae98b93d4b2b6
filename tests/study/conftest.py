"""The sweep whose trials are several runs, and what they write down."""

from __future__ import annotations

from pathlib import Path

import pytest

from user_project import CHEAP_SWEEP, Project

FOLDED = CHEAP_SWEEP.replace("sweep_trials.quadratic", "folded_trials.run").replace(
    "unprepared: null", "breaks: null\n  deterministic: false"
)


@pytest.fixture
def trace(project: Project) -> Path:
    """Where the runs of the sweep write down that they began and ended."""
    path = project.root / "trace"
    project.write("sweeps/cheap.yaml", FOLDED.replace("trace: null", f"trace: {path}"))
    return path
