import json
from typing import Any

import pytest
from django.test import Client

from taskmonitor.models import Job, Role
from tests.factories import make_job, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(client: Client) -> Job:
    client.force_login(make_user("plugin", Role.INJECTOR))
    return make_job()


def send(client: Client, job: Job, *lines: Any, **headers: str) -> list[dict[str, Any]]:
    body = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    url = f"/api/jobs/{job.pk}/batch"
    response = client.post(url, body, content_type="application/x-ndjson", headers=headers)
    assert response.status_code == 200, response.content
    return [json.loads(line) for line in response.content.splitlines()]


def test_lines_are_applied_in_order_and_answered_one_by_one(client: Client, job: Job) -> None:
    results = send(
        client,
        job,
        {"op": "add_step", "ref": "copy", "description": "Copy", "type": "executing"},
        {"op": "add_step", "description": "Disk 1", "type": "executing", "parent_step": "copy"},
        {"op": "progress", "step": "copy", "current": 1, "end": 2},
        {"op": "end_step", "step": "copy", "succeeded": False, "reason": "No space left"},
        {"op": "heartbeat"},
        {"op": "end_job", "status": "FAILED"},
    )
    assert [(one["line"], one["status"]) for one in results] == [
        (1, 201), (2, 201), (3, 200), (4, 200), (5, 200), (6, 200),
    ]  # fmt: skip
    assert results[1]["step"]["parent_step"]["id"] == results[0]["step"]["id"]
    assert results[3]["step"]["reason"] == "No space left"
    job.refresh_from_db()
    assert (job.status, job.steps_total, job.steps_open, job.steps_bad) == ("FAILED", 2, 0, 2)


def test_a_step_is_added_with_what_it_failed_of(client: Client, job: Job) -> None:
    line = {
        "op": "add_step",
        "description": "Copy",
        "type": "executing",
        "status": "failed",
        "reason": "No space",
    }
    [result] = send(client, job, line)
    assert (result["step"]["status"], result["step"]["reason"]) == ("FAILED", "No space")
    job.refresh_from_db()
    assert (job.causes, str(job.first_cause_id)) == (1, result["step"]["id"])


def test_a_refused_line_changes_nothing_and_the_next_ones_go_on(client: Client, job: Job) -> None:
    results = send(
        client,
        job,
        "nonsense",
        {"op": "dance"},
        {"op": "end_step", "step": "nobody"},
        {"op": "progress", "current": 5, "end": 2},
        {"op": "add_step", "description": "Copy", "type": "executing"},
    )
    assert [one["status"] for one in results] == [400, 400, 400, 400, 201]
    assert "dance is not one of add_step" in results[1]["fault"]["detail"]
    assert results[3]["fault"]["detail"] == "current: 5 is beyond the end, 2."
    job.refresh_from_db()
    assert (job.steps_total, job.progress_current) == (1, None)


def test_a_batch_with_an_idempotency_key_is_done_once(client: Client, job: Job) -> None:
    line = {"op": "add_step", "description": "Copy", "type": "executing"}
    first = send(client, job, line, **{"Idempotency-Key": "one"})
    assert send(client, job, line, **{"Idempotency-Key": "one"}) == first
    assert job.steps.count() == 1


@pytest.mark.parametrize("body", ["", "\n\n", "{}\n" * 1001])
def test_a_batch_has_1_to_1000_lines(client: Client, job: Job, body: str) -> None:
    response = client.post(f"/api/jobs/{job.pk}/batch", body or " ", content_type="application/x-ndjson")
    assert response.status_code == 400
    assert b"A batch has 1 to 1000 lines" in response.content


def test_who_may_not_inject_is_refused_whole(client: Client, job: Job) -> None:
    client.force_login(make_user("viewer", Role.VIEWER))
    body = '{"op": "heartbeat"}'
    response = client.post(f"/api/jobs/{job.pk}/batch", body, content_type="application/x-ndjson")
    assert response.status_code == 403
