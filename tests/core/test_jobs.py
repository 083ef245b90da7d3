"""What can be done to a job."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest

from taskmonitor.errors import Conflict, Ended, Invalid, NotAllowed, NotFound, TransitionError
from taskmonitor.models import Entity, Event, Job, JobEntity, Right, Step
from taskmonitor.selectors import jobs as selected
from taskmonitor.services import jobs, steps
from taskmonitor.services.jobs import EntityName
from tests.factories import NOW, make_actor, make_job, make_step, make_user

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=5)


def end(job: Job, status: str = "FINISHED", **fields: object) -> Job:
    return jobs.end_job(**{"job_id": job.pk, "status": status, "actor": make_actor(), "now": LATER, **fields})


@pytest.mark.mission("S7", "S10", "S14", "S45", "S46", "S48", "S49", "S50", "S52", "S53")
def test_an_added_job_is_external_started_and_its_makers() -> None:
    job = make_job(description="Nightly clone")
    stored = Job.objects.get(pk=job.pk)
    assert isinstance(job.pk, UUID)
    assert stored.external is True
    assert (stored.status, stored.action_type, stored.description) == (
        "STARTED",
        "AddExternalJob",
        "Nightly clone",
    )
    assert stored.owner.username == "plugin"
    assert (stored.start_time, stored.last_updated, stored.end_time) == (NOW, NOW, None)
    assert (stored.auto_cleared, stored.cleared_at, stored.version) == (False, None, 1)


@pytest.mark.mission("S7", "S8", "S9", "S10")
def test_external_and_internal_rows_are_kept_apart() -> None:
    job = make_job()
    inner = Job.objects.create(description="rebuild", start_time=NOW, last_updated=NOW, last_sign=NOW)
    outer_step = make_step(job)
    inner_step = Step.objects.create(
        job=inner, number=0, type="EXECUTING", description="build", start_time=NOW, last_updated=NOW
    )
    assert (inner.external, inner_step.external) == (False, False)
    assert list(Job.objects.filter(external=True)) == [job]
    assert list(Step.objects.filter(external=True)) == [outer_step]
    assert list(Step.objects.filter(external=False)) == [inner_step]


@pytest.mark.mission("S20", "S64")
@pytest.mark.parametrize("text", ["", " ", "\n\t ", "a\0b", "a\x1b", "\ud800", "x" * 65_537])
def test_a_description_that_cannot_be_kept_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid, match="description") as caught:
        make_job(description=text)
    assert caught.value.field == "description"
    assert not Job.objects.exists()


@pytest.mark.mission("S64")
def test_texts_are_kept_to_the_letter() -> None:
    text = "Zoë's Übung 🚀 \u202eabc\u202c e\u0301 <b>&amp;</b> {{7*7}} 'x'; DROP TABLE--\r\n\t%_\\"
    assert Job.objects.get(pk=make_job(description=text).pk).description == text


@pytest.mark.mission("S15", "S50", "S51")
@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "ABORTED"])
def test_a_job_ends_with_its_time_and_reason(status: str) -> None:
    job = end(make_job(), status, reason="disk full")
    job.refresh_from_db()
    assert (job.status, job.end_time, job.last_updated, job.reason, job.version) == (
        status,
        LATER,
        LATER,
        "disk full",
        2,
    )


@pytest.mark.mission("S72")
def test_a_job_ends_once() -> None:
    job = end(make_job())
    again = jobs.end_job(job_id=job.pk, status="FINISHED", actor=make_actor(), now=LATER + timedelta(hours=1))
    with pytest.raises(TransitionError, match=r"is FINISHED since .* and cannot become FAILED"):
        end(job, "FAILED")
    assert (again.end_time, again.version) == (LATER, 2)
    assert Event.objects.filter(job=job, verb="moved").count() == 1


@pytest.mark.mission("S71")
def test_ending_a_job_ends_its_open_steps_in_the_same_way() -> None:
    job = make_job()
    parent = make_step(job)
    child, done = make_step(job, parent_step_id=parent.pk), make_step(job, status="FAILED")
    end(job, "FINISHED")
    found = {step.pk: (step.status, step.end_time) for step in job.steps.all()}
    assert found == {
        parent.pk: ("FINISHED", LATER),
        child.pk: ("FINISHED", LATER),
        done.pk: ("FAILED", NOW),
    }


@pytest.mark.mission("S71")
def test_force_aborts_what_is_open() -> None:
    job = make_job()
    step = make_step(job, parent_step_id=make_step(job).pk)
    end(job, force=True)
    step.refresh_from_db()
    job.refresh_from_db()
    assert (step.status, step.end_time, step.number, step.depth) == ("ABORTED", LATER, 0, 1)
    assert (job.status, job.auto_cleared) == ("FINISHED", True)
    assert (job.steps_total, job.steps_open, job.steps_bad) == (2, 0, 2)


@pytest.mark.mission("S71")
def test_a_job_does_not_end_over_work_of_the_server_unless_forced() -> None:
    job = make_job()
    Step.objects.filter(pk=make_step(job, description="copy by the server").pk).update(external=False)
    with pytest.raises(Conflict, match="copy by the server"):
        end(job)
    assert Job.objects.get(pk=job.pk).status == "STARTED"
    assert end(job, force=True).status == "FINISHED"


@pytest.mark.mission("S18")
def test_the_servers_own_job_is_not_a_plug_ins() -> None:
    job = make_job()
    Job.objects.filter(pk=job.pk).update(external=False)
    for refused in (
        lambda: end(job),
        lambda: make_step(job),
        lambda: jobs.heartbeat(job_id=job.pk, actor=make_actor(), now=NOW),
        lambda: steps.report_progress(job_id=job.pk, actor=make_actor(), now=NOW, current=1),
    ):
        with pytest.raises(Conflict, match="server's own"):
            refused()


@pytest.mark.mission("S31", "S35")
def test_without_the_right_nothing_is_stored() -> None:
    job = make_job()
    step = make_step(job)
    nobody = make_actor(job.owner, Right.VIEW_ALL, Right.CONTROL, Right.TRACES)
    before = list(Event.objects.values())
    for refused in (
        lambda: make_job(nobody),
        lambda: make_step(job, nobody),
        lambda: end(job, actor=nobody),
        lambda: steps.end_step(job_id=job.pk, step_id=step.pk, status="FINISHED", actor=nobody, now=NOW),
        lambda: jobs.heartbeat(job_id=job.pk, actor=nobody, now=NOW),
        lambda: steps.report_progress(job_id=job.pk, actor=nobody, now=NOW, current=1),
        lambda: jobs.clear_job(job_id=job.pk, actor=make_actor(job.owner, Right.VIEW_ALL), now=NOW),
        lambda: jobs.bring_back_job(job_id=job.pk, actor=make_actor(job.owner, Right.VIEW_ALL), now=NOW),
    ):
        with pytest.raises(NotAllowed):
            refused()
    assert list(Event.objects.values()) == before
    assert Job.objects.get().steps.get().status == "STARTED"


def test_what_one_may_not_see_does_not_exist_and_what_one_may_see_one_may_not_change() -> None:
    job, other = make_job(), make_user("other")
    with pytest.raises(NotFound):
        end(job, actor=make_actor(other))
    with pytest.raises(NotAllowed) as caught:
        end(job, actor=make_actor(other, Right.INJECT, Right.VIEW_ALL))
    assert caught.value.permission == Right.CONTROL
    assert end(job, actor=make_actor(other, Right.INJECT, Right.VIEW_ALL, Right.CONTROL)).ended
    with pytest.raises(NotFound):
        end(job, job_id=uuid4())


@pytest.mark.mission("S65")
def test_clearing_takes_ended_work_out_of_the_lists_and_keeps_it_by_id() -> None:
    job, actor = end(make_job()), make_actor()
    jobs.clear_job(job_id=job.pk, actor=actor, now=LATER)
    first = Job.objects.get(pk=job.pk)
    jobs.clear_job(job_id=job.pk, actor=actor, now=LATER + timedelta(hours=1))
    assert list(selected.listed(actor)) == []
    assert selected.job(job.pk, actor).cleared_at == LATER
    assert Job.objects.get(pk=job.pk).version == first.version == 3


def test_a_job_that_was_cleared_is_brought_back_and_stays() -> None:
    actor, job = make_actor(), make_job(auto_cleared=True)
    jobs.end_job(job_id=job.pk, status="FINISHED", actor=actor, now=NOW)
    jobs.clear_job(job_id=job.pk, actor=actor, now=NOW)
    version = Job.objects.get().version
    for _ in range(2):
        jobs.bring_back_job(job_id=job.pk, actor=actor, now=LATER)
    kept = Job.objects.get()
    assert (kept.cleared_at, kept.auto_cleared, kept.version) == (None, False, version + 1)
    assert list(selected.listed(actor)) == [kept]
    assert Event.objects.filter(verb="returned").count() == 1


@pytest.mark.mission("S65")
def test_clearing_running_work_waits_for_its_end() -> None:
    job, actor = make_job(), make_actor()
    for _ in range(2):
        jobs.clear_job(job_id=job.pk, actor=actor, now=NOW)
    job.refresh_from_db()
    assert (job.auto_cleared, job.cleared_at, job.version) == (True, None, 2)
    assert list(selected.listed(actor)) == [job]


def test_entities_are_linked_once_and_shared_between_jobs() -> None:
    web, disk = EntityName("vm", "web-01"), EntityName("disk", "vda", "Disk of web-01")
    first = make_job(entities=[web, disk, web])
    second = make_job(entities=[web])
    assert sorted(str(entity) for entity in first.entities.all()) == ["disk Disk of web-01", "vm web-01"]
    assert list(second.entities.all()) == [Entity.objects.get(type="vm", key="web-01")]
    assert set(JobEntity.objects.values_list("start_time", flat=True)) == {NOW}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("heartbeat_limit", 0),
        ("heartbeat_limit", -1),
        ("heartbeat_limit", 10**12),
        ("deadline", NOW),
        ("deadline", datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=14)))),
        ("correlation_id", ""),
        ("correlation_id", "a b"),
        ("correlation_id", "x" * 51),
        ("correlation_id", "é"),
    ],
)
def test_a_limit_or_id_that_makes_no_sense_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(Invalid) as caught:
        make_job(**{field: value})
    assert caught.value.field.replace("-", "_").lower() == field
    assert not Job.objects.exists()


def test_a_heartbeat_is_no_change_but_puts_off_the_limit() -> None:
    job = make_job(heartbeat_limit=60)
    assert job.stale_at == NOW + timedelta(seconds=60)
    jobs.heartbeat(job_id=job.pk, actor=make_actor(), now=LATER)
    job.refresh_from_db()
    assert (job.last_sign, job.stale_at) == (LATER, LATER + timedelta(seconds=60))
    assert (job.version, job.last_updated) == (1, NOW)


@pytest.mark.mission("S72")
def test_nothing_is_reported_on_what_has_ended() -> None:
    job = end(make_job())
    for refused in (
        lambda: jobs.heartbeat(job_id=job.pk, actor=make_actor(), now=LATER),
        lambda: steps.report_progress(job_id=job.pk, actor=make_actor(), now=LATER, current=1),
    ):
        with pytest.raises(Ended, match="This job is FINISHED since 2026"):
            refused()


def test_a_deadline_in_another_zone_is_the_same_instant() -> None:
    deadline = (NOW + timedelta(hours=1)).astimezone(timezone(timedelta(hours=9)))
    assert Job.objects.get(pk=make_job(deadline=deadline).pk).stale_at == deadline.astimezone(UTC)
