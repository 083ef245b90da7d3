import pytest
from django.test import Client

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
