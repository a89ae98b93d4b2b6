"""What the runs of unfinished trials have given: one file each, so that a resume need not run them.

Only trials of several runs have them (``sweep.folds``, ``sweep.repeats``). A file is whole or not
there, and is deleted when its trial has ended: what is kept of a trial is in the study then.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import zlib
from collections.abc import Container
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from besom.seam import TrialResult
from besom.store.paths import write_atomically
from besom.text.printable import storable

#: Marks bytes in JSON.
_BYTES = "base64"


class RunFiles:
    """The files of one study.

    Args:
        folder: where they are; made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(
        self, trial: int, run: int, key: str, result: TrialResult, cost: dict[str, Any]
    ) -> None:
        """Write down what a run gave; it is on the disk when this returns.

        Args:
            trial, run: the trial's number, and the run's index in it.
            key: identifies the trial's config.
            result: what it returned.
            cost: what it took, plain numbers.

        Raises:
            OSError: the file cannot be written.
        """
        content = {"key": key, "result": asdict(result), "cost": cost}
        text = json.dumps(content, default=_encoded, separators=(",", ":"))
        write_atomically(self._path(trial, run), gzip.compress(text.encode(), 1, mtime=0))

    def read(self, trial: int, run: int, key: str) -> tuple[TrialResult, dict[str, Any]] | None:
        """What a run gave and took; None where it has to run: no file, a damaged or another one."""
        try:
            text = gzip.decompress(self._path(trial, run).read_bytes())
            content = json.loads(text, object_hook=_decoded)
            if content["key"] != key:
                return None
            known = {f.name for f in fields(TrialResult)}
            stored = {name: value for name, value in content["result"].items() if name in known}
            return TrialResult(**storable(stored)), dict(content["cost"])
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError):
            return None

    def forget(self, trial: int) -> None:
        """Delete the files of a trial."""
        self._delete([self._name(trial, "*")])

    def forget_all_but(self, trials: Container[int]) -> None:
        """Delete the files of trials that have ended."""
        numbers = {path.name.split("-")[1] for path in self._folder.glob(self._name("*", "*"))}
        self._delete(
            [self._name(n, "*") for n in numbers if not n.isdigit() or int(n) not in trials]
        )

    def _delete(self, patterns: list[str]) -> None:
        with contextlib.suppress(OSError):  # a file that cannot be deleted only takes up space
            for pattern in patterns:
                for path in self._folder.glob(pattern):
                    path.unlink()
            self._folder.rmdir()

    def _path(self, trial: int, run: int) -> Path:
        return self._folder / self._name(trial, run)

    @staticmethod
    def _name(trial: int | str, run: int | str) -> str:
        return f"trial-{trial}-run-{run}.json.gz"


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode("ascii")}
    raise TypeError(f"{type(value).__name__} is no plain data")


def _decoded(mapping: dict[str, Any]) -> Any:
    return base64.b64decode(mapping[_BYTES]) if mapping.keys() == {_BYTES} else mapping
