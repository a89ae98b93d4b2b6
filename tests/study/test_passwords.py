"""A storage's password: taken from where passwords belong, stored nowhere, shown nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator

import optuna
import pytest
from sweeping import RESULTS, assert_whole

from besom.store.storage_url import VARIABLE
from besom.store.stored_records import STUDY_ATTRIBUTE
from postgres import PASSWORD, Postgres
from user_project import Project

pytestmark = pytest.mark.usefixtures("project", "no_orphans")

ENCODED = "hunter2%2F%40%3Asecret"  # PASSWORD, as a URL has it


@pytest.fixture(autouse=True)
def no_password_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGPASSWORD", "PGPASSFILE", VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


def whole(url: str) -> str:
    """The URL with the password in it."""
    return url.replace("besom@", f"besom:{ENCODED}@")


def assert_secret(project: Project, output: str = "") -> None:
    """The password is in no file of the user's, and was not shown."""
    written = [p.read_bytes() for p in project.root.rglob("*") if p.is_file()]
    for text in (*written, output.encode()):
        assert b"hunter2" not in text


# Without a server: refused before anything is written


@pytest.mark.parametrize(
    "given",
    [
        "sweep.storage=postgresql://me:hunter2@host/db",
        "++sweep.storage=postgresql://me:hunter2@host/db",
        "sweep={storage:'postgresql://me:hunter2@host/db'}",
        "sweep.storage=postgresql://me@host/db?password=hunter2",
        "sweep.storage='postgresql://me@host/db?sslmode=require&password=hunter2'",
        "sweep.storage=postgresql://me:hunter2%21@ter2@host/db",
        "sweep.storage=mysql+pymysql://me:hunter2@host/db",
        "sweep.storage=host=db password=hunter2",
    ],
)
def test_a_password_on_the_command_line_is_refused(project: Project, given: str) -> None:
    done = project.besom("sweep", "cheap", given)
    assert done.exit_code == 2
    for way in ("~/.pgpass", "PGPASSWORD", "BESOM_STORAGE"):
        assert way in done.output
    assert "ter2" not in done.output
    assert not RESULTS.exists()


def test_a_password_in_a_file_is_refused(project: Project) -> None:
    text = (project.root / "sweeps/cheap.yaml").read_text()
    text = text.replace("sweep:\n", "sweep:\n  storage: postgresql://me:hunter2@host/db\n")
    project.write("sweeps/open.yaml", text)
    for words in (("open",), ("open", "--dry-run")):
        done = project.besom("sweep", *words)
        assert (done.exit_code, "BESOM_STORAGE" in done.output) == (2, True)
        assert "hunter2" not in done.output
    assert not RESULTS.exists()


@pytest.mark.parametrize(
    "url",
    [
        "nosuch://me:hunter2@host/db",
        "postgresql://me:hunter2@127.0.0.1:1/db",
        "postgresql://me:hunter2@ter2:hunter2@127.0.0.1:1/db",
        "postgresql://me:hunter2@127.0.0.1:one/db",
        "postgresql://me@127.0.0.1:1/db?password=hunter2&nosuch=1",
        "host=127.0.0.1 password=hunter2",
    ],
)
def test_a_message_about_besom_storage_shows_no_password(
    project: Project, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, url)
    done = project.besom("sweep", "cheap", "sweep.n_trials=1")
    assert done.exit_code == 2
    assert "ter2" not in done.output
    assert done.output.count("\n") == 1
    assert not RESULTS.exists()


def test_a_study_that_has_its_place_stays_there(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.besom("sweep", "cheap", "sweep.n_trials=1", "--quiet")
    monkeypatch.setenv(VARIABLE, "postgresql://me:hunter2@127.0.0.1:1/db")
    done = project.besom("sweep", "cheap", "sweep.n_trials=2", "--extend", "--quiet")
    assert done.exit_code == 0, done.output
    assert_whole(2)


# With one


@pytest.mark.long
def test_besom_storage_holds_the_whole_url(
    project: Project, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.new_database()
    monkeypatch.setenv(VARIABLE, whole(url))
    first = project.besom("sweep", "cheap", "sweep.n_trials=2")
    again = project.besom("sweep", "cheap", "sweep.n_trials=3", "--extend")
    shown = [project.besom(*words) for words in (("leaderboard", "cheap"), ("list",))]
    exported = project.besom("export", "cheap")
    output = "".join(done.output for done in (first, again, *shown, exported))
    assert [done.exit_code for done in (first, again, *shown, exported)] == [0] * 5, output
    assert_whole(3)
    assert (RESULTS / "cheap/storage.url").read_text() == url + "\n"
    assert_secret(project, output)
    study = optuna.load_study(study_name="cheap", storage=whole(url))
    assert "hunter2" not in json.dumps(study.user_attrs)
    study._storage._backend.engine.dispose()  # type: ignore[attr-defined]


@pytest.mark.long
def test_pgpass_is_enough_from_the_sweep_to_its_resume(
    project: Project, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.new_database()
    refused = project.besom("sweep", "cheap", f"sweep.storage={url}", "sweep.n_trials=2")
    assert refused.exit_code == 2
    assert "Besom looks for a password in ~/.pgpass, PGPASSWORD and BESOM_STORAGE" in refused.output
    escaped = PASSWORD.replace(":", r"\:")
    passfile = project.root.parent / f"{project.root.name}.pgpass"
    passfile.write_text(f"127.0.0.1:{server.port}:*:besom:{escaped}\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    first = project.besom("sweep", "cheap", f"sweep.storage={url}", "sweep.n_trials=2")
    warm = ("sweep.name=warm", "sweep.warm_start=cheap", f"sweep.storage={url}")
    warmed = project.besom("sweep", "cheap", "sweep.n_trials=1", *warm)
    compared = project.besom("compare", "cheap", "warm")
    output = "".join(done.output for done in (first, warmed, compared))
    assert [done.exit_code for done in (first, warmed, compared)] == [0, 0, 0], output
    assert_secret(project, output)


@pytest.mark.long
def test_a_password_written_into_the_file_is_used_and_taken_out(
    project: Project, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.new_database()
    monkeypatch.setenv(VARIABLE, whole(url))
    project.besom("sweep", "cheap", "sweep.n_trials=2", "--quiet")
    monkeypatch.delenv(VARIABLE)
    stored = RESULTS / "cheap/storage.url"
    stored.write_text(whole(url) + "\n")
    study = optuna.load_study(study_name="cheap", storage=whole(url))
    facts = study.user_attrs[STUDY_ATTRIBUTE]
    facts["config"]["sweep"]["storage"] = whole(url)
    study.set_user_attr(STUDY_ATTRIBUTE, facts)
    shown = project.besom("leaderboard", "cheap")
    assert shown.exit_code == 0, shown.output
    resumed = project.besom("sweep", "cheap", "sweep.n_trials=3", "--extend")
    assert resumed.exit_code == 0, resumed.output
    assert "the password was removed from" in resumed.output
    assert stored.read_text() == url + "\n"
    assert_secret(project, shown.output + resumed.output)
    assert "hunter2" not in json.dumps(study.user_attrs)
    study._storage._backend.engine.dispose()  # type: ignore[attr-defined]
    later = project.besom("leaderboard", "cheap")
    assert later.exit_code == 2
    assert "no password supplied" in later.output
