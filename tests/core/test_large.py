"""Large jobs: counted, listed, ended and deleted right, and without a long lock."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from taskmonitor.models import Event, Job, Step
from taskmonitor.selectors import tree
from taskmonitor.services import jobs, steps
from taskmonitor.services.portions import Portions
from tests.factories import NOW, make_actor, make_job, make_step

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=5)


def large_job(number: int, **fields: Any) -> Job:
    """A job with so many open steps, half of them under the first one; the counters as the service keeps them."""
    job = make_job(**fields)
    first = make_step(job)
    rest = [
        Step(
            job=job,
            parent_step=first if index % 2 else None,
            number=index // 2 + (0 if index % 2 else 1),
            depth=index % 2,
            description=f"part {index}",
            type="EXECUTING",
            external=True,
            start_time=NOW,
            last_updated=NOW,
        )
        for index in range(number - 1)
    ]
    Step.objects.bulk_create(rest)
    Job.objects.filter(pk=job.pk).update(steps_total=number, steps_open=number)
    return job


@pytest.mark.django_db(transaction=True)
@pytest.mark.mission("S1")
def test_10_000_steps_are_stored_counted_and_listed() -> None:
    job, actor = large_job(9_000), make_actor()
    added = [make_step(job, actor, status="FINISHED" if number % 2 else "FAILED") for number in range(1_000)]
    job.refresh_from_db()
    assert (job.steps_total, job.steps_open, job.steps_bad) == (10_000, 9_000, 500)
    listed = tree.steps([job])[job.pk]
    assert [step.pk for step in listed[-1_000:]] == [str(step.pk) for step in added]
    assert [step.number for step in listed if step.parent_step_id is None] == list(range(4_501 + 1_000))


def test_a_long_list_of_steps_is_read_in_pages_of_the_same_order(django_assert_num_queries: Any) -> None:
    job = large_job(23)
    make_step(job, parent_step_id=UUID(tree.steps([job])[job.pk][7].pk))
    job.refresh_from_db()
    whole = tree.steps([job])[job.pk]
    with django_assert_num_queries(1 + 5):
        pages = list(tree.pages(job, size=5))
    assert [len(page) for page in pages] == [5, 5, 5, 5, 4]
    assert [step for page in pages for step in page] == whole
    assert [step for page in tree.pages(job, limit=7, size=5) for step in page] == whole[:7]


@pytest.mark.mission("S1", "S71")
def test_a_job_with_10_000_open_steps_ends_within_seconds() -> None:
    job = large_job(10_000)
    begun = time.monotonic()
    jobs.end_job(job_id=job.pk, status="FAILED", actor=make_actor(), now=LATER)
    took = time.monotonic() - begun
    job.refresh_from_db()
    assert (job.steps_total, job.steps_open, job.steps_bad) == (10_000, 0, 10_000)
    assert not job.steps.exclude(status="FAILED", end_time=LATER).exists()
    assert Event.objects.filter(job=job, new_status="FAILED").count() == 10_001
    assert took < 10, f"{took:.1f} s"


@pytest.mark.mission("S71")
def test_a_step_with_5_000_open_sub_steps_ends_by_force() -> None:
    job = large_job(10_000)
    first = job.steps.get(parent_step=None, number=0)
    steps.end_step(
        job_id=job.pk, step_id=first.pk, status="FINISHED", force=True, actor=make_actor(), now=LATER
    )
    job.refresh_from_db()
    assert (job.steps_open, job.steps_bad) == (10_000 - 1 - first.sub_steps.count(), first.sub_steps.count())


def test_adding_and_ending_cost_the_same_in_a_large_job(django_assert_num_queries: Any) -> None:
    job, actor = large_job(2_000), make_actor()
    with django_assert_num_queries(7):
        step = make_step(job, actor)
    with django_assert_num_queries(7):
        steps.end_step(job_id=job.pk, step_id=step.pk, status="FINISHED", actor=actor, now=LATER)


@pytest.mark.django_db(transaction=True)
def test_deleting_a_job_with_10_000_steps_is_many_short_transactions(monkeypatch: Any) -> None:
    job = large_job(10_000)
    make_step(other := make_job())
    jobs.end_job(job_id=job.pk, status="FINISHED", actor=make_actor(), now=NOW)
    jobs.clear_job(job_id=job.pk, actor=make_actor(), now=NOW)
    lengths: list[float] = []
    measured = Portions.transaction

    @contextmanager
    def transaction(portions: Portions) -> Iterator[None]:
        """What the database is kept busy for, without the rest afterwards."""
        monkeypatch.setattr("taskmonitor.services.portions.sleep", lambda _: None)
        begun = time.monotonic()
        with measured(portions):
            yield
        lengths.append(time.monotonic() - begun)

    monkeypatch.setattr(Portions, "transaction", transaction)
    assert jobs.delete_jobs(cleared_until=NOW, now=NOW, portions=Portions(300)) == [job.pk]
    assert (Job.objects.get(), Step.objects.get().job, Event.objects.count()) == (other, other, 2)
    lengths.sort()
    assert len(lengths) >= 10
    assert lengths[len(lengths) // 2] < 0.05, f"{lengths[len(lengths) // 2]:.3f} s"
    assert lengths[-1] < 1, f"{lengths[-1]:.2f} s"  # of what else the machine does
