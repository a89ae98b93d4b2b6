"""What a study has cost, what it went to, and whether going on is worth it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
from rich.console import Console

from besom.records import Outcome, StudyRecord, TrialRecord
from besom.statistics import (
    Prospect,
    PruningCost,
    RankAgreement,
    agreement_by_epoch,
    expected_gain,
    fewest_trials,
    proportion_standard_error,
    pruning_cost,
)
from besom.tables import rich_table

#: The question "stop now?" is about this many further trials.
N_MORE = 20


@dataclass(frozen=True)
class Audit:
    """What the audited trials (to be pruned, but run to the end) tell of pruning.

    Attributes:
        cost: what pruning has lost, as far as they show.
        agreement: rank agreement of epoch 1, 2, ... with the end, audited trials weighted by how
            many pruned ones each stands for.
    """

    cost: PruningCost
    agreement: list[RankAgreement]


@dataclass(frozen=True)
class Ledger:
    """A study's costs.

    Attributes:
        by_outcome: one row an outcome: outcome, trials, epochs, seconds, cpu_seconds, gpu_seconds,
            share (of the seconds); the last row is the total.
        gain_per_hour: the best trial's gain over the baseline for each hour of worker time; None
            without a baseline, or with several objectives.
        prospect: what the next ``N_MORE`` trials may be expected to bring; None with several
            objectives or without a complete trial.
        audit: None where no trial was audited.
    """

    by_outcome: pd.DataFrame
    gain_per_hour: float | None
    prospect: Prospect | None
    audit: Audit | None


def ledger(study: StudyRecord) -> Ledger:
    """Add up what a study has cost. Knowledge taken from other studies cost nothing here."""
    trials = [t for t in study.trials if t.outcome is not Outcome.WARM_START]
    return Ledger(
        _by_outcome(study, trials),
        _gain_per_hour(study, trials),
        _prospect(study, trials),
        _audit(study),
    )


def print_ledger(study: StudyRecord, console: Console) -> None:
    """Print a study's costs and whether going on is worth it."""
    book = ledger(study)
    shown = book.by_outcome.copy()
    for column in ("seconds", "cpu_seconds", "gpu_seconds"):
        shown[column] = [f"{v:,.1f}" for v in shown[column]]
    shown["share"] = [f"{v:.0%}" for v in book.by_outcome["share"]]
    if not book.by_outcome["gpu_seconds"].any():
        shown = shown.drop(columns="gpu_seconds")
    console.print(rich_table(shown, f"Cost of {study.name}"))
    for line in verdict(study, book):
        console.print(line, markup=False, highlight=False)


def verdict(study: StudyRecord, book: Ledger) -> list[str]:
    """The ledger in sentences."""
    metric, lines = study.objective.metric, []
    if book.gain_per_hour is not None:
        lines.append(
            f"The best trial gains {book.gain_per_hour:+.4g} {metric} over the baseline for each "
            "hour of worker time."
        )
    prospect = book.prospect
    if prospect is not None and not math.isnan(prospect.expected_gain):
        text = (
            f"Stop now? {N_MORE} more trials may be expected to improve the best {metric} by "
            f"{prospect.expected_gain:.2g}"
        )
        if prospect.above_noise is None:
            lines.append(text + "; the noise of one score is not known.")
        else:
            than = "more" if prospect.above_noise else "less"
            advice = "going on can pay." if prospect.above_noise else "it is hardly worth it."
            lines.append(
                f"{text}, {than} than the noise of one score ({prospect.noise:.2g}): {advice}"
            )
    elif prospect is not None:
        lines.append(
            f"Stop now? Too few trials yet to say what {N_MORE} more would bring: "
            f"{fewest_trials(N_MORE)} with a score are needed."
        )
    if book.audit is not None:
        cost = book.audit.cost
        lines.append(
            f"Audit: {cost.n_audited} of the trials to be pruned ran to the end; {cost.n_winners} "
            f"of them beat all that pruning let run (at 95 % a share of up to "
            f"{cost.winner_interval.high:.0%}). Expected loss by pruning {cost.n_pruned} trials: "
            f"{cost.expected_regret:.2g} {metric}."
        )
        epochs = [
            f"epoch {i} {a.kendall:.2f}"
            for i, a in enumerate(book.audit.agreement, start=1)
            if not math.isnan(a.kendall)
        ]
        if epochs:
            lines.append(
                f"Kendall's tau of an epoch's ranking with the end's: {', '.join(epochs)}."
            )
    return lines


def _by_outcome(study: StudyRecord, trials: list[TrialRecord]) -> pd.DataFrame:
    total = sum(t.seconds for t in trials) or 1.0
    groups = {str(o): [t for t in trials if t.outcome is o] for o in Outcome}
    groups["total"] = trials
    rows = [
        {
            "outcome": name,
            "trials": len(members),
            "epochs": sum(t.epochs for t in members),
            "seconds": sum(t.seconds for t in members),
            "cpu_seconds": sum(t.cpu_seconds for t in members),
            "gpu_seconds": sum(t.seconds * _gpus(study, t) for t in members),
            "share": sum(t.seconds for t in members) / total,
        }
        for name, members in groups.items()
        if members or name == "total"
    ]
    return pd.DataFrame(rows)


def _gpus(study: StudyRecord, trial: TrialRecord) -> float:
    """How much of a GPU the trial's worker held: workers may share one."""
    environment = study.facts.get("environments", {}).get(trial.environment.get("id"), {})
    if not environment.get("device", {}).get("gpus"):
        return 0.0
    executor = study.config.get("sweep", {}).get("executor", {})
    return 1.0 / max(1, int(executor.get("workers_per_gpu") or 1))


def _gain_per_hour(study: StudyRecord, trials: list[TrialRecord]) -> float | None:
    baseline, hours = study.baseline, sum(t.seconds for t in trials) / 3600.0
    if baseline is None or baseline.value is None or len(study.objectives) > 1 or not hours:
        return None
    sign = study.objective.sign
    best = max(sign * t.value for t in study.complete if t.value is not None)
    return (best - sign * baseline.value) / hours


def _prospect(study: StudyRecord, trials: list[TrialRecord]) -> Prospect | None:
    if len(study.objectives) > 1 or not study.complete:
        return None
    ended = [t for t in trials if t.outcome is not Outcome.RUNNING]
    best = max(study.complete, key=lambda t: study.objective.sign * (t.value or 0.0))
    noise = math.nan
    if best.n_validation and "accuracy" in study.objective.metric and best.value is not None:
        noise = proportion_standard_error(best.value, best.n_validation)
    return expected_gain([t.value for t in ended], N_MORE, study.objective.direction, noise=noise)


def _audit(study: StudyRecord) -> Audit | None:
    complete = [t for t in study.complete if t.value is not None]
    audited = [t for t in complete if t.audited_at is not None]
    let_run = [t for t in complete if t.audited_at is None]
    if not audited or not let_run or len(study.objectives) > 1:
        return None
    objective = study.objective
    best = max(let_run, key=lambda t: objective.sign * (t.value or 0.0))
    n_pruned = sum(t.outcome is Outcome.PRUNED for t in study.trials)
    share = float(study.config.get("sweep", {}).get("audit") or 1.0)
    assert best.value is not None
    curves = [t.history[objective.metric] for t in complete]
    return Audit(
        pruning_cost([t.value or 0.0 for t in audited], best.value, n_pruned, objective.direction),
        agreement_by_epoch(
            curves,
            [t.value or 0.0 for t in complete],
            weights=[1.0 if t.audited_at is None else 1.0 / share for t in complete],
        ),
    )
