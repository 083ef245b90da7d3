"""Sessions of oVirt's programs: `Prefer: persistent-auth`, a cookie, and what it is good for."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from taskmonitor.models import AccessToken, Job, Role
from taskmonitor.services.access import SESSION_IDLE, add_login_token
from taskmonitor.services.accounts import end_own_logins
from tests.factories import PASSWORD, make_actor, make_user

JOB = "<job><description>Clone</description></job>"
PREFER = {"Prefer": "persistent-auth"}


@pytest.fixture(autouse=True)
def _cheap(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def user(owner: User) -> User:
    owner.set_password(PASSWORD)
    owner.save()
    return owner


def password(name: str = "plugin", word: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{word}".encode()).decode()}


def cookie(secret: str) -> dict[str, str]:
    return {"Cookie": f"JSESSIONID={secret}"}


def get(headers: dict[str, str], path: str = "/api/jobs") -> HttpResponse:
    return Client().get(path, headers=headers)


def post(headers: dict[str, str]) -> HttpResponse:
    return Client().post("/api/jobs", JOB, "application/xml", headers=headers)


def log_in(path: str = "/api/jobs", **headers: str) -> str:
    """The secret of a new session."""
    answer = get(password() | PREFER | headers, path)
    assert answer.status_code == 200
    return answer.cookies["JSESSIONID"].value


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/api", "/api"),
        ("/api/v3/jobs", "/api"),
        ("/ovirt-engine/api", "/ovirt-engine/api"),
        ("/ovirt-engine/api/v4//jobs", "/ovirt-engine/api"),
    ],
)
@pytest.mark.parametrize("secure", [True, False])
def test_a_password_gets_a_cookie_for_the_api_alone(
    user: User, path: str, place: str, secure: bool, settings: Any
) -> None:
    settings.SESSION_COOKIE_SECURE = secure
    answer = get(password() | PREFER, path)
    [morsel] = answer.cookies.values()
    told = {name: value for name, value in morsel.items() if value}
    assert told == {"path": place, "httponly": True, "samesite": "Strict"} | (
        {"secure": True} if secure else {}
    )
    assert morsel.key == "JSESSIONID"


def test_the_cookie_alone_reads_and_writes(user: User) -> None:
    session = cookie(log_in()) | PREFER
    assert get(session).status_code == 200
    assert post(session).status_code == 201
    assert Job.objects.get().owner == user
    assert get(session, "/ovirt-engine/api/v4/jobs").status_code == 200
    assert not get(session).cookies


@pytest.mark.parametrize(
    "preferred",
    [
        "persistent-auth",
        "Persistent-Auth",
        "wait=1, persistent-auth",
        "persistent-auth; x=1",
        "persistent-auth,x",
    ],
)
def test_it_may_be_preferred_among_other_things(user: User, preferred: str) -> None:
    assert log_in(Prefer=preferred)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Prefer": "wait=10"}, {"Prefer": "non-persistent-auth"}, {"Prefer": "persistent-authentication"}],
)
def test_without_that_there_is_no_cookie(user: User, headers: dict[str, str]) -> None:
    answer = get(password() | headers)
    assert (answer.status_code, list(answer.cookies)) == (200, [])
    assert not AccessToken.objects.exists()


def test_only_a_right_password_gets_one(user: User) -> None:
    now = timezone.now()
    token = add_login_token(user_id=user.pk, life_ends=now + timedelta(hours=1), now=now)
    for headers, status in (
        (password(word="wrong"), 401),
        ({}, 401),
        ({"Authorization": f"Bearer {token}"}, 200),  # it has an end and a scope of its own
    ):
        answer = get(headers | PREFER)
        assert (answer.status_code, list(answer.cookies)) == (status, [])
    assert AccessToken.objects.count() == 1


@pytest.mark.parametrize("ask", [get, post])
@pytest.mark.parametrize("beside", [{}, password()], ids=["alone", "beside the password"])
def test_a_request_that_does_not_prefer_it_is_its_last_one(
    user: User, ask: Callable[[dict[str, str]], HttpResponse], beside: dict[str, str]
) -> None:
    secret = log_in()
    last = ask(cookie(secret) | beside)
    assert last.status_code in (200, 201)
    assert (last.cookies["JSESSIONID"].value, last.cookies["JSESSIONID"]["max-age"]) == ("", 0)
    assert get(cookie(secret) | PREFER).status_code == 401
    assert get(cookie(secret)).status_code == 401


def test_a_stale_cookie_beside_a_password_is_replaced(user: User) -> None:
    answer = get(password() | PREFER | cookie("stale"))
    assert answer.status_code == 200
    assert answer.cookies["JSESSIONID"].value != "stale"
    assert get(cookie("stale") | PREFER).status_code == 401
    assert get(password() | cookie("stale")).status_code == 200


def test_a_good_cookie_beside_its_password_stays(user: User) -> None:
    secret = log_in()
    for _ in range(3):
        assert not get(password() | PREFER | cookie(secret)).cookies
    assert AccessToken.objects.count() == 1


def test_the_password_says_who_asks_not_somebody_elses_cookie(user: User) -> None:
    planted = log_in()
    boss = make_user("boss", Role.INJECTOR)
    boss.set_password(PASSWORD)
    boss.save()
    answer = Client().post(
        "/api/jobs", JOB, "application/xml", headers=password("boss") | PREFER | cookie(planted)
    )
    assert Job.objects.get().owner == boss
    assert get(cookie(answer.cookies["JSESSIONID"].value) | PREFER).status_code == 200
    assert AccessToken.objects.filter(user=boss).count() == 1


def test_its_secret_is_stored_hashed_and_opens_nothing_else(user: User) -> None:
    secret = log_in()
    assert secret not in str(AccessToken.objects.values())
    assert get({"Authorization": f"Bearer {secret}"}).status_code == 401
    now = timezone.now()
    token = add_login_token(user_id=user.pk, life_ends=now + timedelta(hours=1), now=now)
    assert get(cookie(token) | PREFER).status_code == 401
    digest = AccessToken.objects.first().digest  # type: ignore[union-attr]
    assert get(cookie(digest) | PREFER).status_code == 401
    for path in (
        f"/api/jobs;JSESSIONID={secret}",
        f"/api/jobs;jsessionid={secret}",
        f"/api/jobs?JSESSIONID={secret}",
    ):
        assert get(PREFER, path).status_code == 401


def test_it_ends_when_it_is_idle_for_half_an_hour(user: User) -> None:
    secret, now = log_in(), timezone.now()
    session = AccessToken.objects.get()
    assert session.expires is not None
    assert timedelta(0) <= session.expires - now - SESSION_IDLE + timedelta(seconds=5) <= timedelta(seconds=5)
    AccessToken.objects.update(last_used=now - timedelta(minutes=2), expires=now + timedelta(minutes=28))
    assert get(cookie(secret) | PREFER).status_code == 200
    session.refresh_from_db()
    assert session.expires >= now + SESSION_IDLE
    AccessToken.objects.update(expires=now)
    assert get(cookie(secret) | PREFER).status_code == 401


def test_it_ends_after_the_life_of_a_login_however_much_it_is_used(user: User, settings: Any) -> None:
    secret, now = log_in(), timezone.now()
    began = now - settings.LOGIN_TOKEN_LIFE + timedelta(minutes=3)
    AccessToken.objects.update(created=began, last_used=now - timedelta(minutes=2))
    assert get(cookie(secret) | PREFER).status_code == 200
    assert AccessToken.objects.get().expires == began + settings.LOGIN_TOKEN_LIFE


def end_on_page(user: User) -> None:
    tokens = [str(AccessToken.objects.get().pk)]
    end_own_logins(actor=make_actor(user), sessions=[], tokens=tokens, now=timezone.now())


@pytest.mark.parametrize(
    "change",
    [
        lambda user: (user.set_password("another horse"), user.save()),
        lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
        lambda user: (setattr(user, "is_active", False), user.save()),
        lambda user: user.delete(),
        end_on_page,
    ],
    ids=["password", "disabled", "disabled in the admin", "deleted", "ended by its user"],
)
def test_it_ends_with_what_it_stands_for(user: User, change: Callable[[User], object]) -> None:
    session = cookie(log_in()) | PREFER
    assert get(session).status_code == 200
    change(user)
    assert get(session).status_code == 401
    assert post(session).status_code == 401


def test_a_role_counts_at_the_next_request(user: User) -> None:
    session = cookie(log_in()) | PREFER
    user.groups.clear()
    assert post(session).status_code == 403


@pytest.mark.parametrize(
    "said",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver"},  # a script of ours has no use for it
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
@pytest.mark.parametrize("headers", [{}, PREFER], ids=["", "preferred"])
def test_no_page_of_a_browser_can_use_it(user: User, said: dict[str, str], headers: dict[str, str]) -> None:
    secret = log_in()
    session = cookie(secret) | said | headers
    assert get(session).status_code == 401
    assert post(session).status_code == 401
    assert not Job.objects.exists()
    assert get(cookie(secret) | PREFER).status_code == 200, "nor end it"


@pytest.mark.parametrize(
    "value", ["", "x", "x" * 5000, '"abc\\000def"', "\xff\xfe", "\ud800", "' OR 1=1 --", "a; JSESSIONID=b"]
)
def test_a_forged_cookie_is_nobody(user: User, value: str) -> None:
    header = f"JSESSIONID={value}".encode("utf-8", "surrogatepass").decode("latin-1")
    for headers in ({}, PREFER):
        assert get({"Cookie": header} | headers).status_code == 401
        assert get({"Cookie": header} | headers | password()).status_code == 200


def test_a_use_costs_no_more_than_that_of_a_token(user: User, django_assert_num_queries: Any) -> None:
    now = timezone.now()
    token = add_login_token(user_id=user.pk, life_ends=now + timedelta(hours=1), now=now)
    secret = log_in()
    get({"Authorization": f"Bearer {token}"})  # its use is noted
    with django_assert_num_queries(2):
        get({"Authorization": f"Bearer {token}"})
    with django_assert_num_queries(2):
        get(cookie(secret) | PREFER)


def test_without_a_database_to_write_to_the_answer_is_the_same(user: User) -> None:
    def refuse(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("INSERT"):
            raise OperationalError("attempt to write a readonly database")
        return execute(sql, *rest)

    get(password())  # its use is noted
    with connection.execute_wrapper(refuse):
        answer = get(password() | PREFER)
    assert (answer.status_code, list(answer.cookies)) == (200, [])
