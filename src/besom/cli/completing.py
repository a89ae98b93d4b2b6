"""What may stand at the cursor: sweeps, studies, groups and options, keys, columns.

A shell waits for it at every press of the tab key, so nothing is composed here: files are listed,
and the few that matter are read. It loads neither Hydra nor Optuna nor pandas. A file that cannot
be read is left out; the command itself will say what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from besom.packaged import packaged_config_dirs
from besom.regular import special_kind
from besom.store.paths import StudyPaths, default_results_dir, study_names

#: What click takes: words, or items of a kind that the shell itself completes.
Words = list[str] | list[CompletionItem[str]]

#: Files of more bytes are no configs; nesting beyond this depth is no key to be typed.
_MOST_BYTES = 2**18
_MOST_DEPTH = 4

#: Primary configs: what they hold beside groups may be set, too.
_PRIMARY = ("train", "sweep")

#: The first entry of a defaults list.
_FIRST_DEFAULT = re.compile(r"^defaults:\s*(?:\n\s*-\s*|\[\s*)/?(?P<first>[\w./-]+)", re.MULTILINE)


def complete_sweeps(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """Sweeps on the search path, and YAML files by path."""
    return _starting(incomplete, [*_configs(ctx, "sweep"), *_yaml_paths(incomplete)])


def complete_studies(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Studies in the results folder that the command line, or the environment, names."""
    given = ctx.params.get(param.name or "") or ()
    taken = set(given if isinstance(given, tuple) else ())
    names = [name for name in study_names(_results_dir(ctx)) if name not in taken]
    return _starting(incomplete, names)


def complete_configs(ctx: click.Context, param: click.Parameter, incomplete: str) -> Words:
    """Configs for ``besom train`` by name and by path, then overrides."""
    if "=" in incomplete or ctx.params.get(param.name or ""):
        return complete_overrides(ctx, param, incomplete)
    found = [*_starting(incomplete, _configs(ctx, "train")), *_yaml_paths(incomplete)]
    return [*found, *_paths(ctx, param, incomplete)]


def complete_shown(ctx: click.Context, param: click.Parameter, incomplete: str) -> Words:
    """Studies for ``besom show``, and overrides."""
    if "=" in incomplete or ctx.params.get(param.name or ""):
        return complete_overrides(ctx, param, incomplete)
    studies = _starting(incomplete, study_names(_results_dir(ctx)))
    return [*studies, *_paths(ctx, param, incomplete)]


def complete_overrides(ctx: click.Context, param: click.Parameter, incomplete: str) -> Words:
    """``group=``, ``group=OPTION``, and ``dotted.key=``: one piece of a path at a time.

    Any other value may be a file's, once some of it is typed or where the key says so.
    """
    key, equals, value = incomplete.partition("=")
    if not equals:
        return _paths(ctx, param, incomplete)
    if key == "sweep.warm_start":
        options = study_names(_results_dir(ctx))
    else:
        options = sorted({path.stem for path in _files(ctx, f"{key.lstrip('+~')}/*.yaml")})
    if not options and (value or key.endswith("path")):
        return [CompletionItem(value, type="file")]
    return [f"{key}={option}" for option in _starting(value, options)]


