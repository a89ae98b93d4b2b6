"""On another machine: what was sent along becomes a ``Setup`` that holds there.

Runs in an actor, before the trial function is imported.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from besom.errors import BesomError, ConfigError
from besom.executors.channel import Setup
from besom.executors.ray.staging import STAGED, Staged, exists, versions


def arrive(staged: Staged, where: str, artifacts: Path, given: Path | None = None) -> Setup:
    """The coordinator's ``Setup`` as it holds on this machine.

    Args:
        staged: what came from the coordinator.
        where: what to call this machine.
        artifacts: the folder for models and checkpoints.
        given: the folder with the functions and arrays given from Python, if there are any.

    Raises:
        ConfigError: versions differ, or a path of the config is not there.
        BesomError: the project's modules are not there.
    """
    _check_versions(staged, where)
    _check_paths(staged, where)
    root = staged_root()
    moved = {folder: str(root / str(number)) for number, folder in enumerate(staged.folders)}
    setup = staged.setup
    sent = [moved[place] for entry in setup.sys_path if (place := os.path.realpath(entry)) in moved]
    trust = replace(
        setup.trust,
        folder=_at(setup.trust.folder, moved),
        projects=tuple(_at(folder, moved) for folder in setup.trust.projects),
        functions=None if given is None else str(given),
    )
    sys_path = tuple(dict.fromkeys([*trust.projects, *sent, *filter(_is_no_part_of_ray, sys.path)]))
    # What a trial reads by a relative path is there where the nodes share the project's folder.
    here = staged.folder if Path(staged.folder).is_dir() else trust.folder
    return replace(setup, sys_path=sys_path, trust=trust, artifacts=str(artifacts), folder=here)


def staged_root() -> Path:
    """Where Ray has unpacked the project's modules.

    Raises:
        BesomError: nowhere.
    """
    for entry in sys.path:
        if entry and (Path(entry) / STAGED).is_dir():
            return (Path(entry) / STAGED).resolve()
    raise BesomError(
        "Ray has not brought the project's modules to this node (py_modules of its runtime_env). "
        "Leave PYTHONPATH out of sweep.executor.runtime_env."
    )


def _is_no_part_of_ray(entry: str) -> bool:
    """Whether it is not a folder that Ray has put there for itself."""
    return Path(entry).parts[-2:] not in (("ray", "thirdparty_files"), ("_private", "workers"))


def _at(folder: str, moved: dict[str, str]) -> str:
    return moved.get(os.path.realpath(folder), folder)


def _check_versions(staged: Staged, where: str) -> None:
    here = versions()
    if differing := {name: v for name, v in staged.versions.items() if here.get(name) != v}:
        theirs = " and ".join(f"{name} {here.get(name)}" for name in differing)
        ours = " and ".join(f"{name} {wanted}" for name, wanted in differing.items())
        raise ConfigError(
            f"{where} has {theirs}, and this machine has {ours}. Use the same environment on all "
            "nodes of the Ray cluster, and on the machine that runs besom."
        )


def _check_paths(staged: Staged, where: str) -> None:
    gone = [f"{key}={path}" for key, path in staged.paths if not exists(Path(path))]
    if gone:
        raise ConfigError(
            f"{where} does not have what the config names: {', '.join(gone)}. Put it in a folder "
            "that all nodes share, or copy it to the same path on each of them."
        )
