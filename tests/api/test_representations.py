"""Whole documents, to the byte and in the order of their schemas: the design's, and oVirt's versions 3 and 4."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from taskmonitor.models import Job, Step
from taskmonitor.services import jobs, steps
from taskmonitor.services.jobs import EntityName
from tests.api.caller import JSON, XML, Caller
from tests.factories import NOW, make_actor, make_job, make_step

DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
START, LATER = "2026-11-21T12:00:00.000Z", "2026-11-21T12:00:01.500Z"
MILLISECONDS = 1795262400000
TEXT = "Copy <web> & “disks”"
ESCAPED = "Copy &lt;web&gt; &amp; “disks”"


@pytest.fixture
def running(owner: User) -> Job:
    """A job with a step and a sub-step."""
    job = make_job(description=TEXT, auto_cleared=True, correlation_id="night")
    make_step(job, parent_step_id=make_step(job).pk)
    return Job.objects.get()


@pytest.fixture
def ended(owner: User) -> Job:
    """A job with entity, limits, progress and a reason, that has failed."""
    job = make_job(
        correlation_id="night",
        heartbeat_limit=60,
        deadline=NOW + timedelta(days=1),
        entities=[EntityName("vm", "web-01", "Web"), EntityName("disk", "d1")],
    )
    actor, end = make_actor(), NOW + timedelta(seconds=1.5)
    steps.report_progress(job_id=job.pk, current=40, end=100, text="40 GB", actor=actor, now=NOW)
    jobs.end_job(job_id=job.pk, status="FAILED", reason="No space left", actor=actor, now=end)
    return Job.objects.get()


def keys(job: Job, base: str = "/api") -> dict[str, str]:
    """What the documents below have in place of ids and addresses."""
    found = {"J": str(job.pk), "U": str(job.owner_id), "B": base, "j": f"{base}/jobs/{job.pk}"}
    for sign, step in zip("ST", job.steps.order_by("depth"), strict=False):
        found |= {sign: str(step.pk), sign.lower(): f"{base}/jobs/{job.pk}/steps/{step.pk}"}
    return found


def filled(text: str, job: Job, base: str = "/api") -> str:
    """The document without its line breaks and indentation, `{J}` and the like filled in."""
    joined = "".join(line.strip() for line in text.splitlines())
    for sign, value in keys(job, base).items():
        joined = joined.replace(f"{{{sign}}}", value)
    return joined


def text_of(caller: Caller, path: str, **headers: str) -> str:
    response = caller.get(path, **headers)
    assert response.status_code == 200
    return (b"".join(response.streaming_content) if response.streaming else response.content).decode()


DESIGN_JOB = f"""
<job href="{{j}}" id="{{J}}">
  <description>{ESCAPED}</description>
  <action_type>AddExternalJob</action_type>
  <status>STARTED</status>
  <owner href="{{B}}/users/{{U}}" id="{{U}}">plugin</owner>
  <start_time>{START}</start_time>
  <last_updated>{START}</last_updated>
  <external>true</external>
  <auto_cleared>true</auto_cleared>
  <correlation_id>night</correlation_id>
  <actions>
    <link href="{{j}}/clear" rel="clear"/>
    <link href="{{j}}/end" rel="end"/>
    <link href="{{j}}/heartbeat" rel="heartbeat"/>
    <link href="{{j}}/progress" rel="progress"/>
  </actions>
  <link href="{{j}}/steps" rel="steps"/>
</job>"""

DESIGN_STEPS = f"""
<steps>
  <step href="{{s}}" id="{{S}}">
    <parent_job href="{{j}}" id="{{J}}"/>
    <description>Copy disk</description>
    <type>EXECUTING</type>
    <number>0</number>
    <status>STARTED</status>
    <start_time>{START}</start_time>
    <external>true</external>
    <actions>
      <link href="{{s}}/end" rel="end"/>
      <link href="{{s}}/progress" rel="progress"/>
    </actions>
  </step>
  <step href="{{t}}" id="{{T}}">
    <parent_step href="{{s}}" id="{{S}}"/>
    <description>Copy disk</description>
    <type>EXECUTING</type>
    <number>0</number>
    <status>STARTED</status>
    <start_time>{START}</start_time>
    <external>true</external>
    <actions>
      <link href="{{t}}/end" rel="end"/>
      <link href="{{t}}/progress" rel="progress"/>
    </actions>
  </step>
