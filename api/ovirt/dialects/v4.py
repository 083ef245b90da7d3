"""oVirt's API version 4: flat, lower case, elements in the order of its schema."""

from api.ovirt.links import actions, job_href, link, reference, step_href, user_href
from api.wire import Members
from taskmonitor.models import Job
from taskmonitor.selectors.tree import AnyStep


def status(status: str) -> str:
    return status.lower()


def job(job: Job, base: str) -> Members:
    href = job_href(base, job.pk)
    return {
        "href": href,
        "id": str(job.pk),
        "actions": actions(href, "clear", "end"),
        "description": job.description,
        "link": [link(href, "steps")],
        "auto_cleared": job.auto_cleared,
        "end_time": job.end_time,
        "external": job.external,
        "last_updated": job.last_updated,
        "start_time": job.start_time,
        "status": job.status.lower(),
        "owner": reference(user_href(base, job.owner_id), job.owner_id) if job.owner_id else None,
    }


def step(step: AnyStep, base: str) -> Members:
    key, job_key = str(step.pk), str(step.job_id)  # to write a UUID takes as long as all else here
    above = step.parent_step_id and str(step.parent_step_id)
    href = step_href(base, job_key, key)
    return {
        "href": href,
        "id": key,
        "actions": actions(href, "end"),
        "description": step.description,
        "link": [link(href, "statistics")],
        "end_time": step.end_time,
        "external": step.external,
        "number": step.number,
        "progress": step.percent,
        "start_time": step.start_time,
        "status": step.status.lower(),
        "type": step.type.lower(),
        "job": reference(job_href(base, job_key), job_key),
        "parent_step": reference(step_href(base, job_key, above), above) if above else None,
    }
