"""The pages for people who come from another tuner: what is theirs, and what is besom's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

from optuna.distributions import BaseDistribution

from besom.store.imported_params import ImportedParams
from besom.study import make_plan
from page_examples import ROOT, Block, blocks, command_lines
from user_project import Project


def read_page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def theirs(page: str, tuner: str) -> list[Block]:
    """The examples of the other tuner."""
    return [block for block in blocks(page) if block.text.startswith(f"# {tuner}\n")]


def imports(page: str) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Each ``besom study import`` of a page, and what it says of parameters."""
    for words in command_lines(page):
        if words[:2] == ["study", "import"]:
            said = [b for a, b in itertools.pairwise(words) if a == "--param"]
            yield words, dict(pair.split("=") for pair in said)


def same_space(
    sampled: Mapping[str, BaseDistribution], given: Mapping[str, str], sweep: str
) -> None:
    """Check that another tuner samples what a sweep does: names, bounds, steps, log, choices."""
    named = ImportedParams(sampled, given).paths
    assert {named[name]: d for name, d in sampled.items()} == make_plan(sweep).space.distributions()


def run_commands(
    reader: Project, page: str, chosen: Callable[[str], bool] = lambda _: True
) -> dict[str, str]:
    """Run every command of a page, or those chosen, each sweep short.

    Returns:
        What was said, by the command as it stands on the page.
    """
    told = {}
    shown = [words for block in blocks(page) if not block.not_run for words in block.commands()]
    for words in shown:
        if not chosen(" ".join(words)):
            continue
        if words[0] in ("sweep", "train"):  # what trains has a process of its own
            kept = [word for word in words if not word.startswith("sweep.n_trials")]
            if words[0] == "sweep":
                n = 3 if "--extend" in words else 2
                kept += [f"sweep.n_trials={n}", "sweep.executor.workers=1", "trainer.epochs=2"]
                kept += ["sweep.plots=false"]
            done = reader.run(*kept)
            assert done.returncode == 0, (words, done.stderr)
            told[" ".join(words)] = done.stdout + done.stderr
        else:
            told[" ".join(words)] = reader.done(*words)
    return told


def learned(told: Mapping[str, str], study: str) -> str:
    """What the sweep that learned from a study said of it."""
    (said,) = (text for words, text in told.items() if words.endswith(f"warm_start={study}"))
    return next(line for line in said.splitlines() if line.startswith("warm start: "))
