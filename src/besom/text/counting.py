"""A number with what it counts: the one place where a plural is made."""

from __future__ import annotations


def counted(n: int, of: str, verb: tuple[str, str] | None = None) -> str:
    """``1 trial``, ``2 trials``; with the verb ``("is", "are")``, ``1 trial is``."""
    what = f"1 {of}" if n == 1 else f"{n} {of}s"
    return what if verb is None else f"{what} {verb[n != 1]}"


#: The verbs that go with a number.
IS, WAS = ("is", "are"), ("was", "were")
