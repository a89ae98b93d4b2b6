"""The search space itself: sampling, and going back and forth between Optuna and the config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial

from besom.config.tree import MISSING, apply, leaves, lookup, within
from besom.config.types import Refused, show
from besom.equality import same
from besom.errors import SpaceError, did_you_mean
from besom.space.config_source import ConfigSource
from besom.space.entries import Drawn, Entry, read_back, sampled
from besom.space.grid import Grid


@dataclass(frozen=True)
class Sample:
    """One point of a space, typed as the config will hold it; only what applies.

    Attributes:
        params: dotted path (or config group) to its value, in the space's order.
        groups: the config groups among them: compose for these,
        values: then :func:`~besom.space.apply` these.
    """

    params: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


class Space:
    """A checked search space; made by :func:`~besom.space.parse_space`.

    Example:
        >>> import optuna
        >>> from besom.space import apply, parse_space
        >>> base = {"model": {"dropout": 0.2, "hidden_units": [512, 256]}}
        >>> spec = {"model.dropout": {"low": 0.0, "high": 0.5, "step": 0.1}}
        >>> space = parse_space(spec, base, groups={}, choices={})
        >>> sample = space.suggest(optuna.trial.FixedTrial({"model.dropout": 0.30000000000000004}))
        >>> apply(base, sample.values)
        {'model': {'dropout': 0.3, 'hidden_units': [512, 256]}}

    One point has three forms, which are converted into each other here: Optuna's parameters by
    Optuna's name (``stored``: one for each element of a list, lists and mappings among choices as
    text), the params by dotted path, and the config itself.

    Attributes:
        entries: every entry, in the order written.
        notes: one line for each entry that was left out, and why: the command line fixes it, or it
            depends on an option of a sampled group that is not among the choices.
        spec: the entries as written, plain and flat, without what the command line fixes.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        order: Sequence[Entry],
        composer: ConfigSource,
        notes: Sequence[str] = (),
        spec: Mapping[str, Any] | None = None,
    ) -> None:
        self.entries = tuple(entries)
        self.notes = tuple(notes)
        self.spec = dict(spec or {})
        self._order = tuple(order)
        self._composer = composer
        self._names = {name for entry in entries for name in entry.distributions()}

    @property
    def paths(self) -> tuple[str, ...]:
        """Every dotted path (or group) that can be sampled, each once, in the order written."""
        return tuple(dict.fromkeys(entry.path for entry in self.entries))

    @property
    def is_conditional(self) -> bool:
        """Whether a parameter can be absent from a trial: by a ``when``, or by a list's length."""
        return any(entry.is_conditional for entry in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Every Optuna parameter the space can produce, in the order of sampling."""
        return {k: v for entry in self._order for k, v in entry.distributions().items()}

    def suggest(self, trial: BaseTrial) -> Sample:
        """Sample what applies, define-by-run: always in the same order, with the same ranges."""
        drawn = sampled(self._order, trial, Drawn(self._composer))
        params = {path: drawn.values[path] for path in self.paths if path in drawn.values}
        values = {path: v for path, v in params.items() if path not in drawn.groups}
        return Sample(params, drawn.groups, values)

    def decode(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Return stored Optuna parameters as typed values by dotted path, in the space's order.

        Parameters that this space does not have (it was changed since) follow as they are.
        """
        values = read_back(self._order, stored, Drawn(self._composer)).values
        params = {path: values[path] for path in self.paths if path in values}
        return params | {k: v for k, v in stored.items() if k not in self._names}

    def encode(
        self, config: Mapping[str, Any], choices: Mapping[str, str] | None = None
    ) -> dict[str, Any] | None:
        """Return the Optuna parameters whose trial samples what this config holds.

        Args:
            config: a plain config; only the paths of the space are read.
            choices: the options it was composed for; None or missing: the base's.

        Returns:
            The parameters by Optuna's name, of the entries that apply; None where a value lies
            outside the space: :meth:`outside` says why.
        """
        stored, reasons, _ = self._encode(config, choices or {})
        return None if reasons else stored

    def outside(
        self, config: Mapping[str, Any], choices: Mapping[str, str] | None = None
    ) -> list[str]:
        """Return the reasons why a config lies outside the space, one for each path; or none."""
        return self._encode(config, choices or {})[1]

    def _encode(
        self, config: Mapping[str, Any], choices: Mapping[str, str]
    ) -> tuple[dict[str, Any], list[str], Drawn]:
        stored: dict[str, Any] = {}
        reasons: list[str] = []
        drawn = Drawn(self._composer)
        for entry in self._order:
            if not entry.applies(drawn):
                continue
            if entry.group is None:
                value = lookup(config, entry.path)
            else:
                value = choices.get(entry.group, self._composer.choices.get(entry.group, MISSING))
            if value is MISSING:
                reasons.append(f"{entry.path} is not in this config")
                continue
            try:
                stored |= entry.params_of(value, drawn)
            except Refused as refused:
                reasons.append(f"{entry.path}: {refused}")
            drawn = drawn.plus(entry, value)
        return stored, reasons, drawn

    def without_idle(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return params by dotted path without those that this space would not have sampled.

        Another tuner may have sampled a momentum for Adam too, which had no part in its trial.
        """
        drawn, idle, used = Drawn(self._composer), set(), set()
        for entry in self._order:
            if entry.path not in params:
                continue
            if entry.applies(drawn):
                drawn = drawn.plus(entry, params[entry.path])
                used.add(entry.path)
            else:
                idle.add(entry.path)
        return {path: value for path, value in params.items() if path not in idle - used}

    def complete(self, params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the config, and its choice of groups, that some params by dotted path stand for.

        What is not among them is as in the config composed for the groups among them. Paths
        outside the space are set too; :meth:`encode` then sees only those inside.

        Raises:
            SpaceError: an option or a path is unknown, or a value is of the wrong type.
        """
        groups = {k: v for k, v in params.items() if k in self._composer.groups}
        for group, option in groups.items():
            if option not in (options := self._composer.groups[group]):
                hint = did_you_mean(str(option), options)
                raise SpaceError(f"{show(option)} is not an option of the group '{group}'.{hint}")
        rest = {path: value for path, value in params.items() if path not in groups}
        config = apply(self._composer.config(groups), rest)
        return config, {**self._composer.choices, **groups}

    def differences(
        self, config: Mapping[str, Any], choices: Mapping[str, str] | None = None
    ) -> list[str]:
        """Say where a config is not what this sweep would run, apart from what is sampled.

        Returns:
            For each path that differs from the config the sweep would compose, the path with both
            values: ``trainer.epochs is 40, here 20``.
        """
        drawn = self._encode(config, choices or {})[2]
        theirs, ours = leaves(config), leaves(self._composer.config(drawn.groups))
        sampled = [path for path in drawn.values if path not in drawn.groups]
        lines = []
        for path in dict.fromkeys([*ours, *theirs]):
            given, here = theirs.get(path, MISSING), ours.get(path, MISSING)
            if same(given, here) or any(within(path, outer) for outer in sampled):
                continue
            words = ["absent" if v is MISSING else show(v) for v in (given, here)]
            lines.append(f"{path} is {words[0]}, here {words[1]}")
        return lines

    def grid(self) -> Grid:
        """Return every point of a finite space.

        Raises:
            SpaceError: the space is infinite; names the entries that make it so.
        """
        return Grid(self._order, self._composer)
