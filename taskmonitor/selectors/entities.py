"""What jobs work on, as lists show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber

from taskmonitor.models import Entity, Job, JobEntity
from taskmonitor.statements import Prepared

_ALL = Prepared(lambda job: Entity.objects.filter(jobs=job))
_OF_JOBS = Prepared(lambda jobs: JobEntity.objects.filter(job__among=jobs).select_related("entity"))
_CAME_ALONG = "_entities"


@dataclass(frozen=True, slots=True)
class Where:
    """The first entity of a job, and how many there are besides."""

    first: Entity
    more: int


def where(jobs: Sequence[Job]) -> dict[UUID, Where]:
    """For each of the jobs that works on anything, what; one query."""
    links = (
        JobEntity.objects.filter(job__in=[job.pk for job in jobs])
        .annotate(
            place=Window(RowNumber(), partition_by=F("job"), order_by=F("pk").asc()),
            total=Window(Count("pk"), partition_by=F("job")),
        )
        .filter(place=1)
        .select_related("entity")
    )
    return {link.job_id: Where(link.entity, link.total - 1) for link in links}


def of_job(job: Job, *, limit: int) -> list[Entity]:
    """The first entities of the job."""
    links = JobEntity.objects.filter(job=job).select_related("entity").order_by("pk")[:limit]
    return [link.entity for link in links]


def every(job: Job) -> list[Entity]:
    """All entities of the job; no query if they came along with it."""
    came_along: list[Entity] | None = job.__dict__.get(_CAME_ALONG)
    return _ALL.all(job.pk) if came_along is None else came_along


def bring_along(jobs: Sequence[Job]) -> None:
    """Have `every` know the entities of these jobs; one query, none for no jobs."""
    for job in jobs:
        job.__dict__[_CAME_ALONG] = []
    known = {job.pk: job.__dict__[_CAME_ALONG] for job in jobs}
    for link in _OF_JOBS.all(list(known)) if known else ():
        known[link.job_id].append(link.entity)
