"""SQLite's file becomes smaller again."""

import sqlite3
import sys
from pathlib import Path

import pytest
from django.db import connection

from taskmonitor import sqlite_file
from taskmonitor.models import Event
from taskmonitor.services.portions import Portions
from tests.docs.snippets import blocks, run
from tests.factories import NOW, make_job

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL sees to that by itself")


def pragma(name: str) -> int:
    with connection.cursor() as cursor:
        return int(cursor.execute(f"PRAGMA {name}").fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_what_was_deleted_is_given_back_but_for_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job()
    Event.objects.bulk_create(
        Event(job=job, time=NOW, version=1, verb="moved", text="x" * 3000) for _ in range(3000)
    )
    before = pragma("page_count")
    Event.objects.all().delete()
    sqlite_file.shrink(Portions(60))
    assert pragma("freelist_count") >= sqlite_file.KEPT  # is left to what comes next
    before = pragma("page_count")
    monkeypatch.setattr(sqlite_file, "KEPT", 10)
    sqlite_file.shrink(Portions(0))
    assert pragma("page_count") >= before
    sqlite_file.shrink(Portions(60))
    assert pragma("page_count") < before - 1500
    assert pragma("freelist_count") <= max(pragma("page_count") // 10, 10)
    assert connection.cursor().execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.django_db
def test_a_new_file_can_shrink() -> None:
    assert pragma("auto_vacuum") == sqlite_file.INCREMENTAL


def test_what_the_page_for_operators_advises_lets_an_old_file_shrink(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "taskmonitor.sqlite3")
    old.executescript("PRAGMA journal_mode = WAL; CREATE TABLE jobs (id INTEGER)")
    assert old.execute("PRAGMA auto_vacuum").fetchone() == (0,)
    old.close()
    [advice] = [
        one.text for one in blocks("docs/operators.md") if one.language == "sh" and "auto_vacuum" in one.text
    ]
    run([advice.replace(".venv/bin/python", sys.executable)], tmp_path, TASKMONITOR_DATA=str(tmp_path))
    new = sqlite3.connect(tmp_path / "taskmonitor.sqlite3")
    assert new.execute("PRAGMA auto_vacuum").fetchone() == (sqlite_file.INCREMENTAL,)
    new.close()
