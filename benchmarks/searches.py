"""The searches that ``time_to_target.py`` compares: how each is started, and read off its log."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes
import workload

TOOLS = ("besom", "kerastuner", "hydra", "ray", "optuna")


@dataclass(frozen=True)
class Contestant:
    """A tool in one of its ways.

    Attributes:
        name: in the table.
        python: the interpreter that has it.
        script: under contestants/.
        packages: what it needs.
        overrides: besom's, for its strategies.
    """

    name: str
    python: str
    script: str
    packages: tuple[str, ...]
    overrides: tuple[str, ...] = ()

    @property
    def is_besom(self) -> bool:
        """Whether it is one of besom's strategies."""
        return self.name.startswith("besom")

    def command(self, work: workload.Workload, **told: Any) -> list[str]:
        """Return what runs it; ``told`` are the options of ``contestants/protocol.py``."""
        told["arrays"] = work.arrays
        if self.script == "hydra_search.py":
            words = ["--multirun", *(f"{name}={value}" for name, value in told.items())]
        else:
            words = [word for name, value in told.items() for word in (f"--{name}", str(value))]
        own = [*work.overrides, *self.overrides] if self.is_besom else []
        return [self.python, str(processes.CONTESTANTS / self.script), *words, *own]


def contestants(
    tools: Sequence[str], strategies: Sequence[str], tuners: str, hydra: str
) -> list[Contestant]:
    """Return the contestants, besom first.

    Args:
        tools: of ``TOOLS``.
        strategies: besom's overrides, one text for each of its ways.
        tuners: the interpreter that has KerasTuner and Ray.
        hydra: the interpreter that has the Hydra Optuna sweeper.
    """
    own = sys.executable
    keras = ("tensorflow", "keras")
    others = [
        Contestant(
            "KerasTuner Hyperband",
            tuners,
            "kerastuner_search.py",
            ("keras-tuner", "tensorboard", *keras),
        ),
        Contestant(
            "Hydra Optuna sweeper", hydra, "hydra_search.py", ("hydra-optuna-sweeper", *keras)
        ),
        Contestant(
            "Ray Tune ASHA + OptunaSearch",
            tuners,
            "ray_search.py",
            ("ray", "tensorboardX", "optuna", *keras),
        ),
        Contestant("Optuna loop, median pruner", own, "optuna_search.py", ("optuna", *keras)),
    ]
    chosen = [c for tool, c in zip(TOOLS[1:], others, strict=True) if tool in tools]
    if "besom" in tools:
        chosen[:0] = [
            Contestant(f"besom {words}".strip(), own, "besom_search.py", (), tuple(words.split()))
            for words in strategies
        ]
    return chosen


def run(
    contestant: Contestant, work: workload.Workload, seed: int, epochs: int, budget_s: float
) -> dict[str, Any] | None:
    """Run one contestant until its budget is spent.

    Returns:
        What ``measure`` does, None if it broke or got nowhere.
    """
    with tempfile.TemporaryDirectory(prefix="besom-benchmark-") as name:
        folder = Path(name)
        log, scratch = folder / "epochs.jsonl", folder / "run"
        scratch.mkdir()
        command = contestant.command(work, log=log, folder=scratch, seed=seed, epochs=epochs)
        done = processes.run(command, folder / "output.txt", budget_s)
        measured = measure(log, done.launched, min(budget_s, done.seconds))
        # A strategy of fixed size may be through before its time is up.
        if done.exit_code not in (None, 0) or not measured["n_epochs"]:
            print(
                f"{contestant.name}, seed {seed}: ended after {done.seconds:.0f} s with exit code "
                f"{done.exit_code}; not counted. Its last words:\n{done.output}",
                file=sys.stderr,
            )
            return None
        return measured


def measure(log: Path, launched: float, ran_s: float) -> dict[str, Any]:
    """Read one contestant's log.

    Returns:
        ``improvements``: every new best as (seconds, validation accuracy); ``n_trials`` begun,
        ``n_epochs`` ended, ``first_epoch_s``, and ``ran_s``: all happened within these seconds.
    """
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    # A line may be cut: its writer was killed.
    events = [json.loads(line) for line in lines if line.endswith("}")]
    events = sorted((e for e in events if e["time"] - launched <= ran_s), key=_time)
    epochs = [event for event in events if event["event"] == "epoch"]
    improvements: list[tuple[float, float]] = []
    for epoch in epochs:
        if not improvements or epoch["val_accuracy"] > improvements[-1][1]:
            seconds = round(epoch["time"] - launched, 3)
            improvements.append((seconds, round(epoch["val_accuracy"], 6)))
    return {
        "improvements": improvements,
        "n_trials": sum(event["event"] == "start" for event in events),
        "n_epochs": len(epochs),
        "ran_s": round(ran_s, 3),
        "first_epoch_s": improvements[0][0] if improvements else None,
    }


def _time(event: Mapping[str, Any]) -> float:
    return float(event["time"])
