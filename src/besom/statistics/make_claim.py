"""From a study to what may be said of it: who leads, who is tied, and what the lead is worth.

The tests and corrections are in the modules beside this one; here they meet the records, and every
case in which one of them does not apply is named rather than passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from besom.statistics import claim_text
from besom.statistics.claim import BaselineGain, Claim, Row
from besom.statistics.correctness import (
    Candidates,
    candidates,
    correctness_matrix,
    has_predictions,
    n_epochs_picked_from,
    same_images,
)
from besom.statistics.distributions import Interval, proportion_standard_error, wilson_interval
from besom.statistics.paired import compare_with_first, paired_gain
from besom.statistics.ranking import pareto_front, ranks
from besom.statistics.selection import Draws, Selection, correct_for_selection
from besom.store.records import Objective, Outcome, StudyRecord, TrialRecord

#: Below this many validation examples the claim says how few they are.
FEW_IMAGES = 200


def score(trial: TrialRecord, objective: Objective) -> tuple[float, bool]:
    """Return a complete trial's score, and whether it is a share of examples that the bits confirm.

    An accuracy to be maximised (or an error rate to be minimised) is confirmed if the stored bits
    give the same within half an example; the exact share is then returned, so that trials that got
    equally many examples right score equally, whatever the rounding on the way. Otherwise, as for a
    loss, or an accuracy at another epoch than the bits', the value is returned as it is.

    Raises:
        ValueError: the trial has no value.
    """
    if trial.value is None:
        raise ValueError(f"trial {trial.number} is {trial.outcome} and has no score")
    if not has_predictions(trial) or objective.is_loss:
        return trial.value, False
    right = correctness_matrix([trial]).mean()
    share = float(right if objective.sign > 0 else 1.0 - right)
    confirmed = abs(share - trial.value) <= max(0.5 / trial.n_validation, 1e-6)
    return (share, True) if confirmed else (trial.value, False)


def claim(study: StudyRecord, *, alpha: float = 0.05, n_draws: int = 1000, seed: int = 0) -> Claim:
    """Return what may be claimed of a study, with the numbers behind it.

    Args:
        study: every trial of it; only complete ones are ranked or claimed about.
        alpha: 1 less the confidence of every statement.
        n_draws, seed: of the bootstrap, see ``correct_for_selection``.

    Raises:
        StudyError: a trial's stored predictions are damaged.

    Example:
        >>> right = np.arange(1000) < np.array([[900], [957], [960]])  # per trial and example
        >>> def stored(i, r):
        ...     more = {"n_validation": 1000, "correct": np.packbits(r).tobytes()}
        ...     return TrialRecord(i, Outcome.COMPLETE, (r.mean(),), **more)
        >>> trials = tuple(stored(i, r) for i, r in enumerate(right))
        >>> found = claim(StudyRecord("s", (Objective("val_accuracy", "maximize"),), trials))
        >>> found.leader, found.tied
        (2, (1,))
    """
    if not study.complete:
        return Claim(claim_text.nothing_completed(study))
    if len(study.objectives) > 1:
        return _several_objectives(study)
    table = _Table(study, alpha)
    if not table.testable:
        return Claim(
            text=claim_text.untestable(study, table.leader, table.first_numbers),
            leader=table.leader.number,
            raw=table.scores[table.leader.number],
            rows=table.rows,
            caveats=table.caveats(),
        )
    return _single_objective(study, table, alpha, n_draws, seed)


class _Table:
    """The complete trials of a study with one objective, ranked, and those that can be tested."""

    def __init__(self, study: StudyRecord, alpha: float) -> None:
        self.study = study
        scored = {trial.number: score(trial, study.objective) for trial in study.complete}
        self.scores = {number: value for number, (value, _) in scored.items()}
        rank_of = ranks(list(self.scores.values()), study.objective.direction)
        numbered = dict(zip(self.scores, rank_of, strict=True))
        self.ordered = sorted(study.complete, key=lambda t: (numbered[t.number], t.number))
        self.first_numbers = tuple(n for n, rank in sorted(numbered.items()) if rank == 1)
        # A leader with predictions can be tested; of equal ones, one that can be is taken.
        first = [trial for trial in self.ordered if numbered[trial.number] == 1]
        self.leader = next((t for t in first if scored[t.number][1]), first[0])
        confirmed = scored[self.leader.number][1] and self.leader.n_validation >= 2
        self.testable = [
            trial
            for trial in self.ordered
            if confirmed and scored[trial.number][1] and same_images(trial, self.leader)
        ]
        self.rows = {
            trial.number: _row(trial, numbered[trial.number], *scored[trial.number], alpha)
            for trial in self.ordered
        }

    def caveats(self, picked_from: Candidates | None = None) -> tuple[str, ...]:
        """What limits the claim in this study; ``picked_from`` is known if it can be tested."""
        found = []
        if any(t.baseline for t in self.study.trials) and self.study.baseline is None:
            found.append(claim_text.NO_BASELINE)
        if n_unjudged := self.leader.environment.get("n_classes_unjudged", 0):
            found.append(claim_text.unjudged_classes(n_unjudged))
        if picked_from is None:
            return tuple(found)
        if n_untested := len(self.ordered) - len(self.testable):
            found.append(claim_text.untested(n_untested))
        if n_pruned := sum(t.outcome is Outcome.PRUNED for t in self.study.trials):
            found.append(claim_text.pruned(n_pruned))
        if picked_from.n_unknown:
            objective = self.study.objective
            n_picked = sum(n_epochs_picked_from(t, objective) > 1 for t in self.testable)
            n_trials = None if picked_from.n_unknown == n_picked else picked_from.n_unknown
            found.append(claim_text.best_epoch(picked_from.n_epochs, n_trials))
        if self.leader.n_validation < FEW_IMAGES:
            found.append(claim_text.few_images(self.leader.n_validation))
        return tuple(found)


def _row(trial: TrialRecord, rank: int, value: float, is_share: bool, alpha: float) -> Row:
    if not is_share:
        return Row(trial.number, rank, value)
    n = trial.n_validation
    interval = wilson_interval(value, n, 1.0 - alpha)
    return Row(trial.number, rank, value, proportion_standard_error(value, n), interval)


def _single_objective(
    study: StudyRecord, table: _Table, alpha: float, n_draws: int, seed: int
) -> Claim:
    """The claim where the leader's predictions are known; it is the first of ``testable``."""
    correct = correctness_matrix(table.testable)
    n_epochs = [n_epochs_picked_from(trial, study.objective) for trial in table.testable]
    compared = compare_with_first(correct, 0, alpha=alpha, n_picked=n_epochs)
    picked_from = candidates(table.testable, study.objective)
    draws: Draws = {"n_draws": n_draws, "seed": seed, "confidence": 1.0 - alpha}
    selection = correct_for_selection(picked_from.correct, picked_from.trial, **draws)
    rows = dict(table.rows)
    for index, trial in enumerate(table.testable):
        rows[trial.number] = replace(
            rows[trial.number],
            p_value=float(compared.corrected[index]),
            tied=bool(compared.tied[index]),
        )
    others = zip(table.testable[1:], compared.tied[1:], strict=True)
    tied = tuple(trial.number for trial, is_tied in others if is_tied)
    gain = _gain_over_baseline(table.testable, study.objective, selection, draws)
    maximise = study.objective.sign > 0
    low, high = selection.interval
    result = Claim(
        text="",
        leader=table.leader.number,
        tied=tied,
        raw=table.scores[table.leader.number],
        corrected=selection.corrected if maximise else 1.0 - selection.corrected,
        standard_error=selection.standard_error,
        interval=Interval(low, high) if maximise else Interval(1.0 - high, 1.0 - low),
        baseline=gain,
        rows=rows,
        caveats=table.caveats(picked_from),
    )
    sentence = claim_text.sentence(
        result,
        table.leader,
        table.first_numbers,
        alpha,
        epoch_was_picked=len(picked_from.correct) > 1,
    )
    return replace(result, text=sentence)


