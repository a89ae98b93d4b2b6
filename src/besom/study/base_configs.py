"""The config that trials start from, for each choice of the options of the config groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from besom.config import TRAIN_GROUPS, Composed, Composer
from besom.seam import TrialConfig
from besom.store.records import Objective
from besom.study.objective import TRIAL_NUMBERS


class BaseConfigs:
    """Composes the base config once for each choice of options.

    Args:
        composer, overrides: compose the config again for other choices of groups.
        composed: the config with the options that the sweep itself chooses.
        objectives: the trainer watches the first that is a metric of the history.
    """

    def __init__(
        self,
        composer: Composer,
        overrides: Sequence[str],
        composed: Composed,
        objectives: Sequence[Objective],
    ) -> None:
        self._composer, self._overrides = composer, overrides
        self._choices, self._objectives = composed.choices, objectives
        base = with_objective(composed.config, objectives)
        self._configs: dict[tuple[tuple[str, str], ...], TrialConfig] = {(): base}
        #: The paths that are made by interpolation, and the paths these read; see ``Composed``.
        self.reads: dict[str, frozenset[str]] = dict(composed.reads)

    def judged_by(self, objectives: Sequence[Objective]) -> BaseConfigs:
        """The same configs, whose trials are judged by other objectives."""
        other = copy(self)
        other._objectives = objectives
        other._configs = {
            key: with_objective(config, objectives) for key, config in self._configs.items()
        }
        return other

    def of(self, groups: Mapping[str, str]) -> TrialConfig:
        """The trial config for a choice of group options; a group left out is as the sweep has it.

        It has no search space, and no sampled value.
        """
        key = tuple(sorted((g, o) for g, o in groups.items() if self._choices.get(g) != o))
        if key not in self._configs:
            composed = self._composer.compose_for(dict(key), self._overrides)
            for path, read in composed.reads.items():
                self.reads[path] = self.reads.get(path, frozenset()) | read
            self._configs[key] = with_objective(composed.config, self._objectives)
        return self._configs[key]


def with_objective(config: Mapping[str, Any], objectives: Sequence[Objective]) -> TrialConfig:
    """What the worker gets; the trainer keeps the weights of the objective's epoch."""
    part: TrialConfig = {key: config[key] for key in (*TRAIN_GROUPS, "seed")}
    watched = next((o for o in objectives if o.metric not in TRIAL_NUMBERS), None)
    if watched is not None and isinstance(part["trainer"], Mapping):
        part["trainer"] = {
            **part["trainer"],
            "monitor": watched.metric,
            "mode": "max" if watched.sign > 0 else "min",
            "restore_best": watched.epoch == "best",
        }
    return part
