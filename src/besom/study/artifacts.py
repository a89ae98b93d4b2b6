"""The models, mistakes and checkpoints that workers save: which are asked for and kept."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import optuna

from besom.store.pooled_mistakes import pool_mistakes
from besom.store.records import Objective, Origin, Outcome, TrialRecord
from besom.study.objective import TRIAL_NUMBERS
from besom.study.plan import SweepPlan
from besom.study.running_trial import RunningTrial
from besom.study.screening import ScreeningPruner


class Artifacts:
    """Writes each trial's ``orders`` (see ``besom.seam``) and keeps only the files worth keeping.

    Args:
        plan: the sweep.
        pruner: screening needs checkpoints.
        finished: the trials that finished in earlier runs.
    """

    def __init__(
        self, plan: SweepPlan, pruner: optuna.pruners.BasePruner, finished: Iterable[TrialRecord]
    ) -> None:
        self._plan, self._pruner = plan, pruner
        self._objective: Objective = plan.objectives[0]
        has_winner = len(plan.objectives) == 1 and self._objective.metric not in TRIAL_NUMBERS
        self._keeps_models = plan.sweep.keep_models if has_winner and len(plan.runs) == 1 else 0
        #: The runs of a trial that predict each example once.
        self._judged = [run for run in plan.runs if not run.repeat and not run.is_only]
        # What the best gets wrong takes little space, so it is kept where its model is not.
        self._n_kept = max(self._keeps_models, 1) if has_winner else 0
        finished = list(finished)
        #: Of these nothing that was found out since is deleted, see ``besom show --retrain``.
        self._before = {trial.number for trial in finished}
        self._best: list[TrialRecord] = []
        self._screened: list[TrialRecord] = []
        for trial in finished:
            self._rank(trial)

    def of(self, running: RunningTrial) -> dict[str, Any]:
        """The key ``orders`` for a trial's config."""
        metrics = [objective.metric for objective in self._plan.objectives]
        orders: dict[str, Any] = {"per_example": metrics}
        if not running.run.is_only:
            orders["called"] = f"trial {running.number}, {running.run}"
        if self._plan.sweep.constraints:
            orders["constraints"] = self._plan.sweep.constraints
        if self._n_kept:
            full = len(self._best) >= self._n_kept
            better_than = self._best[-1].value if full else None
            paths, number = self._plan.paths, running.number
            files = {"mistakes": paths.mistakes_of(number)}
            if self._keeps_models:
                files["save_model"] = paths.model(number)
            if not running.run.is_only:  # which trial is best, its single run cannot know
                files["mistakes"] = paths.mistakes_part(number, running.run.index)
                better_than = None
            if running.run.is_only or running.run in self._judged:
                for order, path in files.items():
                    orders[order] = {"path": self._name(path), "better_than": better_than}
        if isinstance(self._pruner, ScreeningPruner):
            if running.continues is not None:
                load = self._name(self._plan.paths.checkpoint(running.continues))
                orders["checkpoint"] = {"load": load, "save": None}
            elif running.origin is not Origin.BASELINE:
                save = self._name(self._plan.paths.checkpoint(running.number))
                orders["checkpoint"] = {"load": None, "save": save}
        return {"orders": orders}

    def _name(self, path: Path) -> str:
        """Relative to the study's folder, which may be elsewhere for a worker."""
        return path.relative_to(self._plan.paths.root).as_posix()

    def settle(self, trial: TrialRecord) -> str:
        """A trial has ended: delete the files that nothing will need.

        Returns:
            What could not be kept of it, for the user; empty as a rule.
        """
        problem = self._pool(trial)
        self._rank(trial)
        if trial.continues is not None:
            _delete(self._plan.paths.checkpoint(trial.continues))
        return problem

    def _pool(self, trial: TrialRecord) -> str:
        """Make one file of what its runs get wrong, if it is among the best."""
        if not self._judged or trial.outcome is Outcome.DUPLICATE:
            return ""
        paths, sign = self._plan.paths, self._objective.sign
        parts = [paths.mistakes_part(trial.number, run.index) for run in self._judged]
        if trial.outcome is Outcome.COMPLETE and trial.value is not None:
            best = self._best[0].value if self._best else None
            if best is None or sign * trial.value > sign * best:
                return pool_mistakes(parts, paths.mistakes_of(trial.number))
        for part in parts:
            _delete(part)
        return ""

    def _rank(self, trial: TrialRecord) -> None:
        sign, paths = self._objective.sign, self._plan.paths
        if trial.outcome is Outcome.COMPLETE and trial.value is not None:
            if self._n_kept:
                self._best.append(trial)
                # A worker saves only what is better, so of equal ones not every file is there.
                of = paths.model if self._keeps_models else paths.mistakes_of
                has_none = {t.number: not of(t.number).exists() for t in self._best}
                self._best.sort(
                    key=lambda t: (-sign * (t.value or 0.0), has_none[t.number], t.number)
                )
                for out in self._best[self._n_kept :]:
                    self._forget(out.number)
                del self._best[self._n_kept :]
        elif trial.outcome is not Outcome.DUPLICATE:
            self._forget(trial.number)
        if not isinstance(self._pruner, ScreeningPruner):
            return
        if trial.outcome is not Outcome.PRUNED:
            _delete(paths.checkpoint(trial.number))  # it needs no continuing
        else:
            self._screened.append(trial)
            kept = self._pruner.kept(self._screened, self._objective)
            for number in {t.number for t in self._screened} - {t.number for t in kept}:
                _delete(paths.checkpoint(number))
            self._screened = kept

    def _forget(self, number: int) -> None:
        """Delete what was kept of a trial that is none of the best."""
        _delete(self._plan.paths.model(number))
        if number not in self._before:
            _delete(self._plan.paths.mistakes_of(number))


def _delete(path: Path) -> None:
    """Delete a file or folder, if it exists; one that cannot be deleted only takes up space."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        path.unlink()
