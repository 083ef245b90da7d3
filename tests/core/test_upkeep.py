"""What time does to work."""

from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from coordinator.schedules import make_schedules, run_upkeep
from taskmonitor import upkeep
from taskmonitor.lifecycle import Status
from taskmonitor.models import AccessToken, Event, IdempotencyRecord, Job, JobEntity, Step
from taskmonitor.selectors import jobs as selected
from taskmonitor.services import jobs
from taskmonitor.services.jobs import EntityName
from taskmonitor.services.portions import Portions
from tests.core.test_concurrency import in_threads
from tests.factories import NOW, make_actor, make_job, make_step, make_user

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def tick(now: datetime, seconds: float = 60) -> upkeep.Report:
    return upkeep.tick(now, Portions(seconds))


def job_at(**fields: Any) -> Job:
    """A job that is in no database, STARTED now."""
    return Job(**{"status": "STARTED", "start_time": NOW, "last_updated": NOW, "last_sign": NOW, **fields})


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, ""),
        ({"heartbeat_limit": 60}, ""),
        ({"heartbeat_limit": 60, "stale_at": NOW + MINUTE}, ""),
        ({"heartbeat_limit": 60, "stale_at": NOW}, "No sign of life for 60 s"),
        ({"deadline": NOW, "stale_at": NOW}, "not ended by its deadline"),
        ({"deadline": NOW, "heartbeat_limit": 60, "stale_at": NOW}, "not ended by its deadline"),
        ({"deadline": NOW + DAY, "heartbeat_limit": 60, "stale_at": NOW}, "No sign of life"),
        ({"stale_at": NOW, "status": "UNKNOWN"}, ""),
        ({"stale_at": NOW, "status": "FINISHED"}, ""),
    ],
)
def test_why_a_job_is_lost(fields: dict[str, Any], reason: str) -> None:
    said = upkeep.lost_because(job_at(**fields), NOW)
    assert reason in said
    assert bool(said) == bool(reason)


@pytest.mark.mission("S65")
@pytest.mark.parametrize(
    ("fields", "minutes"),
    [
        ({"status": "FINISHED"}, 10),
        ({"status": "FAILED"}, 60),
        ({"status": "ABORTED"}, 60),
        ({"status": "UNKNOWN", "end_time": None}, 60),  # since it was lost
        ({"status": "STARTED", "end_time": None}, None),
        ({"status": "FINISHED", "auto_cleared": False}, None),
        ({"status": "UNKNOWN", "end_time": None, "auto_cleared": False}, None),
        ({"status": "FINISHED", "cleared_at": NOW}, None),
    ],
)
def test_when_the_clean_up_clears_a_job(fields: dict[str, Any], minutes: int | None) -> None:
    job = job_at(**{"auto_cleared": True, "end_time": NOW, **fields})
    assert upkeep.clears_at(job) == (minutes and NOW + minutes * MINUTE)


@pytest.mark.parametrize(
    ("fields", "days"),
    [
        ({"status": "FINISHED", "end_time": NOW, "cleared_at": NOW + DAY}, 91),
        ({"status": "UNKNOWN", "cleared_at": NOW}, 90),
        ({"status": "FINISHED", "end_time": NOW}, None),
        ({"status": "STARTED"}, None),
    ],
)
def test_when_retention_deletes_a_job(fields: dict[str, Any], days: int | None) -> None:
    assert upkeep.deletes_at(job_at(**fields)) == (days and NOW + days * DAY)


def ended(status: str, ago: timedelta, **fields: Any) -> Job:
    job = make_job(now=NOW - ago, **fields)
    return jobs.end_job(job_id=job.pk, status=status, actor=make_actor(), now=NOW - ago)


