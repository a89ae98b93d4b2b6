"""Where a trained model is wrong: what it takes for what, and its worst validation examples.

One more pass over the validation examples, with the weights that count. What it finds is the JSON
that ``besom.seam`` describes under ``mistakes``.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from besom.errors import reason_of
from besom.seam import MOST_CLASSES, MOST_CONFUSIONS, MOST_POINTS, N_WORST
from besom.text.printable import cut
from besom.training.data.nests import leaves
from besom.training.epochs.batches import cached, evaluation_batches
from besom.training.outputs import Outputs, is_linear
from besom.training.thumbnails import Described, Inputs, as_pngs

_MOST_CHARS = 100

_NO_LABELS = "the examples have no labels"


def write_mistakes(fitted: Any, path: Path, batch_size: int) -> str | None:
    """Write what a trained model gets wrong, in one atomic step.

    Args:
        fitted: a ``besom.training.trainer.Fitted``.
        path: the JSON file; its folder is made.
        batch_size: examples predicted at once.

    Returns:
        None; or, where it cannot be done for whatever reason, why. Nothing is left behind then.
    """
    partial = path.with_name(f".{path.stem}.partial")
    try:
        found = mistakes_of(fitted, batch_size)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(found, allow_nan=False), encoding="utf-8")
        os.replace(partial, path)  # noqa: PTH105
    except Exception as error:  # a user's layers and streams may raise anything
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        return f"What the model gets wrong could not be kept: {reason_of(error)}. Trials count."
    return None


def mistakes_of(fitted: Any, batch_size: int) -> dict[str, Any]:
    """What a trained model gets wrong, as plain data; ``why`` where nothing can be said.

    Args:
        fitted: a ``besom.training.trainer.Fitted``.
        batch_size: examples predicted at once.
    """
    model, data = fitted.model, fitted.data
    if data.validation is None:
        return _nothing("there are no validation examples")
    judges: list[_Judge] | None = None
    n, positions = 0, data.positions
    for batch in evaluation_batches(cached(data.validation), batch_size):
        x, y = (*batch, None)[:2] if isinstance(batch, tuple) else (batch, None)
        if y is None:
            return _nothing(_NO_LABELS)
        predicted = [np.asarray(leaf, np.float64) for leaf in leaves(model(x, training=False))]
        if judges is None:
            judges = _judges(fitted, predicted, leaves(y))
            if isinstance(judges, str):
                return _nothing(judges)
        size = len(predicted[0])
        numbers = np.arange(n, n + size)
        inputs = Inputs(x, numbers if positions is None else positions[numbers], _rows(data, n))
        for judge, output, truth in zip(judges, predicted, leaves(y), strict=True):
            judge.add(np.asarray(truth), output, inputs)
        n += size
    outputs = [judge.found() for judge in judges or ()]
    return {"format": 1, "n": n, "outputs": outputs}


def _nothing(why: str) -> dict[str, Any]:
    return {"format": 1, "n": 0, "outputs": [], "why": why}


def _rows(data: Any, start: int) -> Mapping[str, Any] | None:
    """A table's columns as they are in it, from a row on."""
    rows = data.validation_columns
    return None if rows is None else {name: column[start:] for name, column in rows.items()}


class _Judge(Protocol):
    """Looks at one output of the model, batch by batch."""

    def add(self, truth: Any, output: Any, inputs: Inputs) -> None: ...
    def found(self) -> dict[str, Any]: ...


def _judges(fitted: Any, predicted: Sequence[Any], labels: Sequence[Any]) -> Any:
    """A judge for each output; or why there can be none."""
    model, data = fitted.model, fitted.data
    described = Outputs.of(model, data.train)
    if len(labels) != len(predicted):
        return "its outputs have no labels of their own"
    names = [""]
    if len(predicted) > 1:
        names = list(described.names) if described is not None else []
    judges: list[_Judge] = []
    for i, name in enumerate(names):
        kind = _of_output(data.task.kind, name, i)
        classes = _of_output(data.class_names, name, i)
        truth, output = np.asarray(labels[i]), predicted[i]
        logits = described is not None and is_linear(model, leaves(described.nest)[i])
        if kind == "none":
            return _NO_LABELS
        if kind in ("classification", "one-hot", "binary"):
            if output.ndim > 2 or (kind != "one-hot" and truth.size != len(truth)):
                return "an example has several classes, one for each of its positions"
            cut = fitted.keeping.threshold if len(names) == 1 else (0.0 if logits else 0.5)
            judges.append(_Classes(name, kind, classes, logits, cut))
        elif kind == "multilabel" and output.shape == truth.shape and output.ndim == 2:
            judges.append(_Tags(name, classes, logits))
        elif kind == "regression" and output.size == truth.size:
            judges.append(_Numbers(name))
        else:
            return "besom cannot tell what the labels mean"
    return judges if len(judges) == len(predicted) else "its outputs are not known by name"


