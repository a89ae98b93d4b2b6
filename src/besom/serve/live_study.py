"""The page of one study, made again as the study grows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from besom.errors import BesomError, reason_of
from besom.page.charts import PageChart
from besom.page.live_contexts import live_study_context, message_context
from besom.page.write_page import live_page_of, live_part_of
from besom.serve.pace import ASKED, BY_ITSELF, LOOKING, OPENING, SLOW_BY_ITSELF, Pace
from besom.serve.study_now import StudyNow, nothing_now, study_now
from besom.store.following import Followed, StudyFollower
from besom.store.holder import Holder
from besom.store.holding import who_holds
from besom.store.lock import holder_of
from besom.store.paths import StudyPaths
from besom.store.storage import stored_url
from besom.text.counting import counted
from besom.text.numbers import duration

#: Seconds after which a page asks again: of a study that runs, and of another.
AGAIN_S, IDLE_AGAIN_S = 2.0, 10.0
#: The study is read on at most so often, however many pages are open.
LOOK_S = 1.0
#: A database is asked who holds its study at most so often.
_LEASE_S = 10.0


class _Made(NamedTuple):
    """A page that was made: its template and context, and the state of the study that it shows."""

    template: str
    context: Mapping[str, Any]
    version: int
    state: object
    n_shown: int | None


class Look(NamedTuple):
    """A study as of now, and how far it is; or what is wrong with it."""

    followed: Followed | None
    now: StudyNow | None
    problem: str = ""

    @property
    def is_running(self) -> bool:
        """Whether anything runs it."""
        return self.now is not None and self.now.is_running

    def state(self, root: Path) -> object:
        """What a page shows of it; two pages of the same state are the same."""
        if self.followed is None or self.now is None:
            return self.problem
        written = sorted((p.name, p.stat().st_mtime_ns) for p in root.glob("confirm*.json"))
        study = self.followed.study
        return (study.facts.get("created"), self.now.n_ended, len(study.replicates), written)


class LiveStudy:
    """A study's page.

    Args:
        results_dir: the folder of the study's folder.
        name: the study's.
        home: the address of the index; empty if there is none.
    """

    def __init__(self, results_dir: Path, name: str, home: str = "") -> None:
        self.name = name
        self._paths, self._home = StudyPaths.of(results_dir, name), home
        self._follower = StudyFollower(results_dir, name)
        self._reading, self._making = threading.Lock(), threading.Lock()
        self._pace, self._look_pace, self._charts = Pace(), Pace(LOOK_S), _KeptCharts()
        self._made: _Made | None = None
        self._looked: Look | None = None
        self._look_times = LOOKING
        self._lease: tuple[float, Holder | None] | None = None

    def page(self) -> str:
        """All of the page, as new as a reader may have it."""
        made, _ = self._refreshed(self.look(), is_urgent=True)
        return live_page_of(made.template, made.context, made.version)

    def news(self, since: int) -> dict[str, Any]:
        """What is newer than the page of the version ``since``, for ``live.js``."""
        look = self.look()
        made, is_old = self._refreshed(look, is_urgent=not look.is_running)
        shown = look.now.for_script() if look.now else nothing_now(look.problem)
        is_newer = made.version != since
        return {
            "version": made.version,
            "now": shown | {"page": self._age(made, is_old)},
            "page": live_part_of(made.template, made.context, made.version) if is_newer else None,
            "again_s": AGAIN_S if look.is_running else IDLE_AGAIN_S,
        }

    def look(self) -> Look:
        """The study as of now, or of just before."""
        with self._reading:
            last = self._looked
            if last is None or self._look_pace.is_due(self._look_times):
                n_openings = self._follower.n_openings
                with self._look_pace.making():
                    last = self._looked = self._looked_again(last)
                is_whole = self._follower.n_openings > n_openings
                self._look_times = OPENING if is_whole else LOOKING
            return last

    def _looked_again(self, last: Look | None) -> Look:
        try:
            followed, holder = self._follower.read(), self._holder()
            runs = holder or (last is not None and last.is_running)
            if last is not None and last.followed is followed and not runs:
                return last
            return Look(followed, study_now(followed, holder))
        except BesomError as error:
            return Look(None, None, str(error))
        except Exception as error:  # whatever was written into its folder: other studies go on
            return Look(None, None, f"This study cannot be read now: {reason_of(error)}.")

    def _holder(self) -> Holder | None:
        url = None if self._paths.journal.exists() else stored_url(self._paths)
        if url is None:
            return holder_of(self._paths.lock)
        now = time.monotonic()
        if self._lease is None or now > self._lease[0] + _LEASE_S:
            self._lease = (now, who_holds(self._paths, url, self.name))
        return self._lease[1]

    def _refreshed(self, look: Look, is_urgent: bool) -> tuple[_Made, bool]:
        """The page, made again if it is out of date and its pace allows it; and whether it is old.

        While one reader's request makes it, others get the one before.
        """
        made, state = self._made, look.state(self._paths.root)
        if made is not None:
            if made.state == state and not self._charts.are_behind:
                return made, False
            is_due = self._charts.is_due if made.state == state else self._is_due
            if not is_due(is_urgent):
                return made, True
        if not self._making.acquire(blocking=made is None):
            assert made is not None
            return made, True
        try:
            if made is None and self._made is not None:  # another request has just made it
                return self._made, False
            self._made = self._make(look, state, is_urgent)
            return self._made, self._charts.are_behind
        finally:
            self._making.release()

    def _is_due(self, is_urgent: bool) -> bool:
        return self._pace.is_due(ASKED if is_urgent else BY_ITSELF)

    def _make(self, look: Look, state: object, is_urgent: bool) -> _Made:
        version = 1 if self._made is None else self._made.version + 1
        if look.followed is None:
            self._charts.are_behind = False
            context = message_context(self.name, look.problem, self._home)
            return _Made("message.html", context, version, state, None)
        study, began, slow = look.followed.study, time.process_time(), self._charts.spent
        self._charts.begin(study.facts.get("created"), is_urgent)
        try:
            context = live_study_context(study, self._paths, self._charts, self._home)
            template = "study.html"
        except Exception as error:  # the server goes on: the next trial may mend it
            problem = f"The page of this study cannot be made now: {reason_of(error)}."
            context, template = message_context(self.name, problem, self._home), "message.html"
        self._charts.end()
        self._pace.made(time.process_time() - began - (self._charts.spent - slow))
        return _Made(template, context, version, state, len(study.trials))

    def _age(self, made: _Made, is_old: bool) -> str:
        if made.n_shown is None:
            return ""
        text = f"The report below has {counted(made.n_shown, 'trial')}"
        if not is_old:
            return f"{text}."
        return (
            f"{text} and is {duration(self._pace.since_s())} old. What takes long to compute is "
            "made again less often; reload the page to ask for it."
        )


class _KeptCharts:
    """Charts that take long: they have a pace of their own."""

    def __init__(self) -> None:
        self.pace = Pace()
        self._kept: dict[str, list[PageChart]] = {}
        self._of: object = None
        self._are_due, self._began = True, 0.0
        self.spent = 0.0  # CPU seconds, ever
        self.are_behind = False  # whether any shows an older study than the page

    def is_due(self, is_urgent: bool) -> bool:
        """Whether they may be made again."""
        return self.pace.is_due(ASKED if is_urgent else SLOW_BY_ITSELF)

    def begin(self, of: object, is_urgent: bool) -> None:
        """Begin a page: its charts are made again, if their pace allows it.

        Those of another study than ``of``, which had its place before, are made again at once.
        """
        if of != self._of:
            self._kept, self._of = {}, of
        self._are_due, self._began = self.is_due(is_urgent), self.spent
        self.are_behind = not self._are_due

    def end(self) -> None:
        """End a page."""
        if self._are_due:
            self.pace.made(self.spent - self._began)

    def __call__(self, name: str, make: Callable[[], list[PageChart]]) -> list[PageChart]:
        if self._are_due or name not in self._kept:
            began = time.process_time()
            self._kept[name] = make()
            self.spent += time.process_time() - began
        return self._kept[name]
