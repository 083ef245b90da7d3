"""What caused a job's failure is kept with each change, by the rules of services/_causes.py."""

from datetime import timedelta
from typing import Any

import pytest

from taskmonitor.errors import TransitionError
from taskmonitor.lifecycle import Status
from taskmonitor.models import SYSTEM, Job, Step, StepType
from taskmonitor.services import jobs, steps
from taskmonitor.services.own_work import new_job, work_on
from tests.core.test_concurrency import in_threads
from tests.factories import NOW, make_actor, make_job, make_step

pytestmark = pytest.mark.django_db


def fail(step: Step, at: int = 1, **fields: Any) -> None:
    """End the step as FAILED so many minutes later."""
    now = NOW + timedelta(minutes=at)
    steps.end_step(
        **{"job_id": step.job_id, "step_id": step.pk, "status": "FAILED", "actor": make_actor(), "now": now}
        | fields
    )


def chain(job: Job, depth: int) -> list[Step]:
    """Steps that stand each under the one before."""
    made: list[Step] = []
    for _ in range(depth):
        made.append(make_step(job, parent_step_id=made[-1].pk if made else None))
    return made


def assert_causes(job: Job, *expected: Step) -> None:
    """These are the job's causes, in this order, and its row says so."""
    job.refresh_from_db()
    causes = list(job.steps.filter(cause__isnull=False).order_by("cause"))
    assert causes == list(expected)
    assert [step.cause for step in causes] == list(range(len(causes)))
    assert (job.causes, job.first_cause) == (len(expected), expected[0] if expected else None)


def test_a_job_without_a_failed_step_has_no_cause_but_its_own_reason() -> None:
    job = make_job()
    step = make_step(job)
    make_step(job, status="ABORTED", reason="not needed")
    steps.end_step(job_id=job.pk, step_id=step.pk, status="FINISHED", actor=make_actor(), now=NOW)
    make_step(job)
    jobs.end_job(job_id=job.pk, status="FAILED", actor=make_actor(), now=NOW, reason="the host is gone")
    assert_causes(job)
    assert job.reason == "the host is gone"


def test_those_above_fall_with_the_deepest() -> None:
    job = make_job()
    made = chain(job, 4)
    for minute, step in enumerate(reversed(made)):
        fail(step, minute)
    assert_causes(job, made[-1])


def test_a_step_above_that_is_not_right_above_falls_too() -> None:
    job = make_job()
    top, middle, leaf = chain(job, 3)
    fail(leaf)
    steps.end_step(job_id=job.pk, step_id=middle.pk, status="FINISHED", actor=make_actor(), now=NOW)
    fail(top, 2)
    assert_causes(job, leaf)


def test_causes_come_in_the_order_of_time() -> None:
    job = make_job()
    first, second, third = (make_step(job) for _ in range(3))
    fail(second, 1)
    fail(first, 2)
    fail(third, 3)
    assert_causes(job, second, first, third)


def test_a_deeper_step_that_fails_later_takes_the_place_of_the_cause_above_it() -> None:
    job = make_job()
    top, middle, leaf = chain(job, 3)
    another, other = make_step(job, parent_step_id=middle.pk), make_step(job)
    fail(top, 1)
    assert_causes(job, top)
    fail(other, 2)
    fail(leaf, 3)
    assert_causes(job, leaf, other)
    fail(another, 4)
    assert_causes(job, leaf, other, another)
    fail(middle, 5)
    assert_causes(job, leaf, other, another)


def test_one_that_fails_beneath_two_failed_ones_takes_the_place_of_the_nearest() -> None:
    job = make_job()
    top, middle, leaf = chain(job, 3)
    other = make_step(job)
    fail(other)
    fail(top)
    fail(middle)
    assert_causes(job, other, middle)
    fail(leaf)
    assert_causes(job, other, leaf)


@pytest.mark.parametrize("how", ["its job", "the job of a failed step", "force"])
def test_steps_closed_with_what_is_above_them_are_no_causes(how: str) -> None:
    job = make_job()
    top, middle, leaf = chain(job, 3)
    match how:
        case "its job":
            jobs.end_job(job_id=job.pk, status="FAILED", actor=make_actor(), now=NOW)
            assert_causes(job)
        case "the job of a failed step":
            fail(middle, fails_job=True, reason="no space")
            assert_causes(job, middle)
        case "force":
            fail(top, force=True)
            assert_causes(job, top)
    leaf.refresh_from_db()
    assert leaf.status in ("FAILED", "ABORTED")


def test_a_step_added_as_failed_is_a_cause_and_keeps_its_reason() -> None:
    job = make_job()
    top, middle = chain(job, 2)
    fail(top)
    added = make_step(job, parent_step_id=middle.pk, status="FAILED", reason="no space")
    assert_causes(job, added)
    assert Step.objects.get(pk=added.pk).reason == "no space"
    make_step(job, status="ABORTED", reason="not needed")
    assert_causes(job, added)


