"""The seam between the coordinator and training: what one trial is given, and what it gives back.

Above it (study, executors) nobody knows Keras; below it (``besom.training``, or a user's own
function) nobody knows Optuna or Hydra. Plain data crosses it, so it may cross a process too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from besom.equality import SameFields

#: A trial's config: plain dicts, lists and scalars, everything resolved. What
#: ``besom.training.trial.run_trial`` reads: ``data``, ``model``, ``optimizer``, ``trainer`` and
#: ``seed``.
#:
#: Where a trial is several runs (``sweep.folds``, ``sweep.repeats``), each run's config also has
#: ``run``: ``{fold, folds, repeat}``. The run trains without the examples of ``fold`` (from 0, of
#: ``folds``) and is measured on them; without ``sweep.folds`` the first two are left out, and it is
#: measured as ever. ``repeat`` (from 0) needs no attention: the ``seed`` is another one already,
#: and the folds are the same.
#:
#: A coordinator may add ``orders``, what it wants beside the value; a function that does not know
#: one ignores it. Between coordinator and worker the paths in it are names relative to the study's
#: folder, which each worker resolves, wherever that folder is for it:
#:
#: - ``constraints``: ``{number: {min, max}}``; where a number known before training is outside,
#:   return at once, with ``numbers`` and an empty history.
#: - ``save_model``: ``{path, better_than}``: write the ``.keras`` of the weights that count to
#:   ``path``, if their monitored value is better than ``better_than`` (None: in any case).
#: - ``mistakes``: ``{path, better_than}``: under the same condition, write to ``path`` what the
#:   model gets wrong of the validation examples, as JSON (``besom.store.mistakes``).
#: - ``per_example``: the metrics of which a result should have ``TrialResult.per_example``.
#: - ``called``: what to call it in the worker's log, where it is one run of a trial of several.
#: - ``rehearse``: ``{name: config}``, for ``prepare``: configs to try before the test set is read.
#: - ``checkpoint``: ``{save, load}``: paths or None. Go on from the state in ``load`` with the
#:   epoch after it, if the file is there; leave the state after the last epoch in ``save``.
TrialConfig = dict[str, Any]

#: The trial function that trains with Keras, as ``sweep.trial_function`` names it.
KERAS_TRIALS = "besom.training.trial.run_trial"

#: What a model function gets where it has a parameter of the name, see
#: ``besom.training.data.asked_for``.
OFFERED = (
    *("input_shape", "num_classes", "output_shape", "output_activation"),
    *("training_x", "class_names", "feature_space", "vocabulary"),
)

#: What a kept ``.keras`` holds beside Keras's own files: JSON with ``class_names``.
MODEL_NOTES = "besom.json"

#: What a file of mistakes holds at most: the worst validation examples, classes of a confusion
#: matrix, pairs of classes that are taken for each other, numbers to be drawn.
N_WORST, MOST_CLASSES, MOST_CONFUSIONS, MOST_POINTS = 20, 100, 20, 400

#: What ``TrialResult.per_example`` may be, and what ``prepare`` says of metrics under ``kinds``.
PER_EXAMPLE = ("share", "mean", "other")

#: In a result's ``environment``: why a metric asked for is not in ``per_example``, as the end of a
#: sentence about it: ``{val_loss: "is no mean over examples"}``.
UNEXAMINED = "unexamined"

#: ``report(epoch, metrics) -> stop``: called after each epoch (from 1); True means stop now.
Report = Callable[[int, Mapping[str, float]], bool]


@dataclass(eq=False)
class TrialResult(SameFields):
    """What a trial gives back when it was not stopped by an error.

    What ``besom.store.records.TrialRecord`` has a field of the same name for is stored.

    Attributes:
        history: metric name to its value after each epoch run; all lists have equal length.
        numbers: what is known once a trial: ``n_params``, ``seconds_per_epoch`` and so on.
        best_epoch: the epoch (from 1) whose weights count, None if the function has no such notion.
        stopped_early: True if the trial ended before its last epoch by its own patience.
        n_validation: how many validation examples were predicted; 0 if none.
        correct: one bit per validation example (``numpy.packbits``), set where the weights of
            ``best_epoch`` classify it right; None if not known.
        correct_by_epoch: the same after each epoch of ``history``, so that the luck of having
            chosen the best of them can be taken out of the score; None if not known. Where a trial
            is several runs, the one epoch that counts for all is chosen afterwards, so a run gives
            these, and ``by_epoch`` below, wherever it can.
        per_example: what is known of each validation example by a metric, for its error (±), ties
            and correction. Metric to a mapping of ``kind``, ``values`` and, where known,
            ``by_epoch``, a list with the same for each epoch of ``history``. ``share``: one bit
            each, as in ``correct``, whose share is the metric. ``mean``: one little-endian float32
            each, whose mean is the metric. ``other``: float32, the metric on each of several
            bootstrap draws of the examples, the same draws in all trials, then on what each draw
            left out. Where examples are resampled in groups, a ``mean`` has a number for each of
            ``units`` groups instead.
        environment: versions, device, data fingerprint: what the values depend on. ``remarks`` in
            it, what each is about to a sentence, are for the user, who is shown one about each.
        runs: of a trial that was pooled from several runs, what each came to, see
            ``besom.study.pooling``; empty otherwise, and never set by a trial function.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    best_epoch: int | None = None
    stopped_early: bool = False
    n_validation: int = 0
    correct: bytes | None = None
    correct_by_epoch: list[bytes] | None = None
    per_example: dict[str, dict[str, Any]] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """Epochs run."""
        return max((len(values) for values in self.history.values()), default=0)


class TrialFunction(Protocol):
    """Runs one trial to its end, in a worker process.

    Raises ``besom.errors.TrialDiverged`` for a metric that is not finite, ``BesomError`` for what
    the user can fix, anything else for a bug. When ``report`` returns True it returns at once,
    with the history so far.

    A module may define ``prepare(config: TrialConfig) -> dict[str, Any]`` beside it: each worker
    calls that once, before its first trial, to import and load what trials share. It returns
    plain facts about the environment, stored with the study. Of these are read: ``metrics`` (every
    name a history will have) and ``numbers`` (every name in a result's ``numbers``), for objectives
    and constraints to be checked against, unless ``open_ended`` says that there may be more;
    ``kinds`` (metric to one of ``PER_EXAMPLE``), which the study stores with its objectives;
    ``objective``, the metric to suggest in place of one that is not there; ``data``, whose
    ``fingerprint`` a resume must find unchanged; ``folds``, True where the function heeds the folds
    of ``run`` (with ``sweep.folds`` only; ``n_validation`` in ``data`` is then the number of
    examples that all folds together predict); and ``unsavable``, why no model can be saved. All
    may be left out (see ``besom.training.trial.prepare``). What ``prepare`` raises ends the sweep
    before its first trial. Where the module has ``prepare_another(config)`` too, one worker alone
    calls ``prepare``, which then may try what all trials depend on, and the others call that
    instead.
    """

    def __call__(self, config: TrialConfig, report: Report) -> TrialResult:
        """Run the trial."""
        ...
