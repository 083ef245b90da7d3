"""The external-tasks design to the letter, with what it has grown since behind it."""

from collections.abc import Sequence

from api.ovirt.links import actions, job_href, link, reference, step_href, user_href
from api.wire import Members
from taskmonitor.models import Job
from taskmonitor.selectors.entities import Named
from taskmonitor.selectors.tree import AnyStep


def status(status: str) -> str:
    return status


def job(job: Job, base: str) -> Members:
    href = job_href(base, job.pk)
    return {
        "href": href,
        "id": str(job.pk),
        "description": job.description,
        "action_type": job.action_type,
        "status": job.status,
        "owner": _owner(job, base),
        "start_time": job.start_time,
        "end_time": job.end_time,
        "last_updated": job.last_updated,
        "external": job.external,
        "auto_cleared": job.auto_cleared,
        "reason": job.reason or None,
        "correlation_id": job.correlation_id,
        "heartbeat_limit": job.heartbeat_limit,
        "deadline": job.deadline,
        "progress": _progress(job),
        "entities": None,  # which one has to ask for
        "actions": actions(href, "clear", "end", "heartbeat", "progress"),
        "link": [link(href, "steps")],
    }


def step(step: AnyStep, base: str) -> Members:
    key, job_key = str(step.pk), str(step.job_id)  # to write a UUID takes as long as all else here
    above = step.parent_step_id and str(step.parent_step_id)
    href = step_href(base, job_key, key)
    return {
        "href": href,
        "id": key,
        "parent_job": None if above else reference(job_href(base, job_key), job_key),
        "parent_step": reference(step_href(base, job_key, above), above) if above else None,
        "description": step.description,
        "type": step.type,
        "number": step.number,
        "status": step.status,
        "start_time": step.start_time,
        "end_time": step.end_time,
        "external": step.external,
        "reason": step.reason or None,
        "progress": _progress(step),
        "actions": actions(href, "end", "progress"),
    }


def _owner(job: Job, base: str) -> Members | None:
    if job.owner_id is None:
        return None
    return {**reference(user_href(base, job.owner_id), job.owner_id), "#text": job.owner_name}


def _progress(work: Job | AnyStep) -> Members | None:
    if work.progress_current is None and not work.progress_text:
        return None
    return {"current": work.progress_current, "end": work.progress_end, "text": work.progress_text or None}


def entities(named: Sequence[Named]) -> Members | None:
    """What a job works on, by type and id."""
    if not named:
        return None
    return {"entity": [{"@type": one.type, "id": one.key, "name": one.name} for one in sorted(named)]}
