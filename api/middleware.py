"""What is the same for every address of the API: prefixes, versions, matrix parameters, request ids, no HTML."""

import re
import uuid
from collections.abc import Callable
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from api.errors import plain_fault
from api.wire import Wire
from taskmonitor.errors import Invalid
from taskmonitor.services.jobs import correlation

_API = re.compile(r"(?P<prefix>/api|/ovirt-engine/api)(?:/(?P<version>v\d+))?(?P<rest>(?:/.*)?)$")
_DIALECTS = {"": "design", "3": "v3", "4": "v4"}


class ApiMiddleware:
    """Brings every spelling of an API address to `/api/…` with a `wire`, `matrix` and `correlation_id`.

    Whatever stands beneath it, Django's own error pages included, reaches a client as a fault.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(("/api", "/ovirt-engine")):
            return self.get_response(request)
        return self.answer(request)

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        path, matrix = _without_matrix(request.path_info)
        match = _API.match(path)
        version = (match["version"] or "")[1:] if match else ""
        asked = version or request.META.get("HTTP_VERSION", "").strip()
        dialect = _DIALECTS.get(asked, "v4")
        base = match["prefix"] + (f"/v{version}" if version else "") if match else ""
        request.matrix = matrix  # type: ignore[attr-defined]
        request.wire = Wire(dialect, base)  # type: ignore[attr-defined]
        request.correlation_id = str(uuid.uuid4())  # type: ignore[attr-defined]
        if asked not in _DIALECTS:
            return self.finished(
                request, plain_fault(request, 400, dialect, f"There is no version {asked}; ask for 3 or 4.")
            )
        given = request.META.get("HTTP_CORRELATION_ID") or request.GET.get("correlation_id")
        try:
            request.correlation_id = correlation(given or None)  # type: ignore[attr-defined]
        except Invalid as problem:
            return self.finished(request, plain_fault(request, 400, dialect, str(problem)))
        if match:
            request.path_info = "/api" + match["rest"].replace("/Jobs", "/jobs", 1)
        return self.finished(request, self.get_response(request))

    def finished(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if response.status_code >= 300 and response.get("Content-Type", "text/html").startswith("text/html"):
            response = _instead_of_html(request, response)
        response["Correlation-Id"] = request.correlation_id  # type: ignore[attr-defined]
        response["Cache-Control"] = "no-store"
        return response


def _without_matrix(path: str) -> tuple[str, dict[str, str]]:
    """The path without `;name=value` in its segments, doubled slashes and a slash at its end; and the values."""
    matrix: dict[str, str] = {}
    segments = []
    for segment in path.split("/"):
        name, *parameters = segment.split(";")
        if name:
            segments.append(name)
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            matrix[key] = unquote(value)
    return "/" + "/".join(segments), matrix


def _instead_of_html(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    status = response.status_code if response.status_code >= 400 else 404
    words = {
        400: "The request was refused; see that its Host is among ALLOWED_HOSTS.",
        403: "[User is not authorized to perform this action.]",
        404: f"There is nothing at {request.path}.",
    }
    detail = words.get(status, f"Something went wrong here; the log has it under {request.correlation_id}.")  # type: ignore[attr-defined]
    return plain_fault(request, status, request.wire.dialect, detail)  # type: ignore[attr-defined]
