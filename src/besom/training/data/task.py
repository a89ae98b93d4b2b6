"""What a model is to learn: inferred from the labels, or said by ``data.task``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from besom.errors import DataError
from besom.text.values import given_text
from besom.training.data.array_checks import Array
from besom.training.data.by_output import (
    ByOutput,
    by_output,
    keys,
    listed,
    parts,
    spread,
    wheres,
)
from besom.training.data.labels import (
    WITH_CLASSES,
    cast_labels,
    check_in_range,
    check_varied,
    kind_of,
)
from besom.training.data.nests import is_nest

#: What ``data.task`` may be, of each output.
SAID = ("classification", "multilabel", "regression", "none")


@dataclass(frozen=True)
class Task:
    """What a model is to learn.

    Attributes:
        kind: what the labels are; with several outputs a dict or list of such, as ``y``.

            - classification: class numbers from 0, of each example or each of its positions
            - one-hot: rows with exactly one 1
            - binary: 0 or 1, as floats
            - multilabel: rows of 0 and 1
            - regression: floats
            - none: no labels, or labels that besom does not read
        num_classes: how many classes there are; the tags of multilabel; None for the other kinds.
            With several outputs a dict or list, as ``kind``.
        output_shape: the shape of what a model should return for one example; None if unknown.
            With several outputs a dict or list.

    Example:
        >>> task = infer_task(np.array([0.5, 2.5, 1.0]), "mine (train)")
        >>> task.kind, task.output_shape, task.default_loss((None, 1))
        ('regression', (1,), 'mse')
    """

    kind: ByOutput
    num_classes: ByOutput = None
    output_shape: ByOutput = None

    @property
    def has_several_outputs(self) -> bool:
        """Whether the attributes are dicts or lists."""
        return not isinstance(self.kind, str)

    @property
    def kinds(self) -> list[str]:
        """The kind of each output."""
        return parts(self.kind)

    def default_loss(self, outputs: Any) -> Any:
        """The Keras loss that fits, by name; None where the task has none.

        Args:
            outputs: a built model's ``output_shape``.

        Returns:
            A name; with several outputs a dict or list of names, as ``kind``.
        """
        return by_output(_loss, self.kind, self._as_outputs(outputs))

    def default_metrics(self) -> Any:
        """Names of the Keras metrics that fit, a list; with several outputs a list for each."""
        return by_output(lambda kind: list(_METRICS[kind]), self.kind)

    @property
    def output_activation(self) -> Any:
        """The activation of a last layer with ``num_classes`` units, by name; None for none."""
        return by_output(_ACTIVATIONS.get, self.kind)

    @property
    def default_objective(self) -> tuple[str, str]:
        """The metric of the history that judges a trial, and its direction."""
        if self.kind in WITH_CLASSES:
            return "val_accuracy", "maximize"
        return "val_loss", "minimize"

    def classes_of(self, y: Any) -> Array | None:
        """The class of each example, (n,) int64; None where it has none, or several."""
        found = [
            leaf.argmax(axis=1) if kind == "one-hot" else leaf.reshape(-1).astype(np.int64)
            for leaf, kind in zip(parts(y), self.kinds, strict=True)
            if kind == "one-hot" or (kind in WITH_CLASSES and leaf.size == len(leaf))
        ]
        return found[0] if len(found) == 1 else None

    def __str__(self) -> str:
        if not self.has_several_outputs:
            return _phrase(self.kind, self.num_classes)
        phrases = by_output(_phrase, self.kind, self.num_classes)
        named = phrases.items() if isinstance(phrases, Mapping) else enumerate(phrases)
        return "; ".join(f"{name}: {phrase}" for name, phrase in named)

    def _as_outputs(self, outputs: Any) -> Any:
        """A model's output shapes as a dict or list like ``kind``; None where they are not such."""
        if not self.has_several_outputs:
            return outputs
        if isinstance(self.kind, Mapping):
            known = outputs if isinstance(outputs, Mapping) else {}
            return {key: known.get(key) for key in self.kind}
        fits = isinstance(outputs, list) and len(outputs) == len(self.kind)
        return outputs if fits else [None] * len(self.kind)


_METRICS = {
    "classification": ["accuracy"],
    "one-hot": ["accuracy"],
    "binary": ["accuracy"],
    "multilabel": ["binary_accuracy"],
    "regression": ["mae"],
    "none": [],
}


_ACTIVATIONS = {"multilabel": "sigmoid", **dict.fromkeys(WITH_CLASSES, "softmax")}


def _loss(kind: str, outputs: Any) -> str | None:
    last = outputs[-1] if isinstance(outputs, tuple) and outputs else None
    if kind == "classification":
        return "binary_crossentropy" if last == 1 else "sparse_categorical_crossentropy"
    if kind == "binary":
        return "sparse_categorical_crossentropy" if last == 2 else "binary_crossentropy"
    losses = {
        "one-hot": "categorical_crossentropy",
        "multilabel": "binary_crossentropy",
        "regression": "mse",
    }
    return losses.get(kind)


