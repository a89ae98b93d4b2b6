"""Passwords in storage URLs: found in every spelling, and shown in none."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from besom.store.storage_url import has_password, hide_passwords, with_password, without_password

SPELLINGS = {
    "postgresql://me:hunter2@host/db": "postgresql://me@host/db",
    "postgresql+psycopg2://me:hunter2@host:5432/db": "postgresql+psycopg2://me@host:5432/db",
    "postgresql://me:hun%40ter2@host/db": "postgresql://me@host/db",
    "postgresql://me:hunter2@ter2@host/db": "postgresql://me@host/db",
    "postgresql://me:hunter2/ter2@host/db": "postgresql://me@host/db",
    "postgresql://:hunter2@/db": "postgresql://@/db",
    "postgresql://me@host/db?password=hunter2": "postgresql://me@host/db",
    "postgresql://me@host/db?a=b&password=hunter2&c=d": "postgresql://me@host/db?a=b&c=d",
    "postgresql://me@host/db?p%61ssword=hunter2": "postgresql://me@host/db",
    "postgresql://host/db?user=me&sslpassword=hunter2": "postgresql://host/db?user=me",
    "mysql+pymysql://me@host/db?passwd=hunter2": "mysql+pymysql://me@host/db",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BUID%3Dme%3BPWD%3Dhunter2": "mssql+pyodbc:///",
    "mysql://me:hunter2@host/db?x=y@z": "mysql://me@host/db?x=y@z",
    "sqlite+pysqlcipher://:hunter2@/study.db": "sqlite+pysqlcipher://@/study.db",
    "jdbc:postgresql://host/db?user=me&password=hunter2": "jdbc:postgresql://host/db?user=me",
    "host=h dbname=d password=hunter2": "host=h dbname=d password=***",
}


@pytest.mark.parametrize(("url", "bare"), SPELLINGS.items())
def test_a_password_is_found_in_every_spelling_and_taken_out(url: str, bare: str) -> None:
    assert has_password(url)
    assert without_password(url) == bare
    assert not has_password(bare) or "***" in bare


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///study.db",
        "sqlite:////home/me@work/a:b@c.db",
        "postgresql://me@host/db",
        "postgresql://me@host:5432/db?sslmode=require&passfile=/home/me/.pgpass",
        "postgresql://host:5432/db",
        "postgresql://[::1]:5432/db",
        "postgresql:///db?host=/run/postgresql&application_name=a:b",
    ],
)
def test_a_url_without_one_is_left_as_it_is(url: str) -> None:
    assert not has_password(url)
    assert without_password(url) == url


def test_what_is_left_is_the_same_place_to_sqlalchemy() -> None:
    for url, bare in SPELLINGS.items():
        if url.startswith("postgresql") and "ter2@ter2" not in url and "word=" not in url:
            assert make_url(bare) == make_url(url)._replace(password=None)


@pytest.mark.parametrize("url", SPELLINGS)
def test_a_message_shows_no_password(url: str) -> None:
    for text in (f"cannot open {url!r}: no host", f"{url}\nis wrong"):
        assert "ter2" not in hide_passwords(text, url)
    assert "ter2" not in hide_passwords(f"override '{url}' is no syntax")


def test_a_drivers_message_shows_no_password_by_itself() -> None:
    url = "postgresql://me:hun%40ter2@host/db"
    said = 'could not use "hun@ter2" or "hun%40ter2"'
    assert hide_passwords(said, url) == 'could not use "***" or "***"'


def test_a_password_is_taken_from_the_url_that_is_this_one() -> None:
    bare, whole = "postgresql://me@host/db", "postgresql://me:hunter2@host/db"
    assert with_password(bare, None, whole) == whole
    assert with_password(bare, "postgresql://me:hunter2@host/other") == bare
    assert with_password(bare, bare) == bare
