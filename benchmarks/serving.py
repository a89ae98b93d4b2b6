"""What `besom serve` takes of a core while a sweep ends one trial per second and a page is open.

Run it from the repository's root: `python benchmarks/serving.py --trials 200 --seconds 300`. It
writes a study of so many trials, serves it by `besom serve`, goes on writing a trial of ten epochs
each second as a coordinator does, and asks for news as often as a page is told to. Counted are the
CPU seconds of the server from its first page on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import optuna
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import reporting_world
from besom.store.lock import CoordinatorLock
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord, TrialRecord
from besom.store.storage import open_storage
from besom.store.stored_records import ATTRIBUTE, to_attribute
from records_factory import make_study

NAME = "served"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200, help="trials at the beginning")
    parser.add_argument("--seconds", type=int, default=300)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), given.trials, given.seconds)


def measure(results: Path, n_first: int, seconds: int) -> None:
    whole = make_study(n_first + seconds, name=NAME)
    first = StudyRecord(NAME, whole.objectives, whole.trials[:n_first])
    reporting_world.store(results, first, len(whole.trials))
    paths = StudyPaths.of(results, NAME)
    storage, sampler = open_storage(paths, None, writable=True), optuna.samplers.RandomSampler()
    study = optuna.load_study(study_name=NAME, storage=storage, sampler=sampler)
    command = [sys.executable, "-m", "besom", "serve", NAME, "--results-dir", str(results)]
    with (
        CoordinatorLock(paths.lock, "sweep"),
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        page = urllib.request.urlopen(url).read()
        assert b'id="leaderboard"' in page, page[-2000:]
        process = psutil.Process(server.pid)
        began, cpu_before, version, n_pages, sent = time.monotonic(), used(process), 1, 0, 0
        ask_at = began
        for number, record in enumerate(whole.trials[n_first:], 1):
            write(study, record)
            while time.monotonic() < began + number:
                if time.monotonic() >= ask_at:
                    body = urllib.request.urlopen(f"{url}?since={version}").read()
                    news = json.loads(body)
                    n_pages += news["version"] - version
                    version, sent = news["version"], sent + len(body)
                    ask_at = time.monotonic() + news["again_s"]
                time.sleep(0.02)
        took, cpu = time.monotonic() - began, used(process) - cpu_before
        memory = process.memory_info().rss
        server.terminate()
    print(
        f"{n_first} to {len(whole.trials)} trials in {took:.0f} s: {cpu:.2f} CPU s, "
        f"{cpu / took:.2%} of a core; {n_pages} pages made, the first of {len(page) / 1e6:.2f} MB, "
        f"{sent / 1e6:.2f} MB sent since; {memory / 1e6:.0f} MB of memory"
    )


def used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def write(study: optuna.Study, record: TrialRecord) -> None:
    """A trial as a coordinator writes it: its parameters, a value after each epoch, its record."""
    trial = study.ask(record.distributions)
    for epoch, value in enumerate(next(iter(record.history.values()), []), 1):
        trial.report(value, epoch)
    now = time.time()
    known = replace(record, number=trial.number, started=now - 1, finished=now)
    trial.set_user_attr(ATTRIBUTE, to_attribute(known))
    state = reporting_world.frozen(record).state
    values = record.values if state is optuna.trial.TrialState.COMPLETE else None
    study.tell(trial, values, state)


if __name__ == "__main__":
    main()
