"""The OpenAPI document, made by drf-spectacular from the table of addresses, the views, and the table here.

Nothing but `api.native.openapi` imports this, and only when it is asked.
"""

import inspect
import json
import re
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from api.native import commands
from api.native.openapi import OpenApi
from api.native.shapes import KEY, SCHEMAS, TEXT, TRUTH, WHOLE, Schema, ref
from api.ovirt import batch, site, views
from api.ovirt.batch import NDJSON
from api.urls import urlpatterns

DESCRIPTION = """\
Jobs and their steps, in XML and JSON: `Content-Type` says the request's format, `Accept` chooses the answer's. If it
names neither, the answer is in the format of the request's body, and XML if there is none.

The shapes described here are those of the `design` dialect, which you get if you name no version. With the
header `Version: 4` or `Version: 3`, or `/v4` or `/v3` behind `/api`, answers are those of oVirt's API of that
version; at `/ovirt-engine/api`, where oVirt's clients look, those of version 4 if none is named. In JSON a member
that is null is as good as absent. Parameters of a query may be matrix parameters of the path as well: `/api/jobs;max=5`.
"""


def query(name: str, schema: Schema, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, schema, OpenApiParameter.QUERY, description=description)


def header(name: str, schema: Schema, description: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, schema, OpenApiParameter.HEADER, description=description, **more)


MAX = query("max", WHOLE, "How many are listed at most; all of them if it is not given.")
AFTER = query(
    "after",
    TEXT,
    "The position that a page's `next` link gives; empty for the first page. A page has at most 500.",
)
SEARCH = query(
    "search",
    {**TEXT, "maxLength": 2000},
    "Which jobs are listed, for instance `status = started and entity = web-*`.",
)
FILTER = query("filter", TRUTH, "true lists one's own jobs only. The header `Filter` says the same.")
FILTER_HEADER = header("Filter", TRUTH, "See the parameter `filter`.")
ACCEPT = query("accept", TEXT, "In place of the header `Accept`: `application/json` or `application/xml`.")
CORRELATION = header(
    "Correlation-Id",
    {**TEXT, "pattern": "^[0-9A-Za-z_.:-]{1,50}$"},
    "An id of your own for what you do; it is kept with a new job, and comes back.",
)
VERSION = header(
    "Version", {"type": "string", "enum": ["3", "4"]}, "The version of oVirt's API that is spoken."
)
IDEMPOTENCY = header(
    "Idempotency-Key",
    {**TEXT, "minLength": 1, "maxLength": 255},
    "Requests of yours with the same key, for 24 hours, are one: it is done once, and all get its answer.",
)
ECHO = header("Correlation-Id", TEXT, "The one given, or a new one.", response=True)
LOCATION = header("Location", TEXT, "The new thing's address.", response=[201, 202])
PREFER = header(
    "Prefer", {**TEXT, "example": "wait=10"}, "How many seconds the answer may wait for the command's end."
)
APPLIED = header("Preference-Applied", TEXT, "How long the answer was ready to wait.", response=[200, 202])
STATUS = query("status", ref("CommandStatus"), "Only commands that are in it.")
KIND = query("type", TEXT, "Only commands of that name.")
OF_JOB = query("job", KEY, "Only commands that this job shows.")
OF_PARENT = query("parent", KEY, "Only child commands of this one.")
JOB_ID = query("job_id", KEY, "The job that is to show the command, and does not end with it; also `JobId`.")
STEP_ID = query("step_id", KEY, "With `job_id`: the step to show it under; also `StepId`.")
PAGE = query("max", WHOLE, "How many are on a page: 100 if it is not given, 500 at most.")
NEXT = header(
    "Link",
    TEXT,
    'With `after`, or a `max` up to 500: the address of the next page, as `<…>; rel="next"`.',
    response=[200],
)


def follow(*links: str) -> OpenApiParameter:
    words = f"Links to spell out in place, divided by commas: {', '.join(links)}."
    return query("follow", {**TEXT, "example": links[0]}, words)


