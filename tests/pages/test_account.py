"""One's own account: its password, and where it is logged in."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.test import Client
from django.utils import timezone

from taskmonitor.models import AccessToken, AuditEntry, Role, Session, TemporaryPassword
from taskmonitor.services import access, accounts
from tests.factories import PASSWORD, make_actor, make_user

pytestmark = pytest.mark.django_db

NEW = "a staple that nobody has"


@pytest.fixture
def user() -> User:
    user = make_user("anna", Role.VIEWER, email="annabella@example.org")
    user.set_password(PASSWORD)
    user.save()
    return user


def logged_in(user: User, address: str = "192.0.2.7", password: str = PASSWORD) -> Client:
    client = Client(REMOTE_ADDR=address)
    client.post("/login/", {"username": user.username, "password": password})
    return client


@pytest.fixture
def browser(user: User) -> Client:
    return logged_in(user)


def make_tokens(user: User) -> list[str]:
    """The secrets of a named token and of a client's login."""
    now = timezone.now()
    _, named = access.add_token(
        user_id=user.pk, name="nightly", scope=["read"], expires=None, actor=make_actor(user), now=now
    )
    ends = now + timedelta(hours=1)
    return [named, access.add_login_token(user_id=user.pk, life_ends=ends, now=now)]


def opens(secret: str) -> bool:
    return Client().get("/api/jobs", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


def change(client: Client, **fields: str) -> tuple[int, str]:
    form = {"current": PASSWORD, "new": NEW, "again": NEW, **fields}
    answer = client.post("/account/password/", form)
    return answer.status_code, answer.content.decode()


def test_a_change_of_the_password_ends_all_other_logins(browser: Client, user: User) -> None:
    elsewhere, stranger = logged_in(user, "192.0.2.8"), logged_in(make_user("other"))
    secrets = make_tokens(user)
    assert all(map(opens, secrets))
    assert (
        "All other sessions of yours end, and all your access tokens"
        in browser.get("/account/password/").content.decode()
    )
    before = browser.cookies["sessionid"].value
    assert change(browser)[0] == 302
    assert browser.get("/account/").status_code == 200
    assert browser.cookies["sessionid"].value != before
    assert elsewhere.get("/account/").status_code == 302
    assert not any(map(opens, secrets))
    assert stranger.get("/login/").status_code == 200
    assert logged_in(user, password=NEW).get("/account/").status_code == 200
    assert logged_in(user).get("/account/").status_code == 302
    entry = AuditEntry.objects.get(verb="changed")
    assert (entry.actor_name, entry.subject, entry.detail) == ("anna", "anna", "own password")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"current": "wrong"}, "The current password is not right."),
        ({"current": ""}, "The current password is not right."),
        ({"current": PASSWORD + "\0"}, "The current password is not right."),
        ({"again": "mistyped"}, "The new password was not typed the same twice."),
        ({"new": PASSWORD, "again": PASSWORD}, "The new password is the current one."),
        ({"new": "x", "again": "x"}, "This password is too short. It must contain at least 8 characters."),
        ({"new": "password1", "again": "password1"}, "This password is too common."),
        ({"new": "annabella1", "again": "annabella1"}, "too similar to the email address"),
        ({"new": "Task-Monitor-1", "again": "Task-Monitor-1"}, "This password is the name of this site."),
        ({"new": "", "again": ""}, "too short"),
    ],
)
def test_a_wrong_form_says_why_and_changes_nothing(
    browser: Client, user: User, fields: dict[str, str], problem: str
) -> None:
    secrets = make_tokens(user)
    status, page = change(browser, **fields)
    assert status == 400
    assert page.count(problem) == 1
    assert "aria-invalid" not in page
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert all(map(opens, secrets))


@pytest.mark.parametrize(
    "password",
    ["x" * 8 + "yz", "only small letters", "8417395264017", "пароль и яблоко", "🐎" * 8, "a b" * 50],
)
def test_any_signs_and_any_length_will_do(browser: Client, user: User, password: str) -> None:
    assert change(browser, new=password, again=password)[0] == 302
    user.refresh_from_db()
    assert user.check_password(password)


def test_guessing_the_current_password_is_slowed_down(user: User) -> None:
    browser = logged_in(user, "192.0.2.66")
    told = [change(browser, current=f"wrong {number}")[0] for number in range(25)]
    assert told[0] == 400
    assert told[-1] == 429
    assert browser.post("/account/end/", {"current": "wrong"}).headers["Retry-After"]


