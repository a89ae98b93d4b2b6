"""Names that users write into their YAML and their code, or that stand in stored studies."""

from __future__ import annotations

import contextlib
import importlib
import sys

import pytest

import besom.statistics

#: Dotted names that keep working when code moves: in configs, in stored studies, in the guide.
KEPT = (
    "besom.errors.BesomError",
    "besom.errors.ConfigError",
    "besom.errors.DataError",
    "besom.errors.SpaceError",
    "besom.errors.StudyError",
    "besom.errors.TrialDiverged",
    "besom.executors.base.Executor",
    "besom.executors.local.LocalExecutor",
    "besom.leaderboard.ranking",
    "besom.records.StudyRecord",
    "besom.records.TrialRecord",
    "besom.records.read_study",
    "besom.seam.TrialResult",
    "besom.statistics.claim",
    "besom.study.samplers.SpaceGridSampler",
    "besom.study.screening.ScreeningPruner",
    "besom.training.confirmation.run_confirmation",
    "besom.training.data.Dataset",
    "besom.training.data.NoTestExamples",
    "besom.training.data.NoTestImages",
    "besom.training.data.digits",
    "besom.training.data.fashion_mnist",
    "besom.training.data.load_test",
    "besom.training.data.load_training",
    "besom.training.data.mnist",
    "besom.training.data.npz",
    "besom.training.models.cnn",
    "besom.training.models.mlp",
    "besom.training.trial.prepare",
    "besom.training.trial.run_trial",
)


@pytest.mark.parametrize("name", KEPT)
def test_a_documented_name_keeps_working(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    importlib.import_module(module)
    # A module of that name, imported later, would take the place of what the package exports.
    for found in [m for m in sys.modules if m.startswith("besom.")]:
        importlib.import_module(found)
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module(name)
    assert callable(getattr(importlib.import_module(module), attribute))


def test_the_claim_from_python_is_a_function_not_the_module_of_that_name() -> None:
    importlib.import_module("besom.statistics.claim")
    assert besom.statistics.claim.__module__ == "besom.statistics.make_claim"
