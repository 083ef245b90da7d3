"""What is the database's trouble, and what a mistake: real errors of real databases."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import Error, IntegrityError, OperationalError, connection
from django.db.backends.sqlite3.base import DatabaseWrapper

from taskmonitor.database_trouble import is_database_trouble
from tests.factories import make_user

pytestmark = pytest.mark.django_db
Statements = tuple[str, ...]


def sqlite(name: str, *statements: str) -> Error | None:
    """What Django raises for the last of these statements on a database of that name."""
    settings = connection.settings_dict | {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": name,
        "OPTIONS": {"timeout": 0.05, "uri": True},
    }
    wrapper = DatabaseWrapper(settings, "other")
    try:
        with wrapper.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    except Error as error:
        return error
    finally:
        wrapper.close()
    return None


def made(path: Path) -> str:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE things (name TEXT UNIQUE)")
    return str(path)


def locked(path: Path) -> Error | None:
    other = sqlite3.connect(made(path), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        return sqlite(str(path), "INSERT INTO things VALUES ('a')")
    finally:
        other.close()


def no_database(path: Path) -> Error | None:
    path.write_bytes(b"something else " * 1000)
    return sqlite(str(path), "SELECT * FROM things")


FULL = ("PRAGMA max_page_count = 2", "INSERT INTO things VALUES (zeroblob(100000))")


@pytest.mark.parametrize(
    "fail",
    [
        pytest.param(locked, id="locked by another process"),
        pytest.param(lambda path: sqlite(made(path), *FULL), id="full"),
        pytest.param(
            lambda path: sqlite(f"file:{made(path)}?mode=ro", "INSERT INTO things VALUES (1)"), id="read-only"
        ),
        pytest.param(lambda path: sqlite(f"{path}/nowhere/file", "SELECT 1"), id="cannot be opened"),
        pytest.param(no_database, id="no database"),
    ],
)
def test_sqlites_own_trouble(tmp_path: Path, fail: Callable[[Path], Error | None]) -> None:
    assert is_database_trouble(fail(tmp_path / "database"))


@pytest.mark.parametrize(
    "statements",
    [("SELECT * FROM nothing",), ("INSERT INTO things VALUES (1)", "INSERT INTO things VALUES (1)")],
)
def test_a_mistake_of_ours_on_sqlite(tmp_path: Path, statements: Statements) -> None:
    problem = sqlite(made(tmp_path / "database"), *statements)
    assert problem
    assert not is_database_trouble(problem)


def postgresql(*statements: str) -> Error | None:
    if connection.vendor != "postgresql":
        pytest.skip("on PostgreSQL only")
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    except Error as error:
        return error
    return None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statements",
    [
        ("SET statement_timeout = 50", "SELECT pg_sleep(5)"),
        ("SET default_transaction_read_only = on", "DELETE FROM django_session"),
        ("SELECT pg_terminate_backend(pg_backend_pid())",),
        ("DO $$ BEGIN RAISE serialization_failure; END $$",),
        ("DO $$ BEGIN RAISE disk_full; END $$",),
        ("DO $$ BEGIN RAISE lock_not_available; END $$",),
        ("DO $$ BEGIN RAISE io_error; END $$",),
    ],
)
def test_postgresqls_own_trouble(statements: Statements) -> None:
    try:
        assert is_database_trouble(postgresql(*statements))
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", ["SELECT * FROM nothing", "SELECT 'x'::int", "SELECT 1/0"])
def test_a_mistake_of_ours_on_postgresql(statement: str) -> None:
    problem = postgresql(statement)
    assert problem
    assert not is_database_trouble(problem)


def test_a_server_that_is_not_there() -> None:
    from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQL

    address: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": "1",
        "NAME": "x",
    }
    wrapper = PostgreSQL(connection.settings_dict | address | {"OPTIONS": {"connect_timeout": 2}}, "other")
    with pytest.raises(OperationalError) as raised:
        wrapper.ensure_connection()
    assert is_database_trouble(raised.value)


def test_a_value_that_is_there_already() -> None:
    make_user("anna")
    with pytest.raises(IntegrityError) as raised:
        make_user("anna")
    assert not is_database_trouble(raised.value)


def test_what_comes_from_elsewhere() -> None:
    assert not is_database_trouble(None)
    assert not is_database_trouble(OSError("No space left on device"))
