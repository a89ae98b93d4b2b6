"""Files of what a trial gets wrong, as a worker writes them."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from besom.store.paths import StudyPaths


def picture(shade: int = 128, side: int = 8) -> str:
    file = io.BytesIO()
    Image.new("L", (side, side), shade).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def wrong(example: int, true: str, predicted: str, p: float, **more: Any) -> dict[str, Any]:
    return {"example": example, "true": true, "predicted": predicted, "probability": p, **more}


def classes(n_pictures: int = 2, names: tuple[str, ...] = ("cat", "dog", "cow")) -> dict[str, Any]:
    """Ten examples of three classes, three of them wrong."""
    a, b, c = names
    worst = [wrong(41, b, c, 0.97), wrong(3, a, c, 0.8), wrong(7, a, b, 0.6)]
    for entry in worst[:n_pictures]:
        entry["image"] = picture()
    for entry in worst[n_pictures:]:
        entry["text"] = f"the text of example {entry['example']}"
    output = {
        "name": "",
        "kind": "classes",
        "n_wrong": 3,
        "classes": list(names),
        "matrix": [[3, 1, 1], [0, 2, 1], [0, 0, 2]],
        "confusions": [[a, b, 1], [a, c, 1], [b, c, 1]],
        "worst": worst,
    }
    return {"format": 1, "n": 10, "outputs": [output]}


def tags() -> dict[str, Any]:
    worst = [wrong(5, "red, tall", "red", 0.1, tag="tall", text="a tower")]
    counts = [["red", 2, 0, 0], ["tall", 1, 1, 0]]
    output = {"name": "", "kind": "tags", "n_wrong": 1, "tags": counts, "worst": worst}
    return {"format": 1, "n": 4, "outputs": [output]}


def numbers(n: int = 4, shift: float = 0.5) -> dict[str, Any]:
    points = [[float(i), i + shift] for i in range(n)]
    worst = [
        {"example": i, "true": str(t), "predicted": str(p), "error": shift, "text": f"row {i}"}
        for i, (t, p) in enumerate(points)
    ]
    size = abs(shift)
    output = {
        "name": "",
        "kind": "numbers",
        **dict.fromkeys(("mean_error", "rms_error", "median_error", "error_90"), size),
        "bias": shift,
        "r2": 0.8,
        "points": points,
        "worst": worst,
    }
    return {"format": 1, "n": n, "outputs": [output]}


def write(results: Path, study: str, trial: int, found: dict[str, Any]) -> Path:
    path = StudyPaths.of(results, study).mistakes_of(trial)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return path
