"""The fenced examples of a Markdown page, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_FENCED = re.compile(
    r"(?:^<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A fenced example."""

    language: str
    text: str
    #: Why no test runs it; empty for nearly all.
    not_run: str

    @property
    def path(self) -> str | None:
        """The file that it is, if its first line names one."""
        named = re.match(r"# (\S+\.(?:yaml|py))\s", self.text)
        return named[1] if named else None

    def commands(self) -> Iterator[list[str]]:
        """Every ``besom ...`` of a shell example that is no mere pattern, as words."""
        text = self.text.replace("\\\n", " ") if self.language == "bash" else ""
        for line in text.splitlines():
            for command in line.split("&&"):
                words = shlex.split(command, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                    del words[0]  # VARIABLE=value before a command
                if "|" in words:
                    words = words[: words.index("|")]  # what reads its output is no part of it
                if words[:1] == ["besom"] and "..." not in words:
                    yield words[1:]


def names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def blocks(page: str) -> list[Block]:
    found = _FENCED.finditer(page)
    return [Block(m["language"], m["text"], m["reason"] or "") for m in found]


def command_lines(page: str) -> Iterator[list[str]]:
    """The commands of all of a page's examples."""
    for block in blocks(page):
        yield from block.commands()


def write_files(page: str, folder: Path) -> list[Path]:
    """Write the files of a page's examples, and return them."""
    written = []
    for block in blocks(page):
        if block.path is not None:
            target = folder / block.path
            if target.parent.is_symlink():
                target.parent.unlink()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
            written.append(target)
    return written
