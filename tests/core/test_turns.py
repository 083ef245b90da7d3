"""Processes that write to one SQLite file take turns."""

import sqlite3
import subprocess
import sys
from time import monotonic

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError, connection

from taskmonitor.services import transaction
from tests.factories import make_user

HOLD = """
import fcntl, sys
door = open(sys.argv[1], "a")
fcntl.lockf(door, fcntl.LOCK_EX)
print("mine", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def other() -> subprocess.Popen[bytes]:
    """Another process, whose turn it is until it is told otherwise."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has many writers")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, settings.DATA / "writer.lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.readline()
    return process


@pytest.mark.django_db(transaction=True)
def test_a_turn_ends_with_its_process(other: subprocess.Popen[bytes]) -> None:
    other.kill()
    other.communicate()
    begun = monotonic()
    with transaction.writing():
        assert monotonic() - begun < transaction.TURN


@pytest.mark.django_db(transaction=True)
def test_a_note_on_a_read_waits_for_nobody(other: subprocess.Popen[bytes]) -> None:
    holder = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    begun = monotonic()
    transaction.note(lambda: make_user("noted"))
    assert monotonic() - begun < 1
    holder.execute("ROLLBACK")
    holder.close()
    assert not User.objects.exists()
    transaction.note(lambda: make_user("noted"))
    assert User.objects.exists()
    other.communicate(b"\n")


@pytest.mark.django_db(transaction=True)
def test_a_request_that_has_waited_for_long_waits_no_longer(
    other: subprocess.Popen[bytes],
) -> None:
    holder = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    transaction.request_came.set(monotonic() - 60)
    begun = monotonic()
    try:
        with pytest.raises(OperationalError), transaction.writing():
            pass
        assert monotonic() - begun < 2
    finally:
        transaction.request_came.set(None)
        holder.close()
        other.communicate(b"\n")
    with transaction.writing(), connection.cursor() as cursor:
        assert cursor.execute("PRAGMA busy_timeout").fetchone() == (transaction.PATIENCE * 1000,)


@pytest.mark.django_db(transaction=True)
def test_who_never_ends_its_turn_is_passed_by(
    other: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "TURN", 0.2)
    begun = monotonic()
    with transaction.writing():
        assert monotonic() - begun >= 0.2
    other.communicate(b"\n")
