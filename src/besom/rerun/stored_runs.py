"""Stored configs and the executor that runs them again: what ``confirm`` and ``replay`` share."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from besom.config import Composer, SearchPath, parse_overrides
from besom.equality import same
from besom.errors import BesomError, ConfigError, did_you_mean
from besom.executors.base import Executor
from besom.executors.session import started
from besom.runs import RunOf, runs_of
from besom.seam import TrialConfig
from besom.store.records import StudyRecord, TrialRecord
from besom.targets import TARGET, instantiate, names_in, resolve
from besom.trust import current, trusting

_P = ParamSpec("_P")
_R = TypeVar("_R")

_EXECUTOR_GROUP = "sweep/executor"
_LOCAL = "besom.executors.local.LocalExecutor"


def with_functions(run: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a function that runs stored configs use what the study was given from Python.

    Its arguments are called ``paths``, or ``plan``, which has them.
    """
    signature = inspect.signature(run)

    @functools.wraps(run)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        given = signature.bind(*args, **kwargs).arguments
        paths = given["paths"] if "paths" in given else given["plan"].paths
        with trusting(functions=paths.from_python):
            return run(*args, **kwargs)

    return wrapped


@contextmanager
def started_executor(
    node: Mapping[str, Any], trial_function: str, config: TrialConfig, logs: Path, n_runs: int
) -> Iterator[tuple[Executor, dict[str, Any]]]:
    """Start an executor, wait until one of its workers has prepared, and close it at the end.

    Args:
        node: the executor's config.
        trial_function: a dotted name, as in ``sweep.trial_function``.
        config: what the workers prepare with.
        logs: the folder for the workers' logs.
        n_runs: how many runs there are at most; no more workers than that are started.

    Yields:
        The executor, and the facts that its first worker returned from ``prepare``.

    Raises:
        BesomError: the workers cannot be spawned or prepared.
    """
    executor: Executor = instantiate(node)
    with started(executor, trial_function, config, logs, n_runs) as facts:
        yield executor, facts


def check_trusted(
    trial_function: str, executor: Mapping[str, Any], trials: Sequence[TrialRecord]
) -> list[tuple[str, str]]:
    """Refuse what a study names and may not run here and now, whatever was trusted then.

    Args:
        trial_function: a dotted name.
        executor: its config.
        trials: whose stored configs run again.

    Returns:
        Every name, for ``besom.trust.trusting``.

    Raises:
        TrustError: names the first one, and the line that would allow it.
    """
    function = trial_function.replace(":", ".")
    current().check_name(function, "sweep.trial_function", is_trial=True)
    found = list(names_in(executor, "sweep.executor"))
    for trial in trials:
        found += names_in(trial.config, f"trial {trial.number}: ")
    for where, dotted in found:
        current().check_name(dotted, where)
    return found


def stored_config(trial: TrialRecord) -> TrialConfig:
    """A copy of what a trial ran with, without what its coordinator wanted beside the value."""
    config = copy.deepcopy(trial.config)
    config.pop("orders", None)
    return config


def runs_in(study: StudyRecord) -> tuple[RunOf, ...]:
    """The runs that each trial of a study is."""
    sweep = study.config.get("sweep") or {}
    return runs_of(sweep.get("folds"), sweep.get("repeats") or 1)


def same_data(study: StudyRecord, trial: TrialRecord) -> bool:
    """Whether a trial trained on the study's base data, which is what the study knows facts of."""
    base = study.config.get("data")
    known = {k: v for k, v in base.items() if k != "space"} if isinstance(base, Mapping) else base
    return same(trial.config.get("data"), known)


def executor_config(
    study: StudyRecord,
    words: Sequence[str] = (),
    workers: int | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """The executor's config: the study's own, with what the command line says instead.

    Args:
        study: where the stored config is.
        words: ``executor.KEY=VALUE`` (``sweep.executor.KEY=VALUE`` too), or ``executor=OPTION`` to
            take another one from the config group. A cluster's address is never the stored one.
        workers: wins over all of them, if given.
        threads: per worker, where the words do not say; None: as configured.

    Raises:
        ConfigError: another word, an unknown option, or something that is no override.
    """

    def settle_threads(node: Mapping[str, Any]) -> dict[str, Any]:
        return dict(node) if threads is None else _class_of(node).with_threads(node, threads)

    stored = study.config["sweep"]["executor"]
    node = settle_threads(_class_of(stored).anywhere(stored))
    for override in parse_overrides(words):
        key = override.key_or_group.removeprefix("sweep.").replace("sweep/", "", 1)
        value = plain_value(override.value())
        if key == "executor":
            node = settle_threads(_option(str(value)))
        elif key.startswith("executor.") and key.count(".") == 1:
            node[key.partition(".")[2]] = value
        else:
            raise ConfigError(
                f"{override.input_line}: only the executor may differ from the study's, as in "
                "executor.workers=4 or executor=local; what is run is the stored config."
            )
    return node if workers is None else _class_of(node).with_workers(node, workers)


def plain_value(value: Any) -> Any:
    """What Hydra's grammar read, without its own types for quoted text."""
    if isinstance(value, list):
        return [plain_value(item) for item in value]
    return value.text if hasattr(value, "text") else value


def _option(name: str) -> dict[str, Any]:
    composer = Composer(SearchPath.of(), "train")
    options = composer.groups[_EXECUTOR_GROUP]
    if name not in options:
        raise ConfigError(f"There is no executor {name!r}.{did_you_mean(name, options)}")
    return dict(composer.option(_EXECUTOR_GROUP, name))


def _class_of(node: Mapping[str, Any]) -> type[Executor]:
    """Whom to ask what an executor's options mean: only its class knows their names.

    ``Executor`` itself where the class says nothing, or may not be imported (a stored study).
    """
    try:
        found = resolve(str(node.get(TARGET, _LOCAL)), f"sweep.executor.{TARGET}")
    except BesomError:
        return Executor
    return cast("type[Executor]", found if hasattr(found, "with_workers") else Executor)
