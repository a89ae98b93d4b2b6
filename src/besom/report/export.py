"""Writes a trial's config as a primary config for ``besom train``, and reads one back."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from besom.config import Composer, SearchPath, read_yaml
from besom.config.schema import TRAIN_GROUPS
from besom.config.search_path import RESERVED, is_path
from besom.errors import ConfigError, StudyError, did_you_mean
from besom.regular import special_kind
from besom.report.leaderboard import in_order
from besom.seam import KERAS_TRIALS, MODEL_NOTES
from besom.statistics import knee
from besom.store.paths import StudyPaths, write_atomically
from besom.store.records import Outcome, StudyRecord, TrialRecord
from besom.store.stored_records import check_not_imported
from besom.text.printable import command, escape_hidden, hidden_in, one_line

#: An interpolation that is more than a path, such as ``${oc.env:HOME}``: it may read what a
#: stranger's config has no business to read. A backslash before it makes it plain text.
_RESOLVER = re.compile(r"(?<!\\)(?:\\\\)*\$\{.*:", re.DOTALL)

_WHAT_TRAIN_TAKES = (
    "Give the name of one on the search path, or a YAML such as `besom export` writes; overrides "
    "have the form KEY=VALUE."
)


def best_trial(study: StudyRecord) -> TrialRecord:
    """The first trial of the leaderboard; of a Pareto front its knee, where it has one.

    Raises:
        StudyError: no trial has completed.
    """
    _, order = in_order(study)
    if not order:
        raise StudyError(
            f"The study {study.name!r} has no complete trial to export. "
            f"`{command('leaderboard', study.name)}` shows how its trials ended."
        )
    if len(study.objectives) > 1:
        complete = study.complete
        directions = [o.direction for o in study.objectives]
        row = knee([t.values for t in complete if t.values is not None], directions)
        if row is not None:
            return complete[row]
    return order[0]


def kept_model(study: StudyRecord, trial: TrialRecord, paths: StudyPaths) -> Path:
    """The kept ``.keras`` of a trial.

    Raises:
        StudyError: it was not kept.
    """
    path = paths.model(trial.number)
    if not path.is_file():
        check_not_imported(study, "retrained")
        remarks = trial.environment.get("remarks")
        if isinstance(remarks, Mapping) and "model" in remarks:
            raise StudyError(
                f"No model of trial {trial.number} of {study.name!r} was kept. {remarks['model']}"
            )
        if own := own_function(study):
            raise StudyError(
                f"No model of trial {trial.number} of {study.name!r} was kept: {own}, the trial "
                "function of this study, wrote none to config['orders']['save_model']['path']."
            )
        kept = sorted(p.name for p in paths.models.glob("*.keras"))
        raise StudyError(
            f"No model of trial {trial.number} of {study.name!r} was kept"
            + (f"; kept are {', '.join(kept)}." if kept else ".")
            + " sweep.keep_models sets how many are kept; `besom train` trains one again."
        )
    return path


def class_names_of(model: Path) -> dict[str, list[str]]:
    """The names of the classes that a kept model tells apart, by output.

    Returns:
        The one output's name is empty; an empty mapping where classes have no names.
    """
    try:
        with zipfile.ZipFile(model) as archive:
            names = json.loads(archive.read(MODEL_NOTES))["class_names"]
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        return {}
    by_output = names if isinstance(names, dict) else {"": names}
    return {str(output): own for output, own in by_output.items() if own}


def find_trial(study: StudyRecord, number: int) -> TrialRecord:
    """The trial ``number``, whatever became of it.

    Raises:
        StudyError: no such trial, or it has not ended.
    """
    for trial in study.trials:
        if trial.number == number and trial.outcome is not Outcome.RUNNING:
            return trial
    last = max((t.number for t in study.trials), default=None)
    known = "it has none" if last is None else f"they are numbered 0 to {last}"
    raise StudyError(f"The study {study.name!r} has no finished trial {number}; {known}.")


def to_yaml(study: StudyRecord, trial: TrialRecord) -> str:
    """A complete, resolved config, with a comment that says where it comes from.

    Raises:
        StudyError: the trial was not run here, so its config is not known here.
    """
    check_not_imported(study, "exported")
    if not trial.config:
        raise StudyError(
            f"Trial {trial.number} of {study.name!r} has no config to export: it is "
            f"{trial.outcome} ({trial.reason}). Export it from where it ran."
        )
    head = [f"# Trial {trial.number} of the besom study {study.name!r}."]
    if trial.outcome is Outcome.COMPLETE and trial.values is not None:
        values = ", ".join(
            f"{o.metric} {o.text(v)}" for o, v in zip(study.objectives, trial.values, strict=True)
        )
        head.append(f"# {values}; epoch {trial.best_epoch} of {trial.epochs} counts.")
    else:
        head.append(f"# It did not complete: {trial.outcome} ({trial.reason}).")
    if is_final(study):
        head.append(f"# {FINAL[:1].upper()}{FINAL[1:]}.")
    if own := own_function(study):
        head.append(f"# It was trained by {own}, which besom train does not call.")
        again = command("confirm", study.name, options="--on validation")
        head.append(f"# Run it again on fresh seeds: {again}")
    else:
        head.append("# Retrain it: besom train THIS_FILE [trainer.epochs=40 ...]")
    precision = (trial.config.get("trainer") or {}).get("precision", "float32")
    if precision != "float32" and not own:
        head.append(f"# The sweep trained in {precision}; a final model is float32.")
    return "\n".join(map(one_line, head)) + "\n" + dump(exported_config(study, trial))


def own_function(study: StudyRecord) -> str | None:
    """The study's trial function, where it is the user's own; None: besom trains with Keras."""
    function = str((study.config.get("sweep") or {}).get("trial_function", KERAS_TRIALS))
    return None if function.replace(":", ".") == KERAS_TRIALS else function


#: What the model of a trial with folds is trained on, as none of its runs was.
FINAL = "trained on all of the training part, for as many epochs as the folds found best"


def is_final(study: StudyRecord) -> bool:
    """Whether a trial's exported config is another than that of its runs: ``final_config``."""
    folds = (study.config.get("sweep") or {}).get("folds")
    return bool(folds) and own_function(study) is None


