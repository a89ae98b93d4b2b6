"""The journal file: what a crash, a full disk or a careless hand may do to it, and what not."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from besom.errors import StudyError
from besom.store.journal import StudyJournal
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord
from besom.store.storage import load_optuna_study, load_record, open_storage, study_names
from records_factory import VAL_ACCURACY, make_study
from reporting_world import store

optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results" / "s" / "study.journal"


def write_study(path: Path, n_trials: int = 3) -> optuna.Study:
    storage = JournalStorage(StudyJournal(path, writable=True))
    study = optuna.create_study(study_name="s", storage=storage, load_if_exists=True)
    for _ in range(n_trials):
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0, 1))
    return study


def read_trials(path: Path) -> list[optuna.trial.FrozenTrial]:
    storage = JournalStorage(StudyJournal(path))
    return optuna.load_study(study_name="s", storage=storage).trials


def test_what_was_told_is_read_back(path: Path) -> None:
    study = write_study(path)
    assert [(t.value, t.params, t.state) for t in read_trials(path)] == [
        (t.value, t.params, t.state) for t in study.trials
    ]


def test_optunas_own_backend_reads_our_file(path: Path) -> None:
    study = write_study(path)
    theirs = optuna.load_study(
        study_name="s", storage=JournalStorage(JournalFileBackend(str(path)))
    )
    assert [t.value for t in theirs.trials] == [t.value for t in study.trials]


def test_we_continue_a_file_that_optunas_own_backend_wrote(path: Path) -> None:
    path.parent.mkdir(parents=True)
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.create_study(study_name="s", storage=storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    write_study(path, 1)
    assert len(read_trials(path)) == 3


@pytest.mark.parametrize("cut", [1, 2, 20])
def test_a_cut_last_line_is_dropped_and_the_study_continues(path: Path, cut: int) -> None:
    write_study(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    write_study(path, 2)
    assert path.read_bytes().startswith(whole[: whole[:-cut].rfind(b"\n") + 1])
    trials = read_trials(path)
    assert [t.number for t in trials] == list(range(len(trials)))
    assert sum(t.state is TrialState.COMPLETE for t in trials) == 4


def test_a_cut_line_longer_than_any_block_is_dropped(path: Path) -> None:
    write_study(path)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code": 8, "text": "' + b"x" * 300_000)
    StudyJournal(path, writable=True)
    assert path.read_bytes() == whole


def test_a_file_that_is_one_cut_line_begins_anew(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"op_code": 0, "wor')
    write_study(path, 1)
    assert len(read_trials(path)) == 1


def test_readers_pass_over_a_cut_line_and_change_nothing(path: Path) -> None:
    write_study(path)
    torn = path.read_bytes() + b'{"op_code": 6, "val'
    path.write_bytes(torn)
    path.chmod(0o444)
    assert len(read_trials(path)) == 3
    assert path.read_bytes() == torn


def test_a_reader_sees_what_a_live_writer_has_written_so_far(path: Path) -> None:
    study = write_study(path, 1)
    reader = optuna.load_study(study_name="s", storage=JournalStorage(StudyJournal(path)))
    assert len(reader.trials) == 1
    study.tell(study.ask(), 0.5)
    assert len(reader.trials) == 2


@pytest.mark.parametrize(
    "damage", [b"garbage", b"{}", b"[1]", b'{"op_code": 4, ', b"\xff\xfe", b""]
)
@pytest.mark.parametrize("writable", [True, False])
def test_a_damaged_line_is_refused_by_its_number(path: Path, damage: bytes, writable: bool) -> None:
    write_study(path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = damage + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(StudyError) as caught:
        open_storage(StudyPaths(path.parent), None, writable=writable)
    message = str(caught.value)
    assert str(path) in message
    assert "line 4 is not a journal record" in message
    for remedy in ("copy", "--fresh"):
        assert remedy in message


def test_the_remedy_for_a_damaged_line_keeps_every_trial_before_it(path: Path) -> None:
    """Trials are numbered by their lines: without a line, all after it are other trials'."""
    study = write_study(path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-2], b"garbage\n", *lines[-1:]]))
    with pytest.raises(StudyError) as caught:
        open_storage(StudyPaths(path.parent), None, writable=True)
    n_good = len(lines) - 2
    assert f"head -n {n_good}" in str(caught.value)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:n_good]))
    again = read_trials(path)
    assert [t.value for t in again[:3]] == [t.value for t in study.trials[:3]]


