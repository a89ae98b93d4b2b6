"""A browser that opens pages from disk and has no network; tests skip where there is none."""

from __future__ import annotations

import os
import shutil
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
    """A page that is open, and everything it complained of or asked the network for."""

    def __init__(self, page: Any) -> None:
        self.page = page
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
        if not url.startswith(("file:", "data:", "about:")):
            self.complaints.append(f"asked for {url}")

    def script(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def wait(self, expression: str) -> None:
        self.page.wait_for_function(expression, timeout=60_000)


@pytest.fixture
def open_page(chromium: Any) -> Any:
    """``with open_page(path, **context_options) as opened``: drawn, and without complaints."""

    @contextmanager
    def opening(path: Path, **options: Any) -> Iterator[OpenPage]:
        context = chromium.new_context(viewport={"width": 1180, "height": 900}, **options)
        opened = OpenPage(context.new_page())
        opened.page.set_default_timeout(60_000)
        opened.page.goto(path.resolve().as_uri())
        if options.get("java_script_enabled", True):
            opened.wait("window.besomReady")
        yield opened
        assert opened.complaints == []
        context.close()

    return opening
