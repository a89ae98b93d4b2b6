"""Every use of Optuna's private names, in one place.

Optuna has no public way to read a study's trials past a study's own filter, to write one trial's
intermediate value, to create a trial with attributes, to put a cache before a database, to rename
a study or change an attribute in one step, or to filter what samplers see; TPE keeps to itself
which trials it learns from as the good ones; and PED-ANOVA's package loads scikit-learn for another
evaluator. An update of Optuna may rename what is used here:
``tests/study/test_optuna_private.py`` checks each name.
"""

from __future__ import annotations

import copy
import functools
import importlib.util
import operator
import sys
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import optuna
from optuna.samplers._tpe import _truncnorm
from optuna.samplers._tpe import sampler as _tpe
from optuna.samplers._tpe.sampler import _split_trials
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial, Trial, TrialState

if TYPE_CHECKING:
    import sqlalchemy
    from optuna.importance import PedAnovaImportanceEvaluator

__all__ = ["JournalOperation"]

#: The version of Optuna whose private names these are.
CHECKED_WITH = "5.0.0"


def studies_table() -> sqlalchemy.Table:
    """Where a database has its studies."""
    from optuna.storages._rdb.models import StudyModel  # loads SQLAlchemy

    table: sqlalchemy.Table = StudyModel.__table__
    return table


def study_attributes_table() -> sqlalchemy.Table:
    """Where a database has what is stored of each study beside its trials."""
    from optuna.storages._rdb.models import StudyUserAttributeModel  # loads SQLAlchemy

    table: sqlalchemy.Table = StudyUserAttributeModel.__table__
    return table


def storage_of(study: optuna.Study) -> BaseStorage:
    """The storage that a study is kept in."""
    return study._storage


def all_trials(
    study: optuna.Study, states: Container[TrialState] | None = None
) -> list[FrozenTrial]:
    """Every stored trial, also those that the study hides from samplers; not copied."""
    return study._storage.get_all_trials(study._study_id, deepcopy=False, states=states)


def id_of(trial: Trial | FrozenTrial) -> int:
    """The number by which a storage knows a trial, in all its studies."""
    return trial._trial_id


def unknown(trials: Iterable[FrozenTrial], known: set[int]) -> list[FrozenTrial]:
    """Those of the trials whose ``id_of`` is not known yet; it is from now on."""
    new = [trial for trial in trials if trial._trial_id not in known]
    known.update(trial._trial_id for trial in new)
    return new


def running_again(study: optuna.Study, trial: FrozenTrial) -> Trial:
    """A trial that is stored as running, to be run by this process."""
    return Trial(study, trial._trial_id)


def new_trial(study: optuna.Study, user_attrs: Mapping[str, Any]) -> Trial:
    """Like ``study.ask`` where no trial waits; the trial has attributes from its beginning."""
    template = optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs=dict(user_attrs))
    study._thread_local.cached_all_trials = None  # as ``ask`` does
    return Trial(study, study._storage.create_new_trial(study._study_id, template))


def best_of(
    study: optuna.Study, finished: list[FrozenTrial], n: int
) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """The ``n`` best finished trials and the others, as TPE ranks them."""
    return _split_trials(study, finished, n)


@functools.cache
def ped_anova() -> type[PedAnovaImportanceEvaluator]:
    """Optuna's evaluator, without what its package loads for another one: a second's work."""
    spec = importlib.util.find_spec("optuna.importance")
    assert spec is not None
    # Its modules are found in the package, which is not run; it is when somebody imports it.
    not_run = importlib.util.module_from_spec(spec)
    package = sys.modules.setdefault(spec.name, not_run)
    try:
        from optuna.importance._ped_anova import PedAnovaImportanceEvaluator
    finally:
        if package is not_run:
            del sys.modules[spec.name]
    return PedAnovaImportanceEvaluator


def speed_up_tpe() -> None:
    """Have TPE do in C, and once, what takes it most of its time; it proposes the same.

    Its normal distribution calls Python for each number, where SciPy's agrees to ten digits. And of
    a space with conditions, it ranks the same trials again for each group of parameters.
    """
    from scipy.special import log_ndtr

    cast(Any, _truncnorm)._log_ndtr = log_ndtr
    cast(Any, _tpe)._split_trials = _SplitOnce()


_Split = tuple[list[FrozenTrial], list[FrozenTrial]]