def test_a_journal_of_zeros_is_refused(path: Path) -> None:
    """What some file systems leave behind a power cut."""
    write_study(path)
    path.write_bytes(path.read_bytes() + bytes(100) + b"\n")
    with pytest.raises(StudyError, match="not a journal record"):
        open_storage(StudyPaths(path.parent), None, writable=True)


def test_a_journal_that_cannot_be_opened_says_why(path: Path) -> None:
    path.mkdir(parents=True)
    for writable in (True, False):
        with pytest.raises(StudyError, match="directory"):
            open_storage(StudyPaths(path.parent), None, writable=writable)


def test_records_are_written_whole_or_not_at_all(path: Path, monkeypatch: Any) -> None:
    journal = StudyJournal(path, writable=True)
    journal.append_logs([{"op_code": 0, "n": 1}])
    before = path.read_bytes()
    real, calls = os.write, []

    def half(descriptor: int, data: bytes) -> int:
        if calls:
            raise OSError(28, "No space left on device")
        calls.append(1)
        return real(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(StudyError, match="cannot be written: No space left on device"):
        journal.append_logs([{"op_code": 0, "n": 2}, {"op_code": 0, "n": 3}])
    monkeypatch.undo()
    assert path.read_bytes() == before
    journal.append_logs([{"op_code": 0, "n": 4}])
    assert [record["n"] for record in journal.read_logs(0)] == [1, 4]


# Records are numbered and checked


def numbered(path: Path) -> list[int | None]:
    return [json.loads(line).get("seq") for line in path.read_bytes().splitlines()]


def unnumbered(line: bytes) -> bytes:
    record = json.loads(line)
    del record["seq"], record["crc"]
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def damaged(path: Path) -> str:
    with pytest.raises(StudyError) as caught:
        open_storage(StudyPaths(path.parent), None, writable=False)
    return str(caught.value)


def test_besoms_records_are_numbered_over_every_run(path: Path) -> None:
    write_study(path)
    write_study(path)
    assert numbered(path) == list(range(1, len(numbered(path)) + 1))


def test_a_journal_from_before_the_numbers_stays_valid_and_goes_on_numbered(path: Path) -> None:
    write_study(path)
    old = [unnumbered(line) for line in path.read_bytes().splitlines()]
    path.write_bytes(b"".join(old))
    assert len(read_trials(path)) == 3
    write_study(path, 2)
    assert len(read_trials(path)) == 5
    after = numbered(path)
    assert after[: len(old)] == [None] * len(old)
    assert after[len(old) :] == list(range(1, len(after) - len(old) + 1))


@pytest.mark.parametrize("at", [0, 1, 5, -1])
def test_lines_of_other_programs_are_valid_anywhere(path: Path, at: int) -> None:
    """Optuna's dashboard writes a note on a study into its journal, also while besom runs."""
    study = write_study(path)
    other = JournalStorage(JournalFileBackend(str(path)))
    other.set_study_system_attr(study._study_id, "dashboard:note", "mine")
    study.tell(study.ask(), 0.5)
    lines = path.read_bytes().splitlines(keepends=True)
    (note,) = (i for i, number in enumerate(numbered(path)) if number is None)
    if at:  # before there is a study, Optuna itself passes over it
        moved = lines.pop(note)
        lines.insert(at if at > 0 else len(lines), moved)
        path.write_bytes(b"".join(lines))
    assert len(read_trials(path)) == 4


@pytest.mark.parametrize("taken", [0, 1, 4, -2])
def test_a_missing_line_is_damage_and_the_line_after_it_is_named(path: Path, taken: int) -> None:
    write_study(path)
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[taken]
    path.write_bytes(b"".join(lines))
    line = taken % (len(lines) + 1) + 1
    message = damaged(path)
    assert f"line {line} is besom's record {line + 1}, but {line} was expected" in message
    assert f"head -n {line - 1} " in message


def test_doubled_and_exchanged_lines_are_damage(path: Path) -> None:
    write_study(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], lines[3], *lines[4:]]))
    assert "line 5 is besom's record 4, but 5 was expected" in damaged(path)
    path.write_bytes(b"".join([*lines[:3], lines[4], lines[3], *lines[5:]]))
    assert "line 4 is besom's record 5, but 4 was expected" in damaged(path)


