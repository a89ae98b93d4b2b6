"""What a study has cost, what it was spent on, and what more trials may bring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from rich.console import Console

from besom.report import leaderboard
from besom.report.tables import (
    COSTS,
    costs,
    csv,
    frame_table,
    markdown,
    outcome_counts,
    over_baseline,
    shown_params,
)
from besom.statistics import (
    N_MORE,
    Claim,
    Prospect,
    PruningCost,
    RankAgreement,
    agreement_by_epoch,
    claim,
    fewest_trials,
    prospect_of,
    pruning_cost,
)
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.text.console import say
from besom.text.counting import counted
from besom.text.numbers import duration
from besom.text.printable import markdown_cell, markdown_line

#: The terminal names this many of the trials that took longest.
N_EXPENSIVE = 5
#: ... if they took this many times as long as the average trial.
EXPENSIVE = 1.5
#: The row of the trials that ran again once the search was over, each seed counted.
AGAIN = "again on fresh seeds"


@dataclass(frozen=True)
class Audit:
    """What the audited trials (to be pruned, but run to the end) show of pruning.

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
        by_outcome: one row per outcome: outcome, trials, epochs, seconds, cpu_seconds, gpu_seconds
            (see ``besom.report.tables``), share (of the seconds); then ``AGAIN`` where the study
            has replicates; the last row is the total.
        prospect: the expected gain from the next ``N_MORE`` trials; None with several
            objectives or without a complete trial.
        audit: None where no trial was audited.
    """

    by_outcome: pd.DataFrame
    prospect: Prospect | None
    audit: Audit | None


def ledger(study: StudyRecord) -> Ledger:
    """Add up what a study has cost. Knowledge taken from other studies cost nothing here."""
    trials = [t for t in study.trials if t.outcome is not Outcome.WARM_START]
    return Ledger(
        _by_outcome(study),
        _prospect(study, trials),
        _audit(study),
    )


def print_ledger(study: StudyRecord, console: Console) -> None:
    """Print a study's costs, its most expensive trials, and what more trials may bring."""
    book = ledger(study)
    console.print(frame_table(_shown(book.by_outcome), f"Cost of {study.name}"))
    first = most_expensive(study)
    if len(first):
        console.print(frame_table(_shown(first), f"{len(first)} most expensive trials"))
    for line in conclusions(study, book):
        say(console, line, wrap=True)


def most_expensive(study: StudyRecord) -> pd.DataFrame:
    """The trials that took longest, longest first, with their share of the seconds.

    Empty where they took hardly more than others.
    """
    frame = costs(study)
    frame["share"] = frame["seconds"] / (frame["seconds"].sum() or 1.0)
    first = frame.sort_values("seconds", ascending=False, kind="stable").head(N_EXPENSIVE)
    n_trained = int((frame["seconds"] > 0.0).sum())
    if n_trained < 2 * N_EXPENSIVE or first["share"].sum() < EXPENSIVE * N_EXPENSIVE / n_trained:
        return first.head(0)
    params = {trial.number: shown_params(trial.params) for trial in study.trials}
    return first.assign(hyperparameters=[params[number] for number in first["trial"]])


def to_csv(study: StudyRecord) -> str:
    """One row per trial, as in ``ledger.csv``; see ``besom.report.tables``."""
    return csv(costs(study))


def to_json(study: StudyRecord) -> str:
    """The same as a JSON list of rows; what is not known is null."""
    return leaderboard.to_json(costs(study))


def to_markdown(study: StudyRecord) -> str:
    """The totals, what they show, and one row per trial."""
    book = ledger(study)
    lines = [f"# Cost of {markdown_cell(study.name)}", "", markdown(_shown(book.by_outcome)), ""]
    lines += [f"- {markdown_line(line)}" for line in conclusions(study, book)]
    lines += ["", "## Trials", "", markdown(_shown(costs(study))), ""]
    return "\n".join(lines)


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    """Seconds and shares for people; no column for GPUs that were not used."""
    shown = frame.astype(object)
    for column in COSTS:
        shown[column] = ["?" if math.isnan(v) else f"{v:,.1f}" for v in frame[column]]
    if "share" in shown:
        shown["share"] = [f"{v:.0%}" for v in frame["share"]]
    return shown if frame["gpu_seconds"].any() else shown.drop(columns="gpu_seconds")


