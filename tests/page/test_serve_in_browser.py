"""The live page in a real browser: it follows the sweep, and leaves alone what its reader does."""

from __future__ import annotations

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import reporting_world
from besom.serve import live_index, live_study, pace
from besom.store.paths import write_atomically
from live_study_world import GrowingStudy, serving

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages ask soon, and are made again soon."""
    for name in ("AGAIN_S", "IDLE_AGAIN_S"):
        monkeypatch.setattr(live_study, name, 0.1)
    monkeypatch.setattr(live_index, "_AGAIN_S", 0.1)
    for module in (live_study, live_index):
        monkeypatch.setattr(module, "BY_ITSELF", 0.0)
    for name in ("ASKED", "SLOW_BY_ITSELF", "LOOKING", "OPENING", "LOOK_S"):
        monkeypatch.setattr(live_study, name, 0.0)
    monkeypatch.setattr(pace, "LEAST_S", 0.1)


def wait_for_version(opened: Any, version: int) -> None:
    opened.wait(f"Number(document.body.dataset.version) >= {version}")


def n_dots(opened: Any) -> int:
    found = opened.script("besomReady.view('history-0').data('all').length")
    assert isinstance(found, int)
    return found


def test_a_page_follows_the_sweep_and_keeps_what_its_reader_does(
    tmp_path: Path, open_page: Any
) -> None:
    study = GrowingStudy(tmp_path, n_trials=60, n_first=30)
    with serving(tmp_path, "grows") as server, study.swept(), open_page(server.url) as opened:
        page = opened.page
        opened.wait("document.getElementById('now-state').textContent.startsWith('Being swept')")
        assert page.locator("#now-words").inner_text().startswith("30 of 60 trials")
        assert n_dots(opened) == 30
        # What the reader does:
        page.locator("#ranking th button", has_text="trial").click()
        page.fill("#filter", "adam")
        page.locator("#columns summary").click()
        page.locator("#columns label", has_text="model.dropout").locator("input").uncheck()
        page.locator("#columns summary").click()
        page.locator("#ranking tbody tr").first.click()
        trial = opened.script("besomReady.picked()[0]")
        page.locator("#again details summary").first.click()
        page.locator("#unranked summary").first.focus()
        page.locator("#slices-0-0").scroll_into_view_if_needed()
        top = page.locator("#slices-0-0").bounding_box()["y"]
        rows = page.locator("#ranking tbody tr").count()

        study.add(15)
        wait_for_version(opened, 2)
        opened.wait("besomReady.view('history-0').data('all').length === 45")
        assert opened.script("besomReady.picked()") == [trial]
        assert opened.script("besomReady.view('history-0').data('picked')[0].trial") == trial
        assert page.input_value("#filter") == "adam"
        assert opened.script("document.activeElement.closest('section').id") == "unranked"
        assert page.locator("#ranking tbody tr").count() > rows
        heading = page.locator("#ranking th[aria-sort='ascending']")
        assert heading.inner_text().startswith("trial")
        assert "dropout" not in page.locator("#ranking th:visible").all_inner_texts()
        assert page.locator("#again details").first.get_attribute("open") is not None
        assert abs(page.locator("#slices-0-0").bounding_box()["y"] - top) < 40
        for chart in opened.script("besomReady.charts()"):
            marks = opened.script(f"document.querySelectorAll('#{chart} svg path').length")
            assert marks > 5, chart
        # And the page works on:
        page.fill("#filter", "")
        page.locator("#ranking th button", has_text="rank").click()
        page.keyboard.press("Escape")
        page.locator("#ranking tbody tr").nth(1).click()
        assert len(opened.script("besomReady.picked()")) == 1
        page.set_viewport_size({"width": 390, "height": 844})
        assert opened.script("document.documentElement.scrollWidth") <= 390


@pytest.mark.long
def test_a_page_without_trials_becomes_the_report(tmp_path: Path, open_page: Any) -> None:
    study = GrowingStudy(tmp_path, n_first=0)
    with serving(tmp_path, "grows") as server, study.swept(), open_page(server.url) as opened:
        assert opened.page.locator("#leaderboard").count() == 0
        study.add(14)
        opened.wait("document.querySelectorAll('#ranking tbody tr').length > 5")
        opened.page.locator("#ranking tbody tr").nth(2).click()
        assert len(opened.script("besomReady.picked()")) == 1
        opened.page.fill("#filter", "no such thing")
        assert opened.page.locator("#ranking tbody tr").count() == 0


@pytest.mark.long
def test_a_damaged_study_is_a_message_and_then_a_page_again(tmp_path: Path, open_page: Any) -> None:
    reporting_world.make(tmp_path)
    journal = tmp_path / "one" / "study.journal"
    whole = journal.read_bytes()
    with serving(tmp_path, "one") as server, open_page(server.url) as opened:
        write_atomically(journal, whole.replace(b'"seq":5', b'"seq":6', 1))
        opened.wait("document.querySelector('#message')?.textContent.includes('is damaged')")
        write_atomically(journal, whole)
        opened.wait("document.querySelectorAll('#ranking tbody tr').length > 5")
        assert opened.page.locator("#message").count() == 0


@pytest.mark.long
def test_nothing_changes_under_a_reader_who_selects_text_or_has_paused(
    tmp_path: Path, open_page: Any
) -> None:
    study = GrowingStudy(tmp_path)
    with serving(tmp_path, "grows") as server, study.swept(), open_page(server.url) as opened:
        opened.wait("document.getElementById('now-words').textContent.startsWith('12 of 30')")
        opened.script("getSelection().selectAllChildren(document.querySelector('#claim h2'))")
        study.add(3)
        opened.wait("document.getElementById('now-words').textContent.startsWith('15 of 30')")
        assert n_dots(opened) == 12
        opened.script("getSelection().removeAllRanges()")
        opened.wait("besomReady.view('history-0').data('all').length === 15")
        opened.page.click("#pause")
        study.add(3)
        opened.page.wait_for_timeout(600)
        assert n_dots(opened) == 15
        opened.page.click("#pause")
        opened.wait("besomReady.view('history-0').data('all').length === 18")


def test_the_index_leads_to_a_study_and_back_and_shows_new_ones(
    tmp_path: Path, open_page: Any
) -> None:
    reporting_world.make(tmp_path)
    with serving(tmp_path) as server, open_page(server.url) as opened:
        opened.page.click("text=two")
        opened.wait("window.besomReady && document.getElementById('ranking')")
        opened.page.click("text=All studies")
        opened.wait("window.besomReady && document.getElementById('studies')")
        GrowingStudy(tmp_path, name="a<b>")
        opened.wait("document.getElementById('studies').textContent.includes('a<b>')")
        opened.page.click("text=a<b>")
        opened.wait("document.querySelector('h1')?.textContent === 'a<b>'")


def test_a_server_that_has_ended_is_said(tmp_path: Path, open_page: Any) -> None:
    reporting_world.make(tmp_path)
    with serving(tmp_path, "one") as server, open_page(server.url) as opened:
        opened.wait("document.getElementById('now-state').textContent.startsWith('Finished')")
        server.token = "another"
        opened.wait(
            "document.getElementById('now-remark').textContent.includes('no longer served')"
        )
        assert opened.page.locator("#ranking tbody tr").count() > 5
        assert any("404" in complaint for complaint in opened.complaints)
        opened.complaints.clear()


def test_a_page_from_elsewhere_reads_nothing_even_if_it_knows_the_address(
    tmp_path: Path, chromium: Any
) -> None:
    reporting_world.make(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "index.html").write_text("<!DOCTYPE html><title>elsewhere</title>")
    handler = functools.partial(_Quiet, directory=str(elsewhere))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as other, serving(tmp_path, "one") as mine:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        page = chromium.new_page()
        page.goto(f"http://127.0.0.1:{other.server_port}/")
        tried = page.evaluate(_HOSTILE, f"{mine.url}?since=0")
        page.close()
        other.shutdown()
    assert tried == {
        "fetch": "TypeError",
        "no-cors": "TypeError",
        "script": "error",
        "frame": "no document",
    }


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *words: Any) -> None:
        pass


#: What a page may try to read another's address; the answer is how each try ended.
_HOSTILE = """async (url) => {
  const tried = (name, doing) => doing.then((r) => [name, r], (e) => [name, e.name]);
  const loaded = (tag, key) => new Promise((done) => {
    const made = document.createElement(tag);
    made.onload = () => {
      try { done(made.contentDocument ? "document" : "no document"); } catch { done("refused"); }
    };
    made.onerror = () => done("error");
    made[key] = url;
    document.documentElement.append(made);
  });
  return Object.fromEntries(await Promise.all([
    tried("fetch", fetch(url).then((r) => r.text())),
    tried("no-cors", fetch(url, { mode: "no-cors" }).then((r) => r.type)),
    tried("script", loaded("script", "src")),
    tried("frame", loaded("iframe", "src")),
  ]));
}"""
