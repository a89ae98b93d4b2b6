"""What a user may get wrong: one message, exit code 2, no traceback, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from besom.store.paths import StudyPaths
from records_factory import make_study
from reporting_world import store
from user_project import Project

pytestmark = pytest.mark.usefixtures("no_orphans")


def refused(project: Project, *words: str) -> str:
    """Give the command here; return its one message."""
    before = files(project.root)
    done = project.besom(*words)
    assert done.exit_code == 2, (done.output, done.exception)
    assert "Traceback" not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert files(project.root) == before
    assert done.stdout == ""
    return done.stderr


def files(root: Path) -> list[tuple[str, bytes | None]]:
    """Everything that is there, with its content."""
    return [
        (str(path.relative_to(root)), path.read_bytes() if path.is_file() else None)
        for path in sorted(root.rglob("*"))
        if "__pycache__" not in path.parts
    ]


@pytest.fixture
def studies(project: Project) -> Project:
    """A results folder with a study ``mnist_mlp``."""
    store(project.root / "results", make_study(6, name="mnist_mlp"))
    return project


# sweep


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("quickstrat", "no sweep 'quickstrat'. Did you mean 'quickstart'?"),
        ("train", "no sweep 'train'"),
        ("gone.yaml", "no sweep file 'gone.yaml'"),
        ("cheap model=mlpp", "Did you mean 'mlp'?"),
        ("cheap sweep/pruner=medain", "Did you mean 'median'?"),
        ("cheap optimizer.learning_rat=1", "Did you mean 'learning_rate'?"),
        ("cheap sweep.space.model.drop=[1]", "Did you mean 'model.dropout'"),
        ("cheap sweep.space.model.dropout={low:1,high:0}", "greater than high"),
        (
            "cheap sweep.space.optimizer.learning_rate={low:0,high:1,log:true}",
            "a log range starts above 0",
        ),
        ("cheap sweep.space.model.activation=[]", "no choices"),
        ("cheap sweep.space.model.dropout={low:0.0,high:1.0,step:0.3}", "the step does not fit"),
        ("cheap sweep.n_trials=0", "sweep.n_trials is 0, expected 1 to 1,000,000 trials"),
        ("cheap sweep.n_trials=many", "sweep.n_trials"),
        ("cheap sweep.timeout_s=0", "sweep.timeout_s is 0"),
        ("cheap sweep.timeout_s=nan", "sweep.timeout_s is nan, expected more than 0 seconds"),
        ("cheap sweep.target=nan", "sweep.target is nan, expected a finite number"),
        ("cheap sweep.audit=1.5", "sweep.audit is 1.5, expected a share from 0 to 1"),
        ("cheap sweep.keep_models=-1", "sweep.keep_models is -1, expected 0 or more"),
        ("cheap sweep.constraints.n_params={max:nan}", "sweep.constraints.n_params.max is nan"),
        ("cheap sweep.trial_timeout_s=-1", "sweep.trial_timeout_s is -1"),
        ("cheap sweep.patience=0", "sweep.patience is 0"),
        ("cheap sweep.max_failures=0", "sweep.max_failures is 0"),
        ("cheap sweep.executor.workers=0", "sweep.executor.workers is 0"),
        ("cheap sweep.executor.workers=two", "workers"),
        ("cheap sweep.executor.max_worker_memory=lots", "max_worker_memory"),
        ("cheap sweep.objective.metric=val_acc", "Did you mean 'val_accuracy'?"),
        ("cheap sweep.objective.direction=max", "maximize"),
        ("cheap name=zz", "A study is named by sweep.name: write sweep.name=zz"),
        ("cheap sweep.name=a/b", "sweep.name is 'a/b': it contains a slash"),
        ("cheap sweep.name=archive", "sweep.name is 'archive': besom uses the names"),
        ("cheap sweep.name=train", "besom uses the names archive, compare, show, train"),
        ("cheap sweep.name=''", "sweep.name is '': it is empty"),
        ("cheap sweep.name=-rf", "it starts with '-'"),
        ("cheap sweep.name=..", "it starts with '.'"),
        ("cheap sweep.name='a\\\\b'", "it contains a slash"),
        ("cheap sweep.name='a\u202eb'", r"'a\u202eb': it contains '\u202e', which is invisible"),
        ("cheap sweep.name='a\x1b[31mb'", r"it contains '\x1b', which is invisible"),
        ("cheap sweep.name='a\u200bb'", "which is invisible"),
        (f"cheap sweep.name={'x' * 300}", "it is longer than 200 bytes"),
        (f"cheap sweep.name='{'é' * 130}'", "it is longer than 200 bytes"),
        ("cheap sweep.storage=''", "sweep.storage is '', expected a URL"),
        ("cheap results_dir=''", "results_dir is '', expected the path of a folder"),
        ("cheap trainer.epochs=0", "trainer.epochs is 0, expected at least 1"),
        ("cheap trainer.epochs=choice(0,1)", "trainer.epochs in sweep.space is 0"),
        ("cheap trainer.epochs=range(-1,3)", "trainer.epochs in sweep.space is -1"),
        ("cheap trainer=null", "trainer"),
        ("cheap sweep.n_trials=99999999999999999999", "expected 1 to 1,000,000 trials"),
        ("cheap sweep.timeout_s=inf", "at most 1e9 (null: no limit)"),
        ("cheap sweep.trial_timeout_s=1e300", "at most 1e9 (null: no limit)"),
        ("cheap sweep.target=inf", "sweep.target is inf, expected a finite number"),
        ("cheap sweep.constraints={n_params:{min:5,max:3}}", "has min 5 above max 3"),
        ("cheap sweep.executor.workers=1000000", "sweep.executor.workers is 1000000, and on this"),
        ("cheap sweep.executor.threads_per_worker=1000000000", "1024 is the most"),
        (
            "cheap sweep.space.model.hidden_units={length:1000000000,each:[8]}",
            "1000000000 is more than 100 elements",
        ),
        (
            "cheap sweep.space.model.hidden_units={length:[1,1000000000],each:[8],shape:constant}",
            "more than 100 elements",
        ),
        ("cheap sweep.space.model.dropout={low:0.0,high:0.5,step:1e-300}", "too many steps"),
        ("cheap sweep.space.model.dropout={low:-1e308,high:1e308}", "too large for a double"),
        (f"cheap +model.a={'[' * 3000}{']' * 3000}", "nested too deep"),
        (f"cheap seed={'9' * 5000}", "4300 digits"),
        ("cheap sweep.enqueue=[{trainer.epochs:0}]", "trainer.epochs of sweep.enqueue[0] is 0"),
        ("cheap results_dir=a/b/c sweep.executor.workers=1000000", "the most"),
        ("cheap sweep.constraints.n_params={max:inf}", "is inf, expected a finite number"),
        ("cheap sweep.storage=nosuch://x", "sweep.storage=nosuch://x cannot be opened"),
        ("cheap sweep.trial_function=nothere.f", "no module 'nothere'"),
        ("cheap sweep.trial_function=sweep_trials.quadratik", "Did you mean 'quadratic'?"),
        ("cheap sweep.trial_function=quadratic", "expected a dotted name"),
        ("cheap sweep.trial_function=sweep_trials.FAULTS", "expected a function"),
        (
            "cheap sweep.trial_function=besom.training.confirmation.run_confirmation",
            "which opens the test images",
        ),
        ("cheap --config-dir nowhere", "--config-dir is 'nowhere'"),
        ("cheap --foo", "no option '--foo'"),
        ("cheap -m", "besom does not run Hydra's multirun"),
        ("cheap hydra.sweeper.n_trials=3", "sweep.space replaces"),
        ("cheap hydra.launcher.n_jobs=3", "sweep.executor.workers replaces"),
        ("", "NAME"),
    ],
)
def test_a_sweep_that_cannot_be_run_is_refused(project: Project, words: str, says: str) -> None:
    assert says in refused(project, "sweep", *words.split())


@pytest.mark.parametrize("name", ["a\nb", " a", "a ", "  ", "a\tb", "a\u00a0b", "a\u2028b"])
def test_a_name_with_blanks_that_are_not_seen_is_refused(project: Project, name: str) -> None:
    message = refused(project, "sweep", "cheap", f"sweep.name='{name}'")
    assert message.startswith("besom: sweep.name is ")
    assert message.count("\n") == 1


@pytest.mark.parametrize("name", ["5", "a b", "été", "学習-3", "x" * 200])
def test_a_name_of_visible_characters_is_taken(project: Project, name: str) -> None:
    from besom.study import make_plan

    assert make_plan("cheap", [f"sweep.name='{name}'"]).name == name


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("sweep.space={}", "sweep.space is empty: every trial is the base config again"),
        ("seed=range(0,9)", "the best seed is luck"),
        ("optimizer._target_=choice(keras.optimizers.Adam,keras.optimizers.SGD)", "_target_"),
    ],
)
def test_what_can_be_searched_but_teaches_little_is_said(
    project: Project, words: str, says: str
) -> None:
    done = project.besom("sweep", "cheap", words, "--dry-run")
    assert done.exit_code == 0, done.output
    assert says in done.output


def test_the_message_begins_with_the_programs_name_and_is_no_essay(project: Project) -> None:
    message = refused(project, "sweep", "quickstrat")
    assert message.startswith("besom: ")
    assert message.count("\n") == 1


def test_the_same_refusal_in_a_process_of_its_own(project: Project) -> None:
    done = project.run("sweep", "cheap", "sweep.objective.metric=val_acc")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("besom: sweep.objective.metric is 'val_acc'")
    assert "Traceback" not in done.stderr
    assert not (project.root / "results").exists()


def test_a_live_study_is_not_touched_by_a_command_that_is_refused(studies: Project) -> None:
    refused(studies, "sweep", "cheap", "sweep.objective.metric=val_acc")


def test_a_failed_preparation_leaves_an_existing_results_folder_as_it_was(
    studies: Project,
) -> None:
    message = refused(studies, "sweep", "cheap", "trainer.unprepared='The images are gone.'")
    assert message == "besom: The images are gone.\n"


# Reporting


@pytest.mark.parametrize("command", ["leaderboard", "plot", "export", "ledger"])
def test_an_unknown_study_is_refused_with_near_names(studies: Project, command: str) -> None:
    message = refused(studies, command, "mnist_mpl")
    assert "no study 'mnist_mpl'" in message
    assert "Did you mean 'mnist_mlp'?" in message
    assert "--results-dir" in message


@pytest.mark.parametrize("command", ["leaderboard", "plot", "export", "ledger"])
def test_a_results_folder_that_is_not_there_is_said(project: Project, command: str) -> None:
    message = refused(project, command, "mnist_mlp", "--results-dir", "nowhere")
    assert "under nowhere, which holds no studies" in message
    assert "besom sweep NAME" in message


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("leaderboard mnist_mlp --sort secnds", "Did you mean 'seconds'"),
        ("leaderboard mnist_mlp --format xml", "'xml' is not one of"),
        ("ledger mnist_mlp --format xml", "'xml' is not one of"),
        ("leaderboard mnist_mlp --top 0", "--top"),
        ("leaderboard mnist_mlp --top many", "--top"),
        ("export mnist_mlp --trial 99", "no finished trial 99; they are numbered 0 to 5"),
        ("export mnist_mlp --trial best", "--trial"),
        ("leaderbord mnist_mlp", "Did you mean 'leaderboard'"),
        ("list extra", "extra"),
        ("list --results-dir nowhere", "The results folder nowhere does not exist"),
        ("list --results-dir sweeps/cheap.yaml", "sweeps/cheap.yaml is not a folder"),
    ],
)
def test_a_report_that_cannot_be_made_is_refused(studies: Project, words: str, says: str) -> None:
    assert says in refused(studies, *words.split())


@pytest.mark.parametrize("command", ["leaderboard", "plot", "export", "ledger"])
def test_a_damaged_journal_is_refused_naming_the_line(studies: Project, command: str) -> None:
    journal = StudyPaths.of(studies.root / "results", "mnist_mlp").journal
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[2] = b"not a record\n"
    journal.write_bytes(b"".join(lines))
    message = refused(studies, command, "mnist_mlp")
    assert "study.journal is damaged: line 3" in message


def test_a_damaged_study_does_not_hide_the_others_from_the_list(studies: Project) -> None:
    store(studies.root / "results", make_study(3, name="another"))
    journal = StudyPaths.of(studies.root / "results", "mnist_mlp").journal
    journal.write_bytes(b"not a record\n" + journal.read_bytes())
    done = studies.besom("list")
    assert done.exit_code == 0
    assert "another" in done.output
    assert "damaged" in done.output


@pytest.mark.parametrize("target", ["folder", "file/inside"])
def test_an_output_that_cannot_be_written_is_refused(studies: Project, target: str) -> None:
    (studies.root / "folder").mkdir()
    studies.write("file", "")
    message = refused(studies, "export", "mnist_mlp", "-o", target)
    assert target.split("/")[0] in message


def test_plots_that_cannot_be_written_are_refused(studies: Project) -> None:
    studies.write("results/mnist_mlp/plots", "a file, where the folder should be")
    assert "plots" in refused(studies, "plot", "mnist_mlp")


# train and show


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("train gone.yaml", "no config file 'gone.yaml'"),
        ("train best.yaml optimizer.learning_rate=abc", "best.yaml"),
        ("train model=mlpp", "Did you mean 'mlp'?"),
        ("train optimizer.learning_rate=abc", "expected a number such as 0.001"),
        ("train data=npz", "data.path"),
        ("train name=''", "name is '': it is empty"),
        (f"train name={'x' * 300}", "longer than 200 bytes"),
        ("train results_dir=''", "results_dir is ''"),
        ("train -m", "besom does not run Hydra's multirun"),
        ("train sweep.n_trials=3", "sweep.n_trials"),
        ("train optimizer.learning_rate=0.1,0.2", "besom sweep NAME"),
        ("show data=mnst", "Did you mean 'mnist'?"),
        ("show --config-dir nowhere", "--config-dir is 'nowhere'"),
    ],
)
def test_a_run_that_cannot_be_composed_is_refused(project: Project, words: str, says: str) -> None:
    assert says in refused(project, *words.split())


# Data, through the command; what each file may be is tests/training's business.


def npz(path: Path, **arrays: np.ndarray) -> None:
    images = np.zeros((40, 4, 4), np.uint8)
    whole = {"x_train": images, "y_train": np.arange(40) % 2}
    np.savez(path, **{k: v for k, v in {**whole, **arrays}.items() if v is not None})


BAD_ARRAYS = [
    ({"y_train": None}, "y_train"),
    ({"x_train": None}, "x_train"),
    ({"y_train": np.arange(39) % 2}, "39"),
    ({"x_train": np.full((40, 4), np.nan)}, "NaN"),
    ({"y_train": np.arange(40) % 2 + np.nan}, "nan"),
    ({"y_train": np.zeros(40, int)}, "at least two classes"),
]


@pytest.mark.tensorflow
def test_data_that_cannot_be_trained_on_is_refused_before_anything_is_written(
    project: Project,
) -> None:
    """In a process of its own: this one stays free of TensorFlow."""
    names = []
    for i, (arrays, _) in enumerate(BAD_ARRAYS):
        npz(project.root / f"bad{i}.npz", **arrays)  # type: ignore[arg-type]
        names.append(f"bad{i}.npz")
    folder = project.root / "idx"
    folder.mkdir()
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (folder / name).write_bytes(b"\x00\x00\x08\x03\x00\x00\xea\x60\x00\x00\x00\x1c")
    words = [["train", "data=npz", f"data.path={name}"] for name in names]
    words += [["show", "data=npz", "data.path=gone.npz"], ["train", "data=mnist", "data.path=idx"]]
    words += [["train", "data=mnist"], ["train", "trainer.epochs=0"], ["train", "name=a/b"]]
    words += [["train", "optimizer=sgd", "optimizer.momentum=-1"]]
    words += [["train", "optimizer._target_=keras.optimizers.Adan"]]
    words += [["train", "model._target_=nothere.model"]]
    said = several(project, words)
    expected = [says for _, says in BAD_ARRAYS]
    expected += ["gone.npz", "truncated", "data=digits", "epochs", "name is 'a/b'", "momentum"]
    expected += ["Did you mean", "no module 'nothere'"]
    for command, (code, out, err), says in zip(words, said, expected, strict=True):
        assert code == 2, (command, out, err)
        assert says in err, (command, err)
        assert "Traceback" not in err, command
    assert not (project.root / "results").exists()


def several(project: Project, commands: list[list[str]]) -> list[tuple[int, str, str]]:
    """Several commands in one process: TensorFlow is imported once. MNIST cannot be downloaded."""
    import json
    import subprocess
    import sys

    code = """
import json, os, socket, sys
def no_network(*args, **kwargs):
    raise OSError("no network here")
socket.getaddrinfo = socket.create_connection = no_network
os.environ["KERAS_HOME"] = sys.argv[2]
from click.testing import CliRunner
from besom.cli import main
said = []
for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(main, words)
    said.append((done.exit_code, done.stdout, done.stderr + repr(done.exception or "")))
print(json.dumps(said))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands), str(project.root / "keras")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(one) for one in json.loads(done.stdout.splitlines()[-1])]
