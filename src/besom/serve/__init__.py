"""The report of a study while its sweep runs: a process of its own, for browsers.

It reads studies on as they are written, and writes nothing. What it takes is bounded: pages are
made again only so often that they cost a small share of one core, and only while somebody looks.
"""

from __future__ import annotations

from besom.serve.page_server import PageServer

__all__ = ["PageServer"]