def test_sessions_and_tokens_are_listed_with_when_and_from_where(browser: Client, user: User) -> None:
    logged_in(user, "192.0.2.8")
    named, login = make_tokens(user)
    Client(REMOTE_ADDR="192.0.2.9").get("/api/jobs", headers={"Authorization": f"Bearer {login}"})
    page = browser.get("/account/").content.decode()
    for text in (
        "This browser",
        "192.0.2.7",
        "A browser",
        "192.0.2.8",
        "192.0.2.9",
        "Token <bdi>nightly</bdi>",
    ):
        assert text in page
    assert page.count("A client of the oVirt API") == 1
    for session in Session.objects.all():
        assert session.session_key not in page
    assert named not in page


def end(client: Client, password: str = PASSWORD, **ticked: list[object]) -> str:
    answer = client.post("/account/end/", {"current": password, **ticked}, follow=True)
    return answer.content.decode()


def test_each_login_can_be_ended(browser: Client, user: User) -> None:
    second, third = logged_in(user, "192.0.2.8"), logged_in(user, "192.0.2.9")
    secrets = make_tokens(user)
    label = accounts.public_id(Session.objects.get(last_used_from="192.0.2.8"))
    assert "Ended: 1." in end(browser, session=[label])
    assert second.get("/account/").status_code == 302
    assert third.get("/account/").status_code == 200
    for place, name in enumerate(("nightly", "")):
        assert "Ended: 1." in end(browser, token=[AccessToken.objects.get(name=name).pk])
        assert [opens(secret) for secret in secrets] == [False, place == 0]
    verbs = AuditEntry.objects.filter(verb__in=("ended session", "revoked token")).order_by("pk")
    assert list(verbs.values_list("subject", "detail")) == [
        ("anna", "last used from 192.0.2.8"),
        ("anna", "nightly"),
        ("anna", "login"),
    ]


def test_nothing_is_ended_without_the_password_nor_of_somebody_else(browser: Client, user: User) -> None:
    make_tokens(user)
    elsewhere = logged_in(user, "192.0.2.8")
    labels = [accounts.public_id(session) for session in Session.objects.all()]
    tokens = list(AccessToken.objects.values_list("pk", flat=True))
    assert "The current password is not right." in end(browser, "wrong", session=labels, token=tokens)
    other = make_user("bert")
    other.set_password(PASSWORD)
    other.save()
    assert "Ended: 0." in end(logged_in(other), session=labels, token=[*tokens, "x", "٣", "9" * 400])
    assert elsewhere.get("/account/").status_code == 200
    assert AccessToken.objects.count() == 2


def test_a_password_that_somebody_else_chose_is_changed_first(user: User) -> None:
    accounts.require_password_change(user, timezone.now())
    user.is_staff = True
    user.save()
    browser = logged_in(user)
    for path in (
        "/jobs/",
        "/jobs/rows/",
        "/tokens/",
        "/account/",
        "/admin/",
        "/stream/",
        "/account/end/",
    ):
        for ask in (browser.get, browser.post):
            answer = ask(path)
            assert (answer.status_code, answer.headers.get("Location")) == (302, "/account/password/"), path
    refused = browser.get("/api/jobs")
    assert refused.status_code == 403
    assert "Log in at /login/ and choose one of your own" in refused.content.decode()
    assert "Somebody else chose the password" in browser.get("/account/password/").content.decode()
    assert change(browser)[0] == 302
    assert not TemporaryPassword.objects.exists()
    for client in (browser, logged_in(user, password=NEW)):
        assert client.get("/jobs/").status_code == 200
        assert client.get("/api/jobs").status_code == 200


def test_who_must_change_it_may_log_out(user: User) -> None:
    accounts.require_password_change(user, timezone.now())
    browser = logged_in(user)
    assert browser.post("/logout/").headers["Location"] == "/login/"
    assert browser.get("/login/").status_code == 200


def test_the_account_of_a_user_who_is_made_inactive_has_no_logins(user: User, browser: Client) -> None:
    secrets = make_tokens(user)
    user.is_active = False
    user.save()
    user.is_active = True
    user.save()
    assert browser.get("/account/").status_code == 302
    assert not any(map(opens, secrets))


def test_the_admins_page_for_ones_own_password_is_this_one(user: User) -> None:
    user.is_staff = user.is_superuser = True
    user.save()
    browser = logged_in(user)
    for path in ("/admin/password_change/", f"/admin/auth/user/{user.pk}/password/"):
        assert browser.get(path).headers["Location"] == "/account/password/"
        assert browser.post(path, {"password1": NEW, "password2": NEW}).status_code == 302
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_thousands_of_common_passwords_are_refused_that_are_long_enough() -> None:
    assert sum(len(password) >= 8 for password in CommonPasswordValidator().passwords) > 8000


@pytest.mark.parametrize("password", ["task monitor", "TaskMonitor2026", "monitor-2026", "t.a.s.k.1.2.3"])
def test_words_of_the_site_are_no_passwords(browser: Client, password: str) -> None:
    status, page = change(browser, new=password, again=password)
    assert status == 400
    assert "This password is the name of this site." in page
