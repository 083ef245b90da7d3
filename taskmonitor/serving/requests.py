"""What is noted of each request: who asked for what from where, what came of it, and how long it took."""

import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import perf_counter
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import Error
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from taskmonitor import logs, metrics
from taskmonitor.serving.asgi_types import Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

REFUSED = (401, 403, 429)  # for whom it was, not for what it said
LONGEST_PATH = 500  # signs of a path that are logged
_MATRIX = re.compile(r";[^/]*")


async def noted(
    application: Callable[[Scope, Receive, Send], Awaitable[None]],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Have the application answer, and note it: in the metrics, and in a line of the log if that is wanted or it was refused."""
    began, took, status, size = perf_counter(), 0.0, 0, 0
    client = scope.get("client")
    scope["facts"] = facts = {"request_id": str(uuid4()), "address": client[0] if client else ""}

    async def note(message: Message) -> None:
        nonlocal took, status, size
        if message["type"] == "http.response.start":
            took, status = perf_counter() - began, message["status"]
        else:
            size += len(message.get("body", b""))
        await send(message)

    metrics.ACTIVE_REQUESTS.inc()
    try:
        await application(scope, receive, note)
    finally:
        metrics.ACTIVE_REQUESTS.dec()
        if status:
            metrics.request_duration(scope["method"], scope.get("route", ""), status).observe(took)
        if settings.LOG_REQUESTS or status >= 400:
            milliseconds = round((perf_counter() - began) * 1000, 1)
            outcome = {"status": status, "ms": milliseconds, "bytes": size, "route": scope.get("route", "")}
            level = logging.WARNING if status in REFUSED or status >= 500 else logging.INFO
            path = _without_secrets(scope)
            logger.log(level, "%s %s", scope["method"], path, extra={"facts": {**facts, **outcome}})


class RequestFacts:
    """Middleware: each line that is logged while a request runs says which one it is, and so does its answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        scope: Scope = getattr(request, "scope", {})
        facts: logs.Facts = scope.setdefault("facts", {})
        facts.setdefault("request_id", str(uuid4()))  # without our server there is none yet
        request.facts = facts  # type: ignore[attr-defined]
        with logs.about(facts):
            response = self.get_response(request)
            if request.resolver_match:
                scope["route"] = request.resolver_match.route
            if "user" not in facts:
                _note_user(request)
        response.headers["X-Request-Id"] = facts["request_id"]
        return response

    def process_view(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        for name in ("job_id", "command_id"):
            if name in kwargs:
                logs.note(**{name: str(kwargs[name])})


def _note_user(request: HttpRequest) -> None:
    """Who asked, if a view of somebody else's has found that out."""
    with suppress(Error):
        user = getattr(request, "user", None)
        if user is not None and user.is_authenticated:
            logs.note(user=user.get_username())


def _without_secrets(scope: Scope) -> str:
    """The path as it was asked for, without what could be one: its query and matrix parameters."""
    path: str = scope["raw_path"].decode("latin-1")[:LONGEST_PATH]
    return _MATRIX.sub("", path) if ";" in path else path
