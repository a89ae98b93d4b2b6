"""The pictures of what a trial gets wrong, beside the file that they are made from."""

from __future__ import annotations

import re
from pathlib import Path

from besom.plots.mistakes_picture import write_mistakes_picture
from besom.report.mistakes_text import summary, verdict_on
from besom.store.mistakes import ClassMistakes, Mistakes, NumberMistakes, TagMistakes
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord, TrialRecord

#: How to read the examples at the bottom of a picture.
_READING = {
    ClassMistakes: "Below, those most confidently wrong: true → predicted, the probability that "
    "the model gave it, and the example's place in the data.",
    TagMistakes: "Below, those furthest off: the tag, the probability that the model gave it, the "
    "true tags, and the example's place in the data.",
    NumberMistakes: "Below, those furthest off, and the example's place in the data.",
}


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
        subtitle = " ".join(filter(None, [summary(found, mistakes.n), _READING.get(type(found))]))
        written.append(write_mistakes_picture(found, captions, path, title, subtitle))
    return written
