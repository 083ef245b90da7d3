"""Logins in the log and in the audit; and passwords that somebody else chose, of which programs are told."""

import base64
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from taskmonitor import upkeep
from taskmonitor.models import AuditEntry
from taskmonitor.services import accounts, login_record
from taskmonitor.services.access import audit
from taskmonitor.services.portions import Portions
from tests.factories import NOW, PASSWORD, make_actor, make_user

pytestmark = pytest.mark.django_db

HERE = {"REMOTE_ADDR": "192.0.2.77"}
SSO = "/ovirt-engine/sso/oauth/token"


@pytest.fixture
def user() -> User:
    user = make_user("anna")
    user.set_password(PASSWORD)
    user.save()
    return user


def ask(password: str = PASSWORD, name: str = "anna") -> tuple[int, str]:
    told = base64.b64encode(f"{name}:{password}".encode()).decode()
    answer = Client(**HERE).get(
        "/api/users", headers={"Authorization": f"Basic {told}", "Accept": "application/json"}
    )
    return answer.status_code, answer.content.decode()


def fetch_token(password: str = PASSWORD) -> tuple[int, str]:
    form = {"grant_type": "password", "username": "anna", "password": password}
    answer = Client(**HERE).post(SSO, form)
    return answer.status_code, answer.content.decode()


def audited() -> list[tuple[str, str, str, str]]:
    return list(AuditEntry.objects.order_by("pk").values_list("actor_name", "verb", "subject", "detail"))


def test_a_login_to_the_pages_and_its_end_are_logged_and_audited(
    user: User, caplog: pytest.LogCaptureFixture
) -> None:
    browser = Client(**HERE)
    with caplog.at_level("INFO"):
        browser.post("/login/", {"username": "anna", "password": PASSWORD})
        browser.post("/logout/")
    assert "Logged in user=anna address=192.0.2.77 by=page" in caplog.messages
    assert "Logged out user=anna address=192.0.2.77" in caplog.messages
    assert audited() == [
        ("anna", "logged in", "anna", "to the pages, from 192.0.2.77"),
        ("anna", "logged out", "anna", "of the pages, from 192.0.2.77"),
    ]


def test_programs_are_audited_once_in_a_while(user: User, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert [ask()[0] for _ in range(3)] == [200] * 3
        assert [fetch_token()[0] for _ in range(3)] == [200] * 3
    lines = Counter(line for line in caplog.messages if line.startswith("Logged in"))
    assert lines == {
        "Logged in user=anna address=192.0.2.77 by=request": 1,
        "Logged in user=anna address=192.0.2.77 by=token": 3,
    }
    assert audited() == [("anna", "logged in", "anna", "to the API, from 192.0.2.77")]


@pytest.mark.parametrize("path", ["/login/", "/admin/login/", SSO, "/api/jobs"])
def test_a_refusal_is_logged_and_audited_wherever_it_was(
    user: User, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"192.0.2.{70 + len(path)}"
    if path == "/api/jobs":
        told = base64.b64encode(b"anna:wrong").decode()
        Client(REMOTE_ADDR=address).get(path, headers={"Authorization": f"Basic {told}"})
    else:
        form = {"grant_type": "password", "username": "anna", "password": "wrong"}
        Client(REMOTE_ADDR=address).post(path, form)
    assert f"Login refused name='anna' address={address}" in caplog.messages
    assert audited() == [("Task Monitor", "login refused", "anna", f"from {address}")]
    assert "wrong" not in caplog.text


def test_strangers_do_not_fill_the_audit() -> None:
    for number in range(200):
        login_record.note_refusal(f"name-{number % 150}", f"192.0.2.{number % 250}", NOW)
    assert AuditEntry.objects.count() == login_record.MOST_REFUSED
    later = NOW + login_record.WINDOW + timedelta(seconds=1)
    for _ in range(5):
        login_record.note_refusal("anna", "192.0.2.7", later)
    assert AuditEntry.objects.filter(time=later).count() == 1


def test_what_strangers_write_is_made_printable(caplog: pytest.LogCaptureFixture) -> None:
    login_record.note_refusal("a\nb\x1b[2J\u202e" + "x" * 500, "1.2.3.4\r\nforged " + "y" * 500, NOW)
    entry = AuditEntry.objects.get()
    assert (entry.subject + entry.detail + caplog.messages[0]).isprintable()
    assert len(entry.subject) == 150
    assert len(caplog.messages[0]) < 300


def test_only_logins_leave_the_audit() -> None:
    actor, now = make_actor(), timezone.now()
    for verb in ("logged in", "login refused", "granted"):
        for days in (1, 91):
            audit(verb=verb, subject="s", detail="", actor=actor, now=now - timedelta(days=days))
    upkeep.tick(now, Portions(60))
    assert Counter(AuditEntry.objects.values_list("verb", flat=True)) == {
        "logged in": 1,
        "login refused": 1,
        "granted": 2,
    }


@pytest.mark.parametrize("attempt", [ask, fetch_token])
def test_programs_use_a_password_that_somebody_else_chose_for_a_day(
    user: User, attempt: Callable[..., tuple[int, str]]
) -> None:
    now = timezone.now()
    accounts.require_password_change(user, now - timedelta(hours=23))
    assert attempt()[0] == 200
    accounts.require_password_change(user, now - timedelta(hours=25))
    status, told = attempt()
    assert status == (403 if attempt is ask else 400)
    assert "Somebody else chose this password. Log in at /login/ and choose one of your own" in told
    user.set_password("a staple that nobody has")
    user.save()
    assert attempt("a staple that nobody has")[0] == 200
