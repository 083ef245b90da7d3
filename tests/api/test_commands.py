"""Commands over REST."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pydantic import BaseModel, SecretStr

from api.values import read as read_value
from api.values import written
from coordinator.command import Command, Failed
from coordinator.models import CommandEntity
from coordinator.registry import register
from coordinator.testing import Worker
from taskmonitor.models import AccessToken, AuditEntry, Job, Right, Role
from taskmonitor.services.jobs import end_job
from tests.api.caller import JSON, Caller, body, fault, read
from tests.api.test_queries import WHO
from tests.coordinator.commands import LOG, Length, Polled
from tests.factories import make_actor, make_job, make_step


class Disk(BaseModel):
    size: int
    labels: list[str] = []


class Many(BaseModel):
    pin: SecretStr = SecretStr("0000")
    disks: list[Disk] = []
    tags: dict[str, str] = {}
    share: float | None = None


@register(right=Right.INJECT)
class Injected(Command[Many, Length]):
    """Needs another right than most."""

    def execute(self) -> Any:
        return Length(letters=len(self.parameters.disks))


class Odd(BaseModel):
    call: Callable[[], int] | None = None


class Hidden(BaseModel):
    pair: tuple[int, SecretStr] = (1, SecretStr("t"))


@register()
class Undescribed(Command[Odd, Hidden]):
    """Takes what no JSON schema describes."""


@register()
class Tracing(Command[Many, Length]):
    """Fails with a trace."""

    def execute(self) -> Any:
        raise RuntimeError("with a trace")

    def poll(self) -> Any:
        return Failed("never")


@pytest.fixture
def worker(db: None) -> Worker:
    LOG.clear()
    Polled.polls = 0
    return Worker(timezone.now() + timedelta(seconds=60))  # what is posted meanwhile is due for it


@pytest.fixture(params=["application/xml", JSON], ids=["xml", "json"])
def ops(request: pytest.FixtureRequest, calling: Callable[..., Caller]) -> Caller:
    return calling("ops", Role.OPERATOR, Role.INJECTOR, format=request.param)


def run(caller: Caller, kind: str, path: str = "commands", **parameters: Any) -> dict[str, Any]:
    answer = caller.post(path, "command", {"type": kind, "parameters": parameters})
    assert answer.status_code == 202, body(answer)
    return read(answer)


def one(caller: Caller, told: dict[str, Any]) -> dict[str, Any]:
    return read(caller.get(told["href"]))


@pytest.mark.mission("S13", "S112")
def test_a_command_is_accepted_run_and_read(ops: Caller, worker: Worker) -> None:
    answer = ops.post("commands", "command", {"type": "Plain", "parameters": {"word": "abc", "times": 3}})
    assert answer.status_code == 202
    told = read(answer)
    assert answer["Location"] == f"http://testserver{told['href']}"
    assert (told["status"], told["user"]["name"], told["executed"]) == ("NOT_STARTED", "ops", "false")
    assert told["parameters"]["times"] == "3"
    assert "due_at" in told["schedule"]
    assert LOG == []
    worker.turn()
    told = one(ops, told)
    assert (told["status"], told["result"]["letters"]) == ("ENDED_SUCCESSFULLY", "3")
    assert "schedule" not in told
    job = Job.objects.get()
    assert (str(job.pk), job.external, job.status) == (told["job"]["id"], False, "FINISHED")
    assert ops.get(told["job"]["href"]).status_code == 200
    assert ops.get(told["step"]["href"]).status_code == 200


def test_json_is_read_with_and_without_its_root(calling: Callable[..., Caller], worker: Worker) -> None:
    caller = calling("ops", Role.OPERATOR, format=JSON)
    for sent in ({"type": "Plain"}, {"command": {"type": "Plain", "parameters": {"word": "x"}}}):
        assert caller.send("POST", "commands", json.dumps(sent)).status_code == 202


def test_parameters_of_any_shape_come_and_go_in_both_formats(ops: Caller, worker: Worker) -> None:
    disks = [{"size": 1, "labels": ["a"]}, {"size": 2}]
    told = run(ops, "Injected", disks=disks, tags={"plain": "x"}, share=0.5, pin="1234")
    row = CommandEntity.objects.get(pk=told["id"])
    assert json.loads(row.command_parameters) == {
        "pin": "1234",
        "disks": [{"size": 1, "labels": ["a"]}, {"size": 2, "labels": []}],
        "tags": {"plain": "x"},
        "share": 0.5,
    }
    assert (told["parameters"]["pin"], told["parameters"]["share"]) == ("***", "0.5")
    assert told["parameters"]["tags"] == {"plain": "x"}
    assert "1234" not in body(ops.get(told["href"])).decode()


def test_of_one_element_xml_makes_a_list_where_there_is_one(
    calling: Callable[..., Caller], worker: Worker
) -> None:
    caller = calling("ops", Role.OPERATOR, Role.INJECTOR)
    parameters = "<disks><size>1</size><labels>a</labels></disks><share/><tags/>"
    text = f"<command><type>Injected</type><parameters>{parameters}</parameters></command>"
    assert caller.send("POST", "commands", text).status_code == 202
    stored = json.loads(CommandEntity.objects.get().command_parameters)
    assert stored["disks"] == [{"size": 1, "labels": ["a"]}]
    assert (stored["share"], stored["tags"]) == (None, {})


def test_what_no_element_can_be_called_is_an_entry() -> None:
    value = {"a b": 1, "id": {"x": [1, None]}, "href": "h", "ok": {"<": {"y": 2.5}}, "entry": []}
    assert written(value, json=True) == value
    assert written(value, json=False) == {
        "href": "h",
        "ok": {"entry": [{"@key": "<", "y": 2.5}]},
        "entry": [
            {"@key": "a b", "value": 1},
            {"@key": "id", "x": [1, None]},
            {"@key": "entry", "value": []},
        ],
    }
    assert read_value("x", {"type": "array"}) == ["x"]
    assert read_value("", {"anyOf": [{"type": "array"}, {"type": "null"}]}) is None


@pytest.mark.mission("S17", "S36")
@pytest.mark.parametrize(
    ("members", "status", "words"),
    [
        ({}, 400, "Command [type] required for add"),
        ({"type": "Nowhere"}, 400, "type: there is no command 'Nowhere'; /api/capabilities lists them."),
        ({"type": "Plain", "parameters": {"times": "x"}}, 400, "parameters.times: input should be a valid"),
        ({"type": "Plain", "parameters": {"word": "bad"}}, 400, "word: is bad."),
        ({"type": "Plain", "parameters": "x"}, 400, "parameters: input should be a valid dictionary"),
        (
            {"type": "Plain", "parameters": {"word": ["a\x1f"]}},
            400,
            "parameters.word: has the character U+001F",
        ),
        ({"type": "Injected"}, 403, "[User is not authorized to perform this action.]"),
    ],
)
def test_what_cannot_be_run_is_refused_and_not_stored(
    calling: Callable[..., Caller], worker: Worker, members: Any, status: int, words: str
) -> None:
    for form in ("application/xml", JSON) if "U+001F" not in words else (JSON,):  # XML cannot say it
        told = fault(calling("ops", Role.OPERATOR, format=form).post("commands", "command", members))
        assert told[0] == status
        assert told[2].startswith(words)
    assert not CommandEntity.objects.exists()
    assert not Job.objects.exists()


@pytest.mark.mission("S11", "S12", "S39", "D16")
@pytest.mark.parametrize(
    "path",
    [
        "commands?job_id={job}&step_id={step}",
        "commands?JobId={job}&StepId={step}",
        "commands;job_id={job};step_id={step}",
        "commands;JobId={job};StepId={step}",
        "commands;StepId={step}?job_id={job}&JobId={job}",
    ],
)
def test_a_command_is_shown_where_it_was_told_to_and_does_not_end_that(
    calling: Callable[..., Caller], worker: Worker, path: str
) -> None:
    caller = calling("ops", Role.OPERATOR, Role.INJECTOR)
    job = make_job(make_actor(caller.user), now=worker.now)
    step = make_step(job, now=worker.now)
    told = run(caller, "Plain", path.format(job=job.pk, step=step.pk))
    assert told["job"]["id"] == str(job.pk)
    shown = job.steps.get(pk=told["step"]["id"])
    assert (shown.parent_step_id, shown.external, shown.status) == (step.pk, False, "STARTED")
    worker.run()
    shown.refresh_from_db()
    job.refresh_from_db()
    assert (shown.status, job.status) == ("FINISHED", "STARTED")
    assert (job.steps.count(), Job.objects.count()) == (2, 1)


@pytest.mark.mission("S3")
def test_steps_of_plug_ins_and_of_commands_are_siblings(ops: Caller, worker: Worker) -> None:
    job = make_job(make_actor(ops.user), now=worker.now)
    for _ in range(2):
        make_step(job, now=worker.now)
        run(ops, "Plain", f"commands?job_id={job.pk}")
    told = read(ops.get(f"jobs/{job.pk}/steps"))["step"]
    assert [(step["number"], step["external"]) for step in told] == [
        ("0", "true"), ("1", "false"), ("2", "true"), ("3", "false"),
    ]  # fmt: skip
    assert {step["parent_job"]["id"] for step in told} == {str(job.pk)}


@pytest.mark.mission("S18")
def test_a_plug_in_cannot_end_the_step_of_a_command(calling: Callable[..., Caller], worker: Worker) -> None:
    caller = calling("ops", Role.OPERATOR, Role.INJECTOR)
    job = make_job(make_actor(caller.user), now=worker.now)
    told = run(caller, "Plain", f"commands?job_id={job.pk}")
    assert fault(caller.post(f"{told['step']['href']}/end", "action", {}))[0] == 409
    assert fault(caller.post(f"{told['job']['href']}/end", "action", {}))[0] == 409
    worker.run()
    assert caller.post(f"{told['job']['href']}/end", "action", {}).status_code == 200


@pytest.mark.mission("S17", "S36", "D16")
def test_where_a_command_cannot_be_shown(calling: Callable[..., Caller], worker: Worker) -> None:
    caller = calling("ops", Role.OPERATOR, Role.INJECTOR)
    job = make_job(make_actor(caller.user), now=worker.now)
    step = make_step(make_job(now=worker.now), now=worker.now)
    ended = end_job(job_id=make_job().pk, status="FINISHED", actor=make_actor(), now=worker.now)
    for query, kind, status in (
        (f"job_id={job.pk}", "Quiet", 400),  # not monitored
        (f"step_id={step.pk}", "Plain", 400),
        (f"job_id={job.pk}&step_id={step.pk}", "Plain", 400),
        (f"job_id={job.pk}&JobId={step.job_id}", "Plain", 400),
        ("job_id=x", "Plain", 400),
        (f"job_id={uuid4()}", "Plain", 404),
        (f"job_id={ended.pk}", "Plain", 409),
    ):
        answer = caller.post(f"commands?{query}", "command", {"type": kind})
        assert fault(answer)[0] == status, query
    injector = calling("injector", Role.INJECTOR)
    answer = injector.post(f"commands?job_id={job.pk}", "command", {"type": "Injected"})
    assert fault(answer)[0] == 404  # somebody else's
    assert not CommandEntity.objects.exists()


def test_a_key_makes_two_requests_one(ops: Caller, worker: Worker) -> None:
    answers = [
        ops.post("commands", "command", {"type": "Plain"}, Idempotency_Key="k", Correlation_Id="mine")
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0]["Location"] == answers[1]["Location"]
    assert answers[0].content == answers[1].content
    assert CommandEntity.objects.get().correlation_id == "mine"


@pytest.mark.parametrize("key", [{}, {"Idempotency_Key": "k"}])
def test_who_prefers_to_wait_is_answered_at_the_end(ops: Caller, worker: Worker, key: dict[str, str]) -> None:
    answer = ops.post("commands", "command", {"type": "Plain"}, Prefer="respond-async, wait=100", **key)
    assert answer.status_code == 202
    answer.waiting.then()
    assert (answer.status_code, answer["Preference-Applied"]) == (202, "wait=60")
    worker.turn()
    answer.waiting.then()
    assert answer.status_code == 200
    assert read(answer)["status"] == "ENDED_SUCCESSFULLY"


@pytest.mark.mission("D25")
def test_a_kept_answer_is_given_to_those_only_who_may_see_it(
    ops: Caller, calling: Callable[..., Caller], worker: Worker
) -> None:
    ops.post("commands", "command", {"type": "Plain"})
    command = CommandEntity.objects.get()
    other = calling("other", Role.INJECTOR, Role.OPERATOR)
    address, key = f"commands/{command.pk}/event", {"Idempotency_Key": "k"}
    assert other.post(address, "event", **key).status_code == 200
    assert other.post("commands", "command", {"type": "Plain"}, Idempotency_Key="own").status_code == 202
    other.user.groups.set(Group.objects.filter(name=Role.INJECTOR))
    assert fault(other.post(address, "event", **key))[0] == 404
    again = other.post("commands", "command", {"type": "Plain"}, Idempotency_Key="own")
    assert fault(again)[0] == 403


def test_a_kept_answer_has_no_trace(calling: Callable[..., Caller], worker: Worker) -> None:
    ops = calling("boss", Role.OPERATOR, Role.TRACE_VIEWER)
    ops.post("commands", "command", {"type": "Plain"})
    CommandEntity.objects.update(trace="Traceback: in /srv")
    address = f"commands/{CommandEntity.objects.get().pk}/poll"
    why = {"reason": "r"}
    assert b"/srv" in body(ops.post(address, "action", why))
    for _ in range(2):
        assert b"/srv" not in body(ops.post(address, "action", why, Idempotency_Key="k"))


def test_a_removal_can_be_sent_again(ops: Caller, worker: Worker) -> None:
    ops.post("commands", "command", {"type": "Plain"})
    worker.run()
    address = f"commands/{CommandEntity.objects.get().pk}/remove"
    for _ in range(2):
        assert ops.post(address, "action", {"reason": "r"}, Idempotency_Key="k").status_code == 200
    assert not CommandEntity.objects.exists()


@pytest.mark.parametrize("how", ["deactivated", "revoked"])
def test_who_is_let_in_no_more_learns_nothing_from_having_waited(
    ops: Caller, worker: Worker, how: str
) -> None:
    answer = ops.post("commands", "command", {"type": "Plain"}, Prefer="wait=10")
    before = answer.content
    worker.run()
    if how == "deactivated":
        User.objects.update(is_active=False)
    else:
        AccessToken.objects.all().delete()
    answer.waiting.then()
    assert (answer.status_code, answer.content) == (202, before)


@pytest.mark.parametrize("prefer", ["", "wait", "wait=", "wait=x", "wait=0", "await=5", "wait=-1"])
def test_who_does_not_is_answered_at_once(ops: Caller, worker: Worker, prefer: str) -> None:
    answer = ops.post("commands", "command", {"type": "Plain"}, Prefer=prefer)
    assert answer.status_code == 202
    assert not hasattr(answer, "waiting")


@pytest.mark.django_db(transaction=True)
def test_many_wait_by_one_look() -> None:
    from coordinator.waiting import watch

    worker = Worker(timezone.now())
    ends = [worker.submit(Polled, times=1).command_id for _ in range(20)]
    worker.run()
    stays = worker.submit(Polled, times=99).command_id

    async def wait() -> list[float]:
        loop = asyncio.get_running_loop()

        async def timed(command_id: Any, patience: float) -> float:
            begun = loop.time()
            await watch.over(command_id, patience)
            return loop.time() - begun

        return list(await asyncio.gather(*(timed(key, 60) for key in [*ends, uuid4()]), timed(stays, 1)))

    *soon, late = asyncio.run(wait())
    assert max(soon) < 30
    assert late >= 1
    assert watch._looking is None


@pytest.mark.mission("D25")
def test_one_sees_what_one_submitted_or_all(calling: Callable[..., Caller], worker: Worker) -> None:
    mine, theirs = calling("mine", Role.INJECTOR), calling("theirs", Role.INJECTOR)
    viewer = calling("viewer", Role.VIEWER, Role.TRACE_VIEWER)
    told = run(mine, "Injected")
    path = told["href"]
    assert [caller.get(path).status_code for caller in (mine, theirs, viewer)] == [200, 404, 200]
    listed = [read(caller.get("commands")) for caller in (mine, theirs, viewer)]
    assert [bool(one) for one in listed] == [True, False, True]
    missing = fault(theirs.get(path.replace(told["id"], str(uuid4()))))
    assert fault(theirs.get(path))[1] == missing[1] == "Not found"


def test_traces_are_for_those_who_may_see_them(calling: Callable[..., Caller], worker: Worker) -> None:
    ops, viewer = calling("ops", Role.OPERATOR), calling("viewer", Role.VIEWER, Role.TRACE_VIEWER)
    told = run(ops, "Tracing")
    worker.run()
    assert "trace" not in one(ops, told)
    assert "RuntimeError: with a trace" in one(viewer, told)["trace"]
    assert one(ops, told)["error"] == "RuntimeError: with a trace"


@pytest.mark.mission("S96")
def test_a_hierarchy_is_told(ops: Caller, worker: Worker) -> None:
    told = run(ops, "Family", times=2)
    worker.run()
    root = one(ops, told)
    assert root["children"]["total"] == "2"
    children = [one(ops, child) for child in root["children"]["command"]]
    assert [child["number"] for child in children] == ["0", "1"]
    for child in children:
        assert child["parent_command"] == child["root_command"] == {"href": root["href"], "id": root["id"]}
    found = read(ops.get(f"commands?parent={root['id']}"))["command"]
    assert {child["id"] for child in found} == {child["id"] for child in children}


def test_lists_are_paged_and_filtered(ops: Caller, worker: Worker) -> None:
    for number in range(7):
        run(ops, "Plain" if number % 2 else "Quiet", word=f"w{number}")
    CommandEntity.objects.filter(command_type="Plain").update(created_at=worker.now)  # several at once
    seen, path = [], "commands?max=3"
    while path:
        answer = ops.get(path)
        told = read(answer)
        found = told["command"] if isinstance(told["command"], list) else [told["command"]]
        seen += [one["id"] for one in found]
        link = told.get("link")
        path = (link[0] if isinstance(link, list) else link)["href"] if link else ""
        assert (f'<{path}>; rel="next"' == answer.get("Link")) == bool(path)
    expected = CommandEntity.objects.order_by("-created_at", "-command_id").values_list("pk", flat=True)
    assert seen == [str(key) for key in expected]
    worker.turn()
    job = CommandEntity.objects.filter(command_type="Plain")[0].job_id
    for query, count in (
        ("type=Quiet", 4), ("status=ended_successfully", 7), ("status=ACTIVE", 0), (f"job={job}", 1),
        ("type=Plain&max=2", 2), ("type=Nowhere", 0), ("max=9999", 7),
    ):  # fmt: skip
        told = read(ops.get(f"commands?{query}")).get("command", [])
        assert len(told if isinstance(told, list) and told else [told] * bool(told)) == count, query
    for query in ("status=bogus", "job=x", "parent=x", "max=x", "after=x"):
        assert fault(ops.get(f"commands?{query}"))[0] == 400, query


def test_an_event_is_delivered(ops: Caller, worker: Worker) -> None:
    told = run(ops, "Waiting")
    worker.turn()
    assert one(ops, told)["schedule"]["waits_for"] == "news"
    assert ops.post(f"{told['href']}/event", "event", {"data": {"a": "b"}}).status_code == 200
    assert fault(ops.post(f"{told['href']}/event", "event", {"data": {"a": "b"}}))[0] == 409
    worker.run()
    assert "event {'a': 'b'} hello" in LOG
    assert one(ops, told)["status"] == "ENDED_SUCCESSFULLY"
    assert fault(ops.post(f"{told['href']}/event"))[0] == 409


def test_who_submitted_it_may_tell_it_of_an_event(calling: Callable[..., Caller], worker: Worker) -> None:
    mine = calling("mine", Role.INJECTOR)
    told = run(mine, "Injected")
    assert mine.post(f"{told['href']}/event").status_code == 200
    both = calling("both", Role.INJECTOR, Role.VIEWER)
    assert fault(both.post(f"{told['href']}/event"))[0] == 403


def test_what_operators_do(ops: Caller, worker: Worker) -> None:
    told = run(ops, "Ending")
    href = told["href"]

    def act(verb: str) -> Any:
        return ops.post(f"{href}/{verb}", "action", {"reason": "because"})

    answer = read(act("poll"))
    assert (answer["status"], answer["command"]["status"]) == ("complete", "NOT_STARTED")
    assert fault(act("resume"))[0] == fault(act("remove"))[0] == 409
    assert read(act("fail"))["command"]["status"] == "FAILED"
    worker.run()
    assert (one(ops, told)["status"], LOG) == ("ENDED_WITH_FAILURE", ["end_with_failure hello"])
    assert fault(act("fail"))[0] == fault(act("poll"))[0] == 409
    assert read(act("remove")) == {"status": "complete"}
    assert fault(act("remove"))[0] == 404
    assert list(
        AuditEntry.objects.filter(detail="because").values_list("verb", flat=True).order_by("pk")
    ) == [
        "polled command",
        "failed command",
        "removed hierarchy",
    ]


@pytest.mark.parametrize("verb", ["poll", "fail", "resume", "remove"])
def test_operators_say_why(ops: Caller, worker: Worker, verb: str) -> None:
    told = run(ops, "Plain")
    assert fault(ops.post(f"{told['href']}/{verb}"))[2] == "Action [reason] required for add"
    assert fault(ops.post(f"{told['href']}/{verb}", "action", {"reason": " "}))[0] == 400


@pytest.mark.mission("S38", "D17")
@pytest.mark.parametrize("version", ["", "3", "4"])
def test_capabilities_list_the_commands(ops: Caller, version: str) -> None:
    told = read(ops.get("capabilities", **({"Version": version} if version else {})))
    assert "version" in told
    by_name = {command["name"]: command for command in told["commands"]["command"]}
    plain, injected = by_name["Plain"], by_name["Injected"]
    assert (plain["description"], plain["monitored"], plain["resumable"]) == ("Say a word.", "true", "false")
    assert by_name["Quiet"]["monitored"] == "false"
    assert by_name["Resumable"]["resumable"] == "true"
    for command, right in ((plain, "control_jobs"), (injected, "inject_external_tasks")):
        permission = command["permissions"]["permission"]
        assert permission in (right, [right])
    assert plain["parameters"]["properties"]["times"]["type"] == "integer"
    assert plain["result"]["properties"]["letters"]["type"] == "integer"
    assert by_name["Undescribed"]["parameters"] == {"type": "object"}
    assert by_name["Undescribed"]["result"]["properties"]["pair"]["type"] == "array"


def test_a_server_that_nobody_asks_for_commands_does_not_load_them() -> None:
    code = (
        "import sys, taskmonitor.asgi\n"
        "from django.urls import get_resolver\n"
        "get_resolver().url_patterns\n"
        "print([n for n in sys.modules if n.startswith(('pydantic', 'coordinator.registry', 'coordinator.command'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("commands", 1),
        ("commands?max=2", 1),
        ("commands/{root}", 2),
        ("commands/{child}", 1),
        ("capabilities", 0),
    ],
)
def test_what_is_read_takes_few_statements(ops: Caller, worker: Worker, path: str, expected: int) -> None:
    told = run(ops, "Family", times=12)
    worker.run()
    child = CommandEntity.objects.filter(parent_command_id=told["id"])[0].pk
    ops.get("capabilities")  # notes the token's use
    with CaptureQueriesContext(connection) as seen:
        body(ops.get(path.format(root=told["id"], child=child)))
    assert len(seen) - WHO == expected


def test_what_is_written_takes_few_statements(ops: Caller, worker: Worker) -> None:
    def statements(path: str, root: str, members: Any, **headers: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert ops.post(path, root, members, **headers).status_code in (200, 202)
        return len(seen) - WHO

    ops.get("capabilities")  # notes the token's use
    assert statements("commands", "command", {"type": "Quiet"}) == 4
    quiet = CommandEntity.objects.get().pk
    reason = {"reason": "r"}
    assert statements(f"commands/{quiet}/event", "event", {}) == 5
    assert statements(f"commands/{quiet}/poll", "action", reason) == 5
    assert statements(f"commands/{quiet}/fail", "action", reason) == 6
