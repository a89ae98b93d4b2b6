"""Who may import whom, and what a command may not load: docs/architecture.md's map, held."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import besom

SOURCE = Path(besom.__file__).parent

#: Each part may import from the lines above its own, and nothing else.
LAYERS = (
    ("errors", "metrics", "equality", "regular", "packaged"),
    ("seam", "text", "trust"),
    ("runs", "targets", "from_python"),
    ("config",),
    ("store",),
    ("space", "statistics", "executors"),
    ("plots", "scaffold"),
    ("report",),
    ("page", "trackers"),
    ("serve",),
    ("study",),
    ("rerun",),
    ("terminal",),
    ("python",),
    ("api",),
    ("cli",),
    ("__main__",),
)
#: What only ``besom train`` and ``besom show`` load, and only when they run.
TRAINING = "training"

#: Modules that only give a documented name to what lives elsewhere (tests/test_kept_names.py).
KEPT_NAMES = ("records", "leaderboard")


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


@cache
def imports(path: Path, top_level_only: bool = False) -> set[str]:
    """The dotted names a module imports, also for type checkers only."""
    found: set[str] = set()
    for node in _statements(ast.parse(path.read_text()), top_level_only):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def _statements(node: ast.AST, top_level_only: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        is_typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if top_level_only and (is_typing or isinstance(child, ast.FunctionDef)):
            continue
        yield child
        yield from _statements(child, top_level_only)


def part_of(dotted: str) -> str | None:
    """The part of besom a dotted import belongs to; None for other packages."""
    pieces = dotted.split(".")
    if pieces[0] != "besom":
        return None
    known = {path.stem if path.suffix else path.name for path in SOURCE.iterdir()}
    return pieces[1] if len(pieces) > 1 and pieces[1] in known else ""


def test_every_part_of_besom_has_its_layer() -> None:
    known = {part for layer in LAYERS for part in layer} | {TRAINING, "", *KEPT_NAMES}
    assert {name.split(".")[0] for name, _ in modules()} == known


def test_imports_run_downwards_only() -> None:
    height = {part: i for i, layer in enumerate(LAYERS) for part in layer}
    wrong = []
    for name, path in modules():
        own = name.split(".")[0]
        if own not in height:
            continue
        for dotted in imports(path):
            other = part_of(dotted)
            if other in height and other != own and height[other] >= height[own]:
                wrong.append(f"{name} imports {dotted}")
    assert not wrong


def test_no_modules_import_each_other_in_a_circle_not_even_for_type_checkers() -> None:
    known = dict(modules())
    graph = {name: _imported(path, known) - {name, ""} for name, path in known.items()}
    for name in graph:
        # A package's own modules are imported through it, not by it.
        graph[name] -= {package for package in known if name.startswith(f"{package}.")}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def _imported(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of besom that a file imports, or from which it imports a name."""
    names = [d.removeprefix("besom.") for d in imports(path) if d.startswith("besom.")]
    return {name if name in known else name.rpartition(".")[0] for name in names}


def test_no_class_and_no_module_name_is_used_twice() -> None:
    homes = defaultdict(list)
    for name, path in modules():
        if name in KEPT_NAMES:
            continue
        if path.name != "__init__.py":
            homes[path.stem].append(name)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(name)
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


def test_reporting_knows_no_coordinator() -> None:
    parts = ("report", "page", "serve", "statistics", "plots", "store")
    offenders = [
        f"{name} imports {dotted}"
        for name, path in modules()
        if name.split(".")[0] in parts
        for dotted in imports(path)
        if part_of(dotted) in ("study", "rerun", "executors")
    ]
    assert not offenders


def test_nothing_outside_training_imports_tensorflow_or_keras() -> None:
    offenders = [
        f"{name} imports {dotted}"
        for name, path in modules()
        if not name.startswith(TRAINING)
        for dotted in imports(path)
        if dotted.split(".")[0] in ("tensorflow", "keras")
    ]
    assert not offenders


def test_training_imports_nothing_of_besom_but_the_seam() -> None:
    ground = {"errors", "regular", "text", "seam", "targets", "metrics", "equality", "from_python"}
    allowed = ground | {TRAINING}
    offenders = [
        f"{name} imports {dotted}"
        for name, path in modules()
        if name.startswith(TRAINING)
        for dotted in imports(path)
        if part_of(dotted) is not None and part_of(dotted) not in allowed
    ]
    assert not offenders


#: `besom train`, `besom show`, `besom export --predictions`, a study's `best_model()`, and how
#: `besom init --from` reads a table.
_LOADERS = (
    *("rerun.single_run", "rerun.preview", "rerun.predicted", "rerun.retraining"),
    "scaffold.csv_columns",
)


