"""The page in a real browser: it draws everything, picks, sorts and filters, and asks for nothing.

What is asserted is state, not pixels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution
from page_files import write

import besom.page
from besom.report.comparison import compare
from besom.store.records import Outcome
from besom.text.values import value_text
from records_factory import N_PARAMS, VAL_ACCURACY, make_study

pytestmark = pytest.mark.slow

LABEL = '"]<b>${x}'
NASTY = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with hostile texts: nothing that they say is done."""
    folder = tmp_path_factory.mktemp("page")
    study = make_study(60, name="a<b>")
    trials = list(study.trials)
    trials[4] = replace(trials[4], outcome=Outcome.ERROR, values=None, reason=NASTY, detail=NASTY)
    hostile = {"model.activation": LABEL}
    choices = CategoricalDistribution((LABEL, "relu", "tanh", "gelu", "silu"))
    trials[0] = replace(
        trials[0],
        params=trials[0].params | hostile,
        raw_params=trials[0].raw_params | hostile,
        distributions=trials[0].distributions | {"model.activation": choices},
    )
    study = replace(study, trials=tuple(trials))
    return write(study, folder)


def picked(opened: Any) -> set[int]:
    return set(opened.script("besomReady.picked()"))


def marked(opened: Any, chart: str) -> set[int]:
    """The trials that a chart shows as picked."""
    rows = opened.script(f"besomReady.view('{chart}').data('picked').map(row => row.trial)")
    return set(rows)


def test_every_chart_is_drawn(page: Path, open_page: Any) -> None:
    with open_page(page) as opened:
        charts = opened.script("besomReady.charts()")
        assert {"history-0", "curves-0", "importance-0", "parallel-0-0"} <= set(charts)
        for chart in charts:
            marks = opened.script(f"document.querySelectorAll('#{chart} svg path').length")
            assert marks > 5, chart
            label = opened.page.locator(f"#{chart}").get_attribute("aria-label")
            assert label, chart
        assert "Optimization history" in opened.page.locator("#history-0").get_attribute(
            "aria-label"
        )


def test_a_category_is_labelled_with_its_own_text(page: Path, open_page: Any) -> None:
    with open_page(page) as opened:
        figure = opened.page.locator("figure").filter(has_text="model.activation").last
        assert value_text(LABEL) in figure.locator("svg text").all_text_contents()


def test_a_click_on_a_row_highlights_the_trial_everywhere(page: Path, open_page: Any) -> None:
    with open_page(page) as opened:
        row = opened.page.locator("#ranking tbody tr").nth(2)
        trial = int(row.get_attribute("data-trial"))
        row.click()
        assert picked(opened) == {trial}
        assert row.get_attribute("aria-selected") == "true"
        for chart in ("history-0", "curves-0", "slices-0-0", "parallel-0-0"):
            assert marked(opened, chart) == {trial}, chart
            assert opened.script(f"besomReady.view('{chart}').signal('fade')") is True
        opened.page.keyboard.press("Escape")
        assert picked(opened) == set()
        assert marked(opened, "history-0") == set()


def test_rows_are_picked_by_keyboard_too(page: Path, open_page: Any) -> None:
    with open_page(page) as opened:
        rows = opened.page.locator("#ranking tbody tr")
        trials = {int(rows.nth(i).get_attribute("data-trial")) for i in (0, 1)}
        rows.nth(0).focus()
        opened.page.keyboard.press("Enter")
        rows.nth(1).focus()
        opened.page.keyboard.press("Shift+Enter")
        assert picked(opened) == trials


def test_marks_are_reached_and_picked_by_keyboard(page: Path, open_page: Any) -> None:
    with open_page(page) as opened:
        keyboard, tip = opened.page.keyboard, opened.page.locator("#tip")
        opened.page.locator("#history-0").focus()
        keyboard.press("ArrowRight")
        assert tip.inner_text().startswith("Trial 0")
        keyboard.press("ArrowRight")
        assert tip.inner_text().startswith("Trial 1")
        assert opened.page.locator("#said").inner_text().startswith("Trial 1")
        keyboard.press("Enter")
        keyboard.press("End")
        keyboard.press("Shift+Enter")
        assert picked(opened) == {1, 59}
        keyboard.press("Escape")
        for chart in ("curves-0", "slices-0-0", "parallel-0-0"):
            opened.page.locator(f"#{chart}").focus()
            keyboard.press("ArrowRight")
            keyboard.press("ArrowLeft")
            keyboard.press("Enter")
            said = tip.inner_text().split()[1].rstrip(",")
            assert picked(opened) == {int(said)}, chart
            keyboard.press("Enter")
        opened.page.locator("#importance-0").focus()
        keyboard.press("ArrowDown")
        assert "of the importance" in tip.inner_text()
        keyboard.press("Tab")
        assert tip.is_hidden()


PLACE = """(() => {
  const view = besomReady.view('history-0'), row = view.data('all').find(row => row.trial === 8);
  const box = document.querySelector('#history-0 svg').getBoundingClientRect();
  const [left, top] = view.origin(), { left: padLeft, top: padTop } = view.padding();
  return [box.x + left + padLeft + view.scale('x')(row.trial),
          box.y + top + padTop + view.scale('y')(row.c0)];
})()"""


