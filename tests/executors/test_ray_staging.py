"""What crosses to other machines: modules, paths, versions, given arrays, kept files. No Ray."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from besom.errors import BesomError, ConfigError
from besom.executors.base import Finished, Usage
from besom.executors.channel import Run, Setup, make_setup
from besom.executors.ray.arrival import arrive
from besom.executors.ray.cargo import load, unload
from besom.executors.ray.carrying import NodeFolder, receive, to_send
from besom.executors.ray.deaths import describe_unconnected, describe_unprepared_node
from besom.executors.ray.freight import Parcel, Receiver, Sender
from besom.executors.ray.room import Room
from besom.executors.ray.staging import STAGED, Staged, stage, with_absolute_paths
from besom.seam import TrialResult
from besom.trust import Trust


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, as the current folder."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    return project


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"NAME = {name!r}\n")


def setup_of(folder: Path, config: dict[str, Any] | None = None, **options: Any) -> Setup:
    made = make_setup("mine:trial", config or {}, str(folder), options.pop("artifacts", None))
    trust = Trust(folder=os.path.realpath(folder), **options)
    return replace(made, sys_path=(str(folder), *sys.path), trust=trust)


def staged_files(folder: Path, into: Path, **options: Any) -> set[str]:
    stage(setup_of(folder, **options), into)
    root = into / STAGED / "0"
    return {file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file()}


def test_modules_go_along_and_results_data_and_environments_do_not(
    folder: Path, tmp_path: Path
) -> None:
    write(folder, "mine.py", "pack/__init__.py", "pack/deep/inner.py", "plain/names.py")
    write(folder, "pack/vocabulary.txt", ".gitignore", ".git/hook.py", "__pycache__/mine.pyc")
    write(folder, "data/train.csv", "results/mine/models/x.keras", "results/mine/notes.py")
    write(folder, ".venv/pyvenv.cfg", ".venv/lib.py", "env/pyvenv.cfg", "env/lib/keras.py")
    write(folder, "conf/model/mine.yaml", "a-folder/no_module.py")
    found = staged_files(folder, tmp_path / "into", artifacts=str(folder / "results/mine"))
    modules = {"mine.py", "pack/__init__.py", "pack/deep/inner.py", "plain/names.py"}
    assert found == modules | {"pack/vocabulary.txt"}


def test_what_git_ignores_goes_along(folder: Path, tmp_path: Path) -> None:
    write(folder, "mine.py", "secret.py")
    (folder / ".gitignore").write_text("secret.py\n")
    assert staged_files(folder, tmp_path / "into") == {"mine.py", "secret.py"}


def test_links_that_lead_round_in_a_circle_end(folder: Path, tmp_path: Path) -> None:
    write(folder, "mine.py", "pack/__init__.py")
    (folder / "pack" / "again").symlink_to(folder)
    assert "mine.py" in staged_files(folder, tmp_path / "into")


def test_modules_on_pythonpath_go_along_and_installed_ones_do_not(
    folder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere, "shared.py")
    setup = setup_of(folder)
    staged = stage(replace(setup, sys_path=(*setup.sys_path, str(elsewhere))), tmp_path / "into")
    assert str(elsewhere) in staged.folders
    assert not [f for f in staged.folders if "site-packages" in f or (Path(f) / "besom").is_dir()]


def test_of_a_folder_on_pythonpath_only_what_holds_modules_is_read(
    folder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere, "shared.py", "names/spaced/__init__.py", "names/spaced/deep/words.txt")
    write(elsewhere, "images/cats/1.png", "images/cats/notes/cats.py")
    setup = setup_of(folder)
    staged = stage(replace(setup, sys_path=(*setup.sys_path, str(elsewhere))), tmp_path / "into")
    root = tmp_path / "into" / STAGED / str(staged.folders.index(str(elsewhere)))
    found = {file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file()}
    assert found == {"shared.py", "names/spaced/__init__.py", "names/spaced/deep/words.txt"}


def test_modules_too_large_for_code_are_refused_with_the_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("besom.executors.ray.staging.MAX_BYTES", 100)
    write(folder, "pack/__init__.py")
    (folder / "pack" / "weights.h5").write_bytes(bytes(200))
    with pytest.raises(BesomError, match=r"weights\.h5.*keep data outside its packages"):
        stage(setup_of(folder), tmp_path / "into")


def test_relative_paths_of_a_config_become_absolute(folder: Path) -> None:
    write(folder, "train.csv", "images/a.png", "relu")
    config = {
        "data": {"path": "images", "test_path": "./train.csv", "separator": "."},
        "model": {"_target_": "relu.build", "activation": "relu", "weights": "none.h5"},
        "orders": {"save_model": {"path": "train.csv"}},
        "seed": 3,
    }
    found = with_absolute_paths(config, str(folder))
    assert found["data"] == {
        "path": str(folder / "images"),
        "test_path": str(folder / "train.csv"),
        "separator": ".",
    }
    assert {key: found[key] for key in ("model", "orders", "seed")} == {
        key: config[key] for key in ("model", "orders", "seed")
    }


def test_a_home_folder_in_a_path_is_that_of_the_machine_that_runs_besom(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))
    write(folder, "data.npz")
    found = with_absolute_paths({"data": {"path": "~/data.npz"}}, "/")
    assert found == {"data": {"path": str(folder / "data.npz")}}


ARRIVE = """
import pickle, sys
from pathlib import Path
from besom.errors import BesomError
from besom.executors.ray.arrival import arrive
staged = pickle.load(open(sys.argv[1], "rb"))
try:
    setup = arrive(staged, "The node n1", Path("/tmp/artifacts"))
