"""Runs a sweep: takes the lock, starts workers, opens the study, runs the loop; loses nothing."""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import optuna

from besom.errors import StudyError
from besom.executors.base import Executor
from besom.executors.session import started
from besom.executors.signals import StopSignals
from besom.executors.stop import Ending
from besom.store import storage, study_identity
from besom.store.environment import software
from besom.store.holding import Hold, hold_study, open_study
from besom.store.optuna_private import all_trials, storage_of
from besom.store.paths import remove_leftovers
from besom.store.records import Origin, Outcome, StudyRecord
from besom.store.storage_url import VARIABLE
from besom.store.stored_records import STUDY_ATTRIBUTE, check_not_imported, read_study
from besom.study.budget import Budget
from besom.study.checks import (
    check_names,
    check_new_study,
    check_same_data,
    check_strategy,
    settled,
)
from besom.study.coordinator import Coordinator
from besom.study.live_trackers import tracking
from besom.study.names import check_trusted, enqueued_configs, names_of
from besom.study.objective import follows_the_task
from besom.study.plan import SweepPlan
from besom.study.preset_trials import all_preset_trials, n_points, remarks_on_preset_trials
from besom.study.remarks import remarks, remarks_on_workers
from besom.study.replicates import MOST_SHARE, ReplicateRuns, missing
from besom.study.samplers import build_pruner, build_sampler
from besom.study.screening import ScreeningPruner
from besom.study.warm_start import check_objectives, warm_start
from besom.study.watcher import Watcher
from besom.targets import instantiate
from besom.trust import trusting


@dataclass(frozen=True)
class SweepOutcome:
    """How a sweep ended.

    Attributes:
        study: every trial.
        ending: done, budget, interrupted or broken.
        reason: why it ended before ``n_trials``; empty if it did not.
    """

    study: StudyRecord
    ending: Ending
    reason: str

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended it."""
        return self.ending is Ending.INTERRUPTED

    @property
    def exit_code(self) -> int:
        """0 done, 1 no trial succeeded, 130 interrupted."""
        if self.interrupted:
            return 130
        return 0 if self.study.complete else 1


def run_sweep(
    plan: SweepPlan,
    *,
    extend: bool = False,
    fresh: bool = False,
    watcher: Watcher | None = None,
    executor: Executor | None = None,
) -> SweepOutcome:
    """Run or continue a sweep.

    Args:
        plan: from ``besom.study.plan.make_plan``.
        extend: accept a larger budget or another executor than the study was made with.
        fresh: move an existing study to the archive first.
        watcher: notified of everything that happens.
        executor: where trials run; None builds the one the config names.

    Raises:
        BesomError: the study is in use elsewhere, was made with another config, its storage cannot
            be used, or the workers cannot be prepared. A new study is not created then.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    watcher = watcher or Watcher()
    check_strategy(plan)
    storage.check_files(plan.paths)
    with trusting(functions=plan.paths.from_python), _study_folder(plan, fresh):
        if fresh or not _is_stored(plan):
            check_new_study(plan)  # a study that continues read them when it began
        if fresh:
            _archive(plan, watcher)
        with hold_study(
            plan.paths,
            lambda: storage.settle_url(plan.paths, plan.name, plan.sweep.storage),
            plan.name,
            "sweep",
            watcher.remarked,
        ) as hold:
            remove_leftovers(plan.paths.root)
            with tracking(plan, watcher) as watcher:
                return _continue(plan.stored_in(hold.url), hold, extend, watcher, executor)


def _is_stored(plan: SweepPlan) -> bool:
    return plan.paths.journal.exists() or plan.paths.storage_url.exists()


@contextlib.contextmanager
def _study_folder(plan: SweepPlan, fresh: bool) -> Iterator[None]:
    """Say what cannot be written, and remove the folder again if no study began in it."""
    root = plan.paths.root
    is_new = fresh or not root.exists()
    made = [folder for folder in root.parents if not folder.exists()]
    try:
        yield
    except OSError as error:
        raise StudyError(
            f"{error.filename or root} cannot be written: {error.strerror or error}."
            + (" No finished trial is lost." if _is_stored(plan) else "")
            + " Free disk space or fix the permissions, or choose another results_dir."
        ) from error
    finally:
        if is_new and not plan.paths.journal.exists() and _never_began(plan):
            shutil.rmtree(root, ignore_errors=True)
            for folder in made:
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _continue(
    plan: SweepPlan, hold: Hold, extend: bool, watcher: Watcher, executor: Executor | None
) -> SweepOutcome:
    """Run what is left of a study, or all of a new one."""
    stored = _stored_study(plan)
    if stored is None:
        n_left, reason = plan.sweep.n_trials, ""
        run_as_they_are = enqueued_configs(plan)
    else:
        study_identity.check_same_task(plan.name, stored.config, plan.config, extend)
        if follows_the_task(plan.sweep):
            plan = plan.judged_by(tuple(stored.objectives))
        if "replicates" not in stored.config["sweep"] and plan.sweep.replicates == "auto":
            plan = plan.with_sweep(replicates=0)  # the study is from before there were any
        running = [t for t in stored.trials if t.outcome is Outcome.RUNNING]
        n_left, reason = _trials_left(stored, plan)
        left_to_replicate = [] if n_left else missing(stored, plan.sweep.replicates)
        again = {t.number: t for t in (*running, *(r.trial for r in left_to_replicate))}
        run_as_they_are = [(f"trial {number}: ", t.config) for number, t in again.items()]
        check_trusted(plan, run_as_they_are)
        n_left = n_left or len(left_to_replicate)
    plan.furnish()
    if stored is not None and not n_left:
        storage.remember_url(plan.paths, plan.sweep.storage)
        watcher.began(lambda: stored, plan.sweep.n_trials + _n_continued(stored), 0)
        return SweepOutcome(stored, Ending.DONE, reason)
    if executor is None:
        executor = instantiate(plan.sweep.executor)
    with StopSignals() as signals, trusting(named=names_of(plan, run_as_they_are)):
        return _run(plan, hold, stored, n_left, watcher, executor, signals)


