"""What can be done to a step (oVirt: AddExternalStep, EndExternalStep)."""

import logging
from datetime import datetime
from typing import Any
from uuid import UUID

from taskmonitor import feed
from taskmonitor.errors import Conflict, Ended, Invalid, ParentEnded
from taskmonitor.lifecycle import ENDED, Status
from taskmonitor.models import Actor, Event, Job, Right, Step, StepType, Verb
from taskmonitor.services import _job_row as row
from taskmonitor.services._causes import blame
from taskmonitor.services.text import checked, required
from taskmonitor.services.transaction import writing
from taskmonitor.statements import insert

logger = logging.getLogger(__name__)

DEEPEST = 1000  # steps above a step
TYPES, STATUSES = StepType.values, Status.values  # Django makes these lists anew each time


def add_step(
    *,
    job_id: UUID,
    description: str,
    type: str,  # noqa: A002 - the field's own name
    actor: Actor,
    now: datetime,
    parent_step_id: UUID | None = None,
    status: str = Status.STARTED,
    reason: str = "",
) -> Step:
    """Store a new external step under the job, or under one of its steps (oVirt: AddExternalStep).

    A step recorded after the fact, with a `status` that ends it, gets its end time at once. The reason is that
    of its status, so a STARTED step has none.
    """
    row.require(actor, Right.INJECT)
    if type not in TYPES:
        raise Invalid("type", f"{type} is not one of {', '.join(TYPES)}.")
    if status not in STATUSES:
        raise Invalid("status", f"{status} is not one of {', '.join(STATUSES)}.")
    text, why = required("description", description), checked("reason", reason)
    if status == Status.STARTED:
        why = ""
    with writing():
        job = row.locked_external(job_id, actor)
        if job.ended:
            raise ParentEnded("job", job.status)
        parent = _parent(job, parent_step_id)
        step = Step(
            job=job,
            parent_step=parent,
            number=row.next_number(job, parent),
            depth=parent.depth + 1 if parent else 0,
            description=text,
            type=type,
            status=status,
            reason=why,
            external=True,
            start_time=now,
            end_time=now if status in ENDED else None,
            last_updated=now,
        )
        causes = blame(step, job.causes) if status == Status.FAILED else {}
        insert(step)
        revival = row.touch(
            job,
            actor=actor,
            now=now,
            steps_total=job.steps_total + 1,
            steps_open=job.steps_open + (not step.ended),
            steps_bad=job.steps_bad + (status in row.BAD),
            **causes,
        )
        added = Event.of(job, Verb.ADDED, actor=actor, now=now, step_id=step.pk, new_status=status, text=why)
        feed.append(*revival, added)
    logger.info("Step id=%s job=%s status=%s", step.pk, job.pk, step.status)
    return step


def end_step(
    *,
    job_id: UUID,
    step_id: UUID,
    status: str,
    actor: Actor,
    now: datetime,
    force: bool = False,
    reason: str = "",
    fails_job: bool = False,
) -> Step:
    """End an external step (oVirt: EndExternalStep).

    Open steps beneath it stay as they are, or become ABORTED with `force`. With `fails_job` a FAILED
    step fails its job and whatever is open in it, as the oVirt engine does. Ending it again in the same
    way changes nothing; in another way it raises TransitionError.
    """
    row.require(actor, Right.INJECT)
    target = row.outcome(status)
    text = checked("reason", reason)
    with writing():
        job = row.locked_external(job_id, actor)
        step = row.step_of(job, step_id)
        if not step.external:
            raise Conflict("This step is watched by the server; a plug-in can end external steps only.")
        if step.status == target:
            return step
        old = step.status
        causes = blame(step, job.causes) if target == Status.FAILED else {}
        step.move(target, end_time=now, last_updated=now, reason=text, cause=step.cause)
        beneath = _beneath(step, row.open_steps(job)) if force else []
        events = row.touch(
            job,
            actor=actor,
            now=now,
            steps_open=job.steps_open - 1 - len(beneath),
            steps_bad=job.steps_bad + (target in row.BAD) + len(beneath),
            **causes,
        )
        if beneath:
            events += row.close_steps(job, beneath, Status.ABORTED, actor=actor, now=now)
        events.append(
            Event.of(
                job,
                Verb.MOVED,
                actor=actor,
                now=now,
                step_id=step.pk,
                old_status=old,
                new_status=target,
                text=text,
            )
        )
        if fails_job and target == Status.FAILED:
            events += row.end(job, Status.FAILED, actor=actor, now=now, reason=text)
        feed.append(*events)
    logger.info("Step id=%s job=%s status=%s", step.pk, job.pk, step.status)
    return step


