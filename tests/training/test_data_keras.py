"""MNIST and Fashion-MNIST by name: Keras's cache, one download, no long wait without network."""

from __future__ import annotations

import gzip
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from besom.errors import DataError
from besom.training.data import load_test, load_training
from besom.training.data.reading import keras_cache

X = np.arange(20 * 4 * 3, dtype=np.uint8).reshape(20, 4, 3)
Y = np.arange(20, dtype=np.uint8) % 4
MNIST = {"_target_": "besom.training.data.mnist", "path": None, "validation_split": 0}
FASHION = MNIST | {"_target_": "besom.training.data.fashion_mnist"}


def fill_cache(home: Path) -> None:
    folder = home / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(home / "datasets" / "mnist.npz", x_train=X, y_train=Y, x_test=X[:4], y_test=Y[:4])
    for prefix, n in (("train", 20), ("t10k", 4)):
        images = struct.pack(">4I", 0x803, n, 4, 3) + X[:n].tobytes()
        labels = struct.pack(">2I", 0x801, n) + Y[:n].tobytes()
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Keras folder, and no proxy to reach anything through."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    return tmp_path / "keras"


@pytest.fixture
def keras_downloads(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Put a function in the place of ``keras.datasets.*.load_data``, behind an open network."""

    def replace(load_data: Callable[[], None]) -> None:
        monkeypatch.setattr(keras_cache, "_why_unreachable", lambda: None)
        for name in ("mnist", "fashion_mnist"):
            fake = SimpleNamespace(load_data=load_data)
            monkeypatch.setitem(sys.modules, f"keras.datasets.{name}", fake)

    return replace


@pytest.mark.parametrize("config", [MNIST, FASHION])
def test_a_cached_dataset_is_read_without_network_or_keras(
    config: dict[str, Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_cache(home)
    monkeypatch.setattr(keras_cache, "_download", lambda name, home: pytest.fail("downloaded"))
    training = load_training(config)
    np.testing.assert_array_equal(training.x_train, X)
    assert len(load_test(config, training).x) == 4


@pytest.mark.parametrize("config", [MNIST, FASHION])
def test_what_is_not_cached_is_downloaded_once_and_quietly(
    config: dict[str, Any],
    home: Path,
    keras_downloads: Callable[[Callable[[], None]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = []

    def load_data() -> None:
        print("Downloading data [=====>...]")
        calls.append(1)
        fill_cache(home)

    keras_downloads(load_data)
    np.testing.assert_array_equal(load_training(config).x_train, X)
    load_training(config)
    assert len(calls) == 1
    assert capsys.readouterr().out == ""


def test_workers_that_start_together_download_once(
    home: Path, keras_downloads: Callable[[Callable[[], None]], None]
) -> None:
    calls = []

    def load_data() -> None:
        calls.append(1)
        (home / "datasets" / "mnist.npz").write_bytes(b"half of")
        time.sleep(0.2)
        fill_cache(home)

    keras_downloads(load_data)
    loaded = []
    workers = [
        threading.Thread(target=lambda: loaded.append(load_training(MNIST))) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(loaded) == 4
    assert len(calls) == 1


@pytest.mark.parametrize("config", [MNIST, FASHION])
def test_without_network_one_message_names_both_remedies(
    config: dict[str, Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*args: Any, **kwargs: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    started = time.monotonic()
    with pytest.raises(DataError) as refused:
        load_training(config)
    message = str(refused.value)
    assert f"not in Keras's cache ({home / 'datasets'})" in message
    assert "Name or service not known" in message
    assert "data.path=FILE" in message
    assert "data=digits" in message
    assert time.monotonic() - started < 20


def test_a_firewall_that_drops_packets_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full listen queue answers as such a firewall does: not at all."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    address = listener.getsockname()
    waiting = [socket.socket() for _ in range(8)]
    for connection in waiting:
        connection.setblocking(False)
        connection.connect_ex(address)
    twenty = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)] * 20
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: twenty)
    monkeypatch.setattr(keras_cache, "_CONNECT_TIMEOUT_S", 0.2)
    tried = []

    class Noted(socket.socket):
        def connect(self, to: Any) -> None:
            tried.append(to)
            super().connect(to)

    monkeypatch.setattr(socket, "socket", Noted)
    started = time.monotonic()
    try:
        with pytest.raises(DataError, match="timed out"):
            load_training(MNIST)
    finally:
        for connection in [*waiting, listener]:
            connection.close()
    assert tried == [address]  # one of the twenty
    assert time.monotonic() - started < 20  # by itself, Linux gives up after two minutes


@pytest.mark.long
@pytest.mark.tensorflow
def test_kerass_own_failed_download_becomes_the_same_message(home: Path) -> None:
    """The real Keras, sent to a proxy that refuses every connection, wherever this runs."""
    code = (
        "from besom.errors import DataError\n"
        "from besom.training.data import load_training\n"
        "try:\n"
        "    load_training({'_target_': 'besom.training.data.mnist'})\n"
        "except DataError as error:\n"
        "    print(error)\n"
    )
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
    environment = {**os.environ, "https_proxy": proxy, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    closed.close()
    assert done.stdout.startswith("mnist is not in Keras's cache")
    assert "URL fetch failure" in done.stdout
    assert "data.path=FILE" in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_damaged_cached_copy_says_to_delete_it(home: Path) -> None:
    fill_cache(home)
    (home / "datasets" / "mnist.npz").write_bytes(b"half of")
    with pytest.raises(DataError, match=r"mnist\.npz is not .*delete it to download it again"):
        load_training(MNIST)


def test_a_download_that_lands_elsewhere_is_explained(
    keras_downloads: Callable[[Callable[[], None]], None],
) -> None:
    keras_downloads(lambda: None)
    with pytest.raises(DataError, match=r"downloaded mnist, but not into .*data\.path=FILE"):
        load_training(MNIST)


def test_without_keras_home_the_cache_is_below_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    fill_cache(tmp_path / ".keras")
    np.testing.assert_array_equal(load_training(MNIST).x_train, X)


def test_a_tilde_in_keras_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", "~/elsewhere")
    fill_cache(tmp_path / "elsewhere")
    np.testing.assert_array_equal(load_training(MNIST).x_train, X)


def test_a_cache_that_cannot_be_written_is_read(home: Path) -> None:
    fill_cache(home)
    folders = [home / "datasets", home]
    for folder in folders:
        folder.chmod(0o555)
    try:
        np.testing.assert_array_equal(load_training(MNIST).x_train, X)
    finally:
        for folder in reversed(folders):
            folder.chmod(0o755)