@pytest.mark.django_db
@pytest.mark.mission("S65")
def test_a_tick_clears_what_has_ended_long_enough_ago_if_it_may() -> None:
    due = [
        ended("FINISHED", 10 * MINUTE, auto_cleared=True),
        ended("FAILED", 60 * MINUTE, auto_cleared=True),
        ended("ABORTED", 2 * DAY, auto_cleared=True),
    ]
    spared = [
        ended("FINISHED", 9 * MINUTE, auto_cleared=True),
        ended("FAILED", 59 * MINUTE, auto_cleared=True),
        ended("FINISHED", 800 * DAY),
        make_job(now=NOW - 800 * DAY, auto_cleared=True),
    ]
    report = tick(NOW)
    assert set(report.cleared) == {job.pk for job in due}
    assert (report.lost, report.deleted) == ([], [])
    assert set(selected.listed(make_actor())) == set(spared)
    assert set(Job.objects.exclude(cleared_at=None).values_list("cleared_at", flat=True)) == {NOW}


@pytest.mark.django_db
def test_retention_deletes_what_was_cleared_long_ago_with_all_that_hangs_on_it() -> None:
    live = make_job(now=NOW - 800 * DAY)
    uncleared = ended("FAILED", 800 * DAY)
    late = ended("FINISHED", 800 * DAY)
    old = ended("FINISHED", 801 * DAY, entities=[EntityName("vm", "web-01")])
    for job, ago in ((late, 90 * DAY - MINUTE), (old, 90 * DAY)):
        jobs.clear_job(job_id=job.pk, actor=make_actor(), now=NOW - ago)
    assert tick(NOW).deleted == [old.pk]
    assert set(Job.objects.all()) == {live, uncleared, late}
    assert not Event.objects.filter(job_id=old.pk).exists()
    assert not JobEntity.objects.exists()


@pytest.mark.django_db
def test_deleting_takes_a_deep_tree() -> None:
    job = make_job(now=NOW - 100 * DAY)
    parent = None
    for _ in range(300):
        parent = make_step(job, parent_step_id=parent and parent.pk)
    jobs.end_job(job_id=job.pk, status="FINISHED", actor=make_actor(), now=NOW - 100 * DAY)
    jobs.clear_job(job_id=job.pk, actor=make_actor(), now=NOW - 100 * DAY)
    assert tick(NOW).deleted == [job.pk]
    assert not Step.objects.exists()


@pytest.mark.django_db
def test_a_job_is_lost_comes_back_and_ends() -> None:
    job, actor = make_job(heartbeat_limit=60), make_actor()
    step = make_step(job)
    assert tick(NOW + 59 * timedelta(seconds=1)).lost == []
    assert tick(NOW + MINUTE).lost == [job.pk]
    job.refresh_from_db()
    assert (job.status, job.end_time, job.last_updated, job.stale_at) == ("UNKNOWN", None, NOW + MINUTE, None)
    assert job.reason.startswith("No sign of life for 60 s; the last came at 2026-11-21T12:00:00")
    assert tick(NOW + 10 * MINUTE).lost == []

    jobs.heartbeat(job_id=job.pk, actor=actor, now=NOW + 11 * MINUTE)
    job.refresh_from_db()
    assert (job.status, job.reason, job.stale_at) == ("STARTED", "", NOW + 12 * MINUTE)
    assert tick(NOW + 12 * MINUTE).lost == [job.pk]
    jobs.end_job(job_id=job.pk, status="FINISHED", actor=actor, now=NOW + 13 * MINUTE)
    job.refresh_from_db()
    step.refresh_from_db()
    assert (job.status, job.stale_at, step.status) == ("FINISHED", None, "FINISHED")
    assert not tick(NOW + DAY)


@pytest.mark.django_db
def test_a_deadline_is_noticed_once_even_if_the_job_says_that_it_lives() -> None:
    job, actor = make_job(deadline=NOW + MINUTE, heartbeat_limit=600), make_actor()
    jobs.heartbeat(job_id=job.pk, actor=actor, now=NOW + 2 * MINUTE)
    make_step(job, now=NOW + 2 * MINUTE)
    assert tick(NOW + 3 * MINUTE).lost == [job.pk]
    job.refresh_from_db()
    assert job.reason == "It had not ended by its deadline, 2026-11-21T12:01:00+00:00."
    jobs.heartbeat(job_id=job.pk, actor=actor, now=NOW + 4 * MINUTE)
    job.refresh_from_db()
    assert (job.status, job.deadline, job.stale_at) == ("STARTED", None, NOW + 14 * MINUTE)
    assert tick(NOW + 13 * MINUTE).lost == []


