"""What a user may write after a command to change its config, and what is refused, and why.

Separates the reading of overrides from composing: nothing here calls Hydra's ``compose``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from besom.config.types import dotted_paths, has_path, value_at
from besom.errors import ConfigError, did_you_mean
from besom.targets import TARGET

_MULTIRUN = ("hydra.sweeper", "hydra/sweeper", "hydra.launcher", "hydra/launcher")

MULTIRUN_HELP = (
    "besom does not run Hydra's multirun. Use `besom sweep NAME` with the node `sweep`: "
    "sweep.space replaces hydra.sweeper.params, sweep/sampler replaces hydra.sweeper.sampler, "
    "sweep.n_trials replaces n_trials, and sweep.executor.workers replaces n_jobs and "
    "hydra.launcher."
)

#: Nodes whose keys besom itself reads, and it knows them all. Below a group, a key may be added for
#: the function that the group names.
_CLOSED = ("", "sweep", "sweep.objective")


def refuse_options(words: Sequence[str]) -> None:
    """Refuse what stands where overrides stand but is an option, or belongs to Hydra's multirun.

    Raises:
        ConfigError: says what replaces it.
    """
    for text in words:
        bare = text.lstrip("+~")
        if text in ("-m", "--multirun") or bare.startswith(_MULTIRUN):
            raise ConfigError(f"{text}: {MULTIRUN_HELP}")
        if text.startswith("-"):
            raise ConfigError(f"There is no option {text!r}. `besom COMMAND --help` lists them.")


def parse_override(text: str) -> Override:
    """Parse one override, with Hydra's own parser.

    Raises:
        HydraException: a syntax error; also where the parser itself gives up (thousands of
            brackets, a number of thousands of digits).
    """
    try:
        return OverridesParser.create().parse_override(text)
    except RecursionError:
        raise HydraException("it is nested too deep") from None
    except ValueError as error:
        raise HydraException(str(error)) from None


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse Hydra overrides.

    Raises:
        ConfigError: a syntax error (quoted), a sweep where one value is meant, or multirun's words.
    """
    parsed = []
    refuse_options(overrides)
    for text in overrides:
        try:
            override = parse_override(text)
        except HydraException as error:
            raise ConfigError(
                f"{text!r} is not an override: expected KEY=VALUE in Hydra's grammar, such as "
                f"optimizer.learning_rate=0.01 ({' '.join(str(error).split())})."
            ) from error
        if override.is_sweep_override():
            raise ConfigError(
                f"{text} names several values, but one run takes one. "
                "`besom sweep NAME` takes it into the search space."
            )
        parsed.append(override)
    return parsed


def check_option(override: Override, options: Collection[str]) -> None:
    """Check an override that chooses the option of a config group.

    Args:
        override: whose key is the group.
        options: the group's.

    Raises:
        ConfigError: no name, or none of these (near names are listed).
    """
    group, value = override.key_or_group, override.value()
    if not isinstance(value, str):
        raise ConfigError(
            f"{override.input_line}: {group} takes the name of one option: "
            f"{', '.join(sorted(options))}."
        )
    if value not in options:
        raise ConfigError(
            f"{group}={value}: there is no option {value!r} in the group {group!r}."
            + did_you_mean(value, options)
        )


def check_key(
    override: Override, base: Mapping[str, Any], groups: Collection[str], elsewhere: str = ""
) -> None:
    """Check that something reads the key which an override sets, adds or deletes.

    Args:
        override: whose key is no group.
        base: the config that it overrides, plain.
        groups: the config groups, whose names are no keys but may be meant.
        elsewhere: if other options than the chosen one have the key: which, as a sentence.

    Raises:
        ConfigError: there is no such key (near names are listed), and adding it would help nobody.
    """
    key = override.key_or_group
    if has_path(base, key):
        return
    parent, _, leaf = key.rpartition(".")
    inside = parent
    while inside and not has_path(base, inside):
        inside = inside.rpartition(".")[0]
    adds, takes_more = override.is_add() or override.is_force_add(), inside not in _CLOSED
    if adds and takes_more:
        return
    siblings = value_at(base, parent) if parent and has_path(base, parent) else None
    if isinstance(siblings, Mapping):
        hint = did_you_mean(leaf, [name for name in siblings if name != TARGET])
        said = f"{parent} has no {leaf!r}.{hint}"
        if takes_more:
            said += elsewhere or (
                f" A key that the option takes but does not list is added with '+{key}=...'."
            )
    else:
        known = {*groups, *(p for p in dotted_paths(base) if not p.endswith(TARGET))}
        hint = did_you_mean(key, known)
        if hint.startswith(" Known"):
            hint = did_you_mean(key, base)
        said = f"the config has no {key!r}.{hint}"
    if adds:
        said += (
            " Nothing would read an added one: '+' adds a key below a group, for the function that "
            "the group names, as in '+model.KEY=VALUE'."
        )
    raise ConfigError(f"{override.input_line}: {said}")
