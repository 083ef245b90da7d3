"""The feed: in commit order, resumable, and honest about what is gone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from taskmonitor import feed
from taskmonitor.models import SYSTEM, Event, Job, Verb
from taskmonitor.services import jobs
from taskmonitor.services.portions import Portions
from tests.core.test_concurrency import in_threads
from tests.factories import NOW, make_actor, make_job, make_step


def append(job: Job) -> None:
    feed.append(Event.of(job, Verb.PROGRESSED, actor=SYSTEM, now=NOW))


@contextmanager
def without_the_lock() -> Iterator[None]:
    """As the feed would be if it relied on the database's own numbering."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE taskmonitor_event DISABLE TRIGGER order_feed")
        yield
        cursor.execute("ALTER TABLE taskmonitor_event ENABLE TRIGGER order_feed")


def seen_too_late(job: Job) -> list[int]:
    """The positions that a reader misses of two writers, of which the first commits after the second."""
    written, go_on = threading.Event(), threading.Event()

    def slow(_: int) -> None:
        with transaction.atomic():
            append(job)
            written.set()
            go_on.wait(2)

    def quick(_: int) -> None:
        written.wait()
        with transaction.atomic():
            append(job)

    reader_saw: list[int] = []

    def read(_: int) -> None:
        written.wait()
        for _ in range(20):
            reader_saw.extend(
                event.position
                for event in feed.read(after=reader_saw[-1] if reader_saw else feed_start, limit=100)
            )
            go_on.wait(0.05)
        go_on.set()

    feed_start = feed.last()
    assert in_threads(3, lambda index: (slow, quick, read)[index](index)) == [None] * 3
    reader_saw += [event.position for event in feed.read(after=max([feed_start, *reader_saw]), limit=100)]
    every = Event.objects.filter(position__gt=feed_start).values_list("position", flat=True)
    return sorted(set(every) - set(reader_saw))


@pytest.mark.django_db(transaction=True)
def test_an_earlier_position_is_never_committed_later() -> None:
    assert seen_too_late(make_job()) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_without_its_lock_the_feed_would_lose_events() -> None:
    job = make_job()
    with without_the_lock():
        assert len(seen_too_late(job)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_reader_beside_many_writers_misses_nothing() -> None:
    actor = make_actor()
    done = threading.Event()
    seen: list[int] = []
    writers = 7

    def write(_: int) -> None:
        job = make_job(actor)
        for _ in range(15):
            make_step(job, actor)
        jobs.end_job(job_id=job.pk, status="FINISHED", actor=actor, now=NOW)

    def work(index: int) -> None:
        if index < writers:
            try:
                write(index)
            finally:
                finished.append(index)
                if len(finished) == writers:
                    done.set()
            return
        while True:
            over = done.is_set()
            found = feed.read(after=seen[-1] if seen else 0, limit=7)
            seen.extend(event.position for event in found)
            if over and not found:
                return
            if not found:
                done.wait(0.001)  # or the writers wait for the interpreter's lock most of the time

    finished: list[int] = []
    assert in_threads(writers + 1, work) == [None] * (writers + 1)
    assert seen == sorted(seen)
    assert seen == list(Event.objects.order_by("position").values_list("position", flat=True))
    assert len(seen) == writers * (1 + 15 + 1 + 15)


@pytest.mark.django_db
def test_events_say_what_happened_in_order() -> None:
    job = make_job(heartbeat_limit=60)
    step = make_step(job)
    later = NOW + timedelta(minutes=5)
    jobs.lose_job(job_id=job.pk, reason="silence", now=later)
    jobs.heartbeat(job_id=job.pk, actor=make_actor(), now=later)
    jobs.end_job(job_id=job.pk, status="FAILED", reason="no space", actor=make_actor(), now=later)
    jobs.clear_job(job_id=job.pk, actor=make_actor(), now=later)
    found = [
        (event.verb, event.step_id, event.old_status, event.new_status, event.actor_name, event.version)
        for event in feed.read(after=0, limit=100)
    ]
    assert found == [
        ("added", None, "", "STARTED", "plugin", 1),
        ("added", step.pk, "", "STARTED", "plugin", 2),
        ("moved", None, "STARTED", "UNKNOWN", "Task Monitor", 3),
        ("moved", None, "UNKNOWN", "STARTED", "plugin", 4),
        ("moved", step.pk, "STARTED", "FAILED", "plugin", 5),
        ("moved", None, "STARTED", "FAILED", "plugin", 5),
        ("cleared", None, "", "", "plugin", 6),
    ]


@pytest.mark.django_db
def test_what_is_rolled_back_is_not_in_the_feed() -> None:
    job = make_job()
    with transaction.atomic():
        append(job)
        transaction.set_rollback(True)
    append(job)
    assert [event.verb for event in feed.read(after=0, limit=9)] == ["added", "progressed"]


@pytest.mark.django_db
def test_a_reader_reads_on_from_any_position(django_assert_num_queries: Any) -> None:
    job = make_job()
    for _ in range(5):
        append(job)
    with django_assert_num_queries(1):
        first = feed.read(after=0, limit=2)
        assert first[0].job.description == job.description
    rest = feed.read(after=first[-1].position, limit=100)
    assert [event.position for event in first + rest] == list(
        Event.objects.order_by("position").values_list("position", flat=True)
    )
    assert feed.last() == rest[-1].position


@pytest.mark.django_db
def test_a_reader_that_retention_has_overtaken_is_told() -> None:
    assert not feed.lost(0)
    assert feed.lost(7)  # never here: this database is another
    staying, going = make_job(), make_job()
    jobs.end_job(job_id=going.pk, status="FINISHED", actor=make_actor(), now=NOW)
    jobs.clear_job(job_id=going.pk, actor=make_actor(), now=NOW)
    cleared = feed.last()
    make_step(staying)
    jobs.delete_jobs(cleared_until=NOW, now=NOW, portions=Portions(60))
    assert [feed.lost(cleared - 1), feed.lost(cleared), feed.lost(feed.last())] == [True, False, False]
    assert not feed.lost(0)  # who has seen nothing misses nothing: it gets what there is
    assert feed.lost(feed.last() + 1)


@pytest.mark.django_db
def test_a_reader_that_is_up_to_date_stays_so_when_all_is_deleted() -> None:
    job = make_job()
    jobs.end_job(job_id=job.pk, status="FINISHED", actor=make_actor(), now=NOW)
    jobs.clear_job(job_id=job.pk, actor=make_actor(), now=NOW)
    last = feed.last()
    jobs.delete_jobs(cleared_until=NOW, now=NOW, portions=Portions(60))
    assert not feed.lost(last)
    make_job()
    assert feed.last() > last


@pytest.mark.django_db(transaction=True)
def test_listeners_are_woken_after_the_commit_and_cannot_harm_the_writer() -> None:
    woken: list[int] = []

    def broken() -> None:
        raise OSError("the other end is gone")

    stops = [feed.listen(broken), feed.listen(lambda: woken.append(feed.last()))]
    try:
        with transaction.atomic():
            job = make_job()
            assert woken == []
        assert woken == [feed.last()]
    finally:
        for stop in stops:
            stop()
    append(job)
    assert len(woken) == 1
