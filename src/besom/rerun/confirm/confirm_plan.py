"""What is to be confirmed: which trials of a study, on which seeds, measured on which images."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from besom.config import parse_overrides, plain_value
from besom.errors import ConfigError, StudyError
from besom.report.export import FINAL, final_config, find_trial, is_final
from besom.report.leaderboard import ranking
from besom.rerun.stored_runs import (
    check_trusted,
    executor_config,
    stored_config,
    with_functions,
)
from besom.runs import RunOf, runs_of
from besom.seam import KERAS_TRIALS, TrialConfig
from besom.statistics import Claim, claim
from besom.store import study_identity
from besom.store.paths import StudyPaths
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord
from besom.store.stored_records import check_not_imported
from besom.text.counting import named
from besom.text.printable import command

Images = Literal["test", "validation"]

DEFAULT_SEEDS, DEFAULT_TOP = 5, 5
#: How the option ``--interval`` names what ``besom.statistics.mean_interval`` does.
INTERVALS = {"t": "student-t", "bootstrap": "bootstrap"}
#: Which trial function measures the test images after what the sweep's own one does.
TEST_FUNCTIONS = {KERAS_TRIALS: "besom.training.confirmation.run_confirmation"}

_PRECISION = "trainer.precision"

#: Not trained, so there is nothing to train again.
_NEVER_RAN = (Outcome.INFEASIBLE, Outcome.DUPLICATE, Outcome.WARM_START, Outcome.RUNNING)


@dataclass(frozen=True)
class ConfirmPlan:
    """A confirmation, checked and ready to run.

    Attributes:
        study: the study, as stored.
        paths: where it lives.
        entrants: the trials that are retrained: in the leaderboard's order, a baseline that is not
            among the first ones last.
        seeds: none of them was used in the study; the same for every entrant, so that scores pair.
        on: the images that count.
        objective: the study's first one, on these examples.
        new_split: whether each seed also holds other validation images back.
        race: whether who is beaten gets no more seeds.
        method: of the intervals, see ``besom.statistics.mean_interval``.
        executor: the executor's config.
        trial_function: a dotted name.
        precision: what ``trainer.precision`` becomes; None leaves it.
        retry_failed: whether runs that failed in an earlier confirmation are run again.
        left_out: a sentence on the trials that are not retrained although they are as good, by all
            that is known, as one that is; empty if there is none.
    """

    study: StudyRecord
    paths: StudyPaths
    entrants: tuple[TrialRecord, ...]
    seeds: tuple[int, ...]
    on: Images
    objective: Objective
    new_split: bool
    race: bool
    method: str
    executor: dict[str, Any]
    trial_function: str
    precision: str | None = None
    retry_failed: bool = False
    left_out: str = ""
    _configs: dict[tuple[int, int], TrialConfig] = field(default_factory=dict, compare=False)

    @cached_property
    def claimed(self) -> Claim:
        """What the sweep claims; every report of the confirmation is held against it."""
        return claim(self.study)

    @property
    def baseline(self) -> int | None:
        """The number of the base config's trial; None if it is not among the entrants."""
        return next((t.number for t in self.entrants if t.baseline), None)

    @property
    def timeout_s(self) -> float | None:
        """Wall-clock limit of one run; None = no limit."""
        limit: float | None = self.study.config["sweep"].get("trial_timeout_s")
        return limit

    @property
    def parts(self) -> tuple[RunOf, ...]:
        """The folds that a run consists of; one part, itself, where there are none."""
        folds = (self.study.config.get("sweep") or {}).get("folds")
        return runs_of(folds if self.on == "validation" else None, 1)

    def entrant(self, trial: int) -> TrialRecord:
        """The entrant with this number."""
        return next(t for t in self.entrants if t.number == trial)

    def config_of(self, trial: int, seed: int) -> TrialConfig:
        """What a worker trains: the trial's own config, with another seed.

        Of a study with folds, on the test set: as the final model is trained.
        """
        if (trial, seed) not in self._configs:
            entrant = self.entrant(trial)
            if self.on == "test":
                entrant = replace(entrant, config=final_config(self.study, entrant))
            config = stored_config(entrant)
            config["seed"] = seed
            if self.new_split:
                config["data"]["split_seed"] = seed
            if self.precision is not None:
                config["trainer"]["precision"] = self.precision
            self._configs[trial, seed] = config
        return self._configs[trial, seed]

    def key_of(self, trial: int, seed: int) -> str:
        """A short hash of ``config_of``: what a finished run is found by."""
        config = self.config_of(trial, seed)
        if not self.parts[0].is_only:
            config = {**config, "run": {"folds": len(self.parts)}}
        return study_identity.fingerprint(config)


