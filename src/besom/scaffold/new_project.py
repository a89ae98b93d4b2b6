"""The files of a new project, and the folder they are written to: all of them, or none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from besom.config.search_path import RESERVED as CONFIGS
from besom.errors import ConfigError
from besom.packaged import packaged_config_dirs
from besom.store.paths import RESERVED, write_atomically
from besom.text.counting import listed
from besom.text.printable import escape_hidden, one_line

#: The names in every new project.
DATA, MODEL = "my_data", "my_model"


@dataclass(frozen=True)
class NewProject:
    """A project that is not written yet.

    Attributes:
        sweep: the name of its sweep.
        files: the text of each file, by its path in the project's folder.
        found: what was found out about the data, in sentences for the user.
    """

    sweep: str
    files: Mapping[str, str]
    found: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Write all files, or none.

        Raises:
            OSError: one of them cannot be written.
        """
        was_there = folder.is_dir()
        try:
            for path, text in self.files.items():
                write_atomically(folder / path, text)
        except BaseException:
            for path in self.files:
                (folder / path).unlink(missing_ok=True)
            places = {parent for path in self.files for parent in Path(path).parents}
            for place in sorted(places, key=lambda p: -len(p.parts)):
                with suppress(OSError):  # it is not there, or not empty
                    if place.parts or not was_there:
                        (folder / place).rmdir()
            raise


def check_folder(folder: Path, besides: Path | None = None) -> None:
    """Refuse a folder that is not empty: hidden files, such as ``.git``, do not count.

    Args:
        folder: may be missing.
        besides: a file that may be in it.

    Raises:
        ConfigError: says what is in it.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(
            f"{folder} is not a folder. Give the name of a new folder, or of an empty one."
        )
    inside = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    own = None if besides is None or besides.parent != folder.resolve() else besides.name
    if taken := [name for name in inside if not name.startswith(".") and name != own]:
        more = ", ..." if len(taken) > 3 else ""
        where = "The current folder" if folder == Path() else f"The folder {folder}"
        raise ConfigError(
            f"{where} is not empty: it holds {', '.join(taken[:3])}{more}. besom init overwrites "
            "nothing: give the name of a new folder, as in besom init my_project."
        )


def project_name(wanted: str) -> str:
    """A name for a sweep, as close to ``wanted`` as a config's name can be.

    >>> project_name("House prices 2024"), project_name("2024"), project_name("quickstart")
    ('House_prices_2024', 'my_2024', 'my_quickstart')
    """
    name = re.sub(r"[^A-Za-z0-9_]+", "_", wanted).strip("_")[:60]
    packaged = {path.stem for path in packaged_config_dirs()[1].glob("*.yaml")}
    if not name or not name[0].isalpha() or name in {*RESERVED, *CONFIGS, *packaged}:
        name = f"my_{name}".rstrip("_")
    return name if name != "my" else "my_sweep"


def inline(value: Any) -> str:
    """A value as YAML on one line, whatever is in it.

    >>> inline(["id", "price: ${x}"])
    "[id, 'price: \\\\${x}']"
    """
    text = yaml.safe_dump(
        _literal(value), default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False
    )
    return escape_hidden(text.removesuffix("\n").removesuffix("\n...").rstrip("\n"))


def _literal(value: Any) -> Any:
    """The value, with text that OmegaConf would take for an interpolation escaped."""
    if isinstance(value, str):
        return value.replace("${", r"\${")
    return [_literal(each) for each in value] if isinstance(value, list) else value


def comment(text: str) -> str:
    """Text from outside as the end of a comment: on one line, with nothing hidden in it."""
    return one_line(text)


def in_words(names: list[str]) -> str:
    """The names of columns for a sentence."""
    return listed([one_line(name) for name in names])
