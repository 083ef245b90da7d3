"""/metrics: who may read it, what it says, and that its labels stay few."""

import time
from collections.abc import Iterator
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from coordinator import signs
from coordinator.engine.queue import claim
from coordinator.metrics import Work
from coordinator.models import CommandEntity, CommandStatus
from coordinator.step_durations import StepDurations
from taskmonitor import feed, metrics
from taskmonitor.lifecycle import Status
from taskmonitor.metrics import Exposition
from taskmonitor.models import Job, Role
from taskmonitor.services import jobs, steps
from taskmonitor.services.access import add_token
from taskmonitor.version import VERSION
from tests.coordinator.commands import Plain, Polled
from tests.coordinator.conftest import Engine, engine  # noqa: F401 - a fixture
from tests.factories import NOW, make_actor, make_job, make_step, make_user

pytestmark = pytest.mark.django_db

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    metrics.exposition._until = 0
    yield
    metrics.exposition._until = 0


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def of(work: Work) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in work.collect()
        for sample in family.samples
    }


def test_a_token_that_reads_is_enough_for_who_sees_all_jobs() -> None:
    viewer = make_user("prometheus", Role.VIEWER)
    _, secret = add_token(
        user_id=viewer.pk,
        name="t",
        scope=["read"],
        expires=None,
        actor=make_actor(viewer),
        now=timezone.now(),
    )
    answer = Client(headers={"Authorization": f"Bearer {secret}"}).get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert value(samples(answer.content.decode()), "taskmonitor_build_info", version=VERSION) == 1
    viewer.groups.clear()
    assert Client(headers={"Authorization": f"Bearer {secret}"}).get("/metrics").status_code == 403


def test_strangers_read_it_only_if_the_operator_lets_them(settings: Any) -> None:
    assert Client().get("/metrics").status_code == 401
    settings.METRICS_PUBLIC = True
    answer = Client(headers={"Authorization": "Bearer wrong"}).get("/metrics")
    assert answer.status_code == 200
    assert Client().post("/metrics").status_code == 405


def test_jobs_are_counted_by_status_without_those_that_are_cleared() -> None:
    kept = [make_job(), make_job(), make_job()]
    jobs.end_job(job_id=kept[0].pk, status="FAILED", actor=make_actor(), now=NOW)
    Job.objects.filter(pk=make_job().pk).update(cleared_at=NOW)
    found = of(Work())
    counts = {status: value(found, "taskmonitor_jobs", status=status) for status in Status.values}
    assert counts == {"STARTED": 2, "FAILED": 1, "FINISHED": 0, "ABORTED": 0, "UNKNOWN": 0}
    assert value(found, "taskmonitor_database_up") == 1


def test_commands_are_counted_by_type_and_what_they_wait_for(engine: Engine) -> None:  # noqa: F811
    now = timezone.now()
    for _ in range(3):
        engine.submit(Plain)
    CommandEntity.objects.update(due_at=now - timedelta(seconds=30))
    claim(now, worker="here", limit=1)
    waiting = engine.submit(Polled).command_id
    CommandEntity.objects.filter(pk=waiting).update(due_at=now + timedelta(hours=1))
    aside = engine.submit(Polled).command_id
    CommandEntity.objects.filter(pk=aside).update(due_at=None, status=CommandStatus.UNKNOWN)
    found = of(Work())

    def number(kind: str, state: str) -> float:
        return value(found, "taskmonitor_commands", command_type=kind, state=state)

    assert [number("Plain", state) for state in ("due", "active", "waiting", "unknown")] == [2, 1, 0, 0]
    assert [number("Polled", state) for state in ("due", "active", "waiting", "unknown")] == [0, 0, 1, 1]
    assert 30 <= value(found, "taskmonitor_poll_lag_seconds") < 60
    CommandEntity.objects.filter(lease_until=None).update(due_at=now + timedelta(hours=1))
    assert value(of(Work()), "taskmonitor_poll_lag_seconds") == 0


def test_without_a_database_the_rest_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_: Any) -> None:
        raise OperationalError("the connection is closed")

    with monkeypatch.context() as patched:
        patched.setattr(feed, "last", away)
        found = of(Work())
    assert found == {("taskmonitor_database_up", frozenset()): 0}


