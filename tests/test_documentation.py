"""The pages say what is there, and their examples run.

An example whose first line is a comment with a path, such as ``# sweeps/mine.yaml``, is that file
of the reader's own folder; the commands of the same page are given in that folder.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

import besom.cli
from besom.cli.sweep_command import _split_config
from besom.config import Composer, SearchPath
from besom.report.export import composer_for_train, dump
from besom.study import make_plan
from page_examples import PAGES, ROOT, blocks, command_lines, names, write_files
from site_pages import OUTSIDE
from site_reference import all_commands

README = (ROOT / "README.md").read_text()
COMMANDS = all_commands(besom.cli.main)


@functools.cache
def exported() -> str:
    """What ``besom export`` writes, of the base config."""
    return dump(Composer(SearchPath.of(), "train").compose().config)


# What is there is documented; tests/test_reference.py has what the reference is made from


def test_commands_are_listed_in_an_order_that_knows_all_of_them() -> None:
    context = click.Context(besom.cli.main)
    assert sorted(besom.cli.main.list_commands(context)) == sorted(besom.cli.main.commands)
    assert set(besom.cli.ORDER) == set(besom.cli.main.commands)


def test_the_list_of_commands_shows_a_whole_sentence_for_each() -> None:
    shown = CliRunner().invoke(besom.cli.main, ["--help"], terminal_width=80).output
    lines = shown.partition("Commands:\n")[2].splitlines()
    assert len(lines) == len(besom.cli.main.commands)
    assert [line for line in lines if not line.endswith(".") or line.endswith("...")] == []


def test_every_packaged_sweep_is_in_the_guide() -> None:
    page = (ROOT / "docs/guide/sweeps.md").read_text()
    assert not [p.stem for p in (ROOT / "sweeps").glob("*.yaml") if f"`{p.stem}`" not in page]


def test_every_page_is_on_the_site_and_the_site_names_no_other() -> None:
    named = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    there = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert named - set(OUTSIDE) == there


# What is documented is there


def test_every_file_in_the_readme_s_tree_exists() -> None:
    tree = next(block.text for block in blocks(README) if "README.md" in block.text)
    parent, missing = ROOT, []
    for line in tree.splitlines():
        path, indented = line.split()[0], line.startswith(" ")
        if not (place := (parent if indented else ROOT) / path).exists():
            missing.append(str(place.relative_to(ROOT)))
        if not indented:
            parent = place
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def anchors(page: Path) -> set[str]:
    """The anchors GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def test_the_readme_begins_with_the_two_commands() -> None:
    shell = [line for b in blocks(README) if b.language == "bash" for line in b.text.splitlines()]
    assert shell[0] == "python -m pip install -e . && besom sweep quickstart"
    assert "python -m pip install -e '.[test]' && python -m pytest" in shell


def test_every_command_the_readme_names_exists() -> None:
    named = set(re.findall(r"`besom ([a-z]+)", README))
    named |= {words[0] for words in command_lines(README)}
    assert named <= set(besom.cli.main.commands)


def test_every_room_is_on_the_architecture_s_map_and_the_map_names_no_other() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", page.split("## The map")[1].split("###")[0], re.MULTILINE)
    named = {name.rstrip("/") for row in rows for name in re.findall(r"`(.+?)`", row)}
    source = ROOT / "src/besom"
    assert not [n for n in named if not ((source / n).is_dir() or (source / f"{n}.py").is_file())]
    kept_names = {"records", "leaderboard"}  # said below the map
    rooms = {
        path.stem for path in source.iterdir() if path.name[0] not in "_." and path.stem != "py"
    }
    assert rooms - named - kept_names == set()


# The pages can be read

TEXTS = [*PAGES, ROOT / "benchmarks/README.md"]


