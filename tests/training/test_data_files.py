"""Datasets from files: NumPy archives and the IDX files of MNIST, sound and damaged."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from besom.errors import DataError
from besom.training.data import NoTestImages, load_test, load_training

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")

X = np.arange(20 * 4 * 3, dtype=np.uint8).reshape(20, 4, 3)
Y = np.arange(20, dtype=np.uint8) % 4
PARTS = {"x_train": X, "y_train": Y, "x_test": X[:8] + 1, "y_test": Y[:8]}


def from_npz(path: object, **parameters: Any) -> dict[str, Any]:
    return {
        "_target_": "besom.training.data.npz",
        "path": str(path) if isinstance(path, Path) else path,
        "validation_split": 0,
    } | parameters


def from_mnist(path: Path | str) -> dict[str, Any]:
    return from_npz(path, _target_="besom.training.data.mnist")


def save(path: Path, **changes: Any) -> Path:
    arrays = {name: array for name, array in (PARTS | changes).items() if array is not None}
    np.savez(path, **arrays)
    return path


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx_folder(folder: Path, suffix: str = "", hyphen: str = "-") -> Path:
    folder.mkdir(exist_ok=True)
    for prefix, part in (("train", "train"), ("t10k", "test")):
        for kind, name, array in (
            ("images", "idx3", PARTS[f"x_{part}"]),
            ("labels", "idx1", PARTS[f"y_{part}"]),
        ):
            content = idx(array)
            file = folder / f"{prefix}-{kind}{hyphen}{name}-ubyte{suffix}"
            file.write_bytes(gzip.compress(content) if suffix else content)
    return folder


# --- sound files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [from_npz, from_mnist])
def test_an_archive_is_read_part_by_part(tmp_path: Path, target: Any) -> None:
    config = target(save(tmp_path / "mine.npz"))
    training = load_training(config)
    test = load_test(config, training)
    np.testing.assert_array_equal(training.x_train, X)
    np.testing.assert_array_equal(training.y_train, Y)
    np.testing.assert_array_equal(test.x, PARTS["x_test"])
    np.testing.assert_array_equal(test.y, PARTS["y_test"])
    assert training.x_train.dtype == np.uint8
    assert training.scale == test.scale == 1 / 255
    assert training.num_classes == test.num_classes == 4
    assert training.name == ("mine" if target is from_npz else "mnist")


@pytest.mark.parametrize(("suffix", "hyphen"), [("", "-"), (".gz", "-"), ("", "."), (".gz", ".")])
def test_a_folder_of_idx_files_is_read_raw_or_gzipped(
    tmp_path: Path, suffix: str, hyphen: str
) -> None:
    config = from_mnist(write_idx_folder(tmp_path / "idx", suffix, hyphen))
    training, test = load_training(config), load_test(config)
    np.testing.assert_array_equal(training.x_train, X)
    np.testing.assert_array_equal(training.y_train, Y)
    np.testing.assert_array_equal(test.x, PARTS["x_test"])
    assert training.fingerprint == load_training(from_mnist(save(tmp_path / "a.npz"))).fingerprint


def test_training_needs_no_test_files(tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path / "idx")
    for file in folder.glob("t10k*"):
        file.unlink()
    load_training(from_mnist(folder))
    archive = save(tmp_path / "a.npz", x_test=None, y_test=None)
    load_training(from_npz(archive))
    for config, missing in [(from_mnist(folder), "t10k-images"), (from_npz(archive), "x_test")]:
        with pytest.raises(NoTestImages, match=f"has no {missing}"):
            load_test(config)


def test_training_survives_a_damaged_test_part_since_it_never_opens_it(tmp_path: Path) -> None:
    pickled = np.array([{}], dtype=object)
    load_training(from_npz(save(tmp_path / "a.npz", x_test=pickled)))
    folder = write_idx_folder(tmp_path / "idx")
    (folder / "t10k-images-idx3-ubyte").write_bytes(b"")
    load_training(from_mnist(folder))


@pytest.mark.parametrize(
    ("x", "scale"),
    [
        (X, 1 / 255),
        (X[..., None], 1 / 255),
        (X.reshape(len(X), -1), 1.0),
        (X.astype(np.int64), 1.0),
        (X.reshape(len(X), -1).astype(np.int64), 1.0),
        (X / 255, 1.0),
        (X > 100, 1.0),
    ],
)
def test_only_bytes_of_image_shape_are_scaled_and_what_was_is_said(
    tmp_path: Path, x: np.ndarray, scale: float
) -> None:
    path = save(tmp_path / "a.npz", x_train=x, x_test=x[:8])
    training = load_training(from_npz(path))
    assert training.scale == scale
    assert training.scaling == ("" if scale == 1.0 else "x × 1/255")
    assert load_test(from_npz(path), training).scale == scale
    assert load_training(from_npz(path, scale=0.25)).scale == 0.25


def test_token_ids_stay_whole_numbers(tmp_path: Path) -> None:
    tokens = X.reshape(len(X), -1).astype(np.int64)
    training = load_training(from_npz(save(tmp_path / "a.npz", x_train=tokens)))
    assert training.x_train.dtype == np.int64
    np.testing.assert_array_equal(training.x_train, tokens)


def test_the_test_part_takes_its_scale_from_the_training_part(tmp_path: Path) -> None:
    wide = X.astype(np.int64) * 10
    config = from_npz(save(tmp_path / "a.npz", x_train=wide, x_test=X[:8].astype(np.int64)))
    assert load_test(config, load_training(config)).scale == 1.0


def test_tilde_variables_and_relative_paths_are_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "a.npz")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MY_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for path in ("~/a.npz", "$MY_DATA/a.npz", "${MY_DATA}/a.npz", "a.npz", "./a.npz"):
        assert len(load_training(from_npz(path)).x_train) == 20


# --- missing and damaged files --------------------------------------------------------------------


@pytest.mark.parametrize("path", ["nowhere.npz", "~nobody_of_that_name/a.npz", "$UNSET_HERE/a.npz"])
def test_a_missing_file_is_named_with_the_place_that_was_looked_at(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as refused:
        load_training(from_npz(path))
    assert f"data.path={path} does not exist (looked for {tmp_path}" in str(refused.value)


@pytest.mark.parametrize("path", [None, "???"])
def test_npz_without_a_path_says_how_to_give_one(path: str | None) -> None:
    with pytest.raises(DataError, match=r"data=npz needs data\.path=FILE"):
        load_training(from_npz(path))


@pytest.mark.parametrize("path", ["", 3, ["a.npz"]])
def test_a_path_that_is_none_is_refused(path: object) -> None:
    with pytest.raises(DataError, match=r"data\.path="):
        load_training(from_npz(path))


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", X)
    (tmp_path / "text.npz").write_text("x_train, y_train")
    (tmp_path / "empty.npz").touch()
    for name in ("one.npy", "text.npz", "empty.npz"):
        with pytest.raises(DataError, match=f"{name} is not a NumPy .npz archive"):
            load_training(from_npz(tmp_path / name))


def test_an_archive_cut_short_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cut short"):
        load_training(from_npz(path))


@pytest.mark.parametrize("compressed", [False, True])
def test_an_archive_with_flipped_bytes_is_refused(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "a.npz"
    (np.savez_compressed if compressed else np.savez)(path, **PARTS)
    content = bytearray(path.read_bytes())
    content[200:230] = bytes(30)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x_train in .*a\.npz cannot be read, the file is damaged"):
        load_training(from_npz(path))


def test_missing_arrays_are_named_with_those_that_are_there(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=X, labels=Y)
    message = r"a\.npz has no x_train and no y_train\. It holds: images, labels\."
    with pytest.raises(DataError, match=message):
        load_training(from_npz(tmp_path / "a.npz"))
    with zipfile.ZipFile(tmp_path / "nothing.npz", "w"):
        pass
    with pytest.raises(DataError, match="It holds: nothing"):
        load_training(from_npz(tmp_path / "nothing.npz"))


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x_train=np.array([[Bomb()]] * 20, dtype=object))
    with pytest.raises(DataError, match=r"x_train in .* holds Python objects, which are never"):
        load_training(from_npz(path))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (os.mkfifo, "is a named pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    ],
)
def test_a_path_that_is_no_file_is_refused_without_reading_it(
    tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    make(tmp_path / "a.npz")
    with pytest.raises(DataError, match=f"data.path=.*a.npz {says}, expected an .npz file"):
        load_training(from_npz(tmp_path / "a.npz"))
    folder = write_idx_folder(tmp_path / "idx")
    images = folder / "train-images-idx3-ubyte"
    images.unlink()
    make(images)
    with pytest.raises(DataError, match=f"{images.name} {says}, expected an IDX file"):
        load_training(from_mnist(folder))


def claiming(shape: tuple[int, ...], data: bytes = b"") -> bytes:
    """An array file whose header says this shape."""
    file = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (
            claiming((10**6, 10**7), bytes(100)),
            r"10,000,000,000,000 bytes, but the archive holds 100",
        ),
        (claiming((-1, 4), bytes(100)), "is damaged: its header says"),
        (claiming((10**30,), bytes(100)), "is damaged: its header says"),
        (b"no array at all", "cannot be read, the file is damaged"),
        (b"", "cannot be read, the file is damaged"),
        (b"\x93NUMPY\x01\x00\xff\x20" + b"(" * 0x20FF, "cannot be read, the file is damaged"),
    ],
)
def test_an_array_that_claims_what_the_archive_does_not_hold_is_refused(
    tmp_path: Path, array: bytes, says: str
) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", array)
        archive.writestr("y_train.npy", claiming((4,), bytes(4)))
    tracemalloc.start()
    with pytest.raises(DataError, match=f"x_train in .*a.npz.*{says}"):
        load_training(from_npz(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_an_array_larger_than_the_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """The archive says that it holds it all, as an honest one with too much in it would."""
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", claiming((10**6, 10**7)))
        archive.writestr("y_train.npy", claiming((4,), bytes(4)))
        size = len(claiming((10**6, 10**7))) + 10**13
        info = archive.getinfo("x_train.npy")
        info.file_size = info.compress_size = size
    # Python 3.13 notices by itself that the members would overlap.
    refusal = r"x_train in .* (takes 10,000\.0 GB, and this machine has|.*Overlapped entries)"
    with pytest.raises(DataError, match=refusal):
        load_training(from_npz(path))
    folder = write_idx_folder(tmp_path / "idx", ".gz")
    header = bytes([0, 0, 8, 3]) + b"\xff" * 12
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header))
    with pytest.raises(DataError, match=r"by its header of shape .* GB, and this machine has"):
        load_training(from_mnist(folder))


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os._exit, (99,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": Y[:-1]}, r"a \(train\): 20 examples but 19 labels"),
        ({"x_train": X.astype(float) * np.nan}, "20 of 20 examples hold NaN"),
        ({"y_train": Y.astype(int) - 1}, "labels of classes must be integers from 0"),
        ({"y_train": Y * 0}, "all 20 labels are 0"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "there are no"),
        ({"x_train": X.astype("datetime64[s]")}, r"dtype datetime64\[s\]"),
    ],
)
def test_arrays_that_cannot_be_trained_on_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_training(from_npz(save(tmp_path / "a.npz", **changes)))


def test_test_labels_that_training_does_not_know_are_refused(tmp_path: Path) -> None:
    config = from_npz(save(tmp_path / "a.npz", y_test=Y[:8] + 1))
    with pytest.raises(DataError, match=r"a \(test\): label 4 at position 3.* 4 classes, 0 to 3"):
        load_test(config, load_training(config))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("kept", [0, 3, 10, 100])
def test_a_truncated_idx_file_is_refused_with_both_sizes(
    tmp_path: Path, suffix: str, kept: int
) -> None:
    folder = write_idx_folder(tmp_path / "idx", suffix)
    content = idx(X)[:kept]
    file = folder / f"train-images-idx3-ubyte{suffix}"
    file.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(DataError, match=f"truncated.* {16 if kept < 16 else 256} bytes.* {kept}"):
        load_training(from_mnist(folder))


def test_an_idx_file_with_bytes_left_over_is_refused_with_both_sizes(tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path / "idx")
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(Y) + b"..")
    with pytest.raises(DataError, match=r"longer than its header says: expected 28 .*found 30"):
        load_training(from_mnist(folder))


def test_a_file_with_another_header_is_refused(tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path / "idx")
    (folder / "train-images-idx3-ubyte").write_bytes(gzip.compress(idx(X)))
    with pytest.raises(
        DataError, match=r"not an IDX file.* begins with 1f 8b .*expected 00 00 08 03"
    ):
        load_training(from_mnist(folder))
    (folder / "train-images-idx3-ubyte").write_bytes(idx(Y))
    with pytest.raises(DataError, match="begins with 00 00 08 01, expected 00 00 08 03"):
        load_training(from_mnist(folder))


@pytest.mark.parametrize("damage", ["cut", "flipped", "not gzip"])
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, damage: str) -> None:
    folder = write_idx_folder(tmp_path / "idx", ".gz")
    file = folder / "train-images-idx3-ubyte.gz"
    content = file.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes(b ^ 255 for b in content[middle:])
    file.write_bytes({"cut": content[:middle], "flipped": flipped, "not gzip": idx(X)}[damage])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is not a whole gzip file"):
        load_training(from_mnist(folder))


def test_a_folder_without_the_files_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no train-images-idx3-ubyte or .*It holds: nothing"):
        load_training(from_mnist(tmp_path))
    for name in "abcdefghij":
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"It holds: a, b, c, d, e, f, g, h, \.\.\.\."):
        load_training(from_mnist(tmp_path))


# --- the real ones --------------------------------------------------------------------------------


def test_real_mnist_keeps_its_bytes_and_its_classes() -> None:
    path = os.environ.get("BESOM_MNIST")
    if not path:
        pytest.skip("BESOM_MNIST does not name an mnist.npz")
    config = from_mnist(path) | {"validation_split": 5000}
    training = load_training(config)
    test = load_test(config, training)
    assert training.x_train.shape == (55000, 28, 28)
    assert training.x_validation.shape == (5000, 28, 28)
    assert test.x.shape == (10000, 28, 28)
    assert training.x_train.dtype == test.x.dtype == np.uint8
    assert training.num_classes == 10
    assert training.scale == 1 / 255
    share = np.bincount(training.y_validation) / np.bincount(training.y_train)
    np.testing.assert_allclose(share, 5000 / 55000, rtol=0.003)


@pytest.mark.skipif(
    not DEBIAN_FASHION_MNIST.is_dir(), reason="Debian's dataset-fashion-mnist is not installed"
)
def test_debians_fashion_mnist_is_read_as_it_is_laid_out() -> None:
    config = {
        "_target_": "besom.training.data.fashion_mnist",
        "path": str(DEBIAN_FASHION_MNIST),
        "validation_split": 0.1,
    }
    training = load_training(config)
    test = load_test(config, training)
    assert training.x_train.shape == (54000, 28, 28)
    assert test.x.shape == (10000, 28, 28)
    assert list(np.bincount(training.y_validation)) == [600] * 10
    assert list(np.bincount(test.y)) == [1000] * 10
