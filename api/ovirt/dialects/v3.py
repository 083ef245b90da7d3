"""oVirt's API version 3: status nested and upper case, elements in the order of its schema."""

from api.ovirt.links import actions, job_href, link, reference, step_href, user_href
from api.wire import Members
from taskmonitor.models import Job
from taskmonitor.selectors.tree import AnyStep


def status(status: str) -> Members:
    return {"state": status}


def job(job: Job, base: str) -> Members:
    href = job_href(base, job.pk)
    return {
        "href": href,
        "id": str(job.pk),
        "actions": actions(href, "clear", "end"),
        "description": job.description,
        "link": [link(href, "steps")],
        "status": {"state": job.status},
        "owner": reference(user_href(base, job.owner_id), job.owner_id) if job.owner_id else None,
        "start_time": job.start_time,
        "end_time": job.end_time,
        "last_updated": job.last_updated,
        "external": job.external,
        "auto_cleared": job.auto_cleared,
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
        "parent_step": reference(step_href(base, job_key, above), above) if above else None,
        "job": reference(job_href(base, job_key), job_key),
        "type": step.type.lower(),
        "number": step.number,
        "status": {"state": step.status},
        "start_time": step.start_time,
        "end_time": step.end_time,
        "external": step.external,
    }
