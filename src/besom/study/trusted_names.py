"""Every name in a sweep that would become code, to be judged before anything is imported."""

from __future__ import annotations

from collections.abc import Sequence

from besom.config import lookup
from besom.seam import TrialConfig
from besom.store.records import Origin
from besom.study.plan import SweepPlan
from besom.study.preset_trials import all_given
from besom.targets import TARGET, names_in
from besom.trust import current

#: Where a sweep names its trial function.
_TRIALS = "sweep.trial_function"

#: Parts of the node ``sweep`` that are judged as what they come to: entries, given configs.
_NOT_RUN = ("space", "enqueue")


def check_trusted(plan: SweepPlan, more: Sequence[tuple[str, TrialConfig]] = ()) -> None:
    """Refuse a sweep for the code that it names; nothing is imported.

    Args:
        plan: the sweep.
        more: configs that run as they are, each after what it is called.

    Raises:
        TrustError: names what may not be run, and the line that would allow it.
    """
    for where, dotted in names_of(plan, more):
        current().check_name(dotted, where, is_trial=where == _TRIALS)


def names_of(
    plan: SweepPlan, more: Sequence[tuple[str, TrialConfig]] = ()
) -> list[tuple[str, str]]:
    """Every name that a sweep would resolve, each once, after where it stands.

    Raises:
        TrustError: among arguments there is a serialised Keras object.
    """
    found = list(names_in({TARGET: plan.sweep["trial_function"].replace(":", ".")}))
    found = [(_TRIALS, name) for _, name in found]
    found += names_in({key: v for key, v in plan.config.items() if key != "sweep"})
    found += names_in({k: v for k, v in plan.sweep.items() if k not in _NOT_RUN}, "sweep")
    for entry in plan.space.entries:
        choices = list(entry.choices or ())
        if entry.group is None:
            found += names_in({entry.path: choices}, inside=True)
            continue
        for option in choices:
            node = lookup(plan.trial_base({entry.group: option}), entry.group)
            found += names_in(node, f"{entry.group}={option}: {entry.group}")
    for called, config in more:
        found += names_in(config, called)
    return [(where, name) for name, where in {name: where for where, name in found[::-1]}.items()]


def given_configs(plan: SweepPlan) -> list[tuple[str, TrialConfig]]:
    """The configs that a new study begins with, each after what it is called.

    Raises:
        ConfigError: see ``besom.study.preset_trials.enqueued``.
    """
    enqueued = [g.config for g in all_given(plan) if g.origin is not Origin.BASELINE]
    return [(f"sweep.enqueue[{i}]: ", config) for i, config in enumerate(enqueued)]
