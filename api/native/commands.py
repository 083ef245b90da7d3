"""Commands over REST: run one, watch it, tell it of an event; and what operators do to those that do not get on.

What runs commands is imported where it is needed, so that it costs nothing where nobody asks for them.
"""

import re
from typing import Any
from uuid import UUID

from django.db import Error
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from api.native.spelling import brief, whole
from api.ovirt.inputs import Given, identifier, members, text
from api.values import kept, present, read
from api.views import ApiView, once
from api.wire import Document, Members
from coordinator import operators, selectors
from coordinator.models import OVER, CommandEntity, CommandStatus
from coordinator.waiting import watch
from taskmonitor.database_trouble import is_database_trouble
from taskmonitor.errors import Invalid, Missing, NotAllowed, NotFound
from taskmonitor.models import Right
from taskmonitor.selectors.jobs import Cursor
from taskmonitor.serving.patience import Waiting

USUAL, MOST = 100, 500  # commands on a page
LONGEST_WAIT = 60  # seconds that an answer may be preferred to take
_WAIT = re.compile(r'(?:^|[,\s])wait\s*=\s*"?([0-9]{1,9})', re.IGNORECASE)


class CommandView(ApiView):
    """A view of commands."""

    rights_to_post: tuple[Right, ...] = (Right.CONTROL,)

    def recheck(self, command_id: UUID) -> None:  # type: ignore[override]  # its key
        selectors.command(command_id, self.actor)

    def command(self, row: CommandEntity) -> Members:
        """The command, whole; its trace is not in an answer that is kept, for the right to see it may be lost."""
        kept = self.request.method == "POST" and "Idempotency-Key" in self.request.headers
        return whole(row, self.wire, traces=self.actor.may(Right.TRACES) and not kept)

    def done(self, row: CommandEntity | None = None) -> Response:
        return Response(Document("action", {"command": row and self.command(row), "status": "complete"}))

    def reason(self) -> str:
        """Why the caller does it, which operators must say."""
        given = members(self.request.data, "action", may_be_empty=True)
        reason = text(given, "reason")
        if reason is None:
            raise Missing("Action", ["reason"], "add")
        return reason


class Commands(CommandView):
    """The commands that the caller sees, newest first."""

    rights_to_post = tuple(Right)  # which of them it takes is the command's to say

    def recheck(self, command_id: UUID) -> None:  # type: ignore[override]  # its key
        kind, _ = self.asked()
        if not self.actor.may(kind.right):
            raise NotAllowed(kind.right)
        super().recheck(command_id)

    def get(self, request: Request) -> Response:
        """List commands, `max` of them, with the address of the next page."""
        limit = min(self.whole("max") or USUAL, MOST)
        after = self.parameter("after")
        found, cursor = selectors.page(
            *selectors.having(self.actor, **self.filters()),
            limit=limit,
            after=Cursor.parse(after) if after else None,
        )
        listed: Members = {"command": [brief(row, self.wire.base) for row in found]}
        if cursor is None:
            return Response(Document("commands", listed))
        href = self.next_href("commands", cursor)
        listed["link"] = [{"href": href, "rel": "next"}]
        return Response(Document("commands", listed), headers={"Link": f'<{href}>; rel="next"'})

    def post(self, request: Request) -> HttpResponseBase:
        """Run a command.

        It is stored and executed by a worker, whatever happens to this server. `Prefer: wait=10` has the answer
        wait for its end for so many seconds, 60 at most: 200 if it ended, and 202 as ever if it did not.
        """
        response = self.submit(request)
        seconds = self.preferred_wait()
        if seconds and isinstance(response, HttpResponse):
            self.let_wait(response, seconds)
        return response

    @once
    def submit(self, request: Request) -> Response:
        from coordinator.command import Context
        from coordinator.executor import execute_async

        kind, parameters = self.asked()
        context = Context(
            correlation_id=self.request.correlation_id,
            job_id=self.attached("job_id", "JobId"),
            step_id=self.attached("step_id", "StepId"),
        )
        handle = execute_async(kind, parameters, context, **self.by)
        spelled = self.command(selectors.command(handle.command_id, self.actor))
        location = self.request.build_absolute_uri(spelled["href"])
        return Response(Document("command", spelled), 202, headers={"Location": location})

    def asked(self) -> tuple[Any, Any]:
        """The command that the body names, and its parameters."""
        from coordinator import registry
        from coordinator.capabilities import schema

        given = members(self.request.data, "command")
        name = text(given, "type")
        if name is None:
            raise Missing("Command", ["type"], "add")
        try:
            kind = registry.get(name)
        except NotFound:
            raise Invalid(
                "type", f"there is no command {name[:100]!r}; /api/capabilities lists them."
            ) from None
        parameters = kept("parameters", given.get("parameters"))
        fitted = present if self.request.data.root is None else read
        parameters = fitted(parameters, schema(kind.parameters_class))
        return kind, {} if parameters is None else parameters

    def attached(self, *names: str) -> UUID | None:
        """The job or step that is to show the command (MISSION.md D16); Invalid if two names say different ones."""
        said = {identifier(name, value) for name in names if (value := self.parameter(name)) is not None}
        if len(said) > 1:
            raise Invalid(names[0], f"contradicts {names[1]}; send one of them.")
        return said.pop() if said else None

    def preferred_wait(self) -> int:
        """The seconds of `Prefer: wait`; 0 without."""
        found = _WAIT.search(self.request.headers.get("Prefer", ""))
        return min(int(found[1]), LONGEST_WAIT) if found else 0

    def let_wait(self, response: HttpResponse, seconds: int) -> None:
        """Have the response wait for the command's end, holding neither a thread nor a transaction meanwhile."""
        command_id = UUID(response["Location"].rpartition("/")[2])

        def then() -> None:
            try:
                actor = self.actor_by_now()
                row = actor and selectors.listed(actor).defer(None).filter(pk=command_id).first()
            except Error as problem:
                if not is_database_trouble(problem):
                    raise
                return  # what was right before the wait is right still
            if not actor or not row:
                return
            self.actor = actor
            response["Preference-Applied"] = f"wait={seconds}"
            response.status_code = 200 if row.status in OVER else 202
            response.content = self.request.accepted_renderer.render(
                Document("command", self.command(row)), renderer_context={"request": self.request}
            )

        response.waiting = Waiting(lambda: watch.over(command_id, seconds), then)  # type: ignore[attr-defined]

    def filters(self) -> dict[str, Any]:
        """The fields that the commands are to have."""
        fields: dict[str, Any] = {}
        if (status := self.parameter("status")) is not None:
            if status.upper() not in CommandStatus.values:
                raise Invalid("status", f"{status[:40]!r} is none of {', '.join(CommandStatus.values)}.")
            fields["status"] = status.upper()
        if (name := self.parameter("type")) is not None:
            fields["command_type"] = name
        for parameter, column in (("job", "job_id"), ("parent", "parent_command_id")):
            if (key := self.parameter(parameter)) is not None:
                fields[column] = identifier(parameter, key)
        return fields


