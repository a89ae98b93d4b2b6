"""A confirmation as it is told: on the terminal, as CSV and as Markdown."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from besom.errors import StudyError
from besom.report.tables import csv, markdown, rich_table
from besom.rerun.confirm.confirm_plan import ConfirmPlan
from besom.rerun.confirm.confirm_tables import (
    GAIN,
    NEW_GAIN,
    configs,
    display,
    failures,
    frame,
    has_new_gains,
)
from besom.rerun.confirm.new_examples import is_share
from besom.rerun.confirm.result import Confirmation
from besom.rerun.confirm.sentences import caveats, conclusion
from besom.store.environment import environment_then
from besom.store.paths import write_atomically
from besom.store.test_set_log import Opening, how_often, how_often_outside, n_configs
from besom.text.console import say
from besom.text.printable import markdown_cell, markdown_line

#: How the columns of a gain's intervals are headed on a terminal.
_ON_TERMINALS = {GAIN: "gain, 95 %", NEW_GAIN: "on new images"}


def files(plan: ConfirmPlan) -> tuple[Path, Path, Path]:
    """The CSV, the Markdown and the picture of a confirmation.

    Each kind has its own, so that one on validation images never replaces that on test images:
    ``confirm.csv`` on test images, ``confirm_validation.csv``, and both with ``_new_split``.
    """
    stem = "confirm"
    if plan.on == "validation":
        stem += "_validation"
    if plan.new_split:
        stem += "_new_split"
    root = plan.paths.root
    return root / f"{stem}.csv", root / f"{stem}.md", root / f"{stem}.png"


def to_markdown(confirmation: Confirmation, openings: Sequence[Opening]) -> str:
    """Everything there is to say, as Markdown."""
    plan = confirmation.plan
    out = io.StringIO()
    out.write(f"# {markdown_cell(plan.study.name)}: confirmed on the {plan.on} images\n\n")
    out.write(f"{markdown_line(conclusion(confirmation))}\n\n{markdown_line(_how(plan))}\n\n")
    out.write(markdown(display(confirmation)) + "\n")
    for sentence in [*caveats(confirmation), opened(plan, openings)]:
        out.write(f"\n- {markdown_line(sentence)}" if sentence else "")
    if new := _new_images(confirmation):
        out.write(f"\n- {markdown_line(new)}")
    out.write("\n\n## The configs\n\n")
    out.write(markdown(configs(plan)) + "\n")
    failed = failures(confirmation)
    if len(failed):
        out.write("\n## Runs that failed\n\n" + markdown(failed) + "\n")
    return out.getvalue()


def print_report(confirmation: Confirmation, openings: Sequence[Opening], console: Console) -> None:
    """The table, the conclusion and its limits, on the terminal."""
    shown = display(confirmation)
    if len(shown):
        # Terminals have 80 columns; who has how many seeds is said where it matters.
        left_out = ["rank", "sd", "seeds"]
        both = has_new_gains(confirmation)
        left_out += ["95 % interval", "gain"] if both else [GAIN]
        shown = shown.drop(columns=left_out).rename(columns=_ON_TERMINALS)
        title = f"{confirmation.plan.objective.metric} of {confirmation.plan.study.name}"
        table = rich_table(shown, title, wordy=("standing",), overflow="ellipsis")
        for interval in (_ON_TERMINALS[GAIN], "95 % interval"):
            unbounded = console.options.update(max_width=1000)
            wide = console.measure(table, options=unbounded).maximum > console.width
            if wide and interval in shown:
                shown = shown.drop(columns=interval)
                table = rich_table(shown, title, wordy=("standing",), overflow="ellipsis")
        console.print(table)
    lines = [conclusion(confirmation), *caveats(confirmation), opened(confirmation.plan, openings)]
    for line in filter(None, lines):
        say(console, line)


def write_report(confirmation: Confirmation, openings: Sequence[Opening]) -> list[Path]:
    """Write the ``files`` of a confirmation, each in one atomic step.

    Raises:
        StudyError: they cannot be written; the runs themselves are safe.
    """
    from besom.rerun.confirm.forest_plot import (  # matplotlib: not for those who only run
        write_confirmation,
    )

    table, text, picture = paths = files(confirmation.plan)
    try:
        write_atomically(table, csv(frame(confirmation)))
        write_atomically(text, to_markdown(confirmation, openings))
        write_confirmation(confirmation, picture)
    except OSError as error:
        raise StudyError(
            f"{table.parent} cannot be written: {error.strerror or error}. No finished run is "
            "lost: the same command writes the report when there is room or permission."
        ) from error
    return list(paths)


def replaced(confirmation: Confirmation) -> str:
    """Which trials the ``files`` no longer speak of once they are written; empty if of all.

    To be asked before. No run is lost: the journal has them all.
    """
    path = files(confirmation.plan)[0]
    try:
        before = [int(trial) for trial in pd.read_csv(path)["trial"]]
    except (OSError, ValueError, KeyError):
        return ""  # there is none, or it is not ours to judge
    gone = [str(t) for t in before if t not in {row.trial for row in confirmation.rows}]
    if not gone:
        return ""
    trials, are = ("trial", "is") if len(gone) == 1 else ("trials", "are")
    return (
        f"{path.name} was of other trials too; {trials} {', '.join(gone)} {are} no longer in it. "
        "No run is lost: the command that wrote it writes it again without training."
    )


def opened(plan: ConfirmPlan, openings: Sequence[Opening]) -> str:
    """How often the study's test images have been opened in all; empty on validation images."""
    if plan.on != "test" or not openings:
        return ""
    n = n_configs(openings)
    data = environment_then(plan.study, plan.entrants[0]).get("data", {}).get("name")
    elsewhere = how_often_outside(plan.paths.root.parent, data)
    return (
        f"The test images of this study have been opened {how_often(openings)}, for {n} "
        f"{'config' if n == 1 else 'configs'}; each time they have a little less to say."
        + (f" {elsewhere}" if elsewhere else "")
    )


def _how(plan: ConfirmPlan) -> str:
    seeds = ", ".join(map(str, plan.seeds))
    split = ", each with its own validation split" if plan.new_split else ""
    race = "the race gives no more seeds to who is beaten" if plan.race else "every config gets all"
    better = "higher" if plan.objective.sign > 0 else "lower"
    unit = "percentage points" if is_share(plan.objective.metric) else "its unit"
    return (
        f"`{plan.objective.metric}`, {better} is better. Seeds {seeds}{split}; {race}. ± is one "
        f"standard error; sd is the standard deviation between seeds; gains are over the baseline "
        f"at the same seeds, in {unit}, positive where better. The first's own interval is wider "
        "than a single mean's: it allows for its having been picked by its mean. A gain's interval "
        "is for that row alone; the conclusion and `p_gain` allow for the number of rows."
    )


def _new_images(confirmation: Confirmation) -> str:
    """What the intervals cover; empty where it is not about images, or each seed had its own."""
    first, plan = confirmation.first, confirmation.plan
    if first is None or first.new is None:
        return ""
    told = (
        f"Intervals allow for other seeds on these {plan.on} images. Those for new images allow "
        "for other images from the same source too"
    )
    if has_new_gains(confirmation):
        return f"{told}, by which image each seed got right."
    return (
        f"{told}; there is none for gains, since these runs did not store which image they got "
        "right."
    )
