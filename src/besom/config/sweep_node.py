"""What a sweep may leave out, paste or empty, settled before anything reads the node ``sweep``.

Besom reads one form of it: entries under ``sweep.space``, a direction for each objective, mappings
that hold what is meant and nothing inherited. The other forms are turned into that one here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from besom.config.overrides import MULTIRUN_HELP
from besom.config.yaml_files import read_yaml
from besom.errors import ConfigError
from besom.metrics import usual_direction
from besom.text.values import given_text
from besom.trust import current

#: Mappings whose keys the user names: ``{}`` empties them, where Hydra would merge nothing in.
_OPEN = ("sweep.space", "sweep.constraints")


def refuse_multirun(path: Path) -> None:
    """Refuse a primary config that chooses or sets up Hydra's sweeper or launcher.

    Its ``hydra.sweeper.params`` alone is welcome: see :func:`pasted_params`.

    Raises:
        ConfigError: names what to delete, and what replaces it.
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
    """Refuse ``pkg://`` in ``hydra.searchpath``: to look into a package, Hydra imports it.

    Raises:
        TrustError: the package is none that a config may name.
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

    They are of the space, so none is left where an override empties that.
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
    """Take out of a composed config what an override has emptied, but for what later ones add."""
    for path in _OPEN:
        touching = [o for o in overrides if f"{o.key_or_group}.".startswith(f"{path}.")]
        last = max((i for i, o in enumerate(touching) if empties(o)), default=None)
        if last is None:
            continue
        added = OmegaConf.create({})
        for override in touching[last + 1 :]:
            if not override.is_delete():
                OmegaConf.update(added, override.key_or_group, override.value(), force_add=True)
        OmegaConf.update(node, path, OmegaConf.select(added, path) or {}, merge=False)


def settle_nulls(sweep: dict[str, Any], options: Mapping[str, Collection[str]]) -> None:
    """Read a key with nothing below it as empty, and refuse one that has to build something.

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
                f"sweep.{key} is {given_text(sweep[key])}, which builds nothing: write "
                f"sweep/{key}=NAME, with one of {names}."
            )


def settle_directions(sweep: Mapping[str, Any], overrides: Sequence[Override] = ()) -> None:
    """Fill in the directions that objectives leave out: losses and costs are minimized.

    Raises:
        ConfigError: the command line names another metric, and the direction in the file, meant
            for the file's, is not what that metric asks for.
    """
    objective = sweep["objective"]
    named = {path for override in overrides for path in _named(override)}
    changed = "sweep.objective.metric" in named and "sweep.objective.direction" not in named
    usual = usual_direction(objective["metric"])
    if changed and objective["direction"] not in (None, usual):
        raise ConfigError(
            f"sweep.objective.metric={objective['metric']}: the sweep says direction: "
            f"{objective['direction']}, for the metric it had before. Say what you mean: "
            f"sweep.objective.direction={usual} (or {objective['direction']})."
        )
    for node in (objective, *sweep["objectives"]):
        if node["direction"] is None:
            node["direction"] = usual_direction(node["metric"])


def _named(override: Override) -> list[str]:
    """The paths an override sets: its key, or for a mapping each key in that."""
    key, value = override.key_or_group, override.value()
    return [f"{key}.{inner}" for inner in value] if isinstance(value, dict) else [key]
