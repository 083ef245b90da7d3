"""What requests say, read leniently in every dialect: either form of a status, any letter case, unknown members ignored."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict
from uuid import UUID

from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import ParseError

from api.errors import EngineRefusal
from api.wire import Body
from api.xml import ESCAPE
from taskmonitor.errors import Invalid, Missing
from taskmonitor.lifecycle import Status
from taskmonitor.models import StepType
from taskmonitor.services.jobs import EntityName
from taskmonitor.services.steps import STATUSES, TYPES

Given = Mapping[str, Any]
_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WHOLE = re.compile("[0-9]{1,19}")


def members(body: Any, root: str, *, may_be_empty: bool = False) -> Given:
    """The members of a body whose root is `root`; ParseError for another root or none at all."""
    if not isinstance(body, Body):
        if may_be_empty:
            return {}
        raise ParseError(
            f"The body is empty; send {'an' if root == 'action' else 'a'} <{root}> element or a JSON object."
        )
    if body.root not in (None, root):
        raise ParseError(f"The root element is <{body.root}>; it must be <{root}>.")
    given = body.members
    inner = given.get(root)
    if body.root is None and set(given) == {root} and isinstance(inner, Mapping):
        given = inner
    _without_text(given, root)
    return present(given)


def present(given: Given) -> Given:
    """The members that are there: null in JSON is as good as none."""
    return {name: value for name, value in given.items() if value is not None}


def _without_text(value: Given, name: str) -> None:
    """Invalid if an element that is made of others, or of attributes, has a text of its own, which would be lost."""
    words = value.get("#text")
    if isinstance(words, str) and words.strip():
        raise Invalid(name, f"has a text, {words.strip()[:40]!r}, where there are only members.")


class JobFields(TypedDict):
    """A job to add, as services.jobs.add_job takes it."""

    description: str
    auto_cleared: bool
    entities: list[EntityName]
    heartbeat_limit: int | None
    deadline: datetime | None


class StepFields(TypedDict):
    """A step to add, as services.steps.add_step takes it."""

    description: str
    type: str
    parent_step_id: UUID | None
    status: str
    reason: str


class EndFields(TypedDict):
    """How something ends, as services.jobs.end_job and services.steps.end_step take it."""

    status: str
    force: bool
    reason: str


class ProgressFields(TypedDict):
    """How far something has come, as services.steps.report_progress takes it."""

    current: int | None
    end: int | None
    text: str | None


def job_fields(given: Given, dialect: str) -> JobFields:
    """The job that the caller describes."""
    description = _description(given, "Job", dialect)
    if description is None:
        raise Missing("Job", ["description"], "add")
    return {
        "description": description,
        "auto_cleared": truth(given, "auto_cleared") or False,
        "entities": _entities(given),
        "heartbeat_limit": number(given, "heartbeat_limit"),
        "deadline": _instant(given, "deadline"),
    }


def step_fields(given: Given, job_id: UUID, dialect: str) -> StepFields:
    """The step that the caller describes; its status and reason count in the design dialect only (MISSION.md D9)."""
    description, kind = _description(given, "Step", dialect), text(given, "type")
    missing = [name for name, value in (("type", kind), ("description", description)) if value is None]
    if description is None or kind is None:
        raise Missing("Step", missing, "add")
    types = [one for one in TYPES if one != StepType.UNKNOWN or dialect != "design"]
    return {
        "description": description,
        "type": _one_of("type", kind, types),
        "parent_step_id": _parent_step(given, job_id),
        "status": (state(given) if dialect == "design" else None) or Status.STARTED,
        "reason": (text(given, "reason") if dialect == "design" else None) or "",
    }


def end_fields(given: Given) -> EndFields:
    """The outcome from `status` or `succeeded`, FINISHED if neither; Invalid if they contradict each other."""
    status, succeeded = state(given), truth(given, "succeeded")
    if status is None:
        status = Status.FAILED if succeeded is False else Status.FINISHED
    elif succeeded is not None and succeeded != (status == Status.FINISHED):
        raise Invalid(
            "succeeded", f"{str(succeeded).lower()} contradicts the status {status}; send one of them."
        )
    return {"status": status, "force": truth(given, "force") or False, "reason": text(given, "reason") or ""}


def progress_fields(given: Given) -> ProgressFields:
    """The amounts and the words that the caller reports."""
    return {"current": number(given, "current"), "end": number(given, "end"), "text": text(given, "text")}


def text(given: Given, name: str) -> str | None:
    """The member as text; None if it is not there. Invalid for anything that is not text."""
    value = given.get(name)
    if isinstance(value, Mapping) and "#text" in value:
        value = value["#text"]
    if value is None or isinstance(value, str):
        return value
    raise Invalid(name, f"must be one text. {ESCAPE}" if isinstance(value, Mapping) else "must be one text.")


def truth(given: Given, name: str) -> bool | None:
    """The member as a boolean, in the spellings that oVirt accepts."""
    value = given.get(name)
    if value is None or isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())
    if known is None or not isinstance(value, str | int):
        raise Invalid(
            name,
            f"Value {str(value)[:40]!r} isn't a valid boolean, it should be 'true', 'false', '0' or '1'.",
        )
    return known


def number(given: Given, name: str) -> int | None:
    """The member as a whole number."""
    value = given.get(name)
    if value is None:
        return None
    digits = str(value).strip()
    if isinstance(value, bool) or not _WHOLE.fullmatch(digits):
        raise Invalid(name, f"{digits[:40]!r} is not a whole number from 0 on.")
    return int(digits)


def state(given: Given) -> str | None:
    """The status, given flat or as `<status><state>`."""
    value = given.get("status")
    nested = value if isinstance(value, Mapping) and "state" in value else None
    word = text(nested, "state") if nested else text(given, "status")
    return None if word is None else _one_of("status", word, STATUSES)


def step_type(given: Given) -> str | None:
    """The type that the end of a step may name."""
    word = text(given, "stepType") or text(given, "step_type")
    return None if word is None else _one_of("stepType", word, TYPES)


def identifier(name: str, value: Any) -> UUID:
    """The value as a UUID in its usual spelling."""
    if not isinstance(value, str) or not _UUID.fullmatch(value.strip()):
        raise Invalid(name, f"{str(value)[:60]!r} is not a UUID.")
    return UUID(value.strip())


def _description(given: Given, kind: str, dialect: str) -> str | None:
    found = text(given, "description")
    if found is not None and not found.strip() and dialect != "design":
        raise EngineRefusal(f"[Cannot add External {kind}. Description can not be empty.]")
    return found


def _one_of(name: str, word: str, values: list[str]) -> str:
    found = word.strip().upper()
    if found not in values:
        raise Invalid(name, f"The string {word[:60]!r} isn't valid. Valid values are: {', '.join(values)}.")
    return found


def _parent_step(given: Given, job_id: UUID) -> UUID | None:
    """The parent step from `parent_step`, or from `parentId` and `parentType`; None for the job itself."""
    named = {_by_parent_id(given, job_id)} if "parentId" in given or "parentType" in given else set()
    if "parent_step" in given:
        named.add(identifier("parent_step", _key(given["parent_step"], "parent_step")))
    for name in ("parent_job", "job"):
        if name in given and identifier(name, _key(given[name], name)) != job_id:
            raise Invalid(name, f"is another job than {job_id}, to which the step is posted.")
    if len(named) > 1:
        raise Invalid("parent_step", "contradicts parentId; send one of them.")
    return named.pop() if named else None


def _by_parent_id(given: Given, job_id: UUID) -> UUID | None:
    if "parentId" not in given:
        raise Missing("Step", ["parentId"], "add")
    parent, kind = identifier("parentId", text(given, "parentId")), text(given, "parentType")
    if kind is None:
        raise Missing("Step", ["parentType"], "add")
    if _one_of("parentType", kind, ["JOB", "STEP"]) == "STEP":
        return parent
    if parent != job_id:
        raise Invalid("parentId", f"is another job than {job_id}, to which the step is posted.")
    return None


def _key(value: Any, name: str) -> Any:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, list):
        raise Invalid(name, "is given more than once; send one of them.")
    if not isinstance(value, Mapping) or value.get("id") is None:
        raise Missing("Step", [f"{name.replace('_s', 'S')}.id"], "add")  # as the engine spells it
    _without_text(value, name)
    return value["id"]


def _entities(given: Given) -> list[EntityName]:
    value = given.get("entities")
    if isinstance(value, Mapping) and "entity" in value:
        value = value["entity"]
    if not value or (isinstance(value, str) and not value.strip()):
        return []
    entities = [one for one in (value if isinstance(value, list) else [value]) if one is not None]
    if len(entities) > 100:
        raise Invalid("entities", "a job names 100 entities at most.")
    return [_entity(one) for one in entities]


def _entity(value: Any) -> EntityName:
    if not isinstance(value, Mapping):
        raise Invalid("entities", "must hold entity elements with type, id and name.")
    _without_text(value, "entity")
    kind, key = text(value, "type"), text(value, "id")
    if kind is None or key is None:
        raise Missing("Entity", [name for name, one in (("type", kind), ("id", key)) if one is None], "add")
    return EntityName(type=kind, key=key, name=text(value, "name") or "")


def _instant(given: Given, name: str) -> datetime | None:
    value = text(given, name)
    if value is None:
        return None
    try:
        found = parse_datetime(value.strip())
        if found is not None:
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # no such day; or beyond the years 1 to 9999 in UTC
        pass
    raise Invalid(name, f"{value[:40]!r} is not a time such as 2026-11-21T12:00:00Z.")
