"""What jobs work on, as lists show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from taskmonitor.models import Entity, Job, JobEntity
from taskmonitor.statements import Prepared

_OF_JOBS = Prepared(
    lambda jobs: (
        JobEntity.objects.filter(job__among=jobs)
        .order_by("pk")
        .values_list("job_id", "entity__type", "entity__key", "entity__name")
    )
)


class Named(NamedTuple):
    """An entity as lists have it."""

    type: str
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Where:
    """The first entity of a job, and how many there are besides."""

    first: Named
    more: int


def where(jobs: Sequence[UUID]) -> dict[UUID, Where]:
    """For each of the jobs that works on anything, what; one query."""
    return {job: Where(named[0], len(named) - 1) for job, named in of_jobs(jobs).items() if named}


def of_job(job: Job, *, limit: int) -> list[Entity]:
    """The first entities of the job."""
    links = JobEntity.objects.filter(job=job).select_related("entity").order_by("pk")[:limit]
    return [link.entity for link in links]


def of_jobs(jobs: Sequence[UUID]) -> dict[UUID, list[Named]]:
    """For each of the jobs all its entities, the first named first; one query, none for no jobs."""
    found: dict[UUID, list[Named]] = {job: [] for job in jobs}
    for job, *named in _OF_JOBS.rows([*jobs]) if jobs else ():
        found[job].append(Named(*named))
    return found
