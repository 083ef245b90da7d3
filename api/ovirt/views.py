"""Jobs and steps as oVirt's clients know them: each view reads, calls a service or a selector, and answers."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.http import HttpResponse, StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from api.formats import one, several
from api.ovirt.dialects import DIALECTS, Dialect, design
from api.ovirt.forms import JOB, STEP, writer
from api.ovirt.inputs import end_fields, job_fields, members, progress_fields, step_fields, step_type, truth
from api.ovirt.links import Key, actions, job_href, link, reference, step_href, user_href
from api.views import ApiView, once
from api.wire import Document, Members
from taskmonitor.errors import Invalid
from taskmonitor.models import Job, Right, Step
from taskmonitor.selectors import entities, search, tree
from taskmonitor.selectors import jobs as selected
from taskmonitor.selectors.tree import AnyStep
from taskmonitor.services import jobs, steps
from taskmonitor.services.login import PROFILE

PAGE = 500  # jobs or steps that are read at once, and that a page with a link has at most

FOLLOWED = ("steps", "steps.statistics", "owner")  # links of jobs that can be spelled out in place
FOLLOWED_OF_STEPS = ("job", "parent_step", "statistics")


class OvirtView(ApiView):
    """A view that spells jobs and steps in the dialect of the request."""

    rights_to_post: tuple[Right, ...] = (Right.INJECT,)

    def recheck(self, job_id: UUID, step_id: UUID | None = None) -> None:  # type: ignore[override]  # its keys
        selected.job(job_id, self.actor)

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.wire.dialect]

    @property
    def as_engine(self) -> bool:
        """Whether the caller expects the oVirt engine's own rules (MISSION.md D9, D11)."""
        return self.wire.dialect != "design"

    def job(self, job: Job) -> Members:
        if job.owner_id == self.request.user.pk:
            job.owner = self.request.user  # needs no query
        members = self.dialect.job(job, self.wire.base)
        if not self.as_engine:
            members["entities"] = design.entities(entities.of_jobs([job.pk])[job.pk])
        return members

    def step(self, step: AnyStep) -> Members:
        return self.dialect.step(step, self.wire.base)

    def user(self, user: User) -> Members:
        name = user.get_username()
        return {
            **reference(user_href(self.wire.base, user.pk), user.pk),
            "name": user.get_short_name() or name,
            "last_name": user.last_name or None,
            "email": user.email or None,
            "principal": name,
            "user_name": f"{name}{PROFILE}",
        }

    def jobs(self, jobs: list[Job], follows: set[str]) -> list[str]:
        """The texts of the jobs, with what is followed in place of its link."""
        wire, beneath = self.wire, {}
        if not self.as_engine:
            named = entities.of_jobs([job.pk for job in jobs])
            beneath["entities"] = [self._text("entities", design.entities(named[job.pk])) for job in jobs]
        if "owner" in follows:
            beneath["owner"] = [
                self._text("owner", self.user(job.owner) if job.owner else None) for job in jobs
            ]
        if "steps" in follows:
            steps = tree.steps(jobs)
            beneath["steps"] = [self._steps(steps[job.pk], follows) for job in jobs]
        return writer(wire, JOB, tuple(beneath)).write(jobs, *beneath.values())

    def _steps(self, steps: Sequence[AnyStep], follows: set[str]) -> str:
        """The text of a job's steps. With `follow=steps.statistics` each has its statistics, an empty list."""
        none = several(self.wire, "statistics", "statistic", [])
        written = {"statistics": [none] * len(steps)} if "steps.statistics" in follows else {}
        texts = writer(self.wire, STEP, tuple(written)).write(steps, *written.values())
        return several(self.wire, "steps", "step", texts)

    def _text(self, name: str, members: Members | None) -> str | None:
        return one(self.wire, name, members) if members else None

    def steps(self, steps: Sequence[AnyStep], job: Job, follows: set[str]) -> list[Members]:
        """Steps of the job, each behind its parent, with what is followed in place of its link."""
        spelled = [self.step(step) for step in steps]
        if "parent_step" in follows:
            parents: dict[Key | None, Members] = {
                step.pk: one.copy() for step, one in zip(steps, spelled, strict=True)
            }
            for step, one in zip(steps, spelled, strict=True):
                one["parent_step"] = parents.get(step.parent_step_id, one["parent_step"])
        if "statistics" in follows:
            for one in spelled:
                one["statistics"] = {"statistic": []}
        if "job" in follows:
            name, whole = "job" if self.as_engine else "parent_job", self.job(job)
            for one in spelled:
                one[name] = one[name] and whole
        return spelled

    def follows(self, *known: str) -> set[str]:
        """The links that the caller wants spelled out in place."""
        asked = {name.strip().lower() for name in (self.parameter("follow") or "").split(",") if name.strip()}
        if unknown := asked - set(known):
            raise Invalid("follow", f"there is no link {sorted(unknown)[0]}; there are {', '.join(known)}.")
        return asked | {name.partition(".")[0] for name in asked}

    def done(self, given: Any, **members: Any) -> Response:
        """What an action answers: what was asked, and that it is complete (oVirt: `<action>`)."""
        echo = {name: truth(given, name) for name in ("force", "succeeded")}
        return Response(Document("action", {**echo, **members, "status": self.complete}))

    @property
    def complete(self) -> str | Members:
        return {"state": "complete"} if self.wire.dialect == "v3" else "complete"

    def job_done(self, given: Any, job: Job, **members: Any) -> Response:
        """What an action on a job answers; of `members` the design needs none, for it shows the whole job."""
        if not self.as_engine:
            return self.done(given, job=self.job(job))
        href = job_href(self.wire.base, job.pk)
        known = {
            **reference(href, job.pk),
            "actions": actions(href, "clear", "end"),
            "link": [link(href, "steps")],
        }
        return self.done(given, **members, job=known)