except BesomError as error:
    print(type(error).__name__, error)
else:
    sys.path[:] = setup.sys_path
    import mine
    print(mine.__file__, setup.trust.folder, setup.folder)
"""


def arrived(staged: Staged, into: Path, tmp_path: Path) -> str:
    """What a process on another machine, which has unpacked ``into``, says."""
    import pickle

    pickled = tmp_path / "staged.pkl"
    pickled.write_bytes(pickle.dumps(staged))
    path = os.pathsep.join([str(into), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-P", "-c", ARRIVE, str(pickled)],
        env={**os.environ, "PYTHONPATH": path},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_on_another_machine_the_staged_modules_are_imported_and_trusted(
    folder: Path, tmp_path: Path
) -> None:
    write(folder, "mine.py")
    staged = stage(setup_of(folder), tmp_path / "into")
    folder.rename(tmp_path / "not there")
    root = tmp_path / "into" / STAGED / "0"
    assert arrived(staged, tmp_path / "into", tmp_path) == f"{root / 'mine.py'} {root} {root}"


def test_a_path_that_the_node_lacks_is_one_message_with_its_key(
    folder: Path, tmp_path: Path
) -> None:
    write(folder, "train.csv", "mine.py")
    staged = stage(setup_of(folder, {"data": {"path": "train.csv"}}), tmp_path / "into")
    (folder / "train.csv").unlink()
    said = arrived(staged, tmp_path / "into", tmp_path)
    assert said.startswith("ConfigError The node n1 does not have what the config names: ")
    assert f"data.path={folder / 'train.csv'}. Put it in a folder that all nodes share" in said


def test_versions_that_differ_are_one_message(folder: Path, tmp_path: Path) -> None:
    staged = stage(setup_of(folder), tmp_path / "into")
    other = replace(staged, versions={"Python": "3.9", "besom": "0.0.1"})
    with pytest.raises(ConfigError) as refused:
        arrive(other, "The node n1", tmp_path)
    assert "The node n1 has Python 3." in str(refused.value)
    assert "and this machine has Python 3.9 and besom 0.0.1." in str(refused.value)


def test_modules_that_ray_did_not_bring_are_one_message(folder: Path, tmp_path: Path) -> None:
    staged = stage(setup_of(folder), tmp_path / "into")
    with pytest.raises(BesomError, match="Ray has not brought the project's modules"):
        arrive(staged, "The node n1", tmp_path)


# --- functions and arrays given from Python -------------------------------------------------------


def test_given_arrays_are_written_once_per_node(tmp_path: Path) -> None:
    write(tmp_path / "given", "train_1/parts.json", "build_12345678.pkl")
    (tmp_path / "given" / "train_1" / "0-x.npy").write_bytes(bytes(range(256)) * 9)
    chunks: list[bytes] = []
    fetched: list[int] = []

    def put(chunk: bytes) -> int:
        chunks.append(chunk)
        return len(chunks) - 1

    def get(reference: int) -> bytes:
        fetched.append(reference)
        return chunks[reference]

    cargo = load(tmp_path / "given", put)
    first = unload(cargo, tmp_path / "node", get, "The node")
    again = unload(cargo, tmp_path / "node", get, "The node")
    assert first == again
    assert len(fetched) == len(chunks) == 3
    for name in cargo.files:
        assert (first / name).read_bytes() == (tmp_path / "given" / name).read_bytes()


def test_given_arrays_that_no_process_uses_make_room_for_others(tmp_path: Path) -> None:
    write(tmp_path / "given", "x.npy")
    write(tmp_path / "other", "y.npy")
    node = tmp_path / "node"
    code = (
        "import sys; from pathlib import Path; from besom.executors.ray.cargo import load, unload\n"
        "unload(load(Path(sys.argv[1]), bytes), Path(sys.argv[2]), bytes, 'The node')"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "given"), str(node)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=True,
    )
    before = [each for each in node.iterdir() if each.is_dir()]
    unload(load(tmp_path / "other", bytes), node, bytes, "The node")
    assert len(before) == 1
    assert not before[0].exists()


def test_a_node_without_disk_space_for_given_arrays_says_so(tmp_path: Path) -> None:
    write(tmp_path / "given", "x.npy")
    cargo = load(tmp_path / "given", bytes)
    (tmp_path / "node").write_text("no folder")
    with pytest.raises(BesomError, match="The node n1 cannot store the functions and arrays"):
        unload(cargo, tmp_path / "node", bytes, "The node n1")


# --- models and checkpoints -----------------------------------------------------------------------

ORDERS = {
    "save_model": {"path": "models/trial-4.keras", "better_than": None},
    "mistakes": {"path": "mistakes/trial-4.json", "better_than": None},
    "checkpoint": {"load": "checkpoints/trial-1", "save": "checkpoints/trial-4"},
}


def test_models_and_checkpoints_come_back_and_the_one_to_continue_goes_there(
    tmp_path: Path,
) -> None:
    study, config = tmp_path / "study", {"orders": ORDERS}
    write(study, "checkpoints/trial-1", "models/trial-0.keras")
    sent = to_send(config, str(study))
    assert set(sent) == {"checkpoints/trial-1"}
    node = NodeFolder(tmp_path / "node")
    node.begin(config, sent)
    assert (node.folder / "checkpoints/trial-1").read_bytes() == sent["checkpoints/trial-1"]
    kept = ["models/trial-4.keras", "mistakes/trial-4.json", "checkpoints/trial-4/part"]
    write(node.folder, *kept, "noise")
    files = node.end()
    assert set(files) == set(kept)
    assert not node.folder.exists()
    assert receive(files, str(study)) == ""
    assert (study / "models/trial-4.keras").exists()
    assert (study / "checkpoints/trial-4/part").exists()


def test_a_trial_that_keeps_nothing_sends_nothing(tmp_path: Path) -> None:
    node = NodeFolder(tmp_path / "node")
    assert to_send({"x": 1}, str(tmp_path)) == to_send({"orders": ORDERS}, None) == {}
    node.begin({"x": 1}, {})
    assert node.end() == {}


def test_a_study_folder_that_takes_no_model_costs_the_model_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("no folder")
    files = {"models/trial-4.keras": b"weights", "mistakes/trial-4.json": b"{}"}
    remark = receive(files, str(tmp_path))
    assert (tmp_path / "mistakes/trial-4.json").exists()
    assert remark.startswith("models, mistakes or checkpoints could not be kept: ")


def crossing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, artifacts: Path
) -> tuple[Sender, Receiver]:
    """Both sides, once a worker has been set up."""
    into = tmp_path / "session" / "py_modules" / "package"
    sender = Sender(setup_of(folder, artifacts=str(artifacts)), into)
    sender.load(bytes)
    monkeypatch.syspath_prepend(str(into))
    receiver = Receiver("The node n1", bytes)
    setup = receiver.unpack(sender.pack(setup_of(folder)))
    assert isinstance(setup, Setup)
    assert setup.artifacts != str(artifacts)
    return sender, receiver


def test_a_trial_on_another_machine_reads_and_writes_the_study_s_files_through_messages(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "study"
    write(study, "checkpoints/trial-1")
    write(folder, "data.npz")
    sender, receiver = crossing(folder, tmp_path, monkeypatch, study)
    config = {"data": {"path": "data.npz"}, "orders": ORDERS}
    run = receiver.unpack(sender.pack(Run(4, config)))
    assert isinstance(run, Run)
    assert run.config["data"] == {"path": str(folder / "data.npz")}
    (at,) = (tmp_path / "session").rglob("checkpoints/trial-1")
    write(at.parents[1], "models/trial-4.keras", "checkpoints/trial-4")
    said = receiver.pack(Finished(4, 0, TrialResult(), Usage()))
    assert isinstance(said, Parcel)
    assert sender.unpack(said) == Finished(4, 0, TrialResult(), Usage())
    assert (study / "models/trial-4.keras").exists()
    assert (study / "checkpoints/trial-4").exists()


def test_a_model_that_cannot_be_kept_is_a_remark_of_its_trial(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "study"
    write(study, "models")  # a file, where the folder should be
    sender, _ = crossing(folder, tmp_path, monkeypatch, study)
    finished = Finished(4, 0, TrialResult(environment={"remarks": {"other": "said"}}), Usage())
    sender.unpack(Parcel(finished, {"models/trial-4.keras": b"weights"}))
    remarks = finished.result.environment["remarks"]
    assert remarks["other"] == "said"
    assert remarks["models"].startswith("models, mistakes or checkpoints could not be kept: ")


# --- room -----------------------------------------------------------------------------------------


def node_of(alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"memory": 1e9, **resources}}


def test_how_many_workers_fit_is_counted_per_node() -> None:
    nodes = [node_of(CPU=8, GPU=1), node_of(CPU=8), node_of(CPU=4, GPU=4), node_of(False, GPU=8)]
    room = Room.on(nodes, {"CPU": 2, "GPU": 0.5, "big": 0})
    assert room.per_node == [2, 0, 2]
    assert str(room) == (
        "a worker (2 CPUs and 0.5 GPUs) fits on 2 of 3 nodes, 4 workers at once when nothing else "
        "runs there"
    )


def test_a_cluster_without_room_for_one_worker_says_what_is_there() -> None:
    room = Room.on([node_of(CPU=8), node_of(CPU=4, GPU=1)], {"CPU": 16, "GPU": 1, "tpu": 1})
    assert room.n_workers == 0
    assert str(room) == (
        "no node of the cluster has room for a worker (16 CPUs, 1 GPU and 1 tpu): of 2 nodes, none "
        "has more than 8 CPUs, 1 GPU and 0 tpu"
    )


def test_parts_of_a_gpu_add_up() -> None:
    assert Room.on([node_of(CPU=100, GPU=3)], {"GPU": 0.3}).n_workers == 10


# --- what Ray says when it does not work ----------------------------------------------------------

MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.60.0
    Python: 3.12.1
This process on node 192.0.2.2 was started with:
    Ray: 2.59.0
    Python: 3.13.0
"""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError(MISMATCH), "was started with Ray 2.60.0 Python 3.12.1, and this machine has"),
        (RuntimeError("RPC error: InvalidAuthToken: missing"), "Run `ray get-auth-token` on the"),
        (ConnectionError("No Ray at head:1.\nmore"), r"No Ray at head:1 \(ConnectionError\). Is "),
        (BesomError("Too large."), "^Too large.$"),
    ],
)
def test_why_a_cluster_cannot_be_used_is_one_sentence(error: Exception, said: str) -> None:
    assert re.search(said, describe_unconnected(error))


def test_a_node_without_besom_is_no_reason_to_try_again() -> None:
    error = RuntimeError("ModuleNotFoundError: No module named 'besom'")
    unprepared = describe_unprepared_node(error)
    assert unprepared is not None
    assert unprepared.message.startswith("besom is not installed on a node of the Ray cluster")
    assert describe_unprepared_node(RuntimeError("No module named 'besomething.else'")) is None
