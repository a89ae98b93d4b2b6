"""Seconds per epoch of the same training run three ways: the floor, besom, and ``keras.fit``.

    python benchmarks/trainer.py --data mnist.npz [--repeats 5] [--cases mlp-32,cnn-32]

- floor: only the matrix products (and convolutions) of a training step, forward and backward,
  in one compiled loop on operands already in memory. Nothing that trains can be faster.
- besom: one epoch of ``besom.training.fast.engine`` (shuffle, gather, scale, step, metrics).
- keras: one epoch of ``model.fit`` from float32 NumPy arrays, as a tutorial writes it.

Every case runs in its own process with ``--threads`` threads; in it the three alternate, after
one epoch of each to warm up, so that a busy machine slows all three alike. None validates. The
convolutional network trains on a tenth of the images: an epoch of all takes half a minute.
Prints a table of medians with their spread, and ends with one JSON line.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Case(NamedTuple):
    """One network at one batch size."""

    model: str
    params: dict[str, Any]
    batch_size: int
    images: int = 60000


TUTORIAL = {"hidden_units": [512, 256], "activation": "relu", "dropout": 0.2}
SMALL = {"hidden_units": [64], "activation": "relu", "dropout": 0.2}
CASES = {
    "mlp-32": Case("mlp", TUTORIAL, 32),
    "mlp-128": Case("mlp", TUTORIAL, 128),
    "mlp-512": Case("mlp", TUTORIAL, 512),
    "small-32": Case("mlp", SMALL, 32),
    "small-128": Case("mlp", SMALL, 128),
    "cnn-32": Case("cnn", {}, 32, images=6000),
    "cnn-128": Case("cnn", {}, 128, images=6000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default=os.environ.get("BESOM_MNIST"), help="MNIST as .npz")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=60000, help="at most so many images")
    parser.add_argument("--optimizer", default="Adam", help="a class of keras.optimizers")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument(
        "--cases",
        type=cases,
        default=list(CASES),
        metavar="CASE,CASE,...",
        help=f"of {', '.join(CASES)}; all by default",
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.data or not Path(options.data).is_file():
        parser.error("give MNIST's .npz file as --data, or as the environment variable BESOM_MNIST")
    if options.child:
        print(json.dumps(measure(CASES[options.child], options)))
        return
    results = {name: run_child(name, options) for name in options.cases}
    print_table(results, options)
    print(json.dumps({"threads": options.threads, "repeats": options.repeats, "cases": results}))


def cases(text: str) -> list[str]:
    """Read ``--cases``.

    Raises:
        ArgumentTypeError: one is not known; lists those that are.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in CASES]
    if unknown or not names:
        named = f"there is no case {', '.join(map(repr, unknown))}" if unknown else "no case given"
        raise argparse.ArgumentTypeError(f"{named}; the cases are {', '.join(CASES)}")
    return names


