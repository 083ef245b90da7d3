"""What jobs work on, as lists show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber

from taskmonitor.models import Entity, Job, JobEntity
from taskmonitor.statements import Prepared

_OF_JOBS = Prepared(
    lambda jobs: JobEntity.objects.filter(job__among=jobs).values_list(
        "job_id", "entity__type", "entity__key", "entity__name"
    )
)


class Named(NamedTuple):
    """An entity as a job's answer has it."""

    type: str
    key: str
    name: str


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


def of_jobs(jobs: Sequence[Job]) -> dict[UUID, list[Named]]:
    """For each of the jobs all its entities, by type and key; one query, none for no jobs."""
    found: dict[UUID, list[Named]] = {job.pk: [] for job in jobs}
    for job_id, *named in sorted(_OF_JOBS.rows(list(found)), key=itemgetter(1, 2)) if found else ():
        found[job_id].append(Named(*named))
    return found
