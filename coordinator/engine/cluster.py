"""The workers: a django-q2 cluster in one process and its children.

Each worker is django-q2's own, with a queue to itself that has one task, which claims commands until the
cluster stops; so no process that runs a command's code has a lock in common with another one. One more worker
does django-q2's ordinary tasks. The sentinel starts all of them and replaces those that died.
"""

import logging
import os
import select
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawValue
from threading import Event
from time import monotonic, sleep
from types import FrameType
from uuid import uuid4

from django.conf import settings
from django.db import Error, connections
from django.utils import timezone
from django_q.cluster import Sentinel
from django_q.queues import Queue
from django_q.worker import worker

from coordinator import signs
from coordinator.commands.descendants import follow
from coordinator.engine.slots import Slot, State
from coordinator.engine.watch import slots
from coordinator.models import Lane
from coordinator.recovery import release_what_the_dead_held, release_what_waits_for_the_clock
from coordinator.whoami import call_myself, worker_name
from taskmonitor.services.site import HELD, is_released

logger = logging.getLogger(__name__)

LOOK = 1.0  # seconds between looks whether a restored database was released
PRESSED = 0.05  # seconds between looks whether workers have ended


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
    sentinel = Guard(stop, Event(), uuid4(), start=False)
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


class Guard(Sentinel):  # type: ignore[misc]  # it has no types
    """django-q2's sentinel, with workers that claim commands for themselves beside its ordinary one.

    Of what its base keeps to itself it uses: pool, monitor, pusher, the two queues, spawn_process, and the
    hooks spawn_cluster, reincarnate and stop.
    """

    def spawn_cluster(self) -> None:
        self.pool_size = 1  # of ordinary workers; the others are no members of the pool
        self.workers: dict[int, BaseProcess] = {}  # by the number of their slot
        slots.beat()
        super().spawn_cluster()
        for slot in slots:
            self._spawn(slot)
        self.stop_event.look = self._look_too(self.stop_event.look)

    def _look_too(self, look: Callable[[], None]) -> Callable[[], None]:
        """What is done in each round of `guard`: the sign of life, and a look at the workers and at the watch."""

        def looks() -> None:
            look()
            self._replace_dead()
            if slots.silence() > settings.COMMAND_LEASE.total_seconds() / 3 and self.pusher.is_alive():
                logger.error("The watch over the workers is silent, and is replaced")
                self.pusher.kill()

        return looks

    def _replace_dead(self) -> None:
        """Note who has died; start a new worker once the watch has taken note of the old one's end."""
        for slot in slots:
            process = self.workers[slot.number]
            if slot.state == State.RUNNING and not process.is_alive():
                logger.error("A worker ended with %s", process.exitcode)
                slot.ended(process.exitcode or 0)
            elif slot.state == State.FREE:
                self._spawn(slot)

    def _spawn(self, slot: Slot) -> None:
        connections.close_all()
        tasks, results = get_context("fork").SimpleQueue(), get_context("fork").SimpleQueue()
        task = {"name": "pump", "func": f"{__name__}.pump", "args": (slot.number, os.getpid()), "kwargs": {}}
        tasks.put({**task, "timeout": -1})
        tasks.put("STOP")
        process = self.spawn_process(worker, tasks, results, Timer(), None)
        self.pool.remove(process)  # django-q2 would wait for it, and replace it, in its own way
        slot.started(process.pid)
        self.workers[slot.number] = process

    def spawn_worker(self) -> None:
        """As in django-q2, but with our Timer, which has no lock that a killed worker could keep."""
        self.spawn_process(worker, self.task_queue, self.result_queue, Timer(), self.timeout)

    def reincarnate(self, process: BaseProcess) -> None:
        """Start monitor, pusher and ordinary worker anew together, with new queues.

        One that died while it waited for a queue may have taken its lock along; its successor would wait for ever.
        """
        logger.error("A process of the cluster ended with %s", process.exitcode)
        connections.close_all()
        others: list[BaseProcess] = [getattr(self, name) for name in ("monitor", "pusher")] + self.pool
        for each in others:
            each.kill()
            each.join()
        self.task_queue, self.result_queue = Queue(), Queue()
        self.pool.clear()
        slots.beat()
        self.spawn_worker()
        self.monitor, self.pusher = self.spawn_monitor(), self.spawn_pusher()

    def stop(self) -> None:
        """Let the workers end with what they are at, watched over until then; then the rest as django-q2 does."""
        deadline = monotonic() + settings.STOP_GRACE.total_seconds()
        while (
            left := [each for each in self.workers.values() if each.is_alive()]
        ) and monotonic() < deadline:
            for process in left:
                process.terminate()  # again and again: one that was just started heeds none yet
            sleep(PRESSED)
        for process in self.workers.values():
            process.kill()
        super().stop()


def pump(number: int, sentinel: int) -> None:
    """Claim commands and work on them, in this process, which ends with its sentinel."""
    from coordinator.engine.worker import (
        Pump,
    )  # which loads all commands: not before the fork, which saves nothing

    if follow(sentinel, signal.SIGKILL):
        lane = Lane.EXECUTE if number < settings.WORKERS else Lane.POLL
        call_myself(f"tm-{lane.name.lower()}")
        Pump(lane, slots[number]).run()


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
