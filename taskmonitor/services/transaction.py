"""One transaction for one service call."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction

PATIENCE = 5.0  # seconds that a process waits for another one's turn to end
PAUSE = 0.0003  # seconds between looks whether it has

_writer = threading.Lock()


@contextmanager
def writing(*, alone: bool = False) -> Iterator[None]:
    """A transaction that writes; within another one, a part of it that can fail alone.

    `alone` promises that it has one statement, which a database commits by itself: two round trips fewer.

    SQLite has one writer, and who finds it busy sleeps for up to 100 ms before it looks again. So threads
    of this process queue on a lock here, and processes on a file's. A transaction that somebody else began
    (the admin's views do) is SQLite's writer already: it must not queue behind one that waits for it.
    """
    database = connections[DEFAULT_DB_ALIAS]  # `connection` would look it up at each use
    if database.in_atomic_block:
        with transaction.atomic():
            yield
    else:
        with (
            _turn() if database.vendor == "sqlite" else nullcontext(),
            nullcontext() if alone else transaction.atomic(),
        ):
            yield


@contextmanager
def _turn() -> Iterator[None]:
    """This thread's turn, and its process's among those of its data folder; if that does not come, SQLite decides."""
    with _writer:
        door, deadline = _door(os.getpid()), time.monotonic() + PATIENCE
        while not _opened(door) and time.monotonic() < deadline:
            time.sleep(PAUSE)
        try:
            yield
        finally:
            fcntl.lockf(door, fcntl.LOCK_UN)


def _opened(door: int) -> bool:
    try:
        fcntl.lockf(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@cache
def _door(pid: int) -> int:
    """The file whose lock is one's turn; the system gives it back when the process dies."""
    return os.open(settings.DATA / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
