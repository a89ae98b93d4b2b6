"""What is kept of each validation example, so that a metric gets its ±, ties and correction.

A metric is one of three kinds. A ``share`` is the mean of one bit per example, a ``mean`` that of
one number: these are kept. Any ``other``, such as an AUC or an F1 score, does not come apart into
examples. It is computed on bootstrap draws of them, here in the worker, where the labels are. All
trials take the same draws, so that their scores on them can be compared one by one.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from besom.errors import reason_of
from besom.training.fast.keras_private import (
    CompiledMetric,
    LossCall,
    compiled_metrics,
    flat_outputs,
    loss_calls,
    mask_of,
    mean_of,
)

log = logging.getLogger("besom")

Floats = np.ndarray[Any, np.dtype[np.float32]]

#: How often a metric of the kind ``other`` is computed on examples drawn with replacement.
N_DRAWS = 500

#: Labels and predictions of more bytes than this are not kept in memory to be drawn from.
_MOST_BYTES = 2**29

#: Why a metric has nothing of its own for each example, as the end of a sentence.
NO_MEAN = "is no mean over examples"

#: Draws are made in pieces of about this many examples.
_PIECE = 1_000_000

#: The mean of what is kept may differ from the history by so much of it, by rounding, and by a
#: hundredth of its standard error.
_ROUNDING = 1e-3

#: Functions that say of each example whether it is right.
_RIGHT = frozenset(
    {
        *("accuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"),
        *("top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy"),
    }
)

#: Of these, those that say of a class whether it is the one, by the metric's usual name.
_ACCURACIES = _RIGHT - {"top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy"}

#: Reductions of a loss that are a mean over the examples, as long as none has a weight of its own.
_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


@dataclass(frozen=True)
class BootstrapScores:
    """A metric on the examples of each draw, and on those that it left out; shape (n_draws,)."""

    drawn: Floats
    left_out: Floats


class PerExample:
    """Takes the metrics of a compiled model apart into one number per example.

    Args:
        model: compiled.
        names: the metrics wanted, as Keras names them without ``val_``.

    Attributes:
        kinds: name to ``share`` or ``mean``, of what ``values`` has given.
    """

    def __init__(self, model: Any, names: Collection[str]) -> None:
        self._model, self.names = model, frozenset(names)
        self.kinds: dict[str, str] = {}

    @property
    def metrics(self) -> list[CompiledMetric]:
        """Those of ``compile`` that are wanted; Keras makes them in the model's first step."""
        return [metric for metric in compiled_metrics(self._model) if metric.name in self.names]

    def values(self, y: Any, predictions: Any, weight: Any = None) -> dict[str, Any]:
        """Return the numbers of a batch by metric; what is no mean over examples is left out.

        It may be called while a graph is traced, after the model's own step.

        Args:
            y, predictions: what Keras's ``test_step`` has: tensors, or nests of them.
            weight: the sample weights, if there are any.

        Returns:
            Name to a float32 tensor of shape ``(batch,)``.
        """
        found: dict[str, Any] = {}
        for metric in self.metrics:
            function = mean_of(metric.metric)
            if function is None or (metric.weighted and weight is not None):
                continue  # a weighted mean is a ratio of two means
            labels = flat_outputs(self._model, y)[metric.output]
            numbers = function(labels, flat_outputs(self._model, predictions)[metric.output])
            if (of_each := _by_example(numbers)) is not None:
                found[metric.name] = of_each
                is_one = all(size == 1 for size in numbers.shape[1:])
                is_right = is_one and getattr(function.func, "__name__", "") in _RIGHT
                self.kinds[metric.name] = "share" if is_right else "mean"
        found |= self._losses(y, predictions, weight)
        return found

    def _losses(self, y: Any, predictions: Any, weight: Any) -> dict[str, Any]:
        """The loss, and those of the outputs where there are several."""
        if not any(name == "loss" or name.endswith("_loss") for name in self.names):
            return {}
        found: dict[str, Any] = {}
        calls = loss_calls(self._model, y, predictions, weight)
        losses: list[Any] = [_losses(call) for call in calls]
        for call, of_each in zip(calls, losses, strict=True):
            if len(calls) > 1 and of_each is not None:
                found[f"{call.name}_loss"] = of_each
        if calls and all(of_each is not None for of_each in losses):
            factors = [1.0 if call.factor is None else call.factor for call in calls]
            parts = [f * of_each for f, of_each in zip(factors, losses, strict=True)]
            found["loss"] = tf.add_n(parts) + self._penalty()
        self.kinds |= dict.fromkeys(found, "mean")
        return {name: of_each for name, of_each in found.items() if name in self.names}

    def _penalty(self) -> Any:
        """What the loss has besides the examples: the regularizers of the weights."""
        weights = self._model.trainable_variables
        terms = [w.regularizer(w) for w in weights if w.regularizer is not None]
        return tf.add_n([tf.cast(term, tf.float32) for term in terms]) if terms else 0.0