@with_functions
def make_confirm_plan(
    study: StudyRecord,
    paths: StudyPaths,
    *,
    top: int | None = None,
    trials: Collection[int] = (),
    n_seeds: int = DEFAULT_SEEDS,
    on: Images = "test",
    new_split: bool = False,
    race: bool = True,
    interval: str = "t",
    words: Sequence[str] = (),
    workers: int | None = None,
    retry_failed: bool = False,
) -> ConfirmPlan:
    """Choose what is confirmed, and check that it can be; nothing is written or opened.

    Args:
        study, paths: the study, and where it lives.
        top: how many of the leaderboard's first; None: 5, or none if ``trials`` are named.
        trials: trials by number, beside those.
        n_seeds: fresh seeds for each, at least 2.
        on: ``test`` or ``validation``.
        new_split: hold other validation images back with each seed.
        race: give no more seeds to who is beaten.
        interval: ``t`` or ``bootstrap``.
        words: ``executor.KEY=VALUE`` and ``trainer.precision=VALUE``.
        workers: how many workers; None: as in ``words``, else as in the sweep.
        retry_failed: run again what failed in an earlier confirmation.

    Raises:
        ConfigError: an option out of range, or another word.
        StudyError: no complete trial, no such trial, or the study cannot be confirmed in this way.
        TrustError: the study names what a config may not run.
    """
    _check_options(top, n_seeds, interval)
    check_not_imported(study, "confirmed")
    chosen, left_out = _choose(study, top, trials)
    precision, rest = _precision(words)
    function: str = study.config["sweep"]["trial_function"]
    if new_split:
        _check_can_split(study, function, on)
    executor = executor_config(study, rest, workers)
    run = function if on == "validation" else _test_function(study, function)
    check_trusted(run, executor, chosen)
    return ConfirmPlan(
        study=study,
        paths=paths,
        entrants=chosen,
        seeds=fresh_seeds(study, n_seeds),
        on=on,
        objective=_objective(study, chosen, on),
        new_split=new_split,
        race=race,
        method=INTERVALS[interval],
        executor=executor,
        trial_function=run,
        precision=_default_precision(chosen[0]) if precision is None else precision,
        retry_failed=retry_failed,
        left_out=left_out,
    )


def _check_options(top: int | None, n_seeds: int, interval: str) -> None:
    if top is not None and top < 1:
        raise ConfigError(f"--top is {top}, expected at least 1: how many trials are confirmed.")
    if n_seeds < 2:
        raise ConfigError(
            f"--seeds is {n_seeds}, expected at least 2: one seed says nothing of the scatter, so "
            "there would be no interval."
        )
    if interval not in INTERVALS:
        raise ConfigError(f"--interval is {interval!r}, expected {' or '.join(INTERVALS)}.")


def fresh_seeds(study: StudyRecord, n: int) -> tuple[int, ...]:
    """The first ``n`` whole numbers from 1 that seeded neither a trial nor a split of the study.

    Always the same ones, so that more seeds, later, go on from those that were run.
    """
    used = {t.seed for t in study.trials} | {study.config.get("seed")}
    used |= {run["seed"] for t in study.trials for run in t.runs}
    for config in (study.config, *(t.config for t in study.trials)):
        data = config.get("data")
        if isinstance(data, dict):
            used.add(data.get("split_seed"))
    seeds: list[int] = []
    candidate = 1
    while len(seeds) < n:
        if candidate not in used:
            seeds.append(candidate)
        candidate += 1
    return tuple(seeds)


def _objective(study: StudyRecord, chosen: Sequence[TrialRecord], on: Images) -> Objective:
    objective = study.objective
    if on == "validation":
        return objective
    if not any(objective.metric in trial.history for trial in chosen):
        raise StudyError(
            f"The study {study.name!r} optimises {objective.metric}, which is not measured on "
            "examples: there is nothing to confirm on the test examples. Use --on validation."
        )
    name = f"test_{objective.metric.removeprefix('val_')}"
    return Objective(name, objective.direction, objective.epoch, objective.kind)


def _test_function(study: StudyRecord, function: str) -> str:
    if function not in TEST_FUNCTIONS:
        raise StudyError(
            f"The study {study.name!r} was swept with its own trial function, {function}, which "
            "besom cannot ask for the test examples. Confirm it on fresh seeds with "
            "--on validation."
        )
    return TEST_FUNCTIONS[function]


