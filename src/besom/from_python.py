"""Functions given to ``besom.sweep`` and ``besom.train``: each is an attribute of this module.

A config names one as any other: ``_target_: besom.from_python.build_1a2b3c4d``. It is a pickle in
the folder that belongs to the study or run, where the arrays given with it are too. Whether it may
be loaded, ``besom.trust`` decides.
"""

from __future__ import annotations

import functools
import pickle
import re
from pathlib import Path
from typing import Any

from besom.errors import ConfigError, reason_of
from besom.trust import current
from besom.trust.signed import N_BYTES

#: The folder of a study or run that holds all this.
FOLDER = "from_python"


#: The end of each name: what tells one version of a function from another.
_DIGEST = re.compile(r"_[0-9a-f]{8}")


def __getattr__(name: str) -> Any:
    if not _DIGEST.fullmatch(name[-9:]):
        raise AttributeError(name)
    return _loaded(given_file(f"{name}.pkl"))


def given_file(name: str) -> Path:
    """A file or folder that was given with a study or run.

    Raises:
        ConfigError: there is none of this name.
    """
    folder = current().functions
    if folder is None:
        raise ConfigError(
            f"{name} was given from Python and lies in the folder {FOLDER!r} of a study or run, "
            "but this config is not beside one. Give results_dir=FOLDER, where its study is, or "
            "call besom.train or besom.sweep again."
        )
    found = Path(folder) / name
    if not found.exists():
        raise ConfigError(
            f"{found} is missing: it was given from Python. Restore the folder, or call "
            "besom.sweep or besom.train again."
        )
    return found


@functools.cache
def _loaded(file: Path) -> Any:
    """What a file holds; one object per process, as with a module."""
    name = file.stem.rpartition("_")[0]
    try:
        return pickle.loads(file.read_bytes()[N_BYTES:])
    except Exception as error:  # whatever importing the user's modules does
        raise ConfigError(f"{name} cannot be loaded from {file}: {reason_of(error)}.") from error
