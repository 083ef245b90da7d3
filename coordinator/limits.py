"""Bounds on what a command's own code may take."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import current_thread, main_thread
from types import FrameType


class TookTooLong(BaseException):
    """One call took longer than the command's time_limit. No Exception, which a command that tries again would catch."""


@contextmanager
def limits() -> Iterator[None]:
    """Within it `time_limit` has an effect; only a process's main thread can be bound so."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _ring)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


@contextmanager
def time_limit(limit: timedelta) -> Iterator[None]:
    """Within it the call is ended by TookTooLong after so long."""
    if current_thread() is not main_thread():
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _ring(number: int, frame: FrameType | None) -> None:
    raise TookTooLong("It took longer than its time_limit.")
