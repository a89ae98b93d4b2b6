"""All studies of a results folder: an index, and a live page each."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

from besom.page.live_contexts import IndexRow, index_context
from besom.page.study_page import sentence
from besom.page.write_page import live_page_of, live_part_of
from besom.serve.live_study import LiveStudy, Look
from besom.serve.pace import BY_ITSELF, Pace
from besom.serve.study_now import nothing_now
from besom.store.paths import study_names

#: The folder of the studies' pages, and the way from one of them back to the index.
STUDIES, HOME = "study", "../../"
_AGAIN_S = 5.0


class LiveIndex:
    """The index of a results folder; studies that come later are in it, too.

    Args:
        results_dir: the folder of the studies' folders.
    """

    def __init__(self, results_dir: Path) -> None:
        self._results_dir = results_dir
        self._studies: dict[str, LiveStudy] = {}
        self._lock, self._making = threading.Lock(), threading.Lock()
        self._pace = Pace()
        self._rows: list[IndexRow] = []
        self._version = 0

    def study(self, name: str) -> LiveStudy | None:
        """A study's page; None if there is no such study."""
        if name not in study_names(self._results_dir):
            return None
        with self._lock:
            if name not in self._studies:
                self._studies[name] = LiveStudy(self._results_dir, name, HOME)
            return self._studies[name]

    def page(self) -> str:
        """All of the index."""
        rows, version = self._refreshed()
        return live_page_of("index.html", index_context(self._results_dir, rows), version)

    def news(self, since: int) -> dict[str, Any]:
        """What is newer than the version ``since``, for ``live.js``."""
        rows, version = self._refreshed()
        part = None
        if version != since:
            part = live_part_of("index.html", index_context(self._results_dir, rows), version)
        now = nothing_now("This page keeps itself up to date.") | {"page": ""}
        return {"version": version, "now": now, "page": part, "again_s": _AGAIN_S}

    def _refreshed(self) -> tuple[list[IndexRow], int]:
        with self._making:
            if self._pace.is_due(BY_ITSELF):
                with self._pace.making():
                    names = study_names(self._results_dir)
                    found = [study for name in names if (study := self.study(name)) is not None]
                    looks = [(study, study.look()) for study in found]
                    looks.sort(key=lambda pair: not pair[1].is_running)  # by name otherwise
                    rows = [_row(study, look) for study, look in looks]
                with self._lock:
                    self._studies = {study.name: study for study in found}
                if rows != self._rows or not self._version:
                    self._rows, self._version = rows, self._version + 1
            return self._rows, self._version


def _row(study: LiveStudy, look: Look) -> IndexRow:
    address = f"{STUDIES}/{quote(study.name, safe='')}/"
    if (now := look.now) is None:  # its own page has all of the message
        return IndexRow(study.name, address, "", "", sentence(look.problem.partition(". ")[0]))
    going = f" {now.going}." if now.going else ""
    return IndexRow(study.name, address, now.counts, now.best, now.state + going)
