"""How many statements each request takes: few, and as many for many rows as for one.

Two of them find the token with its user, and the user's rights: a role counts at the next request.
"""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from taskmonitor.models import Job, Step
from taskmonitor.services.jobs import EntityName
from tests.api.caller import Caller, body
from tests.factories import make_job, make_step

WHO = 2
LOOK = int(connection.vendor == "sqlite")  # whether there are few; PostgreSQL's planner knows
READS = [  # path, statements of the design dialect, of version 4
    ("", 1, 1),
    ("capabilities", 0, 0),
    ("users", 1, 1),
    ("users/{user}", 1, 1),
    ("jobs", 2, 1),
    ("jobs?max=50", 2, 1),
    ("jobs?max=50&follow=owner", 2, 1),
    ("jobs?max=50&follow=steps,owner", 3, 2),
    ("jobs?max=50&search=status=started", 2, 1),
    ("jobs?max=50&search=owner=plugin", 3, 2),
    ("jobs?max=50&search=description=Clone*", 2 + LOOK, 1 + LOOK),
    ("jobs/{job}", 2, 1),
    ("jobs/{job}?follow=steps,owner", 3, 2),
    ("jobs/{job}/steps", 2, 2),
    ("jobs/{job}/steps?follow=job,parent_step", 3, 2),
    ("jobs/{job}/steps/{step}", 1, 1),
    ("jobs/{job}/steps/{step}/statistics", 1, 1),
]
WRITES: list[tuple[str, str, dict[str, Any], int]] = [  # a transaction is two of them
    ("jobs", "job", {"description": "Clone"}, 5),
    ("jobs/{job}/steps", "step", {"description": "Copy", "type": "EXECUTING"}, 7),
    ("jobs/{job}/steps", "step", {"description": "Copy", "type": "EXECUTING", "parent_step": "{step}"}, 8),
    ("jobs/{job}/heartbeat", "action", {}, 5),
    ("jobs/{job}/progress", "progress", {"current": "1"}, 6),
    ("jobs/{job}/steps/{step}/progress", "progress", {"current": "1"}, 7),
    ("jobs/{job}/steps/{step}/end", "action", {}, 7),
    ("jobs/{job}/end", "action", {}, 8),
    ("jobs/{job}/end", "action", {"force": "true"}, 8),
    ("jobs/{job}/clear", "action", {}, 6),
]


@pytest.fixture(params=[1, 12], ids=["few", "many"])
def step(request: pytest.FixtureRequest, owner: object) -> Step:
    """A step of the last of several jobs, each with as many sub-steps and entities."""
    now, many = timezone.now(), request.param
    for _ in range(many):
        job = make_job(now=now, entities=[EntityName("disk", f"{n}") for n in range(many)])
        found = make_step(job, now=now)
        fields = {"type": "EXECUTING", "external": True, "depth": 1, "start_time": now, "last_updated": now}
        Step.objects.bulk_create(Step(job=job, parent_step=found, number=n, **fields) for n in range(many))
    return found


def statements(caller: Caller, method: str, address: str, *sent: Any, **headers: str) -> int:
    caller.get("capabilities")  # so that the token's use is noted
    with CaptureQueriesContext(connection) as seen:
        response = (
            caller.get(address, **headers) if method == "GET" else caller.post(address, *sent, **headers)
        )
        assert response.status_code in (200, 201)
        body(response)
    return len(seen) - WHO


@pytest.mark.parametrize(("path", "design", "version_4"), READS, ids=[row[0] for row in READS])
def test_what_is_read_takes(plugin: Caller, step: Step, path: str, design: int, version_4: int) -> None:
    address = path.format(job=step.job_id, step=step.pk, user=plugin.user.pk)
    assert statements(plugin, "GET", address) == design
    assert statements(plugin, "GET", address, Version="4") == version_4


@pytest.mark.parametrize(("path", "root", "members", "expected"), WRITES, ids=[row[0] for row in WRITES])
def test_what_is_written_takes(
    plugin: Caller, step: Step, path: str, root: str, members: dict[str, Any], expected: int
) -> None:
    names = {"job": step.job_id, "step": step.pk}
    said = {name: value.format(**names) for name, value in members.items()}
    assert statements(plugin, "POST", path.format(**names), root, said) == expected


def test_a_kept_answer_takes_no_more_than_its_record_and_a_look_at_what_it_shows(
    plugin: Caller, owner: object
) -> None:
    plugin.post("jobs", "job", {"description": "Clone"}, Idempotency_Key="one")
    plugin.headers["Idempotency-Key"] = "one"
    with CaptureQueriesContext(connection) as seen:
        assert plugin.post("jobs", "job", {"description": "Clone"}).status_code == 201
    assert len(seen) - WHO == 5
    assert Job.objects.count() == 1
