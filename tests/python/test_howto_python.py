"""The how-to's calls are ones that besom takes: each is planned as it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from besom.python.study_object import Study
from besom.study import SweepPlan
from records_factory import make_study
from test_documentation import ROOT, blocks
from user_project import Project


def test_every_call_of_the_page_can_be_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[str] = []
    monkeypatch.setattr("besom.api._run", _swept(planned))
    monkeypatch.setattr(Study, "best_model", lambda study: study.best)
    monkeypatch.setattr("besom.python.training_apart._run", _trained(planned))
    page = Path(ROOT, "docs/howto-python.md").read_text()
    names: dict[str, Any] = {"__name__": "__main__"}
    for i, block in enumerate(b for b in blocks(page) if b.language == "python"):
        file = project.write(f"block{i}.py", block.text)
        exec(compile(block.text, str(file), "exec"), names)
    assert planned == ["build", "streamed", "digits-long", "final"]


def _swept(planned: list[str]) -> Any:
    def run(plan: SweepPlan, *_: Any) -> Study:
        planned.append(plan.name)
        return Study.of(make_study(12), plan.paths.root.parent)

    return run


def _trained(planned: list[str]) -> Any:
    def run(words: list[str], *_: Any) -> Path:
        from besom.cli.sweep_command import _split_config
        from besom.report.export import composer_for_train

        config, rest = _split_config(tuple(word for word in words if word != "--trust"))
        composed = composer_for_train(config, None).compose([w for w in rest if "=" in w])
        planned.append(str(composed.config["name"]))
        folder = Path("run")
        folder.mkdir()
        (folder / "history.csv").write_text("epoch,val_accuracy\n1,0.5\n")
        (folder / "metrics.json").write_text('{"test": null}')
        return folder

    return run
