"""A config that is named by path belongs to a project, and everything of it is found from anywhere.

The project of a YAML is its folder; of one in ``sweeps/`` or ``conf/``, the folder above.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import besom
from besom.errors import BesomError, reason_of
from user_project import Project

MODULE = """
from besom.seam import TrialResult

def prepare(config):
    return {"metrics": ["val_score"]}

def run(config, report):
    history = []
    for epoch in range(1, 3):
        history.append(config["model"]["width"] / 100)
        if report(epoch, {"val_score": history[-1]}):
            break
    return TrialResult(history={"val_score": history})
"""

SWEEP = """
defaults: [sweep, override model: theirs, _self_]
sweep:
  n_trials: 2
  plots: false
  trial_function: their_module.run
  executor: {workers: 1, gpus: none}
  objective: {metric: val_score}
  space: {model.width: {low: 1, high: 9}}
"""


@pytest.fixture
def theirs(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with configs and a module; the current folder is another one."""
    root = tmp_path_factory.mktemp("project")
    other = Project(root)
    other.write("their_module.py", MODULE)
    other.write("conf/model/theirs.yaml", "_target_: their_module.run\nwidth: 3\n")
    other.write("sweeps/mine.yaml", SWEEP)
    other.write("beside.yaml", SWEEP)
    return root


def swept(project: Project, *words: str) -> None:
    assert project.done("sweep", *words, "--quiet") == ""


@pytest.mark.parametrize("place", ["sweeps/mine.yaml", "beside.yaml"])
def test_a_sweep_named_by_path_finds_the_configs_and_modules_of_its_project(
    project: Project, theirs: Path, place: str
) -> None:
    swept(project, str(theirs / place))
    assert (project.root / "results" / Path(place).stem / "best.yaml").is_file()
    assert not (theirs / "results").exists()


@pytest.mark.parametrize("folder", ["", "conf", "sweeps"])
def test_a_config_dir_brings_the_configs_and_modules_of_its_project(
    project: Project, theirs: Path, folder: str
) -> None:
    swept(project, "mine", "--config-dir", str(theirs / folder))


def test_what_has_the_same_name_in_the_current_folder_does_not_get_in_the_way(
    project: Project, theirs: Path
) -> None:
    project.write("their_module.py", "raise RuntimeError('the wrong one')\n")
    project.write("conf/model/theirs.yaml", "_target_: wrong.one\n")
    swept(project, str(theirs / "sweeps/mine.yaml"))


def test_modules_of_the_current_folder_are_found_besides(project: Project, theirs: Path) -> None:
    project.write("their_module.py", (theirs / "their_module.py").read_text())
    (theirs / "their_module.py").unlink()
    swept(project, str(theirs / "sweeps/mine.yaml"))


def test_only_the_current_folders_list_says_what_else_is_trusted(
    project: Project, theirs: Path
) -> None:
    (theirs / "conf/model/theirs.yaml").write_text("_target_: textwrap.wrap\nwidth: 3\n")
    (theirs / "conf/trusted.yaml").write_text("- textwrap\n")
    done = project.besom("sweep", str(theirs / "sweeps/mine.yaml"))
    assert done.exit_code == 2
    assert "model._target_ is 'textwrap.wrap'" in done.output


def test_from_python_too_and_the_callers_import_path_stays_as_it_was(
    project: Project, theirs: Path
) -> None:
    before = list(sys.path)
    study = besom.sweep(str(theirs / "sweeps/mine.yaml"))
    assert len(study.complete) == 2
    assert sys.path == before


def test_another_project_may_not_be_named_by_its_modules_alone(
    project: Project, theirs: Path
) -> None:
    project.write("sweeps/mine.yaml", SWEEP.replace("override model: theirs", "override model: m"))
    project.write("conf/model/m.yaml", "_target_: their_module.run\nwidth: 3\n")
    with pytest.raises(BesomError, match="their_module"):
        besom.sweep("mine")


def test_an_error_in_a_module_of_the_project_says_in_which_line(
    theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(theirs))
    (theirs / "faulty_module.py").write_text("def fail():\n    raise ValueError('no')\n")
    import faulty_module  # type: ignore[import-not-found]

    with pytest.raises(ValueError, match="no") as raised:
        faulty_module.fail()
    assert reason_of(raised.value) == "ValueError: no (faulty_module.py, line 2)"
