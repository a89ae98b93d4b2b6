"""Sets a test part aside from a dataset that comes in one: ``data.test_split``.

It is chosen as validation examples are: by class, by group or by time. Training never sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from besom.errors import DataError
from besom.training.data.array_checks import Array
from besom.training.data.checked import checked_dataset
from besom.training.data.dataset import Dataset, Split
from besom.training.data.examples import is_large_file, take_rows
from besom.training.data.nests import leaves, map_nest
from besom.training.data.splits.holding_out import hold_out
from besom.training.data.streams import is_stream


@dataclass(frozen=True, eq=False)
class OnePart:
    """The part that is left, or the part set aside.

    Attributes:
        dataset: unchecked, as the user's function gave it.
        positions: where its examples are in the whole; None: it is the whole.
        how: how the test part was chosen, in a phrase; empty: there is none.
    """

    dataset: Dataset
    positions: Array | None = None
    how: str = ""


def one_part(
    dataset: Dataset, options: Mapping[str, Any], split: Split, suggested: Any = None
) -> OnePart:
    """Return one of the parts that ``data.test_split`` makes of a dataset.

    Args:
        dataset: all of its examples.
        options: besom's own options of the config node; without ``test_split`` nothing is done.
        split: the part that is wanted.
        suggested: what the loss is for, the same for both parts.

    Raises:
        DataError: an option makes no sense, or leaves nothing on one side.
    """
    share = options.get("test_split")
    if not share:
        return OnePart(dataset)
    if is_stream(dataset.x) or any(is_large_file(leaf) for leaf in leaves(dataset.x)):
        raise DataError(
            f"data.test_split={share}: {dataset.name} is not in memory, so it cannot be split. "
            "Give its test part from the dataset's function."
        )
    seed = options.get("test_seed") or 0
    likewise = {key: options.get(key) for key in ("stratify", "group", "order", "gap")}
    where = f"{dataset.name} (all)"
    checked, task = checked_dataset(dataset, where, said=options.get("task"), suggested=suggested)
    try:
        chosen = hold_out(
            {**likewise, "validation_split": share, "split_seed": seed}, checked, task, where
        )
    except DataError as error:
        words = str(error).replace("data.validation_split", "data.test_split")
        words = words.replace("data.split_seed", "data.test_seed")
        raise DataError(words.replace("validation", "the test")) from error
    positions = chosen.kept if split == "train" else chosen.held
    how = f"test part of {len(chosen.held):,} set aside {chosen.how}"
    if chosen.how == "random" or chosen.how.startswith(("stratified", "by group")):
        how += f", seed {seed}"
    return OnePart(_rows_of(dataset, positions), positions, how)


def _rows_of(dataset: Dataset, positions: Array) -> Dataset:
    def rows(nest: Any) -> Any:
        return None if nest is None else map_nest(lambda leaf: take_rows(leaf, positions), nest)

    x = rows(dataset.x)
    return replace(
        dataset,
        x=x,
        y=x if dataset.y is dataset.x else rows(dataset.y),
        sample_weight=rows(dataset.sample_weight),
        groups=rows(dataset.groups),
        order=rows(dataset.order),
    )