def _of_output(value: Any, name: str, position: int) -> Any:
    """Of one output, of what may be given by output."""
    if isinstance(value, Mapping):
        return value.get(name) if name else next(iter(value.values()), None)
    return value[position] if name and isinstance(value, list) else value


class _Worst:
    """The examples that are most wrong so far."""

    def __init__(self) -> None:
        self._kept: list[tuple[float, int, dict[str, Any], Described]] = []

    def offer(self, badness: Any, inputs: Inputs, say: Any) -> None:
        """Take those of a batch that belong to the worst.

        Args:
            badness: (n,) the higher the worse; minus infinity: right.
            inputs: the batch.
            say: from a position in the batch to what is said of the example.
        """
        for i in np.argsort(-badness, kind="stable")[:N_WORST]:
            if not np.isfinite(badness[i]):
                continue
            if len(self._kept) == N_WORST and badness[i] <= self._kept[-1][0]:
                break
            entry = {"example": int(inputs.positions[i]), **say(i)}
            self._kept.append((float(badness[i]), len(self._kept), entry, inputs.described(i)))
            self._kept.sort(key=lambda kept: -kept[0])
            del self._kept[N_WORST:]

    def found(self) -> list[dict[str, Any]]:
        """The worst first."""
        images = as_pngs([described.image for *_, described in self._kept])
        worst = []
        for (_, _, entry, described), image in zip(self._kept, images, strict=True):
            shown = {"text": described.text} if described.text else {}
            worst.append({**entry, **shown, **({"image": image} if image else {})})
        return worst


class _Classes:
    """One class for each example."""

    def __init__(self, name: str, kind: str, names: Any, logits: bool, threshold: float) -> None:
        self._name, self._kind, self._names = name, kind, names
        self._logits, self._threshold = logits, threshold
        self._pairs: dict[tuple[int, int], int] = {}
        self._n_classes = 2
        self._worst = _Worst()

    def add(self, truth: Any, output: Any, inputs: Inputs) -> None:
        output = output.reshape(len(output), -1)
        true = truth.argmax(axis=1) if self._kind == "one-hot" else truth.reshape(-1).astype(int)
        if output.shape[1] == 1:
            chosen = (output[:, 0] > self._threshold).astype(int)
            yes = _sigmoid(output) if self._logits or not _in_unit(output) else output
            p = np.hstack([1.0 - yes, yes])
        else:
            chosen = output.argmax(axis=1)
            p = _softmax(output) if self._logits or not _in_unit(output) else output
        self._n_classes = max(self._n_classes, p.shape[1], int(true.max(initial=0)) + 1)
        pairs, counts = np.unique(np.stack([true, chosen]), axis=1, return_counts=True)
        for (t, c), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
            self._pairs[t, c] = self._pairs.get((t, c), 0) + count
        each = np.arange(len(p))
        badness = np.where(true == chosen, -np.inf, p[each, chosen])

        def say(i: int) -> dict[str, Any]:
            of_true = float(p[i, true[i]]) if true[i] < p.shape[1] else 0.0
            return {
                "true": self._named(true[i]),
                "predicted": self._named(chosen[i]),
                "probability": round(float(p[i, chosen[i]]), 6),
                "probability_of_true": round(of_true, 6),
            }

        self._worst.offer(badness, inputs, say)

    def found(self) -> dict[str, Any]:
        classes = [self._named(c) for c in range(self._n_classes)]
        wrong = {pair: n for pair, n in self._pairs.items() if pair[0] != pair[1]}
        most = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[:MOST_CONFUSIONS]
        matrix = None
        if self._n_classes <= MOST_CLASSES:
            matrix = [
                [self._pairs.get((t, c), 0) for c in range(self._n_classes)]
                for t in range(self._n_classes)
            ]
        return {
            "name": self._name,
            "kind": "classes",
            "n_wrong": sum(wrong.values()),
            **({"classes": classes, "matrix": matrix} if matrix is not None else {}),
            "confusions": [[self._named(t), self._named(c), n] for (t, c), n in most],
            "worst": self._worst.found(),
        }

    def _named(self, number: Any) -> str:
        return _name_of(self._names, int(number))