def _check_can_split(study: StudyRecord, function: str, on: Images) -> None:
    if on == "test" and is_final(study):
        raise StudyError(
            f"--new-split holds out other validation examples, but {study.name!r} has folds: on "
            f"the test examples each config is {FINAL}. Omit --new-split, or add --on validation."
        )
    data = study.config.get("data")
    if function not in TEST_FUNCTIONS and not (isinstance(data, dict) and "split_seed" in data):
        raise StudyError(
            f"--new-split changes data.split_seed, which the config of {study.name!r} does not "
            f"have, so its trial function {function} would ignore it. Omit --new-split."
        )
    for environment in study.facts.get("environments", {}).values():
        known = environment.get("data", {})
        if known.get("fixed_split"):
            raise StudyError(
                f"--new-split draws other validation examples, but no seed decides which "
                f"{study.name!r} was swept with ({known.get('split')}). Omit --new-split."
            )


def _default_precision(trial: TrialRecord) -> str | None:
    """Full precision whatever the sweep's was; None where the trainer knows no such thing."""
    trainer = trial.config.get("trainer")
    return "float32" if isinstance(trainer, dict) and "precision" in trainer else None


def _precision(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Split off ``trainer.precision=VALUE``, the one key of the stored configs that may change."""
    precision, rest = None, []
    for word in words:
        if word.partition("=")[0] == _PRECISION:
            precision = str(plain_value(parse_overrides([word])[0].value()))
        else:
            rest.append(word)
    return precision, rest


def _choose(
    study: StudyRecord, top: int | None, trials: Collection[int]
) -> tuple[tuple[TrialRecord, ...], str]:
    """Return the trials to confirm, and a sentence on those that the cut left out by chance.

    Args:
        study: the study.
        top: how many of the leaderboard's first; None: ``DEFAULT_TOP``, or none if trials are
            named.
        trials: trials by number, beside those.

    Returns:
        The entrants in the leaderboard's order, then the named ones; a baseline that is among
        neither comes last. And the sentence; empty if nobody was left out who is as good, by all
        that is known, as one that was taken.

    Raises:
        StudyError: no complete trial, no such trial, one that was never trained, or no first ones.
    """
    if not study.complete:
        raise StudyError(
            f"The study {study.name!r} has no complete trial to confirm. "
            f"`{command('leaderboard', study.name)}` shows how its trials ended."
        )
    if top is None and not trials:
        top = DEFAULT_TOP
    if top is not None and len(study.objectives) > 1:
        metrics = " and ".join(objective.metric for objective in study.objectives)
        raise StudyError(
            f"The study {study.name!r} has {len(study.objectives)} objectives ({metrics}), so it "
            "has no first trials. Name those to confirm with --trial N, once for each; they are "
            f"compared by {study.objective.metric}."
        )
    first, cut = _first(study, top, trials) if top else ([], "")
    numbers = dict.fromkeys([*first, *trials])
    chosen = [find_trial(study, number) for number in numbers]
    for trial in chosen:
        if trial.outcome in _NEVER_RAN or not trial.config:
            raise StudyError(
                f"Trial {trial.number} of {study.name!r} was never trained ({trial.outcome}), so "
                "it cannot be trained again."
            )
    baseline = next((t for t in study.trials if t.baseline), None)
    if baseline is not None and baseline.number not in numbers and baseline.config:
        chosen.append(baseline)
    return tuple(chosen), cut


def _first(study: StudyRecord, top: int, wanted: Collection[int]) -> tuple[list[int], str]:
    """The leaderboard's first ones, in its order, and a sentence on close ones left out."""
    claimed = claim(study)
    table = ranking(study, claimed)
    order, ranks = [int(t) for t in table["trial"]], [int(r) for r in table["rank"]]
    taken = {*order[:top], *wanted} | {t.number for t in study.trials if t.baseline}
    beyond = [(t, ranks[at]) for at, t in enumerate(order) if at >= top and t not in taken]
    last = ranks[min(top, len(ranks)) - 1]
    close = [t for t, rank in beyond if rank == last or t in claimed.tied]
    if not close:
        return order[:top], ""
    needed = max(map(order.index, close)) + 1
    return order[:top], (
        "Left out, but not distinguishable from those taken: "
        f"{named('trial', close)}. --top {needed} takes them, too."
    )