def test_a_changed_value_is_damage(path: Path) -> None:
    study = write_study(path)
    value = str(study.trials[1].value).encode()
    path.write_bytes(path.read_bytes().replace(b"[%s]" % value, b"[9%s]" % value[1:]))
    assert "was changed after it was written" in damaged(path)


@pytest.mark.parametrize(
    "line",
    [
        {"op_code": 99, "worker_id": "x"},
        {"op_code": "x", "worker_id": "x"},
        {"op_code": 4, "worker_id": "x"},
        {"op_code": 4, "worker_id": "x", "study_id": 0, "datetime_start": 5},
        {"op_code": 4, "worker_id": "x", "study_id": [], "datetime_start": None},
        {"op_code": 5, "worker_id": "x", "trial_id": 3, "param_name": "x",
         "param_value_internal": 1, "distribution": "{}"},
        {"op_code": 6, "worker_id": "x", "trial_id": 3, "state": 77, "values": None},
        {"op_code": 8, "worker_id": "x", "trial_id": 3, "user_attr": {}},
    ],
)  # fmt: skip
def test_a_line_of_no_number_that_optuna_can_make_nothing_of_is_named(
    path: Path, line: dict[str, Any]
) -> None:
    study = write_study(path)
    study.ask()
    n = len(numbered(path))
    path.write_bytes(path.read_bytes() + json.dumps(line).encode() + b"\n")
    assert f"line {n + 1} does not fit the lines before it" in damaged(path)


@pytest.mark.parametrize("text", [b"[" * 100_000, b"9" * 5000, b'{"op_code":' * 5000])
def test_text_that_no_parser_takes_is_named(path: Path, text: bytes) -> None:
    write_study(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], text + b"\n", *lines[2:]]))
    assert "line 3 is not a journal record" in damaged(path)


def _damage(data: bytes, rng: random.Random) -> bytes:
    """One accident of those that happen to files."""
    lines = data.splitlines(keepends=True)
    i, j = rng.randrange(len(lines)), rng.randrange(len(data))
    k = min(len(data), j + rng.randrange(1, 200))
    flipped = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    other = rng.randrange(len(lines))
    swapped = list(lines)
    swapped[i], swapped[other] = swapped[other], swapped[i]
    return rng.choice(
        [
            lambda: bytes(flipped),
            lambda: data[:j] + data[k:],
            lambda: data[:j] + data[j:k] + data[j:],
            lambda: data[:j] + bytes(k - j) + data[k:],
            lambda: data[:j] + rng.randbytes(20) + data[j:],
            lambda: b"".join(lines[:i] + lines[i + 1 :]),
            lambda: b"".join([*lines[:i], lines[i], *lines[i:]]),
            lambda: b"".join(swapped),
            lambda: b"".join([*lines[:i], b"\n", *lines[i:]]),
            lambda: b"".join([*lines[:i], lines[i].strip() * 2 + b"\n", *lines[i:]]),
        ]
    )()


def test_a_damaged_journal_is_refused_by_its_line_or_is_whole(tmp_path: Path) -> None:
    """300 accidents: never another content, never another exception."""
    store(tmp_path, make_study(4, n_epochs=2, name="s"))
    path = StudyPaths.of(tmp_path, "s").journal
    data = path.read_bytes()
    assert data.count(b'"seq":') == data.count(b"\n")
    whole = [str(load_record(tmp_path, "s"))]
    path.write_bytes(data[: data[:-1].rfind(b"\n") + 1])
    whole.append(str(load_record(tmp_path, "s")))  # its last line cut
    refused = []
    for seed in range(300):
        path.write_bytes(_damage(data, random.Random(seed)))
        try:
            assert str(load_record(tmp_path, "s")) in whole, seed
        except StudyError as error:
            refused.append(str(error))
    assert len(refused) > 200
    said = re.compile(rf"{path} is damaged: line \d+ .*head -n \d+ ")
    assert [message for message in refused if not said.match(message)] == []


def test_a_trial_whose_stored_record_is_of_another_shape_is_named(tmp_path: Path) -> None:
    store(tmp_path, make_study(2, name="s"))
    study = load_optuna_study(tmp_path, "s")
    path = StudyPaths.of(tmp_path, "s").journal
    lines = path.read_bytes().splitlines(keepends=True)
    bad = {"op_code": 8, "worker_id": "x", "trial_id": 2, "user_attr": {"besom": 5}}
    begun = {"op_code": 4, "worker_id": "x", "study_id": study._study_id, "datetime_start": None}
    more = [json.dumps(line).encode() + b"\n" for line in (begun, bad)]
    path.write_bytes(b"".join([*lines, *more]))
    with pytest.raises(StudyError, match=r"trial 2 .*backup"):
        load_record(tmp_path, "s")


