"""Pages written for tests, without drawing the plots that only readers without scripts see."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

import besom.page
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord


def write(study: StudyRecord, folder: Path) -> Path:
    """Write a study's page; a small picture stands for its plots."""
    paths = StudyPaths.of(folder, study.name)
    paths.plots.mkdir(parents=True)
    Image.new("RGB", (8, 4)).save(paths.plots / "optimization_history.png")
    return besom.page.write_study_page(study, paths)
