"""What a plug-in does with oVirt's Python SDK 4.6, unmodified, on a running site."""

from typing import Any
from uuid import uuid4

import pytest

from tests.clients.conftest import BASES, HOARD, Connect
from tests.clients.sdk4 import sdk, types

STARTED, FINISHED, FAILED = types.JobStatus.STARTED, types.JobStatus.FINISHED, types.JobStatus.FAILED


def add_job(jobs: Any, **fields: Any) -> Any:
    """A new job, and the service that knows it."""
    job = jobs.add(types.Job(**{"description": "Clone web-01", **fields}))
    return job, jobs.job_service(job.id)


def add_step(service: Any, *, parent: Any = None, **fields: Any) -> Any:
    step = types.Step(
        **{"description": "Copy disk", "type": types.StepEnum.EXECUTING, "parent_step": parent, **fields}
    )
    return service.steps_service().add(step)


def end_step(service: Any, step: Any, **how: Any) -> None:
    service.steps_service().step_service(step.id).end(**how)


def statuses(service: Any) -> list[str]:
    return [step.status.value for step in service.steps_service().list()]


@pytest.mark.mission("S14", "S15", "S16", "S18", "S19", "S24", "S25", "S26", "S41")
@pytest.mark.parametrize("base", [*BASES, "/ovirt-engine/api/"])
def test_a_plugin_works_from_login_to_end(connect: Connect, base: str) -> None:
    connection = connect(base)
    assert connection.test(raise_exception=True)
    jobs = connection.system_service().jobs_service()
    job, service = add_job(jobs)
    top = add_step(service)
    sub = add_step(service, parent=top, type=types.StepEnum.VALIDATING)
    end_step(service, sub, succeeded=True)
    end_step(service, top, succeeded=True)
    assert service.get().status == STARTED
    service.end()

    assert service.get().status == FINISHED
    steps = service.steps_service().list()
    assert [(step.id, step.status.value, step.type.value) for step in steps] == [
        (top.id, "finished", "executing"),
        (sub.id, "finished", "validating"),
    ]
    assert service.steps_service().step_service(sub.id).get().parent_step.id == top.id
    assert job.id in [one.id for one in jobs.list(max=20)]


@pytest.mark.mission("S44", "S45", "S48", "S49", "S50", "S51", "S52", "S53")
def test_a_new_job_is_what_the_engine_would_have_made(jobs: Any) -> None:
    job, service = add_job(jobs, auto_cleared=True, external=False, status=FINISHED)
    assert (job.status, job.external, job.auto_cleared, job.end_time) == (STARTED, True, True, None)
    assert job.start_time == job.last_updated
    assert job.start_time.utcoffset() is not None
    assert job.href == f"/ovirt-engine/api/jobs/{job.id}"
    fresh = service.get()
    assert (fresh.description, fresh.start_time, fresh.owner.id) == (
        job.description,
        job.start_time,
        job.owner.id,
    )
    assert add_job(jobs)[0].auto_cleared is False


@pytest.mark.mission("S22", "S55", "S56", "S58", "S59", "S67")
def test_steps_are_numbered_among_their_siblings(jobs: Any) -> None:
    job, service = add_job(jobs)
    first, second = add_step(service), add_step(service)
    beneath = [add_step(service, parent=first, job=types.Job(id=job.id)) for _ in range(3)]
    assert [step.number for step in (first, second, *beneath)] == [0, 1, 0, 1, 2]
    assert first.parent_step is None
    for step in beneath:
        assert (step.job.id, step.parent_step.id) == (job.id, first.id)
        assert step.href == f"/ovirt-engine/api/jobs/{job.id}/steps/{step.id}"
        assert step.parent_step.href == first.href
    assert [step.id for step in service.steps_service().list(max=2)] == [first.id, beneath[0].id]


@pytest.mark.mission("S61", "S62", "S63", "D9")
def test_a_step_begins_started_whatever_is_sent(jobs: Any) -> None:
    _, service = add_job(jobs)
    step = add_step(service, status=types.StepStatus.FAILED, external=False, number=7)
    assert (step.status, step.external, step.number, step.end_time) == (
        types.StepStatus.STARTED,
        True,
        0,
        None,
    )
    end_step(service, step)
    ended = service.steps_service().step_service(step.id).get()
    assert (ended.status, ended.start_time) == (types.StepStatus.FINISHED, step.start_time)
    assert ended.end_time >= step.start_time


@pytest.mark.parametrize("kind", ["validating", "executing", "finalizing", "unknown"])
@pytest.mark.mission("S6")
def test_a_step_type_comes_back(jobs: Any, kind: str) -> None:
    _, service = add_job(jobs)
    step = add_step(service, type=types.StepEnum(kind))
    assert service.steps_service().step_service(step.id).get().type.value == kind


