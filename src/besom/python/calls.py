"""Turns a call of ``besom.sweep`` or ``besom.train`` into configs on the search path, and a plan.

The configs are files like any user's, in a folder that comes first on the search path: an option
for the function, one for the data, and a primary config. So everything that a YAML can say can be
said here too, and is checked by the same rules.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from besom.config import Composer, SearchPath, find_sweep
from besom.errors import ConfigError
from besom.python.datasets import GivenData, given_data, is_table
from besom.python.functions import is_code, label_of
from besom.python.handing_over import Given
from besom.python.options import (
    DATA_KEYS,
    STRATEGIES,
    WrittenConfig,
    parameters_of,
    required_of,
    take_keywords,
)
from besom.python.reimported import as_in_file
from besom.python.spaces import path_of, space_of
from besom.report.export import dump
from besom.seam import OFFERED
from besom.study.plan import SweepPlan, make_plan, plan_of
from besom.targets import TARGET

#: The name of the primary config: `besom sweep STUDY/from_python/continue.yaml` goes on.
PRIMARY = "continue"

_ARRAYS, _TABLE = "arrays", "table"

#: What a table's option says beside ``DATA_KEYS``.
_TABLE_KEYS = ("features", "exclude", "categorical", "missing", "unseen", "encode")


_OR_NAME = {"besom.sweep": ", or the name of a sweep", "besom.train": ", or overrides"}


@dataclass(frozen=True)
class Call:
    """What a user gives besides overrides.

    Attributes:
        build: the model's function or class; a sweep's name or path; None: as configured.
        data, test: see ``besom.sweep``.
        space: a mapping; None: as configured.
        params: values for parameters and dotted paths.
        keywords: nodes and keys of the YAML.
        name: of the study or run.
    """

    build: Any = None
    data: Any = None
    test: Any = None
    space: Mapping[str, Any] | None = None
    params: Mapping[str, Any] | None = None
    keywords: Mapping[str, Any] | None = None
    name: str | None = None
    call: str = "besom.sweep"

    def __post_init__(self) -> None:
        for name in ("build", "data", "test"):
            object.__setattr__(self, name, as_in_file(getattr(self, name)))
        known = self.build is None or isinstance(self.build, str) or is_code(self.build)
        if not known:
            hint = ""
            if hasattr(self.build, "fit") and hasattr(self.build, "layers"):
                hint = " Each trial needs a model of its own: give the function that makes it."
            raise ConfigError(
                f"{self.call} is given {self.build!r:.60} first, expected a function or class "
                f"that makes the model{_OR_NAME.get(self.call, '')}.{hint}"
            )

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing that a command line could not say."""
        said = (self.data, self.test, self.space, self.name, self.params or None)
        return not (self.keywords or self.label) and all(value is None for value in said)

    @property
    def label(self) -> str:
        """What the function is called; empty where there is none."""
        return label_of(self.build) if is_code(self.build) else ""


@contextmanager
def planned(
    call: Call, overrides: Sequence[str], config_dir: str | Path | None, fresh: bool = False
) -> Iterator[SweepPlan]:
    """The plan of a sweep that is given in Python; its configs exist while the context lasts.

    Raises:
        BesomError: anything that cannot be run; also a study of this name whose functions or data
            were others, unless ``fresh``.
    """
    if call.is_plain and call.build is not None:
        yield make_plan(str(call.build), overrides, config_dir)
        return
    with tempfile.TemporaryDirectory(prefix="besom-") as place:
        folder = Path(place)
        search, begins_with = SearchPath.of(config_dir), "sweep"
        if isinstance(call.build, str):
            search, begins_with = find_sweep(call.build, config_dir)
        written, parts = _written(call)
        if call.name is not None or call.label:
            written.set("sweep.name", call.name or call.label)
        primary = PRIMARY if begins_with != PRIMARY else f"{PRIMARY}_more"
        _write_configs(written, begins_with, folder / f"{primary}.yaml")
        search = SearchPath((folder.resolve(), *search.directories))
        given = Given(written.functions, tuple(parts), folder)
        plan = plan_of(Composer(search, primary), overrides, name=begins_with)
        if not fresh:
            given.check_unchanged(plan.paths.from_python, plan.name)
        yield replace(plan, furnish=lambda: given.write(plan.paths.from_python))


def written_run(call: Call, folder: Path, brought: Path) -> Path:
    """Write the config of one run, and what it brings along.

    Args:
        call: of ``besom.train``.
        folder: of the config.
        brought: of functions and data.

    Returns:
        The config's file, for ``besom train``.
    """
    written, parts = _written(call)
    if call.name is not None:
        written.set("name", call.name)
    config = folder / f"{PRIMARY}.yaml"
    _write_configs(written, "train", config)
    Given(written.functions, tuple(parts)).write(brought)
    return config


