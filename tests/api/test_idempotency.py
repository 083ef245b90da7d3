"""A POST with an Idempotency-Key is done once, however often it is sent."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from taskmonitor import upkeep
from taskmonitor.models import Event, IdempotencyRecord, Job, Role, Step
from taskmonitor.services import jobs
from taskmonitor.services.portions import Portions
from tests.api.caller import Caller, body, fault
from tests.core.test_concurrency import in_threads
from tests.factories import make_actor, make_job, make_step, make_user

JOB = {"description": "Clone"}
STEP = {"description": "Copy", "type": "EXECUTING"}
POSTS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("jobs", "job", JOB, {"description": "Another"}),
    ("jobs/{job}/end", "action", {}, {"force": "true"}),
    ("jobs/{job}/clear", "action", {}, {"force": "true"}),
    ("jobs/{job}/heartbeat", "action", {}, {"force": "true"}),
    ("jobs/{job}/progress", "progress", {"current": "1"}, {"current": "2"}),
    ("jobs/{job}/steps", "step", STEP, {**STEP, "description": "Another"}),
    ("jobs/{job}/steps/{step}/end", "action", {}, {"force": "true"}),
    ("jobs/{job}/steps/{step}/progress", "progress", {"current": "1"}, {"current": "2"}),
]


def told(response: HttpResponse) -> tuple[int, bytes, str | None, str]:
    return response.status_code, body(response), response.get("Location"), response["Content-Type"]


@pytest.fixture
def step(owner: object) -> Step:
    return make_step(make_job(now=timezone.now()))


@pytest.mark.parametrize(("path", "root", "members", "others"), POSTS, ids=[row[0] for row in POSTS])
def test_every_post_is_done_once(
    either: Caller, step: Step, path: str, root: str, members: dict[str, Any], others: dict[str, Any]
) -> None:
    address = path.format(job=step.job_id, step=step.pk)
    first = told(either.post(address, root, members, Idempotency_Key="one"))
    events = Event.objects.count()
    assert first[0] in (200, 201)
    for _ in range(3):
        assert told(either.post(address, root, members, Idempotency_Key="one")) == first
    assert Event.objects.count() == events
    status, reason, words = fault(either.post(address, root, others, Idempotency_Key="one"))
    assert (status, reason) == (409, "Operation Failed")
    assert words == "The Idempotency-Key was used before for another request; use a new key."
    assert Event.objects.count() == events


def test_without_a_key_or_with_another_it_is_done_again(either: Caller) -> None:
    for headers in ({}, {}, {"Idempotency_Key": "one"}, {"Idempotency_Key": "two"}):
        assert either.post("jobs", "job", JOB, **headers).status_code == 201
    assert Job.objects.count() == 4


def test_the_same_body_elsewhere_is_another_request(either: Caller) -> None:
    first, second = make_job(), make_job()
    assert either.post(f"jobs/{first.pk}/end", "action", Idempotency_Key="one").status_code == 200
    assert fault(either.post(f"jobs/{second.pk}/end", "action", Idempotency_Key="one"))[0] == 409
    assert fault(either.post(f"jobs/{first.pk}/clear", "action", Idempotency_Key="one"))[0] == 409


def test_a_failed_request_frees_its_key(either: Caller) -> None:
    job = make_job()
    for path, root, members, status in (
        ("jobs", "job", {}, 400),
        ("jobs", "action", {}, 400),
        ("jobs/00000000-0000-0000-0000-000000000000/end", "action", {}, 404),
        (f"jobs/{job.pk}/progress", "progress", {"current": "2", "end": "1"}, 400),
    ):
        assert fault(either.post(path, root, members, Idempotency_Key="one"))[0] == status
        assert not IdempotencyRecord.objects.exists()
    assert either.post("jobs", "job", JOB, Idempotency_Key="one").status_code == 201
    jobs.end_job(job_id=job.pk, status="FAILED", actor=make_actor(), now=timezone.now())
    assert fault(either.post(f"jobs/{job.pk}/end", "action", Idempotency_Key="two"))[0] == 409
    assert either.post("jobs", "job", JOB, Idempotency_Key="two").status_code == 201


def test_a_crash_frees_its_key_and_leaves_nothing(either: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("api.xml.XMLRenderer.render", lambda *_: 1 / 0)
        broken.setattr("api.json.JSONRenderer.render", lambda *_: 1 / 0)
        either.client.raise_request_exception = False
        assert either.post("jobs", "job", JOB, Idempotency_Key="one").status_code == 500
    assert not Job.objects.exists()
    assert either.post("jobs", "job", JOB, Idempotency_Key="one").status_code == 201


def test_keys_of_two_users_are_independent(either: Caller, calling: Callable[..., Caller]) -> None:
    rival = calling("rival", Role.INJECTOR)
    first = either.post("jobs", "job", JOB, Idempotency_Key="one")
    second = rival.post("jobs", "job", JOB, Idempotency_Key="one")
    assert first["Location"] != second["Location"]
    assert set(Job.objects.values_list("owner__username", flat=True)) == {"plugin", "rival"}


def test_who_loses_the_right_does_not_get_the_kept_answer(plugin: Caller) -> None:
    plugin.post("jobs", "job", JOB, Idempotency_Key="one")
    plugin.user.groups.clear()
    assert fault(plugin.post("jobs", "job", JOB, Idempotency_Key="one"))[0] == 403


@pytest.mark.mission("D25")
@pytest.mark.parametrize(
    ("path", "root", "members"), [row[:3] for row in POSTS[1:]], ids=[row[0] for row in POSTS[1:]]
)
def test_who_may_see_a_job_no_longer_does_not_get_the_kept_answer(
    calling: Callable[..., Caller], path: str, root: str, members: dict[str, Any]
) -> None:
    step = make_step(make_job(make_actor(make_user("somebody")), now=timezone.now()))
    operator = calling("operator", Role.INJECTOR, Role.OPERATOR)
    address = path.format(job=step.job_id, step=step.pk)
    assert operator.post(address, root, members, Idempotency_Key="one").status_code in (200, 201)
    operator.user.groups.set(Group.objects.filter(name=Role.INJECTOR))
    status, _, words = fault(operator.post(address, root, members, Idempotency_Key="one"))
    assert (status, words) == (404, f"Job {step.job_id} does not exist.")
    assert fault(operator.post(address, root, members))[0] == 404


def test_an_answer_that_shows_what_is_gone_or_anothers_is_not_given_again(plugin: Caller) -> None:
    for base, key in (("/api", "one"), ("/ovirt-engine/api/v4", "two")):
        plugin.base = base
        first = told(plugin.post("jobs", "job", JOB, Idempotency_Key=key))
        assert told(plugin.post("jobs", "job", JOB, Idempotency_Key=key)) == first
        Job.objects.update(owner=make_user(f"heir of {key}"))
        assert fault(plugin.post("jobs", "job", JOB, Idempotency_Key=key))[0] == 404
        Job.objects.all().delete()
        assert fault(plugin.post("jobs", "job", JOB, Idempotency_Key=key))[0] == 404


@pytest.mark.parametrize("key", ["", "é", "x" * 256, "a\tb", "\x7f", "\xa0"])
def test_a_key_is_printable_and_short(either: Caller, key: str) -> None:
    status, _, words = fault(either.post("jobs", "job", JOB, Idempotency_Key=key))
    assert (status, words.split(":")[0]) == (400, "Idempotency-Key")
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "key", ["x" * 255, "8e03978e-40d5-43e8-bc93-6894a57f9324", "'; DROP TABLE job; --", "~"]
)
def test_any_other_key_will_do(either: Caller, key: str) -> None:
    for _ in range(2):
        assert either.post("jobs", "job", JOB, Idempotency_Key=key).status_code == 201
    assert Job.objects.count() == 1


def test_an_answer_is_kept_for_a_day(either: Caller) -> None:
    first = told(either.post("jobs", "job", JOB, Idempotency_Key="one"))
    now = timezone.now()
    upkeep.tick(now + timedelta(hours=23, minutes=59), Portions(60))
    assert told(either.post("jobs", "job", JOB, Idempotency_Key="one")) == first
    upkeep.tick(now + timedelta(hours=24, minutes=1), Portions(60))
    assert told(either.post("jobs", "job", JOB, Idempotency_Key="one")) != first
    assert Job.objects.count() == 2


def test_a_get_takes_no_notice_of_a_key(either: Caller) -> None:
    assert either.get("jobs", Idempotency_Key="one").status_code == 200
    assert not IdempotencyRecord.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_50_equal_requests_at_once_make_one_job_and_50_equal_answers() -> None:
    caller = Caller(make_user("plugin", Role.INJECTOR))
    clients = [Client(headers=_headers(caller)) for _ in range(50)]
    text = caller.written("job", JOB)

    def post(n: int) -> tuple[int, bytes, str | None, str]:
        return told(clients[n].post("/api/jobs", text, "application/xml", headers={"Idempotency-Key": "one"}))

    answers = in_threads(50, post)
    assert len(set(answers)) == 1
    assert answers[0][0] == 201  # type: ignore[index]
    assert Job.objects.count() == 1
    assert Event.objects.count() == 1


def _headers(caller: Caller) -> dict[str, str]:
    return {"Authorization": caller.client.defaults["HTTP_AUTHORIZATION"]}


@pytest.mark.django_db(transaction=True)
def test_of_many_ends_at_once_with_keys_of_their_own_one_wins() -> None:
    """H15."""
    caller = Caller(make_user("plugin", Role.INJECTOR))
    job = make_job(now=timezone.now())
    clients = [Client(headers=_headers(caller)) for _ in range(32)]

    def end(n: int) -> int:
        status = ("FINISHED", "FAILED", "ABORTED")[n % 3]
        text = caller.written("action", {"status": status})
        headers = {"Idempotency-Key": str(n)}
        return (
            clients[n].post(f"/api/jobs/{job.pk}/end", text, "application/xml", headers=headers).status_code
        )

    answers = in_threads(32, end)
    job.refresh_from_db()
    won = ("FINISHED", "FAILED", "ABORTED").index(job.status)
    assert answers == [200 if n % 3 == won else 409 for n in range(32)]
    assert Event.objects.filter(job=job, new_status=job.status).count() == 1
