"""The TensorFlow runtime of one process: started once, with its threads, and described in facts.

Separates what holds for a whole process (threads, devices, versions) from what holds for a trial.
TensorFlow is imported inside the functions, after the environment it reads has been set.
"""

from __future__ import annotations

import functools
import logging
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from besom.errors import ConfigError

log = logging.getLogger("besom")

#: The number of threads TensorFlow may use in this process; unset: TensorFlow's own choice.
THREADS_VARIABLE = "BESOM_THREADS"

#: What Keras imports, where it is installed, for other uses than a trial's: wrappers for
#: scikit-learn, plots of images, data frames as a model's input.
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

    Keras then lacks its scikit-learn wrappers, plots of images and data frames as input; whatever
    a trial imports of these packages for itself is as ever. And what TensorFlow would keep of every
    trial is let go (``besom.training.fast.custom_gradients``). Not for a user's own process.

    Raises:
        ConfigError: ``BESOM_THREADS`` is nonsense.
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
        ConfigError: ``BESOM_THREADS`` is nonsense.
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
        log.warning("TensorFlow was started before besom, its settings stay: %s", error)
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
