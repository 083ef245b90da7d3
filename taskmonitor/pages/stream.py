"""What happens, as server-sent events, so that an open page knows which of its rows to fetch again."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from taskmonitor.logs import note
from taskmonitor.models import Actor, Verb
from taskmonitor.pages.stream_commands import CommandNews, commands
from taskmonitor.pages.stream_watch import watch
from taskmonitor.selectors import access
from taskmonitor.stream import BENEATH, Change, Reset, hub

PATIENCE = 5  # seconds of silence, after which a page could think that the server is away


async def stream(request: HttpRequest) -> HttpResponseBase:
    """Events `change` of jobs and steps; with `?commands=1` also `command`, for who has a page of commands open."""
    if request.method != "GET":
        return HttpResponse(status=405, headers={"Allow": "GET"})
    actor = await _actor(request.session)
    if actor is None:
        return HttpResponse("Log in first.", status=401)
    note(user=actor.name)
    given = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    after = int(given) if given.isascii() and given.isdecimal() and len(given) <= 18 else None
    return StreamingHttpResponse(
        _events(str(request.session.session_key), actor, after, bool(request.GET.get("commands"))),
        content_type="text/event-stream; charset=utf-8",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(
    session_key: str, actor: Actor, after: int | None, with_commands: bool
) -> AsyncIterator[str]:
    async with hub.reader(actor, after) as reader, AsyncExitStack() as stack:
        stack.enter_context(watch.keeps(reader, session_key))
        followed = await stack.enter_async_context(commands.followed_by(reader)) if with_commands else None
        data = json.dumps({"user": str(actor.user_id)})
        yield f"id: {reader.position}\nevent: open\ndata: {data}\n\n"
        while True:
            news = await reader.news(PATIENCE)
            if reader.actor is None:
                yield "event: logout\ndata: {}\n\n"
                return
            if not hub.readable:  # the end of the stream says so
                return
            yield _written(news, followed.take() if followed else (), reader.position)


def _written(news: list[Change] | Reset, of_commands: Sequence[CommandNews], position: int) -> str:
    told = "".join(_command_event(each) for each in of_commands)
    if isinstance(news, Reset):
        return f"{told}id: {position}\nevent: reset\ndata: {{}}\n\n"
    told += "".join(_event(change) for change in _latest(news))
    return told or f"id: {position}\nevent: alive\ndata: {{}}\n\n"


def _latest(changes: list[Change]) -> list[Change]:
    """The last change of each thing; the first one too if that added it. What is only beneath comes first."""
    latest = {(change.job_id, change.step_id): change for change in changes if change.verb != Verb.ADDED}
    added = [change for change in changes if change.verb == Verb.ADDED]
    return sorted([*added, *latest.values()], key=lambda change: (change.position, change.verb != BENEATH))


def _event(change: Change) -> str:
    data = {
        "job": str(change.job_id),
        "step": change.step_id and str(change.step_id),
        "parent": change.parent_step_id and str(change.parent_step_id),
        "version": change.version,
        "verb": change.verb,
    }
    seen = (
        "" if change.verb == BENEATH else f"id: {change.position}\n"
    )  # with the change itself, which comes next
    return f"{seen}event: change\ndata: {json.dumps(data)}\n\n"


def _command_event(news: CommandNews) -> str:
    """It has no id: what happened to commands is not told again to who comes back."""
    change = news.change
    data = {
        "id": change and str(change.command_id),
        "root": change and change.root_command_id and str(change.root_command_id),
        "job": change and change.job_id and str(change.job_id),
        "version": news.version,
        "verb": Verb.ADDED if change and change.added else "changed",
    }
    return f"event: command\ndata: {json.dumps(data)}\n\n"


@sync_to_async
def _actor(session: SessionBase) -> Actor | None:
    """Who the session belongs to; None if it has ended or its user may no longer log in."""
    asking = HttpRequest()
    asking.session = session
    user = get_user(asking)
    return access.actor(user) if isinstance(user, User) else None
