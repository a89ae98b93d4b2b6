"""Which paths may be opened as files: a named pipe is waited for without end, a device has no end.

Whoever opens a path that a user, or a stranger's archive, may have put there asks here first.
"""

from __future__ import annotations

import stat
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def special_kind(path: Path) -> str:
    """What stands there instead of a regular file, such as ``a named pipe``.

    Returns:
        Empty for a regular file, for a link to one, and where there is nothing.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # a null byte is a ValueError
        return "a link to nothing" if _is_link(path) else ""
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "")


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except OSError:  # a name that is too long
        return False
