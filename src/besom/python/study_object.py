"""A study as Python has it: its records, and what people do next with them.

Nothing here imports TensorFlow, but for ``Study.best_model``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from besom.errors import StudyError
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord, TrialRecord
from besom.text.counting import counted
from besom.text.printable import command, one_line

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from besom.statistics import Claim


@dataclass(frozen=True, eq=False, repr=False)
class Study(StudyRecord):
    """What ``besom.sweep`` and ``besom.load_study`` return.

    Attributes:
        results_dir: the folder that the study's own lies in.
    """

    results_dir: Path = Path("results")

    @classmethod
    def of(cls, record: StudyRecord, results_dir: Path) -> Self:
        """A record with the place where it is stored."""
        known = {field.name: getattr(record, field.name) for field in fields(StudyRecord)}
        return cls(**known, results_dir=results_dir)

    @property
    def paths(self) -> StudyPaths:
        """Where the study's files are."""
        return StudyPaths.of(self.results_dir, self.name)

    @cached_property
    def best(self) -> TrialRecord:
        """The first trial of the leaderboard; of a Pareto front its knee, where it has one.

        Raises:
            StudyError: no trial has completed.
        """
        from besom.report.export import best_trial

        self._check_complete()
        return best_trial(self)

    @cached_property
    def claim(self) -> Claim:
        """What may be claimed of the study; ``claim.text`` is the sentence."""
        from besom.report.claimed import claim_among

        return claim_among(self, self.results_dir)

    def best_model(self) -> Any:
        """Load the model of ``best`` as a ``keras.Model``.

        Where it was not kept (``sweep.keep_models``, or a sweep with folds), its config is trained
        once more in a worker, and a line says so.

        Raises:
            StudyError: no trial has completed, or the model cannot be trained or loaded.
        """
        from besom.rerun.retraining import trained_model

        return trained_model(self, self.best, self.paths, say=print)

    def leaderboard(self, *others: StudyRecord) -> pd.DataFrame:
        """The complete trials, best first, see ``besom.leaderboard.ranking``.

        Args:
            others: studies of the same objective and validation examples, whose trials are ranked
                with these; a trial is called ``7 of NAME`` then.

        Raises:
            ConfigError: the studies cannot be ranked together.
        """
        from besom.report.leaderboard import ranking
        from besom.report.trials_frame import without_columns

        return without_columns(ranking(*self._with(others)))

    def claim_with(self, *others: StudyRecord) -> Claim:
        """What may be claimed of the best trial of this study and others, all trials counted.

        Raises:
            ConfigError: the studies cannot be ranked together, see ``leaderboard``.
        """
        return self._with(others)[1]

    def _with(self, others: Sequence[StudyRecord]) -> tuple[StudyRecord, Claim]:
        if not others:
            return self, self.claim
        from besom.report.pooled import claims_together, refuse_several

        found = [*claims_together([self, *others], self.results_dir)]
        refuse_several([pool for pool, _ in found], "there is one ranking of each.")
        return found[0]

    def dataframe(self) -> pd.DataFrame:
        """One row per trial, whatever became of it, see ``besom.report.trials_frame``."""
        from besom.report.trials_frame import trials_frame

        return trials_frame(self)

    def plot(self, name: str = "optimization_history", objective: str | None = None) -> Figure:
        """Draw one of the study's plots; a notebook shows the figure.

        Args:
            name: ``optimization_history``, ``learning_curves``, ``importance``, ``slices`` or
                ``parallel_coordinates``; with several objectives also ``pareto``.
            objective: the metric of one of several objectives; None: the first.

        Raises:
            ConfigError: there is no such plot or objective (near names are listed).
        """
        from besom.plots import draw_plot

        return draw_plot(self, name, objective)

    def _check_complete(self) -> None:
        if not self.complete:
            raise StudyError(
                f"No trial of {self.name!r} has completed, so none is the best. "
                f"`{command('leaderboard', self.name)}` shows how its trials ended."
            )

    def __repr__(self) -> str:
        n_trials = counted(len(self.trials), "trial")
        return one_line(f"<besom study {self.name!r}: {n_trials}, {self._leads()}>")

    def _leads(self) -> str:
        if not self.complete:
            return "none complete"
        if len(self.objectives) > 1:
            return f"{len(self.claim.front)} on the Pareto front"
        best, aim = self.best, self.objective
        assert best.value is not None
        return f"best {aim.metric} {aim.text(best.value)} (trial {best.number})"

    def _repr_html_(self) -> str:
        from besom.python.study_html import study_html

        return study_html(self, self.claim)
