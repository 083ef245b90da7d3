"""One transaction for one service call."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

_writer = threading.RLock()


@contextmanager
def writing() -> Iterator[None]:
    """A transaction that writes; within another one, a part of it that can fail alone.

    SQLite has one writer. Threads of this process queue on a lock here, in order and without
    sleeping, and meet SQLite's own busy handler only when another process writes.
    """
    if connection.vendor == "sqlite":
        with _writer, transaction.atomic():
            yield
    else:
        with transaction.atomic():
            yield
