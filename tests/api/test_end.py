"""The end of jobs and steps, and clearing (oVirt: EndExternalJob, EndExternalStep, ClearExternalJob)."""

from typing import Any

import pytest

from taskmonitor.models import Job, Step
from taskmonitor.services import steps
from tests.api.caller import Caller, fault, read
from tests.factories import NOW, make_actor, make_job, make_step


@pytest.fixture
def job(owner: object) -> Job:
    return make_job()


@pytest.fixture(params=["job", "step"])
def work(request: pytest.FixtureRequest, job: Job) -> Job | Step:
    """Something to end: a job, or a step of one."""
    return job if request.param == "job" else make_step(job)


def address(work: Job | Step) -> str:
    return f"jobs/{work.pk}" if isinstance(work, Job) else f"jobs/{work.job_id}/steps/{work.pk}"


OUTCOMES = [
    ({}, "FINISHED"),
    ({"succeeded": "true"}, "FINISHED"),
    ({"succeeded": True}, "FINISHED"),
    ({"succeeded": "1"}, "FINISHED"),
    ({"succeeded": "TRUE"}, "FINISHED"),
    ({"succeeded": "false"}, "FAILED"),
    ({"succeeded": False}, "FAILED"),
    ({"succeeded": "0"}, "FAILED"),
    ({"status": {"state": "FINISHED"}}, "FINISHED"),
    ({"status": {"state": "failed"}}, "FAILED"),
    ({"status": "ABORTED"}, "ABORTED"),
    ({"status": "aborted"}, "ABORTED"),
    ({"status": "FAILED", "succeeded": "false"}, "FAILED"),
    ({"status": "ABORTED", "succeeded": "false"}, "ABORTED"),
    ({"status": "FINISHED", "succeeded": "true", "force": "false"}, "FINISHED"),
]


@pytest.mark.mission("S4", "S15", "S18", "S27", "S28", "S29", "S41", "S69", "S70", "D1", "D2")
@pytest.mark.parametrize("version", ["", "3", "4"])
@pytest.mark.parametrize(("said", "status"), OUTCOMES)
def test_the_outcome_is_said_by_status_or_by_succeeded(
    either: Caller, work: Job | Step, said: dict[str, Any], status: str, version: str
) -> None:
    response = either.post(f"{address(work)}/end", "action", said, Version=version)
    assert response.status_code == 200, response.content
    work.refresh_from_db()
    assert work.status == status
    assert work.end_time is not None
    told = read(response)["status"]
    assert told == ({"state": "complete"} if version == "3" else "complete")


@pytest.mark.mission("S4", "D2")
@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"status": "FINISHED", "succeeded": "false"}, "succeeded: false contradicts the status FINISHED"),
        ({"status": "FAILED", "succeeded": "true"}, "succeeded: true contradicts the status FAILED"),
        ({"status": "STARTED"}, "status: work can end as FINISHED, FAILED, ABORTED, not as STARTED."),
        ({"status": "UNKNOWN"}, "status: work can end as FINISHED, FAILED, ABORTED, not as UNKNOWN."),
        ({"status": "DONE"}, "status: The string 'DONE' isn't valid."),
        ({"status": {"state": "DONE"}}, "status: The string 'DONE' isn't valid."),
        ({"status": ""}, "status: The string '' isn't valid."),
        ({"succeeded": "perhaps"}, "succeeded: Value 'perhaps' isn't a valid boolean"),
        ({"force": "perhaps"}, "force: Value 'perhaps' isn't a valid boolean"),
        ({"reason": "x" * 70_000}, "reason: has 70000 characters"),
    ],
)
def test_another_outcome_is_refused(
    either: Caller, work: Job | Step, said: dict[str, Any], words: str
) -> None:
    status, _, detail = fault(either.post(f"{address(work)}/end", "action", said))
    assert (status, detail[: len(words)]) == (400, words)
    work.refresh_from_db()
    assert work.status == "STARTED"


@pytest.mark.mission("S72", "D12")
def test_the_same_end_again_changes_nothing_and_another_one_is_a_conflict(
    either: Caller, work: Job | Step
) -> None:
    end = f"{address(work)}/end"
    either.post(end, "action", {"status": "FAILED"})
    work.refresh_from_db()
    ended = work.end_time
    assert either.post(end, "action", {"succeeded": "false"}).status_code == 200
    status, reason, words = fault(either.post(end, "action", {"status": "FINISHED"}))
    assert (status, reason) == (409, "Operation Failed")
    assert ended is not None
    assert words == (
        f"This {type(work).__name__.lower()} is FAILED since {ended.isoformat(timespec='milliseconds')}"
        " and cannot become FINISHED."
    )
    work.refresh_from_db()
    assert (work.status, work.end_time) == ("FAILED", ended)


@pytest.mark.mission("D10")
@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "ABORTED"])
def test_the_end_of_a_job_closes_its_open_steps_at_every_depth(either: Caller, job: Job, status: str) -> None:
    top = make_step(job)
    inner = make_step(job, parent_step_id=make_step(job, parent_step_id=top.pk).pk)
    steps.end_step(job_id=job.pk, step_id=top.pk, status="FAILED", actor=make_actor(), now=NOW)
    either.post(f"jobs/{job.pk}/end", "action", {"status": status})
    top.refresh_from_db()
    inner.refresh_from_db()
    job.refresh_from_db()
    assert (top.status, inner.status, inner.end_time) == ("FAILED", status, job.end_time)
    assert (job.auto_cleared, job.steps_open) == (False, 0)


