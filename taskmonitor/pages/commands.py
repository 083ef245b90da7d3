"""The list of commands, and the page of one, with their fragments."""

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any, Self
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone

from coordinator import models, selectors
from coordinator.changes import version
from coordinator.models import OVER, CommandEntity, CommandStatus
from taskmonitor.errors import Invalid
from taskmonitor.models import Actor, Right
from taskmonitor.pages.doors import fragment, page
from taskmonitor.pages.operate import MEMBERS, operations
from taskmonitor.selectors.jobs import Cursor
from taskmonitor.selectors.state import FAILED, FINISHED, RUNNING, UNKNOWN, State
from taskmonitor.services.site import is_released

SIZE = 50
S = CommandStatus
STATES = {
    S.NOT_STARTED: State("Not started", "open", "is-open"),
    S.ACTIVE: State("Active", RUNNING.icon, RUNNING.css_class),
    S.SUCCEEDED: State("Succeeded", "open", FINISHED.css_class),
    S.FAILED: State("Failed", FAILED.icon, FAILED.css_class),
    S.FAILED_RESTARTED: State("Cut off", "broken-circle", "is-lost"),
    S.ENDED_SUCCESSFULLY: State("Ended successfully", FINISHED.icon, FINISHED.css_class),
    S.ENDED_WITH_FAILURE: State("Ended with failure", FAILED.icon, FAILED.css_class),
    S.HELD: State("Held", "broken-circle", "is-lost"),
    S.UNKNOWN: UNKNOWN,
}
SHOWN = {
    "": ("All", Q()),
    "active": ("Active", Q(due_at__isnull=False)),
    "interrupted": ("Interrupted", models.INTERRUPTED),
    "rollback": ("Rollback", models.ROLLBACK),
    "unknown": ("Held or unknown", models.UNKNOWN),
}
_FRAME = re.compile(r'  File "([^"]+)"')
_OTHERS = re.compile(
    rf"/(site-packages|lib/python[\d.]+)/|{re.escape(str(settings.BASE_DIR))}/coordinator/(?!commands/)"
)


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is cut down to, as its address says it."""

    show: str = ""
    text: str = ""
    job: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> Self:
        return cls(**{name: query.get(name, "").strip()[:200] for name in cls.__slots__})

    def query(self, **more: object) -> str:
        """The part of an address that says the same, and `more`."""
        said = {name: value for name, value in asdict(self).items() if value}
        return urlencode(said | {name: str(value) for name, value in more.items()})


@dataclass(frozen=True, slots=True)
class Row:
    """One command in a list, or in a hierarchy with so many above it. It `left` if the list's filters no longer hold."""

    command: CommandEntity
    depth: int = 0
    left: bool = False

    @property
    def state(self) -> State:
        return STATES[S(self.command.status or S.NOT_STARTED)]

    @property
    def indent(self) -> int:
        """As `depth`, but only as deep as there is room for."""
        return min(self.depth + 1, 16)

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.command.created_at, self.command.pk)


@page()
def command_list(request: HttpRequest, actor: Actor) -> HttpResponse:
    return render(request, "taskmonitor/command_list.html", _listing(request, actor, timezone.now()))


@fragment
def command_rows(request: HttpRequest, actor: Actor) -> HttpResponse:
    return render(request, "taskmonitor/_command_rows.html", _listing(request, actor, timezone.now()))


@fragment
def command_row(request: HttpRequest, actor: Actor, command_id: UUID) -> HttpResponse:
    """One row of the list with the same filters; greyed if these no longer hold for the command."""
    now = timezone.now()
    command = selectors.command(command_id, actor)
    filters = Filters.of(request.GET)
    left = bool(filters.query()) and not _found(actor, filters).filter(pk=command_id).exists()
    row = Row(command, left=left)
    return render(request, "taskmonitor/_command_row.html", {"row": row, "version": version(now), "now": now})


@fragment
def command_workers(request: HttpRequest, actor: Actor) -> HttpResponse:
    return render(request, "taskmonitor/_stalled.html", _workers(timezone.now()))


@page()
def command_detail(request: HttpRequest, actor: Actor, command_id: UUID) -> HttpResponse:
    facts = _facts(command_id, actor, timezone.now())
    members = [member.command for member in facts["members"]]
    offered = operations(facts["command"], members) if actor.may(Right.CONTROL) else []
    return render(request, "taskmonitor/command_detail.html", {**facts, "operations": offered})


@fragment
def command_facts(request: HttpRequest, actor: Actor, command_id: UUID) -> HttpResponse:
    return render(request, "taskmonitor/_command_facts.html", _facts(command_id, actor, timezone.now()))


def _listing(request: HttpRequest, actor: Actor, now: datetime) -> dict[str, Any]:
    filters, after = Filters.of(request.GET), request.GET.get("after", "")
    context: dict[str, Any] = {
        "filters": filters,
        "query": filters.query(),
        "choices": [(value, words) for value, (words, _) in SHOWN.items()],
        **_workers(now),
        "first": not after,
        "size": SIZE,
    }
    try:
        found, rest = selectors.page(
            _found(actor, filters),
            limit=SIZE,
            after=Cursor.parse(after) if after else None,
            few=filters.show == "active" or bool(filters.job),
        )
    except Invalid as error:
        return {**context, "problem": str(error)}
    older = "?" + filters.query(after=rest) if rest else ""
    return {**context, "rows": [Row(command) for command in found], "older": older}


def _found(actor: Actor, filters: Filters) -> Any:
    if filters.show not in SHOWN:
        raise Invalid("show", f"choose among {', '.join(filter(None, SHOWN))}.")
    found = selectors.listed(actor).filter(SHOWN[filters.show][1])
    if filters.job:
        try:
            found = found.filter(job_id=UUID(filters.job))
        except ValueError:
            raise Invalid("job", "is not the id of a job.") from None
    return selectors.containing(found, filters.text) if filters.text else found


def _facts(command_id: UUID, actor: Actor, now: datetime) -> dict[str, Any]:
    from coordinator.rebuild import shown_parameters, shown_result  # which loads all commands

    row = selectors.command(command_id, actor)
    return {
        "command": row,
        "state": Row(row).state,
        "members": [Row(m.command, m.depth) for m in selectors.hierarchy(row, limit=MEMBERS)],
        "parameters": _text(shown_parameters(row)),
        "result": None if row.return_value is None else _text(shown_result(row)),
        "frames": _frames(row.trace) if actor.may(Right.TRACES) else [],
        "has_trace": bool(row.trace),
        "held": row.held(now),
        "live": row.status not in OVER,
        **_workers(now),
    }


def _workers(now: datetime) -> dict[str, Any]:
    """The time of the answer, and why commands may not get on; the latter is asked by templates that say so."""
    return {
        "now": now,
        "version": version(now),
        "released": is_released,
        "stalled": partial(selectors.is_stalled, now),
    }


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _frames(trace: str) -> list[tuple[str, bool]]:
    """The lines of a trace, and whether each is of the command's own code."""
    lines, own = [], True
    for line in trace.splitlines():
        if frame := _FRAME.match(line):
            own = not _OTHERS.search(frame[1])
        elif not line.startswith("    "):
            own = True
        lines.append((line, own))
    return lines