@pytest.mark.parametrize(
    ("status", "kept"),
    [("STARTED", ""), ("FINISHED", "why"), ("FAILED", "why"), ("ABORTED", "why"), ("UNKNOWN", "why")],
)
def test_the_reason_of_an_added_step_belongs_to_its_status(status: str, kept: str) -> None:
    step = make_step(make_job(), status=status, reason="why")
    assert Step.objects.get().reason == step.reason == kept


def test_what_was_lost_and_came_back_fails_like_any_other() -> None:
    job = make_job(heartbeat_limit=1)
    step, lost = make_step(job), make_step(job, status="UNKNOWN")
    fail(step)
    jobs.lose_job(job_id=job.pk, reason="silence", now=NOW + timedelta(minutes=9))
    assert_causes(job, step)
    fail(lost, 10)
    assert_causes(job, step, lost)
    assert job.status == "STARTED"


def test_ending_again_in_the_same_way_or_another_changes_no_cause() -> None:
    job = make_job()
    top, leaf = chain(job, 2)
    fail(top)
    steps.end_step(job_id=job.pk, step_id=leaf.pk, status="FINISHED", actor=make_actor(), now=NOW)
    fail(top, 2)
    with pytest.raises(TransitionError):
        fail(leaf, 2)
    assert_causes(job, top)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("beneath", [False, True])
def test_siblings_that_fail_at_once_are_counted_each(beneath: bool) -> None:
    job, actor = make_job(), make_actor()
    parent = make_step(job)
    siblings = [make_step(job, parent_step_id=parent.pk) for _ in range(8)]
    if beneath:
        fail(parent)

    def end(index: int) -> str:
        return steps.end_step(
            job_id=job.pk, step_id=siblings[index].pk, status="FAILED", actor=actor, now=NOW
        ).status

    assert in_threads(8, end) == ["FAILED"] * 8
    assert_causes(job, *job.steps.filter(cause__isnull=False).order_by("cause"))
    assert set(job.steps.filter(cause__isnull=False)) == set(siblings)


def test_1000_levels_that_fail_from_either_end_have_one_cause() -> None:
    for order in (1, -1):
        job = make_job()
        made = chain(job, 300)
        for step in made[::order]:
            fail(step)
        assert_causes(job, made[-1])


class TestTheServersOwnWork:
    """What a command does in one transaction is several changes of one job."""

    def job(self) -> tuple[Job, Step]:
        with new_job(
            description="Rebuild", action_type="Rebuild", correlation_id="c", actor=make_actor(), now=NOW
        ) as work:
            step = work.add_step(description="Rebuild", type=StepType.EXECUTING)
        return work.job, step

    def test_a_failed_child_is_the_cause_and_its_parent_falls_with_it(self) -> None:
        job, step = self.job()
        with work_on(job.pk, now=NOW) as work:
            assert work
            child = work.add_step(description="Copy", type=StepType.EXECUTING, parent_step_id=step.pk)
            left = work.add_step(description="Later", type=StepType.EXECUTING, parent_step_id=step.pk)
        with work_on(job.pk, now=NOW) as work:
            assert work
            work.end_step(child.pk, Status.FAILED, "no space")
        with work_on(job.pk, now=NOW) as work:
            assert work
            work.end_step(step.pk, Status.FAILED, "a child failed")
            work.end(Status.FAILED, "a child failed")
        assert_causes(job, child)
        left.refresh_from_db()
        assert (job.status, left.status) == ("FAILED", "FAILED")

    def test_all_of_it_in_one_transaction(self) -> None:
        job, step = self.job()
        before = job.version
        with work_on(job.pk, now=NOW) as work:
            assert work
            child = work.add_step(description="Copy", type=StepType.EXECUTING, parent_step_id=step.pk)
            other = work.add_step(description="Copy", type=StepType.EXECUTING, parent_step_id=step.pk)
            work.end_step(child.pk, Status.FAILED, "no space")
            work.end_step(other.pk, Status.FAILED, "no space")
            work.end_step(step.pk, Status.FAILED, "children failed")
            work.end(Status.FAILED, "children failed")
        assert_causes(job, child, other)
        assert (job.steps_open, job.steps_bad, job.version) == (0, 3, before + 1)

    def test_a_job_that_fails_as_it_begins(self) -> None:
        with new_job(
            description="Rebuild", action_type="Rebuild", correlation_id="c", actor=SYSTEM, now=NOW
        ) as work:
            step = work.add_step(description="Rebuild", type=StepType.EXECUTING)
            work.add_step(description="Later", type=StepType.FINALIZING)
            work.end_step(step.pk, Status.FAILED, "refused")
            work.end(Status.FAILED, "refused")
        assert_causes(work.job, step)
        assert (work.job.status, work.job.steps_open, work.job.steps_bad) == ("FAILED", 0, 2)

    def test_steps_that_end_with_the_new_job_are_no_causes(self) -> None:
        with new_job(
            description="Rebuild", action_type="Rebuild", correlation_id="c", actor=SYSTEM, now=NOW
        ) as work:
            work.add_step(description="Rebuild", type=StepType.EXECUTING)
            work.end(Status.FAILED, "refused")
        assert_causes(work.job)
        assert (work.job.status, work.job.steps_open, work.job.steps_bad) == ("FAILED", 0, 1)
