"""Weights & Biases: one offline run per trial, grouped by study; ``wandb sync`` uploads them."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

# Read when it starts its own process, which sends reports of errors even from an offline run.
os.environ.setdefault("WANDB_ERROR_REPORTING", "false")

import wandb
from wandb.proto.wandb_internal_pb2 import Record

from besom.errors import StudyError
from besom.trackers.tracker import TrackedStudy, TrackedTrial, Tracker

#: What W&B itself reads; else runs go to the project ``besom``.
_PROJECT_VARIABLE = "WANDB_PROJECT"

#: How long W&B's own process may take to write the end of a run after it has said it is done.
_END_WITHIN_S = 20.0

#: W&B takes no longer names of groups.
_LONGEST_GROUP = 128


class WandbTracker(Tracker):
    """Writes offline runs: nothing leaves this machine."""

    def __init__(self, study: TrackedStudy, folder: Path) -> None:
        super().__init__(study, folder / "wandb")
        self._folder.mkdir(parents=True, exist_ok=True)

    @property
    def place(self) -> str:
        return f"wandb sync {shlex.quote(str(self._folder))}/offline-run-*"

    def _id(self, number: int) -> str:
        """The same each time, so that a trial that is written again stays one run."""
        text = f"{self._study.key}/{number}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def _folders(self, number: int) -> list[Path]:
        return [*self._folder.glob(f"offline-run-*-{self._id(number)}")]

    def has(self, number: int) -> bool:
        return any(_is_whole(folder) for folder in self._folders(number))

    def write(self, trial: TrackedTrial) -> None:
        for folder in self._folders(trial.number):
            shutil.rmtree(folder)
        settings = wandb.Settings(
            mode="offline",
            console="off",  # what the sweep prints is no trial's
            silent=True,
            disable_git=True,
            disable_code=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,  # a list of all packages takes longer than everything else
        )
        run = wandb.init(
            project=os.environ.get(_PROJECT_VARIABLE) or "besom",
            group=self._study.name[:_LONGEST_GROUP],
            name=trial.name,
            id=self._id(trial.number),
            dir=self._folder.parent,  # it adds a folder `wandb`, where there is none a hidden one
            config={**trial.params, "besom": trial.about},
            tags=[str(trial.outcome)],
            settings=settings,
            reinit="create_new",
        )
        for epoch, _, metrics in trial.epochs():
            run.log(metrics, step=epoch)
        run.summary.update(
            {**trial.scores, **{f"number/{name}": value for name, value in trial.numbers.items()}}
        )
        run.finish(exit_code=int(trial.outcome.failed))
        until = time.monotonic() + _END_WITHIN_S
        while not self.has(trial.number):  # on a full disk it fails without saying so
            if time.monotonic() > until:
                raise StudyError(
                    f"W&B has not written the end of {trial.name} to {self._folder}. Is the disk "
                    "full?"
                )
            time.sleep(0.02)

    def close(self, trials: Sequence[TrackedTrial], best: TrackedTrial | None) -> None:
        """All is in the runs."""


def _is_whole(folder: Path) -> bool:
    """Whether an offline run was written to its end, which is the record of its exit code."""
    types = {
        Record.FromString(record).WhichOneof("record_type")
        for file in folder.glob("*.wandb")
        for record in _records(file)
    }
    return {"run", "exit"} <= types


def _records(file: Path) -> Iterator[bytes]:
    """The records of a run's file: LevelDB's log format, after a header of seven bytes."""
    data = file.read_bytes()
    place, record = 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4) and place <= len(data):  # a whole record, or the last part of one
            yield record
            record = b""
