"""What ``besom sweep`` does, and one watcher more, which tells each epoch as it is heard."""

from __future__ import annotations

from collections.abc import Mapping

from protocol import EpochLog, arguments

from besom.report.files import write_outputs
from besom.study import make_plan, run_sweep
from besom.study.watcher import LeaderboardWriter, Watcher, Watchers


class Telling(Watcher):
    """Writes what happens to the log."""

    def __init__(self, log: EpochLog) -> None:
        self._log = log

    def started(self, trial: int, worker: int) -> None:  # noqa: ARG002
        """A trial begins."""
        self._log.start(trial)

    def epoch(self, trial: int, worker: int, epoch: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        """An epoch has ended."""
        self._log.epoch(trial, epoch, metrics["val_accuracy"])


def main() -> None:
    parser = arguments()
    parser.add_argument("overrides", nargs="*", help="of the sweep mnist_mlp")
    options = parser.parse_args()
    overrides = [
        f"seed={options.seed}",
        f"trainer.epochs={options.epochs}",
        f"trainer.batch_size={options.batch_size}",
        "sweep.n_trials=100000",
        *options.overrides,
    ]
    plan = make_plan("mnist_mlp", overrides, results_dir=options.folder)
    watchers = Watchers(LeaderboardWriter(plan.paths), Telling(EpochLog(options.log)))
    outcome = run_sweep(plan, watcher=watchers)
    write_outputs(outcome.study, plan.paths)


if __name__ == "__main__":
    main()
