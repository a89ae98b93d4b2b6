"""A confirmation as data frames: as it is, for files, and as people read it."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from besom.report.tables import param_cell
from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.rerun.confirm.result import Confirmation, ConfirmRow, Status
from besom.rerun.confirm.sentences import amount, bounded, gain_span, gained, span
from besom.statistics import Gain
from besom.store.records import Objective

#: The columns of a gain's intervals.
GAIN, NEW_GAIN = "its 95 % interval", "on new images"


def frame(confirmation: Confirmation) -> pd.DataFrame:
    """One row a config, the first one first, then a column ``seed_N`` for each seed's score.

    Columns: rank, trial, status, baseline, metric, mean, sd, low, high (these images), new_low,
    new_high (new images), gain, gain_low, gain_high, p_gain (these images), new_gain_low,
    new_gain_high, p_new_gain (new images), behind, p_behind (these images), n_seeds, n_failed.
    Gains and ``behind`` are positive where better, whatever the direction. Empty where it cannot be
    told.
    """
    rows, aim = [], confirmation.plan.objective
    for row in confirmation.rows:
        cells: dict[str, Any] = {
            "rank": row.rank,
            "trial": row.trial,
            "status": str(row.status),
            "baseline": row.baseline,
            "metric": aim.metric,
        }
        if row.estimate is not None:
            low, high = bounded(aim, row.estimate.interval)
            cells |= {"mean": row.estimate.mean, "sd": row.estimate.standard_deviation}
            cells |= {"low": low, "high": high}
        if row.new is not None:
            cells["new_low"], cells["new_high"] = bounded(aim, row.new.interval)
        if row.gain is not None:
            cells["gain"] = row.gain.estimate.mean
            cells["gain_low"], cells["gain_high"] = row.gain.estimate.interval
            cells["p_gain"] = row.p_gain
        if row.new_gain is not None:
            cells["new_gain_low"], cells["new_gain_high"] = row.new_gain.estimate.interval
            cells["p_new_gain"] = row.p_new_gain
        if row.behind is not None:
            cells |= {"behind": row.behind.estimate.mean, "p_behind": row.p_behind}
        cells |= {"n_seeds": len(row.scores), "n_failed": len(row.failures)}
        cells |= {f"seed_{s}": row.scores.get(s) for s in confirmation.plan.seeds}
        rows.append(cells)
    table = pd.DataFrame(rows, columns=_columns(confirmation.plan))
    table["rank"] = table["rank"].astype("Int64")
    return table.replace([math.inf, -math.inf], math.nan)


def _columns(plan: ConfirmPlan) -> list[str]:
    fixed = (
        "rank trial status baseline metric mean sd low high new_low new_high gain gain_low "
        "gain_high p_gain new_gain_low new_gain_high p_new_gain behind p_behind n_seeds n_failed"
    )
    return [*fixed.split(), *(f"seed_{seed}" for seed in plan.seeds)]


def display(confirmation: Confirmation) -> pd.DataFrame:
    """The same for people: rounded, in percent where the metric is a share of images."""
    aim = confirmation.plan.objective
    rows = []
    for row in confirmation.rows:
        cells = {"rank": "" if row.rank is None else str(row.rank), "trial": str(row.trial)}
        known = row.estimate
        cells["mean"] = "" if known is None else amount(aim, known, digits=2)
        cells["95 % interval"] = "" if known is None else span(aim, known.interval, digits=2)
        cells["sd"] = "" if known is None else _width(aim, known.standard_deviation)
        cells["gain"] = "" if row.gain is None else gained(aim, row.gain.estimate)
        cells[GAIN] = _gain_span(aim, row.gain)
        cells[NEW_GAIN] = _gain_span(aim, row.new_gain)
        cells["seeds"] = _seeds(row)
        cells["standing"] = _standing(confirmation, row)
        rows.append(cells)
    shown = pd.DataFrame(rows)
    return shown if has_new_gains(confirmation) else shown.drop(columns=NEW_GAIN, errors="ignore")


def has_new_gains(confirmation: Confirmation) -> bool:
    """Whether any gain is known for new images."""
    return any(row.new_gain is not None for row in confirmation.rows)


def failures(confirmation: Confirmation) -> pd.DataFrame:
    """One row a run that failed: trial, seed, outcome, reason."""
    rows = [
        {"trial": r.trial, "seed": r.seed, "outcome": str(r.outcome), "reason": r.reason}
        for row in confirmation.rows
        for r in row.failures
    ]
    return pd.DataFrame(rows, columns=["trial", "seed", "outcome", "reason"])


def configs(plan: ConfirmPlan) -> pd.DataFrame:
    """One row a config: trial, and its hyperparameters."""
    rows = [
        {"trial": t.number, **{p: param_cell(v) for p, v in t.params.items()}}
        for t in plan.entrants
    ]
    return pd.DataFrame(rows).fillna("")


def _standing(confirmation: Confirmation, row: ConfirmRow) -> str:
    words = str(row.status)
    if row.status is Status.BEATEN:
        words = f"beaten after {confirmation.beaten[row.trial]}"
    if row.failures and row.status is not Status.FAILED:
        words += f", {len(row.failures)} failed"
    return f"baseline, {words}" if row.baseline else words


def _seeds(row: ConfirmRow) -> str:
    return f"{len(row.scores)}" + (f" ({len(row.failures)} failed)" if row.failures else "")


def _gain_span(aim: Objective, gain: Gain | None) -> str:
    return "" if gain is None else gain_span(aim, gain.estimate.interval)


def _width(aim: Objective, value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{100 * value:.2f}" if aim.is_share else f"{value:.2g}"
