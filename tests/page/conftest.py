"""A browser that opens pages from disk and has no network; tests skip where there is none."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

#: Set where a missing browser must be an error, as in .ci/run.
REQUIRED = "BESOM_REQUIRE_BROWSER"

_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def _missing(what: str) -> None:
    if os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, and there is no {what}")
    pytest.skip(f"there is no {what}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium, one for all tests."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        _missing("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=executable, headless=True, args=list(_FLAGS), timeout=90_000
        )
        yield browser
        browser.close()


class OpenPage:
    """A page that is open, and everything it complained of or asked the network for.

    Args:
        page: Playwright's.
        own: how the addresses begin that it may ask for; none but those of files, unless given.
    """

    def __init__(self, page: Any, *own: str) -> None:
        self.page = page
        self._may_ask = ("file:", "data:", "about:", *own)
        self.complaints: list[str] = []
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self._dismiss(dialog))
        page.on("request", lambda request: self._asked(request.url))

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def _dismiss(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _asked(self, url: str) -> None:
        if not url.startswith(self._may_ask):
            self.complaints.append(f"asked for {url}")

    def script(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def wait(self, expression: str) -> None:
        """Wait until it is true. Playwright's own way needs a page that allows ``eval``."""
        until = time.monotonic() + 60
        while not self._holds(expression):
            assert time.monotonic() < until, f"waited too long for {expression}"
            self.page.wait_for_timeout(30)

    def _holds(self, expression: str) -> bool:
        try:
            return bool(self.script(f"Boolean({expression})"))
        except Exception as error:
            if "context was destroyed" in str(error):  # the page is being left for another
                return False
            raise


@pytest.fixture
def open_page(chromium: Any) -> Any:
    """``with open_page(path, **context_options) as opened``: drawn, and without complaints.

    Instead of a path it takes an address, which the page may then ask for more.
    """

    @contextmanager
    def opening(page: Path | str, **options: Any) -> Iterator[OpenPage]:
        context = chromium.new_context(viewport={"width": 1180, "height": 900}, **options)
        own = (page,) if isinstance(page, str) else ()
        opened = OpenPage(context.new_page(), *own)
        opened.page.set_default_timeout(60_000)
        opened.page.goto(page if isinstance(page, str) else page.resolve().as_uri())
        if options.get("java_script_enabled", True):
            opened.wait("window.besomReady")
        yield opened
        assert opened.complaints == []
        context.close()

    return opening
