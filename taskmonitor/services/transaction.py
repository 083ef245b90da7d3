"""One transaction for one service call."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

_writer = threading.Lock()


@contextmanager
def writing() -> Iterator[None]:
    """A transaction that writes; within another one, a part of it that can fail alone.

    SQLite has one writer. Threads of this process queue on a lock here, without sleeping, and meet
    SQLite's own busy handler only when another process writes. A transaction that somebody else began
    (the admin's views do) is SQLite's writer already: it must not queue behind one that waits for it.
    """
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        with _writer, transaction.atomic():
            yield
    else:
        with transaction.atomic():
            yield
