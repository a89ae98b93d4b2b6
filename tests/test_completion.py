"""The tab key: what a shell completes of besom's commands, and how little it loads for that."""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from besom.cli.completion_command import VARIABLE
from records_factory import make_study
from reporting_world import store
from user_project import Project

BASH = shutil.which("bash")

#: What takes long to load.
SLOW = ("optuna", "hydra", "omegaconf", "pandas", "numpy", "tensorflow", "rich", "sqlalchemy")

#: Asks the function of the script for the words given, as bash does.
_ASK = """
source <(besom completion bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_besom_completion besom 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def bash(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a study in it, and ``besom`` on the path."""
    if BASH is None:
        pytest.skip("bash is not installed")
    command = project.write("bin/besom", f'#!/bin/sh\nexec {sys.executable} -m besom "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    return project


def completed(*words: str) -> list[str]:
    """What the words before, and the one that is begun, are completed to; as bash splits them."""
    done = subprocess.run(
        [str(BASH), "-c", _ASK, "bash", "besom", *words],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return [line for line in done.stdout.splitlines() if line]


def asked(*words: str) -> list[str]:
    """The same without a shell, in one process: for fish, which splits nothing."""
    environment = {
        **os.environ,
        VARIABLE: "fish_complete",
        "COMP_WORDS": shlex.join(["besom", *words]),
        "COMP_CWORD": words[-1],
    }
    done = subprocess.run(
        [sys.executable, "-m", "besom"],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    found = (line.partition("\t")[0].split(",", 1) for line in done.stdout.splitlines())
    return [value for kind, value in found if kind == "plain"]


def test_commands_sweeps_studies_and_options_are_completed(bash: Project) -> None:
    store(Path("results"), make_study(3, name="first"))
    store(Path("results"), make_study(3, name="second try"))
    assert completed("lea") == ["leaderboard"]
    assert completed("study", "re") == ["rename"]
    assert completed("sweep", "che") == ["cheap"]
    assert "quickstart" in completed("sweep", "")
    assert "train" not in completed("sweep", "")
    assert completed("train", "tu") == completed("sweep", "tu") == ["tutorial"]
    assert "cheap" not in completed("train", "")
    assert completed("leaderboard", "") == ["first", r"second\ try"]
    assert completed("compare", "first", "") == [r"second\ try"]
    assert completed("show", "fi") == ["first"]
    assert completed("show", "data", "=", "dig") == ["digits"]
    assert completed("leaderboard", "first", "--fo") == ["--format"]


def test_bash_gets_the_value_alone_after_the_equals_sign(bash: Project) -> None:
    """It has taken ``optimizer=ad`` for three words."""
    assert completed("sweep", "cheap", "optimizer", "=", "ad") == ["adam", "adamw"]
    assert "sgd" in completed("sweep", "cheap", "optimizer", "=")
    assert completed("sweep", "cheap", "sweep/sampler", "=", "r") == ["random"]
    assert completed("sweep", "cheap", "optimizer", "=", "adam", "da") == ["data=", "data."]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["sweep", "cheap", "optimizer=ad"], ["optimizer=adam", "optimizer=adamw"]),
        (["sweep", "cheap", "tra"], ["trainer=", "trainer."]),
        (["sweep", "cheap", "trainer.ep"], ["trainer.epochs="]),
        (["sweep", "cheap", "sweep.n_t"], ["sweep.n_trials="]),
        (["sweep", "cheap", "model=cnn", "model.k"], ["model.kernel_size="]),
        (["train", "x.yaml", "+optimizer=n"], ["+optimizer=nadam"]),
        (["sweep", "cheap", "sweep.warm_start="], ["sweep.warm_start=first"]),
        (["confirm", "first", "executor.work"], ["executor.workers=", "executor.workers_per_gpu="]),
        (["leaderboard", "first", "--columns", "dropout,learn"], ["dropout,learning_rate"]),
        (["sweep", "cheap", "no/such=../"], []),
        (["export", "first", "--to=m"], ["--to=mlflow"]),
    ],
)
def test_groups_options_and_keys_are_completed(
    project: Project, words: list[str], found: list[str]
) -> None:
    study = make_study(3, name="first")
    store(Path("results"), study)
    project.write("results/first/leaderboard.csv", "rank,model.dropout,optimizer.learning_rate\n")
    assert asked(*words) == found