def _gain_over_baseline(
    testable: Sequence[TrialRecord], objective: Objective, selection: Selection, draws: Draws
) -> BaselineGain | None:
    """Return what the leader gains over the baseline.

    Args:
        testable: the trials that can be tested, the leader first.
        objective: by which it was picked.
        selection: the correction of its score.
        draws: the same that this correction was made with.

    Returns:
        None if the baseline leads itself, or is not among ``testable``.

    Raises:
        StudyError: the baseline's stored predictions are damaged.
    """
    leader = testable[0]
    baseline = next((trial for trial in testable if trial.baseline), leader)
    if baseline is leader:
        return None
    right = correctness_matrix([baseline, leader])
    paired = paired_gain(right[1], right[0], draws["confidence"])
    # The baseline was not picked among trials, but its epoch was among its epochs: by that much it
    # looks too good, and the gain over it too small.
    own = correct_for_selection(candidates([baseline], objective).correct, **draws)
    gain, half = paired.gain - selection.optimism + own.optimism, paired.interval.width / 2.0
    p_value = compare_with_first(right, 0, first_was_chosen=False).p_value[1]
    n_picked = sum(n_epochs_picked_from(t, objective) for t in testable if t is not baseline)
    return BaselineGain(
        trial=baseline.number,
        raw=paired.gain,
        gain=gain,
        standard_error=paired.standard_error,
        interval=Interval(gain - half, max(gain, paired.gain) + half),
        p_value=min(1.0, float(p_value) * n_picked),
    )


def _several_objectives(study: StudyRecord) -> Claim:
    complete = study.complete
    values = np.array([trial.values for trial in complete], dtype=np.float64)
    on_front = pareto_front(values, [objective.direction for objective in study.objectives])
    front = tuple(t.number for t, is_on in zip(complete, on_front, strict=True) if is_on)
    return Claim(claim_text.no_winner(study, front), front=front)
