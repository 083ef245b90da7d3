"""What the server writes of its own work (oVirt: AddInternalJob, AddInternalStep, and their ends).

A command's writes to the monitor belong to the transaction of the command's own change, so nothing here
begins one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

from taskmonitor import feed
from taskmonitor.errors import Invalid, ParentEnded
from taskmonitor.lifecycle import Status
from taskmonitor.models import SYSTEM, Actor, Event, Job, Step, StepType, Verb
from taskmonitor.services import _job_row as row
from taskmonitor.services._causes import blame
from taskmonitor.statements import insert


@contextmanager
def new_job(
    *, description: str, action_type: str, correlation_id: str, actor: Actor, now: datetime
) -> Iterator["OwnWork"]:
    """A job of the server's own, STARTED, owned by `actor`; the clean-up may clear it after its end."""
    job = Job(
        description=description,
        action_type=action_type,
        owner_id=actor.user_id,
        correlation_id=correlation_id,
        auto_cleared=True,
        start_time=now,
        last_updated=now,
        last_sign=now,
    )
    work = OwnWork(job, actor, now)
    work.note(Verb.ADDED, new_status=job.status)
    yield work
    work.write()


@contextmanager
def attached(job_id: UUID, step_id: UUID | None, *, actor: Actor, now: datetime) -> Iterator["OwnWork"]:
    """A job of anybody's, locked, that is to show work of the server's, perhaps under one of its steps.

    NotFound or NotAllowed if the job is not the actor's to change, ParentEnded if it or the step has
    ended, Invalid for a step of another job.
    """
    job = row.locked(job_id, actor)
    if job.ended:
        raise ParentEnded("job", job.status)
    work = OwnWork(job, actor, now)
    step = work.step(step_id) if step_id else None
    if step_id and step is None:
        raise Invalid("step_id", f"{step_id} is not a step of this job.")
    if step is not None and step.ended:
        raise ParentEnded("step", step.status)
    yield work
    work.write()


@contextmanager
def work_on(job_id: UUID, *, now: datetime) -> Iterator["OwnWork | None"]:
    """The job, locked, for several writes that count as one; None if it is gone or has ended."""
    job = row.find(job_id)
    if job is None or job.ended:
        yield None
        return
    work = OwnWork(job, SYSTEM, now)
    yield work
    work.write()


