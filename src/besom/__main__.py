"""``python -m besom``: the command ``besom``, where it is not on the PATH."""

from __future__ import annotations

from besom.cli import main

if __name__ == "__main__":
    main()
