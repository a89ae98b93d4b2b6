"""Makes the record factory in ``tests`` importable from here, and the pictures small."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from besom.plots import style

TESTS = Path(__file__).parents[1]
if str(TESTS) not in sys.path:  # in whatever order tests are read
    sys.path.insert(0, str(TESTS))


@pytest.fixture(autouse=True)
def _coarse_pictures(monkeypatch):
    """A sixth of the pixels: the tests look at what is drawn, not at how smooth it is."""
    monkeypatch.setattr(style, "DPI", 64)
