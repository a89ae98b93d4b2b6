"""Where besom's own configs lie: inside the wheel, or at the top of a checkout."""

from __future__ import annotations

from pathlib import Path


def packaged_config_dirs() -> tuple[Path, Path]:
    """Besom's own ``conf`` and ``sweeps``."""
    package = Path(__file__).resolve().parent
    home = package if (package / "conf").is_dir() else package.parents[1]
    return home / "conf", home / "sweeps"
