"""The one table from what went wrong to what a client of the API is told (oVirt: `<fault>`)."""

import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from api.authentication import CHALLENGE
from api.json import dumps
from api.wire import Document, Members, Wire, writable
from api.xml import DECLARATION, element
from taskmonitor import errors
from taskmonitor.database_trouble import is_database_trouble
from taskmonitor.serving.patience import postpone

logger = logging.getLogger(__name__)

OPERATION_FAILED = "Operation Failed"


class EngineRefusal(Exception):
    """A request that is refused in the oVirt engine's own words, for clients that know them."""


TABLE: dict[type[Exception], tuple[int, str]] = {
    errors.Missing: (400, "Incomplete parameters"),
    errors.Invalid: (400, "Invalid value"),
    EngineRefusal: (400, OPERATION_FAILED),
    errors.NotAllowed: (403, OPERATION_FAILED),
    errors.NotInScope: (403, OPERATION_FAILED),
    errors.NotFound: (404, "Not found"),
    errors.LoginRefused: (401, "Unauthorized"),
    errors.PasswordExpired: (403, OPERATION_FAILED),
    errors.TooManyAttempts: (429, "Too many attempts"),
    errors.Conflict: (409, OPERATION_FAILED),
    exceptions.ParseError: (400, "Request syntactically incorrect."),
    exceptions.NotAuthenticated: (401, "Unauthorized"),
    exceptions.AuthenticationFailed: (401, "Unauthorized"),
    exceptions.PermissionDenied: (403, OPERATION_FAILED),
    PermissionDenied: (403, OPERATION_FAILED),
    Http404: (404, "Not found"),
    exceptions.MethodNotAllowed: (405, "Method not allowed"),
    RequestDataTooBig: (413, "Request too large"),
    SuspiciousOperation: (400, "Request syntactically incorrect."),
    exceptions.UnsupportedMediaType: (415, "Unsupported media type"),
}
AWAY, COME_AGAIN = "Database not available", "Nothing was stored; try again."
WORDS: dict[type[Exception], str] = {
    exceptions.NotAuthenticated: "Give a user name and password, or a token.",
    RequestDataTooBig: f"The body may have {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes.",
}
_REASONS = {400: "Request syntactically incorrect.", 403: OPERATION_FAILED, 404: "Not found", 503: AWAY}
_CODES = {500: "server_error", 503: "temporarily_unavailable"}


def fault(problem: Exception, context: Mapping[str, Any]) -> Response:
    """REST framework's exception handler: every problem of a view becomes a fault."""
    request = context["request"]
    status, reason = told(problem)
    if status >= 500:
        logger.error("Request id=%s failed", request.correlation_id, exc_info=problem)
    response = Response(
        Document(
            "fault",
            fault_members(request.wire.dialect, reason, detail(problem, status, request.correlation_id)),
        ),
        status=status,
        headers=_headers(problem, status),
    )
    postpone(response, problem)
    return response


def told(problem: Exception) -> tuple[int, str]:
    """The HTTP status of a problem and the reason in a fault."""
    if is_database_trouble(problem):
        return 503, AWAY
    return next((TABLE[kind] for kind in type(problem).__mro__ if kind in TABLE), (500, "Internal error"))


def detail(problem: Exception, status: int, correlation_id: str) -> str:
    """What a client is told, never empty; of our own errors nothing but where the log has more."""
    for kind, words in WORDS.items():
        if isinstance(problem, kind):
            return words
    if status == 503:
        return COME_AGAIN
    if status >= 500:
        return f"Something went wrong here; the log has it under {correlation_id}."
    words = str(getattr(problem, "detail", problem)) or OPERATION_FAILED
    return f"[{words}]" if status == 403 else words


def fault_members(dialect: str, reason: str, detail: str) -> Members:
    """A fault in the order of the dialect's schema."""
    told = writable(detail)
    if dialect == "v4":
        return {"detail": told, "reason": reason}
    return {"reason": reason, "detail": told}


def plain_fault(wire: Wire, status: int, detail: str) -> HttpResponse:
    """A fault outside any view: an unknown address, a foreign host, a request that Django itself refused.

    Where one logs in, which is no part of the API, it has OAuth's form.
    """
    reason = _REASONS.get(status, "Internal error" if status >= 500 else OPERATION_FAILED)
    members = fault_members(wire.dialect, reason, detail)
    if wire.json and not wire.base:
        members = {"error": members["detail"], "error_code": _CODES.get(status, "invalid_request")}
    if wire.json:
        return HttpResponse(dumps(members, wire.dialect), "application/json", status)
    return HttpResponse(DECLARATION + element("fault", members), "application/xml; charset=utf-8", status)


def _headers(problem: Exception, status: int) -> dict[str, str]:
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = CHALLENGE
    if status in (429, 503):
        headers["Retry-After"] = str(int(getattr(problem, "wait", None) or 1))
    return headers
