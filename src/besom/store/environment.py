"""What a trial's values depend on besides its config: then, now, and what has changed since.

The code is known by the git revision around a folder, and by what was changed since that revision:
two trees with different uncommitted changes read differently, so nobody takes one for the other.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from besom.store import study_identity
from besom.store.paths import default_results_dir
from besom.store.records import StudyRecord, TrialRecord
from besom.trust import current

#: The packages whose versions are recorded.
_PACKAGES = ("besom", "tensorflow", "keras", "optuna", "hydra-core", "omegaconf", "numpy", "pandas")

#: What may change a value. What else a worker says of itself (its process, its paths) may not.
_KEYS = ("versions", "git", "data", "device", "engine", "engine_reason", "kernel", "precision")

#: How a revision ends where there are uncommitted changes of which no more is recorded.
_UNRECORDED = "+dirty"


def environment_then(study: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    """What the study and the trial's own worker recorded when it ran."""
    known = study.facts.get("environments", {})
    return merge(known.get(trial.environment.get("id"), {}), trial.environment)


def environment_now(*facts: Mapping[str, Any]) -> dict[str, Any]:
    """What holds in this process and, by what they said of themselves, in the workers."""
    return merge(software(), *facts)


def what_changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One line per difference, ``versions.keras: "3.12.0" -> "3.13.0"``, of what both record."""
    both = [key for key in _KEYS if key in then and key in now]
    old, new = {k: then[k] for k in both}, {k: now[k] for k in both}
    if isinstance(old.get("data"), Mapping) and isinstance(new.get("data"), Mapping):
        # A newer besom records more of the data, which is no change of it.
        recorded = [k for k in old["data"] if k in new["data"]]
        old["data"], new["data"] = ({k: part["data"][k] for k in recorded} for part in (old, new))
    return study_identity.differences(old, new)


def data_in_words(environment: Mapping[str, Any]) -> str:
    """A line on the data: its task, which split was used, and what was scaled.

    Empty where that is not recorded.

    >>> facts = {"n_train": 1150, "n_validation": 287, "split": "random", "task": "regression"}
    >>> data_in_words({"data": {"name": "cars", "scaled": "photo × 1/255", **facts}})
    'cars: regression; 1,150 training and 287 validation examples (random); scaled: photo × 1/255'
    >>> data_in_words({"data": {"name": "cars", **facts, "folds": 5, "split": "5 random folds"}})
    'cars: regression; 1,150 training examples in 5 random folds'
    """
    data = environment.get("data")
    if not isinstance(data, Mapping) or not {"task", "split"} <= data.keys():
        return ""
    n, n_held = data.get("n_train"), data.get("n_validation") or 0
    train = "a stream of training" if n is None else f"{n:,} training"
    scaled = f"; scaled: {data['scaled']}" if data.get("scaled") else ""
    if data.get("folds"):
        examples = f"{train} examples in {data['split']}"
    else:
        examples = f"{train} and {n_held:,} validation examples ({data['split']})"
    return f"{data.get('name')}: {data['task']}; {examples}{scaled}"


def not_recorded(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What may have changed without a trace; empty if nothing known may have.

    Two revisions that read alike are different code where there were uncommitted changes and git
    took too long to list them: the revision then ends with ``+dirty`` alone.
    """
    revision = str(then.get("git"))
    if now.get("git") != revision or not revision.endswith(_UNRECORDED):
        return ""
    return (
        f"The code may have changed: both runs were at {revision}, with uncommitted changes, and "
        "which changes is not recorded."
    )


def merge(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Environments as one; where two say different things, the later one counts."""
    merged: dict[str, Any] = {}
    for part in parts:
        for key in _KEYS:
            if isinstance(part.get(key), Mapping):
                merged[key] = {**merged.get(key, {}), **part[key]}
            elif key in part:
                merged[key] = part[key]
    return merged


def software() -> dict[str, Any]:
    """Versions of what the values may depend on, and the user's git revision where there is one."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"versions": versions, "git": git_revision()}


#: Of untracked modules, this many bytes are read; of what comes after, only names and sizes count.
_MOST_BYTES = 16 * 2**20
_TIMEOUT_S = 5.0


def git_revision(folder: Path | None = None) -> str | None:
    """The revision of the repository around ``folder``, ``+dirty.HASH`` after it if it has changes.

    Changes are those to any tracked file, and untracked Python modules in ``folder`` or below (a
    user's own model may be one); what is under the results folder is not. ``+dirty`` alone: git
    took too long to list the changes.

    Args:
        folder: None for the project's, where a user's modules are found.

    Returns:
        40 hex digits, and the hash if there are changes; None outside a repository.
    """
    folder = folder or Path(current().folders[0])
    revision = _git(folder, "rev-parse", "--verify", "HEAD")
    if revision is None:
        return None
    revision = revision.strip()
    excluded = _exclude_results(folder)
    tracked = _git(folder, "diff", "HEAD", "--full-index", "--no-ext-diff", "--", ":/", *excluded)
    others = ("ls-files", "--others", "--exclude-standard", "-z", "--", "*.py")
    untracked = _git(folder, *others, *excluded)
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


def _exclude_results(folder: Path) -> list[str]:
    """The arguments that exclude the results folder: besom itself writes there."""
    try:
        inside = default_results_dir().resolve().relative_to(folder.resolve())
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
