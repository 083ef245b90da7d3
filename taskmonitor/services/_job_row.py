"""What every write to a job or its steps begins and ends with. The order of locks is job, then step."""

from datetime import datetime
from typing import Any
from uuid import UUID

from taskmonitor.errors import Conflict, Invalid, NotAllowed, NotFound
from taskmonitor.lifecycle import ENDED, Status
from taskmonitor.models import Actor, Event, Job, Right, Step, Verb
from taskmonitor.statements import Prepared

BAD = (Status.FAILED, Status.ABORTED)
_JOB = Prepared(lambda key: Job.objects.select_for_update().filter(pk=key))
_STEP = Prepared(lambda job, key: Step.objects.filter(job=job, pk=key))
_OPEN_STEPS = Prepared(
    lambda job: Step.objects.filter(job=job, end_time=None).only("pk", "status", "external", "job_id")
)

_NUMBERS = Step.objects.order_by("-number").values_list("number")
_LAST_TOP = Prepared(lambda job: _NUMBERS.filter(job=job, parent_step=None)[:1])
_LAST_UNDER = Prepared(lambda parent: _NUMBERS.filter(parent_step=parent)[:1])


def require(actor: Actor, right: Right) -> None:
    """NotAllowed unless `actor` has `right`; asked before anything else is looked at."""
    if not actor.may(right):
        raise NotAllowed(right)


def find(job_id: UUID) -> Job | None:
    """The job, its row locked until the transaction ends, if there is one."""
    return _JOB.first(job_id)


def locked(job_id: UUID, actor: Actor) -> Job:
    """As `find`; NotFound or NotAllowed if it is not the actor's to change."""
    job = find(job_id)
    if job is None or not actor.sees(job):
        raise NotFound("Job", job_id)
    if not actor.changes(job):
        raise NotAllowed(Right.CONTROL)
    return job


def locked_external(job_id: UUID, actor: Actor) -> Job:
    """As `locked`, and Conflict for a job of the server's own, which no plug-in may report on."""
    job = locked(job_id, actor)
    if not job.external:
        raise Conflict("This job is the server's own; a plug-in can change external jobs only.")
    return job


def step_of(job: Job, step_id: UUID) -> Step:
    """The step of that job; NotFound also for a step of another job."""
    step = find_step(job, step_id)
    if step is None:
        raise NotFound("Step", step_id)
    return step


def find_step(job: Job, step_id: UUID) -> Step | None:
    """The step of that job, if there is one."""
    return _STEP.first(job.pk, step_id)


def next_number(job: Job, parent: Step | None) -> int:
    """The number of the next step under `parent`, or else under the locked job itself."""
    last = _LAST_UNDER.rows(parent.pk) if parent else _LAST_TOP.rows(job.pk)
    return last[0][0] + 1 if last else 0


def outcome(status: str) -> Status:
    """The status as one that ends work; Invalid for any other."""
    if status not in ENDED:
        raise Invalid("status", f"work can end as {', '.join(ENDED)}, not as {status}.")
    return Status(status)


def touch(job: Job, *, actor: Actor, now: datetime, **fields: Any) -> list[Event]:
    """Write `fields` and the sign of life to the job's row; the events if that brought it back from UNKNOWN.

    What comes back returns to the lists. A deadline that it came back from is spent, or it would be lost again.
    """
    back = job.status == Status.UNKNOWN
    deadline = None if back and job.deadline and job.deadline <= now else job.deadline
    fields |= {
        "last_updated": now,
        "last_sign": now,
        "version": job.version + 1,
        "deadline": deadline,
        "stale_at": job.stale_after(now, deadline),
    }
    if not back:
        job.change(**fields)
        return []
    job.move(Status.STARTED, reason="", cleared_at=None, **fields)
    return [moved(job, Status.UNKNOWN, actor=actor, now=now, text="A sign of life came.")]


def moved(job: Job, old: str, *, actor: Actor, now: datetime, text: str = "") -> Event:
    """The event of the job's own move from `old` to its present status."""
    return Event.of(job, Verb.MOVED, actor=actor, now=now, old_status=old, new_status=job.status, text=text)


def close_steps(job: Job, steps: list[Step], status: Status, *, actor: Actor, now: datetime) -> list[Event]:
    """Move the open `steps` to `status`; their events, for the caller to append and count."""
    keys = [step.pk for step in steps]
    for start in range(0, len(keys), 500):  # SQLite binds 32 766 values at most
        batch = Step.objects.filter(pk__in=keys[start : start + 500], end_time=None)
        batch.update(status=status, end_time=now, last_updated=now)
    return [
        Event.of(
            job, Verb.MOVED, actor=actor, now=now, step_id=step.pk, old_status=step.status, new_status=status
        )
        for step in steps
    ]


def open_steps(job: Job) -> list[Step]:
    """The job's steps that have not ended, of every depth."""
    return _OPEN_STEPS.all(job.pk)


def end(
    job: Job, status: Status, *, actor: Actor, now: datetime, force: bool = False, **fields: Any
) -> list[Event]:
    """End the locked job as `status` and its open steps in the same way, or as ABORTED with `force`; the events.

    Conflict if the server still works on one of the steps, unless `force`.
    """
    old, steps = job.status, open_steps(job)
    for step in steps:
        if not (step.external or force):
            raise Conflict(
                f"The server still runs step {step.pk}, {step.description}; wait for it, or end with force."
            )
    closing = Status.ABORTED if force else status
    job.move(
        status,
        end_time=now,
        cleared_at=None,
        last_updated=now,
        last_sign=now,
        version=job.version + 1,
        stale_at=None,
        steps_open=0,
        steps_bad=job.steps_bad + (len(steps) if closing in BAD else 0),
        **fields,
    )
    events = close_steps(job, steps, closing, actor=actor, now=now) if steps else []
    return [*events, moved(job, old, actor=actor, now=now, text=job.reason)]
