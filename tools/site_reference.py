"""The reference of the docs site, made from what it describes: conf/, the commands, docstrings.

The keys of a config are described by the comments of its YAML, and nowhere else. A key's comment
stands behind its value, or in the lines directly above it, and may begin with ``[type, unit]``::

    patience: null   # [int, epochs] stop after this many without an improvement; null: never

A type that the comment omits is that of the schema in ``besom.config.schema``, or of the default.
The comment at the top of an option's file describes the option.
"""

from __future__ import annotations

import inspect
import itertools
import re
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

import besom.cli
from besom.config.schema import ObjectiveSchema, SweepNode, TrainSchema

CONF = Path(__file__).parents[1] / "conf"

#: The words that a type may be made of; anything else in brackets is a unit.
_TYPES = ("int", "float", "bool", "text", "path", "list", "mapping", "node", "auto", "none")

_NAMES = {int: "int", float: "float", bool: "bool", str: "text", list: "list", dict: "mapping"}


@dataclass(frozen=True)
class Key:
    """A key of a config, as its YAML describes it."""

    path: str
    type: str
    default: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Option:
    """An option of a config group: what it is, the name that it imports, and its keys."""

    name: str
    meaning: str
    target: str | None
    keys: tuple[Key, ...]


def options(group: str) -> list[Option]:
    """The options of a group, such as ``sweep/sampler``, by name."""
    return [_option(file) for file in sorted((CONF / group).glob("*.yaml"))]


def groups() -> list[str]:
    """The config groups, such as ``data`` and ``sweep/sampler``."""
    return sorted({str(file.parent.relative_to(CONF)) for file in CONF.glob("*/**/*.yaml")})


def train_keys() -> list[Key]:
    """The keys of ``conf/train.yaml``, beside the groups."""
    return keys_of(CONF / "train.yaml", typing.get_type_hints(TrainSchema))


def sweep_keys() -> list[Key]:
    """The keys of the node ``sweep``, without those of its groups."""
    hints = {f"sweep.{key}": hint for key, hint in typing.get_type_hints(SweepNode).items()}
    objective = typing.get_type_hints(ObjectiveSchema)
    hints |= {f"sweep.objective.{key}": hint for key, hint in objective.items()}
    return [key for key in keys_of(CONF / "sweep.yaml", hints) if key.path != "sweep"]


def _option(file: Path) -> Option:
    lines = file.read_text().splitlines()
    head = " ".join(line.strip() for line in _taken(lines, ""))
    target = next((line.split()[1] for line in lines if line.startswith("_target_:")), None)
    return Option(file.stem, head, target, tuple(keys_of(file)))


def keys_of(file: Path, hints: Mapping[str, Any] | None = None) -> list[Key]:
    """The keys of a YAML, and those within its mappings by their dotted paths.

    Args:
        file: the YAML; ``_target_`` and ``defaults`` are no keys.
        hints: annotations of keys by path, where a schema has them.
    """
    text = file.read_text()
    root = yaml.compose(text)
    assert isinstance(root, yaml.MappingNode)
    return [_key(path, key, value, text, hints or {}) for path, key, value in _walk(root, "")]


def _key(
    path: str, key: yaml.ScalarNode, value: yaml.Node, text: str, hints: Mapping[str, Any]
) -> Key:
    type_, unit, meaning = _split_tag(_comment(text.splitlines(), key, value))
    if not unit and path.endswith("_s"):
        unit = "s"
    type_ = type_ or _hinted(hints.get(path)) or _type_of(value)
    return Key(path, type_, _default(value, text), unit, _sentence(meaning))


def _walk(node: yaml.MappingNode, above: str) -> Iterator[tuple[str, yaml.ScalarNode, yaml.Node]]:
    """Each key with its dotted path, within mappings too; not ``_target_`` and ``defaults``."""
    for key, value in node.value:
        if key.value in ("_target_", "defaults"):
            continue
        path = f"{above}{key.value}"
        yield path, key, value
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield from _walk(value, f"{path}.")


def _comment(lines: list[str], key: yaml.ScalarNode, value: yaml.Node) -> str:
    """The comment behind a key's value and the lines that continue it; else the one above it."""
    nested = isinstance(value, yaml.MappingNode) and not value.flow_style
    end = key.end_mark if nested else value.end_mark
    behind = re.match(r":?\s*#", lines[end.line][end.column :])
    if behind:
        hash_ = end.column + behind.end() - 1
        found = [lines[end.line][hash_ + 1 :]]
        found += _taken(lines[end.line + 1 :], " " * hash_)
    else:
        above = lines[: key.start_mark.line][::-1]
        found = _taken(above, " " * key.start_mark.column)[::-1]
        if len(found) == len(above):  # the comment at the top is the file's
            return ""
    return " ".join(line.strip() for line in found)


def _taken(lines: list[str], indent: str) -> list[str]:
    """The comments that the lines begin with, all of one indentation."""
    comments = itertools.takewhile(lambda line: line.startswith(f"{indent}#"), lines)
    return [line[len(indent) + 1 :] for line in comments]


