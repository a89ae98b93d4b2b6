"""The folds of a dataset: all of its training part, loaded once, divided anew for each run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from besom.training.data.dataset import TrainingData, in_memory
from besom.training.data.loading import open_for_folds
from besom.training.data.opened import Opened
from besom.training.data.splits.folding import Folding, folds_of
from besom.training.data.tabular.feature_space import EncodedColumns

log = logging.getLogger("besom")


class Folds:
    """Folds, made one at a time; the last one is kept.

    Args:
        opened: the training part.
        folding: which examples each fold holds out.

    Attributes:
        whole: all of the training part, undivided: its validation examples are those that a fold
            holds out. A table's columns are not encoded in it.
    """

    def __init__(self, opened: Opened, folding: Folding) -> None:
        self._opened, self._folding = opened, folding
        examples, predicted = in_memory(opened.dataset.examples), folding.predicted
        gap = folding.times if folding.gap else None
        self.whole = opened.described(
            TrainingData(
                train=examples,
                validation=examples if len(predicted) == examples.n else examples.take(predicted),
                task=opened.task,
                num_classes=opened.task.num_classes,
                fingerprint=opened.digits(folding.fold_of, gap, np.array([folding.gap])),
                name=opened.dataset.name,
                split=folding.how,
                fixed_split=folding.is_fixed,
                n_folds=folding.n_folds,
            )
        )
        self._columns: dict[int, EncodedColumns] = {}  # what adapting them takes is taken once
        self._last: tuple[int, TrainingData] | None = None

    def fold(self, number: int) -> TrainingData:
        """The data with the fold ``number``, from 0, held out.

        Its fingerprint is that of all folds.
        """
        if self._last is None or self._last[0] != number:
            self._last = None  # before the next one takes its memory
            held = self._folding.fold(number)
            data = self._opened.divided(held, self.whole.fingerprint, self._columns.get(number))
            if data.columns is not None:
                self._columns[number] = data.columns
            self._last = number, replace(data, whole=self.whole, n_folds=self.whole.n_folds)
        return self._last[1]


def load_folds(data: Mapping[str, Any], suggested: Any, n_folds: int) -> Folds:
    """Load the training part and divide it into folds.

    Args:
        data, suggested: as for ``besom.training.data.load_training``; ``validation_split`` is not
            used.
        n_folds: at least 2.

    Raises:
        ConfigError, DataError: as ``load_training``; or the folds cannot be made.
    """
    opened = open_for_folds(data, suggested, n_folds)
    folding = folds_of(opened.options, opened.dataset, opened.task, n_folds, opened.where)
    folds = Folds(opened, folding)
    log.info("%s: %s; %s", opened.where, opened.task, folds.whole.split)
    return folds