@pytest.mark.mission("S71", "D10")
def test_force_aborts_what_is_open_and_lets_the_job_be_cleared(either: Caller, job: Job) -> None:
    step = make_step(job)
    told = read(either.post(f"jobs/{job.pk}/end", "action", {"status": "FINISHED", "force": "true"}))
    step.refresh_from_db()
    job.refresh_from_db()
    assert (job.status, job.auto_cleared, step.status) == ("FINISHED", True, "ABORTED")
    assert (told["force"], told["job"]["auto_cleared"]) == ("true", "true")


@pytest.mark.mission("D10")
@pytest.mark.parametrize(("force", "below"), [("false", "STARTED"), ("true", "ABORTED")])
def test_the_end_of_a_step_leaves_or_aborts_what_is_beneath(
    either: Caller, job: Job, force: str, below: str
) -> None:
    top, beside = make_step(job), make_step(job)
    inner = make_step(job, parent_step_id=top.pk)
    either.post(f"{address(top)}/end", "action", {"succeeded": "true", "force": force})
    for step in (top, inner, beside, job):
        step.refresh_from_db()
    assert (top.status, inner.status, beside.status, job.status) == ("FINISHED", below, "STARTED", "STARTED")


@pytest.mark.mission("D11")
@pytest.mark.parametrize(("version", "job_status"), [("", "STARTED"), ("3", "FAILED"), ("4", "FAILED")])
def test_a_failed_step_fails_its_job_for_clients_of_the_engine(
    either: Caller, job: Job, version: str, job_status: str
) -> None:
    step, beside = make_step(job), make_step(job)
    either.post(f"{address(step)}/end", "action", {"succeeded": "false"}, Version=version)
    beside.refresh_from_db()
    job.refresh_from_db()
    assert (job.status, beside.status) == (job_status, job_status)


def test_the_last_finished_step_does_not_end_its_job(either: Caller, job: Job) -> None:
    either.post(f"{address(make_step(job))}/end", "action", {"succeeded": "true"}, Version="4")
    job.refresh_from_db()
    assert job.status == "STARTED"


@pytest.mark.mission("S18")
def test_a_step_that_the_server_watches_is_not_a_plug_ins_to_end(either: Caller, job: Job) -> None:
    step = make_step(job)
    Step.objects.update(external=False)
    assert fault(either.post(f"{address(step)}/end", "action"))[0] == 409
    step.refresh_from_db()
    assert step.status == "STARTED"


@pytest.mark.mission("S28")
def test_the_end_of_a_step_may_name_its_type(either: Caller, job: Job) -> None:
    step = make_step(job)
    said = {"status": "FINISHED", "stepType": "VALIDATING"}
    assert fault(either.post(f"{address(step)}/end", "action", said))[2] == (
        "stepType: the step is EXECUTING, not VALIDATING; leave it out or send the step's own."
    )
    said["stepType"] = "executing"
    assert either.post(f"{address(step)}/end", "action", said).status_code == 200


@pytest.mark.mission("D13")
def test_what_was_lost_sight_of_can_still_end(either: Caller, job: Job) -> None:
    Job.objects.update(status="UNKNOWN", reason="No sign of life")
    either.post(f"jobs/{job.pk}/end", "action", {"status": "FINISHED"})
    job.refresh_from_db()
    assert (job.status, job.reason) == ("FINISHED", "")


def test_an_end_says_why(either: Caller, work: Job | Step) -> None:
    either.post(f"{address(work)}/end", "action", {"succeeded": "false", "reason": "No space left"})
    assert read(either.get(address(work)))["reason"] == "No space left"


@pytest.mark.parametrize("version", ["", "3", "4"])
def test_the_answer_repeats_what_was_asked_in_the_schemas_spelling(
    plugin: Caller, job: Job, version: str
) -> None:
    body = "<action><force> TRUE </force><succeeded>1</succeeded><async>false</async></action>"
    told = read(plugin.send("POST", f"jobs/{job.pk}/end", body, Version=version))
    assert (told["force"], told["succeeded"], told["job"]["id"]) == ("true", "true", str(job.pk))
    assert "async" not in told


@pytest.mark.mission("D14", "S65")
def test_clearing_takes_an_ended_job_from_the_list_and_marks_a_live_one(either: Caller, job: Job) -> None:
    live = make_job()
    either.post(f"jobs/{job.pk}/end", "action")
    for one in (job, live, job, live):
        response = either.post(f"jobs/{one.pk}/clear", "action")
        assert (response.status_code, read(response)["status"]) == (200, "complete")
    job.refresh_from_db()
    live.refresh_from_db()
    assert job.cleared_at is not None
    assert (live.cleared_at, live.auto_cleared, live.status) == (None, True, "STARTED")
    assert [str(live.pk)] == [one["id"] for one in _listed(either)]


def _listed(caller: Caller) -> list[dict[str, str]]:
    found = read(caller.get("jobs"))["job"]
    return found if isinstance(found, list) else [found]


@pytest.mark.parametrize("path", ["clear", "heartbeat"])
def test_what_needs_no_words_may_have_an_empty_body(either: Caller, job: Job, path: str) -> None:
    assert either.post(f"jobs/{job.pk}/{path}").status_code == 200


@pytest.mark.parametrize("path", ["end", "steps", "progress"])
def test_what_needs_words_names_the_root_that_is_missing(either: Caller, job: Job, path: str) -> None:
    root = {"end": "an <action>", "steps": "a <step>", "progress": "a <progress>"}[path]
    status, reason, words = fault(either.post(f"jobs/{job.pk}/{path}"))
    assert (status, reason) == (400, "Request syntactically incorrect.")
    assert words == f"The body is empty; send {root} element or a JSON object."
    job.refresh_from_db()
    assert job.status == "STARTED"