</steps>"""

V4_JOB = f"""
<job href="{{j}}" id="{{J}}">
  <actions>
    <link href="{{j}}/clear" rel="clear"/>
    <link href="{{j}}/end" rel="end"/>
  </actions>
  <description>{ESCAPED}</description>
  <link href="{{j}}/steps" rel="steps"/>
  <auto_cleared>true</auto_cleared>
  <external>true</external>
  <last_updated>{START}</last_updated>
  <start_time>{START}</start_time>
  <status>started</status>
  <owner href="{{B}}/users/{{U}}" id="{{U}}"/>
</job>"""

V4_STEPS = f"""
<steps>
  <step href="{{s}}" id="{{S}}">
    <actions><link href="{{s}}/end" rel="end"/></actions>
    <description>Copy disk</description>
    <link href="{{s}}/statistics" rel="statistics"/>
    <external>true</external>
    <number>0</number>
    <start_time>{START}</start_time>
    <status>started</status>
    <type>executing</type>
    <job href="{{j}}" id="{{J}}"/>
  </step>
  <step href="{{t}}" id="{{T}}">
    <actions><link href="{{t}}/end" rel="end"/></actions>
    <description>Copy disk</description>
    <link href="{{t}}/statistics" rel="statistics"/>
    <external>true</external>
    <number>0</number>
    <start_time>{START}</start_time>
    <status>started</status>
    <type>executing</type>
    <job href="{{j}}" id="{{J}}"/>
    <parent_step href="{{s}}" id="{{S}}"/>
  </step>
</steps>"""

V3_JOB = f"""
<job href="{{j}}" id="{{J}}">
  <actions>
    <link href="{{j}}/clear" rel="clear"/>
    <link href="{{j}}/end" rel="end"/>
  </actions>
  <description>{ESCAPED}</description>
  <link href="{{j}}/steps" rel="steps"/>
  <status><state>STARTED</state></status>
  <owner href="{{B}}/users/{{U}}" id="{{U}}"/>
  <start_time>{START}</start_time>
  <last_updated>{START}</last_updated>
  <external>true</external>
  <auto_cleared>true</auto_cleared>
</job>"""

V3_STEPS = f"""
<steps>
  <step href="{{s}}" id="{{S}}">
    <actions><link href="{{s}}/end" rel="end"/></actions>
    <description>Copy disk</description>
    <link href="{{s}}/statistics" rel="statistics"/>
    <job href="{{j}}" id="{{J}}"/>
    <type>executing</type>
    <number>0</number>
    <status><state>STARTED</state></status>
    <start_time>{START}</start_time>
    <external>true</external>
  </step>
  <step href="{{t}}" id="{{T}}">
    <actions><link href="{{t}}/end" rel="end"/></actions>
    <description>Copy disk</description>
    <link href="{{t}}/statistics" rel="statistics"/>
    <parent_step href="{{s}}" id="{{S}}"/>
    <job href="{{j}}" id="{{J}}"/>
    <type>executing</type>
    <number>0</number>
    <status><state>STARTED</state></status>
    <start_time>{START}</start_time>
    <external>true</external>
  </step>
