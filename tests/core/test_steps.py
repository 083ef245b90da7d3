"""What can be done to a step."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from taskmonitor.errors import Conflict, Ended, Invalid, NotFound, ParentEnded, TransitionError
from taskmonitor.models import Event, Job, Step
from taskmonitor.selectors import jobs as selected
from taskmonitor.selectors import state, tree
from taskmonitor.services import jobs, steps
from tests.factories import NOW, make_actor, make_job, make_step

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=5)


def end(step: Step, status: str = "FINISHED", **fields: Any) -> Step:
    return steps.end_step(
        **{
            "job_id": step.job_id,
            "step_id": step.pk,
            "status": status,
            "actor": make_actor(),
            "now": LATER,
            **fields,
        }
    )


@pytest.mark.mission("S8", "S10", "S16", "S21", "S57", "S58", "S60", "S61", "S62", "S63", "S66")
def test_a_step_is_added_under_a_job() -> None:
    job = make_job()
    step = Step.objects.get(pk=make_step(job, type="VALIDATING", description="check quota").pk)
    assert (step.job, step.parent_step, step.number, step.depth) == (job, None, 0, 0)
    assert (step.type, step.description, step.status) == ("VALIDATING", "check quota", "STARTED")
    assert (step.external, step.start_time, step.end_time) == (True, NOW, None)


@pytest.mark.mission("S2", "S16", "S56", "S59", "S67")
def test_siblings_are_numbered_from_0_under_each_parent() -> None:
    job = make_job()
    tops = [make_step(job) for _ in range(3)]
    subs = [make_step(job, parent_step_id=tops[1].pk) for _ in range(2)]
    sub_sub = make_step(job, parent_step_id=subs[1].pk)
    assert [step.number for step in (*tops, *subs, sub_sub)] == [0, 1, 2, 0, 1, 0]
    assert [step.depth for step in (*tops, *subs, sub_sub)] == [0, 0, 0, 1, 1, 2]
    ordered = [tops[0], tops[1], subs[0], subs[1], sub_sub, tops[2]]
    assert [step.pk for step in tree.steps([job])[job.pk]] == [str(step.pk) for step in ordered]


@pytest.mark.mission("S21", "S66")
@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "ABORTED"])
def test_a_step_recorded_after_the_fact_has_ended(status: str) -> None:
    step = make_step(make_job(), status=status)
    assert (step.status, step.end_time) == (status, NOW)


@pytest.mark.mission("S26", "S68")
def test_a_step_of_another_job_is_not_found_and_no_parent() -> None:
    job, other = make_job(), make_job()
    foreign = make_step(other)
    with pytest.raises(Invalid, match="parent_step") as caught:
        make_step(job, parent_step_id=foreign.pk)
    assert caught.value.field == "parent_step"
    with pytest.raises(NotFound):
        end(foreign, job_id=job.pk)
    with pytest.raises(NotFound):
        selected.step(job.pk, foreign.pk, make_actor())
    with pytest.raises(NotFound):
        make_step(Job(pk=uuid4(), owner=job.owner))
    assert (job.steps.count(), Step.objects.get().status) == (0, "STARTED")


@pytest.mark.mission("S72")
def test_nothing_is_added_beneath_what_has_ended() -> None:
    job = make_job()
    parent = make_step(job)
    end(parent)
    with pytest.raises(ParentEnded, match="parent step is FINISHED"):
        make_step(job, parent_step_id=parent.pk)
    jobs.end_job(job_id=job.pk, status="ABORTED", actor=make_actor(), now=LATER)
    with pytest.raises(ParentEnded, match="job is ABORTED"):
        make_step(job)
    assert job.steps.count() == 1


@pytest.mark.mission("S51", "S62", "S70")
@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "ABORTED"])
def test_a_step_ends_and_its_job_goes_on(status: str) -> None:
    step = make_step(make_job())
    end(step, status, reason="no space")
    step = Step.objects.select_related("job").get(pk=step.pk)
    assert (step.status, step.end_time, step.reason, step.last_updated) == (status, LATER, "no space", LATER)
    assert (step.job.status, step.job.last_updated, step.job.version) == ("STARTED", LATER, 3)


@pytest.mark.mission("S72")
def test_a_step_ends_once() -> None:
    step = make_step(make_job())
    end(step)
    again = end(step, now=LATER + timedelta(hours=1))
    assert (again.end_time, Job.objects.get().version) == (LATER, 3)
    with pytest.raises(TransitionError, match=r"This step is FINISHED since .* cannot become ABORTED"):
        end(step, "ABORTED")
    with pytest.raises(Ended, match="This step is FINISHED"):
        steps.report_progress(job_id=step.job_id, step_id=step.pk, actor=make_actor(), now=LATER, current=1)


@pytest.mark.mission("S3", "S18")
def test_a_plug_in_cannot_end_a_step_that_the_server_watches() -> None:
    job = make_job()
    ours, theirs = make_step(job), make_step(job)
    Step.objects.filter(pk=ours.pk).update(external=False)
    with pytest.raises(Conflict, match="watched by the server"):
        end(ours)
    assert end(theirs).status == "FINISHED"
    assert job.steps.get(pk=ours.pk).status == "STARTED"


def chain(job: Job, length: int) -> list[Step]:
    made: list[Step] = []
    for _ in range(length):
        made.append(make_step(job, parent_step_id=made[-1].pk if made else None))
    return made


@pytest.mark.mission("S71")
def test_ending_a_step_leaves_what_is_beneath_unless_forced() -> None:
    job = make_job()
    top, middle, leaf = chain(job, 3)
    aside = make_step(job)
    end(middle)
    assert job.steps.get(pk=leaf.pk).status == "STARTED"
    end(top, force=True)
    assert {step.pk: step.status for step in job.steps.all()} == {
        top.pk: "FINISHED",
        middle.pk: "FINISHED",
        leaf.pk: "ABORTED",  # also through a step that had ended
        aside.pk: "STARTED",
    }


def test_a_failed_step_fails_its_job_where_the_engine_did() -> None:
    job = make_job()
    failed, still_open = make_step(job), make_step(job)
    end(failed, "FAILED", fails_job=True, reason="no space")
    job.refresh_from_db()
    assert (job.status, job.reason, job.end_time) == ("FAILED", "no space", LATER)
    assert job.steps.get(pk=still_open.pk).status == "FAILED"
    assert (job.steps_total, job.steps_open, job.steps_bad) == (2, 0, 2)


@pytest.mark.mission("S51")
def test_progress_is_kept_and_moves_last_updated() -> None:
    job = make_job()
    step = make_step(job)
    actor = make_actor()
    steps.report_progress(
        job_id=job.pk, step_id=step.pk, actor=actor, now=LATER, current=1, end=4, text="disk 1"
    )
    steps.report_progress(job_id=job.pk, step_id=step.pk, actor=actor, now=LATER, current=2)
    steps.report_progress(job_id=job.pk, actor=actor, now=LATER, end=10, current=10)
    step.refresh_from_db()
    job.refresh_from_db()
    assert (step.progress_current, step.progress_end, step.progress_text, step.percent) == (
        2,
        4,
        "disk 1",
        50,
    )
    assert (job.percent, job.last_updated, step.last_updated, job.version) == (100, LATER, LATER, 5)


@pytest.mark.parametrize(
    "given",
    [{}, {"current": -1}, {"end": 2**63}, {"current": 5, "end": 4}, {"text": "a\0"}, {"text": "x" * 1001}],
)
def test_progress_that_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    job = make_job()
    with pytest.raises(Invalid):
        steps.report_progress(job_id=job.pk, actor=make_actor(), now=NOW, **given)
    assert Job.objects.get().version == 1


def test_progress_brings_an_unknown_step_back() -> None:
    step = make_step(make_job(), status="UNKNOWN")
    assert step.end_time is None
    steps.report_progress(job_id=step.job_id, step_id=step.pk, actor=make_actor(), now=NOW, current=1)
    step.refresh_from_db()
    assert (step.status, step.progress_current) == ("STARTED", 1)
    assert list(Event.objects.filter(step_id=step.pk).values_list("verb", "old_status", "new_status")) == [
        ("added", "", "UNKNOWN"),
        ("moved", "UNKNOWN", "STARTED"),
        ("progressed", "", ""),
    ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.mission("S2")
@pytest.mark.parametrize("depth", [50, 1001])
def test_a_chain_is_created_listed_and_closed_however_deep(depth: int) -> None:
    job = make_job()
    made = chain(job, depth)
    assert [step.pk for step in tree.steps([job])[job.pk]] == [str(step.pk) for step in made]
    assert [step.depth for step in Step.objects.order_by("depth")] == list(range(depth))
    assert tree.ancestors(made[-1]) == made[:-1]
    end(made[0], force=True)
    job.refresh_from_db()
    assert (job.steps_total, job.steps_open, job.steps_bad) == (depth, 0, depth - 1)


@pytest.mark.mission("S2")
def test_below_1000_steps_nothing_is_nested() -> None:
    job = make_job()
    parent = make_step(job)
    Step.objects.filter(pk=parent.pk).update(depth=steps.DEEPEST)
    with pytest.raises(Invalid, match="nest no deeper"):
        make_step(job, parent_step_id=parent.pk)


@pytest.mark.parametrize("depth", [2, 4, 60])
def test_a_failure_is_counted_in_each_step_above_it(depth: int, django_assert_num_queries: Any) -> None:
    job = make_job()
    made = chain(job, depth)
    beside = make_step(job)
    make_step(job, parent_step_id=beside.pk, status="FINISHED")
    end(made[-1], "FAILED")
    job.refresh_from_db()
    for step in made[:-1]:
        assert tree.counts(job, [step])[step.pk].bad == 1
    top, *below = made
    make_step(job, parent_step_id=below[0].pk, status="ABORTED") if depth > 2 else None
    with django_assert_num_queries(2):
        counts = tree.counts(job, [top, beside])
    assert (counts[top.pk].bad, counts[beside.pk].bad) == (1 if depth == 2 else 2, 0)
    assert made[-1].pk not in tree.counts(job, [made[-1]])


def test_what_was_left_open_is_counted_in_each_ended_step_above_it() -> None:
    job = make_job()
    top, middle, _, leaf = chain(job, 4)
    for step in (middle, top):
        end(step)
    for status, left in (("STARTED", 2), ("FINISHED", 1)):
        if status == "FINISHED":
            end(leaf)
        job.refresh_from_db()
        for step in (top, middle):
            step.refresh_from_db()
            counts = tree.counts(job, [step])[step.pk]
            assert (counts.left, counts.bad, state.of_step(step, counts)) == (left, 0, state.WARNINGS)
    jobs.end_job(job_id=job.pk, status="FINISHED", actor=make_actor(), now=LATER)
    job.refresh_from_db()
    assert state.of_step(top, tree.counts(job, [top])[top.pk]) == state.FINISHED


def test_the_sub_steps_of_a_level_are_counted_in_one_query(django_assert_num_queries: Any) -> None:
    job = make_job()
    top, bare = make_step(job), make_step(job)
    for status in ("FINISHED", "FAILED", "ABORTED", "STARTED", "UNKNOWN"):
        make_step(job, parent_step_id=top.pk, status=status)
    with django_assert_num_queries(1):
        counts = tree.counts(job, [top, bare])
    assert counts == {top.pk: tree.Counts(total=5, ok=1, open=2)}
    job.refresh_from_db()
    with django_assert_num_queries(2):
        counts = tree.counts(job, [top, bare])
    assert counts == {top.pk: tree.Counts(total=5, ok=1, open=2, bad=2)}
    with django_assert_num_queries(1):
        level = tree.level(job, top.pk, limit=2, after=1)
    assert [step.number for step in level] == [2, 3]