def complete_executor(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """``executor=OPTION`` and ``executor.key=``, of ``besom confirm`` and ``besom replay``."""
    files = _files(ctx, "sweep/executor/*.yaml")
    if incomplete.startswith("executor="):
        return _starting(incomplete, sorted({f"executor={path.stem}" for path in files}))
    return _pieces(["executor=", *(f"executor.{key}=" for key in _keys_in(files))], incomplete)


def complete_columns(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """The columns of a study's leaderboard, by the names that the table has for them."""
    import csv  # only where columns are asked for

    *before, last = incomplete.split(",")
    # An option without its value stops click before it has looked at the arguments.
    name = next(iter(ctx.params.get("names") or ctx.args), "")
    path = StudyPaths.of(_results_dir(ctx), str(name)).leaderboard_csv
    if special_kind(path) or not path.is_file():
        return []
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        columns = next(csv.reader(file), [])
    names = dict.fromkeys(column.rpartition(".")[2] for column in columns)
    return [",".join([*before, column]) for column in _starting(last, names)]


def _starting(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def _paths(ctx: click.Context, param: click.Parameter, typed: str) -> list[str]:
    """The groups and keys of overrides that begin so."""
    sign = re.match(r"[+~]*", typed)
    head = sign[0] if sign else ""
    key = typed.removeprefix(head)
    chosen = dict(_choices(ctx.params.get(param.name or "") or ()))
    groups = _groups(ctx)
    keys = [f"{group}=" for group in groups]
    keys += [f"{path}=" for path in _keys(ctx, key, groups, chosen)]
    return [head + piece for piece in _pieces(keys, key)]


def _pieces(paths: Iterable[str], typed: str) -> list[str]:
    """Dotted paths that begin so, up to their next dot: ``trainer.`` for ``tr``."""
    dots = ((path, path.find(".", len(typed))) for path in _starting(typed, paths))
    return list(dict.fromkeys(path if dot < 0 else path[: dot + 1] for path, dot in dots))


def _results_dir(ctx: click.Context) -> Path:
    return Path(ctx.params.get("results_dir") or default_results_dir())


def _directories(ctx: click.Context) -> list[Path]:
    """The folders of configs, the user's own first."""
    given = ctx.params.get("config_dir")
    roots = [Path(given).expanduser()] if given else []
    own = [folder for root in roots for folder in (root, root / "sweeps", root / "conf")]
    return [*(own or [Path("sweeps"), Path("conf")]), *reversed(packaged_config_dirs())]


def _files(ctx: click.Context, pattern: str) -> list[Path]:
    """The configs of this pattern, the user's own first."""
    if pattern.startswith("/") or ".." in pattern or any(c in pattern[:-6] for c in "*?["):
        return []
    return [path for folder in _directories(ctx) for path in sorted(folder.glob(pattern))]


def _yaml_paths(incomplete: str) -> list[str]:
    """Folders and YAML files, as far as a path has been typed."""
    folder, slash, begun = incomplete.rpartition("/")
    try:
        inside = sorted(Path(folder + slash or ".").iterdir())
    except OSError:
        return []
    near = [p for p in inside if p.name.startswith(begun) and (begun or p.name[0] != ".")]
    found = [folder + slash + p.name for p in near if p.suffix in (".yaml", ".yml")]
    return [*found, *(f"{folder}{slash}{p.name}/" for p in near if slash and p.is_dir())]


def _configs(ctx: click.Context, base: str) -> list[str]:
    """The names of the configs whose defaults lists lead to ``sweep``, or to ``train``."""
    paths = _files(ctx, "*.yaml")
    files = {path.stem: path for path in reversed(paths)}
    named = {path.stem for path in paths if _base(path, files) == base}
    return sorted(named - set(_PRIMARY))


def _base(path: Path, files: Mapping[str, Path]) -> str | None:
    """Which of the primary configs a defaults list leads to, by its first entry."""
    seen: set[Path] = set()
    while path not in seen:
        seen.add(path)
        found = _FIRST_DEFAULT.search(_text(path))
        if found is None or found["first"] in _PRIMARY:
            return found and found["first"]
        path = files.get(found["first"], path)
    return None


def _groups(ctx: click.Context) -> list[str]:
    folders = {
        str(path.parent.relative_to(folder)): None
        for folder in _directories(ctx)
        for pattern in ("*/*.yaml", "*/*/*.yaml")
        for path in sorted(folder.glob(pattern))
    }
    return sorted(folders)


def _choices(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The options that the command line has chosen so far."""
    for word in words:
        group, equals, option = word.lstrip("+~").partition("=")
        if equals and "." not in group:
            yield group, option


def _keys(
    ctx: click.Context, typed: str, groups: Iterable[str], chosen: Mapping[str, str]
) -> Iterator[str]:
    """The dotted keys that begin with what is typed: of the chosen option of a group, or of all."""
    for primary in _PRIMARY:
        for path in _files(ctx, f"{primary}.yaml")[:1]:
            yield from _leaves(_read(path))
    for group in groups:
        prefix = group.replace("/", ".") + "."
        if not (typed.startswith(prefix) or prefix.startswith(typed)):
            continue
        if not typed.startswith(prefix):  # it is enough to know that there are some
            yield prefix + "_"
            continue
        files = _files(ctx, f"{group}/{chosen.get(group, '*')}.yaml")
        yield from (prefix + key for key in _keys_in(files))


def _keys_in(files: Iterable[Path]) -> Iterable[str]:
    return dict.fromkeys(key for path in files for key in _leaves(_read(path)))


def _leaves(node: Any, depth: int = 0) -> Iterator[str]:
    """The dotted keys of a mapping, but for those that only besom reads."""
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        name = str(key)
        if name.startswith("_") or "." in name or name in ("defaults", "space"):
            continue
        if isinstance(value, Mapping) and value and depth < _MOST_DEPTH:
            yield from (f"{name}.{inner}" for inner in _leaves(value, depth + 1))
        else:
            yield name


def _text(path: Path) -> str:
    if special_kind(path):
        return ""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return ""


def _read(path: Path) -> Any:
    """What a YAML holds; None where it cannot be read, or has aliases, which may stand for much."""
    import yaml  # only where keys are asked for

    text = _text(path)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return None if re.search(r"(?m)[:\-\s]\*\w", text) else yaml.load(text, Loader=loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
