"""Bare Django: our server's statements by the ORM, without authentication, permission, validation or dialects."""

import re
import uuid
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone

from taskmonitor.models import Entity, Event, Job, Step, Verb
from taskmonitor.services.transaction import writing

_FIELD = re.compile(r"<(description|type|status)>([^<]*)</")
_PARENT = re.compile(r'<parent_step id="([^"]*)"')


def _read(request: HttpRequest) -> tuple[dict[str, str], UUID | None]:
    body = request.body.decode()
    parent = _PARENT.search(body)
    return dict(_FIELD.findall(body)), UUID(parent[1]) if parent else None


def _answer(root: str, key: object, status: int) -> HttpResponse:
    return _sent(f'<{root} id="{key}"/>', status)


def _sent(text: str, status: int = 200) -> HttpResponse:
    body = text.encode()
    return HttpResponse(body, "application/xml", status, headers={"Content-Length": str(len(body))})


def _append(job: Job, verb: Verb, now: datetime, **fields: object) -> None:
    Event.objects.create(job=job, version=job.version, verb=verb, time=now, actor_id=1, **fields)


def jobs(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return _listed(request)
    given, _ = _read(request)
    now = timezone.now()
    with writing():
        job = Job.objects.create(
            description=given["description"],
            external=True,
            owner_id=1,
            correlation_id=str(uuid.uuid4()),
            start_time=now,
            last_updated=now,
            last_sign=now,
        )
        _append(job, Verb.ADDED, now, new_status=job.status)
    return _answer("job", job.pk, 201)


def end_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    given, _ = _read(request)
    now = timezone.now()
    with writing():
        job = Job.objects.select_for_update().get(pk=job_id)
        list(job.steps.filter(end_time=None))
        Job.objects.filter(pk=job_id).update(
            status=given["status"], end_time=now, last_updated=now, last_sign=now, version=job.version + 1
        )
        _append(job, Verb.MOVED, now, old_status=job.status, new_status=given["status"])
    return _answer("job", job.pk, 200)


def steps(request: HttpRequest, job_id: UUID) -> HttpResponse:
    if request.method == "GET":
        return _tree(job_id)
    given, parent_id = _read(request)
    now = timezone.now()
    with writing():
        job = Job.objects.select_for_update().get(pk=job_id)
        parent = job.steps.get(pk=parent_id) if parent_id else None
        last = job.steps.filter(parent_step=parent).order_by("-number").values_list("number", flat=True)
        number = last.first()
        step = Step.objects.create(
            job=job,
            parent_step=parent,
            number=0 if number is None else number + 1,
            depth=parent.depth + 1 if parent else 0,
            description=given["description"],
            type=given["type"],
            external=True,
            start_time=now,
            last_updated=now,
        )
        Job.objects.filter(pk=job_id).update(
            last_updated=now,
            last_sign=now,
            version=job.version + 1,
            steps_total=job.steps_total + 1,
            steps_open=job.steps_open + 1,
        )
        _append(job, Verb.ADDED, now, step_id=step.pk, new_status=step.status)
    return _answer("step", step.pk, 201)


def end_step(request: HttpRequest, job_id: UUID, step_id: UUID) -> HttpResponse:
    given, _ = _read(request)
    now = timezone.now()
    with writing():
        job = Job.objects.select_for_update().get(pk=job_id)
        step = job.steps.get(pk=step_id)
        Step.objects.filter(pk=step_id).update(status=given["status"], end_time=now, last_updated=now)
        Job.objects.filter(pk=job_id).update(
            last_updated=now, last_sign=now, version=job.version + 1, steps_open=job.steps_open - 1
        )
        _append(job, Verb.MOVED, now, step_id=step.pk, old_status=step.status, new_status=given["status"])
    return _answer("step", step.pk, 200)


def _tree(job_id: UUID) -> HttpResponse:
    Job.objects.get(pk=job_id)
    found: list[Step] = list(Step.objects.filter(job=job_id).order_by("number"))
    children: dict[UUID | None, list[Step]] = {}
    for step in found:
        children.setdefault(step.parent_step_id, []).append(step)
    waiting, ordered = children.get(None, [])[::-1], []
    while waiting:
        ordered.append(step := waiting.pop())
        waiting += children.get(step.pk, [])[::-1]
    return _sent(f"<steps>{''.join(map(_step, ordered))}</steps>")


def _step(step: Step) -> str:
    return (
        f'<step id="{step.pk}"><parent_step id="{step.parent_step_id}"/><description>{step.description}'
        f"</description><type>{step.type}</type><number>{step.number}</number><status>{step.status}</status>"
        f"<start_time>{step.start_time.isoformat()}</start_time></step>"
    )


def _listed(request: HttpRequest) -> HttpResponse:
    entities = Prefetch("entities", Entity.objects.only("type", "key", "name"))
    found = Job.objects.filter(cleared_at=None).select_related("owner").prefetch_related(entities)
    return _sent(f"<jobs>{''.join(_jobs(found.order_by('-start_time', '-id')[:51]))}</jobs>")


def _jobs(found: Iterable[Job]) -> Iterable[str]:
    for job in found:
        owner = job.owner.username if job.owner else ""
        yield (
            f'<job id="{job.pk}"><description>{job.description}</description><status>{job.status}</status>'
            f"<owner>{owner}</owner><start_time>{job.start_time.isoformat()}</start_time></job>"
        )


urlpatterns = [
    path("api/jobs", jobs),
    path("api/jobs/<uuid:job_id>/end", end_job),
    path("api/jobs/<uuid:job_id>/steps", steps),
    path("api/jobs/<uuid:job_id>/steps/<uuid:step_id>/end", end_step),
]
