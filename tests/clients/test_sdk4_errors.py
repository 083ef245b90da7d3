"""Each refusal reaches a script on the SDK as the right exception, with its code and its words."""

from typing import Any
from uuid import uuid4

import pytest

from tests.clients.conftest import BASES, Connect
from tests.clients.sdk4 import sdk, types

NOWHERE = str(uuid4())


def jobs_of(connect: Connect, username: str, base: str = "/ovirt-engine/api") -> Any:
    return connect(base, f"{username}@internal").system_service().jobs_service()


@pytest.mark.mission("S24", "S26", "D15")
@pytest.mark.parametrize("base", BASES)
def test_what_is_not_there_is_not_found(connect: Connect, base: str) -> None:
    jobs = jobs_of(connect, "plugin", base)
    here, elsewhere = (jobs.job_service(jobs.add(types.Job(description="here")).id) for _ in range(2))
    step = elsewhere.steps_service().add(types.Step(description="s", type=types.StepEnum.EXECUTING))
    missing = jobs.job_service(NOWHERE)
    for ask in (
        missing.get,
        missing.end,
        missing.clear,
        missing.steps_service().list,
        lambda: missing.steps_service().add(types.Step(description="s", type=types.StepEnum.EXECUTING)),
        here.steps_service().step_service(NOWHERE).get,
        here.steps_service().step_service(NOWHERE).end,
        here.steps_service().step_service(step.id).get,
        here.steps_service().step_service(step.id).end,
        jobs.job_service("not-a-uuid").get,
    ):
        with pytest.raises(sdk.NotFoundError) as refused:
            ask()
        assert refused.value.code == 404
        assert refused.value.fault.reason == "Not found"
        assert refused.value.fault.detail
    assert elsewhere.steps_service().list()[0].status == types.StepStatus.STARTED


@pytest.mark.parametrize("name", ["vms_service", "clusters_service", "hosts_service", "events_service"])
def test_collections_of_the_engine_that_are_not_here_are_not_found(connect: Connect, name: str) -> None:
    with pytest.raises(sdk.NotFoundError, match="There is nothing at /ovirt-engine/api/"):
        getattr(connect().system_service(), name)().list()


@pytest.mark.mission("S35")
def test_who_may_not_inject_is_told_so_before_anything_else(connect: Connect) -> None:
    own = jobs_of(connect, "plugin")
    job = own.add(types.Job(description="mine"))
    step = (
        own.job_service(job.id)
        .steps_service()
        .add(types.Step(description="s", type=types.StepEnum.EXECUTING))
    )
    before = len(own.list())
    for name in ("watcher", "guest"):
        jobs = jobs_of(connect, name)
        steps = jobs.job_service(job.id).steps_service()
        for ask in (
            lambda jobs=jobs: jobs.add(types.Job(description="no")),
            lambda jobs=jobs: jobs.add(types.Job()),
            jobs.job_service(job.id).end,
            jobs.job_service(NOWHERE).end,
            jobs.job_service(job.id).clear,
            lambda steps=steps: steps.add(types.Step(description="s", type=types.StepEnum.EXECUTING)),
            lambda steps=steps: steps.add(types.Step()),
            steps.step_service(step.id).end,
        ):
            with pytest.raises(sdk.AuthError) as refused:
                ask()
            assert refused.value.code == 403
            assert refused.value.fault.reason == "Operation Failed"
            assert refused.value.fault.detail == "[User is not authorized to perform this action.]"
    assert len(own.list()) == before
    assert own.job_service(job.id).get().status == types.JobStatus.STARTED


@pytest.mark.mission("D25")
def test_others_jobs_are_not_found_and_those_who_may_see_them_see_them(connect: Connect) -> None:
    job = jobs_of(connect, "plugin").add(types.Job(description="plugin's own"))
    rival, watcher = jobs_of(connect, "rival"), jobs_of(connect, "watcher")
    for ask in (
        rival.job_service(job.id).get,
        rival.job_service(job.id).end,
        rival.job_service(job.id).clear,
    ):
        with pytest.raises(sdk.NotFoundError):
            ask()
    assert job.id not in {one.id for one in rival.list()}
    assert job.id in {one.id for one in watcher.list()}
    assert watcher.job_service(job.id).get().description == "plugin's own"
    assert watcher.list(headers={"Filter": "true"}) == []