def _run(
    plan: SweepPlan,
    hold: Hold,
    stored: StudyRecord | None,
    n_left: int,
    watcher: Watcher,
    executor: Executor,
    signals: StopSignals,
) -> SweepOutcome:
    function = plan.sweep.trial_function
    with started(
        executor,
        function,
        plan.as_composed,
        plan.paths.logs,
        n_left * len(plan.runs),
        plan.paths.root,
        watcher.remarked,
    ) as facts:
        if stored is None:
            plan = settled(plan, facts)
        else:
            check_names(plan, facts)
        facts = {**facts, "gpus_per_worker": executor.gpus_per_worker}
        study, environment = _open_study(plan, hold, facts, watcher, is_new=stored is None)
        said = {"model"} if facts.get("unsavable") else set()
        said |= {"compiled"} if facts.get("comes_compiled") else set()
        record = read_study(study, plan.paths.root)
        reserved_s = _reserved_s(plan, facts)
        began = time.monotonic()
        coordinator = Coordinator(
            plan, study, executor, record, environment, watcher, said, reserved_s, hold
        )
        signals.stop = coordinator.interrupt
        watcher.began(coordinator.record, coordinator.n_trials, executor.n_workers)
        for note in [*plan.notes, *remarks(plan), *remarks_on_workers(facts, plan.space.paths)]:
            watcher.remarked(note)
        try:
            ending, reason = coordinator.run(), coordinator.stop_reason or ""
            found = coordinator.record()
            if ending in (Ending.DONE, Ending.BUDGET):
                limit = plan.sweep.timeout_s
                left_s = math.inf if limit is None else limit - (time.monotonic() - began)
                source = ReplicateRuns(plan, study, found, environment, watcher, left_s)
                ended = source.run(executor, signals, hold)
                found = replace(found, replicates=(*found.replicates, *source.records))
                if ended is not Ending.DONE:
                    ending, reason = ended, "; ".join(filter(None, [reason, source.reason]))
        finally:
            storage.flush(storage_of(study))
            for folder in (plan.paths.models, plan.paths.mistakes):
                with contextlib.suppress(OSError):
                    folder.rmdir()  # made for files that nobody wrote
        return SweepOutcome(found, ending, reason)


def _reserved_s(plan: SweepPlan, facts: Mapping[str, Any]) -> float:
    """How much of the time limit is kept for replicates: as large a share as they may take."""
    limit, sweep = plan.sweep.timeout_s, plan.sweep
    measured = plan.objectives[0].metric in facts.get("kinds", {})
    if limit is None or not sweep.replicates or len(plan.objectives) > 1 or not measured:
        return 0.0
    return float(limit) * MOST_SHARE / (1.0 + MOST_SHARE)


def _open_study(
    plan: SweepPlan, hold: Hold, facts: dict[str, Any], watcher: Watcher, *, is_new: bool
) -> tuple[storage.SweepStudy, str]:
    """Create or load the study, and write down what it is and what its values depend on."""
    url = plan.sweep.storage
    patience_s = plan.sweep.storage_patience_s
    opened = storage.open_storage(plan.paths, url, writable=True, patience_s=patience_s)
    study = open_study(opened, hold, [o.direction for o in plan.objectives])
    if is_new and STUDY_ATTRIBUTE in study.user_attrs:
        raise StudyError(
            f"Another process has made the study {plan.name!r} in {url} since this one started. "
            "Run the same command again to continue it, or sweep under another name with "
            "sweep.name=NAME."
        )
    if storage.holds_password(plan.paths):
        watcher.remarked(
            f"the password was removed from {plan.paths.storage_url}. From now on it comes from "
            f"~/.pgpass, PGPASSWORD or {VARIABLE}"
        )
    storage.remember_url(plan.paths, url)
    here = software()
    environment = {**here, **facts}
    environment["versions"] = {**here["versions"], **facts.get("versions", {})}
    identity = study_identity.fingerprint(environment)
    stored = study.user_attrs.get(STUDY_ATTRIBUTE) or _new_facts(plan, facts)
    check_same_data(plan.name, stored, environment)
    n_existing = len(all_trials(study))
    study.sampler = build_sampler(plan.sweep.sampler, plan.space, n_existing, len(plan.objectives))
    stored = {
        **stored,
        "config": plan.config,
        "environments": {**stored["environments"], identity: environment},
        "n_points": n_points(plan, study.sampler),
    }
    if not n_existing:
        _add_first_trials(plan, study, watcher)
    study.set_user_attr(STUDY_ATTRIBUTE, stored)  # last: a study with this attribute has begun
    study.pruner = build_pruner(plan.sweep.pruner)
    return study, identity


