"""``besom show``: ten random training images with their labels, as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from besom.config import Composed
from besom.errors import DataError
from besom.targets import refuse_untrusted

N_IMAGES = 10


def draw_examples(composed: Composed, output: Path | None) -> Path:
    """Draw ten random training images and return the picture's path.

    Args:
        composed: a composed ``conf/train.yaml``; its seed chooses the images.
        output: the picture; None: ``<results_dir>/show/<data>.png``.

    Raises:
        DataError: the data cannot be loaded, or its examples are not images.
    """
    from besom.plots import write_image_grid
    from besom.training.data.loading import load_training

    config = composed.config
    refuse_untrusted(config)
    data = load_training(config["data"])
    shape = data.x_train.shape[1:]
    if len(shape) not in (2, 3):
        raise DataError(
            f"{data.name} has examples of shape {shape}, which are not images. `besom show` draws "
            "images of shape (height, width) or (height, width, channels)."
        )
    chosen = np.random.default_rng(config["seed"]).choice(
        len(data.x_train), size=min(N_IMAGES, len(data.x_train)), replace=False
    )
    name = composed.choices.get("data", data.name)
    path = output or Path(config["results_dir"]) / "show" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image_grid(data.x_train[chosen], data.y_train[chosen].tolist(), path, name)
    return path
