"""``data=image_folder`` and ``data=text_folder``: a folder per class, by Keras's own loaders.

A folder either holds the classes, or ``train`` and, if there is one, ``test``, which hold them.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil

from besom.errors import DataError, reason_of
from besom.text.counting import listed
from besom.text.values import given_text
from besom.training.data.array_checks import check_fits_memory
from besom.training.data.dataset import Dataset, NoTestExamples, Split
from besom.training.data.examples import LazyRows

_AT_ONCE = 256
#: What ``keras.utils.image_dataset_from_directory`` reads.
_IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_CHANNELS = {"rgb": 3, "rgba": 4, "grayscale": 1}

_ColorMode = Literal["rgb", "rgba", "grayscale"]


def image_folder(
    split: Split,
    path: str,
    height: int = 64,
    width: int = 64,
    color_mode: _ColorMode = "rgb",
    crop_to_aspect_ratio: bool = False,
    in_memory: bool | None = None,
) -> Dataset:
    """Return the images of a folder, (n, height, width, channels) uint8.

    Args:
        split: the part.
        path: a folder with a folder of images per class; or with ``train`` and ``test`` of such.
        height, width: the size that each image is brought to, in pixels.
        color_mode: rgb, rgba or grayscale.
        crop_to_aspect_ratio: whether an image of another shape is cropped; else it is distorted.
        in_memory: whether all images are read at once; None: if they take at most half of the
            memory that is free. Else each is read whenever a batch has it.

    Raises:
        NoTestExamples: the test part is asked for and not there.
        DataError: there are no images, they cannot be read, or do not fit into memory.
    """
    if color_mode not in _CHANNELS:
        raise DataError(
            f"data.color_mode={given_text(color_mode)}: expected {', '.join(_CHANNELS)}."
        )
    for name, size in (("height", height), ("width", width)):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise DataError(f"data.{name}={given_text(size)}: expected a number of pixels.")
    folder, classes = _folder(path, split, "image", _IMAGES)
    n, channels = sum(len(files) for files in classes.values()), _CHANNELS[color_mode]
    n_bytes = n * height * width * channels
    if in_memory is None:
        in_memory = n_bytes <= psutil.virtual_memory().available / 2
    if not in_memory:
        files = [file for of_class in classes.values() for file in of_class]
        late = LazyRows(ImageFiles(files, (height, width, channels), crop_to_aspect_ratio))
        late.sample()  # what cannot be read at all is said now
        labels = np.repeat(np.arange(len(classes)), [len(files) for files in classes.values()])
        return Dataset(late, labels, len(classes), name=_name(path), class_names=list(classes))
    check_fits_memory(n_bytes, f"{folder}: its {n:,} images of {height}×{width} pixels")

    def load(keras: Any) -> Any:
        return keras.utils.image_dataset_from_directory(
            folder,
            class_names=list(classes),
            color_mode=color_mode,
            image_size=(height, width),
            crop_to_aspect_ratio=crop_to_aspect_ratio,
            batch_size=_AT_ONCE,
            shuffle=False,
            verbose=False,
        )

    x, y = _arrays(load, folder, lambda batch: np.rint(batch).astype(np.uint8))
    return Dataset(x, y, len(classes), name=_name(path), class_names=list(classes))


class ImageFiles:
    """Images that are read and resized when they are indexed, as an array of them would be.

    Args:
        files: one for each image.
        shape: that of an image: height, width, channels.
        crop: as ``crop_to_aspect_ratio`` of ``image_folder``.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, files: list[Path], shape: tuple[int, int, int], crop: bool) -> None:
        self._files, self._crop = np.array([str(file) for file in files]), crop
        self.shape = (len(files), *shape)
        stats = [file.stat() for file in files]
        of_each = [
            f"{file} {s.st_size} {s.st_mtime_ns}" for file, s in zip(files, stats, strict=True)
        ]
        digest = hashlib.blake2b("\n".join(of_each).encode(), digest_size=8)
        #: What changes with any of the files.
        self.identity = f"{digest.hexdigest()} {self.shape} {crop}"

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: Any) -> Any:
        import tensorflow as tf

        wanted = self._files[index]
        try:
            with tf.device("CPU"):
                images = self._read(tf.constant(np.atleast_1d(wanted))).numpy()
        except (tf.errors.OpError, ValueError) as error:
            raise DataError(f"The images cannot be read: {reason_of(error)}.") from error
        return images if np.ndim(wanted) else images[0]

    @functools.cached_property
    def _read(self) -> Any:
        import keras
        import tensorflow as tf

        _, height, width, channels = self.shape

        def one(file: Any) -> Any:
            image = tf.io.decode_image(
                tf.io.read_file(file), channels=channels, expand_animations=False
            )
            image.set_shape((None, None, channels))
            if self._crop:
                image = keras.preprocessing.image.smart_resize(image, (height, width))
            else:
                image = tf.image.resize(image, (height, width))
            return tf.cast(tf.round(image), tf.uint8)

        def all_of(files: Any) -> Any:
            return tf.map_fn(one, files, fn_output_signature=tf.uint8, parallel_iterations=16)

        return tf.function(all_of, input_signature=[tf.TensorSpec([None], tf.string)])


