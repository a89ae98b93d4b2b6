"""A study under another name, or gone: its folder and its storage go together.

A process that is killed in the middle leaves what the same command finishes. The folder is renamed
before the storage, and deleted after it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import optuna

from besom.errors import BesomError, StudyError
from besom.store import test_set_log
from besom.store.holding import hold_study
from besom.store.journal import rename_in_journal
from besom.store.paths import StudyPaths, study_names
from besom.store.storage import (
    find,
    find_study,
    load_record,
    only_other,
    open_storage,
    rename_in_storage,
    stored_url,
)
from besom.text.counting import counted, listed


def rename_study(results_dir: Path, name: str, new: str, say: Callable[[str], None]) -> None:
    """Give a study another name, in its storage and as its folder.

    A folder that was renamed by hand is finished: its storage still has the old name.

    Args:
        results_dir: the folder of the studies.
        name: its name, in the storage at least.
        new: a name that ``besom.store.paths.checked_name`` accepts.
        say: hears of waiting for a holder that may be dead.

    Raises:
        StudyError: there is no such study, it is in use, or there is one of the new name.
    """
    names, target = study_names(results_dir), StudyPaths.of(results_dir, new)
    moved = new in names and name not in names
    paths = find_study(results_dir, new if moved else name)
    if paths != target and os.path.lexists(target.root):
        raise StudyError(f"{target.root} is already there. Choose another name.")
    url = stored_url(paths)
    with hold_study(paths, url, name, "rename", say):
        storage = open_storage(paths, url, writable=False)
        stored = name if find(storage, name) is not None else only_other(storage, name)
        if stored is None or (moved and stored != name):
            find_study(results_dir, name)  # there is none: says so
            raise StudyError(f"{url or paths.journal} holds no study {name!r}: it never started.")
        if stored == new:
            raise StudyError(f"The study {new!r} has this name already.")
        if find(storage, new) is not None:
            raise StudyError(f"{url} already has a study {new!r}. Choose another name.")
        paths.root.rename(target.root)
        try:
            if url is None:
                rename_in_journal(target.journal, stored, new)
            else:
                rename_in_storage(storage, stored, new)
        except BaseException:
            target.root.rename(paths.root)
            raise


def what_is_lost(paths: StudyPaths, name: str) -> str:
    """What deleting a study would delete, in words."""
    try:
        study = load_record(paths.root.parent, name)
        kept = {"trial": len(study.trials), "kept model": len(list(paths.models.glob("*.keras")))}
        parts = [counted(n, what) for what, n in kept.items() if n]
    except BesomError:
        parts = ["a study that cannot be read"]
    if (paths.root / "confirm").exists():
        parts.append("its confirmations")
    n_bytes = sum(file.lstat().st_size for file in paths.root.rglob("*") if not file.is_dir())
    where = f"{paths.root}/ ({n_bytes / 1e6:.1f} MB)"
    if (url := stored_url(paths)) is not None:
        where += f" and {url}"
    return f"{name}, {listed(parts)}, in {where}"


def delete_study(paths: StudyPaths, name: str, say: Callable[[str], None]) -> None:
    """Delete a study: from its database, where it is in one, and its folder.

    What was logged of its test set goes into the log of what belongs to no study: these examples
    have been seen, whatever becomes of the study.

    Raises:
        StudyError: it is in use, or its database or the log cannot be written.
        OSError: a file cannot be deleted.
    """
    url = stored_url(paths)
    with hold_study(paths, url, name, "delete", say) as hold:
        if url is not None:
            storage = open_storage(paths, url, writable=True)
            if find(storage, name) is not None:
                hold.stand_still()
                optuna.delete_study(study_name=name, storage=storage)
        test_set_log.keep_outside(paths.root)
        # These last: until then it is a study, which can be deleted again.
        last = (paths.journal, paths.storage_url, paths.lock)
        for path in [p for p in paths.root.iterdir() if p not in last]:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for path in last:
            path.unlink(missing_ok=True)
        paths.root.unlink() if paths.root.is_symlink() else paths.root.rmdir()
