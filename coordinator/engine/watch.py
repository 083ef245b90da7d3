"""Looks after the workers of one cluster. It runs in django-q2's pusher process, as its broker, and never runs a command.

It renews what workers hold, ends those that pay no heed to their limits, and sees to it that what a dead
one held is done by others. Of django-q2's own tasks it hands out those of the register.
"""

import logging
import os
import signal
from contextlib import suppress
from datetime import datetime
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import Error, connections
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.signals import pre_enqueue
from django_q.signing import SignedPackage

from coordinator.clock import Clock, DatabaseClock
from coordinator.engine import queue
from coordinator.engine.decide import TIMED_OUT
from coordinator.engine.queue import Claim
from coordinator.engine.sandbox import GRACE
from coordinator.engine.slots import Call, Slot, Slots, State, Why
from coordinator.recovery import release_what_waits_for_the_clock
from coordinator.schedules import UPKEEP, is_registered
from coordinator.whoami import call_myself
from taskmonitor.upkeep import stale_jobs

logger = logging.getLogger(__name__)

TICK = 0.25  # seconds between looks at the workers
TASKS = 1.0  # seconds between looks at django-q2's own tasks
HELD_UP = 1.0  # seconds after which nothing waits any more behind a call
BETWEEN_UPKEEPS = 5.0  # seconds
AFTER_TROUBLE = 1.0  # seconds until the database is asked again after it failed

slots = Slots(settings.WORKERS + 1)  # of this process and those that it forks: one cluster


class Watch(ORM):  # type: ignore[misc]  # it has no types
    """A django-q2 broker for tasks, which on its way looks after the workers."""

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)
        self._clock = DatabaseClock()
        self._jumps: Clock | None = None
        self._next_task = self._next_renewal = self._next_upkeep = 0.0
        self._interrupted: dict[int, tuple[Call, float]] = {}  # and when, by the slot's number
        self._told = False  # whether this process has its name
        self._given_back: dict[int, Call] = {}
        pre_enqueue.connect(_store_it, dispatch_uid="coordinator.watch")

    def dequeue(self) -> list[tuple[Any, str]] | None:
        """Look after the workers, then hand out one of django-q2's tasks if one is due.

        It must never raise, since django-q2's pusher ends after an exception.
        """
        if not self._told:
            self._told = True
            call_myself("tm-watch")
        slots.beat()
        try:
            self._look()
            found = self._task() or self._upkeep()
            if found:
                return [found]
        except Error as error:
            logger.warning("The workers cannot be looked after: %s", str(error).strip())
            connections.close_all()
            sleep(AFTER_TROUBLE)
        except Exception:
            logger.exception("The workers cannot be looked after")
            sleep(AFTER_TROUBLE)
        sleep(TICK)
        return None

    def _look(self) -> None:
        now = self._clock()
        self._jumps = self._jumps or Clock(now)
        if self._jumps.was_set_back(now):
            release_what_waits_for_the_clock(now)
        for slot in slots:
            if slot.state == State.DEAD:
                self._bury(slot, now)
        calls = [(slot, call) for slot in slots if slot.state == State.RUNNING and (call := slot.call())]
        for slot, call in calls:
            self._bound(slot, call, now)
        self._interrupt_what_is_lost(calls)
        if monotonic() >= self._next_renewal:
            self._next_renewal = monotonic() + settings.COMMAND_LEASE.total_seconds() / 3
            queue.renew([slot.name for slot in slots if slot.state == State.RUNNING], now)

    def _bury(self, slot: Slot, now: datetime) -> None:
        """Make due what a dead worker held, and let its slot have a new one."""
        call = slot.call()
        death = _death(slot, call)
        if call is not None:
            logger.error("A worker ended with %s at command id=%s", death, call.claim[0])
        queue.bury(slot.name, now, at=call.claim if call else None, death=death)
        slot.free()

    def _bound(self, slot: Slot, call: Call, now: datetime) -> None:
        """Kill who takes longer than it may; give back what waits behind a call that takes long."""
        took = monotonic() - call.began
        if took > call.seconds + GRACE:
            _kill(slot, call, Why.LIMIT)
        if took > HELD_UP and self._given_back.get(slot.number) != call:
            self._given_back[slot.number] = call
            if slot.give_back_behind(call):
                queue.give_back(slot.name, now, but=call.claim[0])

    def _interrupt_what_is_lost(self, calls: list[tuple[Slot, Call]]) -> None:
        """Interrupt calls of commands that are their workers' own no more; kill those that pay no heed."""
        long = [(slot, call) for slot, call in calls if monotonic() - call.began > TICK]
        if not long:
            return
        ours: set[Claim] = queue.still_held([call.claim for _, call in long])
        for slot, call in long:
            if call.claim in ours:
                continue
            interrupted, since = self._interrupted.get(slot.number, (None, 0.0))
            if interrupted != call:
                self._interrupted[slot.number] = call, monotonic()
                _send(slot, call, signal.SIGUSR1)
            elif monotonic() - since > GRACE:
                _kill(slot, call, Why.SUPERSEDED)

    def _task(self) -> tuple[Any, str] | None:
        """One of django-q2's own tasks, if one is due; those that may not be run, or cannot be read, are dropped."""
        if monotonic() < self._next_task:
            return None
        waiting = OrmQ.objects.filter(key=self.list_key, lock__lt=timezone.now()).order_by("lock")
        while due := waiting.first():
            if not OrmQ.objects.filter(pk=due.pk, lock=due.lock).update(lock=self.timeout(due)):
                continue
            if _may_be_run(due.payload):
                return due.pk, due.payload
            due.delete()
        self._next_task = monotonic() + TASKS
        return None

    def _upkeep(self) -> tuple[Any, str] | None:
        """An extra run of upkeep, if a job has passed its heartbeat limit or deadline before the next scheduled run."""
        if monotonic() < self._next_upkeep:
            return None
        self._next_upkeep = monotonic() + BETWEEN_UPKEEPS
        if not stale_jobs(timezone.now()).exists():
            return None
        return None, _package(UPKEEP)


