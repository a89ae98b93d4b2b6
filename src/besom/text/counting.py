"""Counts and lists as words: the one place where a plural is made and a long list is cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: The verbs that go with a number.
IS, WAS, HAS = ("is", "are"), ("was", "were"), ("has", "have")
LEADS = ("leads", "lead together")

#: More than these are counted, or cut off, rather than listed.
MOST_LISTED = 6


def counted(n: int, of: str, verb: tuple[str, str] | None = None) -> str:
    """``1 trial``, ``2 trials``; with the verb ``("is", "are")``, ``1 trial is``."""
    what = f"1 {of}" if n == 1 else f"{n} {of}s"
    return what if verb is None else f"{what} {verb[n != 1]}"


def listed(items: Sequence[object]) -> str:
    """``1``, ``1 and 2``, ``1, 2 and 3``; the first ``MOST_LISTED`` of more: ``1, 2, ...``."""
    words = [str(item) for item in items[:MOST_LISTED]]
    if len(items) > MOST_LISTED:
        return ", ".join([*words, "..."])
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def named(what: str, items: Sequence[object], verb: tuple[str, str] | None = None) -> str:
    """``trial 3``, ``trials 3 and 5``; many are counted: ``9 trials (3, 5, 6, ...)``.

    With the verb ``("is", "are")``: ``trial 3 is``.
    """
    if len(items) > MOST_LISTED:
        first = ", ".join(map(str, items[:3]))
        text = f"{len(items)} {what}s ({first}, ...)"
    else:
        text = f"{what}{'s' * (len(items) != 1)} {listed(items)}"
    return text if verb is None else f"{text} {verb[len(items) != 1]}"


def tally(counts: Mapping[str, int]) -> str:
    """``8 complete, 2 failed``."""
    return ", ".join(f"{n:,} {what}" for what, n in counts.items() if n)
