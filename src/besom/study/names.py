"""The names of code that a sweep runs, which have to be trusted before anything is imported."""

from __future__ import annotations

from collections.abc import Sequence

from besom.config import lookup
from besom.seam import TrialConfig
from besom.study.plan import SweepPlan
from besom.study.preset_trials import enqueued
from besom.targets import TARGET, names_in
from besom.trust import current

#: Where a sweep names its trial function.
_TRIALS = "sweep.trial_function"

#: Keys of the node ``sweep`` that are checked as what they lead to: entries, enqueued configs.
_NOT_RUN = ("space", "enqueue")


def check_trusted(plan: SweepPlan, more: Sequence[tuple[str, TrialConfig]] = ()) -> None:
    """Refuse a sweep that names code which may not run; nothing is imported.

    Args:
        plan: the sweep.
        more: further configs that run as they are, each with the prefix that messages call it by.

    Raises:
        TrustError: names what may not be run, and the line that would allow it.
    """
    for where, dotted in names_of(plan, more):
        current().check_name(dotted, where, is_trial=where == _TRIALS)


def names_of(
    plan: SweepPlan, more: Sequence[tuple[str, TrialConfig]] = ()
) -> list[tuple[str, str]]:
    """Every name that a sweep would resolve, each once: where it stands, and the name.

    Raises:
        TrustError: an argument is a serialised Keras object.
    """
    found = list(names_in({TARGET: plan.sweep.trial_function.replace(":", ".")}))
    found = [(_TRIALS, name) for _, name in found]
    found += names_in({key: v for key, v in plan.config.items() if key != "sweep"})
    found += names_in({k: v for k, v in plan.config["sweep"].items() if k not in _NOT_RUN}, "sweep")
    for entry in plan.space.entries:
        if entry.group is None:
            for path, choices in entry.values.choices_at(entry.path):
                found += names_in({path: list(choices)}, inside=True)
            continue
        for option in entry.choices or ():
            node = lookup(plan.bases.of({entry.group: option}), entry.group)
            found += names_in(node, f"{entry.group}={option}: {entry.group}")
    for called, config in more:
        found += names_in(config, called)
    return [(where, name) for name, where in {name: where for where, name in found[::-1]}.items()]


def enqueued_configs(plan: SweepPlan) -> list[tuple[str, TrialConfig]]:
    """The enqueued configs, each with the prefix that messages call it by.

    Raises:
        ConfigError: see ``besom.study.preset_trials.enqueued``.
    """
    return [(f"sweep.enqueue[{i}]: ", preset.config) for i, preset in enumerate(enqueued(plan))]
