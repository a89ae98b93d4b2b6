"""What one process starts once and keeps from run to run: TensorFlow, its threads, the data.

Everything of a model is freed after each run, since one worker builds hundreds of them. TensorFlow
is imported inside the functions, after the environment it reads has been set.
"""

from __future__ import annotations

import functools
import gc
import json
import logging
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from besom.errors import ConfigError
from besom.seam import TrialConfig

log = logging.getLogger("besom")

#: The number of threads TensorFlow may use in this process; unset: TensorFlow's own choice.
THREADS_VARIABLE = "BESOM_THREADS"

#: What Keras imports, where it is installed, for other uses than a trial's: wrappers for
#: scikit-learn, plots of examples, data frames as a model's input.
_OTHER_USES = ("sklearn", "matplotlib", "pandas")


def threads_wanted() -> int | None:
    """Return the thread count from ``BESOM_THREADS``, None if unset.

    Raises:
        ConfigError: it is not a whole number above zero.
    """
    text = os.environ.get(THREADS_VARIABLE, "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(
            f"{THREADS_VARIABLE} is {text!r}, expected a whole number above zero: the number of "
            "threads TensorFlow may use in one process. Unset it for TensorFlow's own choice."
        )
    return int(text)


def start_worker() -> None:
    """Start TensorFlow in a process of besom's own, in two thirds of the time ``start`` takes.

    Keras then lacks its scikit-learn wrappers, plots of examples and data frames as input; a
    trial can still import these packages itself. And what TensorFlow would keep of every trial is
    released (``besom.training.fast.custom_gradients``). Not for a user's own process.

    Raises:
        ConfigError: ``BESOM_THREADS`` is not a whole number above zero.
    """
    with _uninstalled(_OTHER_USES):
        start()
    from besom.training.fast import custom_gradients

    custom_gradients.tie()


@contextmanager
def _uninstalled(packages: tuple[str, ...]) -> Iterator[None]:
    """While open, importing one of ``packages`` fails, unless it has been imported before."""
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


@functools.cache
def start() -> int | None:
    """Import TensorFlow and set its threads; later calls do nothing.

    Returns:
        The number of threads set, None where TensorFlow chose.

    Raises:
        ConfigError: ``BESOM_THREADS`` is not a whole number above zero.
    """
    threads = threads_wanted()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "keras" not in sys.modules:
        # The compiled epoch is TensorFlow's; another backend in the user's shell would break it.
        os.environ["KERAS_BACKEND"] = "tensorflow"
    import tensorflow as tf

    try:
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:  # TensorFlow was used before us: it has its threads already
        log.warning("TensorFlow was started before besom and keeps its settings: %s", error)
        return None
    return threads


def versions() -> dict[str, str]:
    """Return the versions that a trial's numbers depend on."""
    import keras
    import numpy as np
    import tensorflow as tf

    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def device() -> dict[str, Any]:
    """Return what this process trains on: ``cpu``, ``gpus`` (names) and ``threads`` (None: all).

    ``lacks_gpu`` is True where the process was given a GPU and TensorFlow sees none.
    """
    import tensorflow as tf

    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    facts = {"cpu": _cpu_model(), "gpus": gpus, "threads": start()}
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "") not in ("", "-1")
    return facts | ({"lacks_gpu": True} if given and not gpus else {})


def _cpu_model() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def training_data(config: TrialConfig) -> Any:
    """Return the config's ``besom.training.data.TrainingData``, loaded once in this process.

    With ``run.fold`` in the config it is that fold of it.

    Raises:
        ConfigError, DataError: as ``besom.training.data.load_training`` and ``.folds.load_folds``;
            or a loss makes other data of the labels than that of another config did.
    """
    run = config.get("run", {})
    data = loaded(*data_key(config), n_folds=run.get("folds", 0))
    return data.fold(run["fold"]) if "fold" in run else from_the_start(config, data)


def data_key(config: TrialConfig) -> tuple[str, str]:
    """What decides a config's data, as text: its node, and what its loss suggests of the labels."""
    from besom.training.loss_kinds import suggested_task

    suggested = suggested_task(config.get("trainer", {}).get("loss"))
    return json.dumps(config["data"], sort_keys=True), json.dumps(suggested)


