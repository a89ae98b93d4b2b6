"""Every path besom reads or writes, and the one way a file that others may read is written."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from besom.errors import ConfigError

RESULTS_DIR_VARIABLE = "BESOM_RESULTS_DIR"
ARCHIVE = "archive"
TRAIN = "train"

#: Folders under the results folder that are no studies.
RESERVED = (ARCHIVE, "compare", "show", TRAIN)


#: The bytes of a name: a file system takes 255, and the archive adds the time.
MOST_NAME_BYTES = 200


def checked_name(key: str, name: str) -> str:
    """The name of a study or a run, which becomes a folder, a word in commands and a line in logs.

    Args:
        key: what it was set with, for the message.
        name: may contain spaces, and letters of any script.

    Raises:
        ConfigError: it cannot be a folder's name, or contains characters that nobody sees.
    """
    hidden = [c for c in name if c != " " and unicodedata.category(c)[0] in "CZ"]
    if not name.strip():
        fault = "it is empty"
    elif len(name.encode(errors="replace")) > MOST_NAME_BYTES:
        fault = f"it is longer than {MOST_NAME_BYTES} bytes"
    elif hidden:
        fault = f"it contains {hidden[0]!a}, which is invisible"
    elif "/" in name or "\\" in name:
        fault = "it contains a slash"
    elif name[0] in ".-":
        fault = f"it starts with {name[0]!r}"
    elif name != name.strip():
        fault = "it starts or ends with a space"
    elif name in RESERVED:
        fault = f"besom uses the names {', '.join(RESERVED)} itself"
    else:
        return name
    shown = ascii(name) if hidden else repr(name)
    shown = shown if len(shown) < 60 else f"{shown[:50]}...'"
    raise ConfigError(
        f"{key} is {shown}: {fault}. It becomes the name of a folder: give a short name of "
        "visible characters, such as mnist-mlp."
    )


def checked_folder(results_dir: str) -> Path:
    """The folder that a config names for results.

    Raises:
        ConfigError: it is blank, or no path.
    """
    try:
        is_path = bool(results_dir.strip()) and b"\0" not in os.fsencode(results_dir)
    except UnicodeEncodeError:
        is_path = False
    if not is_path:
        raise ConfigError(
            f"results_dir is {results_dir!a}, expected the path of a folder ('.' is the "
            f"current one). Set it with results_dir=FOLDER, or with {RESULTS_DIR_VARIABLE}."
        )
    return Path(results_dir)


def default_results_dir() -> Path:
    """``$BESOM_RESULTS_DIR``, else ``results`` in the current folder."""
    return Path(os.environ.get(RESULTS_DIR_VARIABLE) or "results")


@dataclass(frozen=True)
class StudyPaths:
    """Where one study lives: ``<results_dir>/<name>/``.

    The study itself is ``journal``, or in the storage that ``storage_url`` names. What is shown can
    be deleted and made again from it; not so what only training or opening the test images has
    given: ``models``, ``mistakes``, ``predictions``, the checkpoints of screened trials, the
    ``runs`` of unfinished trials, ``logs``, ``confirm/runs.jsonl`` (each run of ``besom confirm``)
    and ``test_openings.csv`` (who has seen the test images, and when).
    """

    root: Path

    @classmethod
    def of(cls, results_dir: Path, name: str) -> StudyPaths:
        """The paths of the study ``name``."""
        return cls(results_dir / name)

    @property
    def journal(self) -> Path:
        """Optuna's journal: the study itself, where no other storage is named."""
        return self.root / "study.journal"

    @property
    def storage_url(self) -> Path:
        """The URL of a study that lives in another storage, so that reporting finds it again."""
        return self.root / "storage.url"

    @property
    def lock(self) -> Path:
        """Who is sweeping or confirming this study now."""
        return self.root / "coordinator.lock"

    @property
    def logs(self) -> Path:
        """One log per worker."""
        return self.root / "logs"

    @property
    def trackers(self) -> Path:
        """What TensorBoard, MLflow and Weights & Biases read."""
        return self.root / "trackers"

    @property
    def leaderboard_csv(self) -> Path:
        """The ranking, for programs."""
        return self.root / "leaderboard.csv"

    @property
    def leaderboard_md(self) -> Path:
        """The ranking and the trials that are not in it, for people."""
        return self.root / "leaderboard.md"

    @property
    def ledger_csv(self) -> Path:
        """What each trial has cost."""
        return self.root / "ledger.csv"

    @property
    def claim(self) -> Path:
        """What may be claimed of the ranking, with the numbers behind it."""
        return self.root / "claim.json"

    @property
    def plots(self) -> Path:
        """The pictures."""
        return self.root / "plots"

    @property
    def report(self) -> Path:
        """The page that shows all of the study in a browser."""
        return self.root / "report.html"

    @property
    def best(self) -> Path:
        """The winner's config."""
        return self.root / "best.yaml"

    @property
    def models(self) -> Path:
        """Kept models; these cannot be made again without training."""
        return self.root / "models"

    def model(self, trial: int) -> Path:
        """The kept model of a trial."""
        return self.models / f"trial-{trial}.keras"

    @property
    def mistakes(self) -> Path:
        """What kept trials get wrong; only training finds it again."""
        return self.root / "mistakes"

    def mistakes_of(self, trial: int) -> Path:
        """The same of one trial."""
        return self.mistakes / f"trial-{trial}.json"

    def mistakes_part(self, trial: int, run: int) -> Path:
        """The same of one run of a trial of several, until the trial ends."""
        return self.mistakes / f"trial-{trial}.part-{run}.json"

    @property
    def from_python(self) -> Path:
        """Functions and arrays that were given from Python; trials cannot run without them."""
        return self.root / "from_python"

    @property
    def predictions(self) -> Path:
        """What is kept of each validation example, apart from bits; errors and ties rest on it."""
        return self.root / "predictions"

    def prediction(self, trial: int) -> Path:
        """The same of one trial."""
        return self.predictions / f"trial-{trial}.npz"

    def replicate(self, trial: int, seed: int) -> Path:
        """The same of a trial's config on a fresh seed."""
        return self.predictions / f"replicate-{trial}-{seed}.npz"

    @property
    def runs(self) -> Path:
        """What the runs of trials of several runs have given, until these trials end."""
        return self.root / "runs"

    def checkpoint(self, trial: int) -> Path:
        """The state of a screened trial, until it is continued."""
        return self.root / "checkpoints" / f"trial-{trial}"


