"""What is kept of each validation example, so that a metric gets its ±, ties and correction.

A metric is one of three kinds. A ``share`` is the mean of one bit per example, a ``mean`` that of
one number: these are kept. Any ``other``, such as an AUC or an F1 score, does not come apart into
examples. It is computed on bootstrap draws of them, here in the worker, where the labels are. All
trials take the same draws, so that their scores on them can be compared one by one.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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
    mean_of,
)

log = logging.getLogger("besom")

Floats = np.ndarray[Any, np.dtype[np.float32]]

#: How often a metric of the kind ``other`` is computed on examples drawn with replacement.
N_DRAWS = 500

#: Labels and predictions of more bytes than this are not kept in memory to be drawn from.
_MOST_BYTES = 2**29

#: BootstrapScores are made in pieces of about this many examples.
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
        model: compiled, and called once (``rehearsal``, or training).
        names: the metrics wanted, as Keras names them without ``val_``; None: all.
    """

    def __init__(self, model: Any, names: Collection[str] | None = None) -> None:
        self._model = model
        self._names = names
        self._metrics = [m for m in compiled_metrics(model) if self._wants(m.name)]

    def _wants(self, name: str) -> bool:
        return self._names is None or name in self._names

    def values(self, y: Any, predictions: Any, weight: Any = None) -> dict[str, Any]:
        """Return the numbers of a batch by metric, those of the kind ``other`` left out.

        It may be called while a graph is traced. The loss comes without penalties on the weights,
        see ``penalty``.

        Args:
            y, predictions: what Keras's ``test_step`` has: tensors, or nests of them.
            weight: the sample weights, if there are any.

        Returns:
            Name to a float32 tensor of shape ``(batch,)``.
        """
        found: dict[str, Any] = {}
        labels, outputs = flat_outputs(self._model, y), flat_outputs(self._model, predictions)
        for metric in self._metrics:
            function = None if metric.weighted and weight is not None else mean_of(metric.metric)
            if function is not None:
                of_each = _by_example(function(labels[metric.output], outputs[metric.output]))
                if of_each is not None:
                    found[metric.name] = of_each
        calls = loss_calls(self._model, y, predictions, weight)
        losses: list[Any] = [_losses(call) for call in calls]
        for call, of_each in zip(calls, losses, strict=True):
            if len(calls) > 1 and of_each is not None and self._wants(f"{call.name}_loss"):
                found[f"{call.name}_loss"] = of_each
        if self._wants("loss") and calls and all(of_each is not None for of_each in losses):
            factors = [1.0 if call.factor is None else call.factor for call in calls]
            parts = [f * of_each for f, of_each in zip(factors, losses, strict=True)]
            found["loss"] = tf.add_n(parts)
        return found

    def kinds(self, y: Any, predictions: Any, weight: Any = None) -> dict[str, str]:
        """Return ``share``, ``mean`` or ``other`` of each metric, from a few examples.

        Only the names of what is a ``mean`` of examples, or might be drawn from, are there.
        """
        values = self.values(y, predictions, weight)
        kinds = dict.fromkeys(values, "mean")
        outputs = flat_outputs(self._model, predictions)
        for metric in self._metrics:
            if metric.name not in values:
                kinds[metric.name] = "other"
            elif _says_right(metric, flat_outputs(self._model, y), outputs):
                kinds[metric.name] = "share"
        return kinds

    def others(self, values: Mapping[str, Any]) -> list[CompiledMetric]:
        """The metrics that ``values`` has nothing of."""
        return [metric for metric in self._metrics if metric.name not in values]

    def penalty(self) -> float:
        """What the loss has besides the examples: the regularizers of the weights."""
        weights = self._model.trainable_variables
        terms = [float(w.regularizer(w)) for w in weights if w.regularizer is not None]
        return math.fsum(terms)


def _says_right(metric: CompiledMetric, labels: list[Any], outputs: list[Any]) -> bool:
    function = mean_of(metric.metric)
    if function is None or getattr(function.func, "__name__", "") not in _RIGHT:
        return False
    shape = function(labels[metric.output], outputs[metric.output]).shape
    return all(size == 1 for size in shape[1:])


def _by_example(values: Any) -> Any | None:
    """(batch, ...) as (batch,), by the mean; None for what was reduced over the batch already."""
    values = tf.cast(values, tf.float32)
    if values.shape.rank in (None, 0):
        return None
    return tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))


def _losses(call: LossCall) -> Any | None:
    """The loss of each example of a batch; None where the loss is no mean over examples."""
    loss, weight = call.loss, call.weight
    if not isinstance(loss, keras.losses.Loss) or loss.reduction not in _MEANS:
        return None
    if weight is not None and loss.reduction == "mean_with_sample_weight":
        return None
    if getattr(call.predictions, "_keras_mask", None) is not None:
        return None  # the masked steps of a batch share its mean
    y = keras.tree.map_structure(lambda t: tf.cast(t, loss.dtype), call.y)
    predictions = keras.tree.map_structure(lambda t: tf.cast(t, loss.dtype), call.predictions)
    values = tf.cast(loss.call(y, predictions), tf.float32)
    if values.shape.rank in (None, 0):
        return None
    if weight is not None:
        weight = tf.cast(weight, tf.float32)
        while weight.shape.rank < values.shape.rank:
            weight = weight[..., None]
        if weight.shape.rank > values.shape.rank:
            weight = tf.squeeze(weight, axis=-1)
        values = values * weight
    return _by_example(values)


