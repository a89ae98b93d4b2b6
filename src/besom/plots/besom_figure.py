"""The figure that every picture is: in besom's look wherever it is drawn, shown or saved.

Import this only to draw: matplotlib is slow to load.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import matplotlib as mpl
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure

#: Pixels an inch in a notebook, which shows two of them as one on a fine screen.
_NOTEBOOK_DPI = 96


class BesomFigure(Figure):
    """A ``matplotlib.figure.Figure`` that a notebook shows without pyplot.

    Args:
        look: rcParams that hold whenever it is drawn, whatever the caller's are by then.
        settings: as for ``Figure``.
    """

    def __init__(self, look: Any, **settings: Any) -> None:
        super().__init__(**settings)
        self._look = look

    def draw(self, renderer: RendererBase) -> None:
        """Draw it; called by matplotlib."""
        with mpl.rc_context(self._look), warnings.catch_warnings():
            # A label in a script the font lacks is drawn as boxes: no reason to alarm anyone.
            warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font")
            # With very long labels; the picture is then drawn without the fine adjustment.
            warnings.filterwarnings("ignore", message="constrained_layout not applied")
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=_NOTEBOOK_DPI)
        return buffer.getvalue()
