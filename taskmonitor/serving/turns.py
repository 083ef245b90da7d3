"""Who may do what to the database at the same time: processes of sites, those that start, and restores.

PostgreSQL has locks and a list of its sessions for that; with SQLite they are files in the data folder, whose
locks the system takes back from processes that die.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

PREPARING = 0x7A5D  # PostgreSQL's lock of whoever prepares the database
LINGER = 2.0  # seconds that the sessions of a site that was stopped may take to end
PAUSE = 0.1  # seconds between looks whether they have


class Running(Exception):
    """It must not be done while a site uses the database; says who does."""


@contextmanager
def alone() -> Iterator[None]:
    """Within it nobody else prepares or restores this database. Who comes second waits."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")  # a migration may take long, and so its turn
            cursor.execute("SELECT pg_advisory_lock(%s)", [PREPARING])
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [PREPARING])
    else:
        with _lock_file("prepare.lock") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            yield


def note_running() -> None:
    """Let `refuse_while_running` find this process, and those that it forks, until they end."""
    if connection.vendor == "sqlite":
        fcntl.flock(_open("running.lock"), fcntl.LOCK_SH)


def refuse_while_running() -> None:
    """Raise Running if a site uses the database. Within `alone` none can start after that."""
    if connection.vendor == "postgresql":
        deadline = time.monotonic() + LINGER
        while others := _other_sessions():
            if time.monotonic() > deadline:
                raise Running(
                    f"the database has {others} other sessions: stop the site first, on each of its hosts"
                )
            time.sleep(PAUSE)
    else:
        with _lock_file("running.lock") as door:
            try:
                fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Running(
                    f"the site with the data folder {settings.DATA} is running: stop it first"
                ) from None


def _other_sessions() -> int:
    """How many clients the database has beside this one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        [others] = cursor.fetchone()
    return int(others)


@contextmanager
def _lock_file(name: str) -> Iterator[int]:
    door = _open(name)
    try:
        yield door
    finally:
        os.close(door)


def _open(name: str) -> int:
    return os.open(settings.DATA / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