# A journal that is gone while it is written


def test_a_journal_deleted_while_the_sweep_runs_is_written_again(path: Path) -> None:
    study = write_study(path)
    shutil.rmtree(path.parent)
    with pytest.raises(StudyError) as caught:
        study.tell(study.ask(), 0.5)
    message = str(caught.value)
    assert "moved away or deleted while the sweep ran" in message
    assert "written the journal again, with every finished trial" in message
    finished = [t.value for t in read_trials(path) if t.state is TrialState.COMPLETE]
    assert finished == [t.value for t in study._storage._replay_result._trials.values()][:3]
    write_study(path, 1)


def test_a_moved_journal_is_said_to_be_moved(path: Path) -> None:
    study = write_study(path)
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(StudyError, match="finished trials are in the moved file"):
        study.tell(study.ask(), 0.5)
    assert not path.exists()


def test_a_journal_replaced_by_another_file_is_not_continued(path: Path) -> None:
    study = write_study(path)
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(b"another\n" * 10_000)
    with pytest.raises(StudyError, match="replaced by another file"):
        study.tell(study.ask(), 0.5)
    assert path.read_bytes() == b"another\n" * 10_000
    assert content


def test_a_disk_that_is_full_costs_no_finished_trial(path: Path) -> None:
    """RLIMIT_FSIZE makes the kernel refuse the write itself, as it does on a full disk."""
    code = f"""
import resource, signal, sys
from pathlib import Path
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
from test_journal import write_study
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
from besom.errors import StudyError
try:
    write_study(Path({str(path)!r}), 1000)
except StudyError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "File too large. No finished trial is lost." in done.stdout
    data = path.read_bytes()
    assert len(data) <= 6000
    assert data.endswith(b"\n")
    for line in data.splitlines():
        json.loads(line)
    finished = [t for t in read_trials(path) if t.state is TrialState.COMPLETE]
    assert len(finished) > 3
    write_study(path, 2)
    again = [t for t in read_trials(path) if t.state is TrialState.COMPLETE]
    assert len(again) == len(finished) + 2


def test_a_journal_lets_go_of_its_file(path: Path) -> None:
    """A program that sweeps again and again must not run out of file descriptors."""
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(5):
        write_study(path, 0)
    assert len(list(descriptors.iterdir())) <= before + 1


@pytest.mark.long
def test_five_thousand_trials_are_read_back(tmp_path: Path) -> None:
    some = make_study(100, n_epochs=3).trials
    trials = tuple(dataclasses.replace(some[i % 100], number=i) for i in range(5000))
    study = StudyRecord("large", (VAL_ACCURACY,), trials)
    store(tmp_path, study)
    record = load_record(tmp_path, study.name)
    assert len(record.trials) == 5000
    assert [t.outcome for t in record.trials] == [t.outcome for t in study.trials]
    assert record.trials[17].history == study.trials[17].history


# Names


def test_an_unknown_study_is_refused_with_near_names(tmp_path: Path) -> None:
    store(tmp_path, make_study(2, name="mnist_mlp"))
    with pytest.raises(StudyError, match=r"no study 'mnist_mpl'.*Did you mean 'mnist_mlp'"):
        load_record(tmp_path, "mnist_mpl")
    with pytest.raises(StudyError, match="which holds no studies"):
        load_record(tmp_path / "nowhere", "mnist_mlp")


def test_what_is_no_study_is_not_listed(tmp_path: Path) -> None:
    store(tmp_path, make_study(2, name="one"))
    (tmp_path / "train" / "x").mkdir(parents=True)
    (tmp_path / "archive" / "one-1").mkdir(parents=True)
    (tmp_path / "archive" / "study.journal").touch()
    (tmp_path / "notes.txt").touch()
    assert study_names(tmp_path) == ["one"]


def test_a_study_that_besom_did_not_make_is_refused(path: Path) -> None:
    write_study(path)
    with pytest.raises(StudyError, match="was not made by besom"):
        load_record(path.parents[1], "s")
