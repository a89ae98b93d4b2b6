"""The pictures of what a trial gets wrong, beside the file that they are made from."""

from __future__ import annotations

import re
from pathlib import Path

from besom.plots.mistakes_picture import write_mistakes_picture
from besom.report.mistakes_text import reading, summary, verdict_on
from besom.store.mistakes import Mistakes
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord, TrialRecord


def write_mistakes_pictures(
    mistakes: Mistakes,
    study: StudyRecord,
    trial: TrialRecord,
    paths: StudyPaths,
    output: Path | None = None,
) -> list[Path]:
    """Draw what a trial gets wrong, one picture for each output of its model.

    Args:
        mistakes: what that is.
        study, trial: whose.
        paths: where the study lives: the pictures are ``mistakes/trial-N.png``, or
            ``trial-N-OUTPUT.png``.
        output: the picture instead; of several outputs, with the name of each.
    """
    target = output or paths.mistakes_of(trial.number).with_suffix(".png")
    written = []
    for found in mistakes.outputs:
        path = target
        if len(mistakes.outputs) > 1:
            plain = re.sub(r"[^A-Za-z0-9_.]+", "_", found.name)
            path = target.with_name(f"{target.stem}-{plain}{target.suffix}")
        title = f"{study.name}: what trial {trial.number} gets wrong"
        captions = [verdict_on(wrong) for wrong in found.worst]
        below = reading(found)
        subtitle = f"{summary(found, mistakes.n)} Below: {below[:1].lower()}{below[1:]}"
        written.append(write_mistakes_picture(found, captions, path, title, subtitle))
    return written
