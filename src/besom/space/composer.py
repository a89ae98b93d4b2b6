"""The configs that a space is checked against: the base, and one for any choice of groups."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from besom.config.tree import MISSING, lookup, within
from besom.space.conditions import Source

#: Gives the plain config composed for a complete choice of groups. Called often: cache it.
Compose = Callable[[Mapping[str, str]], Mapping[str, Any]]


def node_of(group: str) -> str:
    """The dotted path of the config node that a group fills (``model/head`` fills model.head)."""
    return group.replace("/", ".")


@dataclass(frozen=True)
class ConfigSource:
    """Composes configs for choices of groups.

    Attributes:
        base: the base config, plain.
        groups: config group to its available options.
        choices: the option of each group in the base config.
        compose: None if only the base config is available.
        settled: paths that the command line takes out of the search.
    """

    base: Mapping[str, Any]
    groups: Mapping[str, Collection[str]]
    choices: Mapping[str, str]
    compose: Compose | None = None
    settled: Collection[str] = ()

    def settles(self, path: str) -> bool:
        """Whether the command line takes out of the search what is read at ``path``."""
        return any(within(path, outer) for outer in self.settled)

    def config(self, chosen: Mapping[str, str]) -> Mapping[str, Any]:
        """Return the plain config in which these options replace the base's."""
        complete = {**self.choices, **chosen}
        if self.compose is None or complete == dict(self.choices):
            return self.base
        return self.compose(complete)

    def variants(
        self, options: Mapping[str, Sequence[str]]
    ) -> Iterator[tuple[dict[str, str], Mapping[str, Any]]]:
        """Configs that show every option of every group once, varying one group at a time.

        Composing every combination would take minutes with a handful of groups.

        Yields:
            The chosen options, and the config composed for them; only the base where there is
            no way to compose others (nothing, if the base's option is not among them).
        """
        anchor = {
            group: self.choices[group] if self.choices.get(group) in names else names[0]
            for group, names in options.items()
        }
        if self.compose is not None or all(self.choices.get(g) == o for g, o in anchor.items()):
            yield anchor, self.config(anchor)
        if self.compose is None:
            return
        for group, names in options.items():
            for name in names:
                if name != anchor[group]:
                    chosen = {**anchor, group: name}
                    yield chosen, self.config(chosen)


@dataclass
class Drawn:
    """What is sampled so far, over the config composed for it."""

    composer: ConfigSource
    values: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, group: str | None, value: Any) -> None:
        """Note a sampled value."""
        self.values[path] = value
        if group is not None:
            self.groups[group] = value

    def copy(self) -> Drawn:
        """Return another with the same values."""
        return Drawn(self.composer, dict(self.values), dict(self.groups))

    def read(self, source: Source) -> Any:
        """Return the value a condition reads, or MISSING."""
        if source.sampled:
            return lookup(self.values.get(source.path, MISSING), source.rest, lengths=True)
        return lookup(self.composer.config(self.groups), source.path, lengths=True)