def from_the_start(config: TrialConfig, data: Any) -> Any:
    """The data as it was when it was loaded: a stream that shuffles remembers how often it was
    read, and its order must not depend on what this process ran before."""
    from besom.training.data.examples import Stream

    if not isinstance(data.train, Stream):
        return data
    import tensorflow as tf

    from besom.training.data.loading import opened_anew

    tf.random.set_seed(config.get("seed", 0))
    return opened_anew(config["data"], data)


def loaded(node: str, suggested: str, n_folds: int = 0) -> Any:
    """The data of a ``data_key``, loaded once; most suggestions of losses come to the same.

    Args:
        node, suggested: as ``data_key`` gives them.
        n_folds: into how many folds it is divided; the ``Folds`` then; 0: it is not.

    Raises:
        ConfigError, DataError: as ``training_data``.
    """
    from besom.training.data.folds import load_folds
    from besom.training.data.loading import load_training

    known = _loaded(node, n_folds)
    if suggested not in known:
        arguments = json.loads(node), json.loads(suggested)
        data: Any = load_folds(*arguments, n_folds) if n_folds else load_training(*arguments)
        for other in known.values():
            this, that = (found.whole if n_folds else found for found in (data, other))
            if this.fingerprint != that.fingerprint:
                raise ConfigError(
                    f"trainer.loss makes the labels of {this.name} {this.task} ({this.split}), and "
                    f"another trial's {that.task} ({that.split}): their values could not be "
                    "compared. Set data.task."
                )
            data = other
        known[suggested] = data
    return known[suggested]


@functools.lru_cache(maxsize=1)
def _loaded(node: str, n_folds: int) -> dict[str, Any]:  # noqa: ARG001
    return {}


def environment(data: Any) -> dict[str, Any]:
    """Return what every run of this process depends on.

    Args:
        data: from ``training_data``.

    Returns:
        ``data`` (name, fingerprint, task, split, scaled, each a phrase; raw_columns where a kept
        model takes a table's columns as they are; fixed_split where no seed would choose other
        validation examples; folds, where there are some; n_train, n_validation, input_shape,
        input_scale, which is the factor on the examples, num_classes, and label_gaps where a class
        has no example),
        ``versions``, ``device``, and ``n_classes_unjudged``: how many classes no validation example
        shows; 0 without such examples. Of a fold, the numbers of examples are those of all folds.
    """
    from besom.training.data.dataset import label_gaps

    whole = data.whole or data
    gaps = label_gaps(whole)
    return {
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "task": str(data.task),
            "split": data.split,
            **({"fixed_split": True} if data.fixed_split else {}),
            **({"folds": data.n_folds} if data.n_folds else {}),
            **({"scaled": data.scaling} if data.scaling else {}),
            **({"raw_columns": True} if data.columns is not None else {}),
            "n_train": whole.n_train,
            "n_validation": whole.n_validation,
            "input_shape": _plain_shapes(data.input_shape),
            "input_scale": data.scale,
            "num_classes": data.num_classes,
            **({"label_gaps": gaps} if gaps else {}),
        },
        "n_classes_unjudged": _n_classes_unjudged(whole),
        "versions": versions(),
        "device": device(),
    }


def _n_classes_unjudged(data: Any) -> int:
    from besom.training.data.dataset import class_counts

    counts = class_counts(data, data.validation)
    return 0 if counts is None else int((counts == 0).sum())


def _plain_shapes(shapes: Any) -> Any:
    """A nest of shapes as JSON has it: lists."""
    if shapes is None:
        return None
    if isinstance(shapes, Mapping):
        return {str(key): _plain_shapes(shape) for key, shape in shapes.items()}
    return [_plain_shapes(part) if isinstance(part, tuple | dict) else part for part in shapes]


def free_models() -> None:
    """Free what trials leave behind; nothing may hold a model any more."""
    import keras

    keras.backend.clear_session(free_memory=False)
    gc.collect()


def settle() -> None:
    """Exempt what is alive now from garbage collection, which would take 0.2 s each time."""
    gc.freeze()