def conclusions(study: StudyRecord, book: Ledger, claimed: Claim | None = None) -> list[str]:
    """What the ledger shows, one line per finding.

    Args:
        study: the study.
        book: its costs.
        claimed: what may be claimed of it, where that has been found already.
    """
    metric, lines = study.objective.metric, []
    if study.is_imported:
        lines.append("CPU seconds are not known: the study was imported.")
    elif n_silent := int(costs(study)["cpu_seconds"].isna().sum()):
        lines.append(f"Trials that were killed, whose CPU seconds are not in the sums: {n_silent}.")
    if (gain := _gain(study)) is not None:
        spent = duration(float(book.by_outcome["seconds"].iloc[-1]))
        found = (claimed or claim(study)).baseline
        raw = " (raw)" if found is None else ""
        gain = gain if found is None else found.gain
        lines.append(
            f"Best {metric}{raw}: {over_baseline(study.objective, gain)} for {spent} of worker "
            "time."
        )
    if book.prospect is not None:
        expected = _expected(study.objective, book.prospect)
        lines.append(f"Expected gain in {metric} from {N_MORE} more trials: {expected}.")
    return lines if book.audit is None else [*lines, *_audit_lines(metric, book.audit)]


def _expected(aim: Objective, prospect: Prospect) -> str:
    if math.isnan(prospect.expected_gain):
        return f"not known before {fewest_trials(N_MORE)} trials have a score"
    gain, noise = (
        f"{100 * x:.2f} points" if aim.is_share else f"{x:.2g}"
        for x in (prospect.expected_gain, prospect.noise)
    )
    if prospect.above_noise is None:
        return f"{gain}; the noise is not known"
    than = "more" if prospect.above_noise else "less"
    return f"{gain}, {than} than the noise ({noise})"


def _audit_lines(metric: str, audit: Audit) -> list[str]:
    cost = audit.cost
    lines = [
        f"Audit: of {cost.n_audited} audited trials, {cost.n_winners} beat all that were not to be "
        f"pruned (at most {cost.winner_interval.high:.0%} with 95 % confidence). Expected loss by "
        f"pruning {counted(cost.n_pruned, 'trial')}: {cost.expected_regret:.2g} {metric}."
    ]
    epochs = [
        f"epoch {i} {a.kendall:.2f}"
        for i, a in enumerate(audit.agreement, start=1)
        if not math.isnan(a.kendall)
    ]
    if epochs:
        lines.append(f"Kendall's tau of the ranking with the final one: {', '.join(epochs)}.")
    return lines


def _by_outcome(study: StudyRecord) -> pd.DataFrame:
    """The costs of the trials that ended in one way, one row each, of replicates, and of all."""
    frame = costs(study).assign(trials=1)
    order = [
        outcome for outcome in outcome_counts(study.trials) if outcome in set(frame["outcome"])
    ]
    sums = frame.groupby("outcome")[["trials", "epochs", *COSTS]].sum().reindex(order)
    if study.replicates:
        again = costs(study, study.replicates).assign(trials=1)
        sums.loc[AGAIN] = again[sums.columns].sum()
    sums.loc["total"] = sums.sum()
    if study.is_imported:
        sums["cpu_seconds"] = math.nan
    sums = sums.astype({"trials": int, "epochs": int})
    sums["share"] = sums["seconds"] / (float(sums["seconds"].iloc[-1]) or 1.0)
    return sums.reset_index(names="outcome")


def _gain(study: StudyRecord) -> float | None:
    """The best trial's gain over the baseline; None without one, or with several objectives."""
    baseline = study.baseline
    if baseline is None or baseline.value is None or len(study.objectives) > 1:
        return None
    best = _best(study.complete, study.objective)
    assert best.value is not None
    return study.objective.sign * (best.value - baseline.value)


def _best(trials: Sequence[TrialRecord], objective: Objective) -> TrialRecord:
    return max(trials, key=lambda t: objective.sign * (t.value or 0.0))


def _prospect(study: StudyRecord, trials: list[TrialRecord]) -> Prospect | None:
    return prospect_of(trials, study.objective) if len(study.objectives) == 1 else None


def _audit(study: StudyRecord) -> Audit | None:
    complete = [t for t in study.complete if t.value is not None]
    audited = [t for t in complete if t.audited_at is not None]
    let_run = [t for t in complete if t.audited_at is None]
    if not audited or not let_run or len(study.objectives) > 1:
        return None
    objective = study.objective
    best = _best(let_run, objective)
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
