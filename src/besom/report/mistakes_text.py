"""What a trial gets wrong, in words and tables: ``besom show NAME`` and the report say the same."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import pandas as pd
from rich.cells import cell_len
from rich.table import Table

from besom.errors import StudyError
from besom.report.export import own_function
from besom.report.tables import frame_table
from besom.store.mistakes import (
    ClassMistakes,
    Mistakes,
    NumberMistakes,
    OutputMistakes,
    TagMistakes,
    WrongExample,
    read_mistakes,
)
from besom.store.paths import StudyPaths
from besom.store.records import StudyRecord, TrialRecord
from besom.store.stored_records import check_not_imported
from besom.text.console import TerminalConsole, rich_table, say
from besom.text.counting import named
from besom.text.numbers import number
from besom.text.printable import command

#: Rows of the tables on a terminal, and characters of what an example holds.
_MOST_ROWS = 10
_MOST_CHARS = 120


def kept_mistakes(study: StudyRecord, trial: TrialRecord, paths: StudyPaths) -> Mistakes:
    """What a trial gets wrong, as its worker has written it.

    Raises:
        StudyError: it was not kept, and what to do about that; or the file is damaged.
    """
    source = trial.number if trial.duplicate_of is None else trial.duplicate_of
    found = read_mistakes(paths.mistakes_of(source))
    if found is not None and found.outputs:
        return found
    whose = f"What trial {trial.number} of {study.name!r} gets wrong"
    if found is not None:
        raise StudyError(f"{whose} cannot be shown: {found.why or 'its file is empty'}.")
    check_not_imported(study, "retrained")
    if trial.outcome.failed:
        raise StudyError(
            f"{whose} is not known: the trial ended as {trial.outcome} ({trial.reason})."
        )
    remarks = trial.environment.get("remarks")
    if isinstance(remarks, Mapping) and "mistakes" in remarks:
        raise StudyError(f"{whose} was not kept. {remarks['mistakes']}")
    if own := own_function(study):
        raise StudyError(
            f"{whose} is not known: {own}, the trial function of this study, wrote nothing to "
            "config['orders']['mistakes']['path']."
        )
    kept = sorted(
        int(path.stem.removeprefix("trial-"))
        for path in paths.mistakes.glob("trial-*.json")
        if path.stem.removeprefix("trial-").isdigit()
    )
    which = f", only of {named('trial', kept)}" if kept else ""
    raise StudyError(
        f"{whose} was not kept{which}. "
        f"`{command('show', study.name, options=f'--trial {trial.number} --retrain')}` trains it "
        "again to find out."
    )


def summary(found: OutputMistakes, n: int) -> str:
    """How much is wrong in one output, in a sentence or two."""
    of = f"Output {found.name}: " if found.name else ""
    if isinstance(found, ClassMistakes):
        share = f" ({100.0 * found.n_wrong / n:.2f} %)" if n else ""
        return f"{of}{found.n_wrong:,} of {_examples(n)} wrong{share}."
    if isinstance(found, TagMistakes):
        share = f" ({100.0 * found.n_wrong / n:.2f} %)" if n else ""
        return f"{of}{found.n_wrong:,} of {_examples(n)} with a wrong tag{share}."
    assert isinstance(found, NumberMistakes)
    parts = [
        ("mean error", found.mean_error),
        ("median", found.median_error),
        ("nine of ten below", found.error_90),
    ]
    sizes = ", ".join(f"{what} {_size(value)}" for what, value in parts if value is not None)
    bias = ""
    if found.bias is not None:
        way = "high" if found.bias > 0 else "low"
        bias = f" On average predictions are {_size(abs(found.bias))} too {way}."
    r2 = "" if found.r2 is None else f" R²\N{NO-BREAK SPACE}{found.r2:.3f}."
    return f"{of}{_examples(n)}: {sizes}.{bias}{r2}"


def _examples(n: int) -> str:
    return f"{n:,} validation example{'' if n == 1 else 's'}"


def _size(value: float) -> str:
    return number(float(f"{value:.3g}"))


def share(p: float) -> str:
    """A probability: one that is almost 1 is never shown as 1."""
    return "> 99.9 %" if 0.9995 <= p < 1.0 else f"{100.0 * p:.1f} %"


def verdict_on(wrong: WrongExample) -> tuple[str, str]:
    """What was taken for what, and how surely."""
    if wrong.tag:
        said = "" if wrong.probability is None else f" {share(wrong.probability)}"
        return f"{wrong.tag}{said}", f"true: {wrong.true}"
    taken = f"{wrong.true} → {wrong.predicted}"
    if wrong.error is not None:
        return taken, f"off by {_size(abs(wrong.error))}"
    return taken, "" if wrong.probability is None else share(wrong.probability)


def reading(found: OutputMistakes) -> str:
    """How ``verdict_on`` is read."""
    place = "and the example's place in the training part of the data."
    if isinstance(found, TagMistakes):
        return (
            f"The tag that is furthest off, how probable the model found it, the true tags, {place}"
        )
    if isinstance(found, NumberMistakes):
        return f"What is true → what was predicted, how far off that is, {place}"
    return f"The true class → what was predicted, how probable the model found that, {place}"


def count_table(found: OutputMistakes) -> pd.DataFrame:
    """Of classes, what is taken for what most often; of tags, how each fares; else empty."""
    if isinstance(found, ClassMistakes):
        return pd.DataFrame(found.confusions, columns=["true", "predicted", "examples"])
    if isinstance(found, TagMistakes):
        return pd.DataFrame(found.tags, columns=["tag", "found", "missed", "wrongly given"])
    return pd.DataFrame()


def worst_table(found: OutputMistakes) -> pd.DataFrame:
    """The worst examples, as far as texts can show them."""
    rows: dict[str, list[str]] = {
        "example": [f"{wrong.example:,}" for wrong in found.worst],
        "true": [wrong.true for wrong in found.worst],
        "predicted": [wrong.predicted for wrong in found.worst],
    }
    if any(wrong.tag for wrong in found.worst):
        rows["worst tag"] = [wrong.tag for wrong in found.worst]
    if any(wrong.probability is not None for wrong in found.worst):
        known = [wrong.probability for wrong in found.worst]
        rows["probability"] = ["" if p is None else share(p) for p in known]
    if any(wrong.error is not None for wrong in found.worst):
        errors = [wrong.error for wrong in found.worst]
        rows["error"] = ["" if error is None else f"{error:+.4g}" for error in errors]
    if any(wrong.text for wrong in found.worst):
        rows["holds"] = [wrong.text for wrong in found.worst]
    return pd.DataFrame(rows)


def print_mistakes(mistakes: Mistakes, whose: str, console: TerminalConsole) -> None:
    """Print what a trial gets wrong.

    Args:
        mistakes: with at least one output.
        whose: the trial, such as ``Trial 3 of mnist``.
        console: where to.
    """
    if mistakes.note:
        say(console, f"{mistakes.note}.", wrap=True)
    for found in mistakes.outputs:
        say(console, f"{whose}: {summary(found, mistakes.n)}", wrap=True)
        matrix = _matrix(found, console)
        if matrix is not None:
            console.print(matrix)
        elif len(counts := count_table(found)):
            title = "Taken for each other" if isinstance(found, ClassMistakes) else "Tags"
            texts = ["true", "predicted", "tag"]
            console.print(frame_table(counts.head(_MOST_ROWS), title, wrapped=texts))
        if found.worst:
            sure = isinstance(found, ClassMistakes | TagMistakes)
            title = "Most confidently wrong" if sure else "Furthest off"
            worst = worst_table(found).head(_MOST_ROWS)
            if "holds" in worst:
                worst["holds"] = worst["holds"].map(_shortened)
            texts = ["true", "predicted", "worst tag", "holds"]
            console.print(frame_table(worst, title, wrapped=texts))


def _matrix(found: OutputMistakes, console: TerminalConsole) -> Table | None:
    """The confusion matrix as a table; None where there is none, or no room for it."""
    if not isinstance(found, ClassMistakes) or not found.matrix:
        return None
    corner = "true \\ predicted"
    headings = [corner, *found.classes]
    rows = [
        [name, *("·" if n == 0 else f"{n:,}" for n in row)]
        for name, row in zip(found.classes, found.matrix, strict=True)
    ]
    columns = zip(headings, *rows, strict=True)
    if 1 + sum(3 + max(map(cell_len, column)) for column in columns) > console.width:
        return None
    return rich_table(headings, rows, "Confusion matrix", left=[corner])


def _shortened(text: str) -> str:
    return textwrap.shorten(text, _MOST_CHARS, placeholder=" …")
