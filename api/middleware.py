"""What is the same for every address of the API: prefixes, versions, matrix parameters, request ids, no HTML."""

import re
from collections.abc import Callable
from urllib.parse import unquote

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from api import charset, persistent
from api.errors import COME_AGAIN, plain_fault
from api.negotiation import wants_json
from api.wire import Wire
from taskmonitor.errors import Invalid
from taskmonitor.logs import note
from taskmonitor.services.jobs import correlation
from taskmonitor.serving.headers import POLICY
from taskmonitor.serving.readable import refusal

_OURS = re.compile(r"/*(?:api|ovirt-engine|metrics)(?:[/;]|\Z)")
_API = re.compile(
    r"(?P<prefix>/api|/ovirt-engine/api)(?:/(?P<version>v[0-9]+))?(?P<rest>(?:/.*)?)", re.DOTALL
)
_LOGIN = re.compile(r"/ovirt-engine/(?:sso|services)(?:/|\Z)")
_DIALECTS = {"": "design", "3": "v3", "4": "v4"}
_WORDS = {
    400: "The request was refused; see that its Host is among ALLOWED_HOSTS.",
    403: "[User is not authorized to perform this action.]",
    503: COME_AGAIN,
}


class ApiMiddleware:
    """Brings every spelling of an API address to `/api/…` with a `wire`, `matrix` and `correlation_id`.

    Whatever stands beneath it, Django's own error pages included, reaches a client as a fault.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not _OURS.match(request.path_info):
            return self.get_response(request)
        request.correlation_id = request.facts["request_id"]  # type: ignore[attr-defined]
        request.by_program = "HTTP_COOKIE" not in request.META  # type: ignore[attr-defined]
        response = self.answer(request)
        response["Correlation-Id"] = request.correlation_id  # type: ignore[attr-defined]
        response["Cache-Control"] = "no-store"
        response["Content-Security-Policy"] = POLICY
        return response

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        path, request.matrix = _without_matrix(request)  # type: ignore[attr-defined]
        match = _API.fullmatch(path)
        has_form = not match or request.META.get("HTTP_COOKIE", "") != ""  # a browser's may have a CSRF token
        status, problem = refusal(request, form=has_form, charsets=charset.OF_FORMS) or (400, "")
        version = (match["version"] or "")[1:] if match else ""
        usual = "4" if path.startswith("/ovirt-engine") else ""  # there answers are an engine's of today
        asked = version or request.META.get("HTTP_VERSION", "").strip() or usual
        wire = Wire(
            dialect=_DIALECTS.get(asked, "v4"),
            base=match["prefix"] + (f"/v{version}" if version else "") if match else "",
            json=wants_json(request) or _LOGIN.match(path) is not None,
        )
        request.wire = wire  # type: ignore[attr-defined]
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            # a program that was led on to HTTPS would go on to send its password without it first
            return plain_fault(
                wire, 403, "Ask by HTTPS: without it, all that is sent can be read on its way."
            )
        if asked not in _DIALECTS:
            status, problem = 400, f"There is no version {asked[:20]}; ask for 3 or 4."
        given = request.META.get("HTTP_CORRELATION_ID") or request.GET.get("correlation_id")
        try:
            if given:
                request.correlation_id = correlation(given)  # type: ignore[attr-defined]
                note(correlation_id=request.correlation_id)  # type: ignore[attr-defined]
        except Invalid as error:
            status, problem = 400, str(error)
        if problem:
            return plain_fault(wire, status, problem)
        if match:
            request.path_info = "/api" + match["rest"].replace("/Jobs", "/jobs", 1)
        response = self.get_response(request)
        if match and ("HTTP_PREFER" in request.META or "HTTP_COOKIE" in request.META):
            persistent.keep(request, response)
        if response.status_code >= 300 and response.get("Content-Type", "").startswith("text/"):
            return _instead_of_page(request, wire, response)
        return response


def _without_matrix(request: HttpRequest) -> tuple[str, dict[str, str]]:
    """The path without `;name=value` in its segments, doubled slashes and a slash at its end; and the values.

    The server has decoded the path already, so where there is a `;` it is read anew as it was sent: the parts
    are told apart first, and each is decoded once, as in a query.
    """
    path, is_raw = request.path_info, False
    if ";" in path and "raw_path" in getattr(request, "scope", {}):
        path, is_raw = request.scope["raw_path"].decode("ascii"), True  # type: ignore[attr-defined]
    matrix: dict[str, str] = {}
    segments = []
    for segment in path.split("/"):
        name, *parameters = segment.split(";")
        if name:
            segments.append(name)
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            matrix[key] = value
    if is_raw:
        segments = [unquote(name) for name in segments]
        matrix = {unquote(key): unquote(value) for key, value in matrix.items()}
    return "/" + "/".join(segments), matrix


def _instead_of_page(request: HttpRequest, wire: Wire, page: HttpResponseBase) -> HttpResponse:
    """A fault in place of words for people: an unknown address, a foreign host, a crash, a database that is away."""
    status = page.status_code
    if status < 400 or status == 404:
        return plain_fault(wire, 404, f"There is nothing at {request.path[:200]}.")
    unknown = f"Something went wrong here; the log has it under {request.correlation_id}."  # type: ignore[attr-defined]
    fault = plain_fault(wire, status, _WORDS.get(status, unknown))
    if "Retry-After" in page:
        fault["Retry-After"] = page["Retry-After"]
    return fault
