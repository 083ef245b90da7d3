"""The page of one step, and the fragments that trees of steps are loaded and kept fresh by."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from taskmonitor import feed
from taskmonitor.models import Actor
from taskmonitor.pages import rows
from taskmonitor.pages.doors import fragment, page
from taskmonitor.pages.query import number
from taskmonitor.selectors import jobs, tree


@page()
def step_detail(request: HttpRequest, actor: Actor, job_id: UUID, step_id: UUID) -> HttpResponse:
    position = feed.last()
    step = jobs.step(job_id, step_id, actor)
    return render(
        request,
        "taskmonitor/step_detail.html",
        {
            "job": step.job,
            "row": rows.step_row(step.job, step, level=1),
            **rows.shortened(tree.ancestors(step)),
            "levels": [rows.step_level(step.job, step.pk, level=1, after=number(request, "after", -1))],
            "position": position,
            "now": timezone.now(),
        },
    )


@fragment
def step_facts(request: HttpRequest, actor: Actor, job_id: UUID, step_id: UUID) -> HttpResponse:
    step = jobs.step(job_id, step_id, actor)
    row = rows.step_row(step.job, step, level=1)
    return render(
        request, "taskmonitor/_step_facts.html", {"job": step.job, "row": row, "now": timezone.now()}
    )


@fragment
def job_level(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    """Steps right under the job."""
    job = jobs.job(job_id, actor)
    level = rows.step_level(job, None, level=_level(request), after=number(request, "after", -1))
    return render(request, "taskmonitor/_step_rows.html", {"level": level, "now": timezone.now()})


@fragment
def step_level(request: HttpRequest, actor: Actor, job_id: UUID, step_id: UUID) -> HttpResponse:
    """Steps right under a step."""
    step = jobs.step(job_id, step_id, actor)
    level = rows.step_level(step.job, step.pk, level=_level(request), after=number(request, "after", -1))
    return render(request, "taskmonitor/_step_rows.html", {"level": level, "now": timezone.now()})


@fragment
def step_row(request: HttpRequest, actor: Actor, job_id: UUID, step_id: UUID) -> HttpResponse:
    step = jobs.step(job_id, step_id, actor)
    row = rows.step_row(step.job, step, level=_level(request))
    return render(request, "taskmonitor/_step_row.html", {"row": row, "now": timezone.now()})


def _level(request: HttpRequest) -> int:
    return number(request, "level", 1)
