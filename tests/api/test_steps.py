"""Steps of a job: added, listed, read (oVirt: AddExternalStep)."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from taskmonitor.models import Job, Step
from taskmonitor.services import jobs, steps
from tests.api.caller import Caller, fault, read
from tests.api.test_jobs import ids
from tests.factories import NOW, make_actor, make_job, make_step


@pytest.fixture
def job(owner: object) -> Job:
    return make_job()


STEP = {"description": "Copy disk", "type": "EXECUTING"}


@pytest.mark.mission("S16", "S21", "S66", "S41")
def test_a_step_is_added_under_its_job(either: Caller, job: Job) -> None:
    body = {"description": "Copy disk", "type": "EXECUTING", "status": {"state": "STARTED"}}
    response = either.post(f"jobs/{job.pk}/steps", "step", body)
    step = Step.objects.get()
    assert response.status_code == 201
    assert response["Location"] == f"http://testserver/api/jobs/{job.pk}/steps/{step.pk}"
    assert (read(response)["id"], step.job_id, step.parent_step) == (str(step.pk), job.pk, None)
    assert (step.description, step.type, step.status, step.external) == (
        "Copy disk",
        "EXECUTING",
        "STARTED",
        True,
    )


@pytest.mark.mission("S3", "S16", "S67", "D4")
@pytest.mark.parametrize(
    "named",
    [
        lambda key: {"parent_step": {"id": key}},
        lambda key: {"parent_step": key},
        lambda key: {"parent_step": {"id": key.upper()}},
        lambda key: {"parentId": key, "parentType": "Step"},
        lambda key: {"parentId": key, "parentType": "STEP", "parent_step": {"id": key}},
    ],
    ids=["parent_step id", "parent_step", "upper case", "parentId", "both"],
)
def test_a_sub_step_names_its_parent_in_either_way(either: Caller, job: Job, named: Any) -> None:
    top = make_step(job)
    response = either.post(f"jobs/{job.pk}/steps", "step", {**STEP, **named(str(top.pk))})
    assert response.status_code == 201, response.content
    href = f"/api/jobs/{job.pk}/steps/{top.pk}"
    assert read(response)["parent_step"] == {"href": href, "id": str(top.pk)}
    assert "parent_job" not in read(response)
    assert read(either.get(href))["id"] == str(top.pk)


@pytest.mark.mission("S21", "S22", "S56")
@pytest.mark.parametrize("named", [{}, {"parentType": "Job"}, {"parentType": "JOB"}])
def test_the_parent_may_be_the_job_itself(either: Caller, job: Job, named: dict[str, str]) -> None:
    if named:
        named = {**named, "parentId": str(job.pk)}
    response = either.post(f"jobs/{job.pk}/steps", "step", {**STEP, **named})
    assert read(response)["parent_job"] == {"href": f"/api/jobs/{job.pk}", "id": str(job.pk)}
    assert "parent_step" not in read(response)


@pytest.mark.mission("S68", "D4", "D15")
def test_a_parent_elsewhere_is_refused(either: Caller, job: Job) -> None:
    other = make_job()
    theirs, ours = make_step(other), make_step(job)
    for named, words in (
        ({"parent_step": {"id": str(theirs.pk)}}, f"parent_step: {theirs.pk} is not a step of this job."),
        ({"parent_step": {"id": str(uuid4())}}, "is not a step of this job."),
        ({"parent_step": {"id": str(job.pk)}}, "is not a step of this job."),
        ({"parent_step": {"id": "no"}}, "parent_step: 'no' is not a UUID."),
        ({"parent_step": {"id": "{" + "0" * 32 + "--}"}}, "is not a UUID."),
        ({"parent_step": {"id": "\uff11" * 8 + "-1111-1111-1111-111111111111"}}, "is not a UUID."),
        ({"parent_step": ""}, "Step [parentStep.id] required for add"),
        ({"parentId": str(theirs.pk), "parentType": "Step"}, "is not a step of this job."),
        ({"parentId": str(other.pk), "parentType": "Job"}, f"parentId: is another job than {job.pk}"),
        ({"parentId": str(ours.pk), "parentType": "Job"}, f"parentId: is another job than {job.pk}"),
        ({"parentId": str(ours.pk), "parentType": "Disk"}, "parentType: The string 'Disk' isn't valid."),
        ({"parentId": str(ours.pk)}, "Step [parentType] required for add"),
        ({"parentType": "Step"}, "Step [parentId] required for add"),
        ({"parent_step": str(ours.pk), "parentId": str(job.pk), "parentType": "Job"}, "contradicts parentId"),
        ({"parent_job": {"id": str(other.pk)}}, f"parent_job: is another job than {job.pk}"),
        ({"job": {"id": str(other.pk)}}, f"job: is another job than {job.pk}"),
    ):
        response = either.post(f"jobs/{job.pk}/steps", "step", {**STEP, **named})
        assert fault(response)[0] == 400
        assert words in fault(response)[2]
    assert Step.objects.count() == 2


def test_two_parents_are_one_too_many(plugin: Caller, job: Job) -> None:
    step = make_step(job)
    body = f'<step><description>d</description><type>executing</type><parent_step id="{step.pk}"/><parent_step id="{step.pk}"/></step>'
    assert fault(plugin.send("POST", f"jobs/{job.pk}/steps", body))[2].startswith(
        "parent_step: is given more"
    )


@pytest.mark.mission("S6", "S58")
@pytest.mark.parametrize("kind", ["VALIDATING", "EXECUTING", "FINALIZING", "executing", " Finalizing "])
def test_a_step_has_one_of_three_types(either: Caller, job: Job, kind: str) -> None:
    response = either.post(f"jobs/{job.pk}/steps", "step", {**STEP, "type": kind})
    assert read(response)["type"] == kind.strip().upper()


@pytest.mark.mission("S6")
@pytest.mark.parametrize(
    "kind", ["", "UNKNOWN", "REBALANCING_VOLUME", "executin", "\u212a", "EXECUTING,VALIDATING"]
)
def test_any_other_type_is_refused(either: Caller, job: Job, kind: str) -> None:
    status, reason, detail = fault(either.post(f"jobs/{job.pk}/steps", "step", {**STEP, "type": kind}))
    assert (status, reason) == (400, "Invalid value")
    assert "Valid values are: VALIDATING, EXECUTING, FINALIZING" in detail
    assert not Step.objects.exists()


def test_ovirt_clients_may_leave_the_type_unknown(either: Caller, job: Job) -> None:
    response = either.post(f"jobs/{job.pk}/steps", "step", {**STEP, "type": "unknown"}, Version="4")
    assert (response.status_code, read(response)["type"]) == (201, "unknown")


@pytest.mark.parametrize(
    ("members", "missing"),
    [({}, "type, description"), ({"type": "EXECUTING"}, "description"), ({"description": "Copy"}, "type")],
)
def test_a_step_needs_type_and_description(
    either: Caller, job: Job, members: dict[str, str], missing: str
) -> None:
    response = either.post(f"jobs/{job.pk}/steps", "step", members)
    assert fault(response) == (400, "Incomplete parameters", f"Step [{missing}] required for add")


@pytest.mark.mission("S5", "S66", "D1", "D9")
@pytest.mark.parametrize("shape", [lambda word: word, lambda word: {"state": word}], ids=["flat", "nested"])
@pytest.mark.parametrize("status", ["STARTED", "FINISHED", "failed", "Aborted", "UNKNOWN"])
def test_a_step_may_be_recorded_after_the_fact(either: Caller, job: Job, status: str, shape: Any) -> None:
    response = either.post(f"jobs/{job.pk}/steps", "step", {**STEP, "status": shape(status)})
    told = read(response)
    assert told["status"] == status.upper()
    assert ("end_time" in told) == (status.upper() in ("FINISHED", "FAILED", "ABORTED"))
    assert told.get("end_time", told["start_time"]) == told["start_time"]


@pytest.mark.mission("D9")
@pytest.mark.parametrize("version", ["3", "4"])
def test_ovirt_clients_always_get_a_started_step(either: Caller, job: Job, version: str) -> None:
    either.post(f"jobs/{job.pk}/steps", "step", {**STEP, "status": "finished"}, Version=version)
    assert Step.objects.get().status == "STARTED"


@pytest.mark.parametrize("status", ["FAILED", "ABORTED"])
def test_a_step_added_after_the_fact_keeps_its_reason(either: Caller, job: Job, status: str) -> None:
    body = {**STEP, "status": status, "reason": "No space left on ds-7 <7 GiB>"}
    told = read(either.post(f"jobs/{job.pk}/steps", "step", body))
    step = Step.objects.get()
    assert step.reason == told["reason"] == "No space left on ds-7 <7 GiB>"
    assert read(either.get(f"jobs/{job.pk}/steps/{step.pk}"))["reason"] == step.reason
    assert Job.objects.get().causes == (status == "FAILED")


def test_a_step_that_has_not_ended_has_no_reason(plugin: Caller, job: Job) -> None:
    plugin.post(f"jobs/{job.pk}/steps", "step", {**STEP, "reason": "No space"})
    body = {**STEP, "status": "failed", "reason": "No space"}
    plugin.post(f"jobs/{job.pk}/steps", "step", body, Version="4")  # as the engine, which knows neither
    assert list(Step.objects.values_list("status", "reason")) == [("STARTED", "")] * 2


def test_a_reason_that_is_too_long_is_refused(plugin: Caller, job: Job) -> None:
    body = {**STEP, "status": "FAILED", "reason": "x" * 65_537}
    status, _, words = fault(plugin.post(f"jobs/{job.pk}/steps", "step", body))
    assert (status, words) == (400, "reason: has 65537 characters; at most 65536 are kept.")
    assert not Step.objects.exists()


@pytest.mark.mission("S5")
@pytest.mark.parametrize("status", ["", "RUNNING", "0", "FINISHED,FAILED"])
def test_a_step_has_one_of_five_statuses(either: Caller, job: Job, status: str) -> None:
    response = either.post(f"jobs/{job.pk}/steps", "step", {**STEP, "status": status})
    assert fault(response)[2].startswith(f"status: The string '{status}' isn't valid.")
    assert not Step.objects.exists()


@pytest.mark.mission("S8", "S63")
def test_the_server_numbers_dates_and_marks_steps_itself(either: Caller, job: Job) -> None:
    forged = {"number": "9", "external": "false", "start_time": "2001-01-01T00:00:00Z", "id": str(uuid4())}
    told = [read(either.post(f"jobs/{job.pk}/steps", "step", {**STEP, **forged})) for _ in range(3)]
    assert [(one["number"], one["external"]) for one in told] == [("0", "true"), ("1", "true"), ("2", "true")]
    assert all(one["id"] != forged["id"] and not one["start_time"].startswith("2001") for one in told)


@pytest.mark.mission("S25", "S54", "S55", "S56", "S59")
def test_all_steps_are_listed_flat_each_behind_its_parent(either: Caller, job: Job) -> None:
    first, second = make_step(job), make_step(job)
    inner = make_step(job, parent_step_id=first.pk)
    inmost = make_step(job, parent_step_id=inner.pk)
    beside = make_step(job, parent_step_id=first.pk)
    listed = read(either.get(f"jobs/{job.pk}/steps"))
    assert ids(listed) == [str(step.pk) for step in (first, inner, inmost, beside, second)]
    assert [step["number"] for step in listed["step"]] == ["0", "0", "0", "1", "1"]
    for step in listed["step"]:
        assert ("parent_job" in step) != ("parent_step" in step)
        assert read(either.get(step["href"])) == step
    assert len(ids(read(either.get(f"jobs/{job.pk}/steps?max=2")))) == 2
    assert ids(read(either.get(f"jobs/{make_job().pk}/steps"))) == []


@pytest.mark.mission("S1")
def test_ten_thousand_steps_are_listed_and_counted(plugin: Caller, job: Job) -> None:
    Step.objects.bulk_create(
        Step(job=job, number=n, description=f"Disk {n}", type="EXECUTING", start_time=NOW, last_updated=NOW)
        for n in range(10_000)
    )
    listed = read(plugin.get(f"jobs/{job.pk}/steps"))["step"]
    assert [step["number"] for step in listed] == [str(n) for n in range(10_000)]


@pytest.mark.mission("S2")
def test_a_chain_of_fifty_is_added_and_listed(either: Caller, job: Job) -> None:
    above: dict[str, Any] = {}
    for _ in range(50):
        told = read(either.post(f"jobs/{job.pk}/steps", "step", {**STEP, **above}))
        above = {"parent_step": {"id": told["id"]}}
    listed = read(either.get(f"jobs/{job.pk}/steps"))["step"]
    assert len(listed) == 50
    assert [step["parent_step"]["id"] for step in listed[1:]] == [step["id"] for step in listed[:-1]]
    assert {step["number"] for step in listed} == {"0"}


@pytest.mark.mission("S26", "D15")
def test_a_step_of_another_job_is_not_found(either: Caller, job: Job) -> None:
    theirs, key = make_step(make_job()), uuid4()
    for step_id in (theirs.pk, key):
        told = (404, "Not found", f"Step {step_id} does not exist.")
        assert fault(either.get(f"jobs/{job.pk}/steps/{step_id}")) == told
        assert fault(either.post(f"jobs/{job.pk}/steps/{step_id}/end", "action")) == told
        assert (
            fault(either.post(f"jobs/{job.pk}/steps/{step_id}/progress", "progress", {"current": 1})) == told
        )
        assert fault(either.get(f"jobs/{job.pk}/steps/{step_id}/statistics")) == told
    theirs.refresh_from_db()
    assert theirs.status == "STARTED"


@pytest.mark.mission("D15")
def test_steps_of_an_unknown_job_are_not_found(either: Caller, owner: object) -> None:
    key = uuid4()
    told = (404, "Not found", f"Job {key} does not exist.")
    assert fault(either.get(f"jobs/{key}/steps")) == told
    assert fault(either.post(f"jobs/{key}/steps", "step", STEP)) == told


@pytest.mark.mission("D12")
def test_nothing_is_added_to_what_has_ended(either: Caller, job: Job) -> None:
    step = make_step(job)
    steps.end_step(job_id=job.pk, step_id=step.pk, status="FINISHED", actor=make_actor(), now=NOW)
    under = {**STEP, "parent_step": {"id": str(step.pk)}}
    assert fault(either.post(f"jobs/{job.pk}/steps", "step", under))[0] == 409
    jobs.end_job(job_id=job.pk, status="FAILED", actor=make_actor(), now=NOW)
    status, _, words = fault(either.post(f"jobs/{job.pk}/steps", "step", STEP))
    assert (status, words) == (409, "The job is FAILED; steps can be added only while it is STARTED.")
    assert Step.objects.count() == 1


def test_nothing_external_is_added_to_the_servers_own_job(either: Caller, job: Job) -> None:
    Job.objects.update(external=False)
    for path, root, body in (
        ("steps", "step", STEP),
        ("end", "action", {}),
        ("heartbeat", "action", {}),
        ("progress", "progress", {"current": 1}),
    ):
        assert fault(either.post(f"jobs/{job.pk}/{path}", root, body))[0] == 409
    job.refresh_from_db()
    assert (job.status, job.steps_total) == ("STARTED", 0)


@pytest.mark.mission("S51")
def test_last_updated_moves_with_each_change_beneath(either: Caller, job: Job) -> None:
    seen = [read(either.get(f"jobs/{job.pk}"))["last_updated"]]
    step = read(either.post(f"jobs/{job.pk}/steps", "step", STEP))["href"]
    seen.append(read(either.get(f"jobs/{job.pk}"))["last_updated"])
    Job.objects.update(last_updated=NOW + timedelta(seconds=1))
    either.post(f"{step}/end", "action")
    seen.append(read(either.get(f"jobs/{job.pk}"))["last_updated"])
    assert len(set(seen)) == 3


def test_statistics_are_there_and_empty(either: Caller, job: Job) -> None:
    step = make_step(job)
    href = f"/api/jobs/{job.pk}/steps/{step.pk}/statistics"
    told = read(either.get(href))
    assert (told["href"], told.get("statistic", [])) == (href, [])
