"""What time does to work: it is lost sight of, cleared, and in the end deleted.

What is due is decided by pure functions of a job and `now`; `tick` does it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from taskmonitor.errors import TaskMonitorError
from taskmonitor.lifecycle import ENDED, Status
from taskmonitor.models import SYSTEM, AccessToken, IdempotencyRecord, Job
from taskmonitor.services import jobs
from taskmonitor.services.transaction import writing

logger = logging.getLogger(__name__)

BATCH = 500  # jobs read at once
SPELL = 3.0  # seconds after which a tick ends, so that neither commands nor a stop wait for it


@dataclass(slots=True)
class Report:
    """What a tick did: ids of jobs. Of a dry run, what it would begin with: at most a batch of each.

    `more` says that its time was over before all was done.
    """

    lost: list[UUID] = field(default_factory=list)
    cleared: list[UUID] = field(default_factory=list)
    deleted: list[UUID] = field(default_factory=list)
    more: bool = False

    def __bool__(self) -> bool:
        return bool(self.lost or self.cleared or self.deleted)


def lost_because(job: Job, now: datetime) -> str:
    """Why the job must be called UNKNOWN; empty if it must not."""
    if job.status != Status.STARTED or job.stale_at is None or job.stale_at > now:
        return ""
    if job.deadline and job.deadline <= now:
        return f"It had not ended by its deadline, {job.deadline.isoformat(timespec='seconds')}."
    return f"No sign of life for {job.heartbeat_limit} s; the last came at {job.last_sign.isoformat(timespec='seconds')}."


def clears_at(job: Job) -> datetime | None:
    """When the clean-up clears the job: a while after its end if it is auto_cleared, else never.

    An UNKNOWN job has no end; that it was lost counts as one, until it comes back.
    """
    if not job.auto_cleared or job.cleared_at or job.status == Status.STARTED:
        return None
    return (job.end_time or job.last_updated) + _kept_for(job.status)


def deletes_at(job: Job) -> datetime | None:
    """When retention deletes the job: long after it was cleared; never one that is not, so never a STARTED one."""
    retention: timedelta = settings.KEEP_CLEARED_FOR
    return job.cleared_at + retention if job.cleared_at else None


def tick(now: datetime, *, dry_run: bool = False) -> Report:
    """One pass of upkeep. It may be repeated or run twice at once: each effect is guarded by the job's row."""
    deadline = monotonic() + SPELL
    report = Report(
        lost=_each(stale_jobs, now, None if dry_run else _lose, deadline),
        cleared=[
            *_each(_ended_to_clear, now, None if dry_run else _clear, deadline),
            *_each(_lost_to_clear, now, None if dry_run else _clear, deadline),
        ],
        deleted=_each(_to_delete, now, None if dry_run else _delete, deadline),
        more=monotonic() > deadline,
    )
    if dry_run:
        return report
    with writing():
        IdempotencyRecord.objects.filter(created__lt=now - settings.KEEP_ANSWERS_FOR).delete()
        AccessToken.objects.filter(name="", expires__lt=now).delete()
    if report:
        logger.info(
            "Upkeep lost=%d cleared=%d deleted=%d", len(report.lost), len(report.cleared), len(report.deleted)
        )
    return report


def _each(
    due: Callable[[datetime], QuerySet[Job]],
    now: datetime,
    effect: Callable[[Job, datetime], object] | None,
    deadline: float,
) -> list[UUID]:
    """The ids of the due jobs, and `effect` on each of them, batch after batch while that gets on."""
    if effect is None:
        return [job.pk for job in due(now)[:BATCH]]
    done: list[UUID] = []
    while monotonic() < deadline:
        batch, before = due(now)[:BATCH], len(done)
        done += [job.pk for job in batch if monotonic() < deadline and _affected(job, now, effect)]
        if len(batch) < BATCH or len(done) == before:
            break
    return done


def _affected(job: Job, now: datetime, effect: Callable[[Job, datetime], object]) -> bool:
    try:
        effect(job, now)
    except TaskMonitorError as error:
        logger.info("Job id=%s left alone: %s", job.pk, error)
        return False
    return True


def _kept_for(status: str) -> timedelta:
    kept: timedelta = (
        settings.CLEAR_FINISHED_AFTER if status == Status.FINISHED else settings.CLEAR_FAILED_AFTER
    )
    return kept


def stale_jobs(now: datetime) -> QuerySet[Job]:
    """The jobs to be called UNKNOWN, the longest due first."""
    return Job.objects.filter(status=Status.STARTED, stale_at__lte=now).order_by("stale_at")


def _ended_to_clear(now: datetime) -> QuerySet[Job]:
    over = Q()
    for status in ENDED:
        over |= Q(status=status, end_time__lte=now - _kept_for(status))
    return Job.objects.filter(over, auto_cleared=True, cleared_at=None, end_time__lte=now).order_by(
        "end_time"
    )


def _lost_to_clear(now: datetime) -> QuerySet[Job]:
    limit = now - _kept_for(Status.UNKNOWN)
    lost = Job.objects.filter(status=Status.UNKNOWN, auto_cleared=True, cleared_at=None)
    return lost.filter(last_updated__lte=limit).order_by("start_time")


def _to_delete(now: datetime) -> QuerySet[Job]:
    return Job.objects.filter(cleared_at__lte=now - settings.KEEP_CLEARED_FOR).order_by("cleared_at")


def _lose(job: Job, now: datetime) -> None:
    jobs.lose_job(job_id=job.pk, reason=lost_because(job, now), now=now)


def _clear(job: Job, now: datetime) -> None:
    jobs.clear_job(job_id=job.pk, actor=SYSTEM, now=now)


def _delete(job: Job, now: datetime) -> None:
    jobs.delete_job(job_id=job.pk, cleared_until=now - settings.KEEP_CLEARED_FOR, now=now)
