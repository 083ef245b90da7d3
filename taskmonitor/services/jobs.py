"""What can be done to a job (oVirt: AddExternalJob, EndExternalJob, ClearExternalJob)."""

import logging
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from taskmonitor import feed
from taskmonitor.errors import Conflict, Ended, Invalid
from taskmonitor.lifecycle import ENDED, Status
from taskmonitor.models import SYSTEM, Actor, Entity, Event, Job, JobEntity, Right, Step, Verb
from taskmonitor.services import _job_row as row
from taskmonitor.services.portions import Portions, delete_first
from taskmonitor.services.text import checked, required
from taskmonitor.services.times import later
from taskmonitor.services.transaction import writing
from taskmonitor.statements import insert

logger = logging.getLogger(__name__)

LONGEST_HEARTBEAT = 366 * 24 * 3600  # seconds
USUAL_ROWS = 8  # events and steps that a job has
_CORRELATION_ID = re.compile(r"[0-9A-Za-z_.:-]{1,50}")


@dataclass(frozen=True, slots=True, order=True)
class EntityName:
    """How a caller names an entity; `name` is what people read, its key if not given."""

    type: str
    key: str
    name: str = ""


def correlation(value: str | None) -> str:
    """The correlation id as given, or a new one; Invalid for one that could not be echoed in a header."""
    if value is None:
        return str(uuid.uuid4())
    if not _CORRELATION_ID.fullmatch(value):
        raise Invalid("Correlation-Id", "must be 1 to 50 letters, digits, '_', '-', '.' or ':'.")
    return value


def add_job(
    *,
    description: str,
    actor: Actor,
    now: datetime,
    auto_cleared: bool = False,
    correlation_id: str | None = None,
    entities: Iterable[EntityName] = (),
    heartbeat_limit: int | None = None,
    deadline: datetime | None = None,
) -> Job:
    """Store a new external job, STARTED, owned by `actor` (oVirt: AddExternalJob)."""
    row.require(actor, Right.INJECT)
    if heartbeat_limit is not None and not 1 <= heartbeat_limit <= LONGEST_HEARTBEAT:
        raise Invalid("heartbeat_limit", f"must be 1 to {LONGEST_HEARTBEAT} seconds.")
    deadline = later("deadline", deadline, now)
    job = Job(
        description=required("description", description),
        external=True,
        auto_cleared=auto_cleared,
        owner_id=actor.user_id,
        correlation_id=correlation(correlation_id),
        heartbeat_limit=heartbeat_limit,
        deadline=deadline,
        start_time=now,
        last_updated=now,
        last_sign=now,
    )
    job.stale_at = job.stale_after(now, deadline)
    named = [_checked_entity(entity) for entity in entities]
    with writing():
        insert(job)
        _link(job, named)
        feed.append(Event.of(job, Verb.ADDED, actor=actor, now=now, new_status=job.status))
    logger.info("Job id=%s status=%s", job.pk, job.status)
    return job


def end_job(
    *, job_id: UUID, status: str, actor: Actor, now: datetime, force: bool = False, reason: str = ""
) -> Job:
    """End an external job, and every open step beneath it (oVirt: EndExternalJob).

    The steps get the job's own status, or ABORTED with `force`, which also marks the job auto_cleared.
    Ending it again in the same way changes nothing; in another way it raises TransitionError.
    """
    row.require(actor, Right.INJECT)
    target = row.outcome(status)
    text = checked("reason", reason)
    with writing():
        job = row.locked_external(job_id, actor)
        if job.status == target:
            return job
        feed.append(
            *row.end(
                job,
                target,
                actor=actor,
                now=now,
                force=force,
                reason=text,
                auto_cleared=job.auto_cleared or force,
            )
        )
    logger.info("Job id=%s status=%s", job.pk, job.status)
    return job


def clear_job(*, job_id: UUID, actor: Actor, now: datetime) -> Job:
    """Take a job that ended or was lost out of the lists; let the clean-up do so with a STARTED one in time.

    It stays reachable by id, and a lost one that comes back returns to the lists. Repeating it changes
    nothing (oVirt: ClearExternalJob).
    """
    if not actor.may(Right.CONTROL):
        row.require(actor, Right.INJECT)
    with writing():
        job = row.locked(job_id, actor)
        running = job.status == Status.STARTED
        if job.cleared_at or (job.auto_cleared and running):
            return job
        job.change(
            auto_cleared=True,
            cleared_at=None if running else now,
            last_updated=now,
            version=job.version + 1,
        )
        feed.append(Event.of(job, Verb.CLEARED, actor=actor, now=now))
    logger.info("Job id=%s cleared", job.pk)
    return job


