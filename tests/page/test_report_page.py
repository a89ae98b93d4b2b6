"""``besom report``: what the page says, what it weighs, and that it needs nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import altair
import pytest
from click.testing import CliRunner
from optuna.distributions import CategoricalDistribution
from page_files import write
from PIL import Image

import besom.page
import reporting_world
from besom.cli import main
from besom.page.charts import PageChart, literal
from besom.page.comparison_page import comparison_context
from besom.page.study_page import sections_of
from besom.page.write_page import script_json
from besom.report.comparison import compare
from besom.store.paths import StudyPaths
from besom.store.records import Origin, Outcome, StudyRecord
from records_factory import N_PARAMS, VAL_ACCURACY, make_study, make_trial

VENDOR = Path(besom.page.__file__).parent / "vendor"
NASTY = "<script>alert(1)</script>'\"&amp;${x}</style><!--\u202e"


class _Page(HTMLParser):
    """What a browser would find in a page: its elements, and its text outside of scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.data: dict[str, Any] = {}
        self._in: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.addresses += [given[key] or "" for key in ("src", "href") if key in given]
        self._in = [tag, given.get("id") or ""]

    def handle_endtag(self, tag: str) -> None:
        self._in = []

    def handle_data(self, text: str) -> None:
        if self._in[:1] == ["script"]:
            if self._in[1] == "data":
                self.data = json.loads(text)
        elif self._in[:1] != ["style"]:
            self.words.append(text)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def read(path: Path) -> _Page:
    return _Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    reporting_world.make(folder)
    return folder


