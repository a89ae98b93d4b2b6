"""Reads and checks overrides: what a user may write after a command to change its config.

Nothing here composes: see ``besom.config.compose``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import HydraException

from besom.config.tree import every_path, has_path, lookup
from besom.errors import ConfigError, did_you_mean
from besom.targets import TARGET

_MULTIRUN = ("hydra.sweeper", "hydra/sweeper", "hydra.launcher", "hydra/launcher")

MULTIRUN_HELP = (
    "besom does not run Hydra's multirun. Use `besom sweep NAME` with the node `sweep`: "
    "sweep.space replaces hydra.sweeper.params, sweep/sampler replaces hydra.sweeper.sampler, "
    "sweep.n_trials replaces n_trials, and sweep.executor.workers replaces n_jobs and "
    "hydra.launcher."
)

#: Nodes whose keys besom itself reads, so that it knows all of them. Below a group, a key may be
#: added for the function that the group names.
_CLOSED = ("", "sweep", "sweep.objective")


def refuse_options(words: Sequence[str]) -> None:
    """Refuse options among the overrides, and whatever belongs to Hydra's multirun.

    Raises:
        ConfigError: says what to use instead.
    """
    for text in words:
        bare = text.lstrip("+~")
        if text in ("-m", "--multirun") or bare.startswith(_MULTIRUN):
            raise ConfigError(f"{text}: {MULTIRUN_HELP}")
        if text.startswith("-"):
            raise ConfigError(f"There is no option {text!r}. `besom COMMAND --help` lists them.")


class NotAnOverride(ConfigError):
    """A text that Hydra's parser cannot read; ``reason`` is what the parser says, on one line."""

    def __init__(self, text: str, reason: str, such_as: str) -> None:
        super().__init__(f"{text!r} is not an override: {reason}. Expected {such_as}.")
        self.reason = reason


def parse_override(
    text: str, such_as: str = "KEY=VALUE in Hydra's grammar, such as optimizer.learning_rate=0.01"
) -> Override:
    """Parse one override, with Hydra's own parser.

    ``such_as`` says what was expected.

    Raises:
        NotAnOverride: a syntax error; also where the parser itself gives up (thousands of
            brackets, a number of thousands of digits).
    """
    try:
        return OverridesParser.create().parse_override(text)
    except RecursionError:
        raise NotAnOverride(text, "it is nested too deeply", such_as) from None
    except (HydraException, ValueError) as error:
        raise NotAnOverride(text, _reason(error), such_as) from None


def _reason(error: Exception) -> str:
    """The first line of what the parser says, without its own words for types."""
    reason = next(iter(str(error).strip().splitlines()), "it cannot be read")
    if "NoneType is incompatible" in reason and "evaluating '" in reason:
        function = reason.partition("evaluating '")[2].partition("(")[0]
        return f"{function}() takes no null: write the values without it (null,a,b)"
    return reason


def plain_value(value: Any) -> Any:
    """Return a parsed value as plain data: quoted strings become text, at any depth."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [plain_value(item) for item in value]
    if isinstance(value, dict):
        return {plain_value(key): plain_value(item) for key, item in value.items()}
    return value


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse Hydra overrides.

    Raises:
        ConfigError: a syntax error (quoted), a sweep where one value is meant, or multirun's words.
    """
    refuse_options(overrides)
    parsed = [parse_override(text) for text in overrides]
    if several := [override for override in parsed if override.is_sweep_override()]:
        raise ConfigError(
            f"{several[0].input_line} gives several values, but a run takes one. "
            "With `besom sweep NAME` it becomes part of the search space."
        )
    return parsed


def check_option(override: Override, options: Collection[str]) -> None:
    """Check an override that chooses the option of a config group.

    Raises:
        ConfigError: no name, or none of the group's ``options`` (near names are listed).
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
    """Check that something reads the key that an override sets, adds or deletes.

    Args:
        base: the plain config that it overrides.
        groups: the config groups: not keys, but one may be meant.
        elsewhere: if options other than the chosen one have the key: which, as a sentence.

    Raises:
        ConfigError: there is no such key (near names are listed), and nothing would read it.
    """
    key = override.key_or_group
    if key and has_path(base, key):
        return
    parent, _, leaf = key.rpartition(".")
    inside = parent
    while inside and not has_path(base, inside):
        inside = inside.rpartition(".")[0]
    adds, takes_more = override.is_add() or override.is_force_add(), inside not in _CLOSED
    if adds and takes_more:
        return
    siblings = lookup(base, parent) if parent else None
    if isinstance(siblings, Mapping):
        hint = did_you_mean(leaf, [name for name in siblings if name != TARGET])
        message = f"{parent} has no {leaf!r}.{hint}"
        if takes_more:
            message += elsewhere or (
                f" A key that the option takes but does not list is added with '+{key}=...'."
            )
    else:
        known = {*groups, *(p for p in every_path(base) if not p.endswith(TARGET))}
        hint = did_you_mean(key, known)
        if hint.startswith(" Known"):
            hint = did_you_mean(key, base)
        message = f"the config has no {key!r}.{hint}"
    if adds:
        message += (
            " Nothing would read this key: '+' adds a key below a group, for the function that the "
            "group names, as in '+model.KEY=VALUE'."
        )
    raise ConfigError(f"{override.input_line}: {message}")