class Jobs(OvirtView):
    """The jobs that the caller sees, newest first."""

    def get(self, request: Request) -> HttpResponse | StreamingHttpResponse:
        """List jobs; all of them, or `max`, or with `after` a page and the address of the next one."""
        query = search.parse(self.parameter("search") or "")
        limit, after = self.whole("max"), self.parameter("after")
        if after is not None:  # it ends with a link, so it is read before it is written
            limit = PAGE if limit is None else min(limit, PAGE)
        if limit is None and query.page > 1:
            limit = 0  # without `max` all of them are on page 1 (oVirt: the same)
        follows = self.follows(*FOLLOWED)
        seen = selected.visible(self.actor, own_only=self.flag("filter"))
        offset = 0 if after else query.offset(limit or 0)
        if limit is None or limit > PAGE:
            every = selected.every(
                seen, oldest_first=query.oldest_first, size=PAGE, offset=offset, any_of=query.any_of
            )
            pages = (self.jobs(page, follows) for page in (every if limit is None else _first(every, limit)))
            return self.streamed("jobs", "job", pages)
        page, cursor = selected.page(
            seen,
            limit=limit,
            after=selected.Cursor.parse(after) if after else None,
            oldest_first=query.oldest_first,
            offset=offset,
            any_of=query.any_of,
        )
        others: Members = {}
        headers = {}
        if cursor and limit:
            href = self.next_href("jobs", cursor)
            headers["Link"] = f'<{href}>; rel="next"'
            if after is not None:
                others["link"] = [{"href": href, "rel": "next"}]
        return self.written(several(self.wire, "jobs", "job", self.jobs(page, follows), **others), **headers)

    @once
    def post(self, request: Request) -> Response:
        """Add an external job."""
        given = job_fields(members(request.data, "job"), self.wire.dialect)
        job = jobs.add_job(**given, correlation_id=self.request.correlation_id, **self.by)
        return self.created("job", self.job(job))


def _first(pages: Iterator[list[Job]], limit: int) -> Iterator[list[Job]]:
    for page in pages:
        yield page[:limit]
        limit -= len(page)
        if limit <= 0:
            return


class OneJob(OvirtView):
    """One job, cleared or not."""

    def get(self, request: Request, job_id: UUID) -> HttpResponse:
        """Read a job."""
        follows = self.follows(*FOLLOWED)
        return self.written(self.jobs([selected.job(job_id, self.actor)], follows)[0])


