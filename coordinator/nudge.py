"""Wakes the workers of a lane sooner. Only a hint: who misses it looks at the table soon anyway.

On SQLite all processes share a data folder, and a byte in each listener's pipe there is the hint; on
PostgreSQL it is a NOTIFY, which also reaches other hosts.
"""

import errno
import os
import select
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Protocol

from django.conf import settings
from django.db import Error, connection, transaction

from coordinator.models import Lane


def send(*lanes: Lane) -> None:
    """Once the present transaction is committed, wake all who listen to these lanes."""
    hint = _notify if connection.vendor == "postgresql" else _ring
    for lane in lanes:
        transaction.on_commit(partial(hint, lane))


class Listener(Protocol):
    def wait(self, seconds: float) -> None:
        """Return at a hint, at once if one came since the last wait, or after so long."""

    def wake(self) -> None:
        """Have `wait` return, from a signal's handler."""


def listener(lane: Lane) -> Listener:
    """One for this process, for as long as it lives."""
    return Notifications(lane) if connection.vendor == "postgresql" else Bell(lane)


class Bell:
    """A pipe of this process's own, in the data folder."""

    def __init__(self, lane: Lane) -> None:
        folder = _folder(lane)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder.with_name(f"bell-{os.getpid()}")
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # held for writing too, so that it never ends
        path.rename(folder / str(os.getpid()))  # only now, or it might be taken for a dead one's and removed

    def wait(self, seconds: float) -> None:
        if select.select([self._pipe], [], [], seconds)[0]:
            os.read(self._pipe, 4096)

    def wake(self) -> None:
        os.write(self._pipe, b"!")


class Notifications:
    """LISTEN on this process's connection, anew whenever that is a new one."""

    def __init__(self, lane: Lane) -> None:
        self._channel = _channel(lane)
        self._listening: Any = None
        self._woken = False

    def wait(self, seconds: float) -> None:
        deadline = monotonic() + seconds
        try:
            connection.ensure_connection()
            raw: Any = connection.connection
            if self._listening is not raw:
                with connection.cursor() as cursor:
                    cursor.execute(f"LISTEN {self._channel}")
                self._listening = raw
                return  # a hint may have come before
            with connection.wrap_database_errors:
                while not self._woken and (left := deadline - monotonic()) > 0:
                    for _ in raw.notifies(timeout=min(left, PATIENCE), stop_after=1):
                        return
        except Error:
            connection.close()
            sleep(max(0.0, deadline - monotonic()))

    def wake(self) -> None:
        self._woken = True


PATIENCE = 0.5  # seconds in which a process that waits for PostgreSQL's hints heeds a signal


def _folder(lane: Lane) -> Path:
    folder: Path = settings.DATA / "bells" / lane.name.lower()
    return folder


def _channel(lane: Lane) -> str:
    return f"taskmonitor_{lane.name.lower()}"


def _notify(lane: Lane) -> None:
    with suppress(Error), connection.cursor() as cursor:
        cursor.execute(f"NOTIFY {_channel(lane)}")


def _ring(lane: Lane) -> None:
    folder = _folder(lane)
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