class OneCommand(CommandView):
    """One command."""

    def get(self, request: Request, command_id: UUID) -> Response:
        """Read a command.

        With its parameters and its result, in which `***` stands for what is secret, the first of its child
        commands, and for those who may see traces that of its failure.
        """
        return Response(Document("command", self.command(selectors.command(command_id, self.actor))))


class Event(CommandView):
    """What a command waits for."""

    rights_to_post = (Right.INJECT, Right.CONTROL)

    @once
    def post(self, request: Request, command_id: UUID) -> Response:
        """Tell a command of the event that it waits for, or will wait for, with any `data`."""
        from coordinator.executor import deliver

        given: Given = members(request.data, "event", may_be_empty=True)
        row = selectors.command(command_id, self.actor)
        if row.user_id != self.actor.user_id and not self.actor.may(Right.CONTROL):
            raise NotAllowed(Right.CONTROL)
        data = kept("data", given.get("data"))
        deliver(command_id, {} if data is None else data, now=self.now)
        return self.done(selectors.command(command_id, self.actor))


class Poll(CommandView):
    """A look that does not wait for its time."""

    @once
    def post(self, request: Request, command_id: UUID) -> Response:
        """Have a live command looked at at once, for a `reason`."""
        return self.done(operators.poll_now(command_id=command_id, reason=self.reason(), **self.by))


class Fail(CommandView):
    """The end of a command that does not get on."""

    @once
    def post(self, request: Request, command_id: UUID) -> Response:
        """Let a live command fail, for a `reason`; its end method runs next."""
        return self.done(operators.mark_failed(command_id=command_id, reason=self.reason(), **self.by))


class Resume(CommandView):
    """A new beginning."""

    @once
    def post(self, request: Request, command_id: UUID) -> Response:
        """Resume a command that is HELD or UNKNOWN, or that was cut off and is resumable. It takes a `reason`."""
        return self.done(operators.resume(command_id=command_id, reason=self.reason(), **self.by))


class Remove(CommandView):
    """A hierarchy of commands that nobody needs any more."""

    def recheck(self, command_id: UUID) -> None:  # type: ignore[override]  # its key
        """The answer shows nothing of what was removed."""

    @once
    def post(self, request: Request, command_id: UUID) -> Response:
        """Remove all of the hierarchy that a command belongs to, if all of it is over, for a `reason`."""
        operators.remove_hierarchy(command_id=command_id, reason=self.reason(), **self.by)
        return self.done()
