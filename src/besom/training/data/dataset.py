"""What a dataset is made of: what a user gives, and what a model is trained on.

Opens and checks nothing: ``besom.training.data.loading`` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from besom.errors import DataError
from besom.training.data.array_checks import Array
from besom.training.data.examples import Examples, Stream
from besom.training.data.labels import WITH_CLASSES
from besom.training.data.nests import map_nest
from besom.training.data.task import Task

Split = Literal["train", "test"]


class NoTestExamples(DataError):
    """The dataset has no test part; its training part may be sound."""


#: What it was called before.
NoTestImages = NoTestExamples


#: A sentence names this many classes, and counts the rest.
_MOST_NAMED = 5


@dataclass(frozen=True, eq=False)
class Dataset:
    """One part, training or test, of a dataset: ``Dataset(x=..., y=...)`` is enough.

    Attributes:
        x: an array (n, *input_shape), or a dict, tuple or list of such; or a stream of batches: a
            ``tf.data.Dataset``, a ``keras.utils.PyDataset``, or a function that returns a new
            iterator of batches each time.
        y: the labels, (n, ...), an array for each output; None: there are none, or the stream has
            them.
        num_classes: how many classes there are in all; None: as the labels say.
        scale: what ``x`` is multiplied by inside the compiled graph, a number or a mapping by
            input; None: 1/255 for images of uint8, all else is left as it is.
        name: for people to read.
        sample_weight: (n,) weights, or such by output.
        class_names: the classes' names, in the order of their numbers.
        groups: (n,) what each example belongs to; none is split between training and validation.
        order: (n,) when each example was taken: the latest are held out.
        x_validation, y_validation, sample_weight_validation: a validation set of its own.
            ``x_validation`` may be a ``Dataset``.
        columns: how the columns in ``x`` are encoded, a
            ``besom.training.data.tabular.feature_space.ColumnFeatures``; None: not at all.
        kept: which rows of a table's file the examples are, a bool for each; None: all of them.

    Example:
        >>> x, y = np.zeros((3, 8, 8), np.uint8), np.array([0, 1, 1])
        >>> spots = Dataset(x, y, name="spots")
        >>> spots.input_shape
        (8, 8)
    """

    x: Any
    y: Any = None
    num_classes: Any = None
    scale: Any = None
    name: str = "data"
    sample_weight: Any = None
    class_names: Any = None
    groups: Any = None
    order: Any = None
    x_validation: Any = None
    y_validation: Any = None
    sample_weight_validation: Any = None
    columns: Any = None
    kept: Array | None = None

    @property
    def input_shape(self) -> Any:
        """The shape of one example; a nest of shapes for several inputs."""
        return map_nest(_shape_of_one, self.x)

    @property
    def examples(self) -> Examples | Stream:
        """What a model is trained or measured on, of a dataset that has been checked."""
        if isinstance(self.x, Stream):
            return self.x
        return Examples(self.x, self.y, self.sample_weight, self.scale)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Training examples and the validation examples held out from them.

    Attributes:
        train: what is trained on, in the dataset's order.
        validation: what an epoch is measured on; None where nothing is held out.
        task: what is to be learned.
        num_classes: labels are 0 to num_classes - 1; None where there are no classes; a nest for
            several outputs.
        fingerprint: 16 hex digits that change with any value, shape or dtype of the examples and
            labels, with the scale, and with which of them are held out.
        name: for people to read.
        split: how validation examples were chosen, in a phrase.
        units: (n_validation,) numbers: validation examples with the same one are resampled
            together; None where each stands for itself.
        fixed_split: whether no seed would choose other validation examples: none are held out, or
            the last ones, or a given set.
        scaling: which inputs are scaled though nobody said so, and by how much, in a phrase; may be
            empty.
        class_names: the classes' names, in the order of their numbers.
        columns: how a table's columns became the inputs, a
            ``besom.training.data.tabular.feature_space.EncodedColumns``; None: they are no such.
        validation_columns: the validation examples' columns as they are in the table, where a model
            gets encoded vectors instead; None where it gets them as they are.
        positions: (n_validation,) where the validation examples are in the dataset's training part;
            None where they are not from it.
        whole: of a fold, all of the data: its validation examples are those that some fold holds
            out; None: this is no fold.
        n_folds: into how many folds the data is divided; 0: into none.
        suggested: what the loss suggested that the labels are; None: nothing.
    """

    train: Examples | Stream
    validation: Examples | Stream | None
    task: Task
    num_classes: Any
    fingerprint: str
    name: str
    split: str = ""
    units: Array | None = None
    fixed_split: bool = False
    scaling: str = ""
    class_names: Any = None
    columns: Any = None
    validation_columns: Any = None
    positions: Array | None = None
    whole: TrainingData | None = None
    n_folds: int = 0
    suggested: Any = None

    @property
    def is_remarkable(self) -> bool:
        """Whether something was inferred that a user should see: another task than class numbers,
        another split than by class, or a scale."""
        usual = self.task.kind == "classification"
        usual &= self.split in ("stratified by class", "none held out")
        return bool(self.scaling) or not usual

    @property
    def n_train(self) -> int | None:
        """How many training examples there are; None for a stream that does not say."""
        return self.train.n

    @property
    def n_validation(self) -> int:
        """How many validation examples there are; 0 if none."""
        return 0 if self.validation is None else self.validation.n or 0

    @property
    def x_train(self) -> Any:
        """The training examples' inputs, in memory."""
        return in_memory(self.train).x

    @property
    def y_train(self) -> Any:
        """The training examples' labels, in memory; None if there are none."""
        return in_memory(self.train).y

    @property
    def x_validation(self) -> Any:
        """The validation examples' inputs, in memory; empty if nothing is held out."""
        return self._held.x

    @property
    def y_validation(self) -> Any:
        """The validation examples' labels, in memory; empty if nothing is held out."""
        return self._held.y

    @property
    def _held(self) -> Examples:
        if self.validation is None:
            return in_memory(self.train).take(np.arange(0))
        return in_memory(self.validation)

    @property
    def scale(self) -> Any:
        """What the examples are multiplied by in the graph; by input where there are several.

        None for a stream, which is taken as it is.
        """
        return None if isinstance(self.train, Stream) else self.train.scales

    @property
    def input_shape(self) -> Any:
        """The shape of one example; by input where there are several."""
        if isinstance(self.train, Stream):
            spec = self.train.element_spec
            return map_nest(_shape_of_one, spec[0] if isinstance(spec, tuple) else spec)
        return map_nest(_shape_of_one, self.x_train)


