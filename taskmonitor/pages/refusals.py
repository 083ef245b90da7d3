"""What went wrong, told to people: what was not done, why, and where to go on."""

import re

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from taskmonitor.errors import (
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    TaskMonitorError,
    TransitionError,
)
from taskmonitor.models import ROLE_RIGHTS

STATUSES: dict[type[TaskMonitorError], int] = {NotFound: 404, NotAllowed: 403, Invalid: 400, Conflict: 409}
REFUSALS = tuple(STATUSES)
LISTS = {"Command": "command_list", "Token": "tokens"}
_STATUS = re.compile(r"\b(?:[A-Z]+_[A-Z_]+|[A-Z]{6,}|HELD)\b")
_SHOWN = {"STARTED": "running", "FAILED_RESTARTED": "cut off"}
_PREDICATE = re.compile(r"(is|has|must|cannot|may)\b")  # what can follow the name of a field


def words(error: TaskMonitorError) -> str:
    """A sentence or two about it without the names that only programs know."""
    if isinstance(error, NotFound):
        return f"This {error.kind.lower()} does not exist any more, or you may not see it."
    if isinstance(error, NotAllowed):
        roles = [role for role, rights in ROLE_RIGHTS.items() if error.permission in rights]
        return f"Nothing was done: it takes the role {roles[0]}. An administrator can give it to you."
    if isinstance(error, TransitionError):
        return f"Nothing was done: it is {_shown(error.status)} by now."
    if isinstance(error, Conflict):
        return "Nothing was done. " + _STATUS.sub(lambda found: _shown(found[0]), str(error))
    if isinstance(error, Invalid):
        field, _, problem = str(error).partition(": ")
        return f"The {field} {problem}" if _PREDICATE.match(problem) else problem[:1].upper() + problem[1:]
    return str(error)


def _shown(status: str) -> str:
    return _SHOWN.get(status, status.replace("_", " ").lower())


def refusal(request: HttpRequest, error: TaskMonitorError) -> HttpResponse:
    """The page that says it."""
    status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
    listing = LISTS.get(error.kind, "job_list") if isinstance(error, NotFound) else "job_list"
    context = {"words": words(error), "listing": reverse(listing)}
    return render(request, f"{status}.html", context, status=status)


def only_posted(request: HttpRequest, methods: tuple[str, ...]) -> HttpResponse:
    """For who follows the address of a button, as after a login, and for programs."""
    response = render(request, "405.html", status=405)
    response.headers["Allow"] = ", ".join(methods)
    return response


def way_back(request: HttpRequest) -> str:
    """The page of ours that led here; empty if it was another site's, or this one."""
    try:
        host = request.get_host()
    except DisallowedHost:  # which is what is refused
        return ""
    came_from = request.META.get("HTTP_REFERER", "")
    if not url_has_allowed_host_and_scheme(came_from, {host}, require_https=request.is_secure()):
        return ""
    path = came_from.removeprefix(f"{request.scheme}://{host}")
    return "" if path == request.get_full_path() and request.method == "GET" else path
