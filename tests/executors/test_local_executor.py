"""What a coordinator is promised by the local executor while nothing breaks."""

from __future__ import annotations

import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from besom.errors import BesomError, ConfigError, DataError
from besom.executors.base import Epoch, Failed, Finished, Ready, Started
from besom.executors.local.executor import LocalExecutor


def test_a_trial_is_ready_started_reported_and_finished_in_that_order(drive):
    swarm = drive("quadratic", base={"name": "base"})
    swarm.run({7: {"x": 0.3, "y": 0.7}})
    kinds = [type(event) for event in swarm.heard]
    assert kinds == [Ready, Started, Epoch, Epoch, Epoch, Finished]
    assert swarm.of(Ready)[0].facts["name"] == "base"
    finished = swarm.of(Finished)[0]
    assert finished.trial == 7
    assert finished.result.history == {"val_accuracy": [0.5, 0.75, 0.875]}
    assert finished.usage.memory_bytes > 1_000_000
    assert 0.0 < finished.usage.seconds < 5.0


def test_a_worker_that_is_told_to_stop_finishes_with_its_history_so_far(drive):
    swarm = drive("quadratic")
    swarm.stop_at = lambda epoch: epoch.epoch == 2
    ended = swarm.run_one({"epochs": 50})
    assert len(ended.result.history["val_accuracy"]) == 2
    assert ended.result.numbers == {"stopped": 1.0}


def test_a_trial_waits_at_its_report_until_it_is_answered(drive):
    swarm = drive("quadratic")
    swarm.warm_up()
    swarm.executor.submit(0, {})
    swarm.listen(lambda: len(swarm.of(Epoch)) == 1, answer=False)
    assert swarm.executor.events(timeout_s=0.1) == []
    swarm.executor.answer(0, stop=True)
    swarm.executor.answer(0, stop=True)  # one answer too many does no harm
    swarm.listen(lambda: bool(swarm.of(Finished)))
    assert len(swarm.of(Finished)[0].result.history["val_accuracy"]) == 1


def test_one_process_runs_trial_after_trial(drive):
    swarm = drive("process_number", workers=2)
    swarm.warm_up()
    swarm.run({number: {} for number in range(20)})
    processes = {event.result.numbers["pid"] for event in swarm.of(Finished)}
    assert processes <= set(swarm.pids())
    assert len(swarm.pids()) == 2


def test_trials_run_at_the_same_time_and_a_free_worker_is_not_kept_waiting(drive):
    swarm = drive("named", workers=4)
    swarm.warm_up()
    swarm.stop_at = lambda epoch: len(swarm.of(Finished)) == 12  # the first waits for the others
    quick = {"function": "sleeper", "seconds": 0.05}
    swarm.run({0: {"function": "slow_epochs", "epochs": 1000}} | dict.fromkeys(range(1, 13), quick))
    assert swarm.of(Finished)[-1].trial == 0  # in batches of four, the others would wait for it
    assert {event.worker for event in swarm.of(Finished)} == {0, 1, 2, 3}


def test_submitting_without_an_idle_worker_is_refused(drive):
    swarm = drive("sleeper")
    assert swarm.executor.idle == 0
    with pytest.raises(RuntimeError, match="no worker is idle"):
        swarm.executor.submit(0, {})


def test_no_more_workers_are_spawned_than_trials_are_left(no_orphans):
    executor = LocalExecutor(workers=6, gpus="none")
    assert executor.n_workers == 6
    executor.start("cheap_trials:noop", {}, None, n_trials=2)
    try:
        assert executor.n_workers == 2
        assert len(psutil.Process().children()) == 2
    finally:
        executor.close(grace_s=0.0)


def test_events_returns_after_its_time_and_at_once_when_something_waits(drive):
    swarm = drive("sleeper")
    swarm.warm_up()
    start = time.monotonic()
    assert swarm.executor.events(timeout_s=0.05) == []
    assert 0.04 < time.monotonic() - start < 2.0
    swarm.executor.submit(0, {"seconds": 5.0})
    assert swarm.executor.events(timeout_s=None) == [Started(trial=0, worker=0)]


def test_what_trials_print_goes_to_the_log_of_the_worker_and_not_to_the_screen(
    drive, tmp_path, capfd
):
    swarm = drive("chatterer")
    assert isinstance(swarm.run_one(), Finished)  # 20 MB block nobody
    log = tmp_path / "logs" / "worker-0.log"
    assert log.stat().st_size > 20_000_000
    with log.open() as lines:
        assert lines.readline().startswith("[besom] worker 0, process ")
        assert lines.readline() == "[besom] trial 0\n"
    assert capfd.readouterr() == ("", "")