def _split_tag(comment: str) -> tuple[str, str, str]:
    """The type, the unit and the rest of ``[type, unit] rest``."""
    if not (tag := re.match(r"\[([^]]+)\] ?", comment)):
        return "", "", comment
    first, _, rest = tag[1].partition(", ")
    is_type = re.split(r"\W", first)[0] in _TYPES
    type_, unit = (first, rest) if is_type else ("", tag[1])
    return type_.replace(" | ", " or "), unit, comment[tag.end() :]


def _sentence(meaning: str) -> str:
    """A comment as a sentence: with a capital, unless it begins with one of the values."""
    first = re.match(r"[a-z-]+(?=[ ,;.'](?!\|))", meaning)
    meaning = meaning[:1].upper() + meaning[1:] if first else meaning
    return meaning if meaning.endswith(".") or not meaning else f"{meaning}."


def _hinted(hint: Any) -> str:
    """The type that a schema gives a key; empty where it gives none."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    return _NAMES.get(typing.get_origin(hint) or hint, "")


def _type_of(value: yaml.Node) -> str:
    """The type of a default; empty for null, and for what must be given."""
    plain = yaml.safe_load(yaml.serialize(value))
    return "" if plain == "???" else _NAMES.get(type(plain), "")


def _default(value: yaml.Node, text: str) -> str:
    """A default as it is written in the file; empty for a mapping whose keys are listed."""
    if isinstance(value, yaml.MappingNode) and not value.flow_style:
        return ""
    written = text[value.start_mark.index : value.end_mark.index]
    return "required" if written == "???" else f"`{written}`"


# As Markdown


def _cell(text: str) -> str:
    """Text of a comment in a cell: its markup is meant as code or not at all."""
    parts = text.split("`")
    plain = [re.sub(r"([\\*_<>\[\]{}|])", r"\\\1", part) for part in parts[::2]]
    code = [f"`{part}`".replace("|", r"\|") for part in parts[1::2]]
    return "".join(a + b for a, b in zip(plain, [*code, ""], strict=True))


def keys_table(keys: typing.Iterable[Key], above: str = "", anchor: str = "") -> str:
    """Keys as a table, without what is ``above`` them; each row has an anchor, ``#sweep.name``."""
    rows = ["| key | type | default | unit | meaning |", "|---|---|---|---|---|"]
    for key in keys:
        name = f"`{key.path.removeprefix(above)}`{{#{anchor}{key.path}}}"
        default = key.default.replace("|", r"\|")
        cells = [name, _cell(key.type), default, _cell(key.unit), _cell(key.meaning)]
        rows.append(f"| {' | '.join(cells)} |")
    return _framed(rows)


def _framed(rows: list[str]) -> str:
    """A table that a phone shows as blocks, see docs/site.css."""
    return "\n".join(['<div class="keys" markdown>', "", *rows, "", "</div>"])


def options_text(group: str) -> str:
    """The options of a group, each with its keys."""
    choices = options(group)
    parts = [f"`{group}=NAME` selects one of " + ", ".join(f"`{o.name}`" for o in choices) + "."]
    prefix = group.replace("/", ".")
    for option in choices:
        parts.append(f"### {group}={option.name} {{: #{group.replace('/', '-')}-{option.name} }}")
        parts.append(_cell(option.meaning))
        if option.target:
            parts.append(f"Builds `{option.target}`.")
        if option.keys:
            parts.append(f"Keys, below `{prefix}.`:")
            parts.append(keys_table(option.keys, anchor=f"{prefix}.{option.name}."))
    return "\n\n".join(parts)


def all_commands(group: click.Group, prefix: str = "") -> dict[str, click.Command]:
    """Every command by its words, those of a group within the group too, in their order."""
    found: dict[str, click.Command] = {}
    for name in group.list_commands(click.Context(group)):
        command = group.commands[name]
        within = isinstance(command, click.Group)
        found |= all_commands(command, f"{prefix}{name} ") if within else {prefix + name: command}
    return found


def commands_text(group: click.Group = besom.cli.main) -> str:
    """Every command: its usage, what it does, and its options."""
    return "\n\n".join(_command(name, c) for name, c in all_commands(group).items())


def _command(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"besom {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f"## besom {name}", f"```text\nbesom {name} {usage}\n```", _help(command.help or "")]
    options = [p for p in command.params if isinstance(p, click.Option)]
    records = [record for option in options if (record := option.get_help_record(context))]
    if records:
        rows = ["| `{}` | {} |".format(n.replace("|", r"\|"), _cell(said)) for n, said in records]
        parts.append(_framed(["| option | meaning |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _help(text: str) -> str:
    """A command's help: paragraphs, and what is indented as code."""
    parts = []
    for paragraph in inspect.cleandoc(text).replace("\b\n", "").split("\n\n"):
        code = paragraph.startswith(" ")
        shown = f"```text\n{textwrap.dedent(paragraph)}\n```" if code else _cell(paragraph)
        parts.append(shown)
    return "\n\n".join(parts)