def _shape_of_one(leaf: Any) -> tuple[int | None, ...] | None:
    """None for a ``tf.TensorSpec`` of unknown rank."""
    return None if getattr(leaf.shape, "rank", 0) is None else tuple(leaf.shape[1:])


def in_memory(examples: Examples | Stream) -> Examples:
    """The same, where it must be no stream."""
    assert isinstance(examples, Examples), "a stream has no arrays"
    return examples


def class_counts(data: TrainingData, part: Examples | Stream | None) -> Array | None:
    """How many examples of a part have each class; None where they have none, or are a stream."""
    if data.task.kind not in WITH_CLASSES or not isinstance(part, Examples):
        return None
    classes = data.task.classes_of(part.y)
    return None if classes is None else np.bincount(classes, minlength=data.num_classes)


def label_gaps(data: TrainingData) -> str:
    """One sentence on classes that no example has; empty where each has one, or there are none.

    Labels that start at 1, or that skip some, give the model outputs that it never needs.
    """
    counts = class_counts(data, data.train)
    if counts is None:
        return ""
    held = class_counts(data, data.validation)
    counts = counts if held is None else counts + held
    empty, used = np.flatnonzero(counts == 0), np.flatnonzero(counts)
    if not len(empty):
        return ""
    named = [str(label) for label in empty[:_MOST_NAMED]]
    named += [f"{len(empty) - _MOST_NAMED} more"] if len(empty) > _MOST_NAMED else []
    which = ", ".join(named[:-1]) + f" and {named[-1]}" if len(named) > 1 else named[0]
    classes = f"class {which} has" if len(empty) == 1 else f"classes {which} have"
    return (
        f"the labels of {data.name} run from {used[0]} to {used[-1]}: {classes} no example; the "
        f"model has {data.num_classes} outputs"
    )
