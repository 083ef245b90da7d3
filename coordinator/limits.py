"""Bounds on what a command's own code may take."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import current_thread, main_thread
from types import FrameType


class TookTooLong(Exception):
    """One call took longer than the command's time_limit."""


@contextmanager
def time_limit(limit: timedelta) -> Iterator[None]:
    """Within it the call is ended by TookTooLong after so long; only a process's main thread can be."""
    if current_thread() is not main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"It took longer than {limit}.")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