@dataclass
class Examined:
    """What is known of each validation example by the weights that count.

    Attributes:
        values: metric to one number per example, whose mean is the metric's value.
        draws: metric to its scores on draws of the examples.
        reasons: metric to why neither is known, in a few words.
    """

    values: dict[str, Floats]
    draws: dict[str, BootstrapScores]
    reasons: dict[str, str]


def examine(
    model: Any, batches: Callable[[], Iterable[tuple[Any, ...]]], wanted: Mapping[str, float]
) -> Examined:
    """Predict the validation examples once more, and take the wanted metrics apart.

    Args:
        model: compiled, trained, with the weights that count.
        batches: makes an iterable of ``(x, y)`` or ``(x, y, weight)``, ready for the model.
        wanted: metric, as Keras names it without ``val_``, to its value in the history: what is
            kept must come to the same, or is not kept.
    """
    judge = PerExample(model, wanted.keys())
    of_each: dict[str, list[Any]] = {}
    kept, n_bytes = list[tuple[list[Any], list[Any], Any]](), 0
    others: list[CompiledMetric] = []

    def step(x: Any, y: Any, weight: Any) -> tuple[Any, Any]:
        predictions = model(x, training=False)
        return judge.values(y, predictions, weight), predictions

    predict = tf.function(step, reduce_retracing=True, autograph=False)
    for batch in batches():
        x, y, weight = (*batch, None, None)[:3]
        values, predictions = predict(x, y, weight)
        for name, numbers in values.items():
            of_each.setdefault(name, []).append(numbers.numpy())
        others = judge.others(values)
        if others and n_bytes <= _MOST_BYTES:
            flat = flat_outputs(model, y), flat_outputs(model, predictions)
            kept.append((*flat, weight))
            n_bytes += sum(_n_bytes(tensor) for part in flat for tensor in part)
    examined = Examined({}, {}, dict.fromkeys(wanted, "it is not a mean over examples"))
    penalty = judge.penalty()
    for name, parts in of_each.items():
        numbers = np.concatenate(parts) + np.float32(penalty if name == "loss" else 0.0)
        luck = float(numbers.std(dtype=np.float64)) / math.sqrt(numbers.size)
        if _agrees(float(numbers.mean(dtype=np.float64)), wanted[name], luck):
            examined.values[name] = numbers
            del examined.reasons[name]
    for metric in others:
        if n_bytes > _MOST_BYTES:
            examined.reasons[metric.name] = "its predictions take too much memory"
            continue
        try:
            drawn = _drawn(metric, kept, wanted[metric.name])
        except Exception as error:  # a metric of the user's; the trial itself has ended well
            log.warning("%s on bootstrap draws: %s", metric.name, reason_of(error))
            continue
        if drawn is None:
            examined.reasons[metric.name] = "it is averaged over batches"
        else:
            examined.draws[metric.name] = drawn
            del examined.reasons[metric.name]
    return examined


def _agrees(found: float, value: float, luck: float) -> bool:
    return math.isfinite(found) and abs(found - value) <= _ROUNDING * abs(value) + luck / 100.0


def _n_bytes(tensor: Any) -> int:
    return int(tf.size(tensor)) * int(tensor.dtype.size)


def _drawn(
    metric: CompiledMetric, kept: list[tuple[list[Any], list[Any], Any]], value: float
) -> BootstrapScores | None:
    """A metric's scores on the common draws; None if that of all examples is not ``value``."""
    y = tf.concat([labels[metric.output] for labels, _, _ in kept], axis=0)
    predictions = tf.concat([outputs[metric.output] for _, outputs, _ in kept], axis=0)
    weights = None
    if metric.weighted and kept[0][2] is not None:
        weights = tf.concat([_weight_of(weight, metric.output) for *_, weight in kept], axis=0)
    n, judge = int(predictions.shape[0]), metric.metric
    state = [variable.numpy() for variable in judge.variables]

    def score(examples: Any) -> Any:
        judge.reset_state()
        args = [tf.gather(y, examples), tf.gather(predictions, examples)]
        judge.update_state(*args, *([] if weights is None else [tf.gather(weights, examples)]))
        with tf.control_dependencies([variable.value for variable in judge.variables]):
            return tf.cast(judge.result(), tf.float32)

    def both(drawn: Any) -> Any:
        first = score(drawn)
        left_out = tf.where(tf.math.bincount(drawn, minlength=n) == 0)[:, 0]
        with tf.control_dependencies([first]):
            return tf.stack([first, score(left_out)])

    def of_draws(draws: Any) -> Any:
        return tf.map_fn(both, draws, fn_output_signature=tf.float32, parallel_iterations=1)

    try:
        if not _agrees(float(score(tf.range(n))), value, 0.0):
            return None
        scores_of = tf.function(of_draws, autograph=False).get_concrete_function(
            tf.TensorSpec([None, n], tf.int32)
        )
        piece = max(1, _PIECE // n)
        scores = np.concatenate(
            [scores_of(tf.constant(draws)).numpy() for draws in common_draws(n, piece)]
        )
    finally:
        for variable, before in zip(judge.variables, state, strict=True):
            variable.assign(before)
    return BootstrapScores(scores[:, 0], scores[:, 1])


def _weight_of(weight: Any, output: int) -> Any:
    flat = keras.tree.flatten(weight)
    return flat[output] if len(flat) > 1 else flat[0]


def common_draws(n: int, piece: int) -> Iterator[Any]:
    """Yield the ``N_DRAWS`` draws of n examples, ``piece`` at once; the same for equal ``n``."""
    generator = np.random.default_rng(n)
    for start in range(0, N_DRAWS, piece):
        yield generator.integers(n, size=(min(piece, N_DRAWS - start), n), dtype=np.int32)
