"""What time does to work: it is lost sight of, cleared, and in the end deleted.

What is due is decided by pure functions of a job and `now`; `tick` does it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from taskmonitor import sqlite_file
from taskmonitor.errors import TaskMonitorError
from taskmonitor.lifecycle import ENDED, Status
from taskmonitor.models import SYSTEM, AccessToken, AuditEntry, IdempotencyRecord, Job, Session
from taskmonitor.services import jobs, login_record
from taskmonitor.services.portions import Portions

logger = logging.getLogger(__name__)

BATCH = 500  # jobs read at once
SPELL = 0.15  # seconds after which a tick ends, so that neither commands nor a stop wait for it


@dataclass(slots=True)
class Report:
    """What a tick did: ids of jobs."""

    lost: list[UUID] = field(default_factory=list)
    cleared: list[UUID] = field(default_factory=list)
    deleted: list[UUID] = field(default_factory=list)

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


def planned(now: datetime) -> Report:
    """What a tick would begin with."""
    lost, *cleared, deleted = (
        [job.pk for job in due(now)[:BATCH]]
        for due in (stale_jobs, _ended_to_clear, _lost_to_clear, _to_delete)
    )
    return Report(lost, [*chain(*cleared)], deleted)


def tick(now: datetime, portions: Portions) -> Report:
    """One pass of upkeep. It may be repeated or run twice at once: each effect is guarded by the job's row."""
    report = Report(
        lost=_each(stale_jobs, now, _lose, portions),
        cleared=[
            *_each(_ended_to_clear, now, _clear, portions),
            *_each(_lost_to_clear, now, _clear, portions),
        ],
    )
    for rows in (
        IdempotencyRecord.objects.filter(created__lt=now - settings.KEEP_ANSWERS_FOR),
        AccessToken.objects.filter(name="", expires__lt=now),
        Session.objects.filter(expire_date__lt=now),
        AuditEntry.objects.filter(verb__in=login_record.VERBS, time__lt=now - settings.KEEP_LOGINS_FOR),
    ):
        portions.delete(rows)
    report.deleted = jobs.delete_jobs(
        cleared_until=now - settings.KEEP_CLEARED_FOR, now=now, portions=portions
    )
    sqlite_file.shrink(portions)
    if report:
        logger.info(
            "Upkeep lost=%d cleared=%d deleted=%d", len(report.lost), len(report.cleared), len(report.deleted)
        )
    return report


def _each(
    due: Callable[[datetime], QuerySet[Job]],
    now: datetime,
    effect: Callable[[Job, datetime], object],
    portions: Portions,
) -> list[UUID]:
    """`effect` on each of the due jobs, batch after batch while that gets on; their ids."""
    done: list[UUID] = []
    while not portions.over:
        batch, before = list(due(now)[:BATCH]), len(done)
        left = batch
        while left and not portions.over:
            with portions.transaction():
                portion, left = left[: portions.size], left[portions.size :]
                affected = [job.pk for job in portion if _affected(job, now, effect)]
            done += affected
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