@dataclass(frozen=True, slots=True)
class Operation:
    """What cannot be read off a view's method. `answer` and `body` are names of shapes."""

    answer: str
    parameters: tuple[OpenApiParameter, ...] = ()
    body: str = ""
    body_required: bool = True
    status: int = 200
    answer_types: tuple[str, ...] = ()
    open_to_all: bool = False  # without a login


OPERATIONS: dict[type, dict[str, Operation]] = {
    OpenApi: {"GET": Operation("Document", answer_types=("application/json",), open_to_all=True)},
    site.Root: {"GET": Operation("Api")},
    site.Capabilities: {"GET": Operation("Capabilities")},
    site.Users: {"GET": Operation("Users", (MAX,))},
    site.OneUser: {"GET": Operation("User")},
    views.Jobs: {
        "GET": Operation(
            "Jobs",
            (MAX, AFTER, SEARCH, follow(*views.FOLLOWED), FILTER, FILTER_HEADER, NEXT),
        ),
        "POST": Operation("Job", (LOCATION,), body="NewJob", status=201),
    },
    views.OneJob: {"GET": Operation("Job", (follow(*views.FOLLOWED),))},
    views.EndJob: {"POST": Operation("Action", body="EndJob")},
    views.ClearJob: {"POST": Operation("Action", body="Empty", body_required=False)},
    views.Heartbeat: {"POST": Operation("Action", body="Empty", body_required=False)},
    views.Progress: {"POST": Operation("Action", body="Progress")},
    batch.Batch: {"POST": Operation("Result", body="Report", answer_types=(NDJSON,))},
    views.Steps: {
        "GET": Operation("Steps", (MAX, follow(*views.FOLLOWED_OF_STEPS))),
        "POST": Operation("Step", (LOCATION,), body="NewStep", status=201),
    },
    views.OneStep: {"GET": Operation("Step", (follow(*views.FOLLOWED_OF_STEPS),))},
    views.EndStep: {"POST": Operation("Action", body="EndStep")},
    views.Statistics: {"GET": Operation("Statistics")},
    commands.Commands: {
        "GET": Operation("Commands", (PAGE, AFTER, STATUS, KIND, OF_JOB, OF_PARENT, NEXT)),
        "POST": Operation(
            "Command", (JOB_ID, STEP_ID, PREFER, LOCATION, APPLIED), body="NewCommand", status=202
        ),
    },
    commands.OneCommand: {"GET": Operation("Command")},
    commands.Event: {"POST": Operation("Action", body="NewEvent", body_required=False)},
    **{
        view: {"POST": Operation("Action", body="Operation")}
        for view in (commands.Poll, commands.Fail, commands.Resume, commands.Remove)
    },
}
SHAPES = {**SCHEMAS, "Document": {"type": "object", "description": "An OpenAPI document."}}

FAULTS = {
    400: "Something in the request is wrong; the fault names it.",
    401: "There are no credentials, or they are wrong.",
    403: "The caller, or the scope of the token, lacks the right to do that; the fault names the scope.",
    404: "There is no such thing, or the caller may not see it.",
    409: "It does not fit the present state.",
    413: "The body is too large.",
    415: "The body is of a type that is not read here.",
    429: "Too many logins have failed, or are tried at once; wait as `Retry-After` says.",
    503: "The database does not answer; nothing was stored.",
}
OF_POSTS = (409, 413, 415)
FORMATS = ("application/xml", "application/json")
SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": (
            "A token made on the page `/tokens/`, or one that a name and a password get from "
            "`POST /ovirt-engine/sso/oauth/token`, form encoded: `grant_type=password`, `username`, `password`. "
            "Its scope has `read` for each GET, `inject` for jobs and steps, `control` for commands and others' jobs."
        ),
    },
    "password": {
        "type": "http",
        "scheme": "basic",
        "description": "In UTF-8. With `Prefer: persistent-auth` the answer sets the cookie `JSESSIONID`, which stands for it.",
    },
    "persistent": {
        "type": "apiKey",
        "in": "cookie",
        "name": "JSESSIONID",
        "description": (
            "For programs, beside `Prefer: persistent-auth`: without that the request is its last one. "
            "It is idle for 30 minutes at most."
        ),
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": settings.SESSION_COOKIE_NAME,
        "description": "The cookie of a browser that has logged in; a POST needs `X-CSRFToken` beside it.",
    },
}


