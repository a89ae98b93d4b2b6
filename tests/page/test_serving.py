"""``besom serve``: what it answers and to whom, that it follows a study, and what it spends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import time
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import reporting_world
from besom.cli import main
from besom.errors import ConfigError, StudyError
from besom.serve import PageServer, live_study, page_server
from besom.serve.live_study import LiveStudy
from besom.serve.pace import LEAST_S, Pace
from besom.serve.study_now import best_text, study_now
from besom.store.following import Followed, StudyFollower
from besom.store.holder import Holder
from live_study_world import GrowingStudy, ask, serving
from records_factory import N_PARAMS, VAL_ACCURACY, make_study
from user_project import Project, wait_for


def data_of(html: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html)
    assert found is not None
    return json.loads(found[1])


def n_ranked(html: str) -> int:
    return len(data_of(html)["table"]["trials"])


@pytest.fixture(autouse=True)
def looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies are read on whenever a page asks."""
    monkeypatch.setattr(live_study, "LOOK_S", 0.0)
    monkeypatch.setattr(live_study, "LOOKING", 0.0)
    monkeypatch.setattr(live_study, "OPENING", 0.0)


@pytest.fixture
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are made again as soon as they are out of date."""
    monkeypatch.setattr(Pace, "is_due", lambda self, times: True)


# Who is answered


def test_only_who_knows_the_token_is_answered(tmp_path: Path) -> None:
    reporting_world.make(tmp_path)
    with serving(tmp_path, "one") as server:
        assert ask(server).status == 200
        for path in ("/", "/study/one/", f"/{server.token[:-1]}/", f"/{server.token}", "//"):
            reply = ask(server, path)
            assert reply.status == 404, path
            assert "one" not in reply.text
    with serving(tmp_path, "one") as again:
        assert again.token != server.token


def test_nothing_but_get_is_answered(tmp_path: Path) -> None:
    reporting_world.make(tmp_path)
    with serving(tmp_path, "one") as server:
        for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "NONSENSE"):
            reply = ask(server, method=method)
            assert (reply.status, reply.headers["Allow"]) == (405, "GET"), method
        assert ask(server).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "10.0.0.1", "[::1", ""]
)
def test_a_foreign_host_is_refused(tmp_path: Path, host: str) -> None:
    """A page elsewhere cannot read it by pointing its own name at this machine."""
    reporting_world.make(tmp_path)
    with serving(tmp_path, "one") as server:
        reply = ask(server, Host=host)
        assert reply.status == 403
        assert server.token not in reply.text


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "LOCALHOST", "[::1]:9"])
def test_the_other_end_of_a_tunnel_is_answered(tmp_path: Path, host: str) -> None:
    reporting_world.make(tmp_path)
    with serving(tmp_path, "one") as server:
        assert ask(server, Host=host).status == 200


def test_beyond_this_machine_numbers_and_its_own_names_are_answered(tmp_path: Path) -> None:
    reporting_world.make(tmp_path)
    with serving(tmp_path, "one", host="0.0.0.0") as server:
        assert not server.is_local
        assert socket.gethostname() in server.url
        for host in ("10.1.2.3:80", socket.gethostname(), "localhost"):
            assert ask(server, Host=host).status == 200, host
        assert ask(server, Host="evil.example").status == 403


def test_a_page_may_ask_its_own_server_and_nobody_else(tmp_path: Path) -> None:
    reporting_world.make(tmp_path)
    with serving(tmp_path, "one") as server:
        headers = ask(server).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "connect-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "request_line", [b"GET", b"\x00\xff", b"GET / HTTP/9.9", b"GET http://[/ HTTP/1.1", b"GET  /"]
)
def test_a_broken_request_ends_no_server(tmp_path: Path, request_line: bytes) -> None:
    reporting_world.make(tmp_path)
    with serving(tmp_path, "one") as server:
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as raw:
            raw.sendall(request_line + b"\r\nHost: localhost\r\n\r\n")
            raw.recv(4096)
        assert ask(server).status == 200


@pytest.mark.parametrize("since", ["x", "-1", "9" * 5000, "", "1&since=2", "%00", "²"])
def test_a_nonsensical_version_gets_the_whole_news(tmp_path: Path, since: str) -> None:
    reporting_world.make(tmp_path)
    with serving(tmp_path, "one") as server:
        assert ask(server).status == 200
        reply = ask(server, f"?since={since}" if since != "²" else "?since=%C2%B2")
        assert reply.status == 200


def test_connections_that_never_end_keep_no_reader_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_server, "MOST_CONNECTIONS", 8)
    reporting_world.make(tmp_path)
    with serving(tmp_path, "one") as server, contextlib.ExitStack() as stack:

        def connection(asks: str) -> socket.socket:
            address = ("127.0.0.1", server.server_port)
            opened = stack.enter_context(socket.create_connection(address, timeout=60))
            opened.sendall(asks.encode())
            return opened

        reader = HTTPConnection("127.0.0.1", server.server_port, timeout=60)
        for _ in range(2):
            reader.request("GET", f"/{server.token}/")
            assert reader.getresponse().read()
            strangers = [connection("GET / HTTP/1.1\r\nX-Slow: ") for _ in range(20)]
            assert strangers[0].recv(1) == b""  # it was ended
            assert len(server._open) <= 8
        reader.close()
        assert ask(server).status == 200


# What a page shows


def test_the_page_is_the_report_and_writes_nothing(tmp_path: Path) -> None:
    reporting_world.make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with serving(tmp_path, "one") as server:
        html = ask(server).text
        ask(server, "?since=0")
    assert sorted(tmp_path.rglob("*")) == before
    for words in ("What you may claim", "Leaderboard", "Run it again", 'data-version="1"'):
        assert words in html
    assert "All studies" not in html


@pytest.mark.usefixtures("no_pace")
def test_pages_hear_what_is_new(tmp_path: Path) -> None:
    study = GrowingStudy(tmp_path)
    with serving(tmp_path, "grows") as server, study.swept():
        n_before = n_ranked(ask(server).text)
        news = ask(server, "?since=1").json
        assert (news["version"], news["page"]) == (1, None)
        assert "Being swept by process" in news["now"]["state"]
        assert (news["now"]["done"], news["now"]["total"]) == (12, 30)
        study.add(10)
        news = ask(server, "?since=1").json
        assert news["version"] == 2
        assert n_ranked(news["page"]) > n_before
        assert "<style></style>" in news["page"]
        assert "vega" not in news["page"]
        assert news["now"]["done"] == 22
        assert news["now"]["rows"][0][0] == "21"
        assert ask(server, "?since=2").json["page"] is None


def test_between_two_pages_the_trials_are_told_at_once(tmp_path: Path) -> None:
    study = GrowingStudy(tmp_path)
    with serving(tmp_path, "grows") as server, study.swept():
        ask(server)
        study.add(3)
        news = ask(server, "?since=1").json
        assert (news["version"], news["page"]) == (1, None)
        assert news["now"]["words"].startswith("15 of 30 trials")
        assert [row[0] for row in news["now"]["rows"]][:3] == ["14", "13", "12"]
        assert "The report below has 12 trials and is" in news["now"]["page"]


def test_running_trials_are_shown_with_their_epochs_and_the_time_to_go(tmp_path: Path) -> None:
    study = GrowingStudy(tmp_path)
    with study.swept():
        time.sleep(0.05)
        study.rest[0] = replace(study.rest[0], started=time.time() - 60, finished=time.time())
        study.add()
        running = study.optuna.ask()
        running.report(0.5, 3)
        look = LiveStudy(tmp_path, "grows").look()
        assert look.now is not None
        assert look.now.rows[0][:3] == ["13", "epoch 3", "0.5000"]
        assert re.fullmatch(r"1 running, ETA \d+(\.\d)? s", look.now.going)
    look = LiveStudy(tmp_path, "grows").look()
    assert look.now is not None
    assert (look.now.state, look.now.going) == ("Not running.", "")


def test_the_index_shows_every_study_and_those_that_come_later(
    tmp_path: Path, no_pace: None
) -> None:
    reporting_world.make(tmp_path)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "study.journal").write_text("{}\n{}\n")
    with serving(tmp_path) as server:
        html = ask(server).text
        assert 'href="study/one/"' in html
        assert "is damaged" in html
        assert "Restore the file" not in html  # that is on its own page
        one = ask(server, "study/one/")
        assert 'href="../../"' in one.text
        assert "What you may claim" in one.text
        assert "is damaged" in ask(server, "study/bad/").text
        assert ask(server, "study/three/").status == 404
        reporting_world.store(tmp_path, make_study(8, name="a <b>"))
        news = ask(server, "?since=1").json
        assert 'href="study/a%20%3Cb%3E/"' in news["page"]
        assert "<b>" not in news["page"].partition("<main>")[2]
        assert ask(server, "study/a%20%3Cb%3E/").status == 200
        shutil.rmtree(tmp_path / "one")
        assert 'href="study/one/"' not in ask(server).text
        assert ask(server, "study/one/").status == 404
        assert ask(server, "study/..%2f..%2fetc/").status == 404


def test_a_study_that_holds_anything_at_all_does_not_take_the_others_along(
    tmp_path: Path, no_pace: None
) -> None:
    reporting_world.make(tmp_path)
    study = GrowingStudy(tmp_path, name="strange")
    *before, last = map(json.loads, study.paths.journal.read_text().splitlines())
    for line in (lines := [*before, last | {"user_attrs": [1]}]):  # as Optuna writes it, unchecked
        del line["seq"], line["crc"]
    study.paths.journal.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with serving(tmp_path) as server:
        html = ask(server).text
        assert 'href="study/one/"' in html
        assert "This study cannot be read now" in html
        assert "cannot be read now" in ask(server, "study/strange/").text


def test_the_index_begins_with_the_studies_that_run(tmp_path: Path, no_pace: None) -> None:
    reporting_world.make(tmp_path)
    study = GrowingStudy(tmp_path, name="z")
    with study.swept(), serving(tmp_path) as server:
        assert re.findall(r'href="study/(\w+)/"', ask(server).text) == ["z", "one", "two"]


def test_a_study_of_one_name_alone_serves_no_other(tmp_path: Path) -> None:
    reporting_world.make(tmp_path)
    with serving(tmp_path, "one") as server:
        assert ask(server, "study/two/").status == 404
        assert ask(server, "study/one/").status == 404


@pytest.mark.usefixtures("no_pace")
def test_a_study_that_cannot_be_read_is_a_message_until_it_can(tmp_path: Path) -> None:
    reporting_world.make(tmp_path)
    journal = tmp_path / "one" / "study.journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole.replace(b'"seq":5', b'"seq":6', 1))
    with serving(tmp_path, "one") as server:
        assert "is damaged: line" in ask(server).text
        news = ask(server, "?since=1").json
        assert "is damaged" in news["now"]["state"]
        journal.write_bytes(whole)
        assert "What you may claim" in ask(server, "?since=1").json["page"]


def test_a_study_that_starts_over_has_no_chart_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_study, "ASKED", 0.0)
    GrowingStudy(tmp_path, n_first=30)
    live = LiveStudy(tmp_path, "grows")
    live.page()
    monkeypatch.setattr(live._pace, "is_due", lambda times: True)
    shutil.rmtree(tmp_path / "grows")
    reporting_world.store(tmp_path, make_study(9, name="grows", seed=5), created=1.8e9)
    shown = {
        trial
        for chart in data_of(live.page())["charts"]
        for trial in chart["columns"].get("trial", [])
    }
    assert max(shown) < 9


def test_a_pipe_in_the_place_of_a_file_is_a_message(tmp_path: Path) -> None:
    reporting_world.make(tmp_path)
    for name in ("study.journal", "storage.url"):
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        os.mkfifo(folder / name)
        assert "is a named pipe" in LiveStudy(tmp_path, folder.name).look().problem


# Reading on


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    study = GrowingStudy(tmp_path)
    follower = StudyFollower(tmp_path, "grows")
    first = follower.read()
    assert follower.read() is first
    study.add(2)
    second = follower.read()
    assert len(second.study.trials) == 14
    assert all(a is b for a, b in zip(first.study.trials, second.study.trials, strict=False))


def test_after_the_search_the_runs_on_fresh_seeds_are_counted() -> None:
    study = make_study(9)
    followed = Followed(replace(study, replicates=study.trials[:2]), {})
    assert study_now(followed, Holder.this_process("sweep")).going == "2 runs on fresh seeds done"
    assert study_now(followed, None).going == ""


def test_of_several_objectives_the_best_of_each_is_told() -> None:
    study = make_study(9, objectives=(VAL_ACCURACY, N_PARAMS), pruned=0.0)
    accuracy = max(t.values[0] for t in study.complete)
    size = min(t.values[1] for t in study.complete)
    both = f"best val_accuracy {VAL_ACCURACY.text(accuracy)}, best n_params {N_PARAMS.text(size)}"
    assert best_text(study) == both


@pytest.mark.parametrize("cut", [1, 20])
def test_a_cut_last_line_waits_until_it_is_whole(tmp_path: Path, cut: int) -> None:
    study = GrowingStudy(tmp_path)
    follower = StudyFollower(tmp_path, "grows")
    follower.read()
    study.add()
    whole = study.paths.journal.read_bytes()
    with study.paths.journal.open("r+b") as file:
        file.truncate(len(whole) - cut)
        assert len(follower.read().study.trials) == 12
        file.seek(0, 2)
        file.write(whole[-cut:])
    assert len(follower.read().study.trials) == 13


def test_a_study_that_starts_over_is_read_from_its_beginning(tmp_path: Path) -> None:
    GrowingStudy(tmp_path)
    follower = StudyFollower(tmp_path, "grows")
    assert len(follower.read().study.trials) == 12
    (tmp_path / "grows").rename(tmp_path / "archived")
    with pytest.raises(StudyError, match="no study 'grows'"):
        follower.read()
    GrowingStudy(tmp_path, n_first=7)
    assert len(follower.read().study.trials) == 7
    shutil.rmtree(tmp_path / "grows")  # and its number on the disk is free again
    GrowingStudy(tmp_path, n_first=20)
    assert len(follower.read().study.trials) == 20


def test_a_study_in_a_database_is_followed_too(project: Project) -> None:
    project.done("sweep", "cheap", "sweep.storage=sqlite:///s.db", "sweep.n_trials=3")
    results = project.root / "results"
    follower = StudyFollower(results, "cheap")
    assert len(follower.read().study.trials) == 3
    project.done("sweep", "cheap", "--extend", "sweep.storage=sqlite:///s.db", "sweep.n_trials=5")
    assert len(follower.read().study.trials) == 5
    look = LiveStudy(results, "cheap").look()
    assert look.now is not None
    assert look.now.state == "Finished."


# What it spends


def test_what_is_made_waits_for_as_long_as_its_cost_asks() -> None:
    clock, cpu = [0.0], [0.0]
    pace = Pace(LEAST_S, lambda: clock[0], lambda: cpu[0])
    assert pace.is_due(20)
    with pace.making():
        cpu[0] += 1.0
    clock[0] = 19.9
    assert not pace.is_due(20)
    clock[0] = 20.0
    assert pace.is_due(20)
    assert not pace.is_due(250)
    with pace.making():
        cpu[0] += 0.001
    clock[0] += LEAST_S - 0.1
    assert not pace.is_due(20)
    clock[0] += 0.1
    assert pace.is_due(20)


def test_many_pages_read_a_study_on_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_study, "LOOK_S", 60.0)
    study = GrowingStudy(tmp_path)
    live = LiveStudy(tmp_path, "grows")
    first = live.look()
    study.add()
    assert live.look() is first


def test_a_long_first_reading_does_not_hold_up_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_study, "LOOKING", 500.0)
    monkeypatch.setattr(live_study, "OPENING", 10.0)
    waits: list[float] = []
    monkeypatch.setattr(Pace, "is_due", lambda self, times: not waits.append(times))
    study = GrowingStudy(tmp_path)
    live = LiveStudy(tmp_path, "grows")
    live.look()
    study.add()
    assert [live.look() and waits[-1], live.look() and waits[-1]] == [10.0, 500.0]


def test_slow_charts_have_a_pace_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = GrowingStudy(tmp_path)
    live = LiveStudy(tmp_path, "grows")
    slow = live._charts.pace
    monkeypatch.setattr(Pace, "is_due", lambda self, times: True)
    monkeypatch.setattr(slow, "is_due", lambda times: True)
    html = live.page()
    charts = {chart["id"]: chart for chart in data_of(html)["charts"]}
    monkeypatch.setattr(slow, "is_due", lambda times: False)
    study.add(9)
    with study.swept():
        news = live.news(1)
    later = {chart["id"]: chart for chart in data_of(news["page"])["charts"]}
    assert later["history-0"] != charts["history-0"]
    assert later["slices-0-0"] == charts["slices-0-0"]
    assert "less often" in news["now"]["page"]
    monkeypatch.setattr(slow, "is_due", lambda times: True)
    caught_up = live.news(2)
    assert caught_up["version"] == 3
    charts = {chart["id"]: chart for chart in data_of(caught_up["page"])["charts"]}
    assert charts["slices-0-0"] != later["slices-0-0"]
    assert "less often" not in caught_up["now"]["page"]


def test_no_page_is_made_while_nobody_looks_or_nothing_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    context = live_study.live_study_context

    def counted(*given: Any) -> Any:
        made.append(given)
        return context(*given)

    monkeypatch.setattr(live_study, "live_study_context", counted)
    monkeypatch.setattr(Pace, "is_due", lambda self, times: True)
    study = GrowingStudy(tmp_path)
    with serving(tmp_path, "grows") as server:
        study.add(2)
        assert not made
        ask(server)
        study.optuna.ask()
        for _ in range(3):
            ask(server, "?since=1")
        assert len(made) == 1


# The command


def test_the_command_prints_the_address_and_ctrl_c_ends_it(project: Project) -> None:
    reporting_world.store(project.root / "results", make_study(6, name="one"))
    with project.spawn("serve", "one") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{22}/", url)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err


def test_a_name_or_a_port_that_cannot_be_served_is_one_message(tmp_path: Path) -> None:
    reporting_world.make(tmp_path)

    def refused(*words: str) -> str:
        done = CliRunner().invoke(main, ["serve", *words])
        assert done.exit_code == 2, done.output
        assert "Traceback" not in done.output
        return done.output

    assert "Did you mean 'one'" in refused("onne", "--results-dir", str(tmp_path))
    assert "is not there" in refused("--results-dir", str(tmp_path / "no"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refused("one", "--port", port, "--results-dir", str(tmp_path))
        assert f"Cannot listen at 127.0.0.1, port {port}" in said
    assert "--host" in refused(
        "one", "--host", "no.such.host.invalid", "--results-dir", str(tmp_path)
    )


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Cannot listen at 192\.0\.2\.1"):
        PageServer(tmp_path, None, "192.0.2.1", 0)


def test_addresses_of_the_newer_kind_are_served_too(tmp_path: Path) -> None:
    reporting_world.make(tmp_path)
    try:
        server = PageServer(tmp_path, "one", "::1", 0)
    except ConfigError:
        pytest.skip("this machine has no IPv6")
    with server:
        assert server.is_local
        assert server.url == f"http://[::1]:{server.server_port}/{server.token}/"


@pytest.mark.slow
def test_a_real_sweep_is_followed_to_its_end(project: Project, no_orphans: str) -> None:
    words = ("sweep.n_trials=8", "trainer.seconds=0.2", "sweep.executor.workers=2")
    sweep = project.spawn("sweep", "cheap", "--quiet", *words)
    journal = project.root / "results" / "cheap" / "study.journal"
    wait_for(journal.exists, "the study to begin", 60)
    seen = set()
    with serving(project.root / "results", "cheap") as server:

        def now() -> Any:
            said = ask(server, "?since=0").json["now"]
            seen.add((said["state"][:5], said["done"]))
            return said

        wait_for(lambda: now()["done"] == 8 and now()["state"] == "Finished.", "its end", 90)
    sweep.communicate(timeout=60)
    assert sweep.returncode == 0
    assert any(state == "Being" for state, _ in seen)
