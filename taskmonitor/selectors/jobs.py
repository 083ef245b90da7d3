"""Which jobs somebody sees, and the pages of a list."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from taskmonitor.errors import Invalid, NotFound
from taskmonitor.models import Actor, Job, JobEntity, Right, Step


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
            return cls(datetime.fromisoformat(start_time).astimezone(UTC), UUID(job_id))
        except (ValueError, OverflowError):
            raise Invalid("after", "is not a position that this server gave; begin without it.") from None

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.start_time.isoformat()} {self.job_id}".encode()).decode()


EVERYTHING = Q()


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a list that one index gives in order.

    With `entity`, its key, the part is cut out of that entity's history. A filter that no index helps is
    `bounded`: it looks at the newest jobs only.
    """

    where: Q = EVERYTHING
    entity: int | None = None
    bounded: bool = False

    def __and__(self, other: Self) -> Self:
        where = self.where & (other.filter() if self.entity else other.where)
        return type(self)(where, self.entity or other.entity, self.bounded or other.bounded)

    def filter(self) -> Q:
        """The part as a filter, to be used in any order."""
        if self.entity is None:
            return self.where
        return self.where & Q(Exists(JobEntity.objects.filter(job=OuterRef("pk"), entity=self.entity)))


ALL = (Part(),)
FARTHEST = 10_000  # jobs that a bounded part looks at


def page(
    jobs: QuerySet[Job],
    *,
    limit: int,
    after: Cursor | None = None,
    oldest_first: bool = False,
    offset: int = 0,
    any_of: Sequence[Part] = ALL,
) -> tuple[list[Job], Cursor | None]:
    """At most `limit` jobs behind `after`, newest first unless told, and where the next page begins, if any.

    The jobs are those in any of the parts. Each part is asked for by itself, since no database walks
    several indexes at once in the order of the list.
    """
    wanted = offset + limit + 1
    parts = [_in_order(jobs, part, after, oldest_first)[:wanted] for part in any_of]
    together = {job.pk: job for part in parts for job in part}.values()
    found = list(together)
    if len(parts) > 1:
        found.sort(key=lambda job: (job.start_time, job.pk), reverse=not oldest_first)
    found = found[offset:wanted]
    more = len(found) > limit > 0
    return found[:limit], Cursor.behind(found[limit - 1]) if more else None


def every(
    jobs: QuerySet[Job], *, oldest_first: bool = False, size: int = 500, any_of: Sequence[Part] = ALL
) -> Iterator[list[Job]]:
    """All of the list, in pages, so that neither memory nor a transaction grows with it."""
    cursor = None
    while True:
        found, cursor = page(jobs, limit=size, after=cursor, oldest_first=oldest_first, any_of=any_of)
        yield found
        if cursor is None:
            return


def _in_order(jobs: QuerySet[Job], part: Part, after: Cursor | None, oldest_first: bool) -> QuerySet[Job]:
    time, key = ("jobentity__start_time", "jobentity__job_id") if part.entity else ("start_time", "id")
    where = part.where
    if part.entity:
        where &= Q(jobentity__entity=part.entity)
    if part.bounded:
        where &= _newest(jobs)
    if after:
        word = "gt" if oldest_first else "lt"
        where &= Q(**{f"{time}__{word}e": after.start_time})  # lets the index begin at the right place
        where &= Q(**{f"{time}__{word}": after.start_time}) | Q(
            **{time: after.start_time, f"{key}__{word}": after.job_id}
        )
    sign = "" if oldest_first else "-"
    return jobs.filter(where).order_by(sign + time, sign + key)


def _newest(jobs: QuerySet[Job]) -> Q:
    """Cuts the jobs down to the newest, if there are very many."""
    times = jobs.order_by("-start_time", "-id").values_list("start_time", flat=True)
    return Q(*(Q(start_time__gte=time) for time in times[FARTHEST : FARTHEST + 1]))