def report_progress(
    *,
    job_id: UUID,
    actor: Actor,
    now: datetime,
    step_id: UUID | None = None,
    current: int | None = None,
    end: int | None = None,
    text: str | None = None,
) -> Job | Step:
    """Note how far the step, or else the job itself, has come, in units of the caller's; None keeps the old value.

    It is a sign of life: what was UNKNOWN is STARTED again.
    """
    row.require(actor, Right.INJECT)
    if current is None and end is None and text is None:
        raise Invalid("progress", "give current, end or text.")
    with writing():
        job = row.locked_external(job_id, actor)
        work = row.step_of(job, step_id) if step_id else job
        if work.ended:
            raise Ended(str(work._meta.verbose_name), work.status, work.end_time)
        done = _amount("current", current, work.progress_current)
        whole = _amount("end", end, work.progress_end)
        if done is not None and whole is not None and done > whole:
            raise Invalid("current", f"{done} is beyond the end, {whole}.")
        fields: dict[str, Any] = {
            "progress_current": done,
            "progress_end": whole,
            "progress_text": work.progress_text if text is None else checked("text", text, longest=1000),
        }
        if isinstance(work, Job):
            events = row.touch(job, actor=actor, now=now, **fields)
        else:
            events = row.touch(job, actor=actor, now=now)
            events += _progress(work, actor=actor, now=now, **fields)
        feed.append(*events, Event.of(job, Verb.PROGRESSED, actor=actor, now=now, step_id=step_id))
    return work


def _progress(step: Step, *, actor: Actor, now: datetime, **fields: Any) -> list[Event]:
    """Write the progress of an open step; the events if that brought it back from UNKNOWN."""
    if step.status != Status.UNKNOWN:
        step.change(last_updated=now, **fields)
        return []
    step.move(Status.STARTED, reason="", last_updated=now, **fields)
    return [
        Event.of(
            step.job,
            Verb.MOVED,
            actor=actor,
            now=now,
            step_id=step.pk,
            old_status=Status.UNKNOWN,
            new_status=Status.STARTED,
        )
    ]


AMOUNT_MAX = 2**63 - 1


def _amount(field: str, value: int | None, kept: int | None) -> int | None:
    if value is not None and not 0 <= value <= AMOUNT_MAX:
        raise Invalid(field, f"must be a whole number from 0 to {AMOUNT_MAX}.")
    return kept if value is None else value


def _parent(job: Job, step_id: UUID | None) -> Step | None:
    if step_id is None:
        return None
    parent = row.find_step(job, step_id)
    if parent is None:
        raise Invalid("parent_step", f"{step_id} is not a step of this job.")
    if parent.ended:
        raise ParentEnded("parent step", parent.status)
    if parent.depth >= DEEPEST:
        raise Invalid("parent_step", f"{DEEPEST} steps stand above it already; nest no deeper.")
    return parent


def _beneath(top: Step, steps: list[Step]) -> list[Step]:
    """Those of `steps` that stand under `top`, however deep, also through ended ones."""
    children: dict[UUID | None, list[UUID]] = {}
    for key, parent in Step.objects.filter(job_id=top.job_id).values_list("pk", "parent_step_id"):
        children.setdefault(parent, []).append(key)
    beneath: set[UUID] = set()
    level = [top.pk]
    while level:
        level = [key for parent in level for key in children.get(parent, ())]
        beneath.update(level)
    return [step for step in steps if step.pk in beneath]