</steps>"""

BASES = {"design": "/api", "v3": "/ovirt-engine/api/v3", "v4": "/ovirt-engine/api/v4"}


@pytest.mark.mission(
    "S43",
    "S44",
    "S45",
    "S46",
    "S47",
    "S48",
    "S49",
    "S50",
    "S51",
    "S52",
    "S53",
    "S54",
    "S55",
    "S56",
    "S57",
    "S58",
    "S59",
    "S60",
    "S61",
    "S62",
    "S63",
    "S73",
    "D1",
    "D5",
    "D6",
)
@pytest.mark.parametrize(
    ("dialect", "job", "listed_steps"),
    [("design", DESIGN_JOB, DESIGN_STEPS), ("v3", V3_JOB, V3_STEPS), ("v4", V4_JOB, V4_STEPS)],
)
def test_jobs_and_steps_in_xml(owner: User, running: Job, dialect: str, job: str, listed_steps: str) -> None:
    caller = Caller(owner, base=BASES[dialect])
    job, listed_steps = (filled(text, running, caller.base) for text in (job, listed_steps))
    assert text_of(caller, f"jobs/{running.pk}") == DECLARATION + job
    assert text_of(caller, "jobs") == f"{DECLARATION}<jobs>{job}</jobs>"
    assert text_of(caller, "jobs?max=1") == f"{DECLARATION}<jobs>{job}</jobs>"
    assert text_of(caller, f"jobs/{running.pk}/steps") == DECLARATION + listed_steps
    first = listed_steps[len("<steps>") : listed_steps.index("</step>") + len("</step>")]
    top = Step.objects.get(parent_step=None)
    assert text_of(caller, f"jobs/{running.pk}/steps/{top.pk}") == DECLARATION + first


@pytest.mark.mission("S47", "S50", "S51")
def test_an_ended_job_in_the_design(owner: User, ended: Job) -> None:
    assert text_of(Caller(owner), f"jobs/{ended.pk}") == DECLARATION + filled(
        f"""
<job href="{{j}}" id="{{J}}">
  <description>Clone web-01</description>
  <action_type>AddExternalJob</action_type>
  <status>FAILED</status>
  <owner href="/api/users/{{U}}" id="{{U}}">plugin</owner>
  <start_time>{START}</start_time>
  <end_time>{LATER}</end_time>
  <last_updated>{LATER}</last_updated>
  <external>true</external>
  <auto_cleared>false</auto_cleared>
  <reason>No space left</reason>
  <correlation_id>night</correlation_id>
  <heartbeat_limit>60</heartbeat_limit>
  <deadline>2026-11-22T12:00:00.000Z</deadline>
  <progress><current>40</current><end>100</end><text>40 GB</text></progress>
  <entities>
    <entity type="disk" id="d1"><name>d1</name></entity>
    <entity type="vm" id="web-01"><name>Web</name></entity>
  </entities>
  <actions>
    <link href="{{j}}/clear" rel="clear"/>
    <link href="{{j}}/end" rel="end"/>
    <link href="{{j}}/heartbeat" rel="heartbeat"/>
    <link href="{{j}}/progress" rel="progress"/>
  </actions>
  <link href="{{j}}/steps" rel="steps"/>
