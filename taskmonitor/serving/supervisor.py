"""Keeps a few processes running, from one that does nothing else: no threads, no connections, no work."""

import ctypes
import gc
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkProcess
from typing import Any

from django.conf import settings

logger = logging.getLogger(__name__)

GRACE = max(9.0, settings.STOP_GRACE.total_seconds() + 1)  # seconds between being asked to end and the end
FIRST_DELAY, LONGEST_DELAY = 0.2, 10.0  # seconds until a process that died is started again
STEADY = 30  # seconds after which a process counts as well started
ECHO = 0.5  # seconds in which a second signal is the first again: a terminal and make both send it
STOP = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
PR_SET_PDEATHSIG = 1


class Service:
    """A process to keep running: `run(*args)` in a fork of this one, to be ended by SIGTERM."""

    def __init__(self, name: str, run: Callable[..., None], *args: Any) -> None:
        self.name = name
        self._run, self._args = run, args
        self._process: ForkProcess | None = None
        self._started = self._due = 0.0
        self._delay = FIRST_DELAY

    def start(self) -> None:
        self._process = ForkProcess(target=self._run, args=self._args, name=self.name)
        self._process.start()

    def stop(self) -> None:
        if self._process:
            self._process.terminate()

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.join()

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def keep(self, now: float) -> float | None:
        """Start it if it does not run and may; the seconds until it may, None if it runs."""
        if self.runs:
            return None
        if self._process:
            logger.error("The %s ended with %s; it is started again", self.name, self._process.exitcode)
            self._delay = FIRST_DELAY if now - self._started > STEADY else min(self._delay * 2, LONGEST_DELAY)
            self._due, self._process = now + self._delay, None
        if now < self._due:
            return self._due - now
        self._started = now
        self.start()
        return None


def supervise(services: Sequence[Service]) -> bool:
    """Keep the services running until a signal; whether all then ended in time and of themselves."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {*STOP, signal.SIGCHLD})
    os.register_at_fork(before=_note_parent, after_in_child=_follow_parent)
    gc.freeze()  # the children's collectors leave alone, and so shared, what is here now
    while True:
        waits = [wait for service in services if (wait := service.keep(time.monotonic())) is not None]
        if _signal(min(waits, default=None)) in STOP:
            return _stop(services)


def _stop(services: Sequence[Service]) -> bool:
    asked = time.monotonic()
    for service in services:
        service.stop()
    while running := [service for service in services if service.runs]:
        left = asked + GRACE - time.monotonic()
        again = _signal(max(left, 0)) in STOP and time.monotonic() - asked > ECHO
        if again or left <= 0:
            for service in running:
                logger.error("The %s had not ended; it is killed", service.name)
                service.kill()
            return False
    return True


def _signal(seconds: float | None) -> int | None:
    """The next signal, waited for so long."""
    wanted = {*STOP, signal.SIGCHLD}
    info = signal.sigwaitinfo(wanted) if seconds is None else signal.sigtimedwait(wanted, seconds)
    return info.si_signo if info else None


_parent = 0


def _note_parent() -> None:
    global _parent
    _parent = os.getpid()


def _follow_parent() -> None:
    """In each process forked from here on: end when its parent does, however that happens."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != _parent:
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*STOP, signal.SIGCHLD})
