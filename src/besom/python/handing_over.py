"""What the workers need of a call: functions, data and configs, written into the study's folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from besom.errors import StudyError
from besom.python.datasets import GivenData
from besom.python.functions import GivenFunction
from besom.python.identity import Identity
from besom.store.paths import write_atomically

#: What was given last, for the next call to compare with.
RECORD = "given.json"


@dataclass(frozen=True)
class Given:
    """Everything that a call brings along.

    Attributes:
        functions: by the place where each stands in the config.
        data: the training part and the test part, as far as they are given.
        configs: the folder of the configs; None: there are none to keep.
    """

    functions: Mapping[str, GivenFunction]
    data: tuple[GivenData, ...] = ()
    configs: Path | None = None
    #: What ``RECORD`` says of it.
    record: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        functions = {
            where: {
                "label": f.label,
                "source": f.identity.source,
                "values": dict(f.identity.values),
            }
            for where, f in self._every_function().items()
        }
        data = {part.label: part.digest for part in self.data}
        object.__setattr__(self, "record", {"functions": functions, "data": data})

    def _every_function(self) -> dict[str, GivenFunction]:
        makers = {f"{d.label} ({f.label})": f for d in self.data for f in d.functions}
        return {**self.functions, **makers}

    def check_unchanged(self, folder: Path, study: str) -> None:
        """Refuse to go on with a study whose functions or data were others.

        Args:
            folder: where those of the study are; nothing there: nothing is compared.
            study: its name.

        Raises:
            StudyError: says what has changed, and how to start over or keep both.
        """
        before = _record_in(folder)
        ways = (
            " To start over, add fresh=True, which archives the old study; to keep both, give this "
            f"one a name of its own, such as name='{study}-2'."
        )
        for where, now in self._every_function().items():
            was = before["functions"].get(where)
            if was is None:
                continue
            if was["label"] != now.label:
                raise StudyError(
                    f"The study {study!r} was made with {was['label']}, and this call gives "
                    f"{now.label}.{ways}"
                )
            known = Identity(was["source"], was["values"])
            if changed := now.identity.changed_since(known):
                what = "its lambda" if now.label == "lambda" else now.label
                raise StudyError(
                    f"The study {study!r} cannot be continued: {what} {changed}.{ways}"
                )
        for part in self.data:
            was = before["data"].get(part.label)
            if was is not None and was != part.digest:
                which = "another test part" if part.label == "test" else "other data"
                raise StudyError(
                    f"The study {study!r} was made with {which}: the values have changed.{ways}"
                )

    def write(self, folder: Path) -> None:
        """Write it all; what is there already and the same stays."""
        folder.mkdir(parents=True, exist_ok=True)
        for function in self._every_function().values():
            write_atomically(folder / f"{function.name}.pkl", function.content)
        for part in self.data:
            part.write(folder / part.name)
        if self.configs is not None:
            shutil.copytree(self.configs, folder, dirs_exist_ok=True)
        before = _record_in(folder)  # of a test part, say, that this call leaves out
        record = {key: {**before[key], **self.record[key]} for key in self.record}
        write_atomically(folder / RECORD, json.dumps(record, indent=1))


def _record_in(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return {"functions": dict(record["functions"]), "data": dict(record["data"])}
    except (OSError, ValueError, LookupError, TypeError):  # edited, or cut short
        return {"functions": {}, "data": {}}
