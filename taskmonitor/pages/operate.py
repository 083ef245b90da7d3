"""What operators do to a command: each is asked for first, with a reason for the audit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from coordinator import operators, selectors
from coordinator.models import OVER, CommandEntity, CommandStatus
from taskmonitor.errors import Conflict, Invalid, NotAllowed
from taskmonitor.models import Actor, Right
from taskmonitor.pages.bidi import isolated
from taskmonitor.pages.confirm import Question, ask
from taskmonitor.pages.doors import page
from taskmonitor.pages.refusals import words

MEMBERS = 200  # commands of a hierarchy that are shown
S = CommandStatus


@dataclass(frozen=True, slots=True)
class Operation:
    """The verb on its buttons, what happens then, and what is said afterwards."""

    act: Callable[..., object]
    verb: str
    words: str
    done: str


OPERATIONS = {
    "command_poll": Operation(
        operators.poll_now,
        "Poll now",
        "A worker looks at it at once instead of when it is due. One that is at it goes on. Nothing is lost by it.",
        "A worker looks at it now.",
    ),
    "command_fail": Operation(
        operators.mark_failed,
        "Mark failed",
        "It fails, whatever it is at, and so does all that lives beneath it: its end method for failures runs next, "
        "and its job and step end as failed. "
        "What it began outside of this server may go on. This cannot be undone.",
        "Failed: its end method runs now.",
    ),
    "command_resume": Operation(
        operators.resume,
        "Resume",
        "It goes on from where it was, or from its checkpoint if it was cut off. "
        "See first that nobody else has taken up its work.",
        "Resumed: it goes on now.",
    ),
    "command_remove": Operation(
        operators.remove_hierarchy,
        "Remove hierarchy",
        "All commands of its hierarchy ({number}) are deleted, with their parameters, results and traces. "
        "Their jobs and steps stay. This cannot be undone.",
        "Removed, with all of its hierarchy.",
    ),
}


@page("GET", "HEAD", "POST")
def operate(request: HttpRequest, actor: Actor, command_id: UUID, operation: str) -> HttpResponse:
    """One of OPERATIONS: GET asks, POST does it, or says on the same page what is missing."""
    if not actor.may(Right.CONTROL):
        raise NotAllowed(Right.CONTROL)
    if request.method != "POST":
        return ask(request, _question(command_id, actor, operation))
    asked, reason = OPERATIONS[operation], request.POST.get("reason", "").replace("\r\n", "\n")
    try:
        asked.act(command_id=command_id, reason=reason, actor=actor, now=timezone.now())
    except Invalid as error:
        question = _question(command_id, actor, operation)
        return ask(request, question, reason=reason, problem=words(error), status=400)
    except Conflict as error:
        messages.error(request, words(error))
    else:
        messages.success(request, asked.done)
        if operation == "command_remove":
            return redirect("command_list")
    return redirect("command_detail", command_id)


def operations(row: CommandEntity, members: Sequence[CommandEntity]) -> list[tuple[str, str, str]]:
    """What may be done to it: address, verb, and why not, if it cannot be done now."""
    over = all(member.status in OVER for member in members)
    fails = S.FAILED in CommandEntity.TRANSITIONS.get(S(row.status or S.NOT_STARTED), ())
    resumes = row.status in (S.HELD, S.UNKNOWN, S.FAILED_RESTARTED)
    refused = {
        "command_poll": "" if row.due_at else "no worker will look at it again",
        "command_fail": "" if fails else "it has failed, or ended",
        "command_resume": "" if resumes else "it is neither held nor unknown, nor cut off",
        "command_remove": "" if over else "some of its hierarchy still lives",
    }
    return [(name, operation.verb, refused[name]) for name, operation in OPERATIONS.items()]


def _question(command_id: UUID, actor: Actor, name: str) -> Question:
    row = selectors.command(command_id, actor)
    members = [member.command for member in selectors.hierarchy(row, limit=MEMBERS)]
    number = str(len(members)) if len(members) < MEMBERS else f"{MEMBERS} or more"
    return Question(
        title=f"{OPERATIONS[name].verb}: {isolated(row.command_type)} {str(row.pk)[:8]}?",
        words=OPERATIONS[name].words.format(number=number),
        verb=OPERATIONS[name].verb,
        back=reverse("command_detail", args=[row.pk]),
        refused=next(why for at, _, why in operations(row, members) if at == name),
        wants_reason=True,
    )
