"""Knowledge from another study: its complete trials, for the sampler, never ranked here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from besom.config import TRAIN_GROUPS
from besom.errors import ConfigError
from besom.records import ATTRIBUTE, GIVEN, Origin, Outcome, StudyRecord, TrialRecord
from besom.study.constraints import excesses
from besom.study.defaults import as_of_now
from besom.study.plan import SweepPlan


@dataclass
class WarmStart:
    """What was taken from another study.

    Attributes:
        study: its name.
        n_taken: trials whose values the sampler now knows.
        n_infeasible: how many of them break a constraint of this sweep.
        refused: why the others were not taken, one line a trial.
        remarks: where the other study's runs differ from what this sweep would run.
    """

    study: str
    n_taken: int = 0
    n_infeasible: int = 0
    refused: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = f"warm start: {self.n_taken} trials of {self.study!r} are known to the sampler"
        if self.n_infeasible:
            text += f", {self.n_infeasible} of them outside this sweep's constraints"
        if self.refused:
            text += f", {len(self.refused)} do not fit ({self.refused[0]})"
        if self.remarks:
            text += f"; they ran with other settings: {'; '.join(self.remarks)}"
        return text


def check_objectives(plan: SweepPlan, other: StudyRecord) -> None:
    """Refuse a study whose values mean nothing here.

    Raises:
        ConfigError: it has other objectives.
    """
    ours = [(o.metric, o.direction) for o in plan.objectives]
    theirs = [(o.metric, o.direction) for o in other.objectives]
    if ours != theirs:
        raise ConfigError(
            f"sweep.warm_start: {other.name!r} optimises {_said(theirs)}, this sweep "
            f"{_said(ours)}; its values say nothing here. Name a study with the same objective."
        )


def _said(objectives: Sequence[tuple[str, str]]) -> str:
    return " and ".join(f"{metric} ({direction})" for metric, direction in objectives)


def warm_start(plan: SweepPlan, study: optuna.Study, other: StudyRecord) -> WarmStart:
    """Add the complete trials of another study as knowledge, marked, never ranked as run here.

    Raises:
        ConfigError: the other study has other objectives, so that its values mean nothing here.
    """
    check_objectives(plan, other)
    report = WarmStart(other.name)
    remarks: dict[str, None] = {}
    for trial in other.complete:
        choices = _choices(plan, other, trial)
        known = {g: o for g, o in choices.items() if g in plan.space.paths}
        options = plan.composer.groups
        composable = {g: o for g, o in known.items() if o in options.get(g, ())}
        config = as_of_now(trial.config, plan.trial_base(composable))
        stored = plan.space.encode(config, choices)
        if not stored:
            reasons = plan.space.outside(config, choices) or ["it has no parameters"]
            report.refused.append(f"trial {trial.number}: {reasons[0]}")
            continue
        remarks |= dict.fromkeys(plan.space.differences(config, choices)[:3])
        taken = _as_knowledge(plan, other, trial, stored)
        study.add_trial(taken)
        report.n_taken += 1
        report.n_infeasible += any(excess > 0 for excess in taken.constraints.values())
    report.remarks = list(remarks)[:3]
    return report


def _choices(plan: SweepPlan, other: StudyRecord, trial: TrialRecord) -> dict[str, str]:
    """The option of each group: as sampled, as the other study was composed, or what looks so.

    Several options may build the same class, so that a config alone need not tell which it was.
    """
    composed = other.facts.get("choices", {})
    choices = {}
    for group in {**dict.fromkeys(TRAIN_GROUPS), **dict.fromkeys(plan.composer.groups)}:
        option = trial.params.get(group, composed.get(group))
        if option is None and group in TRAIN_GROUPS:
            option = plan.composer.option_of(group, trial.config[group])
        if option is not None:
            choices[group] = str(option)
    return choices


def _as_knowledge(
    plan: SweepPlan, other: StudyRecord, trial: TrialRecord, stored: Mapping[str, object]
) -> FrozenTrial:
    distributions = plan.space.distributions()
    given = {"origin": str(Origin.WARM_START), "params": trial.params, "study": other.name}
    ending = {
        "outcome": str(Outcome.WARM_START),
        "params": trial.params,
        "reason": f"trial {trial.number} of {other.name!r}",
    }
    return create_trial(
        state=TrialState.COMPLETE,
        values=list(trial.values or ()),
        params=dict(stored),
        distributions={name: distributions[name] for name in stored},
        user_attrs={GIVEN: given, ATTRIBUTE: ending},
        constraints=excesses(plan.sweep["constraints"], trial.numbers),
    )
