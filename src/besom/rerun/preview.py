"""``besom show``: ten random training images with their labels, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from besom.config import Composed
from besom.errors import DataError
from besom.targets import refuse_untrusted

if TYPE_CHECKING:
    from besom.training.data import TrainingData

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
    from besom.training.data.examples import Stream
    from besom.training.data.loading import load_training
    from besom.training.data.nests import leaves
    from besom.training.loss_kinds import suggested_task

    config = composed.config
    refuse_untrusted(config)
    data = load_training(config["data"], suggested_task(config["trainer"].get("loss")))
    if isinstance(data.train, Stream):
        raise DataError(f"{data.name} is a stream of batches: `besom show` draws images in arrays.")
    images = next((leaf for leaf in leaves(data.train.x) if _may_be_images(leaf)), None)
    if images is None:
        raise DataError(
            f"{data.name} has examples of shape {data.input_shape}, which are not images. `besom "
            "show` draws images of shape (height, width) or (height, width, channels)."
        )
    n = data.train.n
    chosen = np.random.default_rng(config["seed"]).choice(n, size=min(N_IMAGES, n), replace=False)
    name = composed.choices.get("data", data.name)
    path = output or Path(config["results_dir"]) / "show" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image_grid(images[chosen], _labels(data, chosen), path, name)
    return path


def _may_be_images(leaf: Any) -> bool:
    is_ragged = hasattr(leaf, "row_splits")
    return not is_ragged and leaf.dtype.kind in "fiu" and len(leaf.shape) in (3, 4)


def _labels(data: TrainingData, chosen: Any) -> list[str]:
    """What to write under each image: its class, or its number; nothing where it has several."""
    y = data.y_train
    if y is None or data.task.has_several_outputs:
        return [""] * len(chosen)
    classes = data.task.classes_of(y)
    if classes is not None:
        names = data.class_names
        return [str(c if names is None else names[c]) for c in classes[chosen].tolist()]
    return [f"{row.item():.4g}" if row.size == 1 else "" for row in y[chosen]]