def test_without_a_log_folder_what_trials_print_is_discarded(drive, capfd):
    assert isinstance(drive("chatterer", log=False).run_one(), Finished)
    assert capfd.readouterr() == ("", "")


def test_each_worker_computes_with_its_own_share_of_threads(drive):
    names = ["OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"]
    names += ["BESOM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BESOM_WORKER"]
    ended = drive("environment", threads_per_worker=3).run_one({"names": names})
    assert list(ended.result.environment.values()) == ["3"] * 6 + ["0"]


def test_workers_are_dealt_out_over_the_gpus(drive):
    swarm = drive("environment", workers=None, gpus=[0, 1], workers_per_gpu=2)
    assert swarm.executor.n_workers == 4
    swarm.warm_up()
    names = {"names": ["CUDA_VISIBLE_DEVICES", "TF_FORCE_GPU_ALLOW_GROWTH"]}
    for trial in range(4):
        swarm.executor.submit(trial, names)
    swarm.listen(lambda: len(swarm.of(Finished)) == 4)
    got = {event.worker: event.result.environment for event in swarm.of(Finished)}
    assert [got[worker]["CUDA_VISIBLE_DEVICES"] for worker in range(4)] == ["0", "1", "0", "1"]
    assert got[0]["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


def test_without_gpus_workers_see_none(drive):
    ended = drive("environment").run_one({"names": ["CUDA_VISIBLE_DEVICES"]})
    assert ended.result.environment == {"CUDA_VISIBLE_DEVICES": "-1"}


def test_a_module_in_the_current_folder_is_importable(drive, tmp_path, monkeypatch):
    (tmp_path / "my_own_trial.py").write_text(
        textwrap.dedent("""
            from besom.seam import TrialResult

            def run(config, report):
                import my_own_trial  # the path holds during the trial too
                return TrialResult(numbers={"x": config["x"]})
        """)
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert drive("my_own_trial:run").run_one({"x": 4}).result.numbers == {"x": 4.0}


def test_a_users_module_named_like_pythons_own_does_not_break_workers(drive, tmp_path, monkeypatch):
    (tmp_path / "subprocess.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert isinstance(drive("noop").run_one(), Finished)


def test_a_worker_is_replaced_after_its_number_of_trials(drive):
    swarm = drive("process_number", max_trials_per_worker=3)
    swarm.run({number: {} for number in range(7)})
    processes = [event.result.numbers["pid"] for event in swarm.of(Finished)]
    assert [processes.count(pid) for pid in swarm.pids()] == [3, 3, 1]


def test_a_worker_that_has_grown_past_its_memory_is_replaced(drive):
    swarm = drive("grower", max_worker_memory="200 MiB")
    swarm.run({number: {"megabytes": 50} for number in range(7)})
    processes = [event.result.numbers["pid"] for event in swarm.of(Finished)]
    assert len(set(processes)) == len(swarm.pids()) > 1
    assert max(event.usage.memory_bytes for event in swarm.of(Finished)) < 300 * 1024**2


def test_a_memory_limit_below_what_a_worker_starts_with_is_refused(drive):
    swarm = drive("noop", max_worker_memory="1 MiB")
    with pytest.raises(ConfigError, match=r"max_worker_memory is 1.0 MiB, but a worker takes"):
        swarm.run({0: {}})


def test_closing_asks_first_and_lets_a_trial_unwind(drive, tmp_path, monkeypatch):
    (tmp_path / "tidy_trial.py").write_text(
        textwrap.dedent("""
            import atexit, pathlib, time

            def run(config, report):
                atexit.register(pathlib.Path("exited").touch)
                try:
                    for epoch in range(1, 10_000):
                        try:
                            report(epoch, {"a": 1.0})
                        except Exception:
                            pass
                finally:
                    pathlib.Path("unwound").touch()
        """)
    )
    monkeypatch.chdir(tmp_path)
    swarm = drive("tidy_trial:run")
    swarm.warm_up()
    swarm.executor.submit(0, {})
    swarm.listen(lambda: bool(swarm.of(Epoch)), answer=False)
    start = time.monotonic()
    swarm.executor.close(grace_s=10.0)
    assert time.monotonic() - start < 5.0
    assert Path("unwound").exists()
    assert Path("exited").exists()
    swarm.executor.close()  # once more does no harm


def test_closing_kills_a_worker_that_does_not_listen_and_what_it_has_spawned(drive):
    swarm = drive("hanger_with_child")
    swarm.warm_up()
    swarm.executor.submit(0, {})
    swarm.listen(lambda: bool(swarm.of(Epoch)))
    assert len(psutil.Process().children(recursive=True)) == 2
    start = time.monotonic()
    swarm.executor.close(grace_s=0.3)
    assert 0.3 <= time.monotonic() - start < 5.0
    assert psutil.Process().children(recursive=True) == []


def test_an_executor_can_be_closed_at_any_moment(no_orphans):
    executor = LocalExecutor(workers=2, gpus="none")
    executor.close()  # never started
    executor.start("cheap_trials:noop", {}, None)
    executor.close(grace_s=0.0)  # its workers are still being born
    with pytest.raises(RuntimeError, match="not running"):
        executor.events(timeout_s=0.0)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_an_executor_uses_up_no_file_descriptors(drive):
    swarm = drive("exiter")
    swarm.warm_up()
    before = open_descriptors()
    swarm.run({number: {} for number in range(5)})
    assert len(swarm.of(Failed)) == 5
    swarm.listen(lambda: len(swarm.of(Ready)) == 6)
    assert open_descriptors() == before
    swarm.executor.close()
    assert open_descriptors() < before


@pytest.mark.parametrize(
    ("source", "expected", "message"),
    [
        (
            "from besom.errors import DataError\n"
            "def prepare(config): raise DataError(f'no file {config[\"path\"]}')\n"
            "def run(config, report): ...",
            DataError,
            "^no file /d.npz$",
        ),
        (
            "def prepare(config): raise KeyError('data')\ndef run(config, report): ...",
            BesomError,
            r"(?s)cannot prepare: KeyError: 'data'.*Traceback.*in prepare",
        ),
        ("def runs(config, report): ...", ConfigError, "no 'run'. Did you mean 'runs'"),
        ("run = 3", ConfigError, "is a int, expected a function"),
        ("import no_such_module_at_all", ConfigError, "needs 'no_such_module_at_all'"),
        ("1 / 0", BesomError, "cannot be imported: ZeroDivisionError: division by zero"),
        (
            "def prepare(config): return {'x': object()}\ndef run(config, report): ...",
            BesomError,
            r"what prepare returned\['x'\] is a object: only dicts",
        ),
    ],
)
def test_workers_that_cannot_prepare_say_why(
    drive, tmp_path, monkeypatch, source, expected, message
):
    (tmp_path / "bad_trial.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    swarm = drive("bad_trial:run", base={"path": "/d.npz"})
    with pytest.raises(expected, match=message):
        swarm.run({0: {}})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("just_a_name", "expected 'module:function'"),
        ("__main__:run", "put it in a module"),
    ],
)
def test_a_trial_function_that_workers_could_not_import_is_refused_at_once(name, message):
    with pytest.raises(ConfigError, match=message):
        LocalExecutor(workers=1).start(name, {}, None)


def test_a_log_folder_that_cannot_be_made_is_a_clear_error(tmp_path, no_orphans):
    (tmp_path / "file").touch()
    executor = LocalExecutor(workers=1, gpus="none")
    with pytest.raises(BesomError, match=r"worker's log .*worker-0.log cannot be written: "):
        executor.start("cheap_trials:noop", {}, str(tmp_path / "file" / "logs"))


@pytest.mark.parametrize(
    ("restless", "message"),
    [("data", "reads other data than Worker"), ("versions", "computes with fingerprint ")],
)
def test_a_worker_whose_values_could_not_be_compared_is_refused(drive, restless, message):
    swarm = drive("noop", workers=2, base={"restless": restless})
    with pytest.raises(BesomError, match=message):
        swarm.warm_up()


def test_one_worker_prepares_for_all_and_no_trial_starts_before_it_is_done(
    drive, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "apart.py").write_text(
        textwrap.dedent(
            """
            import time
            from besom.seam import TrialResult

            def prepare(config):
                time.sleep(0.5)
                return {"tried": True}

            def prepare_another(config):
                return {}

            def run(config, report):
                return TrialResult()
            """
        )
    )
    swarm = drive("apart:run", workers=3)
    swarm.run({number: {} for number in range(6)})
    assert isinstance(swarm.heard[0], Ready)
    swarm.listen(lambda: len(swarm.of(Ready)) == 3)  # on a busy machine the trials may be sooner
    ready = swarm.of(Ready)
    assert [event.facts for event in ready] == [{"tried": True}, {}, {}]
    assert ready[0].worker == 0


def test_what_one_worker_refuses_is_refused_before_any_trial(drive, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "refusing.py").write_text(
        "from besom.errors import ConfigError\n"
        "def prepare(config): raise ConfigError('no such metric')\n"
        "def prepare_another(config): return {}\n"
        "def run(config, report): ...\n"
    )
    swarm = drive("refusing:run", workers=2)
    with pytest.raises(ConfigError, match=r"^no such metric$"):
        swarm.run({0: {}, 1: {}})
    assert swarm.heard == []