@pytest.mark.mission("S27", "S29", "S71", "D2", "D10")
@pytest.mark.parametrize(
    ("how", "job_ends", "steps_end", "auto_cleared"),
    [
        ({}, "finished", "finished", False),
        ({"succeeded": True}, "finished", "finished", False),
        ({"succeeded": False}, "failed", "failed", False),
        ({"succeeded": False, "force": False, "async_": True}, "failed", "failed", False),
        ({"force": True}, "finished", "aborted", True),
        ({"force": True, "succeeded": False}, "failed", "aborted", True),
    ],
)
def test_a_job_ends_with_its_open_steps(
    jobs: Any, how: dict[str, bool], job_ends: str, steps_end: str, auto_cleared: bool
) -> None:
    _, service = add_job(jobs)
    top, done = add_step(service), add_step(service)
    add_step(service, parent=top)
    end_step(service, done)
    service.end(**how)
    job = service.get()
    assert (job.status.value, job.auto_cleared) == (job_ends, auto_cleared)
    assert statuses(service) == [steps_end, steps_end, "finished"]
    times = {step.end_time for step in service.steps_service().list() if step.id != done.id}
    assert times == {job.end_time}


@pytest.mark.mission("S28", "S70", "D11")
def test_a_failed_step_fails_its_job_as_in_the_engine(jobs: Any) -> None:
    _, service = add_job(jobs)
    done, bad = add_step(service), add_step(service)
    add_step(service, parent=bad)
    end_step(service, done, succeeded=True)
    end_step(service, bad, succeeded=False)
    job = service.get()
    assert job.status == FAILED
    assert statuses(service) == ["finished", "failed", "failed"]
    assert {step.end_time for step in service.steps_service().list() if step.id != done.id} == {job.end_time}


@pytest.mark.mission("S28")
def test_a_step_that_ends_well_leaves_the_others_alone(jobs: Any) -> None:
    _, service = add_job(jobs)
    top = add_step(service)
    add_step(service, parent=top)
    before = service.get().last_updated
    end_step(service, top, succeeded=True)
    assert statuses(service) == ["finished", "started"]
    assert (service.get().status, service.get().last_updated > before) == (STARTED, True)


@pytest.mark.mission("S72", "D12")
def test_ending_what_has_ended_changes_nothing(jobs: Any) -> None:
    _, service = add_job(jobs)
    step = add_step(service)
    for _ in range(2):
        end_step(service, step, succeeded=True)
    with pytest.raises(sdk.Error, match="FINISHED since") as refused:
        end_step(service, step, succeeded=False)
    assert refused.value.code == 409
    for _ in range(2):
        service.end(succeeded=False)
    ended = service.get()
    with pytest.raises(sdk.Error, match=r"FAILED since .* cannot become FINISHED"):
        service.end(succeeded=True)
    with pytest.raises(sdk.Error, match="steps can be added only while it is STARTED"):
        add_step(service)
    assert (service.get().status, service.get().end_time) == (FAILED, ended.end_time)
    assert statuses(service) == ["finished"]


@pytest.mark.mission("S65", "D14")
def test_cleared_work_leaves_the_list_once_it_has_ended(jobs: Any) -> None:
    job, service = add_job(jobs)
    service.clear()
    assert service.get().auto_cleared
    assert job.id in {one.id for one in jobs.list()}
    service.end()
    service.clear(async_=True)
    assert job.id not in {one.id for one in jobs.list()}
    assert service.get().status == FINISHED


@pytest.mark.mission("S23")
def test_the_list_is_complete_and_newest_first(jobs: Any) -> None:
    added = [add_job(jobs)[0].id for _ in range(3)]
    listed = [job.id for job in jobs.list()]
    assert listed[:3] == added[::-1]
    assert [job.id for job in jobs.list(max=2)] == listed[:2]
    assert len(listed) == len(set(listed))


@pytest.mark.mission("S23")
def test_a_long_list_comes_whole(connect: Connect) -> None:
    jobs = connect(username="hoarder@internal").system_service().jobs_service()
    whole = [str(number) for number in range(HOARD)]
    assert [job.description for job in jobs.list()] == whole
    assert [job.description for job in jobs.list(max=HOARD - 1)] == whole[:-1]
    assert {len(job.steps) for job in jobs.list(follow="steps", max=600)} == {0}
    assert len(jobs.list(search="correlation_id=hoard", max=7)) == 7


@pytest.mark.mission("S9", "S18")
def test_the_server_s_own_job_can_be_seen_but_not_reported_on(jobs: Any) -> None:
    (own,) = jobs.list(search="external=false")
    service = jobs.job_service(own.id)
    for report in (service.end, lambda: add_step(service)):
        with pytest.raises(sdk.Error, match="a plug-in can change external jobs only") as refused:
            report()
        assert refused.value.code == 409
    assert (service.get().status, service.get().external, service.steps_service().list()) == (
        STARTED,
        False,
        [],
    )