def study_names(results_dir: Path) -> list[str]:
    """The names of all studies under a results folder."""
    if not results_dir.is_dir():
        return []
    return sorted(
        path.name
        for path in results_dir.iterdir()
        if path.name not in RESERVED
        and any(os.path.lexists(path / file) for file in ("study.journal", "storage.url"))
    )


@dataclass(frozen=True)
class TrainPaths:
    """Where one training run lands: ``<results_dir>/train/<name>/``."""

    root: Path

    @staticmethod
    def folder(results_dir: Path) -> Path:
        """The folder of all of them, with the log of the test images they opened."""
        return results_dir / TRAIN

    @classmethod
    def fresh(cls, results_dir: Path, name: str) -> TrainPaths:
        """The first of ``name``, ``name-2``, ``name-3`` ... that is not taken: no run is lost."""
        base = cls.folder(results_dir)
        number, root = 1, base / name
        while root.exists():
            number += 1
            root = base / f"{name}-{number}"
        return cls(root)

    @property
    def config(self) -> Path:
        """The resolved config, itself a config for ``besom train``."""
        return self.root / "config.yaml"

    @property
    def history(self) -> Path:
        """One row per epoch."""
        return self.root / "history.csv"

    @property
    def learning_curve(self) -> Path:
        """The history, drawn."""
        return self.root / "learning_curve.png"

    @property
    def metrics(self) -> Path:
        """The final numbers."""
        return self.root / "metrics.json"

    @property
    def model(self) -> Path:
        """The trained Keras model."""
        return self.root / "model.keras"


#: Temporary files, with the process that writes each. Those of workers, which write models and
#: checkpoints, name none: workers end with their coordinator.
_TEMPORARY = re.compile(
    r"\..+\.(?P<pid>\d+)-[a-z0-9_]{8}|\.partial-trial-\d+\.keras|\.trial-\d+\.partial"
)


def temporary_prefix(path: Path) -> str:
    """How a temporary file or folder begins that this process will rename to ``path``."""
    return f".{path.name}.{os.getpid()}-"


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed left half-written anywhere in ``folder``.

    Call it where no other process of besom's may be training for this folder: with a study's lock
    held. What a live process such as ``besom plot`` is writing without the lock is not touched.
    """
    for path in folder.rglob(".*"):
        found = _TEMPORARY.fullmatch(path.name)
        if found is None or (found["pid"] and _is_another_alive(int(found["pid"]))):
            continue
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_another_alive(pid: int) -> bool:
    if pid == os.getpid():  # in a container, each run may have the same number
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write ``path`` so that a reader sees the old content or the new, never a part.

    Raises:
        OSError: the folder cannot be written, or the disk is full; ``path`` is then unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=temporary_prefix(path))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):  # the user knows this file, not the temporary one
            error.filename, error.filename2 = str(path), None
        raise