class DescribedView(AutoSchema):
    """Describes a view by its docstrings and its row of OPERATIONS."""

    @property
    def row(self) -> Operation:
        return OPERATIONS[type(self.view)][self.method]

    @property
    def words(self) -> tuple[str, str]:
        """The docstring of the view's method: its first sentence, and the rest."""
        summary, _, rest = (inspect.getdoc(getattr(self.view, self.method.lower())) or "").partition("\n\n")
        return summary.replace("\n", " ").removesuffix("."), rest

    @property
    def faults(self) -> list[int]:
        if self.row.open_to_all:
            return []
        kinds = [status for status in FAULTS if self.method == "POST" or status not in OF_POSTS]
        return [status for status in kinds if status != 404 or "{" in self.path]

    def get_operation(self, *args: Any) -> Schema | None:
        operation: Schema = super().get_operation(*args) or {}
        for status in self.faults:
            operation["responses"][str(status)] = {"$ref": f"#/components/responses/Fault{status}"}
        if self.row.body and self.row.body_required:
            operation["requestBody"]["required"] = True
        return operation

    def get_operation_id(self) -> str:
        place = re.sub(r"[{}]|_id", "", self.path.removeprefix("/api").strip("/")) or "root"
        return f"{self.method.lower()}_{re.sub('[^a-z]+', '_', place)}"

    def get_summary(self) -> str:
        return self.words[0]

    def get_description(self) -> str:  # type: ignore[override]  # as in drf-spectacular's own
        return self.words[1]

    def get_tags(self) -> list[str]:
        kinds = ("steps", "jobs", "commands")
        return [next((kind for kind in kinds if f"/{kind}" in self.path), "site")]

    def get_auth(self) -> list[Schema]:
        return [{}] if self.row.open_to_all else [{name: []} for name in SECURITY]

    def get_override_parameters(self) -> Any:
        everywhere = [] if self.row.open_to_all else [ACCEPT, VERSION]
        once = [IDEMPOTENCY] if self.method == "POST" else []
        return [*self.row.parameters, *everywhere, CORRELATION, ECHO, *once]

    def get_request_serializer(self) -> Any:
        return {kind: ref(self.row.body) for kind in self.map_parsers()} if self.row.body else None

    def get_response_serializers(self) -> Any:
        words = "The new thing." if self.row.status == 201 else "What was asked for, or done."
        answer = OpenApiResponse(ref(self.row.answer), words)
        if self.row.status == 202:
            return {202: OpenApiResponse(ref(self.row.answer), "It will be done."), 200: answer}
        return {(self.row.status, *self.row.answer_types): answer}


_making = Lock()


def document() -> bytes:
    """The document as JSON; made once in a process, by one thread, for drf-spectacular can have but one at it."""
    with _making:
        return _document()


@cache
def _document() -> bytes:
    made = SchemaGenerator(patterns=urlpatterns).get_schema(public=True)  # type: ignore[no-untyped-call]
    made["info"]["description"] = DESCRIPTION
    made["servers"] = [{"url": "/"}]
    made["components"] = {
        "schemas": SHAPES,
        "responses": {f"Fault{status}": fault(words) for status, words in FAULTS.items()},
        "securitySchemes": SECURITY,
    }
    return json.dumps(made, ensure_ascii=False).encode()


def fault(words: str) -> Schema:
    return {"description": words, "content": {kind: {"schema": ref("Fault")} for kind in FORMATS}}