def test_a_user_who_may_not_be_seen_is_not_found(connect: Connect) -> None:
    rival, guest = connect(username="rival@internal"), connect(username="guest@internal")
    owner = rival.system_service().jobs_service().add(types.Job(description="owned")).owner
    with pytest.raises(sdk.NotFoundError) as refused:
        guest.follow_link(owner)
    assert refused.value.fault.reason == "Not found"
    assert [user.name for user in guest.system_service().users_service().list()] == ["guest"]


@pytest.mark.mission("S20")
@pytest.mark.parametrize(
    ("job", "reason", "detail"),
    [
        (types.Job(), "Incomplete parameters", "Job [description] required for add"),
        (
            types.Job(description=" \n "),
            "Operation Failed",
            "[Cannot add External Job. Description can not be empty.]",
        ),
    ],
)
def test_a_job_needs_a_description(jobs: Any, job: Any, reason: str, detail: str) -> None:
    before = len(jobs.list())
    with pytest.raises(sdk.Error) as refused:
        jobs.add(job)
    assert (refused.value.code, refused.value.fault.reason, refused.value.fault.detail) == (
        400,
        reason,
        detail,
    )
    assert len(jobs.list()) == before


@pytest.mark.mission("S68")
def test_a_step_that_is_wrong_is_refused_and_named(jobs: Any) -> None:
    service = jobs.job_service(jobs.add(types.Job(description="steps")).id)
    other = jobs.job_service(jobs.add(types.Job(description="other")).id)
    executing = types.StepEnum.EXECUTING
    foreign = other.steps_service().add(types.Step(description="s", type=executing))
    for step, reason, detail in (
        (types.Step(), "Incomplete parameters", "Step [type, description] required for add"),
        (types.Step(description="s"), "Incomplete parameters", "Step [type] required for add"),
        (
            types.Step(description=" ", type=executing),
            "Operation Failed",
            "[Cannot add External Step. Description can not be empty.]",
        ),
        (
            types.Step(description="s", type=executing, parent_step=types.Step()),
            "Incomplete parameters",
            "Step [parentStep.id] required for add",
        ),
        (
            types.Step(description="s", type=executing, parent_step=types.Step(id=NOWHERE)),
            "Invalid value",
            f"parent_step: {NOWHERE} is not a step of this job.",
        ),
        (
            types.Step(description="s", type=executing, parent_step=types.Step(id=foreign.id)),
            "Invalid value",
            f"parent_step: {foreign.id} is not a step of this job.",
        ),
        (
            types.Step(description="s", type=types.StepEnum.REMOVING_BRICKS),
            "Invalid value",
            "type: The string 'removing_bricks' isn't valid.",
        ),
    ):
        with pytest.raises(sdk.Error) as refused:
            service.steps_service().add(step)
        assert (refused.value.code, refused.value.fault.reason) == (400, reason)
        assert refused.value.fault.detail.startswith(detail)
    assert service.steps_service().list() == []
    assert len(other.steps_service().list()) == 1


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"search": "colour=red"}, "there is no column colour"),
        ({"search": "status=done"}, "status done is not one of"),
        ({"max": -1}, "max: "),
        ({"follow": "vms"}, "there is no link vms"),
    ],
)
def test_a_wrong_question_is_answered_with_what_is_wrong(
    jobs: Any, parameters: dict[str, Any], named: str
) -> None:
    with pytest.raises(sdk.Error) as refused:
        jobs.list(**parameters)
    assert refused.value.code == 400
    assert named in refused.value.fault.detail


@pytest.mark.mission("S30")
def test_nothing_is_updated_or_removed(jobs: Any) -> None:
    job = jobs.add(types.Job(description="constant"))
    service = jobs.job_service(job.id)
    for change in (
        lambda: service._internal_update(types.Job(description="other"), wait=True),
        lambda: service._internal_remove(wait=True),
        lambda: jobs._internal_remove(wait=True),
    ):
        with pytest.raises(sdk.Error) as refused:
            change()
        assert (refused.value.code, refused.value.fault.reason) == (405, "Method not allowed")
    assert service.get().description == "constant"