class _Tags:
    """Any number of tags for each example."""

    def __init__(self, name: str, names: Any, logits: bool) -> None:
        self._name, self._names, self._logits = name, names, logits
        self._counts: Any = 0
        self._n_wrong = 0
        self._worst = _Worst()

    def add(self, truth: Any, output: Any, inputs: Inputs) -> None:
        p = _sigmoid(output) if self._logits or not _in_unit(output) else output
        said, has = p > 0.5, truth > 0.5
        both = [has & said, has & ~said, ~has & said]
        self._counts = self._counts + np.array([part.sum(axis=0) for part in both])
        wrong = has != said
        self._n_wrong += int(wrong.any(axis=1).sum())
        gap = np.where(wrong, np.abs(p - has), -np.inf)
        badness = gap.max(axis=1, initial=-np.inf)

        def say(i: int) -> dict[str, Any]:
            tag = int(gap[i].argmax())
            return {
                "true": self._listed(np.flatnonzero(has[i])),
                "predicted": self._listed(np.flatnonzero(said[i])),
                "tag": _name_of(self._names, tag),
                "probability": round(float(p[i, tag]), 6),
            }

        self._worst.offer(badness, inputs, say)

    def found(self) -> dict[str, Any]:
        counts = np.asarray(self._counts, int).reshape(3, -1).T
        tags = [[_name_of(self._names, i), *row] for i, row in enumerate(counts.tolist())]
        if len(tags) > MOST_CLASSES:
            tags.sort(key=lambda tag: -(tag[2] + tag[3]))
        return {
            "name": self._name,
            "kind": "tags",
            "n_wrong": self._n_wrong,
            "tags": tags[:MOST_CLASSES],
            "worst": self._worst.found(),
        }

    def _listed(self, tags: Any) -> str:
        names = [_name_of(self._names, int(tag)) for tag in tags[:10]]
        return ", ".join(names) + (", …" if len(tags) > 10 else "") if names else "none"


class _Numbers:
    """Numbers for each example: one as a rule."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._truths: list[Any] = []
        self._outputs: list[Any] = []
        self._worst = _Worst()

    def add(self, truth: Any, output: Any, inputs: Inputs) -> None:
        true = truth.reshape(len(truth), -1).astype(np.float64)
        given = output.reshape(len(output), -1)
        self._truths.append(true.astype(np.float32))
        self._outputs.append(given.astype(np.float32))
        errors = given - true

        def say(i: int) -> dict[str, Any]:
            return {
                "true": _numbers_text(true[i]),
                "predicted": _numbers_text(given[i]),
                "error": _finite(errors[i, 0] if errors.shape[1] == 1 else _rms(errors[i])),
            }

        self._worst.offer(np.sqrt(np.square(errors).mean(axis=1)), inputs, say)

    def found(self) -> dict[str, Any]:
        true = np.concatenate(self._truths).astype(np.float64)
        given = np.concatenate(self._outputs).astype(np.float64)
        errors, width = (given - true).ravel(), true.shape[1]
        spread = np.square(true - true.mean(axis=0)).sum()
        step = max(-(-errors.size // MOST_POINTS), 1)
        points = np.stack([true.ravel()[::step], given.ravel()[::step]], axis=1)
        points = points[np.isfinite(points).all(axis=1)]
        r2 = 1.0 - float(np.square(errors).sum() / spread) if spread else None
        quantiles = np.quantile(np.abs(errors), [0.5, 0.9])
        return {
            "name": self._name,
            "kind": "numbers",
            "n_numbers": width,
            "bias": _finite(errors.mean()),
            "mean_error": _finite(np.abs(errors).mean()),
            "rms_error": _finite(_rms(errors)),
            "median_error": _finite(quantiles[0]),
            "error_90": _finite(quantiles[1]),
            "r2": None if r2 is None else _finite(r2),
            "points": [[float(f"{t:.6g}"), float(f"{p:.6g}")] for t, p in points.tolist()],
            "worst": self._worst.found(),
        }


def _name_of(names: Any, number: int) -> str:
    known = names is not None and number < len(names)
    return cut(str(names[number]) if known else str(number), _MOST_CHARS)


def _numbers_text(row: Any) -> str:
    shown = ", ".join(f"{value:.4g}" for value in row[:4])
    return shown + (f", … ({len(row)} numbers)" if len(row) > 4 else "")


def _rms(values: Any) -> float:
    return float(np.sqrt(np.square(values).mean()))


def _finite(value: Any) -> float | None:
    return float(f"{float(value):.6g}") if np.isfinite(value) else None


def _in_unit(output: Any) -> bool:
    """Whether they may be probabilities."""
    return bool(np.all((output >= 0.0) & (output <= 1.0)))


def _softmax(output: Any) -> Any:
    powers = np.exp(output - output.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _sigmoid(output: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-np.clip(output, -500, 500)))
