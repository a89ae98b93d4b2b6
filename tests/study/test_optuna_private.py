"""The private names of Optuna that besom uses are all behind one door, and are still there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.pruners import HyperbandPruner
from optuna.storages import InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages.journal import JournalFileBackend

import besom
from besom.store import optuna_private

SOURCE = Path(besom.__file__).parent
DOOR = Path(optuna_private.__file__)
NAMES = ("_storage", "_study_id", "_trial_id", "_get_trials", "_create_new_trial", "_backend")


def private_uses(path: Path) -> list[str]:
    """Private names of Optuna, in imports and past a dot."""
    uses = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("optuna"):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            uses += [name for name in names if name.startswith("_")]
        if isinstance(node, ast.Attribute) and node.attr in (*NAMES, "_create_bracket_study"):
            uses.append(node.attr)
    return uses


def test_no_other_module_uses_private_names_of_optuna() -> None:
    assert private_uses(DOOR)
    others = (path for path in SOURCE.rglob("*.py") if path != DOOR)
    assert {str(path): uses for path in others if (uses := private_uses(path))} == {}


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(storage=InMemoryStorage())


def test_every_private_name_is_there_in_the_installed_optuna(
    study: optuna.Study, tmp_path: Path
) -> None:
    journal = JournalStorage(JournalFileBackend(str(tmp_path / "journal")))
    database = RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    owners: list[tuple[object, tuple[str, ...]]] = [
        (optuna_private.studies_table().c, ("study_id", "study_name")),
        (optuna_private.study_attributes_table().c, ("study_id", "key", "value_json")),
        (study, ("_storage", "_study_id", "_get_trials")),
        (study.ask(), ("_trial_id",)),
        (study.get_trials()[0], ("_trial_id",)),
        (database, ("_get_trials", "_create_new_trial")),
        (_CachedStorage(database), ("_backend",)),
        (journal, ("_backend",)),
        (HyperbandPruner(), ("_create_bracket_study",)),
    ]
    gone = [
        f"{type(owner).__name__}.{name}"
        for owner, names in owners
        for name in names
        if not hasattr(owner, name)
    ]
    database.engine.dispose()
    assert not gone, (
        f"Optuna {optuna.__version__} has no {', '.join(gone)} any more. besom.store.optuna_private"
        f" was checked with Optuna {optuna_private.CHECKED_WITH}: adapt it to the new names."
    )


def test_the_importance_evaluator_is_optunas_and_leaves_its_package_to_the_user() -> None:
    code = """
import sys
from besom.store.optuna_private import ped_anova
found = ped_anova()
assert not {"sklearn", "scipy.stats", "optuna.importance"} & sys.modules.keys()
import optuna
assert optuna.importance.PedAnovaImportanceEvaluator is found
ped_anova.cache_clear()
assert ped_anova() is found
optuna.importance.FanovaImportanceEvaluator()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_cache_reads_and_creates_trials_by_the_two_names_that_besom_overrides(
    tmp_path: Path,
) -> None:
    called = []

    class Backend(optuna_private.CachedBackend, optuna_private.DatabaseStorage):
        def create_trial(self, *args):  # type: ignore[no-untyped-def]
            called.append("create")
            return RDBStorage._create_new_trial(self, *args)

        def read_trials(self, study_id, ids, above):  # type: ignore[no-untyped-def]
            called.append("read")
            return RDBStorage._get_trials(self, study_id, None, ids, above)

    backend = Backend(f"sqlite:///{tmp_path / 'study.db'}")
    study = optuna.create_study(storage=optuna_private.cached(backend))
    study.ask()
    assert len(optuna_private.all_trials(study)) == 1
    backend.engine.dispose()
    assert {"create", "read"} <= set(called)
