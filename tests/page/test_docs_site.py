"""The docs site: it builds without a warning, its links lead somewhere, and it asks no other host.

It needs the extra ``besom[docs]``; .ci/run installs that.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

pytest.importorskip("material")
pytest.importorskip("mkdocstrings")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    return folder


class Links(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors.add(given.get("id", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif "src" in given:
            self.loaded.append(given["src"])
        elif tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(given["href"])


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    return {page: Links(page) for page in site.rglob("*.html")}


def test_every_internal_link_and_anchor_leads_somewhere(pages: dict[Path, Links]) -> None:
    broken = []
    for page, found in pages.items():
        if page.name == "404.html":  # its links are those of a site at the root of a host
            continue
        for link in (*found.links, *found.loaded):
            path, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link):
                continue
            target = (page.parent / unquote(path)).resolve() if path else page
            anchors = pages[target].anchors if anchor and target in pages else {unquote(anchor)}
            if not target.is_file() or unquote(anchor) not in anchors:
                broken.append((page.name, link))
    assert not broken


def test_no_page_loads_anything_from_another_host(site: Path, pages: dict[Path, Links]) -> None:
    loaded = [url for found in pages.values() for url in found.loaded]
    css = "".join(style.read_text() for style in site.rglob("*.css"))
    styles = re.findall(r"url\((.+?)\)", css)
    assert not [url for url in loaded if re.match(r"(https?:)?//", url)]
    assert not [url for url in styles if re.match(r"[\"']?(https?:)?//", url)]


def test_the_reference_is_filled_in(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert "<!-- besom: " not in page.read_text()
    assert "sweep.storage_patience_s" in (site / "reference/sweep.html").read_text()
    assert "besom.load_study" in (site / "reference/python.html").read_text()


def test_search_works_from_disk_and_without_a_network(site: Path, chromium: Any) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("request", lambda r: complaints.append(r.url) if r.url.startswith("http") else None)
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((site / "guide/results.html").as_uri())
    page.locator("input.md-search__input").click()
    page.keyboard.type("storage_patience_s")
    first = page.locator(".md-search-result__link").first
    first.wait_for(timeout=60_000)
    assert "reference/sweep.html" in first.get_attribute("href")
    assert complaints == []
    context.close()


@pytest.mark.parametrize("place", ["keras-tuner", "hydra-sweeper", "ray-tune", "optuna"])
def test_what_another_tool_takes_stands_beside_what_besom_takes(
    site: Path, chromium: Any, place: str
) -> None:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto((site / f"from-{place}.html").as_uri())
    rows = page.locator(".side-by-side").all()
    assert rows
    for row in rows:
        theirs, ours = (column.bounding_box() for column in row.locator("> div").all())
        assert theirs["y"] == ours["y"]
        assert theirs["x"] + theirs["width"] <= ours["x"]
    page.set_viewport_size({"width": 400, "height": 800})  # a phone shows them below each other
    theirs, ours = (column.bounding_box() for column in rows[0].locator("> div").all())
    assert theirs["x"] == ours["x"]
    assert theirs["y"] + theirs["height"] <= ours["y"]
    context.close()
