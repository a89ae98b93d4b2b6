"""Brings the node ``sweep`` into one form before anything else reads it.

In that form all entries are under ``sweep.space``, every objective has a direction, and mappings
that were emptied inherit nothing. The other forms that users may write are converted here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from besom.config.overrides import MULTIRUN_HELP
from besom.config.tree import within
from besom.config.yaml_files import read_yaml
from besom.errors import ConfigError
from besom.metrics import usual_direction
from besom.text.values import given_text
from besom.trust import current

#: Mappings whose keys the user names. ``{}`` empties them; Hydra alone would change nothing.
_OPEN = ("sweep.space", "sweep.constraints")


def refuse_multirun(path: Path) -> None:
    """Refuse a primary config that chooses or sets up Hydra's sweeper or launcher.

    Only its ``hydra.sweeper.params`` is accepted: see :func:`pasted_params`.

    Raises:
        ConfigError: says what to delete, and what to use instead.
    """
    content = read_yaml(path)
    defaults = content.get("defaults")
    for line in defaults if isinstance(defaults, list) else ():
        for key, option in line.items() if isinstance(line, Mapping) else ():
            if str(key).endswith(("hydra/sweeper", "hydra/launcher")):
                raise _refusal(path, f"{key}: {option}")
    hydra = content.get("hydra", {})
    if not isinstance(hydra, Mapping):
        raise ConfigError(f"{path} has 'hydra: {hydra}', expected a mapping: delete it.")
    for part in ("sweeper", "launcher"):
        node = hydra.get(part)
        for key in node if isinstance(node, Mapping) else ():
            if (part, key) != ("sweeper", "params"):
                raise _refusal(path, f"hydra.{part}.{key}")


def refuse_packages(path: Path) -> None:
    """Refuse untrusted ``pkg://`` in ``hydra.searchpath``: Hydra imports such a package.

    Raises:
        TrustError: a config may not name the package.
    """
    for place in OmegaConf.select(OmegaConf.create(read_yaml(path)), "hydra.searchpath") or ():
        scheme, _, package = str(place).partition("://")
        if scheme == "pkg":
            current().check_name(package.replace("/", ".").strip("."), "hydra.searchpath")


def _refusal(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{path} has '{what}': delete it (hydra.sweeper.params may stay). {MULTIRUN_HELP}"
    )


def pasted_params(node: DictConfig, overrides: Sequence[Override]) -> dict[str, Any]:
    """The entries of ``hydra.sweeper.params``, which ``sweep.space`` takes as they are.

    They are part of the space: an override that empties it drops them too.
    """
    if any(o.key_or_group == "sweep.space" and empties(o) for o in overrides):
        return {}
    params = OmegaConf.select(node, "hydra.sweeper.params")
    plain = {} if params is None else OmegaConf.to_container(params, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def empties(override: Override) -> bool:
    """Whether an override leaves nothing of a mapping: ``sweep.space={}``, ``~sweep.space``."""
    emptied = override.is_delete() or override.value() in ({}, None)
    return override.key_or_group in _OPEN and emptied


def empty(node: DictConfig, overrides: Sequence[Override]) -> None:
    """Remove what an override has emptied from a composed config; keep what later ones add."""
    for path in _OPEN:
        touching = [o for o in overrides if within(o.key_or_group, path)]
        last = max((i for i, o in enumerate(touching) if empties(o)), default=None)
        if last is None:
            continue
        added = OmegaConf.create({})
        for override in touching[last + 1 :]:
            if not override.is_delete():
                OmegaConf.update(added, override.key_or_group, override.value(), force_add=True)
        OmegaConf.update(node, path, OmegaConf.select(added, path) or {}, merge=False)


def settle_nulls(sweep: dict[str, Any], options: Mapping[str, Collection[str]]) -> None:
    """Read null as empty, and refuse it where the key has to build something.

    Args:
        sweep: the composed node, changed in place.
        options: config group to its options, for the message.

    Raises:
        ConfigError: names the group to choose from.
    """
    for key, empty_value in (
        ("space", {}),
        ("constraints", {}),
        ("enqueue", []),
        ("objectives", []),
    ):
        if sweep[key] is None:
            sweep[key] = empty_value
    for key in ("sampler", "pruner", "executor"):
        if not isinstance(sweep[key], Mapping):
            names = ", ".join(sorted(options.get(f"sweep/{key}", ())))
            raise ConfigError(
                f"sweep.{key} is {given_text(sweep[key])}, which builds nothing: choose one of "
                f"{names} with sweep/{key}=NAME."
            )


def settle_directions(sweep: Mapping[str, Any], overrides: Sequence[Override] = ()) -> None:
    """Fill in the directions that objectives omit: losses and costs are minimized.

    Raises:
        ConfigError: the command line names another metric, and the direction in the file, meant
            for the file's own metric, is not that metric's usual direction.
    """
    objective = sweep["objective"]
    named = {path for override in overrides for path in _named(override)}
    changed = "sweep.objective.metric" in named and "sweep.objective.direction" not in named
    usual = usual_direction(objective["metric"])
    if changed and objective["direction"] not in (None, usual):
        raise ConfigError(
            f"sweep.objective.metric={objective['metric']}: the sweep file sets direction: "
            f"{objective['direction']} for its own metric. Set the direction too: "
            f"sweep.objective.direction={usual} (or {objective['direction']})."
        )
    for node in (objective, *sweep["objectives"]):
        if node["direction"] is None:
            node["direction"] = usual_direction(node["metric"])


def _named(override: Override) -> list[str]:
    """The paths an override sets: its key, or for a mapping each key in that."""
    key, value = override.key_or_group, override.value()
    return [f"{key}.{inner}" for inner in value] if isinstance(value, dict) else [key]