def text_folder(split: Split, path: str) -> Dataset:
    """Return the text files of a folder as examples, (n,) text.

    Args:
        split: the part.
        path: a folder with a folder of ``.txt`` files per class; or with ``train`` and ``test``.

    Raises:
        NoTestExamples: the test part is asked for and not there.
        DataError: there are no text files, they cannot be read, or hold no UTF-8.
    """
    folder, classes = _folder(path, split, "text", (".txt",))
    check_fits_memory(
        sum(file.stat().st_size for files in classes.values() for file in files),
        f"{folder}: its texts",
    )

    def load(keras: Any) -> Any:
        return keras.utils.text_dataset_from_directory(
            folder, class_names=list(classes), batch_size=_AT_ONCE, shuffle=False, verbose=False
        )

    x, y = _arrays(load, folder, lambda batch: batch)
    return Dataset(
        _decoded(x, folder), y, len(classes), name=_name(path), class_names=list(classes)
    )


def _arrays(load: Callable[[Any], Any], folder: Path, of: Callable[[Any], Any]) -> tuple[Any, Any]:
    """What Keras's loader reads, in the order of the files' names."""
    import keras
    import tensorflow as tf

    try:
        with tf.device("CPU"):
            batches = [(of(x.numpy()), y.numpy()) for x, y in load(keras)]
    except (tf.errors.OpError, ValueError, OSError) as error:
        raise DataError(f"{folder} cannot be read: {reason_of(error)}.") from error
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return x, y.astype(np.int64)


def _decoded(x: Any, folder: Path) -> Any:
    texts = np.empty(len(x), object)
    for i, text in enumerate(x):
        try:
            texts[i] = text.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{folder}: text {i} is no UTF-8: {error}.") from error
    return texts


def _name(path: str) -> str:
    return Path(path).name or "folder"


def _folder(
    path: Any, split: Split, what: str, suffixes: tuple[str, ...]
) -> tuple[Path, dict[str, list[Path]]]:
    """The folder of a part, and the files of each class in it, by the class's name.

    Raises:
        NoTestExamples, DataError: it is not there, or holds no two classes with such files.
    """
    option = f"data={what}_folder"
    if path in (None, "???"):
        raise DataError(f"{option} needs data.path=FOLDER: with a folder of {what}s per class.")
    if not isinstance(path, str):
        raise DataError(f"data.path={given_text(path)}: expected the path of a folder.")
    root = Path(os.path.expandvars(os.path.expanduser(path)))  # noqa: PTH111
    found = False
    with contextlib.suppress(OSError, ValueError):
        found = bool(path) and root.is_dir()
    if not found:
        raise DataError(
            f"data.path={path} is no folder (looked for {root.absolute()}). Expected one with a "
            f"folder of {what}s per class."
        )
    is_split = (root / "train").is_dir() and len(_folders(root)) <= 3
    if split == "test" and not (is_split and (root / "test").is_dir()):
        raise NoTestExamples(
            f"{root} has no test part: put it into {root / 'test'} and the training part into "
            f"{root / 'train'}, or set data.test_split to a share of the {what}s."
        )
    classes = _classes(root / "train" if is_split else root, what, suffixes)
    if split == "train":
        return (root / "train" if is_split else root), classes
    folder = root / split
    there = _classes(folder, what, suffixes, least=1)
    if new := [name for name in there if name not in classes]:
        raise DataError(
            f"{folder} has the class {new[0]!r}, which the training part does not have: it has "
            f"{listed(list(classes))}."
        )
    return folder, {name: there.get(name, []) for name in classes}


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _classes(
    folder: Path, what: str, suffixes: tuple[str, ...], least: int = 2
) -> dict[str, list[Path]]:
    found = {
        sub.name: sorted(p for p in sub.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
        for sub in _folders(folder)
    }
    classes = {name: files for name, files in found.items() if files}
    if len(classes) >= least:
        return classes
    expected = f"Expected a folder per class with files that end in {', '.join(suffixes)}."
    if not classes:
        holds = listed([p.name for p in sorted(folder.iterdir())]) or "nothing"
        raise DataError(f"{folder} has no folders with {what}s. It holds: {holds}. {expected}")
    raise DataError(
        f"{folder} has one class with {what}s, {next(iter(classes))!r}; a classifier needs at "
        f"least two. {expected}"
    )