def test_clusters_and_upkeep_are_seen() -> None:
    assert value(of(Work()), "taskmonitor_clusters") == 0
    assert ("taskmonitor_upkeep_age_seconds", frozenset()) not in of(Work())
    signs.show("here")
    signs.show(signs.UPKEEP)
    assert value(of(Work()), "taskmonitor_clusters") == 1
    assert value(of(Work()), "taskmonitor_upkeep_age_seconds") < 5


def end(took: float, status: str = "FINISHED", kind: str = "EXECUTING") -> None:
    step = make_step(make_job(), type=kind)
    now = NOW + timedelta(seconds=took)
    steps.end_step(job_id=step.job_id, step_id=step.pk, status=status, actor=make_actor(), now=now)


def durations(found: StepDurations) -> Samples:
    return {
        (sample.name.removeprefix("taskmonitor_step_duration_seconds_"), frozenset(sample.labels.items())): (
            sample.value
        )
        for sample in found.metric().samples
    }


def test_steps_durations_are_those_of_all_that_ended_since_it_was_first_asked() -> None:
    end(7)
    found = StepDurations(feed.last())
    make_step(make_job(), status="FINISHED")  # recorded after the fact: it took no time that anybody knows
    for took in (0.25, 0.5, 2, 100_000):
        end(took)
    end(3, "FAILED", "FINALIZING")
    for _ in range(2):  # the same again, for nothing ended meanwhile
        told = durations(found)
        labels = {"step_type": "EXECUTING", "status": "FINISHED"}
        assert value(told, "count", **labels) == 4
        assert value(told, "sum", **labels) == pytest.approx(100_002.75, abs=0.01)
        bounds = ("0.1", "0.5", "5.0", "86400.0", "+Inf")
        assert [value(told, "bucket", le=le, **labels) for le in bounds] == [0, 2, 3, 3, 4]
        assert value(told, "count", step_type="FINALIZING", status="FAILED") == 1
    job = make_job()
    make_step(job)
    jobs.end_job(job_id=job.pk, status="FAILED", actor=make_actor(), now=NOW + timedelta(seconds=9))
    assert value(durations(found), "count", step_type="EXECUTING", status="FAILED") == 1


def test_labels_stay_few_whatever_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(of(Work()))
    User.objects.bulk_create(User(username=f"owner-{number}", password="!") for number in range(300))
    owners = User.objects.filter(username__startswith="owner-")
    Job.objects.bulk_create(
        Job(
            description="d",
            owner=owner,
            action_type=f"Action{owner.pk}",
            correlation_id="c",
            start_time=NOW,
            last_updated=NOW,
            last_sign=NOW,
        )
        for owner in owners
    )
    CommandEntity.objects.bulk_create(
        CommandEntity(command_type=f"Gone{number}", created_at=NOW, due_at=NOW, status=CommandStatus.ACTIVE)
        for number in range(300)
    )
    found = of(Work())
    assert len(found) == before
    assert value(found, "taskmonitor_commands", command_type="_OTHER", state="due") == 300


def test_methods_that_clients_make_up_count_as_one() -> None:
    assert metrics.request_duration("X1", "r", 405) == metrics.request_duration("X2", "r", 405)


def test_refused_logins_are_counted() -> None:
    def refused() -> float:
        metrics.exposition._until = 0
        return value(
            samples(metrics.exposition.text().decode()), "taskmonitor_logins_refused_total", reason="wrong"
        )

    before = refused()
    assert Client(headers={"Authorization": "Basic bm9ib2R5OndoYXQ="}).get("/api/jobs").status_code == 401
    assert refused() == before + 1


def test_of_many_who_ask_one_makes_the_text_and_the_others_get_the_last_one() -> None:
    begun, go_on = Event(), Event()
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        if len(made) == 2:
            begun.set()
            go_on.wait(10)
        return b"%d" % len(made)

    exposition = Exposition(make)
    assert exposition.text() == exposition.text() == b"1"  # it is kept for a while
    exposition._until = 0
    maker = Thread(target=exposition.text)
    maker.start()
    begun.wait(10)
    assert exposition.text() == b"1"
    go_on.set()
    maker.join()
    assert exposition.text() == b"2"


def test_what_takes_long_to_make_is_kept_for_longer() -> None:
    exposition = Exposition(lambda: time.sleep(0.1) or b"")  # type: ignore[func-returns-value]
    exposition.text()
    assert 4 < exposition._until - time.monotonic() < 60
