"""The steps of a job as a tree: one query, however deep, and a flat list in the order of reading."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q

from taskmonitor.lifecycle import Status
from taskmonitor.models import Job, Step
from taskmonitor.statements import Prepared

_STEPS = Prepared(
    lambda job: Step.objects.filter(job=job).defer("depth", "last_updated")
)  # which nobody asks for


def steps(job: Job) -> list[Step]:
    """Every step of the job, each parent before its sub-steps, siblings by number."""
    return in_reading_order(_STEPS.all(job.pk))


def in_reading_order(steps: Iterable[Step]) -> list[Step]:
    """Each parent before its sub-steps, siblings by number; without recursion, for a tree may be 1 000 deep."""
    children: dict[UUID | None, list[Step]] = {}
    for step in steps:
        children.setdefault(step.parent_step_id, []).append(step)
    ordered = []
    waiting = _last_first(children.get(None, []))
    while waiting:
        step = waiting.pop()
        ordered.append(step)
        if step.pk in children:
            waiting += _last_first(children[step.pk])
    return ordered


def _last_first(siblings: list[Step]) -> list[Step]:
    return sorted(siblings, key=lambda step: step.number, reverse=True)


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
