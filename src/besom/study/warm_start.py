"""Knowledge from another study: its complete trials, for the sampler, never ranked here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from besom.errors import ConfigError, SpaceError
from besom.seam import TrialConfig
from besom.store.records import Origin, Outcome, StudyRecord, TrialRecord
from besom.store.stored_records import ATTRIBUTE, PRESET
from besom.store.study_identity import as_of_now
from besom.study.objective import excesses, objective_values
from besom.study.plan import SweepPlan
from besom.study.preset_trials import choices_of
from besom.text.counting import IS, counted, listed


@dataclass
class WarmStart:
    """What was taken from another study.

    Attributes:
        study: its name.
        n_taken: trials whose values the sampler now knows.
        n_infeasible: how many of them break a constraint of this sweep.
        refused: why the others were not taken, one line per trial.
        remarks: where the other study's runs differ from what this sweep would run.
    """

    study: str
    n_taken: int = 0
    n_infeasible: int = 0
    refused: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = f"warm start: {counted(self.n_taken, 'trial')} of {self.study!r} "
        text += f"{IS[self.n_taken != 1]} added as knowledge"
        if self.n_infeasible:
            text += f", {self.n_infeasible} of them outside the constraints of this sweep"
        if self.refused:
            text += f", {len(self.refused)} do not fit ({self.refused[0]})"
        if self.remarks:
            text += f"; they ran with other settings: {'; '.join(self.remarks)}"
        return text


def check_objectives(plan: SweepPlan, other: StudyRecord) -> None:
    """Refuse a study whose trials do not report what this sweep optimises.

    Raises:
        ConfigError: no complete trial of it reported all of this sweep's objectives.
    """
    if not other.complete or any(_values(plan, other, trial) for trial in other.complete):
        return
    ours = " and ".join(o.metric for o in plan.objectives)
    theirs = " and ".join(f"{o.metric} ({o.direction})" for o in other.objectives)
    raise ConfigError(
        f"sweep.warm_start: {other.name!r} optimises {theirs}, and none of its trials reported "
        f"{ours}, which this sweep optimises. Name a study whose trials report it."
    )


def _values(plan: SweepPlan, other: StudyRecord, trial: TrialRecord) -> list[float] | None:
    """The trial's values for this sweep's objectives; None if it did not report them."""
    ours, theirs = (
        [(o.metric, o.direction) for o in of] for of in (plan.objectives, other.objectives)
    )
    if plan.objectives == other.objectives or (other.is_imported and ours == theirs):
        return list(trial.values or ()) or None
    numbers = {**trial.numbers, "seconds": trial.seconds, "cpu_seconds": trial.cpu_seconds}
    try:
        return objective_values(plan.objectives, trial.history, numbers)
    except ConfigError:
        return None


def warm_start(plan: SweepPlan, study: optuna.Study, other: StudyRecord) -> WarmStart:
    """Add the complete trials of another study as knowledge, marked, never ranked as run here.

    Raises:
        ConfigError: the trials of the other study did not report this sweep's objectives.
    """
    check_objectives(plan, other)
    report = WarmStart(other.name)
    remarks: dict[str, None] = {}
    for trial in other.complete:
        try:
            config, choices = _as_run(plan, other, trial)
            stored = _inside(plan, config, choices, trial.params if other.is_imported else None)
        except SpaceError as error:
            report.refused.append(f"trial {trial.number}: {error}")
            continue
        if (values := _values(plan, other, trial)) is None:
            report.refused.append(f"trial {trial.number}: it did not report the objective")
            continue
        if not other.is_imported:
            remarks |= dict.fromkeys(plan.space.differences(config, choices)[:3])
        taken = _as_knowledge(plan, other, trial, stored, values)
        study.add_trial(taken)
        report.n_taken += 1
        report.n_infeasible += any(excess > 0 for excess in taken.constraints.values())
    report.remarks = list(remarks)[:3]
    return report


def _as_run(
    plan: SweepPlan, other: StudyRecord, trial: TrialRecord
) -> tuple[TrialConfig, dict[str, str]]:
    """The config that a trial ran with, as it would be stored now, and its options.

    Of an imported one only hyperparameters are known; it stands for this sweep's config with them.

    Raises:
        SpaceError: these do not fit this sweep's config.
    """
    if other.is_imported:
        return plan.space.complete(plan.space.without_idle(trial.params))
    choices = choices_of(plan.composer, other, trial)
    known = {g: o for g, o in choices.items() if g in plan.space.paths}
    options = plan.composer.groups
    composable = {g: o for g, o in known.items() if o in options.get(g, ())}
    return as_of_now(trial.config, plan.bases.of(composable)), choices


def _inside(
    plan: SweepPlan,
    config: TrialConfig,
    choices: Mapping[str, str],
    known: Collection[str] | None,
) -> dict[str, Any]:
    """The Optuna parameters of a config.

    Args:
        plan: the sweep.
        config, choices: of a trial.
        known: the paths that it says something of; None: all.

    Raises:
        SpaceError: it lies outside the space, or does not say where in it.
    """
    stored = plan.space.encode(config, choices)
    if not stored:
        reasons = plan.space.outside(config, choices) or ["it has no parameters"]
        raise SpaceError(reasons[0])
    missing = [] if known is None else [p for p in plan.space.decode(stored) if p not in known]
    if missing:
        raise SpaceError(f"it has no value of {listed(missing)}, which this sweep samples")
    return stored


def _as_knowledge(
    plan: SweepPlan,
    other: StudyRecord,
    trial: TrialRecord,
    stored: Mapping[str, object],
    values: list[float],
) -> FrozenTrial:
    distributions = plan.space.distributions()
    preset = {"origin": str(Origin.WARM_START), "params": trial.params, "study": other.name}
    ending = {
        "outcome": str(Outcome.WARM_START),
        "params": trial.params,
        "reason": f"trial {trial.number} of {other.name!r}",
    }
    return create_trial(
        state=TrialState.COMPLETE,
        values=values,
        params=dict(stored),
        distributions={name: distributions[name] for name in stored},
        user_attrs={PRESET: preset, ATTRIBUTE: ending},
        constraints=excesses(plan.sweep.constraints, trial.numbers),
    )
