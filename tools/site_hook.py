"""What MkDocs does beyond its own while it builds the docs site; ``mkdocs.yml`` names this file.

- Pages that lie outside ``docs/`` (:data:`OUTSIDE`), and the notebook, become pages of the site.
- Links are as in a checkout. One that leaves the site's pages becomes plain text.
- ``<!-- besom: ... -->`` in a page is replaced by a part of the reference, see :data:`PARTS`.
"""

from __future__ import annotations

import json
import os.path
import re
from pathlib import Path
from typing import Any

import site_reference as reference
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

#: Files of the checkout that are pages of the site, by the place they have in it.
OUTSIDE = {
    "benchmarks.md": "benchmarks/README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "notebook.md": "docs/notebook.ipynb",
}

#: The objects of the Python API, in the order of their use; names as users import them.
API = {
    "Functions": ("besom.sweep", "besom.train", "besom.load_study"),
    "A study": ("besom.Study", "besom.records.StudyRecord", "besom.records.TrialRecord"),
    "A trial function": ("besom.seam.TrialResult",),
    "Errors": ("besom.errors",),
}

#: What a marker stands for, by its first word; the others are given.
PARTS = {
    "commands": lambda: reference.commands_text(),
    "keys": lambda primary: reference.keys_table(
        {"train": reference.train_keys, "sweep": reference.sweep_keys}[primary](), above="sweep."
    ),
    "options": lambda group: reference.options_text(group),
    "python": lambda: python_text(),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside ``docs/``."""
    for place, source in OUTSIDE.items():
        path = ROOT / source
        text = notebook_text(path) if path.suffix == ".ipynb" else path.read_text()
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in the reference, and lead links to where their targets are on the site."""
    place = page.file.src_uri
    source = ROOT / OUTSIDE.get(place, f"docs/{place}")
    markdown = re.sub(r"^<!-- besom: (.+?) -->$", _part, markdown, flags=re.MULTILINE)
    fenced = re.split(r"(^ *```.*?^ *```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(
        part if i % 2 else _led(part, source, place, files) for i, part in enumerate(fenced)
    )


def _part(marker: re.Match[str]) -> str:
    name, *given = marker[1].split()
    return PARTS[name](*given)


def _led(text: str, source: Path, place: str, files: Files) -> str:
    """Lead the links of a text to their places on the site."""

    def replaced(link: re.Match[str]) -> str:
        shown, target = link[1], link[2]
        path, hash_, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target) or not path:
            return link[0]
        file = (source.parent / path).resolve()
        if not file.exists() or not file.is_relative_to(ROOT):
            return link[0]  # MkDocs reports it
        there = file.relative_to(ROOT).as_posix()
        pages = {original: on_site for on_site, original in OUTSIDE.items()}
        there = pages.get(there, there.removeprefix("docs/"))
        if files.get_file_from_path(there) is None:
            return shown.removeprefix("!")[1:-1]
        return f"{shown}({os.path.relpath(there, Path(place).parent)}{hash_}{anchor})"

    return re.sub(r"(!?\[[^]\[]*(?:\[[^]]*\][^]\[]*)*\])\(([^)\s]+)\)", replaced, text)


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


def python_text() -> str:
    """The Python API: a directive of mkdocstrings for each object."""
    parts = []
    for heading, names in API.items():
        parts.append(f"## {heading}")
        parts += [f"::: {name}" for name in names]
    return "\n\n".join(parts)