def _phrase(kind: str, num_classes: Any) -> str:
    phrases = {
        "classification": f"classification, {num_classes} classes",
        "one-hot": f"classification, {num_classes} one-hot classes",
        "binary": "binary classification",
        "multilabel": f"multi-label classification, {num_classes} tags",
        "regression": "regression",
        "none": "no labels",
    }
    return phrases[kind]


# --- from labels ----------------------------------------------------------------------------------


def infer_task(
    y: Any, where: str, said: Any = None, num_classes: Any = None, suggested: Any = None
) -> Task:
    """Return what the labels of the training part are to be learned as.

    Args:
        y: (n, ...) labels, or a dict, list or tuple of such by output; None: there are none.
        where: the beginning of an error message.
        said: ``data.task``, for all outputs, or by output; None: as the labels say.
        num_classes: how many classes there are, by output where there are several; None: as the
            labels say.
        suggested: what the loss is for, by output where there are several (see
            ``besom.training.loss_kinds.suggested_task``); None: nothing.

    Raises:
        DataError: the labels are no such, or the task cannot be told from them.
    """
    if said is not None:
        _check_said(said)
    if y is None:
        return Task("none")
    y = _as_array(y)
    said = spread(said, y, "data.task", where)
    classes = spread(num_classes, y, "num_classes", where)
    # One number for several outputs says nothing about which of them have classes.
    known = classes if is_nest(num_classes) or not is_nest(y) else spread(None, y, "", where)
    kinds = by_output(kind_of, y, said, known, wheres(where, y), _suggested(suggested, y))
    classes = by_output(_num_classes, y, kinds, classes, wheres(where, y))
    return Task(kinds, classes, by_output(_output_shape, y, kinds, classes))


def labels_for(task: Task, y: Any, where: str) -> Any:
    """Return labels as training takes them: int64 class numbers, float32 for all else.

    Args:
        task: of the training part.
        y: as for ``infer_task``, of any part.
        where: the beginning of an error message.

    Raises:
        DataError: they are not of this task, or have a class that training has not.
    """
    if y is None and task.kind == "none":
        return None
    y = _as_array(y)
    if y is None or keys(y) != keys(task.kind):
        given = "no labels" if y is None else f"labels of {listed(y)}"
        raise DataError(f"{where}: {given}, but the training part has {listed(task.kind)}.")
    return by_output(_labels, y, task.kind, task.num_classes, wheres(where, y))


def check_worth_learning(task: Task, y: Any, where: str) -> None:
    """Refuse an output whose labels are all the same.

    Raises:
        DataError: gives the one value.
    """
    if y is not None:
        by_output(check_varied, y, task.kind, wheres(where, y))


def _suggested(suggested: Any, y: ByOutput) -> ByOutput:
    """What the loss suggests of each output; a name that no label has is judged elsewhere."""
    if isinstance(y, Mapping):
        of = suggested if isinstance(suggested, Mapping) else dict.fromkeys(y, suggested)
        return {key: of.get(key) for key in y}
    n = len(parts(y))
    if isinstance(suggested, Mapping):  # by the outputs' names, which the labels do not have
        suggested = list(suggested.values())
    if not isinstance(suggested, list):
        return by_output(lambda _: suggested, y)
    suggested = suggested if len(suggested) == n else [None] * n
    return suggested if is_nest(y) else suggested[0]


def _as_array(y: Any) -> Any:
    """A list of plain values as an array; refused later if it cannot be one."""
    if not isinstance(y, list | tuple) or is_nest(y):
        return y
    try:
        return np.asarray(y)
    except ValueError:
        return y


def _labels(y: Any, kind: str, num_classes: int | None, where: str) -> Any:
    cast = cast_labels(y, kind, where)
    if kind == "classification":
        assert num_classes is not None
        check_in_range(cast, num_classes, where)
    if kind in ("one-hot", "multilabel") and cast.shape[-1] != num_classes:
        raise DataError(
            f"{where}: labels of shape {cast.shape[1:]}, expected {num_classes} in each row."
        )
    return cast


def _num_classes(y: Any, kind: str, said: Any, where: str) -> int | None:
    if kind == "binary":
        return 2
    if kind in ("one-hot", "multilabel"):
        return int(np.shape(y)[-1])
    if kind != "classification":
        return None
    return said or int(cast_labels(y, kind, where).max()) + 1


def _output_shape(y: Any, kind: str, num_classes: int | None) -> tuple[int, ...] | None:
    if kind == "none":
        return None
    shape = tuple(np.shape(y)[1:])
    if kind == "classification":
        shape = () if shape == (1,) else shape
        return (*shape, num_classes or 1)
    return shape or (1,)


def _check_said(said: Any) -> None:
    each: Iterable[Any] = [said]
    if isinstance(said, Mapping | list | tuple):
        each = said.values() if isinstance(said, Mapping) else said
    for part in each:
        if part is not None and part not in SAID:
            raise DataError(
                f"data.task={given_text(part)}: expected one of {', '.join(SAID)}, or a mapping of "
                "them by output."
            )
