"""A study as a notebook shows it; nothing that a trial or a name says is taken for HTML."""

from __future__ import annotations

import html

import pandas as pd

from besom.report.leaderboard import display, headline, ranking, unranked
from besom.statistics import Claim
from besom.store.records import StudyRecord
from besom.text.printable import visible

#: Rows of each table; ``Study.leaderboard()`` and ``Study.dataframe()`` have them all.
SHOWN = 20


def study_html(study: StudyRecord, claimed: Claim) -> str:
    """Who leads, what may be claimed, the leaderboard, and the trials that are not in it."""
    frame, rest = ranking(study, claimed), unranked(study)
    parts = [f"<p>{_text(headline(study, frame, claimed))}</p>", f"<p>{_text(claimed.text)}</p>"]
    if claimed.caveats:
        parts.append(f"<ul>{''.join(f'<li>{_text(line)}</li>' for line in claimed.caveats)}</ul>")
    if len(frame):
        parts.append(_table(display(frame.head(SHOWN))) + _more(len(frame), "leaderboard"))
    if len(rest):
        table = _table(rest.head(SHOWN)) + _more(len(rest), "dataframe")
        parts.append(f"<details><summary>Not ranked: {len(rest)}</summary>{table}</details>")
    # The classes keep MathJax from reading a $ as mathematics.
    return f'<div class="besom tex2jax_ignore mathjax_ignore">{"".join(parts)}</div>'


def _text(text: str) -> str:
    return html.escape(visible(text))


def _table(frame: pd.DataFrame) -> str:
    head = "".join(f"<th>{_text(str(column))}</th>" for column in frame.columns)
    rows = (
        "".join(f"<td>{_text(str(cell))}</td>" for cell in row)
        for row in frame.itertuples(index=False, name=None)
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _more(n_rows: int, method: str) -> str:
    return f"<p>{n_rows - SHOWN} more in <code>.{method}()</code></p>" if n_rows > SHOWN else ""
