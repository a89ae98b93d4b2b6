"""Keeps what stands under ``results/<name>/`` up to date, all of it made from the study alone."""

from __future__ import annotations

import logging
from pathlib import Path

from besom.report.claimed import claim_among
from besom.report.export import write_best
from besom.report.leaderboard import write_leaderboard
from besom.report.tables import write_costs
from besom.statistics import Claim
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord

log = logging.getLogger("besom")


def write_tables(study: StudyRecord, paths: StudyPaths, claimed: Claim) -> None:
    """Write the leaderboard, what each trial cost, and the best config: a few milliseconds."""
    write_leaderboard(study, paths, claimed)
    write_costs(study, paths)
    write_best(study, paths)


def write_outputs(
    study: StudyRecord, paths: StudyPaths, claimed: Claim | None = None, plots: bool = True
) -> list[Path]:
    """Write leaderboard, ledger, best config and plots.

    Args:
        study: the study.
        paths: where they land.
        claimed: what may be claimed of it, where that has been computed already.
        plots: whether there are to be plots.

    Returns:
        The plots; what cannot be drawn is logged.
    """
    write_tables(study, paths, claimed or claim_among(study, paths.root.parent))
    if not plots:
        return []
    from besom.plots import not_drawn, write_plots  # matplotlib: not for who only wants a table

    problems: dict[str, str] = {}
    written = write_plots(study, paths.plots, problems)
    for line in not_drawn(problems):
        log.warning(line)
    return written
