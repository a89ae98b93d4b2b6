"""What comparisons share whose runs are kept in a file: their options, and how they go.

Separates the course of a comparison (who can run, on which data, keep every run, conclude from all
that were kept) from what it measures: ``throughput.py`` and ``time_to_target.py``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import processes
import report
import workload

#: The versions of the packages that a contestant needs.
Versions = Mapping[str, str | None]


@dataclass
class Comparison:
    """One comparison, as asked for on the command line.

    Attributes:
        name: of the benchmark, and of the file that its runs are kept in.
        description: its one line of ``--help``.
        decisive: names of the options that must be equal for two runs to be compared.
    """

    name: str
    description: str
    decisive: Sequence[str]
    _skipped: dict[str, str] = field(default_factory=dict)

    def parser(self) -> argparse.ArgumentParser:
        """Return a parser with the options that every comparison has."""
        parser = argparse.ArgumentParser(description=self.description)
        parser.add_argument(
            "--data", type=Path, default=os.environ.get("BESOM_MNIST"), help="MNIST as .npz"
        )
        parser.add_argument(
            "--images",
            type=int,
            default=60_000,
            help="images used, a twelfth of them for validation",
        )
        parser.add_argument(
            "--tuners-python", default=sys.executable, help="has KerasTuner and Ray Tune"
        )
        kept = Path(f"results/benchmarks/{self.name}.jsonl")
        parser.add_argument("--results", type=Path, default=kept, help="where runs are kept")
        parser.add_argument("--summary-only", action="store_true", help="only show what was kept")
        return parser

    def available(
        self, contestants: Mapping[str, tuple[str, Sequence[str]]]
    ) -> dict[str, Versions]:
        """Return the versions that the contestants have of what they need; say who is skipped.

        Args:
            contestants: name to its interpreter and the packages that it needs.
        """
        ready: dict[str, Versions] = {}
        for name, (python, packages) in contestants.items():
            versions = processes.versions(python, packages)
            if why := processes.lacking(versions):
                self._skipped[name] = why
                print(f"skipped: {name}: {why} for {python}")
            else:
                ready[name] = versions
        return ready

    def carry_out(
        self,
        parser: argparse.ArgumentParser,
        options: argparse.Namespace,
        run_all: Callable[[workload.Workload, Callable[..., None]], None],
        conclude: Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]],
    ) -> None:
        """Run what is asked for, then conclude from every run with these settings on this machine.

        Args:
            parser: complains of options.
            options: what it parsed.
            run_all: is given the data, and what keeps the facts of one run (as keywords).
            conclude: prints a table of all records and returns what the line of JSON says.

        Raises:
            SystemExit: no data, a space that is not what the others search, or nothing was kept.
        """
        facts = report.machine()
        settings = {name: getattr(options, name) for name in self.decisive}
        settings |= {name: facts[name] for name in ("cpu", "cores")}

        def keep(**record: Any) -> None:
            told = {"settings": settings, **record, "machine": report.machine()}
            report.keep(options.results, told)

        if not options.summary_only:
            if options.data is None or not Path(options.data).is_file():
                parser.error(
                    "give MNIST's .npz file as --data, or as the environment variable BESOM_MNIST"
                )
            workload.check_same_space()
            with tempfile.TemporaryDirectory(prefix="besom-benchmark-") as folder:
                run_all(workload.prepare(Path(folder), options.data, options.images), keep)
        records = report.kept(options.results, settings)
        if not records:
            raise SystemExit(f"{options.results} has no run with these settings: {settings}")
        revisions = sorted({str(record["machine"]["revision"]) for record in records})
        concluded = conclude(records)
        told = {"settings": settings, **concluded}
        report.finish(self.name, {**told, "skipped": self._skipped, "revisions": revisions})
