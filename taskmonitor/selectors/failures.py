"""What went wrong in a job, one cause at a time; services/_causes.py says which steps are causes."""

from dataclasses import dataclass
from uuid import UUID

from taskmonitor.models import Job, Step
from taskmonitor.selectors import tree


@dataclass(frozen=True, slots=True)
class Failure:
    """A cause, the steps above it from the top, and the causes before and after it."""

    step: Step
    above: list[Step]
    previous: Step | None
    next: Step | None


def failure(job: Job, step_id: UUID | None = None) -> Failure | None:
    """The cause that is this step, or else the first; None if the job has none."""
    if not job.causes:
        return None
    chosen = job.steps.filter(pk=step_id, cause__isnull=False).first() if step_id else None
    place = (chosen and chosen.cause) or 0
    beside = {step.cause: step for step in job.steps.filter(cause__in=(place - 1, place, place + 1))}
    if place not in beside:  # a clean-up is deleting them
        return None
    return Failure(beside[place], tree.ancestors(beside[place]), beside.get(place - 1), beside.get(place + 1))
