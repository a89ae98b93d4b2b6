"""From the checkout's pages to the site's: which they are, and what becomes of their Markdown.

A page reads well in a checkout too. So its links lead to files of the checkout, its reference is a
marker, and a block that no test runs says so in a comment. Here these become links between pages,
tables, and a line that everyone sees.
"""

from __future__ import annotations

import json
import os.path
import re
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath
from typing import Any

import site_reference as reference

ROOT = Path(__file__).parents[1]

#: Files outside the site's folder that are pages of it, by their place on the site.
OUTSIDE = {
    "benchmarks.md": "benchmarks/README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "notebook.md": "docs/notebook.ipynb",
}

#: The Python API by heading, with the names that users import.
API = {
    "Functions": ("besom.sweep", "besom.train", "besom.load_study"),
    "A study": ("besom.Study", "besom.records.StudyRecord", "besom.records.TrialRecord"),
    "A trial function": ("besom.seam.TrialResult",),
    "Errors": ("besom.errors",),
}


def python_text() -> str:
    """The Python API: for each object a directive of mkdocstrings, which reads its docstrings."""
    directives = {
        heading: "\n\n".join(f"::: {name}" for name in names) for heading, names in API.items()
    }
    return "\n\n".join(f"## {heading}\n\n{text}" for heading, text in directives.items())


#: What ``<!-- besom: NAME ARGUMENT -->`` stands for.
PARTS: dict[str, Callable[..., str]] = {
    "commands": reference.commands_text,
    "train-keys": lambda: reference.keys_table(reference.train_keys()),
    "sweep-keys": lambda: reference.keys_table(reference.sweep_keys(), above="sweep."),
    "options": reference.options_text,
    "python": python_text,
}

_MARKER = re.compile(r"^<!-- besom: (.+?) -->$", re.MULTILINE)

#: The line above a block of commands or code that no test runs, with the reason.
NOT_RUN = re.compile(r"^<!-- not run: (.+?) -->$", re.MULTILINE)

_FENCED = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)

#: A block of a migration page that shows what is written for the other tool.
_OTHER_TOOL = re.compile(r"```\w+\n# (?:KerasTuner|Hydra|Ray Tune|Optuna|config\.yaml)\n")

#: A link or a picture: what is shown, which may hold brackets or a picture, and where it leads.
_LINK = re.compile(r"(!?\[[^]\[]*(?:\[[^]]*\][^]\[]*)*\])\(([^)\s]+)\)")


def source_of(place: str) -> Path:
    """The file of the checkout that a page of the site is made from."""
    return ROOT / OUTSIDE.get(place, f"docs/{place}")


def source_text(place: str) -> str:
    """The Markdown of a page as it is in the checkout."""
    source = source_of(place)
    return notebook_text(source) if source.suffix == ".ipynb" else source.read_text()


def on_site(markdown: str, place: str, there: Collection[str]) -> str:
    """The Markdown of a page of the site.

    Args:
        markdown: as it is in the checkout.
        place: where the page is on the site: ``guide/data.md``.
        there: the places of everything that is on the site.
    """
    markdown = _MARKER.sub(_part, markdown)
    markdown = NOT_RUN.sub(r"<small>The tests do not run this: \1.</small>\n", markdown)
    parts = _FENCED.split(markdown)
    parts[::2] = [_LINK.sub(lambda link: _led(link, place, there), text) for text in parts[::2]]
    return "".join(_side_by_side(parts))


def _side_by_side(parts: list[str]) -> list[str]:
    """Put what another tool takes on the left, and what follows it at once on the right.

    Args:
        parts: text and fenced blocks in turn, as ``_FENCED`` splits a page.
    """
    made: list[str] = []
    row: tuple[list[str], list[str]] = ([], [])
    for i, part in enumerate(parts):
        if i % 2 and _OTHER_TOOL.match(part) and not row[1]:
            row[0].append(part)
        elif i % 2 and row[0]:
            row[1].append(part)
        elif i % 2 or part.strip() or not row[0]:
            made += [*_in_columns(row), part]
            row = ([], [])
    return [*made, *_in_columns(row)]


def _in_columns(row: tuple[list[str], list[str]]) -> list[str]:
    if not row[1]:
        return row[0]
    columns = ("\n\n".join(["<div markdown>", *blocks, "</div>"]) for blocks in row)
    return ["\n\n".join(['<div class="side-by-side" markdown>', *columns, "</div>"])]


def _part(marker: re.Match[str]) -> str:
    name, *given = marker[1].split()
    return PARTS[name](*given)


def _led(link: re.Match[str], place: str, there: Collection[str]) -> str:
    """A link that leads to its target's place on the site; text where the target has none."""
    shown, target = link.groups()
    path, hash_, anchor = target.partition("#")
    if not path or re.match(r"[a-z]+:", target):
        return link[0]
    file = (source_of(place).parent / path).resolve()
    if not file.is_relative_to(ROOT) or not file.exists():
        return link[0]  # MkDocs says that it is broken
    original = file.relative_to(ROOT).as_posix()
    outside = {file: page for page, file in OUTSIDE.items()}
    page = outside.get(original, original.removeprefix("docs/"))
    if page not in there:
        return shown.removeprefix("!")[1:-1]
    return f"{shown}({os.path.relpath(page, PurePosixPath(place).parent)}{hash_}{anchor})"


def notebook_text(path: Path) -> str:
    """A notebook as a page: its text, its code, and what that printed."""
    cells: list[dict[str, Any]] = json.loads(path.read_text())["cells"]
    parts = []
    for cell in cells:
        text = "".join(cell["source"])
        if cell["cell_type"] != "code":
            parts.append(text)
            continue
        parts.append(f"```python\n{text}\n```")
        for output in cell["outputs"]:
            printed = output.get("text", output.get("data", {}).get("text/plain", ""))
            if printed:
                parts.append(f"```text\n{''.join(printed).rstrip()}\n```")
    return "\n\n".join(parts)