def _new_facts(plan: SweepPlan, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a new study is; the workers have said what each metric is."""
    kinds = facts.get("kinds", {})
    return {
        "format": study_identity.FORMAT,
        "created": time.time(),
        "objectives": [vars(o.of_kind(kinds.get(o.metric))) for o in plan.objectives],
        "choices": plan.choices,
        "task_hash": study_identity.fingerprint(study_identity.split(plan.config)["task"]),
        "environments": {},
    }


def _add_first_trials(plan: SweepPlan, study: optuna.Study, watcher: Watcher) -> None:
    """Give a new study its preset trials, the baseline first, then those of the warm start."""
    for preset in all_preset_trials(plan):
        preset.enqueue(plan, study)
    for note in remarks_on_preset_trials(plan):
        watcher.remarked(note)
    if plan.sweep.warm_start is not None:
        other = storage.load_record(plan.paths.root.parent, plan.sweep.warm_start)
        check_objectives(plan, other)
        watcher.remarked(str(warm_start(plan, study, other)))


def _stored_study(plan: SweepPlan) -> StudyRecord | None:
    """The study as the last run left it; None if there is none yet."""
    if not plan.paths.journal.exists() and plan.sweep.storage is None:
        return None
    opened = storage.open_storage(plan.paths, plan.sweep.storage, writable=False)
    try:
        study = optuna.load_study(study_name=plan.name, storage=opened)
    except KeyError:
        if (moved := storage.only_other(opened, plan.name)) is not None:
            raise StudyError(
                f"{plan.paths.journal} holds the study {moved!r}: its folder was renamed. It can "
                "be read as it is. To continue it under this name, first run `besom study rename "
                f"{moved} {plan.name}`. To start over here, add --fresh."
            ) from None
        return None
    if STUDY_ATTRIBUTE not in study.user_attrs:
        return None
    record = read_study(study, plan.paths.root)
    check_not_imported(record, "continued")
    return record


def _trials_left(stored: StudyRecord, plan: SweepPlan) -> tuple[int, str]:
    """How many trials are left at most; if none is left, why it ended before ``n_trials``."""
    finished = [t for t in stored.trials if t.outcome is not Outcome.RUNNING]
    budget = Budget(plan.sweep, plan.objectives[0], finished)
    budget.n_extra = _n_continued(stored)
    if spent := budget.spent():
        return 0, spent
    pruner = build_pruner(plan.sweep.pruner)
    n_to_continue = 0
    if isinstance(pruner, ScreeningPruner):
        n_to_continue = len(pruner.missing(finished, plan.objectives[0]))
    n_begun = len(stored.trials) - len(finished)
    return max(budget.remaining_trials, n_begun) + n_to_continue, ""


def _n_continued(stored: StudyRecord) -> int:
    """How many screened trials were continued: these come on top of ``n_trials``."""
    return sum(t.origin is Origin.CONTINUED for t in stored.trials)


def _archive(plan: SweepPlan, watcher: Watcher) -> None:
    """Move the existing study to the archive, and rename it in its storage and in a new one."""
    paths, name, had_folder = plan.paths, plan.name, plan.paths.root.exists()
    target, stored = storage.archived_as(paths), storage.stored_url(paths)
    new = plan.sweep.storage if had_folder else storage.settle_url(paths, name, plan.sweep.storage)
    for url in dict.fromkeys(url for url in (stored, new) if url is not None):
        with hold_study(paths, url, name, "sweep", watcher.remarked):
            opened = storage.open_storage(paths, url, writable=True)
            storage.rename_in_storage(opened, name, target.name)
    storage.remember_url(paths, stored)
    if had_folder:
        with hold_study(paths, None, name, "sweep"):
            storage.archive(paths, target)


def _never_began(plan: SweepPlan) -> bool:
    """Whether the folder holds only a lock and logs: the sweep failed before its study began."""
    root = plan.paths.root
    mine = {plan.paths.lock.name, plan.paths.logs.name, plan.paths.from_python.name}
    return root.is_dir() and {path.name for path in root.iterdir()} <= mine
