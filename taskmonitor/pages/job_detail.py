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
from taskmonitor.pages.query import identifier, number
from taskmonitor.pages.rows import Level, address, opened, shortened, step_level
from taskmonitor.selectors import entities, failures, history, jobs, state, tree
from taskmonitor.selectors.failures import Failure
from taskmonitor.services.jobs import bring_back_job, clear_job

ENTITIES_SHOWN = 50
COMMANDS_SHOWN = 5
HISTORY_SIZE = 50


@page()
def job_detail(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    position = feed.last()
    job = jobs.job(job_id, actor)
    facts = _facts(request, job, actor)
    return render(
        request,
        "taskmonitor/job_detail.html",
        {
            **facts,
            **_history(request, job),
            "levels": _levels(request, job, facts["failure"]),
            "position": position,
        },
    )


@fragment
def job_facts(request: HttpRequest, actor: Actor, job_id: UUID) -> HttpResponse:
    return render(request, "taskmonitor/_job_facts.html", _facts(request, jobs.job(job_id, actor), actor))


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


def _levels(request: HttpRequest, job: Job, failure: Failure | None) -> list[Level]:
    """The steps as the page shows them at first: open at the step that the address names, or else at the failure."""
    step_id = identifier(request, "step")
    if failure and (step_id == failure.step.pk or not {"step", "after"} & request.GET.keys()):
        return opened(job, [*failure.above, failure.step])
    if step_id and (step := job.steps.filter(pk=step_id).first()):
        return opened(job, [*tree.ancestors(step), step])
    return [step_level(job, None, level=1, after=number(request, "after", -1))]


def _facts(request: HttpRequest, job: Job, actor: Actor) -> dict[str, Any]:
    may_clear = actor.changes(job) and (actor.may(Right.CONTROL) or actor.may(Right.INJECT))
    return {
        "job": job,
        "state": state.of_job(job),
        **_failure(request, job),
        "entities": entities.of_job(job, limit=ENTITIES_SHOWN),
        "commands": commands.of_job(job.pk, actor, limit=COMMANDS_SHOWN),
        "clearing": may_clear and job.ended and ("job_bring_back" if job.cleared_at else "job_clear"),
        "now": timezone.now(),
    }


def _failure(request: HttpRequest, job: Job) -> dict[str, Any]:
    """The cause that the address names, or else the first, with the addresses of those beside it."""
    failure = failures.failure(job, identifier(request, "step"))
    if failure is None:
        return {"failure": None}
    return {
        "failure": failure,
        **shortened(failure.above),
        "failure_address": address(job, failure.step),
        "previous_address": address(job, failure.previous) if failure.previous else "",
        "next_address": address(job, failure.next) if failure.next else "",
    }


def _history(request: HttpRequest, job: Job) -> dict[str, Any]:
    before = number(request, "before", 0)
    return {
        "job": job,
        "history": history.of_job(job, limit=HISTORY_SIZE, before=before or None),
        "now": timezone.now(),
    }
