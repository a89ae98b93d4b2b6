"""The configs that a space is read against, one for each choice of group options."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from besom.config.tree import within
from besom.config.types import Refused

#: Gives the plain config composed for a complete choice of groups. Called often: cache it.
Compose = Callable[[Mapping[str, str]], Mapping[str, Any]]


class NeverApplies(Refused):
    """An entry depends on something that is not sampled. This is no mistake where a sweep is
    narrowed (``optimizer=adam`` over a space with an entry for sgd), so the entry is left out."""

    entry = ""  # its name


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

    def group_at(self, path: str) -> str | None:
        """The config group a path names, whether written model/head or model.head."""
        return next((g for g in (path, path.replace(".", "/")) if g in self.groups), None)

    def never(self, paths: Iterable[str], why: str) -> Refused:
        """An entry that reads these can never apply: a slip, unless the command line is why."""
        return (NeverApplies if any(map(self.settles, paths)) else Refused)(why)

    def config(self, chosen: Mapping[str, str]) -> Mapping[str, Any]:
        """Return the plain config in which these options replace the base's."""
        complete = {**self.choices, **chosen}
        if self.compose is None or complete == dict(self.choices):
            return self.base
        return self.compose(complete)

    def variants(
        self, options: Mapping[str, Sequence[str]]
    ) -> Iterator[tuple[dict[str, str], Mapping[str, Any]]]:
        """Yield choices and configs that show every option of every group once.

        One group is varied at a time: every combination would take minutes to compose. Without a
        way to compose there is only the base, if its options are among these.
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
