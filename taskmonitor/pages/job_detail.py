"""The page of one job, and its fragments."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from coordinator import selectors as commands
from taskmonitor import feed
from taskmonitor.models import Actor, Job, Right
from taskmonitor.pages.doors import fragment, page
from taskmonitor.pages.query import number
from taskmonitor.pages.rows import step_level
from taskmonitor.selectors import entities, history, jobs, state
from taskmonitor.services.jobs import bring_back_job, clear_job

ENTITIES_SHOWN = 50
COMMANDS_SHOWN = 5
HISTORY_SIZE = 50


@page()
def job_detail(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    position = feed.last()
    job = jobs.job(job_id, actor)
    return render(
        request,
        "taskmonitor/job_detail.html",
        {
            **_facts(job, actor),
            **_history(request, job),
            "level": step_level(job, None, level=1, after=number(request, "after", -1)),
            "position": position,
        },
    )


@fragment
def job_facts(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    return render(request, "taskmonitor/_job_facts.html", _facts(jobs.job(job_id, actor), actor))


@fragment
def job_history(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    return render(request, "taskmonitor/_history.html", _history(request, jobs.job(job_id, actor)))


@page("POST")
def job_clear(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    job = clear_job(job_id=job_id, actor=actor, now=timezone.now())
    messages.success(
        request, "Cleared: it has left the lists, and stays here until it is deleted.", "cleared"
    )
    return redirect("job_detail", job.pk)


@page("POST")
def job_bring_back(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    job = bring_back_job(job_id=job_id, actor=actor, now=timezone.now())
    messages.success(request, "It is back in the lists, and stays there until somebody clears it.")
    return redirect("job_detail", job.pk)


def _facts(job: Job, actor: Actor) -> dict[str, Any]:
    may_clear = actor.changes(job) and (actor.may(Right.CONTROL) or actor.may(Right.INJECT))
    return {
        "job": job,
        "state": state.of_job(job),
        "entities": entities.of_job(job, limit=ENTITIES_SHOWN),
        "commands": commands.of_job(job.pk, actor, limit=COMMANDS_SHOWN),
        "clearing": may_clear and job.ended and ("job_bring_back" if job.cleared_at else "job_clear"),
        "now": timezone.now(),
    }


def _history(request: HttpRequest, job: Job) -> dict[str, Any]:
    before = number(request, "before", 0)
    return {
        "job": job,
        "history": history.of_job(job, limit=HISTORY_SIZE, before=before or None),
        "now": timezone.now(),
    }
