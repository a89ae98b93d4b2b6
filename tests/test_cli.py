"""The command line as a whole: what it prints where, its exit codes, its documentation."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from sweeping import assert_whole

from besom.cli.sweep_command import _print_result
from besom.config import SearchPath
from besom.config.search_path import packaged_config_dirs
from besom.report.leaderboard import headline, write_leaderboard
from besom.statistics import claim
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord
from besom.study import load_record
from besom.text.console import TerminalConsole
from records_factory import N_PARAMS, VAL_ACCURACY, make_study
from reporting_world import store
from user_project import Project

HOME = Path(__file__).parents[1]


# Sweeping


@pytest.fixture(scope="module")
def swept(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A whole ``besom sweep cheap`` in a process of its own, once for several tests."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("swept")
        make = Project(root)
        patch.chdir(root)
        patch.delenv("BESOM_RESULTS_DIR", raising=False)
        paths = [str(HOME / "tests" / "study"), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        from user_project import CHEAP_SWEEP

        make.write("sweeps/cheap.yaml", CHEAP_SWEEP)
        words = ("sweep.n_trials=4", "sweep.executor.workers=2", "sweep.plots=true")
        done = make.run("sweep", "cheap", *words)
    return root, done


Swept = tuple[Path, subprocess.CompletedProcess[str]]


def test_a_sweep_in_a_pipe_prints_one_plain_line_a_trial(swept: Swept) -> None:
    _, done = swept
    assert done.returncode == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "cheap: 4 trials, 2 workers"
    assert [line.split()[0] for line in lines[1:5]] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert "\x1b" not in done.stdout
    assert any("over the baseline" in line for line in lines[5:])
    assert lines[-1] == "Written: results/cheap/"


def test_a_sweep_leaves_everything_that_was_promised(swept: Swept) -> None:
    root, _ = swept
    study = root / "results" / "cheap"
    promised = ["best.yaml", "leaderboard.csv", "leaderboard.md", "ledger.csv", "report.html"]
    promised += ["logs", "plots", "study.journal"]
    for name in promised:
        assert (study / name).exists(), name
    plots = {path.stem for path in (study / "plots").glob("*.png")}
    for plot in ("optimization_history", "learning_curves", "importance", "slice", "parallel"):
        assert any(plot in name for name in plots), plot
    assert not list(study.rglob(".*")), "a temporary file was left"


def test_what_was_made_from_the_study_can_be_made_again_from_it(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = swept
    monkeypatch.chdir(root)
    monkeypatch.delenv("BESOM_RESULTS_DIR", raising=False)
    study = root / "results" / "cheap"
    project = Project(root)
    assert project.besom("export", "cheap").stdout == (study / "best.yaml").read_text()
    csv_now = project.besom("leaderboard", "cheap", "--format", "csv").stdout
    assert csv_now == (study / "leaderboard.csv").read_text()
    md_now = project.besom("leaderboard", "cheap", "--format", "md").stdout
    assert md_now == (study / "leaderboard.md").read_text()
    costs_now = project.besom("ledger", "cheap", "--format", "csv").stdout
    assert costs_now == (study / "ledger.csv").read_text()
    before = sorted(path.name for path in (study / "plots").iterdir())
    done = project.besom("plot", "cheap")
    assert done.exit_code == 0
    assert sorted(Path(line).name for line in done.stdout.split()) == before


def test_quiet_prints_nothing(project: Project, no_orphans: str) -> None:
    done = project.besom("sweep", "cheap", "sweep.n_trials=2", "--quiet")
    assert (done.exit_code, done.output) == (0, "")
    assert_whole(2)


def test_a_sweep_without_a_success_exits_with_1_and_says_where_the_reasons_are(
    project: Project, no_orphans: str
) -> None:
    words = ("trainer.fault=raise", "sweep.n_trials=9", "sweep.max_failures=2")
    done = project.besom("sweep", "cheap", *words)
    assert done.exit_code == 1
    assert "first 2 trials all failed" in done.stdout
    assert "no trial of cheap has succeeded" in done.stderr
    assert "leaderboard.md" in done.stderr
    text = (project.root / "results/cheap/leaderboard.md").read_text()
    assert text.count("ValueError: the layer [red] is missing") == 2
    assert not (project.root / "results/cheap/best.yaml").exists()
    assert project.besom("leaderboard", "cheap").exit_code == 0
    assert project.besom("list").exit_code == 0
    assert project.besom("export", "cheap").exit_code == 2


@pytest.mark.long
def test_workers_chatter_goes_to_their_logs_and_never_to_the_screen(
    project: Project, no_orphans: str
) -> None:
    project.write(
        "chatty.py",
        "import os, sys\nfrom sweep_trials import prepare, quadratic\n"
        "def f(config, report):\n"
        "    print('on stdout'); print('on stderr', file=sys.stderr); os.write(2, b'from C\\n')\n"
        "    return quadratic(config, report)\n",
    )
    done = project.run("sweep", "cheap", "sweep.trial_function=chatty.f", "sweep.n_trials=1")
    assert done.returncode == 0, done.stderr
    log = (project.root / "results/cheap/logs/worker-0.log").read_text()
    for words in ("on stdout", "on stderr", "from C"):
        assert words not in done.stdout + done.stderr
        assert words in log


def test_a_users_module_is_found_in_the_current_folder(project: Project, no_orphans: str) -> None:
    project.write("mine.py", "from sweep_trials import prepare, quadratic as f\n")
    done = project.besom("sweep", "cheap", "sweep.trial_function=mine.f", "sweep.n_trials=1")
    assert done.exit_code == 0, done.output


def test_a_full_disk_is_said_and_the_same_command_goes_on_from_there(
    project: Project, no_orphans: str
) -> None:
    """RLIMIT_FSIZE makes the kernel refuse the write itself, as it does on a full disk."""
    words = ("sweep", "cheap", "sweep.n_trials=14")

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    process = project.spawn(*words, preexec_fn=small_disk)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2, (out, err)
    assert "Traceback" not in err
    assert err.startswith("besom: ")
    assert "File too large" in err
    assert "No finished trial is lost" in err
    n_told = out.count("] trial ")
    assert 0 < n_told < 14
    again = project.besom(*words)
    assert again.exit_code == 0, again.output
    assert f"{n_told} already done" in again.output
    assert len(assert_whole(14).complete) == 14


@pytest.mark.long
def test_a_disk_that_fills_up_when_the_outputs_are_written_is_said(
    project: Project, no_orphans: str
) -> None:
    """All trials are stored, and only plots no longer fit: that costs the plots, not the sweep."""

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    words = ("sweep", "cheap", "sweep.n_trials=1", "sweep.plots=true")
    process = project.spawn(*words, preexec_fn=small_disk)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err == ""
    assert "Not drawn: " in out
    assert "Not written: report.html" in out
    assert "File too large" in out
    assert_whole(1)


# Reporting


@pytest.fixture
def studies(project: Project) -> Project:
    """A results folder with the studies ``one`` and ``two``."""
    store(project.root / "results", make_study(30, name="one"))
    store(project.root / "results", make_study(8, name="two", failed=1.0, pruned=0.0))
    return project


def test_the_leaderboard_is_printed_in_every_format(studies: Project) -> None:
    table = studies.besom("leaderboard", "one").output
    assert "Leaderboard of one" in table
    assert "Not ranked" in table
    assert " pruned " not in table.split("Failed")[-1].split("Not ranked")[0]
    assert " pruned " in studies.besom("leaderboard", "one", "--all").output
    rows = json.loads(studies.besom("leaderboard", "one", "--format", "json").output)
    n_complete = len(make_study(30).complete)
    assert len(rows) == n_complete
    text = studies.besom("leaderboard", "one", "--format", "csv").output
    assert len(list(csv.DictReader(io.StringIO(text)))) == n_complete
    assert studies.besom("leaderboard", "one", "--format", "md").output.startswith("# one\n")


def test_top_and_sort_choose_the_rows(studies: Project) -> None:
    def trials(*words: str) -> list[int]:
        done = studies.besom("leaderboard", "one", "--format", "json", *words)
        return [row["trial"] for row in json.loads(done.output)]

    assert trials("--top", "3") == trials()[:3]
    assert trials("--sort", "trial") == sorted(trials())
    assert trials("--sort", "trial", "--top", "2") == sorted(trials())[:2]
    assert trials("--top", "10000") == trials()


def test_columns_chooses_what_is_shown_and_written(studies: Project) -> None:
    chosen = ("--columns", "dropout,seconds", "--columns", "learning_rate")
    rows = json.loads(studies.done("leaderboard", "one", "--format", "json", *chosen))
    always = ["rank", "trial", "val_accuracy"]
    assert list(rows[0]) == [*always, "model.dropout", "seconds", "optimizer.learning_rate"]
    head = next(x for x in studies.done("leaderboard", "one", *chosen).splitlines() if "rank" in x)
    assert [word.strip() for word in head.strip("┃").split("┃")] == [
        *(*always, "dropout", "seconds", "learning_rate")
    ]
    refused = studies.besom("leaderboard", "one", "--columns", "droput")
    assert refused.exit_code == 2
    assert "--columns 'droput'" in refused.output
    assert "Did you mean 'dropout'" in refused.output
    nothing = studies.besom("leaderboard", "one", "--columns", ",")
    assert (nothing.exit_code, "names no column" in nothing.output) == (2, True)


def test_the_list_has_a_line_a_study(studies: Project) -> None:
    out = studies.besom("list").output
    assert "one" in out
    assert "two" in out
    assert "val_accuracy" in out


def judged(name: str) -> StudyRecord:
    """Trials that get 90 to 94 of 100 images right, the last of them best."""
    bits = [np.arange(100) < 90 + number for number in range(5)]
    trials = tuple(
        dataclasses.replace(
            trial,
            values=(float(right.mean()),),
            history={"val_accuracy": [float(right.mean())]},
            best_epoch=1,
            n_validation=100,
            correct=np.packbits(right).tobytes(),
        )
        for right, trial in zip(bits, make_study(5, failed=0.0, pruned=0.0).trials, strict=True)
    )
    return dataclasses.replace(make_study(0), name=name, trials=trials)


def test_the_list_shows_what_is_left_of_the_best_once_luck_is_taken_out(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    study, results = judged("judged"), project.root / "results"
    store(results, study)
    claimed = claim(study)
    fresh = project.besom("list").output
    assert claimed.baseline is not None
    row = f"{claimed.corrected:.4f} │    4 │ {study.objective.gain_text(claimed.baseline.gain)}"
    assert "0.9400 ± 0.0237" in fresh
    assert row in fresh
    assert "best is raw" in fresh
    write_leaderboard(study, StudyPaths.of(results, "judged"), claimed)
    monkeypatch.setattr("besom.statistics.claim", None)  # nothing is computed again
    assert project.besom("list").output == fresh


def test_where_a_gain_can_be_corrected_no_other_is_shown() -> None:
    from besom.page.study_page import tiles_of
    from besom.report.export import best_trial
    from besom.report.ledger import conclusions, ledger

    study = judged("judged")
    claimed = claim(study)
    assert claimed.baseline is not None
    gain = study.objective.gain_text(claimed.baseline.gain)
    assert "over the baseline before any correction" in headline(study)
    assert "over the baseline" not in headline(study, claimed=claimed)
    assert f"{gain} over the baseline for " in " ".join(conclusions(study, ledger(study)))
    notes = {tile.label: tile.note for tile in tiles_of(study, claimed, best_trial(study))}
    assert notes["baseline"].startswith("gain +")
    assert notes["baseline"].removeprefix("gain ") in claimed.text


def test_the_list_does_not_believe_a_leaderboard_of_other_trials(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    study, results = judged("judged"), project.root / "results"
    store(results, study)
    truth = project.besom("list").output
    paths = StudyPaths.of(results, "judged")
    fewer = dataclasses.replace(study, trials=study.trials[:3])
    write_leaderboard(fewer, paths, claim(fewer))
    assert project.besom("list").output == truth
    for text in ("", "[]", '{"values": {"1": [2]}, "n_replicates": 0}', "\0\xff"):
        paths.claim.write_text(text)
        assert project.besom("list").output == truth


def on_data(study: StudyRecord, fingerprint: str) -> StudyRecord:
    """The study, judged on these examples."""
    facts = {"data": {"fingerprint": fingerprint}}
    trials = tuple(dataclasses.replace(t, environment=facts) for t in study.trials)
    return dataclasses.replace(study, trials=trials)


def test_a_leaderboard_names_the_studies_that_chose_by_the_same_examples(project: Project) -> None:
    results = project.root / "results"
    for name, data in (("one", "a"), ("two", "b"), ("three", "a")):
        study = on_data(judged(name), data)
        store(results, study)
        write_leaderboard(study, StudyPaths.of(results, name), claim(study))
    said = " ".join(project.besom("leaderboard", "one").output.split())
    assert "other study three was judged on the same validation examples" in said
    assert "same validation" not in " ".join(project.besom("leaderboard", "two").output.split())


def test_the_end_of_a_sweep_has_the_caveats_of_the_leaderboard() -> None:
    study = judged("judged")
    console, claimed = TerminalConsole(file=io.StringIO(), width=400), claim(study)
    _print_result(study, claimed, console)
    assert claimed.caveats
    for caveat in claimed.caveats:
        assert caveat in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_list_crowns_nobody_where_there_are_several_objectives(project: Project) -> None:
    study = make_study(20, name="both", objectives=[VAL_ACCURACY, N_PARAMS])
    store(project.root / "results", study)
    assert "on the front" in project.besom("list").output


def test_the_ledger_is_printed_in_every_format(studies: Project) -> None:
    assert "Cost of one" in studies.besom("ledger", "one").output
    text = studies.besom("ledger", "one", "--format", "csv").output
    assert len(list(csv.DictReader(io.StringIO(text)))) == 30
    assert len(json.loads(studies.besom("ledger", "one", "--format", "json").output)) == 30
    assert studies.besom("ledger", "one", "--format", "md").output.startswith("# Cost of one\n")
    assert "Cost of two" in studies.besom("ledger", "two").output


def test_an_empty_results_folder_is_no_error(project: Project) -> None:
    done = project.besom("list")
    assert done.exit_code == 0
    assert "besom sweep quickstart" in done.output
    assert not (project.root / "results").exists()


def test_the_results_folder_is_an_option_or_a_variable(
    studies: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (studies.root / "results").rename(studies.root / "moved")
    assert studies.besom("leaderboard", "one").exit_code == 2
    assert studies.besom("leaderboard", "one", "--results-dir", "moved").exit_code == 0
    monkeypatch.setenv("BESOM_RESULTS_DIR", "moved")
    assert studies.besom("leaderboard", "one").exit_code == 0
    assert "one" in studies.besom("list").output


def test_reporting_changes_nothing_in_a_study(studies: Project) -> None:
    journal = StudyPaths.of(studies.root / "results", "one").journal
    torn = journal.read_bytes() + b'{"op_code": 6, "val'
    journal.write_bytes(torn)
    for words in (("leaderboard", "one"), ("list",), ("export", "one")):
        assert studies.besom(*words).exit_code == 0
    assert journal.read_bytes() == torn
    assert [path.name for path in journal.parent.iterdir()] == ["study.journal"]


def test_a_trial_can_be_exported_by_its_number(studies: Project) -> None:
    done = studies.besom("export", "one", "--trial", "3", "-o", "deep/three.yaml")
    assert done.exit_code == 0
    assert "deep/three.yaml" in done.output
    assert "# Trial 3 of the besom study 'one'" in (studies.root / "deep/three.yaml").read_text()


def test_a_reader_that_stops_reading_is_no_error(studies: Project) -> None:
    command = (
        f"{sys.executable} -c 'from besom.cli import main; main()' leaderboard one --format md"
    )
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -n 1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "# one\n"
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


# Help and documentation


def commands() -> dict[str, click.Command]:
    from besom.cli import main

    assert isinstance(main, click.Group)
    return dict(main.commands)


def test_help_lists_every_command_with_its_purpose(project: Project) -> None:
    for words in ((), ("--help",), ("-h",)):
        done = project.besom(*words)
        for name in commands():
            assert f"  {name}" in done.output
    assert done.exit_code == 0
    assert "besom sweep quickstart" in done.output


def test_a_sweep_outlives_its_reader(project: Project) -> None:
    process = project.spawn("sweep", "cheap", "sweep.n_trials=4", "trainer.seconds=0.1")
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()  # as head does
    assert process.wait(timeout=60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert len(load_record(Path("results"), "cheap").complete) == 4
    assert Path("results/cheap/leaderboard.csv").exists()


@pytest.mark.long
def test_colours_that_are_forced_make_no_terminal_of_a_file(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    done = project.run("sweep", "cheap", "sweep.n_trials=2")
    assert done.returncode == 0
    assert "[2/2] trial 1" in re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert "\x1b[?25l" not in done.stdout


def test_every_command_and_option_explains_itself(project: Project) -> None:
    for name, command in commands().items():
        done = project.besom(name, "--help")
        assert done.exit_code == 0
        assert command.help
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name != "help":
                assert parameter.help or isinstance(parameter.type, click.Choice), parameter.name


def test_the_version_is_printed(project: Project) -> None:
    import importlib.metadata

    done = project.besom("--version")
    assert importlib.metadata.version("besom") in done.output


def documentation() -> str:
    pages = [HOME / "README.md", *sorted((HOME / "docs").rglob("*.md"))]
    return "\n".join(page.read_text() for page in pages if page.exists())


def test_every_command_is_documented() -> None:
    text = documentation()
    missing = [name for name in commands() if f"besom {name}" not in text]
    assert not missing


def test_every_packaged_sweep_is_documented() -> None:
    text = documentation()
    assert not [
        name for name in SearchPath(packaged_config_dirs()).named("sweep")[0] if name not in text
    ]
