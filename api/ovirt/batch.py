"""Many reports on one job in one request, as lines of JSON, applied in order."""

import json
from collections.abc import Iterator
from typing import IO, Any
from uuid import UUID

from django.http import HttpResponse
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from api.charset import in_utf8
from api.errors import detail, fault_members, told
from api.json import loads, members
from api.ovirt.inputs import Given, end_fields, identifier, present, progress_fields, step_fields, text
from api.ovirt.views import OvirtView
from api.views import once
from api.wire import Members
from taskmonitor.errors import Invalid, TaskMonitorError
from taskmonitor.models import Step
from taskmonitor.selectors import jobs as selected
from taskmonitor.services import jobs, steps
from taskmonitor.services.transaction import writing

LONGEST = 1000  # lines; all of them hold the job's lock
NDJSON = "application/x-ndjson"


class LinesParser(BaseParser):
    """The lines of the body that are not blank."""

    media_type = NDJSON

    def parse(  # type: ignore[override]  # lines, each of which is read by itself
        self, stream: IO[bytes], media_type: Any = None, parser_context: Any = None
    ) -> list[bytes]:
        lines = [line for line in in_utf8(stream.read(), media_type).split(b"\n") if line.strip()]
        if not 1 <= len(lines) <= LONGEST:
            raise ParseError(
                f"A batch has 1 to {LONGEST} lines, each a JSON object; this one has {len(lines)}."
            )
        return lines


class Batch(OvirtView):
    """Reports on one job."""

    parser_classes = [LinesParser]

    @once
    def post(self, request: Request, job_id: UUID) -> HttpResponse:
        """Apply each line: `op` is add_step, progress, end_step, heartbeat or end_job.

        A line that is refused changes nothing and the next ones go on. `ref` names a new step for later
        lines, which say it in place of an id. The answer has a line for each: its number, a status as HTTP
        has it, and the step or the fault.
        """
        selected.job(job_id, self.actor)
        lines: Any = request.data
        self.refs: dict[str, UUID] = {}
        with writing():
            results = list(self.results(job_id, lines))
        return HttpResponse("".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in results), NDJSON)

    def results(self, job_id: UUID, lines: list[bytes]) -> Iterator[Members]:
        dialect = self.wire.dialect
        for place, line in enumerate(lines, 1):
            try:
                with writing():
                    done = self.apply(job_id, present(loads(line)))
            except (TaskMonitorError, APIException) as problem:
                status, reason = told(problem)
                words = detail(problem, status, self.request.correlation_id)
                yield {"line": place, "status": status, "fault": fault_members(dialect, reason, words)}
            else:
                yield {"line": place, "status": done.pop("status"), **members(done, dialect)}

    def apply(self, job_id: UUID, given: Given) -> Members:
        """Do what one line says."""
        name = text(given, "op")
        operation = {
            "add_step": self.add_step,
            "progress": self.progress,
            "end_step": self.end_step,
            "heartbeat": self.heartbeat,
            "end_job": self.end_job,
        }.get(name or "")
        if operation is None:
            raise Invalid("op", f"{name} is not one of add_step, progress, end_step, heartbeat, end_job.")
        return operation(job_id, given)

    def add_step(self, job_id: UUID, given: Given) -> Members:
        ref = text(given, "ref")
        if ref in self.refs:
            raise Invalid("ref", f"{ref} names a step of this batch already.")
        above = given.get("parent_step")
        if isinstance(above, str) and above in self.refs:
            given = {**given, "parent_step": str(self.refs[above])}
        step = steps.add_step(job_id=job_id, **step_fields(given, job_id, self.wire.dialect), **self.by)
        if ref is not None:
            self.refs[ref] = step.pk
        return {"status": 201, "step": self.step(step)}

    def progress(self, job_id: UUID, given: Given) -> Members:
        step_id = self.step_id(given) if "step" in given else None
        work = steps.report_progress(job_id=job_id, step_id=step_id, **progress_fields(given), **self.by)
        return {"status": 200, "step": self.step(work)} if isinstance(work, Step) else {"status": 200}

    def end_step(self, job_id: UUID, given: Given) -> Members:
        how, step_id = end_fields(given), self.step_id(given)
        step = steps.end_step(job_id=job_id, step_id=step_id, **how, fails_job=self.as_engine, **self.by)
        return {"status": 200, "step": self.step(step)}

    def heartbeat(self, job_id: UUID, given: Given) -> Members:
        jobs.heartbeat(job_id=job_id, **self.by)
        return {"status": 200}

    def end_job(self, job_id: UUID, given: Given) -> Members:
        jobs.end_job(job_id=job_id, **end_fields(given), **self.by)
        return {"status": 200}

    def step_id(self, given: Given) -> UUID:
        named = text(given, "step") or ""
        return self.refs.get(named) or identifier("step", named)