class EndJob(OvirtView):
    """The end of a job."""

    @once
    def post(self, request: Request, job_id: UUID) -> Response:
        """End a job, and what is open beneath it."""
        given = members(request.data, "action")
        job = jobs.end_job(job_id=job_id, **end_fields(given), **self.by)
        return self.job_done(given, job, outcome=job.status)


class ClearJob(OvirtView):
    """Taking a job out of the lists."""

    rights_to_post = (Right.INJECT, Right.CONTROL)

    @once
    def post(self, request: Request, job_id: UUID) -> Response:
        """Clear a job: at once if it has ended, else some time after its end."""
        given = members(request.data, "action", may_be_empty=True)
        return self.job_done(given, jobs.clear_job(job_id=job_id, **self.by))


class Heartbeat(OvirtView):
    """A job's sign of life."""

    @once
    def post(self, request: Request, job_id: UUID) -> Response:
        """Say that the plug-in is still there."""
        given = members(request.data, "action", may_be_empty=True)
        return self.job_done(given, jobs.heartbeat(job_id=job_id, **self.by))


class Progress(OvirtView):
    """How far a job or a step has come."""

    @once
    def post(self, request: Request, job_id: UUID, step_id: UUID | None = None) -> Response:
        """Report `current`, `end` and `text`, in units of the caller's."""
        given = members(request.data, "progress")
        work = steps.report_progress(job_id=job_id, step_id=step_id, **progress_fields(given), **self.by)
        if isinstance(work, Step):
            return self.done({}, step=self.step(work))
        return self.job_done({}, work)


class Steps(OvirtView):
    """All steps of a job, of every depth, each parent before its sub-steps."""

    def get(self, request: Request, job_id: UUID) -> HttpResponse | StreamingHttpResponse:
        """List the steps of a job."""
        follows, limit = self.follows(*FOLLOWED_OF_STEPS), self.whole("max")
        job = selected.job(job_id, self.actor)
        if follows:
            found = tree.steps([job])[job.pk][:limit]
            return Response(Document("steps", {"step": self.steps(found, job, follows)}))
        pages = map(writer(self.wire, STEP).write, tree.pages(job, limit=limit, size=PAGE))
        if job.steps_total > PAGE:
            return self.streamed("steps", "step", pages)
        return self.written(several(self.wire, "steps", "step", next(pages)))

    @once
    def post(self, request: Request, job_id: UUID) -> Response:
        """Add an external step to the job, or to one of its steps."""
        given = step_fields(members(request.data, "step"), job_id, self.wire.dialect)
        step = steps.add_step(job_id=job_id, **given, **self.by)
        return self.created("step", self.step(step))


class OneStep(OvirtView):
    """One step of a job."""

    def get(self, request: Request, job_id: UUID, step_id: UUID) -> Response:
        """Read a step."""
        follows, step = self.follows(*FOLLOWED_OF_STEPS), selected.step(job_id, step_id, self.actor)
        parent = step.parent_step if "parent_step" in follows else None
        family = [parent, step] if parent else [step]
        return Response(Document("step", self.steps(family, step.job, follows)[-1]))


class EndStep(OvirtView):
    """The end of a step."""

    @once
    def post(self, request: Request, job_id: UUID, step_id: UUID) -> Response:
        """End a step; in v3 and v4 a failed one fails its job, as in the engine."""
        given = members(request.data, "action")
        how, kind = end_fields(given), step_type(given)
        if kind and kind != (known := selected.step(job_id, step_id, self.actor).type):
            raise Invalid(
                "stepType", f"the step is {known}, not {kind}; leave it out or send the step's own."
            )
        step = steps.end_step(job_id=job_id, step_id=step_id, **how, fails_job=self.as_engine, **self.by)
        if self.as_engine:
            return self.done(given, outcome=step.status)
        return self.done(given, step=self.step(step))


class Statistics(OvirtView):
    """The statistics of a step, which only an oVirt engine's own steps have."""

    def get(self, request: Request, job_id: UUID, step_id: UUID) -> Response:
        """List the statistics of a step: none."""
        step = selected.step(job_id, step_id, self.actor)
        href = step_href(self.wire.base, step.job_id, step.pk)
        return Response(Document("statistics", {"href": f"{href}/statistics", "statistic": []}))