def is_accuracy(model: Any, name: str) -> bool:
    """Whether the metric of this name is Keras's accuracy, not another one that is called so."""
    if name not in ("accuracy", "acc"):
        return False
    compiled = [metric.metric for metric in compiled_metrics(model) if metric.name == name]
    own = [metric for metric in getattr(model, "metrics", ()) if metric.name == name]
    functions = [mean_of(metric) for metric in compiled or own]
    return any(f is not None and _name_of(f) in _ACCURACIES for f in functions)


def _name_of(function: Any) -> str:
    return str(getattr(getattr(function, "func", function), "__name__", ""))


def kinds_of(model: Any, names: Collection[str], batch: tuple[Any, Any, Any]) -> dict[str, str]:
    """Return ``share``, ``mean`` or ``other`` of each metric of a model that has made a step.

    Args:
        model: compiled.
        names: as Keras names the metrics.
        batch: x, y and weight, ready for the model.
    """
    x, y, weight = batch
    judge = PerExample(model, names)
    if y is not None:
        judge.values(y, model(x, training=False), weight)
    return {name: judge.kinds.get(name, "other") for name in names}


def _by_example(values: Any) -> Any | None:
    """(batch, ...) as (batch,), by the mean; None for what was reduced over the batch already."""
    values = tf.cast(values, tf.float32)
    if values.shape.rank in (None, 0):
        return None
    return tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))


def _losses(call: LossCall) -> Any | None:
    """The loss of each example of a batch; None where the loss is no mean over examples."""
    loss, weight, mask = call.loss, call.weight, mask_of(call.predictions)
    if not isinstance(loss, keras.losses.Loss) or loss.reduction not in _MEANS:
        return None
    y = keras.tree.map_structure(lambda t: tf.cast(t, loss.dtype), call.y)
    predictions = keras.tree.map_structure(lambda t: tf.cast(t, loss.dtype), call.predictions)
    values = tf.cast(loss.call(y, predictions), tf.float32)
    if values.shape.rank in (None, 0):
        return None
    divisor = None if mask is None else _aligned(mask, values)
    values = values if divisor is None else values * divisor
    if weight is not None:
        weight = _aligned(weight, values)
        values = values * weight
        if loss.reduction == "mean_with_sample_weight":
            divisor = weight if divisor is None else weight * divisor
    return _by_example(values) if divisor is None else _of_ratio(values, divisor)


def _aligned(weight: Any, values: Any) -> Any:
    """Weights of the rank of what they weigh."""
    weight = tf.cast(weight, tf.float32)
    while weight.shape.rank < values.shape.rank:
        weight = weight[..., None]
    return tf.squeeze(weight, axis=-1) if weight.shape.rank > values.shape.rank else weight


def _of_ratio(values: Any, weights: Any) -> Any:
    """One number per example, whose mean is the batch's sum of values by that of weights.

    Their scatter is that ratio's luck, as in ``besom.training.kept_examples.by_unit``.
    """
    sums, sizes = (
        tf.reduce_sum(part, axis=list(range(1, part.shape.rank))) for part in (values, weights)
    )
    ratio = tf.math.divide_no_nan(tf.reduce_sum(sums), tf.reduce_sum(sizes))
    return ratio + tf.math.divide_no_nan(sums - ratio * sizes, tf.reduce_mean(sizes))


