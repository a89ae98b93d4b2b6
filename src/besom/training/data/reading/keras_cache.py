"""Finding MNIST and Fashion-MNIST in Keras's cache, downloading them through Keras only if absent.

Looking does not import Keras, which takes seconds; only a real download does.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import io
import logging
import os
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from besom.errors import DataError

_log = logging.getLogger(__name__)

#: Where below Keras's folder ``keras.datasets.<name>.load_data`` puts its files.
_FILES = {
    "mnist": ("datasets/mnist.npz",),
    "fashion_mnist": tuple(
        f"datasets/fashion-mnist/{part}-ubyte.gz"
        for part in (
            "train-images-idx3",
            "train-labels-idx1",
            "t10k-images-idx3",
            "t10k-labels-idx1",
        )
    ),
}
_HOST = "storage.googleapis.com"
_CONNECT_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 30.0


def fetch(name: str) -> Path:
    """Return where the cached dataset lies: an ``.npz`` file or a folder of IDX files.

    It is downloaded first if it is not there; several processes that ask at once download it once.

    Args:
        name: ``mnist`` or ``fashion_mnist``.

    Raises:
        DataError: it is not cached and cannot be downloaded; within seconds where there is no
            network.
    """
    home = _keras_home()
    with _one_at_a_time(home / "datasets", name):
        cached = _find(name, home)
        if cached is None:
            _download(name, home)
            cached = _find(name, home)
    if cached is None:
        raise DataError(
            f"Keras downloaded {name}, but not into {home / 'datasets'}. If KERAS_HOME was changed "
            "after Keras was imported, set it earlier, or give the file with data.path=FILE."
        )
    return cached


def _keras_home() -> Path:
    """Return the folder that Keras would choose (``keras.src.backend.config``)."""
    named = os.environ.get("KERAS_HOME")
    if named:
        return Path(named).expanduser()
    home = Path("~").expanduser()
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"


def _find(name: str, home: Path) -> Path | None:
    # A folder that cannot be written is read here, but Keras then downloads into /tmp/.keras.
    folders = [home] if os.access(home, os.W_OK) else [home, Path("/tmp/.keras")]
    for folder in folders:
        files = [folder / file for file in _FILES[name]]
        if all(file.is_file() for file in files):
            return files[0] if len(files) == 1 else files[0].parent
    return None


@contextlib.contextmanager
def _one_at_a_time(folder: Path, name: str) -> Iterator[None]:
    """Let one process at a time look and download: others would see a half-written file."""
    with contextlib.ExitStack() as stack:
        # Without a writable folder there is no lock to take, and nothing to write there either.
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((folder / f".{name}.besom-lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(name: str, home: Path) -> None:
    reason = _why_unreachable()
    if reason is None:
        _log.info("downloading %s into %s", name, home / "datasets")
        reason = _load_through_keras(name)
    if reason is not None:
        raise DataError(
            f"{name} is not in Keras's cache ({home / 'datasets'}) and cannot be downloaded: "
            f"{reason}. Give a file or folder that you have with data.path=FILE, "
            "or use data=digits, which needs no download."
        )


def _why_unreachable() -> str | None:
    """Say why no connection to the download server opens, or None if one does.

    Keras would try each of the server's twenty or so addresses with no timeout: behind a firewall
    that drops packets, that is many silent minutes. One address of each IP version is enough.
    """
    if "https" in urllib.request.getproxies() and not urllib.request.proxy_bypass(_HOST):
        return None
    try:
        found = socket.getaddrinfo(_HOST, 443, type=socket.SOCK_STREAM)
    except OSError as error:
        return f"{_HOST}: {error}"
    reason = f"{_HOST}: no address"
    for family, address in {entry[0]: entry[4] for entry in reversed(found)}.items():
        try:
            with socket.socket(family, socket.SOCK_STREAM) as connection:
                connection.settimeout(_CONNECT_TIMEOUT_S)
                connection.connect(address)
                return None
        except OSError as error:
            reason = f"{_HOST}: {error}"
    return reason


def _load_through_keras(name: str) -> str | None:
    """Let ``keras.datasets`` fill its cache; return why that failed, or None."""
    dataset = importlib.import_module(f"keras.datasets.{name}")
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_READ_TIMEOUT_S)
    try:
        # Keras prints its progress bar; standard output belongs to our own lines.
        with contextlib.redirect_stdout(io.StringIO()):
            dataset.load_data()
    except Exception as error:  # Keras raises a bare Exception for a failed download
        return f"{error}"
    finally:
        socket.setdefaulttimeout(timeout)
    return None