</job>""",
        ended,
    )


@pytest.mark.parametrize(
    ("dialect", "ends", "status"),
    [
        ("v3", f"<start_time>{START}</start_time><end_time>{LATER}</end_time>", "<state>FAILED</state>"),
        ("v4", f"<auto_cleared>false</auto_cleared><end_time>{LATER}</end_time>", "<status>failed</status>"),
    ],
)
def test_an_ended_job_as_the_engine_has_it(
    owner: User, ended: Job, dialect: str, ends: str, status: str
) -> None:
    told = text_of(Caller(owner, base=BASES[dialect]), f"jobs/{ended.pk}")
    assert ends in told
    assert status in told
    for name in ("action_type", "correlation_id", "reason", "entities", "progress", "heartbeat"):
        assert name not in told


DESIGN_JSON: dict[str, Any] = {
    "href": "{j}",
    "id": "{J}",
    "description": TEXT,
    "action_type": "AddExternalJob",
    "status": "STARTED",
    "owner": {"href": "{B}/users/{U}", "id": "{U}", "name": "plugin"},
    "start_time": START,
    "last_updated": START,
    "external": True,
    "auto_cleared": True,
    "correlation_id": "night",
    "actions": {
        "link": [{"href": f"{{j}}/{rel}", "rel": rel} for rel in ("clear", "end", "heartbeat", "progress")]
    },
    "link": [{"href": "{j}/steps", "rel": "steps"}],
}
ENGINE_ACTIONS = {"link": [{"href": f"{{j}}/{rel}", "rel": rel} for rel in ("clear", "end")]}
V4_JSON: dict[str, Any] = {
    "href": "{j}",
    "id": "{J}",
    "actions": ENGINE_ACTIONS,
    "description": TEXT,
    "link": [{"href": "{j}/steps", "rel": "steps"}],
    "auto_cleared": "true",
    "external": "true",
    "last_updated": MILLISECONDS,
    "start_time": MILLISECONDS,
    "status": "started",
    "owner": {"href": "{B}/users/{U}", "id": "{U}"},
}
V3_JSON: dict[str, Any] = {**V4_JSON, "status": {"state": "STARTED"}}
STEP_JSON: dict[str, Any] = {
    "href": "{s}",
    "id": "{S}",
    "actions": {"link": [{"href": "{s}/end", "rel": "end"}]},
    "description": "Copy disk",
    "link": [{"href": "{s}/statistics", "rel": "statistics"}],
    "external": "true",
    "number": "0",
    "start_time": MILLISECONDS,
    "status": "started",
    "type": "executing",
    "job": {"href": "{j}", "id": "{J}"},
}
DESIGN_STEP_JSON: dict[str, Any] = {
    "href": "{s}",
    "id": "{S}",
    "parent_job": {"href": "{j}", "id": "{J}"},
    "description": "Copy disk",
    "type": "EXECUTING",
    "number": 0,
    "status": "STARTED",
    "start_time": START,
    "external": True,
    "actions": {"link": [{"href": "{s}/end", "rel": "end"}, {"href": "{s}/progress", "rel": "progress"}]},
}


@pytest.mark.mission("S43", "S54", "S73", "D1", "D5", "D6")
@pytest.mark.parametrize(
    ("dialect", "job", "step"),
    [
        ("design", DESIGN_JSON, DESIGN_STEP_JSON),
        ("v3", V3_JSON, {**STEP_JSON, "status": {"state": "STARTED"}}),
        ("v4", V4_JSON, STEP_JSON),
    ],
)
def test_jobs_and_steps_in_json(
    owner: User, running: Job, dialect: str, job: dict[str, Any], step: dict[str, Any]
) -> None:
    caller = Caller(owner, JSON, BASES[dialect])
    expected, top = (json.loads(filled(json.dumps(one), running, caller.base)) for one in (job, step))
    assert json.loads(text_of(caller, f"jobs/{running.pk}")) == expected
    assert json.loads(text_of(caller, "jobs")) == {"job": [expected]}
    assert json.loads(text_of(caller, "jobs?max=1")) == {"job": [expected]}
    assert json.loads(text_of(caller, f"jobs/{running.pk}/steps"))["step"][0] == top


@pytest.mark.parametrize("format_", [XML, JSON])
def test_the_dialect_comes_from_the_address_else_from_the_header(
    owner: User, running: Job, format_: str
) -> None:
    caller, path = Caller(owner, format_), f"jobs/{running.pk}"
    by_address = {name: text_of(Caller(owner, format_, f"/api{name}"), path) for name in ("", "/v3", "/v4")}
    by_header = {name: text_of(caller, path, Version=name[2:]) for name in by_address}
    assert len(set(by_header.values())) == 3
    for name, told in by_address.items():
        assert told.replace(f"/api{name}/", "/api/") == by_header[name]
    assert text_of(Caller(owner, format_, "/api/v3"), path, Version="4") == by_address["/v3"]
    for prefix, version in (("", "4"), ("/v4", "4"), ("/v3", "3")):  # where an engine is, its version today
        engine = Caller(owner, format_, f"/ovirt-engine/api{prefix}")
        told = text_of(engine, path).replace(f"{engine.base}/", "/api/")
        assert told == by_header[f"/v{version}"]
        assert text_of(engine, path, Version=version) == text_of(engine, path)
    explicit = text_of(Caller(owner, format_, "/ovirt-engine/api"), path, Version="3")
    assert explicit.replace("/ovirt-engine/", "/") == by_header["/v3"]


@pytest.mark.mission("D9", "D11")
def test_where_an_engine_is_its_rules_hold(owner: User, running: Job) -> None:
    """The status of a new step is ignored, and a failed step fails its job, with no word about a version."""
    engine = Caller(owner, JSON, "/ovirt-engine/api")
    step = {"description": "Copy", "type": "unknown", "status": "FINISHED"}
    told = json.loads(engine.post(f"jobs/{running.pk}/steps", "step", step).content)
    assert (told["status"], told["type"]) == ("started", "unknown")
    ended = json.loads(engine.post(f"{told['href']}/end", "action", {"succeeded": "false"}).content)
    assert ended == {"succeeded": "false", "outcome": "FAILED", "status": "complete"}
    assert json.loads(text_of(engine, f"jobs/{running.pk}"))["status"] == "failed"


@pytest.mark.mission("D9", "D11")
@pytest.mark.parametrize(
    ("base", "statuses"), [("/api", ["FINISHED", "STARTED"]), ("/ovirt-engine/api", ["started", "failed"])]
)
def test_the_lines_of_a_batch_go_by_the_same_rules(owner: User, base: str, statuses: list[str]) -> None:
    job = make_job()
    step = make_step(job)
    lines = [
        {"op": "end_step", "step": "nobody"},
        {"op": "add_step", "description": "Copy", "type": "EXECUTING", "status": "FINISHED"},
        {"op": "end_step", "step": str(step.pk), "succeeded": False},
    ]
    caller = Caller(owner, JSON, base)
    sent = "\n".join(map(json.dumps, lines))
    answer = caller.send("POST", f"jobs/{job.pk}/batch", sent, Content_Type="application/x-ndjson")
    told = [json.loads(line) for line in answer.content.splitlines()]
    assert [(one["line"], one["status"]) for one in told] == [(1, 400), (2, 201), (3, 200)]
    now = json.loads(text_of(caller, f"jobs/{job.pk}"))["status"]
    assert [told[1]["step"]["status"], now] == statuses
    assert list(told[0]["fault"]) == (["reason", "detail"] if base == "/api" else ["detail", "reason"])
    assert told[2]["step"] == json.loads(text_of(caller, told[2]["step"]["href"]))


@pytest.mark.parametrize(
    ("base", "first"),
    [("/api", "reason"), ("/api/v3", "reason"), ("/api/v4", "detail"), ("/ovirt-engine/api", "detail")],
)
def test_a_fault_has_the_order_of_its_schema(owner: User, base: str, first: str) -> None:
    for format_ in (XML, JSON):
        for path in ("jobs/7", "jobs?max=x", "nowhere"):
            told = Caller(owner, format_, base).get(path).content.decode()
            assert told.index(first) < told.index({"reason": "detail", "detail": "reason"}[first])


@pytest.mark.parametrize("version", ["", "3", "4"])
def test_an_action_answers_with_an_action(owner: User, running: Job, version: str) -> None:
    """Design: with the job as it is now; oVirt: with a reference to it."""
    caller = Caller(owner)
    told = caller.post(f"jobs/{running.pk}/end", "action", {"force": "true"}, Version=version)
    text = told.content.decode().removeprefix(DECLARATION)
    if version:
        status = "<state>complete</state>" if version == "3" else "complete"
        assert text == filled(
            f"""