def run(*words: str) -> str:
    done = CliRunner().invoke(main, ["report", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_writes_one_page_and_says_where(results: Path) -> None:
    said = run("one", "--results-dir", str(results))
    path = results / "one" / "report.html"
    assert said.strip() == str(path)
    page = read(path)
    for words in ("What you may claim", "Leaderboard", "Cost", "Not ranked", "Run it again"):
        assert words in page.text
    assert "besom confirm one" in page.text


def test_several_names_are_put_side_by_side(results: Path) -> None:
    said = run("one", "two", "--results-dir", str(results))
    path = results / "compare" / "one-two" / "report.html"
    assert said.strip() == str(path)
    page = read(path)
    assert {"one", "two"} <= set(page.text.split())
    assert [chart["id"] for chart in page.data["charts"]] == ["spent", "trials"]


def test_an_unknown_study_is_one_message(results: Path) -> None:
    done = CliRunner().invoke(main, ["report", "onne", "--results-dir", str(results)])
    assert done.exit_code == 2
    assert "one" in done.output
    assert "Traceback" not in done.output


def test_a_page_of_200_trials_stays_under_a_megabyte_and_a_half(tmp_path: Path) -> None:
    path = write(make_study(200), tmp_path)
    assert path.stat().st_size < 1_500_000


def test_nothing_in_a_page_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    html = write(make_study(14), tmp_path).read_text()
    page = _Page(html)
    outside = [a for a in page.addresses if not a.startswith(("#", "data:"))]
    assert outside == []
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;")
    assert "unsafe-eval" not in html.partition("</head>")[0]


def test_what_a_user_named_is_text_and_never_markup(tmp_path: Path) -> None:
    study = make_study(14, name="a<b>&c")
    hostile = {**study.trials[3].params, "model.activation": NASTY}
    distributions = {
        **study.trials[3].distributions,
        "model.activation": CategoricalDistribution((NASTY, "relu")),
    }
    trials = list(study.trials)
    trials[3] = replace(
        make_trial(3, study.trials[3].params),
        params=hostile,
        raw_params={**study.trials[3].raw_params, "model.activation": NASTY},
        distributions=distributions,
    )
    trials[4] = replace(trials[4], outcome=Outcome.ERROR, values=None, reason=NASTY, detail=NASTY)
    html = write(replace(study, trials=tuple(trials)), tmp_path).read_text(encoding="utf-8")
    page = _Page(html)
    # The data and the four scripts of besom's own.
    assert page.tags.count("script") == 5
    assert "<script>alert" not in html
    assert NASTY[:-1] in page.text
    assert "\u202e" not in html
    assert NASTY[:-1] in json.dumps(page.data, ensure_ascii=False).replace('\\"', '"')


def test_a_value_as_long_as_a_page_does_not_make_a_table_of_its_length(tmp_path: Path) -> None:
    study = make_study(2)
    long = replace(
        study.trials[1],
        params={"model.text": "v" * 9000},
        outcome=Outcome.ERROR,
        values=None,
        reason="r" * 9000,
    )
    words = read(write(replace(study, trials=(study.trials[0], long)), tmp_path)).words
    assert max(len(word) for word in words if set("vr") & {*word[-9:]}) < 1000


def test_hyperparameters_whose_names_end_alike_have_headings_that_tell_them_apart(
    tmp_path: Path,
) -> None:
    study = make_study(3)
    named = [{"model.encoder.units": i, "model.decoder.units": i + 1} for i in range(3)]
    trials = tuple(replace(t, params=p) for t, p in zip(study.trials, named, strict=True))
    page = read(write(replace(study, trials=trials), tmp_path))
    columns = {c["title"]: c["label"] for c in page.data["table"]["columns"]}
    assert columns["model.encoder.units"] == "encoder.units"
    assert columns["model.decoder.units"] == "decoder.units"


def test_data_for_scripts_holds_no_character_that_ends_a_script() -> None:
    text = str(script_json({"a": "</script><!--\u2028", "b": [NASTY]}))
    assert not set("<>&\u2028\u202e") & set(text)
    assert json.loads(text)["a"] == "</script><!--\\u2028"


def test_labels_become_literals_that_close_nothing() -> None:
    assert literal(['"]; alert(1)', "\u2028"]) == '["\\"]; alert(1)", "\\u2028"]'


# Every state of a study has a page


def _charts(study: StudyRecord) -> list[PageChart]:
    return [chart for section in sections_of(study) for chart in section.charts]


@pytest.mark.parametrize(
    "study",
    [
        pytest.param(make_study(0, name="empty"), id="no trial"),
        pytest.param(make_study(1, name="one"), id="the baseline alone"),
        pytest.param(
            make_study(3, name="few"), id="too few for importance", marks=pytest.mark.long
        ),
        pytest.param(
            make_study(12, name="no-base", baseline=False), id="no baseline", marks=pytest.mark.long
        ),
        pytest.param(
            make_study(9, name="single", n_epochs=1), id="one epoch", marks=pytest.mark.long
        ),
        pytest.param(make_study(14, name="pruned", pruned=0.9), id="nearly all pruned"),
        pytest.param(
            make_study(12, name="two", objectives=(VAL_ACCURACY, N_PARAMS)), id="two objectives"
        ),
    ],
)
def test_every_study_has_a_page(study: StudyRecord, tmp_path: Path) -> None:
    page = read(write(study, tmp_path))
    assert "What you may claim" in page.text
    drawn = {chart["id"] for chart in page.data["charts"]}
    assert drawn == {chart.id for chart in _charts(study) if chart.spec is not None}
    for chart in _charts(study):
        assert chart.spec is not None or chart.caption, chart.id


def test_a_study_in_which_every_trial_failed_says_why(tmp_path: Path) -> None:
    trials = tuple(
        replace(t, outcome=Outcome.ERROR, values=None, reason="ValueError: no layers", detail="Tra")
        for t in make_study(4).trials
    )
    page = read(write(replace(make_study(4), trials=trials), tmp_path))
    assert "ValueError: no layers" in page.text
    assert "all 4 trials failed" in page.text.lower()


def test_columns_have_names_that_vega_reads_as_they_are() -> None:
    for chart in _charts(make_study(14)):
        assert set(chart.columns) <= {"trial", "tip", *(f"c{i}" for i in range(9))}
        lengths = {len(values) for values in chart.columns.values()}
        assert len(lengths) <= 1


@pytest.mark.long
def test_every_chart_is_valid_vega_lite() -> None:
    for chart in _charts(make_study(20, objectives=(N_PARAMS, VAL_ACCURACY), pruned=0.0)):
        if chart.spec is not None:
            altair.LayerChart.from_dict(chart.spec)


@pytest.mark.parametrize("n", [2, 3])
def test_few_epochs_and_trials_are_counted_in_whole_numbers(n: int, tmp_path: Path) -> None:
    two = [replace(make_study(n, n_epochs=n, pruned=0.0), name=name) for name in "ab"]
    specs = {chart.id: chart.spec for chart in _charts(two[0])}
    compared = comparison_context(compare(two), tmp_path)["data"]["charts"]
    specs |= {chart["id"]: chart["spec"] for chart in compared}
    for id in ("history-0", "curves-0", "trials"):
        ticks = specs[id]["layer"][0]["encoding"]["x"]["axis"]["values"]
        assert len(ticks) >= 2
        assert all(float(tick).is_integer() for tick in ticks)


def test_many_trials_are_drawn_on_canvas_and_sampled() -> None:
    study = make_study(2100, n_epochs=2)
    drawn = {chart.id: chart for chart in _charts(study) if chart.spec is not None}
    history = drawn["history-0"]
    assert history.for_script()["renderer"] == "canvas"
    assert len(history.columns["trial"]) == 2100
    assert len(set(drawn["curves-0"].columns["trial"])) <= 201
    assert max(len(c.columns["trial"]) for id, c in drawn.items() if "slices" in id) <= 2000
    assert len(set(drawn["parallel-0-0"].columns["trial"])) <= 501


def test_the_baseline_s_config_is_set_against_the_winner_s(tmp_path: Path) -> None:
    study = make_study(14)
    page = read(write(study, tmp_path))
    assert "Baseline against winner" in page.text
    two = make_study(14, name="two", objectives=(VAL_ACCURACY, N_PARAMS))
    assert "Baseline against the knee of the front" in read(write(two, tmp_path)).text
    assert "model.dropout" in page.text
    assert study.baseline is not None
    assert study.baseline.origin is Origin.BASELINE


@pytest.mark.long
def test_without_scripts_the_plots_are_pictures(tmp_path: Path) -> None:
    study = make_study(12)
    path = besom.page.write_study_page(study, StudyPaths.of(tmp_path, study.name))
    html = path.read_text()
    quiet = re.findall(r"<noscript>(.*?)</noscript>", html, flags=re.DOTALL)
    assert sum(part.count('<img src="data:image/png;base64,') for part in quiet) == 5


def test_large_studies_are_not_drawn_only_for_browsers_without_scripts(tmp_path: Path) -> None:
    study = make_study(1100, n_epochs=2)
    path = besom.page.write_study_page(study, StudyPaths.of(tmp_path, study.name))
    html = path.read_text()
    assert "<noscript>" in html
    assert 'src="data:image/png' not in html
    assert not StudyPaths.of(tmp_path, study.name).plots.exists()


def test_what_confirm_found_is_in_the_page(tmp_path: Path) -> None:
    study = make_study(12)
    write(study, tmp_path)
    paths = StudyPaths.of(tmp_path, study.name)
    root = paths.root
    (root / "confirm.csv").write_text(
        "rank,trial,status,baseline,metric,of_new,mean,sd,low,high,fixed_low,fixed_high,gain,"
        "gain_low,gain_high,n_seeds,seed_1,seed_2\n"
        "1,7,first,False,val_accuracy,True,0.97,0.01,0.95,0.98,0.96,0.98,0.1,0.05,0.15,2,0.97,\n"
        "2,0,behind,True,val_accuracy,True,0.87,0.01,0.85,0.88,0.86,0.88,,,,2,0.87,0.88\n"
    )
    said = {"sentences": ["Trial 7 is first.", "A limit."], "columns": ["trial"], "rows": [["7"]]}
    (root / "confirm.json").write_text(json.dumps(said))
    page = read(besom.page.write_study_page(study, paths))
    assert "Trial 7 is first." in page.text
    assert "A limit." in page.text
    assert "confirm" in {chart["id"] for chart in page.data["charts"]}
    (root / "confirm.json").write_text("{")
    assert "Trial 7 is first." not in read(besom.page.write_study_page(study, paths)).text


def test_a_pipe_in_the_place_of_a_result_is_not_waited_for(tmp_path: Path) -> None:
    reporting_world.make(tmp_path)
    os.mkfifo(tmp_path / "one" / "confirm.json")
    os.mkfifo(tmp_path / "two" / "claim.json")
    (tmp_path / "one" / "plots").mkdir()
    Image.new("RGB", (8, 4)).save(tmp_path / "one" / "plots" / "slices.png")
    assert "report.html" in run("one", "--results-dir", str(tmp_path))


# The scripts that are shipped


def test_the_shipped_scripts_are_those_that_the_list_names() -> None:
    packages = json.loads((VENDOR / "packages.json").read_text())
    listed = {name: digest for p in packages for name, digest in p.get("sha256", {}).items()}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.glob("*.js")
    }
    assert found == listed
    assert all(package["integrity"].startswith("sha512-") for package in packages)


def test_every_shipped_package_comes_with_its_licence() -> None:
    licences = (VENDOR / "LICENSES.txt").read_text()
    for package in json.loads((VENDOR / "packages.json").read_text()):
        assert f"{package['name']} {package['version']}" in licences


def test_the_shipped_vega_lite_reads_what_altair_writes() -> None:
    packages = json.loads((VENDOR / "packages.json").read_text())
    shipped = next(p["version"] for p in packages if p["name"] == "vega-lite")
    assert shipped.split(".")[0] == altair.SCHEMA_VERSION.lstrip("v").split(".")[0]
