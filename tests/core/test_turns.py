"""Processes that write to one SQLite file take turns."""

import subprocess
import sys
from time import monotonic

import pytest
from django.conf import settings
from django.db import connection

from taskmonitor.services import transaction

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
        assert monotonic() - begun < transaction.PATIENCE


@pytest.mark.django_db(transaction=True)
def test_who_never_ends_its_turn_is_passed_by(
    other: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "PATIENCE", 0.2)
    begun = monotonic()
    with transaction.writing():
        assert monotonic() - begun >= 0.2
    other.communicate(b"\n")
