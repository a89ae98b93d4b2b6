"""What the winner gets wrong, in the report; and a report that others may see."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from page_files import write as write_page
from PIL import Image

from besom.cli import main
from besom.report.export import best_trial
from besom.seam import N_WORST
from besom.store.records import Outcome, StudyRecord
from besom.store.storage import load_record
from mistakes_factory import classes, numbers, picture, tags, write, wrong
from records_factory import make_study
from reporting_world import store

NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def page_of(tmp_path: Path, found: dict[str, Any] | None, study: StudyRecord | None = None) -> str:
    study = study or make_study(14, name="one")
    if found is not None:
        write(tmp_path, study.name, best_trial(study).number, found)
    return write_page(study, tmp_path).read_text(encoding="utf-8")


def section(html: str) -> str:
    found = re.search(r'<section id="mistakes">.*?</section>', html, re.DOTALL)
    return "" if found is None else found[0]


def test_the_report_has_the_matrix_and_the_worst_examples_as_pictures(tmp_path: Path) -> None:
    found = section(page_of(tmp_path, classes(3)))
    assert "3 of 10 validation examples wrong (30.00 %)." in found
    assert found.count("<img ") == 3
    assert found.count('class="wrong"') == 3
    assert 'alt="Example 41, dog, predicted cow"' in found
    assert picture() in found
    assert "dog → cow" in found


def test_a_study_whose_mistakes_are_not_known_has_no_such_section(tmp_path: Path) -> None:
    html = page_of(tmp_path, None)
    assert section(html) == ""
    assert "#mistakes" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)


def test_a_damaged_file_is_said_and_costs_the_section_alone(tmp_path: Path) -> None:
    html = page_of(tmp_path, {"format": 1})
    assert "Delete it; `besom show NAME --trial N --retrain` makes it again." in section(html)
    assert "<img" not in section(html)
    assert "What you may claim" in html


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (tags(), ["with a wrong tag", "wrongly given", "a tower"]),
        (numbers(30), ["mean error 0.5", "<circle", "Furthest off", "row 1"]),
        (classes(0), ["the text of example 41", "97.0 %"]),
    ],
)
def test_every_kind_is_shown(tmp_path: Path, found: dict[str, Any], words: list[str]) -> None:
    shown = section(page_of(tmp_path, found))
    assert all(word in shown for word in words)


def test_many_classes_are_listed_by_what_is_taken_for_each_other(tmp_path: Path) -> None:
    found = classes(0)
    found["outputs"][0] |= {"classes": [], "matrix": []}
    shown = section(page_of(tmp_path, found))
    assert 'class="matrix"' not in shown
    assert "predicted" in shown


def test_what_examples_hold_is_text_and_never_markup(tmp_path: Path) -> None:
    found = classes(1, names=(NASTY, "dog", "c"))
    found["outputs"][0]["worst"][0]["true"] = NASTY
    found["outputs"][0]["worst"][0]["text"] = NASTY
    html = page_of(tmp_path, found)
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;alert" in section(html)


def test_pictures_of_examples_keep_the_page_small(tmp_path: Path) -> None:
    """Noise does not compress: no picture is larger."""
    rng = np.random.default_rng(0)
    found = classes()
    worst = []
    for i in range(N_WORST):
        pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        file = tmp_path / "x.png"
        Image.fromarray(pixels).save(file)
        image = base64.b64encode(file.read_bytes()).decode()
        worst.append(wrong(i, "cat", "dog", 0.9, image=image))
    found["outputs"][0]["worst"] = worst
    html = page_of(tmp_path, found)
    assert section(html).count("<img ") == N_WORST
    assert len(section(html).encode()) < 100_000


# --- for others to see ---


def report(results: Path, *words: str) -> str:
    words = ("report", "one", "--results-dir", str(results), *words)
    done = CliRunner().invoke(main, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return (results / "one" / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    study = make_study(14, name="one")
    trials = list(study.trials)
    reason = "DataError: /home/anna/secret/data.npz is damaged"
    detail = 'File "/home/anna/code/model.py", line 3\n  on postgresql://anna@db.acme.org/x'
    trials[4] = replace(trials[4], outcome=Outcome.ERROR, values=None, reason=reason, detail=detail)
    trials = [
        replace(t, config={**t.config, "data": {"path": "/home/anna/secret/data.npz"}})
        for t in trials
    ]
    store(tmp_path, replace(study, trials=tuple(trials)))
    stored = load_record(tmp_path, "one")
    write(tmp_path, "one", best_trial(stored).number, classes(2))
    (tmp_path / "one" / "plots").mkdir()
    Image.new("RGB", (8, 4)).save(tmp_path / "one" / "plots" / "slices.png")
    return tmp_path


def test_no_examples_leaves_out_what_examples_hold_and_keeps_what_was_taken_for_what(
    results: Path,
) -> None:
    shown = section(report(results))
    assert "the text of example 7" in shown
    assert shown.count("<img ") == 2
    shown = section(report(results, "--no-examples"))
    assert "<img " not in shown
    assert picture() not in shown
    assert "the text of" not in shown
    assert 'class="matrix"' in shown
    assert "97.0 %" in shown


def test_redact_leaves_no_path_host_or_value_of_the_environment_in_the_page(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_BUCKET", "data.npz is damaged")
    before = report(results)
    assert "/home/anna" in before
    assert "db.acme.org" in before
    html = report(results, "--redact")
    for gone in ("/home/anna", "anna", "secret/", "db.acme.org", "data.npz is damaged"):
        assert gone not in html, gone
    assert "[redacted]/model.py" in html
    assert "Leaderboard" in html
    assert 'class="matrix"' in html
    assert section(html).count("<img ") == 2
    assert "<noscript><section>" in html
    assert "These are pictures" not in html  # their texts are pixels


def test_a_redacted_page_runs_in_a_browser_as_any_other(results: Path, open_page: Any) -> None:
    report(results, "--redact")
    with open_page(results / "one" / "report.html") as opened:
        assert "history-0" in opened.script("besomReady.charts()")
        assert opened.page.locator("#mistakes img").count() == 2
        width = opened.script("document.querySelector('#mistakes img').naturalWidth")
        assert width == 8


def test_without_scripts_the_section_is_there(results: Path, open_page: Any) -> None:
    report(results)
    with open_page(results / "one" / "report.html", java_script_enabled=False) as opened:
        assert opened.page.locator("#mistakes .matrix").is_visible()
        assert opened.page.locator("#mistakes img").first.is_visible()
