import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.db import DatabaseError, connection
from django.test import Client

from taskmonitor.database_trouble import is_database_trouble
from taskmonitor.sessions import SessionStore
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


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