def _death(slot: Slot, call: Call | None) -> str:
    """How the worker ended, in words for people."""
    if call is not None and slot.why_ended(call) == Why.LIMIT:
        return TIMED_OUT
    if slot.exit_code >= 0:
        return f"exit code {slot.exit_code}"
    with suppress(ValueError):
        return f"signal {-slot.exit_code} ({signal.Signals(-slot.exit_code).name})"
    return f"signal {-slot.exit_code}"


def _kill(slot: Slot, call: Call, why: Why) -> None:
    slot.ends(call, why)
    logger.error("A worker is killed, for it pays no heed at command id=%s", call.claim[0])
    _send(slot, call, signal.SIGKILL)


def _send(slot: Slot, call: Call, number: signal.Signals) -> None:
    """Send the signal, if that worker is still at that call; never to another process that got its id."""
    with suppress(ProcessLookupError):
        process = os.pidfd_open(slot.pid)
        try:
            if slot.call() == call:
                signal.pidfd_send_signal(process, number)
        finally:
            os.close(process)


def _may_be_run(payload: str) -> bool:
    """Whether the stored task is one of the register; if not, the log says why it is dropped."""
    try:
        task = SignedPackage.loads(payload)
        registered = is_registered(task)
    except Exception:
        logger.exception("A task cannot be read, and is dropped")
        return False
    if not registered:
        logger.error(
            "A task is dropped, for it is not of the register: func=%r hook=%r chain=%r",
            *(task.get(name) for name in ("func", "hook", "chain")),
        )
    return registered


def _store_it(*, task: dict[str, Any], **_: Any) -> None:
    """Have each task stored, so that it is held against the register; `sync` would run it where it is made."""
    task.pop("sync", None)


def _package(function: str, *arguments: Any) -> str:
    """A task of django-q2's that is neither stored nor given out again; it has limits of its own."""
    name = uuid4().hex
    return str(
        SignedPackage.dumps(
            {
                "id": name,
                "name": name,
                "func": function,
                "args": arguments,
                "kwargs": {},
                "save": False,
                "timeout": -1,
            }
        )
    )
