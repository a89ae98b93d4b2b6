"""The benchmarks' commands: what cannot run is one message; kept runs are put together."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from user_project import some_long

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def benchmark(name: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, BENCHMARKS / f"{name}.py", *words]
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("given", ["mlp-32,mpl-128", "mpl-128", ","])
def test_an_unknown_case_of_the_trainers_benchmark_is_told_which_there_are(given: str) -> None:
    done = benchmark("trainer", "--cases", given)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    message = done.stderr.splitlines()[-1]
    assert message.endswith(
        "the cases are mlp-32, mlp-128, mlp-512, small-32, small-128, cnn-32, cnn-128, "
        "regression, text, two, stream"
    )
    assert ("mpl-128" in message) == ("mpl-128" in given)


@pytest.mark.parametrize("name", some_long(["throughput", "time_to_target", "trainer"], "trainer"))
def test_without_data_a_benchmark_says_what_it_needs(name: str) -> None:
    done = benchmark(name, "--data", "nowhere.npz")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(
        "give MNIST's .npz file as --data, or as the environment variable BESOM_MNIST"
    )


RUN: dict[str, dict[str, Any]] = {
    "throughput": {
        "contestant": "besom",
        "batch_size": 32,
        "mean_val_accuracy": 0.9,
        **dict.fromkeys(("epochs_per_s", "epochs_per_s_training"), 2.0),
        **dict.fromkeys(("start_up_s", "training_s", "closing_s", "total_s"), 3.0),
    },
    "time_to_target": {
        "contestant": "besom",
        "seed": 1,
        "budget_s": 120.0,
        "improvements": [[5.0, 0.97], [60.0, 0.982]],
        **dict.fromkeys(("n_epochs", "first_epoch_s"), 3),
        "ran_s": 120.0,
    },
}


@pytest.mark.parametrize("name", some_long(sorted(RUN), []))
def test_a_comparison_concludes_from_the_kept_runs_with_its_settings(
    tmp_path: Path, name: str
) -> None:
    kept = tmp_path / "kept.jsonl"
    none = benchmark(name, "--summary-only", "--results", kept)
    assert none.returncode == 1
    said, _, settings = none.stderr.strip().partition(": ")
    assert said == f"{kept} has no run with these settings"
    run = {**RUN[name], "settings": ast.literal_eval(settings), "versions": {}}
    run["machine"] = {"revision": "abc"}
    other = {**run, "settings": {**run["settings"], "epochs": 99}, "machine": {"revision": "def"}}
    kept.write_text("".join(f"{json.dumps(record)}\n" for record in (run, run, other)))
    done = benchmark(name, "--summary-only", "--results", kept)
    assert done.returncode == 0, done.stderr
    concluded = json.loads(done.stdout.splitlines()[-1])
    assert concluded["benchmark"] == name
    assert concluded["settings"] == run["settings"]
    assert concluded["revisions"] == ["abc"]
    assert concluded["skipped"] == {}
    parts = concluded["batch_sizes"]["32"] if name == "throughput" else concluded
    assert list(parts["contestants"]) == ["besom"]
