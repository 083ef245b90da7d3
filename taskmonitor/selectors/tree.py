"""The steps of a job as a tree: one query, however deep, and a flat list in the order of reading."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple, TypeVar
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q

from taskmonitor.lifecycle import Status
from taskmonitor.models import Job, Step
from taskmonitor.models.job import percent
from taskmonitor.selectors.expressions import Spelled
from taskmonitor.statements import Prepared


class ListedStep(NamedTuple):
    """What lists show of a step, which takes a fourth of the time that a `Step` takes. Keys are texts."""

    pk: str
    job_id: str
    parent_step_id: str | None
    number: int
    description: str
    type: str
    status: str
    reason: str
    start_time: datetime
    end_time: datetime | None
    external: bool
    progress_current: int | None
    progress_end: int | None
    progress_text: str

    @property
    def percent(self) -> int | None:
        return percent(self.progress_current, self.progress_end)


AnyStep = Step | ListedStep

_LISTED = Step.objects.values_list(*map(Spelled, ListedStep._fields[:3]), *ListedStep._fields[3:])
_STEPS = Prepared(lambda jobs: _LISTED.filter(job__among=jobs))
_AMONG = Prepared(lambda keys: _LISTED.filter(pk__among=keys))


class _Place(NamedTuple):
    """Where a step stands in its job. Keys are texts."""

    pk: str
    parent_step_id: str | None
    number: int


_PLACES = Prepared(
    lambda jobs: Step.objects.filter(job__among=jobs).values_list(*map(Spelled, _Place._fields[:2]), "number")
)
AnyPlace = TypeVar("AnyPlace", ListedStep, _Place)


def steps(jobs: Sequence[Job]) -> dict[UUID, list[ListedStep]]:
    """For each of the jobs every step, each parent before its sub-steps, siblings by number; one query."""
    beneath: dict[str, list[ListedStep]] = {}
    found = map(ListedStep._make, _STEPS.rows([job.pk for job in jobs]))
    for step in sorted(found, key=attrgetter("number")):  # in a tenth of the time that SQLite takes
        beneath.setdefault(step.parent_step_id or step.job_id, []).append(step)
    return {job.pk: _in_reading_order(str(job.pk), beneath) for job in jobs}


def pages(job: Job, *, limit: int | None = None, size: int = 500) -> Iterator[list[ListedStep]]:
    """The first `limit` of the job's steps, in the order of `steps`; of a long list only a page is in memory."""
    if job.steps_total <= size:
        yield steps([job])[job.pk][:limit]
        return
    beneath: dict[str, list[_Place]] = {}
    for place in sorted(map(_Place._make, _PLACES.rows([job.pk])), key=attrgetter("number")):
        beneath.setdefault(place.parent_step_id or str(job.pk), []).append(place)
    keys = b"".join(UUID(place.pk).bytes for place in _in_reading_order(str(job.pk), beneath)[:limit])
    del beneath
    for start in range(0, len(keys), 16 * size):
        page = keys[start : start + 16 * size]
        wanted = [UUID(bytes=page[place : place + 16]) for place in range(0, len(page), 16)]
        found = {step.pk: step for step in map(ListedStep._make, _AMONG.rows(wanted))}
        yield [found[str(key)] for key in wanted if str(key) in found]


def _in_reading_order(key: str, beneath: dict[str, list[AnyPlace]]) -> list[AnyPlace]:
    """All steps beneath a job; without recursion, for a tree may be 1 000 deep."""
    ordered: list[AnyPlace] = []
    waiting = beneath.get(key, [])[::-1]
    while waiting:
        step = waiting.pop()
        ordered.append(step)
        waiting += reversed(beneath.get(step.pk, ()))
    return ordered


@dataclass(frozen=True, slots=True)
class Counts:
    """How the sub-steps right under a step stand."""

    total: int = 0
    ok: int = 0
    bad: int = 0
    open: int = 0


def level(job: Job, parent_step_id: UUID | None, *, limit: int, after: int = -1) -> list[Step]:
    """The steps right under the job or a step, by number, behind the number `after`."""
    siblings = job.steps.filter(parent_step=parent_step_id, number__gt=after)
    return list(siblings.order_by("number")[:limit])


def size(job: Job, parent_step_id: UUID | None) -> int:
    """How many steps there are right under the job or a step."""
    return job.steps.filter(parent_step=parent_step_id).count()


def sub_step_counts(steps: Sequence[Step]) -> dict[UUID, Counts]:
    """For each of the steps that has sub-steps, how these stand; one query."""
    rows = (
        Step.objects.filter(parent_step__in=[step.pk for step in steps])
        .values("parent_step_id")
        .annotate(
            total=Count("pk"),
            ok=Count("pk", filter=Q(status=Status.FINISHED)),
            bad=Count("pk", filter=Q(status__in=(Status.FAILED, Status.ABORTED))),
        )
    )
    return {
        row["parent_step_id"]: Counts(
            total=row["total"], ok=row["ok"], bad=row["bad"], open=row["total"] - row["ok"] - row["bad"]
        )
        for row in rows
    }


def ancestors(step: Step) -> list[Step]:
    """The steps above the step, the one right under the job first; one query, however deep."""
    above = Step.objects.raw(
        """
        WITH RECURSIVE above(id) AS (
            SELECT parent_step_id FROM taskmonitor_step WHERE id = %s
            UNION ALL
            SELECT parent_step_id FROM taskmonitor_step JOIN above USING (id)
        )
        SELECT taskmonitor_step.* FROM taskmonitor_step JOIN above USING (id) ORDER BY depth
        """,
        [Step._meta.pk.get_db_prep_value(step.pk, connection)],
    )
    return list(above)
