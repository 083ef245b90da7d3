"""One transaction for one service call."""

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache
from time import monotonic, sleep
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, OperationalError, connections, transaction

logger = logging.getLogger(__name__)

PATIENCE = 5.0  # seconds that a request waits for SQLite's writers before it, counted from when it came in
LEAST = 0.2  # seconds that it waits in any case, however long it had to wait for a thread
OTHERS_PATIENCE = 20.0  # seconds that all others wait, which are asked by nobody for an answer
TURN = 2.5  # seconds that another process may take for its turn
PAUSE = 0.0003  # seconds between looks whether another process's turn has ended

request_came: ContextVar[float | None] = ContextVar(
    "request_came", default=None
)  # monotonic, set by the server
_writer = threading.Lock()

# What keeps interruptions out of a transaction, where a process has any; the coordinator's workers put theirs here
shield: Callable[[], AbstractContextManager[None]] = nullcontext


@contextmanager
def writing(*, alone: bool = False, at_once: bool = False) -> Iterator[None]:
    """A transaction that writes; within another one, a part of it that can fail alone.

    `alone` promises that it has one statement, which a database commits by itself: two round trips fewer.
    OperationalError if those who write before it do not end in time; with `at_once` it waits for nobody.

    SQLite has one writer, and who finds it busy sleeps for up to 100 ms before it looks again. So threads
    of this process queue on a lock here, and processes on a file's. A transaction that somebody else began
    (the admin's views do) is SQLite's writer already: it must not queue behind one that waits for it.
    """
    with shield(), _transaction(alone, at_once):
        yield


@contextmanager
def _transaction(alone: bool, at_once: bool) -> Iterator[None]:
    database = connections[DEFAULT_DB_ALIAS]  # `connection` would look it up at each use
    if database.in_atomic_block:
        with transaction.atomic():
            yield
    elif database.vendor == "sqlite":
        with _turn(database, at_once), nullcontext() if alone else transaction.atomic():
            yield
    else:
        with nullcontext() if alone and not at_once else transaction.atomic():
            if at_once:
                with database.cursor() as cursor:
                    cursor.execute("SET LOCAL lock_timeout = '50ms'")
            yield


def note(write: Callable[[], object]) -> None:
    """Write what is only a note on a read: now or not at all, for the read neither waits for it nor fails with it."""
    try:
        with writing(at_once=True):
            write()
    except Error as problem:
        logger.debug("Not noted: %s", problem)


@contextmanager
def _turn(database: Any, at_once: bool) -> Iterator[None]:
    """This thread's turn, and its process's among those of its data folder.

    A process that was stopped in its turn is passed by, so that it stops nobody for good: SQLite's own lock decides then.
    """
    came, now = request_came.get(), monotonic()
    patience = OTHERS_PATIENCE if came is None else PATIENCE
    deadline = now if at_once else max((came or now) + patience, now + LEAST)
    if not _writer.acquire(timeout=deadline - now):
        raise OperationalError("other threads have been writing to SQLite for too long")
    try:
        door, pass_by = _door(os.getpid()), min(monotonic() + TURN, deadline)
        while not _opened(door) and monotonic() < pass_by:
            sleep(PAUSE)
        try:
            seconds = max(deadline - monotonic(), 0)
            with nullcontext() if patience - seconds < LEAST else _timeout(database, seconds, patience):
                yield
        finally:
            fcntl.lockf(door, fcntl.LOCK_UN)
    finally:
        _writer.release()


@contextmanager
def _timeout(database: Any, seconds: float, usual: float) -> Iterator[None]:
    """SQLite waits no longer than that for its lock, and then as long as usual again."""
    database.ensure_connection()
    database.connection.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
    try:
        yield
    finally:
        if database.connection is not None:  # it may have been lost meanwhile
            database.connection.execute(f"PRAGMA busy_timeout = {usual * 1000:.0f}")


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
