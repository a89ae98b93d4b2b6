"""Several studies ranked as one, where they chose by the same validation examples.

Whoever takes the best of three studies has picked it among the trials of all three, so all of them
count in the correction of its score and in its ties.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from besom.errors import ConfigError
from besom.report.claimed import claim_among
from besom.statistics import Claim, claim_text, ranked, same_examples
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.text.counting import listed


@dataclass(frozen=True, eq=False)
class Pool(StudyRecord):
    """The trials of several studies, under numbers of their own.

    Attributes:
        studies: the names of the studies, that of the best trial first.
        origin: each number to its study, and the trial's number there.
    """

    studies: tuple[str, ...] = ()
    origin: Mapping[int, tuple[str, int]] = field(default_factory=dict)

    def shown(self, number: int) -> str:
        """``7 of mnist_mlp``."""
        name, own = self.origin[number]
        return f"{own} of {name}"

    def home(self, number: int) -> str:
        """The study that a trial belongs to."""
        return self.origin[number][0]


def pools(studies: Sequence[StudyRecord]) -> list[Pool]:
    """Put together the studies whose trials were judged on the same validation examples.

    Args:
        studies: each with one objective, the same.

    Raises:
        ConfigError: a study has several objectives, another one, or no complete trial.
    """
    aim = studies[0].objective
    for study in studies:
        if len(study.objectives) > 1:
            raise ConfigError(
                f"{study.name!r} has several objectives; only studies with one can be ranked "
                "together. Give each of the others a command of its own."
            )
        if study.objective != aim:
            raise ConfigError(
                f"{studies[0].name!r} was searched for {aim} and {study.name!r} for "
                f"{study.objective}; only studies with the same objective can be ranked together."
            )
        if not study.complete:
            raise ConfigError(f"No trial of {study.name!r} has completed, so it has no rank.")
    alike: list[list[StudyRecord]] = []
    for study in sorted(studies, key=lambda s: -aim.sign * (_leader(s).value or 0.0)):
        mine = (group for group in alike if same_examples(_leader(group[0]), _leader(study)))
        if (group := next(mine, None)) is None:
            alike.append([study])
        else:
            group.append(study)
    return [_pool(group) for group in alike]


def _leader(study: StudyRecord) -> TrialRecord:
    return ranked(study)[0][1]


def _pool(studies: Sequence[StudyRecord]) -> Pool:
    """Of the best trial's study the baseline and the fresh seeds count; of all, the trials."""
    best, names = studies[0], [study.name for study in studies]
    origin: dict[int, tuple[str, int]] = {}
    trials: list[TrialRecord] = []
    for study in studies:
        for trial in study.trials:
            if trial.outcome is Outcome.WARM_START and _teacher(study) in names:
                continue  # it is there itself
            is_baseline = trial.baseline and study is best
            trials.append(replace(trial, number=len(trials), baseline=is_baseline))
            origin[len(origin)] = (study.name, trial.number)
    numbers = {own: number for number, own in origin.items()}
    return Pool(
        name=listed(names),
        objectives=best.objectives,
        trials=tuple(trials),
        config=best.config,
        facts={"environments": _merged(studies)},
        replicates=tuple(
            replace(run, number=numbers[best.name, run.number]) for run in best.replicates
        ),
        studies=tuple(names),
        origin=origin,
    )


def _teacher(study: StudyRecord) -> object:
    return study.config.get("sweep", {}).get("warm_start")


def _merged(studies: Sequence[StudyRecord]) -> dict[str, object]:
    return {k: v for study in studies for k, v in study.facts.get("environments", {}).items()}


def refuse_several(found: Sequence[StudyRecord], why: str) -> None:
    """Refuse studies that were judged on different examples, where one ranking is asked for.

    Raises:
        ConfigError: names them.
    """
    if len(found) > 1:
        apart = "; ".join(pool.name for pool in found)
        raise ConfigError(
            f"These studies were judged on different validation examples ({apart}), so {why} Give "
            "studies of the same examples."
        )


def claims_together(
    studies: Sequence[StudyRecord], results_dir: Path
) -> Iterator[tuple[Pool, Claim]]:
    """Put studies together, and say what may be claimed of the best trial of each pool.

    Raises:
        ConfigError: they cannot be ranked together, see ``pools``.
    """
    found = pools(studies)
    for pool in found:
        claimed = claim_among(pool, results_dir)
        caveats = [claim_text.of_studies(pool.studies, len(pool.complete))]
        caveats += [claim_text.other_data(other.studies) for other in found if other is not pool]
        yield pool, replace(claimed, caveats=(*filter(None, caveats), *claimed.caveats))
