"""The command table as a django-q2 broker: the only place where commands are claimed.

Beside commands it hands out django-q2's ordinary tasks, which are in django-q2's own table. A task or a
batch of commands is handed out only when a worker is free, so that nothing claimed waits behind long work
while another cluster could do it.
"""

import logging
import os
from datetime import UTC, datetime
from multiprocessing import get_context
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import Error, connection, connections
from django.db.models import Q
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.signals import post_execute_in_worker, pre_enqueue
from django_q.signing import SignedPackage

from coordinator import nudge
from coordinator.clock import Clock
from coordinator.lease import Claim
from coordinator.models import CommandEntity, lease_from
from coordinator.recovery import release_what_waits_for_the_clock
from coordinator.schedules import UPKEEP, is_registered
from coordinator.whoami import worker_name
from taskmonitor.services.transaction import writing
from taskmonitor.upkeep import stale_jobs

logger = logging.getLogger(__name__)

BATCH = 100  # commands that a worker gets at once
POLLS = 500  # likewise if the first of them is one that was polled before, for polls take little
NEVER = datetime.max.replace(tzinfo=UTC)
LOOK = 2.0  # seconds between looks at the table if nothing wakes us
BETWEEN_UPKEEPS = 5.0  # seconds
AFTER_ERROR = 1.0  # seconds until the database is asked again after it failed


class CommandBroker(ORM):  # type: ignore[misc]  # it has no types
    """Hands one task at a time to a free worker of this cluster."""

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)
        self._free = get_context("fork").Semaphore(settings.WORKERS)
        self._listener: nudge.Listener | None = None
        self._next_upkeep = 0.0
        self._tasks_first = False
        self._clock = Clock(timezone.now())
        pre_enqueue.connect(_store_it, dispatch_uid="coordinator.broker")
        post_execute_in_worker.connect(self.worker_is_free, weak=False, dispatch_uid="coordinator.broker")

    def dequeue(self) -> list[tuple[Any, str]] | None:
        """What one worker is to do next; None after a while if there is nothing, or no free worker."""
        if not self._free.acquire(timeout=LOOK):
            return None
        found = None
        try:
            found = self._task_or_commands() or self._upkeep()
            if not found:
                self._wait()
        except Error as error:
            logger.warning("The database cannot be asked for work: %s", str(error).strip())
            connections.close_all()
            sleep(AFTER_ERROR)
        finally:
            if not found:
                self._free.release()
        return [found] if found else None

    def _task_or_commands(self) -> tuple[Any, str] | None:
        """A task of django-q2's or a batch of commands, by turns if there are both."""
        self._tasks_first = not self._tasks_first
        if self._tasks_first:
            return self._task() or self._commands()
        return self._commands() or self._task()

    def enqueue(self, task: str) -> Any:
        """Store one of django-q2's own tasks."""
        key = super().enqueue(task)
        nudge.send()
        return key

    def worker_is_free(self, **_: Any) -> None:
        """A worker has done what it was handed, or has died at it."""
        self._free.release()

    def _task(self) -> tuple[Any, str] | None:
        """One of django-q2's own tasks, if one is due; those that may not be run, or cannot be read, are dropped."""
        waiting = OrmQ.objects.filter(key=self.list_key, lock__lt=timezone.now()).order_by("lock")
        while due := waiting.first():
            if not OrmQ.objects.filter(pk=due.pk, lock=due.lock).update(lock=self.timeout(due)):
                continue
            if _may_be_run(due.payload):
                return due.pk, due.payload
            due.delete()
        return None

    def _commands(self) -> tuple[Any, str] | None:
        """A batch of due commands, claimed."""
        now = timezone.now()
        if self._clock.was_set_back(now):
            release_what_waits_for_the_clock(now)
        due, delay = self._next()
        if due > now:
            return None
        lapsed = self._clock.leases_at(now)
        limit = POLLS if delay else BATCH
        claims = claim(now, lapsed=lapsed, worker=worker_name(os.getppid()), limit=limit)
        if not claims:
            return None
        return None, _package("coordinator.execution.run_batch", claims)

    def _upkeep(self) -> tuple[Any, str] | None:
        """Upkeep between its scheduled times, if a job has shown no sign of life for too long."""
        if monotonic() < self._next_upkeep or not stale_jobs(timezone.now()).exists():
            return None
        self._next_upkeep = monotonic() + BETWEEN_UPKEEPS
        return None, _package(UPKEEP)

    def _wait(self) -> None:
        """Until a hint comes, or a command is due, or for a while."""
        self._listener = self._listener or nudge.listener()
        left = (self._next()[0] - timezone.now()).total_seconds()
        if left > 0:
            self._listener.wait(min(left, LOOK))

    def _next(self) -> tuple[datetime, int]:
        """When the next command is due that nobody holds, and the delay of its last poll; 0 if there was none."""
        free = Q(lease_until=None) | Q(lease_until__lte=self._clock.leases_at(timezone.now()))
        due = CommandEntity.objects.filter(free, due_at__isnull=False).order_by("due_at")
        due_at, delay = due.values_list("due_at", "poll_delay").first() or (None, 0)
        return due_at or NEVER, delay


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


def claim(now: datetime, *, lapsed: datetime | None = None, worker: str, limit: int) -> list[Claim]:
    """Claim commands that are due and that nobody holds, the longest due first: their ids and fencing numbers.

    Whose lease ended before `lapsed`, or before `now`, holds nothing. Of several that claim at once each gets
    other commands.
    """
    database = connection
    field: Any = CommandEntity._meta.get_field("due_at")
    instants = (now, lapsed or now, lease_from(now))
    instant, ended, until = (field.get_db_prep_save(each, database) for each in instants)
    with writing(alone=True), database.cursor() as cursor:
        cursor.execute(_claim_sql(database.vendor), [instant, ended, limit, until, until, worker])
        return [(UUID(str(key)), fence) for key, fence in cursor.fetchall()]


def _claim_sql(vendor: str) -> str:
    lock = "FOR UPDATE SKIP LOCKED" if vendor == "postgresql" else ""
    return f"""
        WITH due AS MATERIALIZED (
            SELECT command_id FROM command_entities
            WHERE due_at <= %s AND (lease_until IS NULL OR lease_until <= %s)
            ORDER BY due_at LIMIT %s {lock}
        )
        UPDATE command_entities SET lease_until = %s, due_at = %s, worker = %s, fence = fence + 1
        WHERE command_id IN (SELECT command_id FROM due)
        RETURNING command_id, fence
    """  # noqa: S608 - words of ours
