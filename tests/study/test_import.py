"""``besom study import``: a study that Optuna made can be ranked, plotted and learned from."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import optuna
import pytest
from sweeping import RESULTS, optunas, stored, sweep

from besom.store.records import Objective, Origin, Outcome, StudyRecord
from besom.store.storage import study_names
from besom.study.watcher import Watcher
from user_project import Project

pytestmark = pytest.mark.usefixtures("project")

#: What the parameters of ``theirs`` stand for in the sweep ``cheap``.
PATHS = ("--param", "lr=optimizer.learning_rate", "--param", "dropout=model.dropout")


#: Where a study of Optuna's is taken from, and what it optimises.
GIVEN = ("--from", "optuna.log", "--metric", "val_accuracy")


class Remarks(Watcher):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def remarked(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def theirs(storage: optuna.storages.BaseStorage, name: str = "mlp") -> optuna.Study:
    """A study of Optuna's in which trials end in every way."""

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
        dropout = trial.suggest_float("dropout", 0.0, 0.5)
        value = 0.9 - dropout / 10 - rate
        for step in range(3):
            trial.report(value + step / 100, step)
        trial.set_user_attr("n_params", 100 + trial.number)
        trial.set_user_attr("host", "a note")
        if trial.number == 2:
            raise optuna.TrialPruned
        if trial.number == 3:
            raise ValueError("broken")
        return math.inf if trial.number == 4 else value + 0.02

    made = optuna.create_study(
        storage=storage, study_name=name, direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=1),
    )  # fmt: skip
    made.optimize(objective, n_trials=6, catch=(ValueError,))
    made.add_trial(optuna.create_trial(state=optuna.trial.TrialState.RUNNING))
    return made


def journal(path: str) -> optuna.storages.JournalStorage:
    backend = optuna.storages.journal.JournalFileBackend(path)
    return optuna.storages.JournalStorage(backend)


def database(path: Path) -> optuna.storages.RDBStorage:
    return optunas(f"sqlite:///{path}")


def refused(project: Project, *words: str) -> str:
    result = project.besom("study", "import", *words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.mark.parametrize("kind", ["journal file", "sqlite file", "url"])
def test_everything_optuna_knows_of_a_study_is_there(project: Project, kind: str) -> None:
    path = project.root / "optuna.store"
    storage = journal(str(path)) if kind == "journal file" else database(path)
    made = theirs(storage)
    source = f"sqlite:///{path}" if kind == "url" else "optuna.store"
    said = project.done("study", "import", "old", "--from", source, "--metric", "val_accuracy")
    assert said.startswith("old: 7 trials (3 complete, 1 pruned, 1 diverged, 1 error")
    study = stored("old")
    assert study.objectives == (Objective("val_accuracy", "maximize", "last", "share"),)
    assert [t.params for t in study.trials] == [t.params for t in made.trials]
    ended = [Outcome.COMPLETE, Outcome.COMPLETE, Outcome.PRUNED, Outcome.ERROR, Outcome.DIVERGED]
    assert [t.outcome for t in study.trials] == [*ended, Outcome.COMPLETE, Outcome.RUNNING]
    first = study.trials[0]
    assert first.values == tuple(made.trials[0].values)
    assert first.history == {"val_accuracy": list(made.trials[0].intermediate_values.values())}
    assert first.best_epoch == 3
    assert first.numbers == {"n_params": 100.0}
    assert first.distributions == made.trials[0].distributions
    assert study.trials[2].reason == "pruned at step 2"


def test_it_is_ranked_plotted_and_compared_like_any_other(project: Project) -> None:
    theirs(journal("optuna.log"))
    project.done("study", "import", "old", *GIVEN, *PATHS)
    sweep("sweep.n_trials=3")
    shown = project.done("leaderboard", "old")
    assert "neither ties nor a correction for selection can be claimed" in " ".join(shown.split())
    assert "besom confirm" not in shown
    assert (RESULTS / "old/leaderboard.csv").exists()
    assert "slices.png" in project.done("plot", "old")
    assert "dropout" in project.done("diff", "old", "0", "1")
    assert "not known" in project.done("compare", "old", "cheap")
    assert "CPU seconds are not known" in project.done("ledger", "old")
    assert "old" in project.done("list")


def test_a_sweep_learns_from_it(project: Project, no_orphans: str) -> None:
    heard = Remarks()
    made = theirs(journal("optuna.log"))
    project.done("study", "import", "old", *GIVEN, *PATHS)
    sweep("sweep.n_trials=2", "sweep.warm_start=old", watcher=heard)
    taken = [t for t in stored().trials if t.origin is Origin.WARM_START]
    done = [t for t in made.trials if t.state.is_finished() and t.number in (0, 1, 5)]
    assert [t.params for t in taken] == [
        {"model.dropout": t.params["dropout"], "optimizer.learning_rate": t.params["lr"]}
        for t in done
    ]
    assert [t.values for t in taken] == [tuple(t.values) for t in done]
    assert any("3 trials of 'old' are added as knowledge" in said for said in heard.said)


def test_knowledge_that_leaves_a_sampled_value_open_is_not_taken(
    project: Project, no_orphans: str
) -> None:
    heard = Remarks()
    theirs(journal("optuna.log"))
    project.done("study", "import", "old", *GIVEN, "--param", "lr=optimizer.learning_rate")
    sweep("sweep.n_trials=1", "sweep.warm_start=old", watcher=heard)
    assert not [t for t in stored().trials if t.origin is Origin.WARM_START]
    assert any("3 do not fit" in said for said in heard.said)


def test_what_needs_a_config_to_run_is_refused_in_one_sentence(project: Project) -> None:
    theirs(journal("optuna.log"))
    project.done("study", "import", "cheap", "--from", "optuna.log")
    for words in (
        ["sweep", "cheap"],
        ["confirm", "cheap"],
        ["replay", "cheap", "0"],
        ["export", "cheap"],
        ["export", "cheap", "--model"],
        ["export", "cheap", "--predictions"],
    ):
        result = project.besom(*words)
        assert result.exit_code == 2, words
        assert "was imported, so it cannot be" in result.output, words


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_several_objectives_and_their_constraints_come_along(project: Project) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0.0, 1.0)
        trial.set_constraint("small", x - 0.9 if trial.number else 1.0)
        return x, 1.0 - x

    made = optuna.create_study(
        storage=journal("optuna.log"), study_name="two", directions=["maximize", "minimize"]
    )
    made.set_metric_names(["val_accuracy", "n_params"])
    made.optimize(objective, n_trials=4)
    project.done("study", "import", "old", "--from", "optuna.log")
    study = stored("old")
    assert [(o.metric, o.direction) for o in study.objectives] == [
        ("val_accuracy", "maximize"),
        ("n_params", "minimize"),
    ]
    assert study.trials[0].outcome is Outcome.INFEASIBLE
    assert study.trials[0].reason == "it breaks a constraint (small)"
    assert "Pareto front" in project.done("leaderboard", "old")