@pytest.mark.parametrize("page", TEXTS, ids=[str(page.relative_to(ROOT)) for page in TEXTS])
def test_the_pages_are_wrapped_at_100_characters(page: Path) -> None:
    """All but code, tables, and a line that is nothing but one link or picture.

    A cell of a table holds a phrase, of 100 characters at most: a paragraph goes below the table.
    """
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = text.splitlines()
    prose = [line for line in lines if not line.startswith("|")]
    assert not [line for line in prose if len(line) > 100 and not re.match(r"!?\[.*\)$", line)]
    cells = [cell.strip() for line in lines if line.startswith("|") for cell in line.split("|")]
    assert not [cell for cell in cells if len(cell) > 100 and not set(cell) <= set("-:")]


# The examples run


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of somebody who follows a page, with an exported ``best.yaml`` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BESOM_RESULTS_DIR", raising=False)
    (tmp_path / "best.yaml").write_text(exported())
    (tmp_path / "sweeps").symlink_to(ROOT / "sweeps")
    return tmp_path


def exported_in(page: str) -> list[str]:
    """The files that the page's own commands export."""
    found = []
    for words in command_lines(page):
        if words[0] == "export" and "-o" in words:
            found.append(words[words.index("-o") + 1])
    return found


WITH_COMMANDS = [page for page in PAGES if next(command_lines(page.read_text()), None)]
WITH_YAML = [page for page in PAGES if any(b.language == "yaml" for b in blocks(page.read_text()))]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=names(WITH_COMMANDS))
def test_every_command_shown_is_one_that_besom_takes(page: Path, reader: Path) -> None:
    text = page.read_text()
    write_files(text, reader)
    for name in exported_in(text):
        (reader / name).write_text(exported())
    for words in command_lines(text):
        check_command(words)


def check_command(words: list[str]) -> None:
    """Parse a command as click would, and compose what it would compose."""
    name, *rest = words
    if name.startswith("-"):
        return
    if f"{name} {rest[0] if rest else ''}" in COMMANDS:
        name = f"{name} {rest.pop(0)}"
    assert name in COMMANDS, words
    context = COMMANDS[name].make_context(name, list(rest))
    given = context.params
    overrides = given.get("overrides") or given.get("words") or ()
    assert not [word for word in overrides if word.startswith("-")], words
    if name == "sweep":
        if given["name"] == "sweeps/mnist_mlp.yaml":
            given["name"] = str(ROOT / given["name"])  # the guide's reader is in the checkout
        make_plan(given["name"], overrides, given["config_dir"])
    elif name == "train":
        config, rest = _split_config(overrides)
        composer_for_train(config, None).compose(rest)
    elif name == "show" and all("=" in word for word in overrides):  # else it is of a study
        Composer(SearchPath.of(), "train").compose(overrides)


@pytest.mark.parametrize("page", WITH_YAML, ids=names(WITH_YAML))
def test_every_yaml_shown_composes(page: Path, reader: Path) -> None:
    text = page.read_text()
    files = write_files(text, reader)
    plans = [make_plan(str(f)) for f in files if f.parent.name == "sweeps"]
    for i, block in enumerate(b for b in blocks(text) if b.language == "yaml" and b.path is None):
        content = yaml.safe_load(block.text)
        assert list(content) == ["space"], f"neither a file nor a space:\n{block.text}"
        sweep = {"defaults": ["sweep", "_self_"], "sweep": content}
        (reader / f"fragment{i}.yaml").write_text(yaml.safe_dump(sweep, sort_keys=False))
        plans.append(make_plan(f"./fragment{i}.yaml"))
    filled_by_commands = {f.stem for f in files if "  space: null" in f.read_text()}
    assert all(len(plan.space) or plan.name in filled_by_commands for plan in plans)


def test_every_python_shown_is_python() -> None:
    for page in PAGES:
        for block in blocks(page.read_text()):
            if block.language == "python":
                compile(block.text, str(page), "exec")


@pytest.mark.long
def test_the_trial_function_shown_is_swept(reader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files((ROOT / "docs/howto-own-trial-function.md").read_text(), reader)
    monkeypatch.syspath_prepend(str(reader))
    monkeypatch.setenv("PYTHONPATH", str(reader))
    study = besom.sweep("linear", ["sweep.n_trials=2", "sweep.executor.workers=1"])
    assert [trial.outcome for trial in study.trials] == ["complete", "complete"], study.trials
    assert study.trials[0].correct is not None
