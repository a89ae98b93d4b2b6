"""Which objects of Keras, Optuna and besom a config may name, decided by the name alone.

A name is public if its module is: models and strategies are built from few modules of these
libraries. What loads, saves, deserialises or downloads is not for a config.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from besom.errors import did_you_mean

#: What a config may name of besom; every ``_target_`` of the packaged configs is among them.
BESOMS_OWN = frozenset(
    {
        "besom.executors.local.LocalExecutor",
        "besom.executors.ray.RayExecutor",
        "besom.study.samplers.SpaceBruteForceSampler",
        "besom.study.samplers.SpaceGridSampler",
        "besom.study.screening.ScreeningPruner",
        "besom.training.data.csv",
        "besom.training.data.digits",
        "besom.training.data.fashion_mnist",
        "besom.training.data.frame",
        "besom.training.data.given",
        "besom.training.data.image_folder",
        "besom.training.data.mnist",
        "besom.training.data.npz",
        "besom.training.data.parquet",
        "besom.training.data.text_folder",
        "besom.training.models.cnn",
        "besom.training.models.mlp",
        "besom.training.trial.run_trial",
    }
)

#: What besom itself runs in workers besides ``run_trial``: as a trial function, nothing else.
BESOMS_TRIALS = frozenset(
    {
        "besom.executors.example.bowl",
        "besom.executors.example.parabola",
        "besom.training.confirmation.run_confirmation",
        "besom.training.dry_run_probe.probe",
    }
)

#: The modules of Keras and Optuna from which models and strategies are built. Not among them:
#: ``keras.saving``, ``utils``, ``config``, ``datasets``, ``export``; Optuna's studies and storages.
ROOMS = {
    "keras": frozenset(
        {
            *("activations", "applications", "callbacks", "constraints", "distillation"),
            *("dtype_policies", "initializers", "layers", "losses", "metrics", "mixed_precision"),
            *("models", "ops", "optimizers", "quantizers", "random", "regularizers"),
        }
    ),
    "optuna": frozenset({"distributions", "pruners", "samplers"}),
}

#: The public modules inside those, where there are any; None: all.
_SUBROOMS: dict[str, frozenset[str] | None] = {
    "applications": None,
    "ops": frozenset({"image", "linalg", "nn", "numpy"}),
    "optimizers": frozenset({"schedules"}),
    "samplers": frozenset({"nsgaii"}),
}

#: Packages that are known by their names, wherever they are installed.
KNOWN = frozenset({"besom", *ROOMS})

#: Keras's functions that load, save or deserialise, or change settings beyond the trial.
_LOADS = re.compile(
    r"get|get_file|serialize\w*|deserialize\w*|\w*from_(config|json|yaml)\w*"
    r"|(load|save|export|set|enable|disable|clear)(_\w+)?"
)
#: Keras's classes that run code given as data, send over the network, or delete.
_LOADERS = frozenset(
    {
        *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"),
        *("RemoteMonitor", "BackupAndRestore"),
    }
)


def is_refused(name: str) -> bool:
    """Whether a class or function of Keras loads, saves, deserialises, sends or deletes."""
    return name in _LOADERS or _LOADS.fullmatch(name) is not None


def objection_to_library(parts: Sequence[str]) -> str:
    """Why a config may not name this object of Keras or Optuna; empty if it may."""
    root, dotted = parts[0], ".".join(parts)
    rooms = ROOMS[root]
    is_class = root == "keras" and len(parts) == 2 and parts[1][:1].isupper()
    if not is_class and (parts[1:2] == [] or parts[1] not in rooms):
        return not_public(root, dotted, [f"{root}.{room}" for room in rooms])
    subrooms = _SUBROOMS.get(parts[1], frozenset())
    inside = parts[2:-1]
    if len(inside) > 1 or not (subrooms is None or subrooms.issuperset(inside)):
        return f"a config may name public classes and functions of {root}, but nothing inside them"
    if root == "keras" and any(map(is_refused, parts[1:])):
        return (
            "it loads, saves, deserialises, sends or deletes, or changes settings beyond the trial"
        )
    return ""


def not_public(root: str, dotted: str, known: Iterable[str]) -> str:
    """Say that a library has no such public object, with similar names."""
    beginning = ".".join(dotted.split(".")[:2]) if root in ROOMS else dotted
    hint = did_you_mean(beginning, known)
    near = f"; d{hint[2:].rstrip('?')}" if hint.startswith(" Did") else ""
    return f"it is not among the objects of {root} that a config may name{near}"
