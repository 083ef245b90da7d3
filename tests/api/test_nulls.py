"""null in JSON is as good as absent, as programs send it that write every member of their objects."""

import json
from typing import Any, Literal

import pytest
from django.contrib.auth.models import User
from pydantic import BaseModel, JsonValue

import tests.coordinator.commands  # noqa: F401 - registers them
from api.values import present
from coordinator.capabilities import schema
from coordinator.models import CommandEntity
from taskmonitor.models import Job, Role, Step
from tests.api.caller import JSON, Caller, body, fault
from tests.api.test_commands import Injected
from tests.factories import make_job, make_step, make_user

JOB = dict.fromkeys(
    (
        *("id", "href", "status", "owner", "start_time", "end_time", "last_updated", "external", "entities"),
        *("auto_cleared", "heartbeat_limit", "deadline", "reason", "correlation_id", "progress", "actions"),
        *("link", "steps"),
    )
)
STEP = dict.fromkeys(
    (
        *("id", "href", "status", "number", "start_time", "end_time", "external", "reason", "progress"),
        *("parent_step", "parent_job", "job", "parentId", "parentType", "actions", "link"),
    )
)


@pytest.fixture(params=["/api", "/ovirt-engine/api", "/api/v3"])
def program(request: pytest.FixtureRequest, owner: User) -> Caller:
    return Caller(owner, JSON, request.param)


def post(caller: Caller, path: str, members: Any, status: int) -> Any:
    response = caller.send("POST", path, json.dumps(members))
    assert response.status_code == status, body(response)
    return json.loads(body(response))


def test_a_job_and_a_step_may_have_nothing_but_nulls_besides(program: Caller) -> None:
    job = post(program, "jobs", {**JOB, "description": "Clone"}, 201)["id"]
    top = post(program, f"jobs/{job}/steps", {**STEP, "description": "Copy", "type": "EXECUTING"}, 201)["id"]
    sub = {**STEP, "description": "Disk", "type": "EXECUTING", "parent_step": {"href": None, "id": top}}
    post(program, f"jobs/{job}/steps", {"step": sub}, 201)
    assert Step.objects.filter(parent_step=top, status="STARTED").count() == 1
    nothing = dict.fromkeys(("current", "end", "text"))
    post(program, f"jobs/{job}/steps/{top}/progress", {**nothing, "current": 7}, 200)
    end = dict.fromkeys(("status", "succeeded", "force", "reason", "stepType", "step_type", "async"))
    post(program, f"jobs/{job}/steps/{top}/end", end, 200)
    post(program, f"jobs/{job}/end", {"action": {**end, "status": {"state": None}}}, 200)
    assert Job.objects.get().status == Step.objects.get(pk=top).status == "FINISHED"


def test_what_is_needed_is_missed_if_it_is_null(program: Caller) -> None:
    job = make_job()
    for path, members, words in (
        ("jobs", JOB, "Job [description] required for add"),
        ("jobs", {"job": None}, "Job [description] required for add"),
        (f"jobs/{job.pk}/steps", STEP, "Step [type, description] required for add"),
        (
            f"jobs/{job.pk}/steps",
            {"description": "d", "type": "EXECUTING", "parent_step": {"id": None}},
            "Step [parentStep.id] required for add",
        ),
        (
            "jobs",
            {"description": "d", "entities": [{"type": "vm", "id": None}]},
            "Entity [id] required for add",
        ),
    ):
        assert fault(program.send("POST", path, json.dumps(members)))[::2] == (400, words)
    assert not Step.objects.exists()


@pytest.mark.parametrize("entities", [None, {"entity": None}, [None], {"entity": [None]}, [], {}])
def test_no_entity_is_named_by_null(program: Caller, entities: Any) -> None:
    post(program, "jobs", {"description": "d", "entities": entities}, 201)
    named = {"description": "d", "entities": {"entity": [{"type": "vm", "id": "7", "name": None}, None]}}
    post(program, "jobs", named, 201)
    found = [[(one.type, one.key, one.name) for one in job.entities.all()] for job in Job.objects.all()]
    assert sorted(found) == [[], [("vm", "7", "7")]]


def test_a_body_of_null_is_an_empty_one(program: Caller) -> None:
    job = make_job()
    for path in ("heartbeat", "clear"):
        post(program, f"jobs/{job.pk}/{path}", None, 200)
    assert fault(program.send("POST", f"jobs/{job.pk}/end", " null\n"))[2].startswith("The body is empty")


def test_in_the_lines_of_a_batch_as_well(program: Caller) -> None:
    job = make_job()
    step = make_step(job)
    lines = [
        {**STEP, "op": "add_step", "ref": None, "description": "Copy", "type": "EXECUTING"},
        {"op": "progress", "step": None, "current": 3, "end": None, "text": None},
        {"op": "end_step", "step": str(step.pk), "status": None, "succeeded": None, "reason": None},
        {"op": "heartbeat", "step": None},
        {"op": None},
    ]
    sent = "\n".join(map(json.dumps, lines))
    response = program.send("POST", f"jobs/{job.pk}/batch", sent, Content_Type="application/x-ndjson")
    told = [json.loads(one) for one in body(response).splitlines()]
    assert [one["status"] for one in told] == [201, 200, 200, 200, 400]
    job.refresh_from_db()
    step.refresh_from_db()
    assert (job.progress_current, job.steps_total, step.status) == (3, 2, "FINISHED")


class Size(BaseModel):
    least: int = 1
    most: int | None = 9


class Shape(BaseModel):
    size: Size | None = Size()
    sizes: list[Size] = []
    named: dict[str, Size] = {}
    kind: Literal["a", "b", None] = "a"
    free: JsonValue = 1


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"size": None, "sizes": None, "named": None}, {"size": None}),
        ({"size": {"least": None, "most": None}}, {"size": {"most": None}}),
        (
            {"sizes": [{"least": None}], "named": {"a": {"least": None}, "b": None}},
            {"sizes": [{}], "named": {"a": {}}},
        ),
        ({"kind": None, "free": None, "other": None}, {"kind": None, "free": None, "other": None}),
        ({"free": {"a": [None, {"b": None}]}}, {"free": {"a": [None, {"b": None}]}}),
        (None, None),
    ],
)
def test_null_is_a_value_where_the_schema_has_it(given: Any, left: Any) -> None:
    assert present(given, schema(Shape)) == left


def test_in_the_parameters_of_a_command_where_their_schema_has_no_null(db: None) -> None:
    caller = Caller(make_user("ops", Role.OPERATOR, Role.INJECTOR), JSON)
    disks = [{"size": 1, "labels": None}]
    parameters = {"pin": None, "disks": disks, "tags": {"a": "b", "c": None}, "share": None}
    post(caller, "commands", {"type": Injected.name, "parameters": parameters, "job": None}, 202)
    assert json.loads(CommandEntity.objects.get().command_parameters) == {
        "pin": "0000", "disks": [{"size": 1, "labels": []}], "tags": {"a": "b"}, "share": None,
    }  # fmt: skip
    post(caller, "commands", {"type": Injected.name, "parameters": None}, 202)
    told = post(caller, "commands", {"type": "Waiting", "parameters": {"word": "abc"}}, 202)
    post(caller, f"commands/{told['id']}/event", {"data": {"kept": None}}, 200)
    for verb in ("poll", "fail"):
        refused = caller.send("POST", f"commands/{told['id']}/{verb}", '{"reason": null}')
        assert fault(refused)[2] == "Action [reason] required for add"
