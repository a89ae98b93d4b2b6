"""The training part in memory, on its way from the user's arrays to what a trial trains on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from besom.text.counting import counted
from besom.training.data.array_checks import Array
from besom.training.data.checked import checked_dataset, scaling
from besom.training.data.dataset import Dataset, TrainingData, in_memory
from besom.training.data.examples import Examples, LazyRows
from besom.training.data.fingerprint import fingerprint
from besom.training.data.nests import leaves
from besom.training.data.splits.holding_out import HeldOut
from besom.training.data.splits.setting_aside import OnePart
from besom.training.data.tabular.feature_space import ColumnFeatures, EncodedColumns
from besom.training.data.task import Task, check_worth_learning


@dataclass(frozen=True, eq=False)
class Opened:
    """The training part in memory, before any of it is held out.

    Attributes:
        dataset: checked.
        said: the same before.
        task: what is to be learned.
        part: where it comes from.
        options: besom's own of the config node.
        where: the beginning of an error message.
        suggested: what the loss says of the labels.
    """

    dataset: Dataset
    said: Dataset
    task: Task
    part: OnePart
    options: Mapping[str, Any]
    where: str
    suggested: Any

    @classmethod
    def of(
        cls, part: OnePart, options: Mapping[str, Any], where: str, suggested: Any = None
    ) -> Opened:
        """Check it.

        Raises:
            DataError: it cannot be trained on.
        """
        dataset, task = checked_dataset(
            part.dataset, where, said=options.get("task"), suggested=suggested
        )
        check_worth_learning(task, dataset.y, where)
        return cls(dataset, part.dataset, task, part, options, where, suggested)

    def digits(self, *chosen: Any) -> str:
        """The fingerprint, with arrays that say which examples are held out."""
        columns = self.dataset.columns
        identity = None if columns is None else columns.identity
        return fingerprint(self.dataset, self.task, *chosen, identity)

    def divided(
        self, chosen: HeldOut, digits: str, columns: EncodedColumns | None = None
    ) -> TrainingData:
        """The data with these examples held out.

        Args:
            chosen: which.
            digits: the fingerprint.
            columns: a table's, where it is known already how they are encoded; else the training
                part teaches it.
        """
        examples = in_memory(self.dataset.examples)
        is_divided = len(chosen.held) > 0
        training = self.described(
            TrainingData(
                # With nothing held out the arrays are handed on, not copied.
                train=examples.take(chosen.kept) if is_divided else examples,
                validation=examples.take(chosen.held) if is_divided else None,
                task=self.task,
                num_classes=self.task.num_classes,
                fingerprint=digits,
                name=self.dataset.name,
                split=chosen.how,
                units=chosen.units,
                positions=_in_file(self.dataset, self.part, chosen.held),
                fixed_split=chosen.is_fixed,
            )
        )
        return self.encoded(training, columns)

    def encoded(self, training: TrainingData, columns: EncodedColumns | None) -> TrainingData:
        """The same, a table's columns encoded; see ``divided``."""
        if self.dataset.columns is None:
            return training
        return _with_columns(training, self.dataset.columns, columns)

    def described(self, training: TrainingData) -> TrainingData:
        """The same, with what is known of the dataset."""
        notes = [training.split, self.part.how, _dropped(self.dataset), _late(self.dataset)]
        return replace(
            training,
            split="; ".join(filter(None, notes)),
            scaling=scaling(self.dataset, self.said),
            class_names=self.dataset.class_names,
            suggested=self.suggested,
        )


def _with_columns(
    training: TrainingData, columns: ColumnFeatures, adapted: EncodedColumns | None
) -> TrainingData:
    """Encode a table's columns as the training part alone teaches."""
    adapted = adapted or columns.adapted(training.x_train)
    training = replace(training, columns=adapted)
    if not columns.encode:
        return training

    def encoded(part: Examples) -> Examples:
        return replace(part, x=adapted.encode(part.x), scales=1.0)

    held = training.validation
    return replace(
        training,
        train=encoded(in_memory(training.train)),
        validation=None if held is None else encoded(in_memory(held)),
        validation_columns=None if held is None else in_memory(held).x,
        scaling=columns.in_words,
    )


def _in_file(dataset: Dataset, part: OnePart, held: Array) -> Array:
    """Where examples are in what the user gave: before a test part or rows were taken out."""
    held = held if part.positions is None else part.positions[held]
    return held if dataset.kept is None else np.flatnonzero(dataset.kept)[held]


def _dropped(dataset: Dataset) -> str:
    n = 0 if dataset.kept is None else int(np.count_nonzero(~dataset.kept))
    return f"{counted(n, 'row')} with missing values dropped" if n else ""


def _late(dataset: Dataset) -> str:
    late = any(isinstance(leaf, LazyRows) for leaf in leaves(dataset.x))
    return "read from disk as they are needed" if late else ""
