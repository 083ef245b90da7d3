"""What holds for every page and fragment, present and future: the addresses come from the URL table."""

import json
import re
import uuid

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from coordinator.models import CommandEntity
from taskmonitor.services import jobs, steps
from tests.factories import NOW, make_actor, make_job, make_step
from tests.pages.conftest import ASKED, POSTED, Site

pytestmark = pytest.mark.django_db

OWN_PAGES = {"account", "account_password", "tokens"}
PAGES = {"job_list", "job_detail", "step_detail", "command_list", "command_detail", *OWN_PAGES}


def test_nobody_is_sent_to_the_login_page_and_back(site: Site, client: Client) -> None:
    for name in PAGES:
        address = site.reading()[name]
        assert client.get(address).headers["Location"] == f"/login/?next={address}"
    assert client.get("/").headers["Location"] == "/jobs/"


@pytest.mark.parametrize("address", ["/jobs", f"/jobs/{uuid.uuid4()}", "/tokens", "/login", "/admin"])
def test_an_address_typed_without_its_last_slash_leads_on(client: Client, address: str) -> None:
    response = client.get(f"{address}?page=2")
    assert (response.status_code, response.headers["Location"]) == (301, f"{address}/?page=2")


def test_a_fragment_tells_nobody_to_log_in_instead_of_becoming_a_login_page(
    site: Site, client: Client
) -> None:
    fragments = site.reading().keys() - PAGES
    assert len(fragments) > 5
    for name in fragments:
        assert client.get(site.reading()[name]).status_code == 401, name


def test_an_inactive_user_is_nobody(site: Site, owner: Client) -> None:
    User.objects.update(is_active=False)
    assert owner.get("/jobs/").status_code == 302
    assert owner.get("/jobs/rows/").status_code == 401


@pytest.mark.mission("D25")
def test_what_one_may_not_see_is_not_found(
    site: Site, owner: Client, viewer: Client, stranger: Client
) -> None:
    for name, address in [*site.of_the_job().items(), *site.of_the_command().items()]:
        assert owner.get(address).status_code == 200, name
        assert viewer.get(address).status_code == 200, name
        assert stranger.get(address).status_code == 404, name
    assert site.job.description not in stranger.get("/jobs/").content.decode()
    assert site.job.description in viewer.get("/jobs/").content.decode()


@pytest.mark.mission("S24", "S26")
def test_what_is_not_there_is_not_found(site: Site, owner: Client) -> None:
    elsewhere = make_step(make_job())
    for name, address in site.of_the_job().items():
        assert owner.get(address.replace(str(site.job.pk), str(uuid.uuid4()))).status_code == 404, name
        if str(site.step.pk) in address:
            assert owner.get(address.replace(str(site.step.pk), str(elsewhere.pk))).status_code == 404, name


def test_to_read_changes_nothing(site: Site, owner: Client) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        for address in site.reading().values():
            owner.get(address)
            owner.head(address)
    assert len(queries) > 50
    assert not [q["sql"] for q in queries if not q["sql"].startswith(("SELECT", "WITH", "\n        WITH"))]


def test_what_changes_something_is_posted(site: Site, owner: Client) -> None:
    addresses = site.addresses()
    for name in (*POSTED, "logout"):
        answer = owner.get(addresses[name], headers={"Referer": "http://testserver/tokens/?page=2"})
        assert answer.status_code == 405, name
        if name != "logout":  # which is Django's
            assert '<a href="/tokens/?page=2">Back to the page before</a>' in answer.content.decode()
    for name in ("job_list", "job_detail", "job_row", "job_level", "stream"):
        assert owner.post(addresses[name]).status_code == 405, name


def test_a_form_of_another_site_is_refused(site: Site) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(site.owner)
    for name in (*POSTED, *ASKED, "account_password", "tokens", "logout"):
        answer = client.post(site.addresses()[name])
        assert answer.status_code == 403, name
        assert "<h1>Please try again</h1>" in answer.content.decode()


def test_no_page_is_kept_by_a_browser_or_proxy(site: Site, owner: Client) -> None:
    for name, address in site.reading().items():
        assert "no-store" in owner.get(address).headers["Cache-Control"], name


def test_one_can_log_out_on_each_page(site: Site, owner: Client) -> None:
    for name in PAGES:
        assert 'action="/logout/"' in owner.get(site.reading()[name]).content.decode(), name


def test_scripts_and_styles_come_from_files_only(site: Site, owner: Client, client: Client) -> None:
    answers = [owner.get(address) for address in site.reading().values()]
    for answer in [*answers, client.get("/login/"), owner.get("/nowhere/")]:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        html = answer.content.decode()
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:|hx-on", html)


HOSTILE = """<script>alert(1)</script>'"><img src=x onerror=alert(1)> {{7*7}} {% now "Y" %} javascript:alert(1) hx-get="/logout/" """


def test_hostile_texts_are_only_text(site: Site, owner: Client) -> None:
    job = make_job(description=HOSTILE)
    step = make_step(job, description=HOSTILE)
    make_step(job, description=HOSTILE, parent_step_id=step.pk)
    end = {"status": "FAILED", "actor": make_actor(), "now": NOW, "reason": HOSTILE}
    steps.end_step(job_id=job.pk, step_id=step.pk, **end)
    jobs.end_job(job_id=job.pk, **end)
    CommandEntity.objects.update(error=HOSTILE, command_parameters=json.dumps({"word": HOSTILE}))
    for name, address in site.addresses().items():
        here = address.replace(str(site.job.pk), str(job.pk)).replace(str(site.step.pk), str(step.pk))
        if name in site.reading() and name not in {*OWN_PAGES, "command_workers"}:
            html = owner.get(here).content.decode()
            assert "&lt;script&gt;alert(1)" in html, name
            assert not re.search(r"<script>|<img|<[^>]*\shx-get=\"/logout", html), name


@pytest.mark.parametrize(
    "field", ["status", "external", "owner", "text", "search", "after", "before", "size"]
)
def test_hostile_addresses_are_only_text(field: str, viewer: Client) -> None:
    for value in (HOSTILE, "\x00", "\ud800".encode("utf-8", "surrogatepass"), "x" * 3000, "' OR 1=1 --"):
        for page in ("/jobs/", "/jobs/rows/"):
            answer = viewer.get(page, {field: value})
            assert answer.status_code == 200
            assert "<script>alert" not in answer.content.decode()


@pytest.mark.parametrize("value", ["-1", "x", "", "1e3", "٣", "9" * 30])
def test_a_number_that_is_none_is_not_found(value: str, site: Site, owner: Client) -> None:
    base = f"/jobs/{site.job.pk}/"
    for address in (
        f"{base}?after=",
        f"{base}steps/?level=",
        f"{base}steps/?after=",
        f"{base}history/?before=",
    ):
        assert owner.get(address + value).status_code == 404
