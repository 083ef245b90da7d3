"""Which jobs somebody sees, and the pages of a list."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from django.db.models import Q, QuerySet

from taskmonitor.errors import Invalid, NotFound
from taskmonitor.models import Actor, Job, Right, Step


def listed(actor: Actor, *, own_only: bool = False) -> QuerySet[Job]:
    """The jobs that lists show: not cleared, and the actor's to see. Their owners come along."""
    jobs = Job.objects.filter(cleared_at=None).select_related("owner")
    if own_only or not actor.may(Right.VIEW_ALL):
        return jobs.filter(owner=actor.user_id)
    return jobs


def job(job_id: UUID, actor: Actor) -> Job:
    """The job, cleared or not; NotFound also for one that the actor may not see."""
    found = Job.objects.select_related("owner").filter(pk=job_id).first()
    if found is None or not actor.sees(found):
        raise NotFound("Job", job_id)
    return found


def step(job_id: UUID, step_id: UUID, actor: Actor) -> Step:
    """The step of that job; NotFound also for a step of another job."""
    found = Step.objects.select_related("job").filter(pk=step_id, job_id=job_id).first()
    if found is None or not actor.sees(found.job):
        raise NotFound("Step", step_id)
    return found


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list by start time: right behind this job."""

    start_time: datetime
    job_id: UUID

    @classmethod
    def behind(cls, job: Job) -> Self:
        return cls(job.start_time, job.pk)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The cursor that `str` wrote; Invalid for any other text."""
        try:
            start_time, _, job_id = base64.urlsafe_b64decode(text.encode()).decode().partition(" ")
            return cls(datetime.fromisoformat(start_time), UUID(job_id))
        except (ValueError, binascii.Error):
            raise Invalid("after", "is not a position that this server gave; begin without it.") from None

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.start_time.isoformat()} {self.job_id}".encode()).decode()


def page(
    jobs: QuerySet[Job],
    *,
    limit: int,
    after: Cursor | None = None,
    oldest_first: bool = False,
    offset: int = 0,
) -> tuple[list[Job], Cursor | None]:
    """At most `limit` jobs behind `after`, newest first unless told, and where the next page begins, if any."""
    ordered = jobs.order_by("start_time", "id") if oldest_first else jobs.order_by("-start_time", "-id")
    if after:
        word = "gt" if oldest_first else "lt"
        ordered = ordered.filter(
            Q(**{f"start_time__{word}": after.start_time})
            | Q(**{"start_time": after.start_time, f"id__{word}": after.job_id}),
            **{f"start_time__{word}e": after.start_time},  # lets the index begin at the right place
        )
    found = list(ordered[offset : offset + limit + 1])
    more = len(found) > limit
    return found[:limit], Cursor.behind(found[limit - 1]) if more else None


def every(jobs: QuerySet[Job], *, oldest_first: bool = False, size: int = 500) -> Iterator[list[Job]]:
    """All of the list, in pages, so that neither memory nor a transaction grows with it."""
    cursor = None
    while True:
        found, cursor = page(jobs, limit=size, after=cursor, oldest_first=oldest_first)
        yield found
        if cursor is None:
            return