def run_child(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one case in a fresh process, whose threads are limited from the start."""
    threads = str(options.threads)
    environment = os.environ | {
        "BESOM_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, __file__, *sys.argv[1:], "--child", name]
    output = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def measure(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds of each repetition, by way, and of the first epoch with its start."""
    import numpy as np

    from besom.training import runtime

    runtime.start()
    n = min(case.images, options.images)
    with np.load(options.data) as arrays:
        x, y = arrays["x_train"][:n], arrays["y_train"][:n].astype(np.int64)
    prepared = {
        "floor": lambda: floor_epoch(case, options, n),
        "besom": lambda: besom_epoch(case, options, x, y),
        "keras": lambda: keras_epoch(case, options, x, y),
    }
    epochs, first = {}, {}
    for way, prepare in prepared.items():
        began = time.perf_counter()
        epochs[way] = prepare()
        epochs[way]()
        first[way] = time.perf_counter() - began
    seconds: dict[str, list[float]] = {way: [] for way in epochs}
    for _ in range(options.repeats):
        for way, epoch in epochs.items():
            began = time.perf_counter()
            epoch()
            seconds[way].append(time.perf_counter() - began)
    return {"images": n, "seconds": seconds, "first_epoch_seconds": first}


def build(case: Case, options: argparse.Namespace, input_shape: tuple[int, ...]) -> Any:
    """The case's compiled Keras model, built as a trial builds it."""
    from types import SimpleNamespace

    import numpy as np

    from besom.training.build import build_model, seed_everything
    from besom.training.settings import TrainerSettings

    seed_everything(0)
    config = {
        "model": {"_target_": f"besom.training.models.{case.model}", **case.params},
        "optimizer": {"_target_": f"keras.optimizers.{options.optimizer}"},
    }
    data = SimpleNamespace(x_train=np.empty((0, *input_shape)), num_classes=10)
    return build_model(config, TrainerSettings(precision=options.precision), data)


def besom_epoch(case: Case, options: argparse.Namespace, x: Any, y: Any) -> Callable[[], object]:
    from besom.training.epochs.job import epoch_order
    from besom.training.fast.engine import CompiledTraining, Examples

    model = build(case, options, x.shape[1:])
    training = CompiledTraining(model, Examples(x, y, 1 / 255), case.batch_size)
    epochs = itertools.count(1)
    return lambda: training.epoch(epoch_order(0, next(epochs), len(x)))


def keras_epoch(case: Case, options: argparse.Namespace, x: Any, y: Any) -> Callable[[], object]:
    import numpy as np

    model = build(case, options, x.shape[1:])
    scaled = x.astype(np.float32) / 255
    return lambda: model.fit(scaled, y, batch_size=case.batch_size, epochs=1, verbose=0)


def floor_epoch(case: Case, options: argparse.Namespace, n: int) -> Callable[[], object]:
    """One loop over the batches of an epoch that does the products of a step, and nothing else."""
    import tensorflow as tf

    dtype = tf.bfloat16 if options.precision == "bfloat16" else tf.float32
    products = _products(case, dtype)

    @tf.function(autograph=False)
    def epoch() -> Any:
        def step(i: Any, used: Any) -> tuple[Any, Any]:
            # One number of each product is used, or TensorFlow would leave it out.
            corners = [tf.reshape(product(), [-1])[0] for product in products]
            return i + 1, used + tf.cast(tf.add_n(corners), tf.float32)

        n_steps = -(-n // case.batch_size)
        return tf.while_loop(lambda i, _: i < n_steps, step, [0, 0.0], parallel_iterations=1)

    return lambda: epoch()


def _products(case: Case, dtype: Any) -> list[Callable[[], Any]]:
    """The products of one step: for each layer forward, its weights' gradient, its input's.

    Operands are variables: a loop may not compute once what it reads from one.
    """
    import tensorflow as tf

    products: list[Callable[[], Any]] = []

    def operand(*shape: int) -> Any:
        return tf.Variable(tf.random.normal(shape, dtype=dtype))

    def dense(n_in: int, n_out: int, first: bool) -> None:
        x, w, d = (
            operand(case.batch_size, n_in),
            operand(n_in, n_out),
            operand(case.batch_size, n_out),
        )
        products.append(lambda: tf.matmul(x, w))
        products.append(lambda: tf.matmul(x, d, transpose_a=True))
        if not first:
            products.append(lambda: tf.matmul(d, w, transpose_b=True))

    def convolution(size: int, n_in: int, n_out: int, first: bool) -> None:
        x, w = operand(case.batch_size, size, size, n_in), operand(3, 3, n_in, n_out)
        d = operand(case.batch_size, size, size, n_out)
        how = {"strides": [1, 1, 1, 1], "padding": "SAME"}
        products.append(lambda: tf.nn.conv2d(x, w, **how))
        products.append(
            lambda: tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=w.shape, out_backprop=d, **how
            )
        )
        if not first:
            products.append(
                lambda: tf.raw_ops.Conv2DBackpropInput(
                    input_sizes=x.shape, filter=w, out_backprop=d, **how
                )
            )

    if case.model == "cnn":
        convolution(28, 1, 32, first=True)
        convolution(14, 32, 64, first=False)
        widths = [7 * 7 * 64, 128, 10]
    else:
        widths = [784, *case.params["hidden_units"], 10]
    for position, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        dense(n_in, n_out, first=position == 0 and case.model == "mlp")
    return products


def print_table(results: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    print(
        f"Seconds per epoch, {options.threads} thread(s), {options.optimizer}, "
        f"{options.precision}: median of {options.repeats} (least-most); "
        "start: what the first epoch took beyond that"
    )
    ways = "".join(f"{way:>22}" for way in ("floor", "besom", "keras.fit"))
    print(f"{'case':<10}{'images':>7}{ways}  besom/floor  keras/besom  start besom, keras.fit")
    for name, result in results.items():
        seconds = result["seconds"]
        median = {way: statistics.median(values) for way, values in seconds.items()}
        start = {way: result["first_epoch_seconds"][way] - median[way] for way in median}
        cells = "".join(
            f"{median[way]:.3f} ({min(values):.3f}-{max(values):.3f})".rjust(22)
            for way, values in seconds.items()
        )
        ratios = (median["besom"] / median["floor"], median["keras"] / median["besom"])
        print(
            f"{name:<10}{result['images']:>7}{cells}{ratios[0]:>12.2f}x{ratios[1]:>12.2f}x"
            f"{start['besom']:>12.2f}{start['keras']:>11.2f}"
        )


if __name__ == "__main__":
    main()
