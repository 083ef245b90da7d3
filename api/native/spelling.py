"""How commands are spelled."""

from typing import Any

from api.ovirt.links import actions, job_href, reference, step_href, user_href
from api.values import written
from api.wire import Members, Wire
from coordinator import selectors
from coordinator.models import CommandEntity

CHILDREN = 100  # child commands that are named with a command; `/commands?parent=` lists all


def command_href(base: str, command_id: Any) -> str:
    return f"{base}/commands/{command_id}"


def brief(row: CommandEntity, base: str) -> Members:
    """A command, without what would make a list of them large."""
    href = command_href(base, row.pk)
    above = row.parent_command_id
    return {
        **reference(href, row.pk),
        "type": row.command_type,
        "status": row.status,
        "execution_reason": row.execution_reason,
        "executed": row.executed,
        "callback_enabled": row.callback_enabled,
        "callback_notified": row.callback_notified,
        "user": _user(row, base),
        "correlation_id": row.correlation_id,
        "job": reference(job_href(base, row.job_id), row.job_id) if row.job_id else None,
        "step": reference(step_href(base, row.job_id, row.step_id), row.step_id)
        if row.job_id and row.step_id
        else None,
        "root_command": _command(row.root_command_id, base),
        "parent_command": _command(above, base),
        "number": row.position if above else None,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "attempts": row.attempts,
        "polls": row.polls,
        "end_attempts": row.end_attempts,
        "error": row.error or None,
        "schedule": _schedule(row),
        "actions": actions(href, "event", "fail", "poll", "remove", "resume"),
    }


def whole(row: CommandEntity, wire: Wire, *, traces: bool) -> Members:
    """All of a command that may be shown; its trace only with `traces`."""
    from coordinator.rebuild import shown_parameters, shown_result  # which loads all commands

    result = shown_result(row)
    children = selectors.children(row, limit=CHILDREN)
    return {
        **brief(row, wire.base),
        "parameters": written(shown_parameters(row), json=wire.json),
        "result": None if result is None else written(result, json=wire.json),
        "trace": (row.trace or None) if traces else None,
        "children": {
            "total": row.children,
            "command": [
                {
                    **reference(command_href(wire.base, one.pk), one.pk),
                    "type": one.command_type,
                    "status": one.status,
                }
                for one in children
            ],
        },
    }


def _user(row: CommandEntity, base: str) -> Members | None:
    if row.user is None:
        return None
    return {**reference(user_href(base, row.user_id), row.user_id), "#text": row.user.get_username()}


def _command(command_id: Any, base: str) -> Members | None:
    return reference(command_href(base, command_id), command_id) if command_id else None


def _schedule(row: CommandEntity) -> Members | None:
    """When it is looked at next, and who is at it now; None if nobody will."""
    if row.due_at is None:
        return None
    return {
        "due_at": row.due_at,
        "delay": row.poll_delay,
        "lease_until": row.lease_until,
        "worker": row.worker or None,
        "expires_at": row.expires_at,
        "waits_for": row.waits_for or None,
    }
