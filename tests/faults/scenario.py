"""Commands that together come to every commit of the coordinator, worked off in this process or in a fork of it."""

import os
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connections, transaction

from coordinator.engine import queue
from coordinator.engine.queue import claim
from coordinator.executor import Handle, execute_async
from coordinator.models import CommandEntity, CommandStatus
from coordinator.operators import mark_failed, poll_now, remove_hierarchy, resume
from coordinator.recovery import release_what_the_dead_held, release_what_waits_for_the_clock
from coordinator.testing import Worker
from coordinator.whoami import machine
from taskmonitor.models import SYSTEM
from tests.faults.checker import SET_ASIDE
from tests.faults.commands import leave

DEAD = f"{machine()}/999999999/1"  # a worker of this machine that does not run
SLOW = 0.03  # seconds; longer than the others wait for it in `test_failpoints.py`


class Scenario:
    """A client, and the workers."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.gone: Handle | None = None  # what is to be removed in the end

    def begin(self) -> None:
        """Submit all there is, and do to it all that can be done from outside."""
        os.environ["FAULTS_CLIENT"] = "1"
        self.submit("Telling", seconds=SLOW)
        self.submit("Telling", seconds=SLOW)
        for name in ("Plain", "Quiet", "Telling"):
            self.submit(name)
            self.submit(name, fails=True)
        for times in (0, 1, 2):  # an end that fails not at all, once, always
            self.submit("Ending", times=times)
        for name in ("Troubled", "Afterwards", "Family", "Adopting", "Series", "Early", "Resumable"):
            self.submit(name, times=2)
        self.submit("Family", times=2, fails=True)
        self._set_aside()
        held = claim(self.worker.now, worker=DEAD, limit=2)
        assert len(held) == 2
        release_what_the_dead_held(self.worker.now)
        release_what_waits_for_the_clock(self.worker.now)
        self._watch()
        self.worker.deliver(waiting := self.submit("Waiting"), "news")
        self.told("delivered", waiting)
        self._operate()

    def _watch(self) -> None:
        """What the watch does to what one worker holds."""
        now = self.worker.now
        at, _ = claim(now, worker="watched/0/0", limit=2)
        queue.renew(["watched/0/0"], now)
        queue.give_back("watched/0/0", now, but=at[0])
        queue.bury("watched/0/0", now, at=at, death="signal 9 (SIGKILL)")

    def _set_aside(self) -> None:
        """Commands that cannot be rebuilt, that could be now, and that an operator resumes."""
        for name, fields in (
            ("vanished", {"command_type": "faults.Vanished"}),
            ("aside", {"status": CommandStatus.HELD, "held_from": "NOT_STARTED", "error": SET_ASIDE}),
        ):
            with transaction.atomic():
                handle = self._execute("faults.Plain")
                CommandEntity.objects.filter(pk=handle.command_id).update(**fields)
            self.told(name, handle)
        self.worker.deliver(handle, "news")  # which makes it due
        with transaction.atomic():
            handle = self._execute("faults.Plain")
            CommandEntity.objects.filter(pk=handle.command_id).update(
                status=CommandStatus.HELD, held_from="NOT_STARTED", due_at=None
            )
        self._ask(resume, handle)

    def _operate(self) -> None:
        """What an operator does."""
        self._ask(poll_now, self.submit("Polled", times=1))
        polled = self.submit("Polled", times=3)
        self.gone = self._execute("faults.Quiet")
        self.told("removing", self.gone)
        self.worker.turn()
        self._ask(mark_failed, polled)

    def submit(self, name: str, **parameters: Any) -> Handle:
        handle = self._execute(f"faults.{name}", **parameters)
        self.told("submitted", handle)
        return handle

    def _execute(self, name: str, **parameters: Any) -> Handle:
        self.worker.now += timedelta(milliseconds=1)
        return execute_async(name, parameters, now=self.worker.now)

    def _ask(self, operation: Callable[..., Any], handle: Handle) -> None:
        operation(command_id=handle.command_id, reason="a test", actor=SYSTEM, now=self.worker.now)

    def told(self, what: str, handle: Handle) -> None:
        leave(os.environ["FAULTS_ACKS"], {"told": what, "id": handle.command_id.hex})

    def end(self) -> None:
        """Work until nothing is left to do; who waits for an event gets it."""
        CommandEntity.objects.filter(status=CommandStatus.HELD, error="", attempts=0).update(error=SET_ASIDE)
        self.worker.run(events={"news": "news"})
        if self.gone:
            self._ask(remove_hierarchy, self.gone)


def in_fork(run: Callable[[], None]) -> int:
    """Run it in a fork of this process; with what that ended, 0 if it came to its end."""
    connections.close_all()
    child = os.fork()
    if not child:
        try:
            run()
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)
