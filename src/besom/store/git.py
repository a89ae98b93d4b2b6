"""Which code it was: the git revision around a folder, and what was changed beside it.

Two trees with other uncommitted changes read differently, so that nobody takes one for the other.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from besom.store.paths import default_results_dir

#: Of untracked modules, this many bytes are read; of what comes after, only names and sizes count.
_MOST_BYTES = 16 * 2**20
_TIMEOUT_S = 5.0


def git_revision(folder: Path | None = None) -> str | None:
    """The revision of the repository around ``folder``, ``+dirty.HASH`` after it if it has changes.

    Changes are those to any tracked file, and untracked Python modules in ``folder`` or below (a
    user's own model may be one); what is under the results folder is none. ``+dirty`` alone: what
    is changed could not be told in time.

    Args:
        folder: None for the current one, where a user's modules are found.

    Returns:
        40 hex digits, and the hash if there are changes; None outside a repository.
    """
    folder = folder or Path.cwd()
    revision = _git(folder, "rev-parse", "--verify", "HEAD")
    if revision is None:
        return None
    revision = revision.strip()
    apart = _without_results(folder)
    tracked = _git(folder, "diff", "HEAD", "--full-index", "--no-ext-diff", "--", ":/", *apart)
    others = ("ls-files", "--others", "--exclude-standard", "-z", "--", "*.py")
    untracked = _git(folder, *others, *apart)
    head = revision.decode("ascii")
    if tracked is None or untracked is None:
        return f"{head}+dirty"
    if not tracked and not untracked:
        return head
    digest = hashlib.blake2b(tracked, digest_size=4)
    left = _MOST_BYTES
    for name in sorted(filter(None, untracked.split(b"\0"))):
        content = _content(folder / os.fsdecode(name), left)
        left -= len(content)
        digest.update(b"\0%b\0%d\0" % (name, len(content)))
        digest.update(content)
    return f"{head}+dirty.{digest.hexdigest()}"


def _content(path: Path, limit: int) -> bytes:
    """A file; its size in digits where it has more than ``limit`` bytes or cannot be read."""
    try:
        size = path.stat().st_size
        return path.read_bytes() if size <= limit else str(size).encode()
    except OSError:
        return b"?"


def _without_results(folder: Path) -> list[str]:
    """What keeps the results folder out: besom itself writes there."""
    try:
        inside = (folder / default_results_dir()).resolve().relative_to(folder.resolve())
    except ValueError:
        return []
    return [f":(exclude){inside}"] if inside.parts else []


def _git(folder: Path, *words: str) -> bytes | None:
    """What git answers; None if it fails, is not there, or takes too long."""
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=folder,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # reading writes nothing
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