class OwnWork:
    """One write to a new or locked job and its steps: a step or more, then the job's row, new steps, and the events."""

    def __init__(self, job: Job, actor: Actor, now: datetime) -> None:
        self.job, self.actor, self.now = job, actor, now
        self._steps: dict[UUID, Step] = {}  # that were looked up, or are new
        self._numbers: dict[UUID | None, Iterator[int]] = {}  # of the next steps beneath each
        self._events: list[Event] = []
        self._fields: dict[str, Any] = {}

    def step(self, step_id: UUID) -> Step | None:
        """The step of that job, if there is one."""
        if step_id not in self._steps and (found := row.find_step(self.job, step_id)):
            self._steps[step_id] = found
        return self._steps.get(step_id)

    def add_step(self, *, description: str, type: StepType, parent_step_id: UUID | None = None) -> Step:  # noqa: A002
        """A new step, STARTED, under that step, or under the job if there is no such step in it."""
        parent = self.step(parent_step_id) if parent_step_id else None
        step = Step(
            job=self.job,
            parent_step=parent,
            number=self._next_number(parent),
            depth=parent.depth + 1 if parent else 0,
            description=description,
            type=type,
            start_time=self.now,
            last_updated=self.now,
        )
        self._steps[step.pk] = step
        self._count(total=1, open=1)
        self.note(Verb.ADDED, step_id=step.pk, new_status=step.status)
        return step

    def end_step(self, step_id: UUID, status: Status, reason: str = "") -> bool:
        """End the step; False if it is gone or has ended."""
        step = self.step(step_id)
        if step is None or step.ended:
            return False
        if status == Status.FAILED:
            self._store()
            self._fields |= blame(step, self._counted("causes"))
        self._end(step, status, reason)
        return True

    def _end(self, step: Step, status: Status, reason: str = "") -> None:
        old = step.status
        fields = {"end_time": self.now, "last_updated": self.now, "reason": reason, "cause": step.cause}
        if _is_new(step):
            step.remember(status=status, **fields)
        else:
            step.move(status, **fields)
        self._count(open=-1, bad=int(status in row.BAD))
        self.note(Verb.MOVED, step_id=step.pk, old_status=old, new_status=status, text=reason)

    def progress(self, step_id: UUID, **fields: Any) -> None:
        """Write progress fields to the open step."""
        step = self.step(step_id)
        if step is not None and not step.ended:
            step.change(last_updated=self.now, **fields)
            self.note(Verb.PROGRESSED, step_id=step_id)

    def end(self, status: Status, reason: str = "") -> None:
        """End the job, and whatever is open in it, in the same way."""
        for step in self._new():
            if not step.ended:
                self._end(step, status)
        if still_open := self._counted("steps_open"):
            self._count(open=-still_open, bad=still_open if status in row.BAD else 0)
            open_steps = row.open_steps(self.job)
            self._events += row.close_steps(self.job, open_steps, status, actor=self.actor, now=self.now)
        self._fields |= {"status": status, "end_time": self.now, "reason": reason, "stale_at": None}
        self.note(Verb.MOVED, old_status=self.job.status, new_status=status, text=reason)

    def lose(self, reason: str) -> None:
        """Call the job UNKNOWN: nobody knows what became of its work."""
        self._move(Status.UNKNOWN, reason)

    def find_again(self) -> None:
        """The work of a job that was lost goes on."""
        if self.job.status == Status.UNKNOWN:
            self._move(Status.STARTED, "")

    def _move(self, status: Status, reason: str) -> None:
        self._fields |= {"status": status, "reason": reason}
        self.note(Verb.MOVED, old_status=self.job.status, new_status=status, text=reason)

    def note(self, verb: Verb, **fields: Any) -> None:
        """Keep what was done for the feed; it is appended last, as in each service."""
        self._events.append(Event.of(self.job, verb, actor=self.actor, now=self.now, **fields))

    def write(self) -> None:
        """Write the job's own row, the new steps and the events; nothing if nothing was done."""
        if not self._events:
            return
        fields = {**self._fields, "version": self.job.version + 1, "last_updated": self.now}
        if _is_new(self.job):
            self.job.remember(**fields)
            insert(self.job)
        elif "status" in fields:
            self.job.move(fields.pop("status"), **fields)
        else:
            self.job.change(**fields)
        self._store()
        for event in self._events:
            event.version = self.job.version
        feed.append(*self._events)

    def _store(self) -> None:
        """Store what is new as it is now, so that the database can be asked about it."""
        if _is_new(self.job):
            insert(self.job)
        insert(*self._new())

    def _new(self) -> list[Step]:
        return [step for step in self._steps.values() if _is_new(step)]

    def _next_number(self, parent: Step | None) -> int:
        key = parent.pk if parent else None
        if key not in self._numbers:
            first = 0 if _is_new(parent or self.job) else row.next_number(self.job, parent)
            self._numbers[key] = count(first)
        return next(self._numbers[key])

    def _counted(self, name: str) -> int:
        number: int = self._fields.get(name, getattr(self.job, name))
        return number

    def _count(self, total: int = 0, open: int = 0, bad: int = 0) -> None:  # noqa: A002
        for name, by in (("steps_total", total), ("steps_open", open), ("steps_bad", bad)):
            if by:
                self._fields[name] = self._counted(name) + by


def _is_new(work: Job | Step) -> bool:
    """Whether it is still to be stored."""
    return work._state.adding
