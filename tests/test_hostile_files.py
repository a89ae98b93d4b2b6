"""Files that a stranger may have put beside one's own: they are named, and nothing else suffers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from besom.config import read_yaml
from besom.config.search_path import MOST_BYTES
from besom.errors import ConfigError
from besom.store.paths import StudyPaths
from records_factory import make_study
from reporting_world import store
from user_project import CHEAP_SWEEP, Project

pytestmark = pytest.mark.usefixtures("no_orphans")

#: Nine lines that would be 400 million values.
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text("defaults: [sweep, _self_]\n" + content)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2 * 2**30)


#: What stands under a config's name, and what is said of it.
HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "fifo": (os.mkfifo, "is a named pipe"),
    "zero": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "is a link to nothing"),
    "circle": (lambda path: path.symlink_to(path), "is a link to nothing"),
    "huge": (huge, "is larger than 1 MiB"),
    "bomb": (text(BOMB), "holds more than 10,000 values"),
    "own_alias": (text("a: &a [*a]\n"), "has an alias, *a, inside the value it stands for"),
    "deep": (text("a: " + "[" * 3000 + "]" * 3000), "is nested more than 50 levels deep"),
    "deep_block": (text("a:\n" + "- " * 3000 + "x"), "is nested more than 50 levels deep"),
    "deep_alias": (
        text(f"a: &a {'[' * 40}{']' * 40}\nb: {'[' * 20}*a{']' * 20}\n"),
        "is nested more than 50 levels deep",
    ),
    "bytes": (lambda path: path.write_bytes(b"a: \xe9"), "is not valid YAML"),
    "one_value": (lambda path: path.write_text("5"), "holds one value, expected a mapping"),
    "no_bool": (text("a: !!bool maybe\n"), "is not valid YAML"),
    "no_date": (text("a: !!timestamp maybe\n"), "is not valid YAML"),
    "no_int": (text("a: !!int ''\n"), "is not valid YAML"),
    "object": (text("a: !!python/object/apply:os.system [ls]\n"), "is not valid YAML"),
    "cut_off": (text("a: '${'\n"), "is not valid YAML"),
    "long_number": (text(f"a: {'9' * 5000}\n"), "is not valid YAML"),
}


@pytest.fixture
def beset(project: Project) -> Project:
    """Every hostile file among the sweeps, the configs, and the options of a group."""
    for folder in ("sweeps", "conf", "conf/model"):
        (project.root / folder).mkdir(exist_ok=True)
        for name, (make, _) in HOSTILE.items():
            make(project.root / folder / f"{name}.yaml")
    return project


def refused(project: Project, *words: str) -> str:
    """Give a command; return its one message, which comes at once."""
    began = time.monotonic()
    done = project.besom(*words)
    assert time.monotonic() - began < 20
    assert done.exit_code == 2, (done.output, done.exception)
    assert done.stderr.count("\n") == 1
    assert not (project.root / "results").exists()
    return done.stderr


def test_a_sweep_is_composed_whatever_stands_beside_it(beset: Project) -> None:
    done = beset.besom("sweep", "cheap", "--dry-run")
    assert done.exit_code == 0, done.output


def test_a_name_that_is_not_there_is_answered_with_what_cannot_be_read(beset: Project) -> None:
    message = refused(beset, "sweep", "cheep")
    assert "Did you mean 'cheap'?" in message
    assert "(Not listed: " in message
    assert f"(And {2 * len(HOSTILE) - 3} more.)" in message


def test_a_missing_key_is_answered_whatever_stands_among_the_options(beset: Project) -> None:
    assert "model has no 'dropuot'" in refused(beset, "sweep", "cheap", "model.dropuot=0.1")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_that_is_named_is_refused(beset: Project, name: str) -> None:
    says = HOSTILE[name][1]
    for words in (
        ("sweep", name),
        ("sweep", f"sweeps/{name}.yaml"),
        ("sweep", "cheap", f"model={name}"),
        ("sweep", "cheap", f"sweep.enqueue=[sweeps/{name}.yaml]"),
        ("train", f"sweeps/{name}.yaml"),
    ):
        message = refused(beset, *words)
        assert f"{name}.yaml {says}" in message, words


def test_a_file_of_the_same_name_further_on_is_found_behind_a_hostile_one(
    project: Project,
) -> None:
    (project.root / "conf" / "cheap.yaml").mkdir(parents=True)
    (project.root / "conf" / "model" / "mlp.yaml").mkdir(parents=True)
    done = project.besom("sweep", "cheap", "--dry-run")
    assert done.exit_code == 0, done.output


def test_a_link_to_a_file_is_a_file(project: Project) -> None:
    (project.root / "sweeps" / "linked.yaml").symlink_to("cheap.yaml")
    assert project.besom("sweep", "linked", "--dry-run").exit_code == 0


def test_a_config_of_the_size_allowed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text("a: 1\n#" + "x" * (MOST_BYTES - 6))
    assert read_yaml(path) == {"a": 1}
    path.write_text("a: 1\n#" + "x" * (MOST_BYTES - 5))
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        read_yaml(path)


def test_aliases_and_merge_keys_are_welcome(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n")
    assert read_yaml(path) == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}}


@pytest.mark.parametrize("form", ["'{}'", "[{}]"])
def test_interpolations_that_would_fill_the_memory_are_refused(project: Project, form: str) -> None:
    lines = ["  a0: xxxxxxxxxx"]
    for i in range(1, 10):
        copies = [f"${{model.a{i - 1}}}"] * 10
        inner = "".join(copies) if form == "'{}'" else ", ".join(f"'{copy}'" for copy in copies)
        lines.append(f"  a{i}: {form.format(inner)}")
    project.write("sweeps/growing.yaml", CHEAP_SWEEP + "model:\n" + "\n".join(lines) + "\n")
    assert "would grow beyond 4,000,000 characters" in refused(project, "sweep", "growing")


@pytest.mark.parametrize(
    ("sweep", "says"),
    [
        ("defaults: [sweep, odd, _self_]\n", "its defaults list names itself"),
        ("defaults: [sweep, _self_]\nhydra: null\n", "delete it"),
        ("defaults: [sweep, _self_]\nsweep: []\n", "cannot be composed"),
        ("defaults: [sweep, null]\n", ""),
        ("defaults: [sweep, [a]]\n", ""),
        ("defaults: null\n", "is not a sweep"),
        ("", "is not a sweep"),
        ("defaults:\n\t- sweep\n", "is not valid YAML"),
        ("defaults: [sweep, _self_]\n---\na: 1\n", "is not valid YAML"),
        ("defaults: [sweep, _self_]\nseed: 1\nseed: 2\n", "is not valid YAML"),
        ("# @package a.b\ndefaults: [sweep, _self_]\n", ""),
    ],
)
def test_a_sweep_of_odd_content_is_refused(project: Project, sweep: str, says: str) -> None:
    project.write("sweeps/odd.yaml", sweep)
    assert says in refused(project, "sweep", "odd")


@pytest.mark.parametrize("file", ["study.journal", "storage.url", "coordinator.lock"])
@pytest.mark.parametrize("kind", ["fifo", "zero", "folder"])
def test_what_stands_for_a_file_of_a_study_is_named(project: Project, file: str, kind: str) -> None:
    store(project.root / "results", make_study(3, name="sound"))
    store(project.root / "results", make_study(3, name="cheap"))
    path = StudyPaths.of(project.root / "results", "cheap").root / file
    path.unlink(missing_ok=True)
    HOSTILE[kind][0](path)
    for words in (("sweep", "cheap"), ("leaderboard", "cheap"), ("confirm", "cheap")):
        done = project.besom(*words)
        assert done.exit_code == 2, (words, done.output)
        assert f"cheap/{file} {HOSTILE[kind][1]}" in done.stderr, words
    listed = project.besom("list")
    assert listed.exit_code == 0
    assert "sound" in listed.output
    assert HOSTILE[kind][1].split()[-1] in listed.output
