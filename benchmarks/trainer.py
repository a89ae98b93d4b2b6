"""Seconds per epoch of the same training run three ways: the floor, besom, and ``keras.fit``.

    python benchmarks/trainer.py --data mnist.npz [--repeats 5] [--cases mlp-32,cnn-32]
    python benchmarks/trainer.py --cases regression,text,two,stream      # needs no file

- floor, for MNIST alone: only the matrix products (and convolutions) of a training step, forward
  and backward, in one compiled loop on operands already in memory. Nothing that trains is faster.
- besom: one epoch of the compiled engine (shuffle, gather, scale, step, metrics).
- keras: one epoch of ``model.fit`` from float32 NumPy arrays, as a tutorial writes it.

Every case runs in its own process with ``--threads`` threads; in it the three alternate, after
one epoch of each to warm up, so that a busy machine slows all three alike. None validates. The
convolutional network trains on a tenth of the images: an epoch of all takes half a minute.

Besides the networks on MNIST there are four jobs on made-up data: regression on 20,000 rows of 8
numbers, classification of 5,000 texts of 200 tokens (Embedding and Conv1D), two inputs with two
outputs, and a ``tf.data`` stream of images. Keras gets what a tutorial gives it there, too.
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
    job: str = ""  # a function of trainer_jobs; empty: MNIST


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
    "regression": Case("regression", {}, 32, images=20000, job="regression"),
    "text": Case("text", {}, 32, images=5000, job="text"),
    "two": Case("two", {}, 32, images=10000, job="two"),
    "stream": Case("stream", {}, 32, images=10000, job="stream"),
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
    on_mnist = not options.child and not all(CASES[name].job for name in options.cases)
    if on_mnist and (not options.data or not Path(options.data).is_file()):
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
    from besom.training.data.dataset import TrainingData
    from besom.training.data.examples import Examples
    from besom.training.data.task import Task

    runtime.start()
    n = min(case.images, options.images)
    if case.job:
        import trainer_jobs

        train, task, given = getattr(trainer_jobs, case.job)(n, case.batch_size)
    else:
        with np.load(options.data) as arrays:
            x, y = arrays["x_train"][:n], arrays["y_train"][:n].astype(np.int64)
        train, task = Examples(x, y, None, 1 / 255), Task("classification", 10, (10,))
        given = {"x": x.astype(np.float32) / 255, "y": y}
    data = TrainingData(train, None, task, task.num_classes, "", case.model)
    prepared = {
        "besom": lambda: besom_epoch(case, options, data),
        "keras": lambda: keras_epoch(case, options, data, given),
    }
    if not case.job:
        prepared = {"floor": lambda: floor_epoch(case, options, n), **prepared}
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


def build(case: Case, options: argparse.Namespace, data: Any) -> Any:
    """The case's compiled Keras model, built as a trial builds it."""
    from besom.training.build import build_model, seed_everything
    from besom.training.settings import TrainerSettings

    seed_everything(0)
    module = "trainer_jobs" if case.job else "besom.training.models"
    suffix = "_model" if case.job else ""
    config = {
        "model": {"_target_": f"{module}.{case.model}{suffix}", **case.params},
        "optimizer": {"_target_": f"keras.optimizers.{options.optimizer}"},
    }
    return build_model(config, TrainerSettings(precision=options.precision), data)


def besom_epoch(case: Case, options: argparse.Namespace, data: Any) -> Callable[[], object]:
    from besom.training.data.examples import Stream
    from besom.training.epochs.batches import tensors_of, training_passes
    from besom.training.epochs.job import epoch_order
    from besom.training.fast.training_loop import CompiledStream, CompiledTraining
    from besom.training.matching import matched
    from besom.training.settings import TrainerSettings

    model = build(case, options, data)
    train = matched(model, data, TrainerSettings()).train
    epochs = itertools.count(1)
    if isinstance(train, Stream):
        passes = training_passes(train, case.batch_size, None, lambda _: None)
        stream = CompiledStream(model, passes)
        return lambda: stream.epoch(next(epochs))
    training = CompiledTraining(model, tensors_of(train), case.batch_size)
    return lambda: training.epoch(epoch_order(0, next(epochs), train.n))


def keras_epoch(
    case: Case, options: argparse.Namespace, data: Any, given: dict[str, Any]
) -> Callable[[], object]:
    model = build(case, options, data)
    size = {} if case.job == "stream" else {"batch_size": case.batch_size}
    return lambda: model.fit(**given, **size, epochs=1, verbose=0)


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
    print(f"{'case':<10}{'rows':>7}{ways}  besom/floor  keras/besom  start besom, keras.fit")
    for name, result in results.items():
        seconds = result["seconds"]
        median = {way: statistics.median(values) for way, values in seconds.items()}
        start = {way: result["first_epoch_seconds"][way] - median[way] for way in median}
        cells = "".join(
            f"{median[way]:.3f} ({min(values):.3f}-{max(values):.3f})".rjust(22)
            if (values := seconds.get(way))
            else " " * 22
            for way in ("floor", "besom", "keras")
        )
        above = f"{median['besom'] / median['floor']:.2f}x" if "floor" in median else ""
        print(
            f"{name:<10}{result['images']:>7}{cells}{above:>13}"
            f"{median['keras'] / median['besom']:>12.2f}x"
            f"{start['besom']:>12.2f}{start['keras']:>11.2f}"
        )


if __name__ == "__main__":
    main()
