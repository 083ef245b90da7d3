"""What time does to work: it is lost sight of, cleared, and in the end deleted.

What is due is decided by pure functions of a job and `now`; `tick` does it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from taskmonitor.errors import TaskMonitorError
from taskmonitor.lifecycle import Status
from taskmonitor.models import SYSTEM, AccessToken, IdempotencyRecord, Job
from taskmonitor.services import jobs
from taskmonitor.services.transaction import writing

logger = logging.getLogger(__name__)

BATCH = 500  # jobs of one kind that one tick takes on


@dataclass(slots=True)
class Report:
    """What a tick did, or with `dry_run` would have done: ids of jobs."""

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
    """When the clean-up clears the job: a while after its end if it is auto_cleared, else never."""
    if not job.auto_cleared or job.end_time is None:
        return None
    return job.end_time + _kept_for(job.status)


def deletes_at(job: Job) -> datetime | None:
    """When retention deletes the job: long after it was cleared; never one that is not, or is still live."""
    if job.cleared_at is None or job.end_time is None:
        return None
    retention: timedelta = settings.KEEP_CLEARED_FOR
    return max(job.cleared_at, job.end_time) + retention


def tick(now: datetime, *, dry_run: bool = False) -> Report:
    """One pass of upkeep. It may be repeated or run twice at once: each effect is guarded by the job's row."""
    report = Report(
        lost=_each(_stale(now), now, _lose, dry_run),
        cleared=_each(_to_clear(now), now, _clear, dry_run),
        deleted=_each(_to_delete(now), now, _delete, dry_run),
    )
    if not dry_run:
        with writing():
            IdempotencyRecord.objects.filter(created__lt=now - settings.KEEP_ANSWERS_FOR).delete()
            AccessToken.objects.filter(name="", expires__lt=now).delete()
    if report:
        logger.info(
            "Upkeep lost=%d cleared=%d deleted=%d", len(report.lost), len(report.cleared), len(report.deleted)
        )
    return report


def _each(
    due: list[Job], now: datetime, effect: Callable[[Job, datetime], object], dry_run: bool
) -> list[UUID]:
    done = []
    for job in due:
        try:
            if not dry_run:
                effect(job, now)
        except TaskMonitorError as error:
            logger.info("Job id=%s left alone: %s", job.pk, error)
        else:
            done.append(job.pk)
    return done


def _kept_for(status: str) -> timedelta:
    kept: timedelta = (
        settings.CLEAR_FINISHED_AFTER if status == Status.FINISHED else settings.CLEAR_FAILED_AFTER
    )
    return kept


def _stale(now: datetime) -> list[Job]:
    return list(Job.objects.filter(status=Status.STARTED, stale_at__lte=now).order_by("stale_at")[:BATCH])


def _to_clear(now: datetime) -> list[Job]:
    over = Q()
    for status in (Status.FINISHED, Status.FAILED, Status.ABORTED):
        over |= Q(status=status, end_time__lte=now - _kept_for(status))
    ended = Job.objects.filter(auto_cleared=True, cleared_at=None, end_time__isnull=False)
    return list(ended.filter(over).order_by("end_time")[:BATCH])


def _to_delete(now: datetime) -> list[Job]:
    limit = now - settings.KEEP_CLEARED_FOR
    return list(Job.objects.filter(cleared_at__lte=limit, end_time__lte=limit).order_by("cleared_at")[:BATCH])


def _lose(job: Job, now: datetime) -> None:
    jobs.lose_job(job_id=job.pk, reason=lost_because(job, now), now=now)


def _clear(job: Job, now: datetime) -> None:
    jobs.clear_job(job_id=job.pk, actor=SYSTEM, now=now)


def _delete(job: Job, now: datetime) -> None:
    with writing():
        job.delete()