def test_a_job_is_found_by_its_correlation_id(jobs: Any) -> None:
    mark = f"flow-{uuid4()}"
    job = jobs.add(types.Job(description="marked"), query={"correlation_id": mark})
    other = jobs.add(types.Job(description="marked too"), headers={"Correlation-Id": f"{mark}-2"})
    found = {mark: job.id, f"{mark}-2": other.id}
    for text, key in found.items():
        listed = jobs.list(search=f"correlation_id={text}", case_sensitive=False, max=5)
        assert [one.id for one in listed] == [key]
    assert jobs.list(search=f"correlation_id={mark[:-1]}") == []


def test_the_jobs_of_one_flow_can_be_waited_for(jobs: Any) -> None:
    mark = str(uuid4())
    services = [
        jobs.job_service(jobs.add(types.Job(description=text), headers={"Correlation-Id": mark}).id)
        for text in "abc"
    ]

    def still_started() -> int:
        return sum(job.status == STARTED for job in jobs.list(search=f"correlation_id={mark}"))

    for left, service in zip((3, 2, 1), services, strict=True):
        assert still_started() == left
        service.end()
    assert still_started() == 0


def test_steps_come_along_when_they_are_followed(jobs: Any) -> None:
    _, service = add_job(jobs)
    top = add_step(service)
    sub = add_step(service, parent=top)
    assert [step.id for step in service.get(follow="steps").steps] == [top.id, sub.id]
    for followed in (
        service.get(follow="steps.statistics").steps,
        service.steps_service().list(follow="statistics"),
    ):
        assert [(step.id, list(step.statistics)) for step in followed] == [(top.id, []), (sub.id, [])]
    listed = jobs.list(follow="steps", max=1)[0]
    assert [(step.id, step.number) for step in listed.steps] == [(top.id, 0), (sub.id, 0)]
    assert [step.description for step in service.get(follow="steps").steps] == ["Copy disk"] * 2


@pytest.mark.parametrize("base", BASES)
def test_links_can_be_followed(connect: Connect, base: str) -> None:
    connection = connect(base)
    jobs = connection.system_service().jobs_service()
    job, service = add_job(jobs)
    step = add_step(service)
    assert connection.is_link(job.owner)
    owner = connection.follow_link(job.owner)
    assert (owner.user_name, owner.name, owner.principal) == ("plugin@internal", "plugin", "plugin")
    assert [one.id for one in connection.follow_link(job.steps)] == [step.id]
    assert connection.follow_link(step.job).id == job.id
    assert connection.follow_link(step.statistics) == []
    assert connection.follow_link(connection.follow_link(job)).id == job.id


def test_the_root_says_what_it_is_and_who_asks(connect: Connect) -> None:
    connection = connect()
    api = connection.system_service().get()
    assert api.product_info.name == "Task Monitor"
    assert (api.product_info.version.major, api.time.utcoffset() is not None) == (4, True)
    assert connection.follow_link(api.authenticated_user).name == "plugin"
    assert api.effective_user.id == api.authenticated_user.id


def test_many_requests_are_open_at_once(connect: Connect) -> None:
    jobs = connect(connections=8, pipeline=8).system_service().jobs_service()
    added = [jobs.add(types.Job(description=f"at once {n}"), wait=False) for n in range(40)]
    made = [future.wait() for future in added]
    assert [job.description for job in made] == [f"at once {n}" for n in range(40)]
    service = jobs.job_service(made[0].id)
    steps = [
        service.steps_service().add(types.Step(description="s", type=types.StepEnum.EXECUTING), wait=False)
        for _ in range(16)
    ]
    assert sorted(future.wait().number for future in steps) == list(range(16))
    ends = [jobs.job_service(job.id).end(wait=False) for job in made]
    for future in ends:
        future.wait()
    reads = [jobs.job_service(job.id).get(wait=False) for job in made]
    assert {future.wait().status for future in reads} == {FINISHED}


def test_owner_job_and_parent_come_along_when_they_are_followed(jobs: Any) -> None:
    job, service = add_job(jobs)
    top = add_step(service)
    sub = add_step(service, parent=top)
    bottom = add_step(service, parent=sub)
    for owner in (service.get(follow="owner").owner, jobs.list(follow="owner,steps", max=1)[0].owner):
        assert (owner.id, owner.user_name) == (job.owner.id, "plugin@internal")
    alone = service.steps_service().step_service(bottom.id).get(follow="job,parent_step")
    listed = service.steps_service().list(follow="job,parent_step")
    assert [step.parent_step and step.parent_step.number for step in listed] == [None, 0, 0]
    for step in (alone, listed[2]):
        assert (step.job.description, step.parent_step.id) == (job.description, sub.id)
        assert step.parent_step.parent_step.id == top.id