@pytest.mark.django_db
def test_a_lost_job_is_cleared_in_time_and_returns_to_the_lists_when_it_comes_back() -> None:
    job, actor = make_job(heartbeat_limit=60, auto_cleared=True), make_actor()
    tick(NOW + MINUTE)
    assert tick(NOW + 60 * MINUTE).cleared == []
    assert tick(NOW + 61 * MINUTE).cleared == [job.pk]
    assert not selected.listed(actor).exists()
    jobs.heartbeat(job_id=job.pk, actor=actor, now=NOW + 70 * MINUTE)
    assert selected.listed(actor).get().status == "STARTED"


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["FINISHED", "FAILED"])
def test_a_lost_and_cleared_job_that_ends_late_is_shown_again(status: str) -> None:
    job, actor = make_job(heartbeat_limit=60, auto_cleared=True), make_actor()
    tick(NOW + MINUTE)
    tick(NOW + 61 * MINUTE)
    jobs.end_job(job_id=job.pk, status=status, actor=actor, now=NOW + 70 * MINUTE)
    assert selected.listed(actor).get().end_time == NOW + 70 * MINUTE
    assert tick(NOW + 130 * MINUTE).cleared == [job.pk]


@pytest.mark.django_db
def test_a_job_that_is_never_heard_of_again_is_given_up_in_the_end() -> None:
    job = make_job(heartbeat_limit=60, auto_cleared=True)
    tick(NOW + MINUTE)
    tick(NOW + 61 * MINUTE)
    assert tick(NOW + 90 * DAY).deleted == []
    assert tick(NOW + 61 * MINUTE + 90 * DAY).deleted == [job.pk]
    assert not Job.objects.exists()


@pytest.mark.django_db
def test_neither_time_nor_a_restart_touches_a_job_without_a_limit() -> None:
    job = make_job()
    make_schedules(app_config=apps.get_app_config("django_q"))
    assert not tick(NOW + 5_000 * DAY)
    assert Job.objects.values().get() == {
        **Job.objects.values().get(),
        "status": "STARTED",
        "version": 1,
        "last_updated": NOW,
        "end_time": None,
    }
    assert job.external


@pytest.mark.django_db
def test_a_dry_run_says_what_would_be_done_and_does_nothing() -> None:
    lost = make_job(heartbeat_limit=60, now=NOW - DAY)
    cleared = ended("FINISHED", DAY, auto_cleared=True)
    deleted = ended("FINISHED", 800 * DAY)
    jobs.clear_job(job_id=deleted.pk, actor=make_actor(), now=NOW - 800 * DAY)
    IdempotencyRecord.objects.create(user=lost.owner, key="k", fingerprint="f", created=NOW - 2 * DAY)
    with CaptureQueriesContext(connection) as queries:
        planned = upkeep.planned(NOW)
    assert not [query for query in queries if not query["sql"].startswith("SELECT")]
    assert (planned.lost, planned.cleared, planned.deleted) == ([lost.pk], [cleared.pk], [deleted.pk])
    assert planned == tick(NOW)
    assert not IdempotencyRecord.objects.exists()


@pytest.mark.django_db
def test_expired_logins_and_answers_are_forgotten_named_tokens_are_not() -> None:
    user = make_user()

    def token(name: str, expires: datetime | None) -> None:
        AccessToken.objects.create(
            digest=f"{name}{expires}", user=user, name=name, created=NOW, expires=expires
        )

    for name, expires in (("", NOW - MINUTE), ("", NOW + MINUTE), ("ci", NOW - MINUTE), ("cd", None)):
        token(name, expires)
    IdempotencyRecord.objects.create(user=user, key="old", fingerprint="f", created=NOW - DAY - MINUTE)
    IdempotencyRecord.objects.create(user=user, key="new", fingerprint="f", created=NOW - DAY)
    tick(NOW)
    assert sorted(AccessToken.objects.values_list("name", "expires")) == [
        ("", NOW + MINUTE),
        ("cd", None),
        ("ci", NOW - MINUTE),
    ]
    assert IdempotencyRecord.objects.get().key == "new"