def test_a_dot_is_pointed_at_from_some_pixels_away(page: Path, open_page: Any) -> None:
    with open_page(page) as opened:
        opened.page.locator("#history-0").scroll_into_view_if_needed()
        x, y = opened.script(PLACE)
        opened.page.mouse.move(x + 6, y)
        opened.wait("!document.getElementById('tip').hidden")
        assert opened.page.locator("#tip").inner_text().startswith("Trial 8,")
        opened.page.mouse.move(x + 6, y - 12)
        opened.wait("document.getElementById('tip').hidden")


@pytest.mark.parametrize("chart", ["history-0", "slices-0-0"])
def test_dragging_over_dots_picks_them_everywhere(page: Path, open_page: Any, chart: str) -> None:
    with open_page(page) as opened:
        element = opened.page.locator(f"#{chart}")
        element.scroll_into_view_if_needed()
        box = element.bounding_box()
        mouse = opened.page.mouse
        mouse.move(box["x"] + 0.45 * box["width"], box["y"] + 8)
        mouse.down()
        mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 60, steps=3)
        mouse.move(box["x"] + 0.95 * box["width"], box["y"] + 0.6 * box["height"], steps=3)
        mouse.up()
        opened.wait("besomReady.picked().length > 0")
        found = picked(opened)
        assert 0 < len(found) < 60
        assert marked(opened, chart) == found
        assert marked(opened, "parallel-0-0") <= found
        rows = opened.page.locator("#ranking tr[aria-selected='true']")
        assert {int(row.get_attribute("data-trial")) for row in rows.all()} <= found
        # Picking elsewhere takes the brush away.
        opened.page.locator("#ranking tbody tr").first.click()
        assert opened.script(f"besomReady.view('{chart}').signal('brush')") in ({}, None)
        assert len(picked(opened)) == 1


def test_the_table_sorts_filters_and_hides_columns(page: Path, open_page: Any) -> None:
    with open_page(page) as opened:
        trials = opened.page.locator("#ranking tbody tr td:nth-child(2)")
        heading = opened.page.locator("#ranking th button", has_text="trial")
        heading.click()
        up = [int(text) for text in trials.all_inner_texts()]
        assert up == sorted(up)
        heading.click()
        assert [int(text) for text in trials.all_inner_texts()] == up[::-1]
        sorting = opened.page.locator("#ranking th[aria-sort='descending']")
        assert sorting.inner_text().startswith("trial")
        opened.page.fill("#filter", "sgd tanh")
        texts = opened.page.locator("#ranking tbody tr").all_inner_texts()
        assert 0 < len(texts) < len(up)
        assert all("sgd" in text and "tanh" in text for text in texts)
        opened.page.fill("#filter", "")
        opened.page.locator("#columns summary").click()
        opened.page.locator("#columns label", has_text="model.dropout").locator("input").uncheck()
        shown = opened.page.locator("#ranking th:visible").all_inner_texts()
        assert "dropout" not in shown
        assert "activation" in shown


def test_a_theme_and_paper_draw_everything_anew(page: Path, open_page: Any) -> None:
    with open_page(page, color_scheme="dark") as opened:
        background = "getComputedStyle(document.body).backgroundColor"
        night = opened.script(background)
        opened.page.click("#theme")
        assert opened.script(background) != night
        opened.wait("document.querySelectorAll('#history-0 svg path').length > 5")
        opened.page.locator("#ranking tbody tr").first.click()
        opened.page.click("#theme")
        opened.page.wait_for_timeout(300)
        assert len(picked(opened)) == 1
        pdf = opened.page.pdf(format="A4")
        assert pdf.startswith(b"%PDF")
        assert len(pdf) > 20_000


def test_a_phone_shows_the_page_without_scrolling_sideways(page: Path, open_page: Any) -> None:
    with open_page(page) as opened:
        opened.page.set_viewport_size({"width": 390, "height": 844})
        assert opened.script("document.documentElement.scrollWidth") <= 390


def test_without_scripts_pictures_take_the_charts_place(page: Path, open_page: Any) -> None:
    with open_page(page, java_script_enabled=False) as opened:
        assert opened.page.locator("noscript img").count() == 1
        assert opened.page.locator("#ranking tbody tr").count() > 10
        assert not opened.page.locator("#history-0").is_visible()


def test_a_pareto_front_and_a_comparison_are_drawn(tmp_path: Path, open_page: Any) -> None:
    study = make_study(30, name="two", objectives=(VAL_ACCURACY, N_PARAMS))
    path = write(study, tmp_path)
    with open_page(path) as opened:
        assert "pareto-1" in opened.script("besomReady.charts()")
        opened.page.locator("#ranking tbody tr").first.click()
        assert marked(opened, "pareto-1") == picked(opened)
    studies = [make_study(20, name=name, seed=seed) for seed, name in enumerate(("a", "b"))]
    path = besom.page.write_comparison_page(compare(studies), tmp_path)
    with open_page(path) as opened:
        assert opened.script("besomReady.charts()") == ["spent", "trials"]
        assert opened.script("document.querySelectorAll('#trials svg path').length") > 5


def test_thousands_of_trials_are_drawn_on_canvas_and_picked(tmp_path: Path, open_page: Any) -> None:
    study = make_study(2300, n_epochs=2)
    path = write(study, tmp_path)
    with open_page(path) as opened:
        assert opened.page.locator("#history-0 canvas").count() == 1
        assert opened.page.locator("#ranking tbody tr").count() == 100
        opened.page.click("#more")
        assert opened.page.locator("#ranking tbody tr").count() == 600
        opened.page.locator("#ranking tbody tr").first.click()
        assert marked(opened, "history-0") == picked(opened)