def draws_of(
    model: Any, batches: Iterable[Any], wanted: Mapping[str, float], units: Any = None
) -> dict[str, Any]:
    """Compute metrics on bootstrap draws of the validation examples, predicted once more.

    Args:
        model: compiled, trained, with the weights that count.
        batches: as Keras evaluates on, ready for the model.
        wanted: metric, as Keras names it without ``val_``, to its value in the history: on all the
            examples at once it must be the same.
        units: (n,) numbers: examples with the same one are drawn together; None: each for itself.

    Returns:
        By metric its ``BootstrapScores``; or why there are none, as the end of a sentence.
    """
    judge = PerExample(model, wanted.keys())
    found: dict[str, Any] = dict.fromkeys(wanted, NO_MEAN)
    others = judge.metrics
    kept, n_bytes = list[tuple[list[Any], list[Any], Any]](), 0
    for batch in batches if others else ():
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        parts = flat_outputs(model, y), flat_outputs(model, model.predict_on_batch(x))
        flat = [[tf.convert_to_tensor(tensor) for tensor in part] for part in parts]
        kept.append((flat[0], flat[1], weight))
        n_bytes += sum(_n_bytes(tensor) for part in flat for tensor in part)
        if n_bytes > _MOST_BYTES:
            return found | dict.fromkeys(
                (metric.name for metric in others), "has too many predictions to draw from"
            )
    for metric in others:
        try:
            scores = _drawn(metric, kept, wanted[metric.name], units)
        except Exception as error:  # a metric of the user's; the trial itself has ended well
            log.warning("%s on bootstrap draws: %s", metric.name, reason_of(error))
            found[metric.name] = "fails on bootstrap draws"
            continue
        found[metric.name] = "is averaged over batches" if scores is None else scores
    return found


def agrees(found: float, value: float, luck: float = 0.0) -> bool:
    """Whether a number is the value in the history, but for rounding.

    Args:
        found, value: the two.
        luck: the standard error of the metric.
    """
    return math.isfinite(found) and abs(found - value) <= _ROUNDING * abs(value) + luck / 100.0


def _n_bytes(tensor: Any) -> int:
    return int(tf.size(tensor)) * int(tensor.dtype.size)


def _drawn(
    metric: CompiledMetric,
    kept: list[tuple[list[Any], list[Any], Any]],
    value: float,
    units: Any,
) -> BootstrapScores | None:
    """A metric's scores on the common draws; None if that of all examples is not ``value``."""
    y = tf.concat([labels[metric.output] for labels, _, _ in kept], axis=0)
    predictions = tf.concat([outputs[metric.output] for _, outputs, _ in kept], axis=0)
    weights = None
    if metric.weighted and kept[0][2] is not None:
        weights = tf.concat([_weight_of(weight, metric.output) for *_, weight in kept], axis=0)
    n, judge = int(predictions.shape[0]), metric.metric
    owners = np.arange(n) if units is None else np.asarray(units)
    n_units = int(owners.max()) + 1
    state = [variable.numpy() for variable in judge.variables]

    def score(examples: Any) -> Any:
        judge.reset_state()
        args = [tf.gather(y, examples), tf.gather(predictions, examples)]
        judge.update_state(*args, *([] if weights is None else [tf.gather(weights, examples)]))
        with tf.control_dependencies([variable.value for variable in judge.variables]):
            return tf.cast(judge.result(), tf.float32)

    def both(drawn: Any) -> Any:
        times = tf.gather(tf.math.bincount(drawn, minlength=n_units), owners)
        first = score(tf.repeat(tf.range(n), times))
        left_out = tf.where(times == 0)[:, 0]
        with tf.control_dependencies([first]):
            return tf.stack([first, score(left_out)])

    def of_draws(draws: Any) -> Any:
        return tf.map_fn(both, draws, fn_output_signature=tf.float32, parallel_iterations=1)

    try:
        if not agrees(float(score(tf.range(n))), value):
            return None
        scores_of = tf.function(of_draws, autograph=False).get_concrete_function(
            tf.TensorSpec([None, n_units], tf.int32)
        )
        piece = max(1, _PIECE // n)
        scores = np.concatenate(
            [scores_of(tf.constant(draws)).numpy() for draws in common_draws(n_units, piece)]
        )
    finally:
        for variable, before in zip(judge.variables, state, strict=True):
            variable.assign(before)
    return BootstrapScores(scores[:, 0], scores[:, 1])


def _weight_of(weight: Any, output: int) -> Any:
    flat = keras.tree.flatten(weight)
    return flat[output] if len(flat) > 1 else flat[0]


def common_draws(n: int, piece: int) -> Iterator[Any]:
    """Yield the ``N_DRAWS`` draws of n units, ``piece`` at once; the same for equal ``n``."""
    generator = np.random.default_rng(n)
    for start in range(0, N_DRAWS, piece):
        yield generator.integers(n, size=(min(piece, N_DRAWS - start), n), dtype=np.int32)