<action>
  <force>true</force>
  <outcome>FINISHED</outcome>
  <job href="{{j}}" id="{{J}}">
    <actions><link href="{{j}}/clear" rel="clear"/><link href="{{j}}/end" rel="end"/></actions>
    <link href="{{j}}/steps" rel="steps"/>
  </job>
  <status>{status}</status>
</action>""",
            running,
        )
    else:
        job = text_of(caller, f"jobs/{running.pk}").removeprefix(DECLARATION)
        assert text == f"<action><force>true</force>{job}<status>complete</status></action>"


@pytest.mark.parametrize("version", ["", "3", "4"])
def test_the_root_document(owner: User, running: Job, version: str) -> None:
    told = text_of(Caller(owner), "", Version=version)
    assert '<link href="/api/jobs" rel="jobs"/>' in told
    assert "<name>Task Monitor</name>" in told
    numbers = '<version major="4"' if version == "3" else "<version><major>4</major>"
    assert numbers in told
    assert f'<authenticated_user href="/api/users/{owner.pk}" id="{owner.pk}"/>' in told
    assert "<summary><jobs><total>1</total></jobs></summary>" in told


def test_users_and_capabilities(owner: User) -> None:
    told = text_of(Caller(owner), f"users/{owner.pk}")
    assert told == DECLARATION + (
        f'<user href="/api/users/{owner.pk}" id="{owner.pk}"><name>plugin</name><principal>plugin</principal>'
        "<user_name>plugin@internal</user_name></user>"
    )
    assert "<step_types><step_type>VALIDATING</step_type>" in text_of(Caller(owner), "capabilities")