def final_config(study: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    """What a trial's model is trained with, to be used or to be tested.

    Of a study with folds, nothing is held out of the training part, so nothing watches the epochs:
    their number is that which the folds found best together. Of any other it is the trial's config.
    """
    config = dict(trial.config)
    if is_final(study) and config:
        trainer = {**config["trainer"], "patience": None, "restore_best": False, "monitor": None}
        if trial.best_epoch:
            trainer["epochs"] = trial.best_epoch
        config |= {"data": {**config["data"], "validation_split": 0}, "trainer": trainer}
    return config


def exported_config(study: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    """A trial's config as it is exported: in float32, and with the trial it comes from."""
    config = {**final_config(study, trial), "name": study.name}
    source: dict[str, Any] = {"study": study.name, "trial": trial.number}
    if own := own_function(study):
        return {**config, "source": {**source, "trial_function": own}}
    trainer = config.get("trainer")
    if isinstance(trainer, dict) and "precision" in trainer:
        config["trainer"] = {**trainer, "precision": "float32"}
    return {**config, "source": source}


def dump(config: dict[str, Any]) -> str:
    """A config as YAML, its keys in their own order, floats readable by every YAML reader."""
    # What is hidden is in quotes by now, where YAML has escapes for it.
    return escape_hidden(yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


def write_best(study: StudyRecord, paths: StudyPaths) -> Path | None:
    """Write ``best.yaml``; None where no trial has completed, or none has a config."""
    if not study.complete or study.is_imported:
        return None
    write_atomically(paths.best, to_yaml(study, best_trial(study)))
    return paths.best


def composer_for_train(config: str | None, config_dir: str | Path | None) -> Composer:
    """What ``besom train [CONFIG]`` composes.

    Args:
        config: None for ``train``; the path of an exported config; a primary config's path, or its
            name on the search path.
        config_dir: the user's config folder; None takes ``./conf`` and ``./sweeps``.

    Raises:
        ConfigError: the file does not exist, is not YAML, or is not a config for ``train``.
    """
    if config is None:
        return Composer(SearchPath.of(config_dir), "train")
    path = Path(config).expanduser()
    if not is_path(config) and not path.is_file():
        return _named(config, SearchPath.of(config_dir))
    if not path.is_file() and not special_kind(path):
        raise ConfigError(f"There is no config file {config!r}. {_WHAT_TRAIN_TAKES}")
    content = read_yaml(path)
    if "defaults" in content:
        return Composer(SearchPath.of(config_dir, config=path), path.stem)
    for where, value in _texts(content):
        if _RESOLVER.search(value):
            raise ConfigError(
                f"{config}: {where} is {value!r}, which calls a resolver. A complete config holds "
                f"values only: write the value there, or give it as an override, {where}=VALUE."
            )
    missing = [group for group in TRAIN_GROUPS if not isinstance(content.get(group), dict)]
    if missing:
        raise ConfigError(
            f"{config} is not a config for `besom train`: {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing or no mapping. Export it again with "
            "`besom export`, or start it with 'defaults: [train, _self_]'."
        )
    return Composer(SearchPath.of(config_dir), "train", exported=content)


def _named(name: str, search: SearchPath) -> Composer:
    """Compose the config of ``besom train`` of this name."""
    found = None if name in RESERVED else search.find_kind(name, "train")
    if found is not None:
        is_first = found == search.find(name)
        return Composer(search, name, file=None if is_first else found)
    if name not in RESERVED and search.find_kind(name, "sweep") is not None:
        raise ConfigError(
            f"{name!r} is a sweep, not a config for `besom train`. Start it with `besom sweep "
            f"{name}`."
        )
    hint = did_you_mean(name, search.named("train")[0])
    raise ConfigError(f"There is no config {name!r} for `besom train`.{hint} {_WHAT_TRAIN_TAKES}")


def _texts(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a plain config, after where it stands."""
    items = node.items() if isinstance(node, dict) else ()
    for key, value in enumerate(node) if isinstance(node, list) else items:
        yield from _texts(value, f"{path}.{key}" if path else str(key))
    if isinstance(node, str):
        yield path, node


class _Dumper(yaml.SafeDumper):
    """PyYAML writes 1e-05, which YAML 1.1 reads back as text; Hydra needs a point in it."""


def _represent_float(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    text = repr(value)
    if value != value or value in (float("inf"), float("-inf")):
        return yaml.SafeDumper.represent_float(dumper, value)
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


def _represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    """Text that Hydra's YAML would read as something else (1e-3, yes) is quoted."""
    plain = dumper.represent_scalar("tag:yaml.org,2002:str", value)
    if hidden_in(value):
        plain.style = '"'
    elif "\n" not in value and not isinstance(_as_read(value), str):
        plain.style = "'"
    return plain


def _as_read(text: str) -> Any:
    """What OmegaConf makes of a plain scalar."""
    try:
        return OmegaConf.to_container(OmegaConf.create(f"value: {text}"), resolve=False)["value"]  # type: ignore[index,call-overload]
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError):
        return text  # PyYAML quotes what would not parse


_Dumper.add_representer(float, _represent_float)
_Dumper.add_representer(str, _represent_text)
