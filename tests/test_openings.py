"""The log of the test images' openings: complete, readable, and there before the images are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from besom.errors import StudyError
from besom.openings import FILE, Opening, log_opening, read_openings, said


def test_each_opening_is_a_dated_line_under_one_heading(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "mine"
    assert read_openings(folder) == []
    log_opening(folder, "mine", 4, 2, "confirm")
    log_opening(folder, "mine", None, 0, "train")
    lines = (folder / FILE).read_text().splitlines()
    assert lines[0] == "date,study,trial,seed,command"
    assert lines[1].endswith(",mine,4,2,confirm")
    first, second = read_openings(folder)
    assert first == Opening(first.date, "mine", 4, 2, "confirm")
    assert (second.trial, second.command) == (None, "train")
    assert first.date[:2] == "20"
    assert first.date.endswith("+00:00")


def test_a_line_cut_short_by_a_crash_still_counts_and_spoils_no_other(tmp_path: Path) -> None:
    log_opening(tmp_path, "mine", 1, 1, "confirm")
    path = tmp_path / FILE
    path.write_text(path.read_text() + "2026-01-01T00:00:00+00:00,mi")
    log_opening(tmp_path, "mine", 2, 1, "confirm")
    assert [opening.trial for opening in read_openings(tmp_path)] == [1, None, 2]


def test_a_log_that_cannot_be_written_keeps_the_test_images_closed(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(StudyError, match="so they stay closed"):
        log_opening(tmp_path, "mine", 1, 1, "confirm")


def test_several_processes_may_log_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from besom.openings import log_opening\n"
        "for seed in range(20): log_opening(Path(sys.argv[1]), 'mine', 1, seed, 'confirm')"
    )
    commands = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(commands) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert len(read_openings(tmp_path)) == 60


def test_how_often_is_said_in_words(tmp_path: Path) -> None:
    one = Opening("2026-01-02T03:04:05+00:00", "mine", 1, 1, "confirm")
    assert said([]) == "never"
    assert said([one]) == "once, first on 2026-01-02"
    assert said([one, one]) == "2 times, first on 2026-01-02"