def test_it_goes_into_a_database_too(project: Project) -> None:
    theirs(journal("optuna.log"))
    url = f"sqlite:///{project.root}/studies.db"
    project.done("study", "import", "old", "--from", "optuna.log", "--storage", url)
    assert len(stored("old").trials) == 7
    assert not (RESULTS / "old/study.journal").exists()
    said = refused(project, "old", "--from", "optuna.log", "--storage", url)
    assert f"{url} already holds a study 'old'" in said


def test_an_import_that_was_killed_begins_again(project: Project) -> None:
    theirs(journal("optuna.log"))
    project.done("study", "import", "old", "--from", "optuna.log")
    lines = (RESULTS / "old/study.journal").read_text().splitlines(keepends=True)
    (RESULTS / "old/study.journal").write_text("".join(lines[:5]))
    project.done("study", "import", "old", "--from", "optuna.log")
    assert len(stored("old").trials) == 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "nothing.log"], "There is no file nothing.log"),
        (["--from", "sqlite:///nothing.db"], "There is no file nothing.db"),
        (["--from", "."], ". is a folder, but not of Ray Tune or KerasTuner"),
        (["--from", "text"], "text holds no study of Optuna's"),
        (["--from", "other.db"], "other.db cannot be read as Optuna's: it has none of Optuna's"),
        (["--from", "optuna.log"], "optuna.log holds mlp and two: choose one with --study"),
        (["--from", "optuna.log", "--study", "mpl"], "no study 'mpl'. Did you mean 'mlp'?"),
        (["--study", "mlp", "--metric", "a", "--metric", "b"], "has 1 objective, but 2 metrics"),
        (["--study", "mlp", "--param", "lrr=x"], "no trial has 'lrr'. Did you mean 'lr'?"),
        (["--study", "mlp", "--param", "lr"], "--param lr is not NAME=PATH"),
        (["--study", "mlp", "--param", "lr=x", "--param", "dropout=x"], "one path"),
        (["--study", "mlp", "--storage", "postgresql://u:secret@h/d"], "with a password"),
    ],
)
def test_what_cannot_be_imported_is_said_and_nothing_is_left(
    project: Project, words: list[str], message: str
) -> None:
    project.write("text", "no journal\n")
    optuna.create_study(storage=journal("optuna.log"), study_name="two")
    theirs(journal("optuna.log"))
    with sqlite3.connect("other.db") as other:
        other.execute("CREATE TABLE mine (a)")
    other.close()
    given = words if "--from" in words else ["--from", "optuna.log", *words]
    said = refused(project, "old", *given)
    assert message in said
    assert "secret" not in said
    assert study_names(RESULTS) == []
    assert not (RESULTS / "old").exists()
    assert not Path("nothing.db").exists()


def test_a_study_of_besom_s_own_is_not_imported(project: Project, no_orphans: str) -> None:
    sweep("sweep.n_trials=1")
    said = refused(project, "copy", "--from", "results/cheap/study.journal")
    assert "was made by besom. Copy its folder instead" in said


def test_accuracies_in_percent_are_not_taken_for_shares(project: Project) -> None:
    made = optuna.create_study(storage=journal("optuna.log"), direction="maximize")
    made.optimize(lambda trial: 90.0 + trial.suggest_float("x", 0.0, 1.0), n_trials=2)
    project.done("study", "import", "old", *GIVEN)
    study: StudyRecord = stored("old")
    assert not study.objective.is_share
