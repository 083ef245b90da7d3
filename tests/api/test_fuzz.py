"""Any request at all gets an answer in a format of the API, and none of them a 5xx.

EXAMPLES=100000 for a night of it.
"""

import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import event, given
from hypothesis import strategies as st

from api.xml import element
from coordinator.executor import execute_async
from coordinator.models import CommandEntity
from taskmonitor.models import Step
from tests.api.caller import JSON, XML, Caller, body
from tests.api.test_commands import Injected
from tests.api.test_errors import is_spoken
from tests.api.test_permissions import ROUTES
from tests.factories import make_actor, make_job, make_step


def each_of(words: str) -> st.SearchStrategy[str]:
    """Any of the words."""
    return st.sampled_from(words.split())


EXTREMES = ["\0", "\ud800", "\ufffe", "\x1b", "\r\n", "9" * 400]
JUNK = st.text(max_size=20) | st.sampled_from(EXTREMES) | each_of("-1 1e999 NaN null true ../.. %00 ' <")
FIELDS = each_of(
    """description type status state succeeded force reason current end text id entity entities name parent_step
    parentId parentType parent_job job auto_cleared heartbeat_limit deadline stepType step_type #text @type href op
    ref step parameters disks size labels tags share pin data"""
)
SAID = each_of(
    """EXECUTING STARTED FINISHED FAILED true false 1 100 Step Job OWN 2099-01-01T00:00:00Z 0001-01-01
    9999-12-31T23:59:59-14:00 heartbeat add_step end_job end_step progress"""
)
VALUES = st.recursive(
    SAID | JUNK | st.integers() | st.booleans() | st.none() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=6,
)
RIGHT = st.sampled_from(  # what is not wholly rubbish comes further
    [
        {"description": "Clone"},
        {"description": "Copy", "type": "EXECUTING"},
        {"current": "1", "end": "2"},
        {"op": "heartbeat"},
        {"type": "Injected"},
        {"reason": "r"},
        {},
    ]
)
MEMBERS = st.builds(lambda right, more: {**more, **right}, RIGHT, st.dictionaries(FIELDS, VALUES, max_size=3))
ROOTS = st.sampled_from(["job", "step", "action", "progress", "command", "event"])
PARAMETERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "max",
                "after",
                "search",
                "follow",
                "filter",
                "accept",
                "correlation_id",
                "async",
                "x",
                "job_id",
                "type",
            ]
        ),
        JUNK | st.sampled_from(["1", "true", "steps", "owner", "status=started", "job,parent_step", JSON]),
    ),
    max_size=3,
)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Accept", "Version", "Correlation-Id", "Idempotency-Key", "Filter", "Expect", "Prefer", "Cookie"]
    ),
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=20)
    | st.sampled_from(["3", "4", "true", "text/html", JSON, "wait=1"]),
    max_size=3,
)
API = [route.pattern for route in ROUTES if route.door == "api"]


@pytest.fixture
def step(owner: object) -> Step:
    execute_async(Injected, now=timezone.now(), actor=make_actor())
    return make_step(make_job())


def written(data: st.DataObject, step: Step) -> tuple[str, bytes]:
    """Content type and body, from well formed to none at all."""
    kind = data.draw(st.sampled_from(["xml", "json", "lines", "bytes"]))
    if kind == "bytes":
        return data.draw(st.sampled_from([XML, JSON, "application/x-ndjson", "text/plain", ""])), data.draw(
            st.binary()
        )
    members = data.draw(MEMBERS)
    text = json.dumps(members, allow_nan=True).replace("OWN", str(step.pk))
    if kind == "xml":
        found = element(data.draw(ROOTS), {name.strip("#@"): value for name, value in _xml(members).items()})
        return XML, found.replace("OWN", str(step.pk)).encode("utf-8", "replace")
    return {"json": JSON, "lines": "application/x-ndjson"}[kind], text.encode()


def _xml(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.strip("#@"): _xml(one) for name, one in value.items()}
    return [_xml(one) for one in value] if isinstance(value, list) else value


@pytest.mark.django_db
@given(data=st.data())
def test_any_request_gets_an_answer_in_the_clients_format(
    plugin: Caller, step: Step, data: st.DataObject
) -> None:
    keys = {"<uuid:job_id>": step.job_id, "<uuid:step_id>": step.pk, "<int:user_id>": plugin.user.pk}
    keys["<uuid:command_id>"] = CommandEntity.objects.earliest("created_at").pk
    path = data.draw(st.sampled_from(API))
    for sign, key in keys.items():
        path = path.replace(sign, str(key) if data.draw(st.integers(0, 9)) else quote(_junk(data), safe=""))
    matrix, query = data.draw(PARAMETERS), data.draw(PARAMETERS)
    address = "/" + path + "".join(f";{name}={_quoted(value)}" for name, value in matrix)
    address += "?" + "&".join(f"{name}={_quoted(value)}" for name, value in query)
    method = data.draw(
        st.sampled_from(["POST", "POST", "POST", "GET", "GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
    )
    kind, text = written(data, step)
    with transaction.atomic():
        response = plugin.client.generic(method, address, text, kind, headers=data.draw(HEADERS))
        transaction.set_rollback(True)  # what one request ended is open for the next
    event(f"{method} {response.status_code}")
    assert response.status_code < 500
    if body(response) and response.status_code >= 400:
        is_spoken(response)


def _junk(data: st.DataObject) -> str:
    found = data.draw(JUNK | st.uuids().map(str) | st.just(str(UUID(int=0)).upper()))
    return found.encode("utf-8", "replace").decode()


def _quoted(value: str) -> str:
    return quote(value.encode("utf-8", "surrogatepass"), safe="")