def bring_back_job(*, job_id: UUID, actor: Actor, now: datetime) -> Job:
    """Take a clearing back: the job returns to the lists, and stays there until somebody clears it again.

    Repeating it changes nothing.
    """
    if not actor.may(Right.CONTROL):
        row.require(actor, Right.INJECT)
    with writing():
        job = row.locked(job_id, actor)
        if job.cleared_at is None:
            return job
        job.change(cleared_at=None, auto_cleared=False, last_updated=now, version=job.version + 1)
        feed.append(Event.of(job, Verb.RETURNED, actor=actor, now=now))
    logger.info("Job id=%s brought back", job.pk)
    return job


def heartbeat(*, job_id: UUID, actor: Actor, now: datetime) -> Job:
    """Take note that the job's plug-in is alive; brings an UNKNOWN job back. Conflict once it has ended."""
    row.require(actor, Right.INJECT)
    with writing():
        job = row.locked_external(job_id, actor)
        if job.ended:
            raise Ended("job", job.status, job.end_time)
        if job.status == Status.UNKNOWN:
            feed.append(*row.touch(job, actor=actor, now=now))
        else:
            job.change(last_sign=now, stale_at=job.stale_after(now, job.deadline))
    return job


def lose_job(*, job_id: UUID, reason: str, now: datetime) -> Job:
    """Call a job UNKNOWN because one of its own limits has passed; Conflict if it has none that did."""
    with writing():
        job = row.locked(job_id, SYSTEM)
        if job.stale_at is None or job.stale_at > now or job.status in ENDED:
            raise Conflict("The job has shown a sign of life meanwhile.")
        old = job.status
        job.move(Status.UNKNOWN, reason=reason, stale_at=None, last_updated=now, version=job.version + 1)
        feed.append(row.moved(job, old, actor=SYSTEM, now=now, text=reason))
    logger.info("Job id=%s status=%s", job.pk, job.status)
    return job


def delete_jobs(*, cleared_until: datetime, now: datetime, portions: Portions) -> list[UUID]:
    """Delete the jobs that have been cleared since then or before, with all that hangs on them; the ids of those gone.

    A job with 10 000 steps goes in several transactions. One that was never heard of again is ended first, so that
    it cannot come back half deleted.
    """
    deleted: list[UUID] = []
    due = Job.objects.filter(cleared_at__lte=cleared_until).order_by("cleared_at")
    while not portions.over:
        with portions.transaction():
            few = max(portions.size // USUAL_ROWS, 1)
            found = list(due.select_for_update(skip_locked=True)[:few])
            gone = _delete(found, now, portions.size) if found else []
        deleted += gone
        if not found:
            break
    if deleted:
        logger.info("Jobs deleted=%d", len(deleted))
    return deleted


def _delete(due: list[Job], now: datetime, most: int) -> list[UUID]:
    """Delete at most so many events and steps of the locked jobs; then the jobs, if those were all."""
    for job in due:
        if not job.ended:
            job.move(Status.ABORTED, end_time=now, stale_at=None, reason="Nothing was heard of it any more.")
    jobs, left = [job.pk for job in due], most
    feed.forget(jobs)
    events, steps = Event.objects.filter(job__in=jobs), Step.objects.filter(job__in=jobs).order_by("-depth")
    for rows in (events, steps):
        left -= delete_first(rows, left)
        if not left:
            return []
    Job.objects.filter(pk__in=jobs).delete()
    return jobs


def _checked_entity(entity: EntityName) -> EntityName:
    return EntityName(
        type=required("entity type", entity.type, longest=50),
        key=required("entity id", entity.key, longest=255),
        name=required("entity name", entity.name or entity.key, longest=255),
    )


def _link(job: Job, named: list[EntityName]) -> None:
    """Link the new job to what it works on, first the first named; all jobs make entities in one order: no deadlock."""
    made: dict[tuple[str, str], Entity] = {}
    for entity in sorted(set(named)):
        made[entity.type, entity.key], _ = Entity.objects.get_or_create(
            type=entity.type, key=entity.key, defaults={"name": entity.name}
        )
    in_order = dict.fromkeys((entity.type, entity.key) for entity in named)
    insert(*(JobEntity(job=job, entity=made[key], start_time=job.start_time) for key in in_order))