def _written(call: Call) -> tuple[WrittenConfig, list[GivenData]]:
    """The configs of a call, and the parts of its data."""
    written = WrittenConfig()
    keywords = dict(call.keywords or {})
    known, takes_any = parameters_of(call.build) if call.label else ({}, True)
    names = None if takes_any else [name for name in known if name not in OFFERED]
    space = {}
    if call.space is not None:
        space = space_of(call.space, names, call.label, written.plain)
    if "enqueue" in keywords:
        keywords["enqueue"] = _enqueued(keywords["enqueue"], names, call.label)
    params = {path_of(k, names, call.label): v for k, v in (call.params or {}).items()}
    if call.label:
        model = keywords.pop("model", {})
        if not isinstance(model, Mapping):
            raise ConfigError(
                f"model is {model!r}, but {call.label} is the model: give a mapping of its "
                "parameters, or leave out the function."
            )
        given = {k.removeprefix("model."): v for k, v in params.items() if k.startswith("model.")}
        node = written.node_of(call.build, "model", {**model, **given}, space, OFFERED)
        written.own_option("model", call.label, node)
        params = {k: v for k, v in params.items() if not k.startswith("model.")}
    of_data = take_keywords(
        written, keywords, lambda name: _is_of_data(name, call), call.call, known
    )
    parts = _take_data(call, written, of_data)
    if space:
        written.set("sweep.space", space)
    for path, value in params.items():
        _set_param(written, path, value)
    return written, parts


def _set_param(written: WrittenConfig, path: str, value: Any) -> None:
    if isinstance(value, str) and "." not in path and path in ("data", "optimizer", "trainer"):
        written.take_group(path, value)
    else:
        written.set(path, written.plain(value, path))


def _enqueued(value: Any, names: Sequence[str] | None, label: str) -> Any:
    """Enqueued configs, with the names of parameters as dotted paths."""
    if not isinstance(value, list | tuple):
        return value
    return [
        {path_of(k, names, label): v for k, v in one.items()} if isinstance(one, Mapping) else one
        for one in value
    ]


# --- data -----------------------------------------------------------------------------------------


def _is_of_data(name: str, call: Call) -> bool:
    if is_table(call.data) and name in ("target", *_TABLE_KEYS):
        return True
    is_loader = is_code(call.data) and bool(required_of(call.data))
    return name in DATA_KEYS or (is_loader and name in parameters_of(call.data)[0])


def _take_data(call: Call, written: WrittenConfig, options: Mapping[str, Any]) -> list[GivenData]:
    """Choose the option of the data, and take its parts apart."""
    data = call.data
    options = {k: written.plain(v, f"data.{k}") for k, v in options.items()}
    if data is None or isinstance(data, str | Mapping) or _is_loader(data):
        if call.test is not None:
            raise ConfigError(
                "test is given, but data is no arrays: what loads the data gives its test part too."
            )
        if _is_loader(data):
            _take_loader(data, written, options)
        elif data is not None:
            written.take_group("data", data)
        if options and not _is_loader(data):
            written.set("data", options)
        return []
    parts = [given_data(data, "train")]
    if call.test is not None:
        parts.append(given_data(call.test, "test"))
        _check_test(parts, options)
    node: dict[str, Any] = {TARGET: f"besom.training.data.{'frame' if parts[0].table else 'given'}"}
    node["train"] = parts[0].name
    if parts[0].table:
        if "target" not in options:
            raise ConfigError(
                "data is a DataFrame, so besom has to know the column to predict: add "
                "target='COLUMN'."
            )
        written.own_option("data", _TABLE, {**node, **_TABLE_DEFAULTS, **options})
    else:
        label = label_of(data) if is_code(data) else _ARRAYS
        defaults = {} if parts[0].functions else _ARRAY_DEFAULTS
        name = {"name": label} if label != _ARRAYS else {}
        written.own_option("data", label, {**node, **name, **defaults, **options})
    return parts


#: As in ``conf/data/csv.yaml``.
_ARRAY_DEFAULTS: dict[str, Any] = {
    "task": None,
    "validation_split": 0.2,
    "split_seed": 0,
    "stratify": "auto",
    "order": None,
    "gap": 0,
}
_TABLE_DEFAULTS: dict[str, Any] = {
    "features": None,
    "exclude": [],
    "categorical": [],
    "missing": "refuse",
    "unseen": "refuse",
    "encode": True,
    "group": None,
    **_ARRAY_DEFAULTS,
}


def _is_loader(data: Any) -> bool:
    """Whether it is a function of the part, ``load(split)``."""
    return is_code(data) and bool(required_of(data))


def _take_loader(data: Any, written: WrittenConfig, options: Mapping[str, Any]) -> None:
    split = required_of(data)[0]
    own = {k: v for k, v in options.items() if k in parameters_of(data)[0]}
    node = written.node_of(data, "data", own, {}, (split,))
    written.own_option("data", label_of(data), {**node, **options})


def _check_test(parts: Sequence[GivenData], options: Mapping[str, Any]) -> None:
    if parts[0].table != parts[1].table:
        kinds = ["a DataFrame" if part.table else "arrays" for part in parts]
        raise ConfigError(f"data is {kinds[0]} and test is {kinds[1]}: give the same for both.")
    if options.get("test_split"):
        raise ConfigError("test and test_split both say what the test part is: give one of them.")


# --- configs --------------------------------------------------------------------------------------


def _write_configs(written: WrittenConfig, begins_with: str, primary: Path) -> None:
    """Write options and primary config, for Hydra to compose."""
    folder = primary.parent
    for group, options in written.options.items():
        (folder / group).mkdir(parents=True, exist_ok=True)
        for name, content in options.items():
            (folder / group / f"{name}.yaml").write_text(dump(content), encoding="utf-8")
    lines: list[Any] = [begins_with]
    lines += [{f"override {_absolute(group)}": name} for group, name in written.chosen.items()]
    content = {"defaults": [*lines, "_self_"], **written.content}
    primary.write_text(dump(content), encoding="utf-8")


def _absolute(group: str) -> str:
    return f"/{group}" if group.removeprefix("sweep/") in STRATEGIES else group
