"""A trial function whose every word is hostile: to a terminal, a table, a spreadsheet."""

from __future__ import annotations

from typing import Any

from besom.seam import Report, TrialConfig, TrialResult

ESCAPES = "\x1b]0;title\x07\x1b[2J\x9b31m \u202e [bold]x[/bold] [/no] |a| `b` <b> $x$"
METRIC = "=val_accuracy \x1b[31m"


def prepare(config: TrialConfig) -> dict[str, Any]:
    """Facts on data that nobody has."""
    return {"metrics": [METRIC], "data": {"name": ESCAPES, "fingerprint": "=1+2"}}


def run_trial(config: TrialConfig, report: Report) -> TrialResult:
    """Fails in every other trial."""
    dropout = config["model"]["dropout"]
    if dropout > 0.25:
        raise RuntimeError(f"{ESCAPES}\nsecond line")
    report(1, {METRIC: dropout})
    return TrialResult(history={METRIC: [dropout]}, best_epoch=1, n_validation=10)
