"""The reference is made from the code, so what it is made from says everything it should.

A key of ``conf/`` is described by the comment of its YAML, a command by its help.
"""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import yaml

import besom
import besom.cli
import site_pages
import site_reference as reference

COMMANDS = reference.all_commands(besom.cli.main)
OPTIONS = {
    f"{group}={option.name}": option
    for group in reference.groups()
    for option in reference.options(group)
}


def all_keys() -> dict[str, reference.Key]:
    named = {key.path: key for key in [*reference.train_keys(), *reference.sweep_keys()]}
    return named | {f"{n} {key.path}": key for n, option in OPTIONS.items() for key in option.keys}


def test_every_key_has_a_type_and_a_sentence() -> None:
    untyped = [name for name, key in all_keys().items() if not key.type]
    assert not untyped, "say the type in the comment: # [int, epochs] ..."
    silent = [name for name, key in all_keys().items() if not re.search(r"\w", key.meaning)]
    assert not silent, "say what it is in a comment behind it or above it"


def test_every_key_of_the_files_is_a_key_of_the_reference() -> None:
    for name, option in OPTIONS.items():
        file = reference.CONF / name.split("=")[0] / f"{option.name}.yaml"
        listed = {key.path.partition(".")[0] for key in option.keys}
        assert listed == set(yaml.safe_load(file.read_text())) - {"_target_"}
    node = yaml.safe_load((reference.CONF / "sweep.yaml").read_text())["sweep"]
    assert {key.path.split(".")[1] for key in reference.sweep_keys()} == set(node)


def test_every_option_of_a_group_says_what_it_is() -> None:
    assert not [name for name, option in OPTIONS.items() if not option.meaning]


def test_a_duration_is_in_seconds() -> None:
    assert {key.unit for key in all_keys().values() if key.path.endswith("_s")} == {"s"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_each_of_its_options_is_explained(name: str) -> None:
    command = COMMANDS[name]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    assert command.help
    assert not [option.opts for option in options if not option.help]


def test_every_group_and_every_command_has_its_place_in_the_reference() -> None:
    pages = "\n".join(p.read_text() for p in sorted(Path(site_pages.ROOT, "docs").rglob("*.md")))
    markers = re.findall(r"^<!-- besom: (.+) -->$", pages, flags=re.MULTILINE)
    groups = [f"options {group}" for group in reference.groups()]
    assert sorted(markers) == sorted([*groups, "commands", "python", "sweep-keys", "train-keys"])


def test_everything_that_besom_offers_to_python_is_in_the_reference() -> None:
    listed = {name for names in site_pages.API.values() for name in names}
    assert {f"besom.{name}" for name in besom.__all__} <= listed


def test_the_reference_has_each_key_with_type_default_unit_and_meaning() -> None:
    text = site_pages.on_site("<!-- besom: sweep-keys -->", "reference/sweep.md", ())
    row = next(line for line in text.splitlines() if "sweep.storage_patience_s" in line)
    assert row.startswith(
        "| `storage_patience_s`{#sweep.storage_patience_s} | float | `600.0` | s | "
    )


@pytest.mark.parametrize(
    ("yaml_text", "expected"),
    [
        ("a: 1  # what it is\n", ("int", "`1`", "", "What it is.")),
        ("a: null  # [int, epochs] what it is\n", ("int", "`null`", "epochs", "What it is.")),
        ("a: null  # [text | node] what it is\n", ("text or node", "`null`", "", "What it is.")),
        ("a: 0.5  # [share] what it is\n", ("float", "`0.5`", "share", "What it is.")),
        ("a: ???  # [path] what it is\n", ("path", "required", "", "What it is.")),
        ("a: x  # x | y: what\n", ("text", "`x`", "", "x | y: what.")),
        ("\n# what\n# it is\na: [1]\n", ("list", "`[1]`", "", "What it is.")),
        ("a: 1  # what\n      # it is\nb: 2\n", ("int", "`1`", "", "What it is.")),
        ("# of the file\na: 1\n", ("int", "`1`", "", "")),
        ("a: '#'  # what it is\n", ("text", "`'#'`", "", "What it is.")),
    ],
)
def test_a_comment_is_read_as_it_is_meant(
    yaml_text: str, expected: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "option.yaml"
    file.write_text(yaml_text)
    key = reference.keys_of(file)[0]
    assert (key.type, key.default, key.unit, key.meaning) == expected


def test_a_link_leads_to_the_same_page_on_the_site() -> None:
    there = ("guide/data.md", "benchmarks.md", "howto-cluster.md")
    text = "[a](../howto-cluster.md#x) [b](../../benchmarks/README.md#results) [c](../../conf)"
    assert site_pages.on_site(text, "guide/data.md", there) == (
        "[a](../howto-cluster.md#x) [b](../benchmarks.md#results) c"
    )


def test_a_link_in_an_example_is_left_alone() -> None:
    text = "```text\n[a](../conf)\n```\n"
    assert site_pages.on_site(text, "guide.md", ()) == text