@pytest.mark.django_db
def test_a_tick_goes_on_batch_after_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "BATCH", 3)
    due = {ended("FINISHED", DAY, auto_cleared=True).pk for _ in range(8)}
    assert set(tick(NOW).cleared) == due
    assert not tick(NOW)


@pytest.mark.django_db
def test_a_job_that_cannot_be_cleared_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "BATCH", 2)
    stuck, *due = (ended("FINISHED", (10 - index) * DAY, auto_cleared=True).pk for index in range(5))
    clear = jobs.clear_job

    def picky(**given: Any) -> Job:
        if given["job_id"] == stuck:
            raise upkeep.TaskMonitorError("not this one")
        return clear(**given)

    monkeypatch.setattr(jobs, "clear_job", picky)
    assert set(tick(NOW).cleared) == set(due)


@pytest.mark.django_db(transaction=True)
def test_two_ticks_at_once_do_everything_once() -> None:
    lost = [make_job(heartbeat_limit=60, now=NOW - DAY).pk for _ in range(5)]
    cleared = [ended("FINISHED", DAY, auto_cleared=True).pk for _ in range(5)]
    deleted = [ended("FINISHED", 800 * DAY).pk for _ in range(5)]
    for job_id in deleted:
        make_step(make_job(now=NOW))
        jobs.clear_job(job_id=job_id, actor=make_actor(), now=NOW - 800 * DAY)
    before = Event.objects.filter(job__in=lost + cleared).count()
    reports = in_threads(3, lambda _: tick(NOW))
    assert all(isinstance(report, upkeep.Report) for report in reports), reports
    assert Event.objects.filter(job__in=lost + cleared).count() == before + 10
    assert set(Job.objects.filter(status="UNKNOWN").values_list("pk", flat=True)) == set(lost)
    assert set(Job.objects.exclude(cleared_at=None).values_list("pk", flat=True)) == set(cleared)
    assert not Job.objects.filter(pk__in=deleted).exists()


@pytest.mark.django_db
def test_the_command_says_what_it_did() -> None:
    job = make_job(heartbeat_limit=60, now=NOW - 10_000 * DAY)
    out = StringIO()
    call_command("upkeep", dry_run=True, stdout=out)
    assert out.getvalue().splitlines() == [
        "would be lost: 1",
        f"  {job.pk}",
        "would be cleared: 0",
        "would be deleted: 0",
        "would be removed (commands): 0",
    ]
    assert Job.objects.get().status == Status.STARTED
    call_command("upkeep", stdout=StringIO())
    assert Job.objects.get().status == Status.UNKNOWN


@pytest.mark.django_db
def test_the_workers_run_it_each_minute_unless_an_admin_says_otherwise() -> None:
    schedules = apps.get_model("django_q", "Schedule").objects.filter(name="upkeep")
    schedules.all().delete()
    for app in ("taskmonitor", "django_q"):
        make_schedules(app_config=apps.get_app_config(app))
    assert (schedules.get().minutes, schedules.get().func) == (1, "coordinator.schedules.run_upkeep")
    schedules.update(minutes=5)
    make_schedules(app_config=apps.get_app_config("django_q"))
    assert schedules.get().minutes == 5
    assert run_upkeep() == "0 lost, 0 cleared, 0 deleted; 0 commands removed"


@pytest.mark.django_db
def test_a_tick_ends_in_time() -> None:
    jobs_to_clear = [make_job(auto_cleared=True) for _ in range(3)]
    for job in jobs_to_clear:
        jobs.end_job(job_id=job.pk, status="FINISHED", actor=make_actor(), now=NOW)
    report = tick(NOW + timedelta(days=1), seconds=0)
    assert report.cleared == []
    report = tick(NOW + timedelta(days=1))
    assert len(report.cleared) == 3


@pytest.mark.django_db
def test_the_workers_go_on_with_what_there_was_no_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        ended("FINISHED", DAY, auto_cleared=True)
    waiting = apps.get_model("django_q", "OrmQ").objects
    monkeypatch.setattr(upkeep, "SPELL", 0)
    run_upkeep()
    assert waiting.count() == 1
    monkeypatch.setattr(upkeep, "SPELL", 60)
    run_upkeep()
    assert waiting.count() == 1
    assert not Job.objects.filter(cleared_at=None).exists()