def test_the_user_s_own_options_and_keys_are_completed(project: Project) -> None:
    project.write("conf/model/mine.yaml", "_target_: m.f\nwidth: 3\ninner: {depth: 2}\n")
    project.write("conf/model/broken.yaml", "{")
    project.write("sweeps/second.yaml", "defaults:\n  - cheap\n  - _self_\n")
    assert "model=mine" in asked("sweep", "cheap", "model=")
    assert asked("sweep", "cheap", "model=mine", "model.") == ["model.width=", "model.inner."]
    assert asked("sweep", "sec") == ["second"]


def test_a_completion_loads_nothing_that_is_slow_to_load(project: Project) -> None:
    store(Path("results"), make_study(3, name="first"))
    code = (
        "import sys, atexit\n"
        f"slow = {SLOW}\n"
        "atexit.register(lambda: print('loaded:', [m for m in slow if m in sys.modules]))\n"
        "from besom.__main__ import main; sys.argv[0] = 'besom'; main()"
    )
    for words in (["sweep", "cheap", "trainer."], ["leaderboard", ""], ["sweep", ""]):
        environment = {
            **os.environ, VARIABLE: "bash_complete",
            "COMP_WORDS": "\n".join(["besom", *words]), "COMP_CWORD": str(len(words)),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == "loaded: []", done.stdout + done.stderr
        assert "plain," in done.stdout


#: How each shell is started without the user's own settings.
SHELLS = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}

#: What is typed, and the words that the command then gets.
TYPED = {
    "sweep cheap sweep/sam\tran\tx": "<sweep><cheap><sweep/sampler=random><x>",
    "export first --to=m\tx": "<export><first><--to=mlflow><x>",
    "leaderboard first --columns rank,dro\tx": "<--columns><rank,dropout><x>",
    "train data.pa\tnum\tx": "<train><data.path=numbers.npz><x>",
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_shell_puts_no_space_after_an_equals_sign_and_one_after_a_value(
    bash: Project, shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    project = bash
    project.write("numbers.npz", "")
    project.write("results/first/leaderboard.csv", "rank,model.dropout\n")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "PS1": "$ ", "HISTFILE": ""}
    running = subprocess.Popen(
        [shell, *SHELLS[shell]],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        os.write(ours, f"source <(besom completion {shell})\n".encode())
        os.write(ours, b"besom() { printf '<%s>' \"$@\"; echo; }; echo rea''dy\n")
        _read_until(ours, "ready")
        for typed, words in TYPED.items():
            os.write(ours, f"besom {typed}\n".encode())
            assert words in _read_until(ours, "<x>")
    finally:
        running.kill()
        running.wait()
        os.close(ours)


def test_a_real_fish_completes_whole_words_with_commas_in_them(bash: Project) -> None:
    if (fish := shutil.which("fish")) is None:
        pytest.skip("fish is not installed")
    project = bash
    project.write("numbers.npz", "")
    project.write("results/first/leaderboard.csv", "rank,model.dropout\n")
    lines = {
        "sweep cheap sweep/sampler=ran": "sweep/sampler=random",
        "export first --to=m": "--to=mlflow",
        "leaderboard first --columns rank,dro": "rank,dropout",
        "train data.path=num": "data.path=numbers.npz",
        "lea": "leaderboard\tRank the trials of NAME, and say what you...",
    }
    asks = "".join(f"; complete -C {shlex.quote('besom ' + line)}" for line in lines)
    done = subprocess.run(
        [fish, "--no-config", "-c", "besom completion fish | source" + asks],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.splitlines() == list(lines.values())


def _read_until(descriptor: int, words: str) -> str:
    seen, until = "", time.monotonic() + 60
    while words not in seen:
        assert time.monotonic() < until, seen
        if select.select([descriptor], [], [], 0.5)[0]:
            seen += os.read(descriptor, 65536).decode(errors="replace")
    return seen


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(project: Project, shell: str) -> None:
    script = project.done("completion", shell)
    assert VARIABLE in script
    assert f"{shell}_complete" in script
    if found := shutil.which(shell):
        project.write("script", script)
        subprocess.run([found, "-n", "script"], check=True, timeout=60)