def test_only_train_show_and_predictions_load_training_and_only_when_they_run() -> None:
    for name, path in modules():
        if name.startswith(TRAINING):
            continue
        loads = {dotted for dotted in imports(path) if part_of(dotted) == TRAINING}
        assert not loads or name in _LOADERS, f"{name} imports {loads}"
        early = {d for d in imports(path, top_level_only=True) if part_of(d) == TRAINING}
        assert not early, f"{name} imports {early} when it is imported itself"


def test_only_python_m_besom_imports_the_command_line() -> None:
    for name, path in modules():
        if not name.startswith("cli") and name != "__main__":
            assert not [d for d in imports(path) if part_of(d) == "cli"], name


def test_a_worker_knows_nothing_of_optuna_hydra_and_pandas() -> None:
    loaded = _loaded_after("import besom.executors.local.worker")
    assert not {"optuna", "hydra", "pandas", "omegaconf", "besom.study"} & loaded


def test_only_the_train_command_asks_for_the_test_images() -> None:
    """The sweep's code path never makes the call that loads them; see test_end_to_end.py."""
    callers = []
    for name, path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            mentions = isinstance(node, ast.Constant) and node.value == "test"
            named = isinstance(node, ast.Name) and node.id == "load_test"
            if mentions or named:
                callers.append((name, node.lineno))
    callers_of = {name for name, _ in callers}
    assert {"rerun.single_run", "training.data.loading"} <= callers_of
    assert "training.trial" not in callers_of
    assert not {name for name in callers_of if name.startswith(("study", "executors"))}


def test_no_module_has_grown_past_what_can_be_read_at_once() -> None:
    long = {name: len(path.read_text().splitlines()) for name, path in modules()}
    assert {name: n for name, n in long.items() if n > 400} == {}


# What a command loads

_PROBE = """
import json, sys
{code}
print(json.dumps(sorted(sys.modules)))
"""


def _loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE.format(code=code)], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_besom_loads_nothing_heavy() -> None:
    loaded = _loaded_after("import besom")
    assert not {"tensorflow", "keras", "optuna", "hydra", "pandas", "matplotlib"} & loaded


@pytest.mark.slow
def test_reporting_commands_leave_tensorflow_out(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
import besom.serve, besom.study, besom.terminal.sweep_view
from besom.cli import main
from click.testing import CliRunner
import reporting_world
results = Path({str(tmp_path)!r})
reporting_world.make(results)
commands = [["--help"], ["leaderboard", "one"], ["list"], ["export", "one"], ["plot", "one"],
            ["leaderboard", "one", "--format", "json"], ["report", "one"],
            ["sweep", "--help"], ["train", "--help"]]
if "compare" in main.commands:
    commands.append(["compare", "one", "two"])
for words in commands:
    reads = words[0] in ("leaderboard", "list", "export", "plot", "compare", "report")
    done = CliRunner().invoke(main, words + (["--results-dir", str(results)] if reads else []))
    assert done.exit_code == 0, (words, done.output, done.exception)
"""
    tests = str(Path(__file__).parent)
    loaded = _loaded_after(f"import sys; sys.path.insert(0, {tests!r})\n{code}")
    assert "optuna" in loaded
    assert "sqlalchemy" not in loaded  # these studies are in their folders
    assert not {"tensorflow", "keras", "torch", "jax", "sklearn"} & loaded
    assert "scipy.stats" not in loaded


_HEAVY = {"tensorflow", "keras", "pandas", "scipy", "sklearn", "matplotlib"}


@pytest.mark.parametrize(
    ("words", "spared"),
    [
        (["--version"], {"numpy", "optuna", "hydra"}),
        (["--help"], {"numpy", "optuna", "hydra"}),
        (["leaderboard", "--help"], {"numpy", "optuna", "hydra"}),
        (["list"], set()),
    ],
)
def test_what_needs_no_numbers_loads_no_library_of_them(
    tmp_path: Path, words: list[str], spared: set[str]
) -> None:
    """They answer at once, and under a memory limit in which SciPy cannot be loaded."""
    code = f"""
import os
os.chdir({str(tmp_path)!r})
from besom.cli import main
main({words!r}, standalone_mode=False)
"""
    assert not (_HEAVY | spared) & _loaded_after(code)


@pytest.mark.parametrize("words", [["--version"], ["--help"]])
def test_besom_answers_within_300_mb_of_address_space(tmp_path: Path, words: list[str]) -> None:
    limited = 'ulimit -v 300000; exec "$@"'
    command = ["bash", "-c", limited, "bash", sys.executable, "-m", "besom", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
