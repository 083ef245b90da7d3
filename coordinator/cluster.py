"""The workers: a django-q2 cluster in one process and its children."""

import logging
import os
import select
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawValue
from threading import Event
from time import monotonic
from types import FrameType
from uuid import uuid4

from django.db import Error, connections
from django.utils import timezone
from django_q.cluster import Sentinel
from django_q.worker import worker

from coordinator import signs
from coordinator.recovery import release_what_the_dead_held, release_what_waits_for_the_clock
from coordinator.whoami import worker_name
from taskmonitor.services.site import HELD, is_released

logger = logging.getLogger(__name__)

LOOK = 1.0  # seconds between looks whether a restored database was released


def run_cluster() -> None:
    """Run a cluster in this process until SIGTERM; then what its workers are at ends first.

    django-q2's own Cluster stops its sentinel through a lock, and hangs if the sentinel was killed meanwhile.
    """
    stop = Stop()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as the sentinel does, which also takes the other one
    signal.signal(signal.SIGTERM, stop.on_signal)
    if not _wait_for_release(stop):
        return
    _recover()
    name = worker_name(os.getpid())
    stop.look = signs.pulse(name)
    sentinel = StrictSentinel(stop, Event(), uuid4(), start=False)
    signal.signal(signal.SIGTERM, stop.on_signal)
    os.register_at_fork(after_in_child=_leave_stopping_to_the_sentinel)
    sentinel.start()
    signs.withdraw(name)


def _wait_for_release(stop: "Stop") -> bool:
    """Do nothing while the database is a restored one that is not released; False if it is to stop first."""
    said = False
    while not stop.is_set():
        try:
            if is_released():
                return True
            if not said:
                logger.warning("The workers wait. %s", HELD)
                said = True
        except Error as error:
            logger.warning("The database cannot be asked whether workers may work: %s", str(error).strip())
        finally:
            connections.close_all()
        stop.wait(LOOK)
    return False


def _recover() -> None:
    try:
        release_what_the_dead_held(timezone.now())
        release_what_waits_for_the_clock(timezone.now())
    except Error as error:  # they lapse by themselves
        logger.warning("What dead workers held cannot be released: %s", str(error).strip())
    finally:
        connections.close_all()  # before anything is forked


class StrictSentinel(Sentinel):  # type: ignore[misc]  # it has no types
    """Ends with all of the cluster when one of its processes died, so that it is started anew as a whole.

    A process that dies while it waits for a queue keeps the queue's lock; its successor would wait for ever.
    """

    def spawn_worker(self) -> None:
        """As django-q2's, but with a timer that has no lock: a worker that is killed would keep it."""
        self.spawn_process(worker, self.task_queue, self.result_queue, Timer(), self.timeout)

    def reincarnate(self, process: BaseProcess) -> None:
        if process.exitcode:
            logger.error("A process of the cluster ended with %s", process.exitcode)
            os._exit(1)
        exceeded_its_time = process.exitcode is None
        super().reincarnate(process)
        if exceeded_its_time:
            process.kill()  # it may pay no heed to SIGTERM
            self.broker.worker_is_free()


class Timer:
    """The seconds that a worker's task may still take, as django-q2's worker sets them and its sentinel reads them.

    -1: no task, or one without limit; 0: its time is up; -2: the worker is to be replaced. Only the worker
    writes, so no lock is needed: what it stores is when the time is up, and the sentinel need not count down.
    """

    def __init__(self) -> None:
        self._sentinel = os.getpid()
        self._stored = RawValue("d", -1)

    def get_lock(self) -> AbstractContextManager[None]:
        return nullcontext()

    @property
    def value(self) -> float:
        stored = float(self._stored.value)
        return max(stored - monotonic(), 0) if stored > 0 else stored

    @value.setter
    def value(self, seconds: float) -> None:
        if os.getpid() != self._sentinel:
            self._stored.value = monotonic() + seconds if seconds > 0 else seconds


class Stop:
    """The methods of an Event that django-q2's sentinel uses, set by a signal. `wait` calls `look` first."""

    def __init__(self) -> None:
        self.look: Callable[[], None] = lambda: None
        self._set = False
        self._woken, self._wake = os.pipe()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        self._set = True
        os.write(self._wake, b"!")

    def is_set(self) -> bool:
        return self._set

    def wait(self, seconds: float) -> bool:
        self.look()
        select.select([self._woken], [], [], seconds)
        return self._set


def _leave_stopping_to_the_sentinel() -> None:
    """A signal may reach every process at once; the programs that a worker starts do not inherit this."""
    signal.signal(signal.SIGTERM, lambda number, frame: None)
