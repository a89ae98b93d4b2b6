"""The plots as small pictures in the page, for readers whose browser runs no scripts."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import NamedTuple

from besom.store.records import StudyRecord
from besom.text.printable import one_line

#: The plots of larger studies take many seconds: they are not drawn only for this.
MOST_TRIALS = 1000
#: Pixels; the plots themselves are finer.
_WIDTH = 800
_COLOURS = 32


class Picture(NamedTuple):
    """A picture inside the page: its name, and its ``data:`` URL."""

    name: str
    url: str


def plot_pictures(study: StudyRecord, folder: Path) -> list[Picture]:
    """The plots of a study, drawn again where they are older than its last trial.

    Of a study with more than ``MOST_TRIALS`` they are drawn by ``besom plot`` only: none are
    returned where those are older.
    """
    last = max((t.finished or 0.0 for t in (*study.trials, *study.replicates)), default=0.0)
    files = sorted(folder.glob("*.png"))
    if not files or min(path.stat().st_mtime for path in files) < last:
        if len(study.trials) > MOST_TRIALS:
            return []
        from besom.plots import write_plots  # matplotlib: slow to load

        files = write_plots(study, folder, {})
    return [picture_of(path) for path in files]


def picture_of(path: Path) -> Picture:
    """A PNG as a smaller one, inside a URL."""
    from PIL import Image

    image = Image.open(path).convert("RGB")
    size = (_WIDTH, round(image.height * _WIDTH / image.width))
    small = image.resize(size, Image.Resampling.BOX).quantize(_COLOURS, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    small.save(buffer, "PNG", optimize=True)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(one_line(path.stem.replace("_", " ")), f"data:image/png;base64,{encoded}")
