"""What live pages say: a study's, one that has only a message, and the index of all studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from besom.page.study_page import Drawn, made_by, study_context
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord


class IndexRow(NamedTuple):
    """A study in the index."""

    name: str
    address: str
    trials: str
    best: str
    state: str


def live_study_context(
    study: StudyRecord, paths: StudyPaths, drawn: Drawn, home: str
) -> dict[str, Any]:
    """Everything that ``study.html`` shows, without pictures: these would be written to disk."""
    return {**study_context(study, paths, None, drawn), "pictures": [], "home": home}


def message_context(name: str, message: str, home: str) -> dict[str, Any]:
    """Everything that ``message.html`` shows."""
    return {**_context(name, ""), "message": message, "home": home}


def index_context(results_dir: Path, rows: list[IndexRow]) -> dict[str, Any]:
    """Everything that ``index.html`` shows."""
    return {**_context("All studies", f"Under {results_dir}"), "rows": rows}


def _context(name: str, headline: str) -> dict[str, Any]:
    return {"name": name, "made": made_by(), "headline": headline, "data": {"charts": []}}
