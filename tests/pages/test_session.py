"""Logging in, and how long that lasts."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import UpdateError
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from taskmonitor import upkeep
from taskmonitor.database_trouble import is_database_trouble
from taskmonitor.models import AccessToken, Role, Session
from taskmonitor.services.portions import Portions
from taskmonitor.sessions import SessionStore
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def test_login_leads_to_the_page_that_was_asked_for() -> None:
    make_user("ops").set_password(PASSWORD)
    user = make_user("viewer")
    user.set_password(PASSWORD)
    user.save()
    client = Client()
    form = {"username": "viewer", "password": PASSWORD}
    assert client.post("/login/", form | {"next": "/tokens/"}).headers["Location"] == "/tokens/"
    assert client.get("/login/").headers["Location"] == "/jobs/"
    assert client.post("/logout/").headers["Location"] == "/login/"
    assert client.get("/jobs/").status_code == 302
    assert client.post("/login/", form | {"next": "https://evil.example/"}).headers["Location"] == "/jobs/"


def test_a_wrong_password_says_little() -> None:
    make_user("viewer")
    page = Client().post("/login/", {"username": "viewer", "password": "<b>no</b>"}).content.decode()
    assert "The name or the password is not right." in page
    assert "<b>no" not in page


@pytest.mark.django_db(transaction=True)
def test_a_database_that_cannot_be_written_to_has_not_deleted_the_session() -> None:
    session = SessionStore()
    session["seen"] = 1
    session.save()
    lite = connection.vendor == "sqlite"
    try:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA query_only = ON" if lite else "SET default_transaction_read_only = on")
        session["seen"] = 2
        with pytest.raises(DatabaseError) as raised:
            session.save()
        assert is_database_trouble(raised.value)
    finally:
        connection.close()
    SessionStore(session.session_key).delete()
    with pytest.raises(UpdateError):
        session.save()


@pytest.fixture
def user() -> User:
    user = make_user("viewer", Role.VIEWER)
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def browser(user: User) -> Client:
    client = Client(REMOTE_ADDR="192.0.2.7")
    client.post("/login/", {"username": "viewer", "password": PASSWORD})
    return client


def age(began: timedelta, last_used: timedelta) -> None:
    """Let the one session be so old, and unused for so long."""
    session = Session.objects.get()
    began_at = session.began - began
    store = Session.get_session_store_class()(session.session_key)
    data = {**store.load(), "began": began_at.timestamp()}
    used_at = session.last_used - last_used
    Session.objects.update(
        session_data=store.encode(data),
        began=began_at,
        last_used=used_at,
        expire_date=min(began_at + 12 * HOUR, used_at + 2 * HOUR),
    )


def test_a_session_knows_whose_it_is_and_from_where_and_when(browser: Client, user: User) -> None:
    session = Session.objects.get()
    assert (session.user, session.last_used_from) == (user, "192.0.2.7")
    assert timezone.now() - session.began < timedelta(seconds=20)
    assert session.expire_date - session.last_used == 2 * HOUR
    cookie = browser.cookies["sessionid"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["max-age"] == 12 * 3600


@pytest.mark.parametrize(
    ("began", "last_used", "lasts"),
    [(11.9, 0, True), (12.1, 0, False), (1.9, 1.9, True), (2.1, 2.1, False), (11, 1.9, True)],
)
def test_a_session_ends_after_twelve_hours_and_after_two_idle_ones(
    browser: Client, began: float, last_used: float, lasts: bool
) -> None:
    age(began * HOUR, last_used * HOUR)
    for path in ("/jobs/", "/api/jobs"):
        assert (browser.get(path).status_code == 200) == lasts


def test_its_use_is_noted_once_a_minute_and_never_lengthens_its_life(browser: Client) -> None:
    age(11.5 * HOUR, HOUR)
    browser.get("/jobs/", REMOTE_ADDR="192.0.2.8")
    session = Session.objects.get()
    assert timezone.now() - session.last_used < timedelta(seconds=20)
    assert session.last_used_from == "192.0.2.8"
    assert session.expire_date == session.began + 12 * HOUR
    with CaptureQueriesContext(connection) as queries:
        browser.get("/jobs/")
        browser.get("/api/jobs")
    assert not [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.get("/jobs/", headers={"X-Automatic": "1"}),
        lambda client: client.get("/jobs/rows/", headers={"X-Automatic": "1"}),
        lambda client: client.get("/stream/"),
        lambda client: Client().get("/api/jobs"),
    ],
    ids=["page", "fragment", "stream", "no cookie"],
)
def test_a_page_that_is_only_open_does_not_keep_its_session(
    browser: Client, ask: Callable[[Client], Any]
) -> None:
    age(HOUR, HOUR)
    before = Session.objects.values().get()
    ask(browser)
    assert Session.objects.values().get() == before


@pytest.mark.parametrize("path", ["/jobs/", "/api/jobs", "/stream/", "/login/"])
def test_a_session_of_another_secret_key_is_none(browser: Client, settings: Any, path: str) -> None:
    age(HOUR, HOUR)
    settings.SECRET_KEY = "another one, as after a restore without the file of the first"
    assert browser.get(path).status_code in (200, 302, 401)
    assert "_auth_user_id" not in browser.session


def test_logging_in_begins_a_new_session_and_logging_out_leaves_none(browser: Client, user: User) -> None:
    first = browser.cookies["sessionid"].value
    browser.post("/logout/")
    assert not Session.objects.exists()
    assert browser.cookies["sessionid"].value == ""
    browser.cookies["sessionid"] = first
    browser.post("/login/", {"username": "viewer", "password": PASSWORD})
    assert browser.cookies["sessionid"].value not in ("", first)
    assert Session.objects.get().session_key == browser.cookies["sessionid"].value


@pytest.mark.parametrize("address", ["", "unix", "fe80::1%eth0", "2001:db8::1"])
def test_any_address_will_do(user: User, address: str) -> None:
    client = Client(REMOTE_ADDR=address)
    assert client.post("/login/", {"username": "viewer", "password": PASSWORD}).status_code == 302
    assert Session.objects.get().last_used_from in (None, "fe80::1", "2001:db8::1")


def test_what_ended_is_removed_by_upkeep(browser: Client) -> None:
    upkeep.tick(timezone.now(), Portions(60))
    assert Session.objects.exists()
    upkeep.tick(timezone.now() + 3 * HOUR, Portions(60))
    assert not Session.objects.exists()


def test_who_is_out_leaves_nothing_in_the_cache_of_the_browser(browser: Client) -> None:
    assert "Clear-Site-Data" not in browser.get("/jobs/")
    assert browser.post("/logout/")["Clear-Site-Data"] == '"cache"'
    assert "Clear-Site-Data" not in browser.get("/login/")
    browser.post("/login/", {"username": "viewer", "password": PASSWORD})
    Session.objects.all().delete()
    assert browser.get("/jobs/")["Clear-Site-Data"] == '"cache"'
    assert "Clear-Site-Data" not in browser.get("/jobs/")


def test_what_a_user_is_told_is_in_no_cookie(browser: Client, user: User) -> None:
    token = AccessToken.objects.create(digest="x", user=user, name="backup", created=timezone.now())
    revoked = browser.post(f"/tokens/{token.pk}/revoke/")
    assert set(revoked.cookies) <= {"sessionid"}
    assert "Revoked" in browser.get("/tokens/").content.decode()


def test_a_session_is_known_by_a_key_that_nobody_guesses(browser: Client) -> None:
    keys = [browser.cookies["sessionid"].value]
    browser.post("/login/", {"username": "viewer", "password": PASSWORD})
    keys += [SessionStore()._get_new_session_key() for _ in range(100)]
    assert len({*keys}) == len(keys)
    assert all(len(key) == 32 and len({*key}) > 8 for key in keys)  # of 36 signs: 165 bits


def test_no_script_reads_a_cookie() -> None:
    client = Client()
    client.get("/login/")
    assert client.cookies["csrftoken"]["httponly"]


@pytest.mark.parametrize("path", ["/login/", "/admin/login/", "/account/", "/account/password/"])
def test_passwords_are_masked_and_may_be_pasted_and_kept_by_a_manager(browser: Client, path: str) -> None:
    page = (Client() if "login" in path else browser).get(path).content.decode()
    fields = [
        f for f in re.findall(r"<input [^>]*>", page) if re.search(r'name="(password|current|new|again)"', f)
    ]
    assert fields
    for field in fields:
        assert 'type="password"' in field
        assert re.search(r'autocomplete="(current|new)-password"', field)
        assert not re.search("onpaste|readonly|maxlength", field)