class _SplitOnce:
    """Remembers the last split."""

    def __init__(self) -> None:
        self._last: tuple[list[FrozenTrial], int, _Split] | None = None

    def __call__(self, study: optuna.Study, trials: list[FrozenTrial], n_below: int) -> _Split:
        last = self._last
        if last is None or last[1] != n_below or not _same(last[0], trials):
            self._last = last = (trials, n_below, _split_trials(study, trials, n_below))
        return last[2]


def _same(some: list[FrozenTrial], others: list[FrozenTrial]) -> bool:
    """Whether the lists hold the same objects; a trial that changes becomes another one."""
    return len(some) == len(others) and all(map(operator.is_, some, others))


def as_stored(trial: Trial) -> FrozenTrial:
    """What the storage has of a running trial."""
    return trial.storage.get_trial(trial._trial_id)


def store_intermediate_value(trial: Trial, step: int, value: float) -> None:
    """Store a value of a running trial, in place of any other of this step."""
    trial.storage.set_trial_intermediate_value(trial._trial_id, step, value)


_UNFINISHED = (TrialState.RUNNING, TrialState.WAITING)


class FilteredStudy(optuna.Study):
    """A study whose samplers and pruners see only some of its trials.

    Attributes:
        snapshot: the trials that they see, where these are not to be read again each time.
        told_here: every trial of the study is told to this object, which therefore knows when its
            finished trials have to be read again. Pruners ask for them after each epoch.
    """

    snapshot: list[FrozenTrial] | None = None
    told_here = False
    _finished: dict[frozenset[TrialState], list[FrozenTrial]] | None = None

    def visible(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """Those of the trials that samplers and pruners see."""
        return trials

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        if self.snapshot is not None:
            seen = [t for t in self.snapshot if states is None or t.state in states]
        elif self.told_here and states is not None and not any(s in states for s in _UNFINISHED):
            known = self._finished = self._finished or {}
            asked = frozenset(state for state in TrialState if state in states)
            if asked not in known:
                known[asked] = self.visible(super()._get_trials(False, states, use_cache))
            seen = list(known[asked])
        else:
            return self.visible(super()._get_trials(deepcopy, states, use_cache))
        return copy.deepcopy(seen) if deepcopy else seen

    def tell(self, *args: Any, **kwargs: Any) -> FrozenTrial:
        """As Optuna's."""
        try:
            return super().tell(*args, **kwargs)
        finally:
            self._finished = None


def filter_brackets(pruner: Any) -> None:
    """Have each bracket, which samplers get in place of the study, hide what the study hides."""
    make = pruner._create_bracket_study

    def make_filtered(study: optuna.Study, bracket_id: int) -> Any:
        made: Any = make(study, bracket_id)
        made._get_trials = study._get_trials
        return made

    pruner._create_bracket_study = make_filtered


class CachedBackend:
    """Gives the two private operations that Optuna's cache asks of a database public names."""

    def create_trial(self, study_id: int, template: FrozenTrial | None) -> FrozenTrial:
        """Create a trial, a copy of ``template`` if there is one."""
        raise NotImplementedError

    def read_trials(self, study_id: int, ids: set[int], above: int) -> list[FrozenTrial]:
        """The study's trials that have one of these ids, or one above ``above``."""
        raise NotImplementedError

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        return self.create_trial(study_id, template_trial)

    def _get_trials(
        self,
        study_id: int,
        states: None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        assert states is None, "the cache keeps trials of every state"
        return self.read_trials(study_id, included_trial_ids, trial_id_greater_than)


class DatabaseStorage(RDBStorage):
    """Optuna's database storage, with public names for what a ``CachedBackend`` needs."""

    def create_trial(self, study_id: int, template: FrozenTrial | None) -> FrozenTrial:
        """See ``CachedBackend``."""
        return self._create_new_trial(study_id, template)

    def read_trials(self, study_id: int, ids: set[int], above: int) -> list[FrozenTrial]:
        """See ``CachedBackend``."""
        return self._get_trials(study_id, None, ids, above)


def cached(backend: CachedBackend) -> BaseStorage:
    """A storage that remembers finished trials instead of asking the database again."""
    return _CachedStorage(cast(RDBStorage, backend))


def backend_of(storage: BaseStorage) -> object:
    """The journal or database behind a storage; None if it has neither."""
    return getattr(storage, "_backend", None)
