"""Wakes the workers of this site sooner. Only a hint: who misses it looks at the table soon anyway.

On SQLite all processes share a data folder, and a byte in each listener's pipe there is the hint; on
PostgreSQL it is a NOTIFY, which also reaches other hosts.
"""

import errno
import os
import select
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Protocol

from django.conf import settings
from django.db import Error, connection, transaction

CHANNEL = "taskmonitor_commands"


def send() -> None:
    """Once the present transaction is committed, wake all listeners."""
    transaction.on_commit(_notify if connection.vendor == "postgresql" else _ring)


class Listener(Protocol):
    def wait(self, seconds: float) -> None:
        """Return at a hint, at once if one came since the last wait, or after so long."""


def listener() -> Listener:
    """One for this process, for as long as it lives."""
    return Notifications() if connection.vendor == "postgresql" else Bell()


class Bell:
    """A pipe of this process's own, in the data folder."""

    def __init__(self) -> None:
        folder = _folder()
        folder.mkdir(exist_ok=True)
        path = folder.with_name(f"bell-{os.getpid()}")
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # held for writing too, so that it never ends
        path.rename(folder / str(os.getpid()))  # only now, or it might be taken for a dead one's and removed

    def wait(self, seconds: float) -> None:
        if select.select([self._pipe], [], [], seconds)[0]:
            os.read(self._pipe, 4096)


class Notifications:
    """LISTEN on this process's connection, anew whenever that is a new one."""

    def __init__(self) -> None:
        self._listening: Any = None

    def wait(self, seconds: float) -> None:
        deadline = monotonic() + seconds
        try:
            connection.ensure_connection()
            raw: Any = connection.connection
            if self._listening is not raw:
                with connection.cursor() as cursor:
                    cursor.execute(f"LISTEN {CHANNEL}")
                self._listening = raw
                return  # a hint may have come before
            with connection.wrap_database_errors:
                for _ in raw.notifies(timeout=seconds, stop_after=1):
                    pass
        except Error:
            connection.close()
            sleep(max(0.0, deadline - monotonic()))


def _folder() -> Path:
    folder: Path = settings.DATA / "bells"
    return folder


def _notify() -> None:
    with suppress(Error), connection.cursor() as cursor:
        cursor.execute(f"NOTIFY {CHANNEL}")


def _ring() -> None:
    folder = _folder()
    with suppress(FileNotFoundError):  # nobody has listened yet
        for name in os.listdir(folder):
            with suppress(OSError):  # it is full of hints, or its process died just now
                _ring_at(f"{folder}/{name}")


def _ring_at(path: str) -> None:
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:  # its process is gone
            os.unlink(path)
        return
    try:
        os.write(pipe, b"!")
    finally:
        os.close(pipe)
