"""What people are told when something was not done: in words, and with a way to go on."""

import re
import uuid
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from taskmonitor.errors import (
    Conflict,
    Ended,
    Invalid,
    NotAllowed,
    NotFound,
    TaskMonitorError,
    TransitionError,
)
from taskmonitor.models import Right
from taskmonitor.pages.refusals import words
from tests.factories import NOW, make_user
from tests.pages.conftest import Site

HERE = {"Referer": "http://testserver/jobs/?status=FAILED"}
BACK = '<a href="/jobs/?status=FAILED">Back to the page before</a>'


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NotFound("Token", 7), "This token does not exist any more, or you may not see it."),
        (
            NotAllowed(Right.CONTROL),
            "Nothing was done: it takes the role Task operator. An administrator can give it to you.",
        ),
        (
            TransitionError("command", "ENDED_WITH_FAILURE", "FAILED", NOW),
            "Nothing was done: it is ended with failure by now.",
        ),
        (
            Conflict("This command is FAILED_RESTARTED; there is nothing to look at."),
            "Nothing was done. This command is cut off; there is nothing to look at.",
        ),
        (
            Ended("job", "FINISHED", None),
            "Nothing was done. This job is finished; nothing more can be reported on it.",
        ),
        (Invalid("reason", "cannot be empty."), "The reason cannot be empty."),
        (Invalid("scope", "choose among read."), "Choose among read."),
    ],
)
def test_errors_are_told_in_words(error: TaskMonitorError, told: str) -> None:
    assert words(error) == told


@pytest.mark.django_db
def test_a_refusal_names_what_would_help_and_leads_back(
    site: Site, viewer: Client, owner: Client, login: Callable[[User], Client]
) -> None:
    plain = login(make_user("plain"))
    refused = [
        (viewer.post(f"/jobs/{site.job.pk}/clear/", headers=HERE), 403, "the role External tasks creator"),
        (plain.get(f"/commands/{site.command.pk}/fail/", headers=HERE), 403, "the role Task operator"),
        (owner.get(f"/jobs/{uuid.uuid4()}/", headers=HERE), 404, "This job does not exist any more"),
        (owner.get(f"/commands/{uuid.uuid4()}/", headers=HERE), 404, "This command does not exist any more"),
        (owner.get("/nothing/", headers=HERE), 404, "It does not exist any more"),
        (owner.get(f"/jobs/{site.job.pk}/clear/", headers=HERE), 405, "Nothing was done"),
    ]
    for answer, status, told in refused:
        page = answer.content.decode()
        assert answer.status_code == status
        assert told in page
        assert BACK in page
        assert not re.search(r"<p>[^<]*[0-9a-f]{8}-", page)  # no ids


@pytest.mark.django_db
@pytest.mark.parametrize(
    "referer", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "", "\u202e"]
)
def test_no_page_leads_to_another_site(owner: Client, referer: str) -> None:
    page = owner.get("/nothing/", headers={"Referer": referer}).content.decode()
    assert "Back to the page before" not in page
    assert '<a href="/jobs/">To the jobs</a>' in page


@pytest.mark.django_db
def test_who_was_logged_out_meanwhile_is_told_that_nothing_was_done(site: Site, client: Client) -> None:
    answer = client.post(f"/jobs/{site.job.pk}/clear/", headers=HERE)
    assert answer.headers["Location"] == "/login/?late=1&next=/jobs/%3Fstatus%3DFAILED"
    assert "so nothing was done" in client.get(answer.headers["Location"]).content.decode()
    assert "so nothing was done" not in client.get("/login/").content.decode()


@pytest.mark.django_db
def test_an_old_form_leads_back_to_its_page(site: Site) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(site.owner)
    answer = client.post(f"/jobs/{site.job.pk}/clear/", headers=HERE)
    assert answer.status_code == 403
    assert "Nothing was done." in answer.content.decode()
    assert BACK in answer.content.decode()


@pytest.mark.django_db
def test_who_ticks_nothing_is_told_so(owner: Client, site: Site) -> None:
    site.owner.set_password("correct horse battery")
    site.owner.save()
    owner.force_login(site.owner)
    answer = owner.post("/account/end/", {"current": "correct horse battery"})
    assert answer.status_code == 400
    assert "Nothing was done: tick what is to end." in answer.content.decode()
