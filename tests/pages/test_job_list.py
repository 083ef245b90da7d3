import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from taskmonitor.models import Job, Role
from taskmonitor.pages import rows
from taskmonitor.services import jobs, steps
from taskmonitor.services.jobs import EntityName
from tests.factories import NOW, make_actor, make_job, make_step, make_user
from tests.pages.conftest import Site

pytestmark = pytest.mark.django_db

Login = Callable[[User], Client]


def html(client: Client, address: str = "/jobs/", **query: str) -> str:
    answer = client.get(address, query)
    assert answer.status_code == 200
    return answer.content.decode()


def listed(client: Client, **query: str) -> list[str]:
    """The descriptions in the list, from the top."""
    return re.findall(r'class="name" id="[^"]*" href="[^"]*" title="([^"]*)"', html(client, **query))


def many_jobs(count: int) -> list[Job]:
    return [make_job(description=f"Job {n:03}", now=NOW + timedelta(seconds=n)) for n in range(count)]


@pytest.mark.mission("S74")
def test_a_row_says_what_a_job_is(site: Site, viewer: Client) -> None:
    job = make_job(
        description="Rebuild db-02",
        entities=[EntityName("vm", "db-02"), EntityName("disk", "vda"), EntityName("disk", "vdb")],
    )
    done = make_step(job)
    make_step(job)
    steps.end_step(job_id=job.pk, step_id=done.pk, status="FAILED", actor=make_actor(), now=NOW)
    page = html(viewer, f"/jobs/{job.pk}/row/")
    for expected in (
        "Running",
        "Rebuild db-02",
        "<bdi>vm</bdi></span> <bdi>db-02</bdi>",
        "+2",
        "1/2",
        "<bdi>Copy disk</bdi>",
        "12:00:00",
        "plugin",
    ):
        assert expected in page, expected
    assert 'title="2026-11-21 12:00:00 UTC"' in page


def test_the_page_contains_the_rows_it_swaps_in(site: Site, viewer: Client) -> None:
    many_jobs(3)
    bare = lambda text: re.sub(r"\s+", " ", re.sub(r"(?<=data-since=).*?</span>", "", text))  # noqa: E731
    page = bare(html(viewer))
    assert bare(html(viewer, "/jobs/rows/")).strip() in page
    for job in Job.objects.all():
        assert bare(html(viewer, f"/jobs/{job.pk}/row/")).strip() in page


def test_newest_first_and_pages_in_both_directions(viewer: Client) -> None:
    Job.objects.all().delete()
    many_jobs(60)
    first = html(viewer, size="25")
    assert listed(viewer, size="25")[0] == "Job 059"
    older = re.search(r'rel="next" id="older" href="\?([^"]*)"', first)
    assert older is not None
    second = viewer.get("/jobs/?" + older[1].replace("&amp;", "&")).content.decode()
    assert re.findall(r'title="(Job \d+)"', second) == [f"Job {n:03}" for n in range(34, 9, -1)]
    newer = re.search(r'rel="prev" href="\?([^"]*)"', second)
    assert newer is not None
    back = viewer.get("/jobs/?" + newer[1].replace("&amp;", "&")).content.decode()
    assert re.findall(r'title="(Job \d+)"', back) == [f"Job {n:03}" for n in range(59, 34, -1)]
    assert "data-live" in back
    assert "data-live" not in second


@pytest.mark.mission("S9")
def test_filters_by_state_external_owner_and_text(site: Site, viewer: Client) -> None:
    other = make_actor(make_user("balancer", Role.INJECTOR))
    failed = make_job(other, description="Migrate git-01")
    jobs.end_job(job_id=failed.pk, status="FAILED", actor=other, now=NOW)
    Job.objects.filter(pk=site.job.pk).update(external=False)
    assert listed(viewer, status="FAILED") == ["Migrate git-01"]
    assert listed(viewer, status="STARTED") == ["Clone web-01"]
    assert listed(viewer, external="false") == ["Clone web-01"]
    assert listed(viewer, external="true", owner="balancer") == ["Migrate git-01"]
    assert listed(viewer, owner="me") == []
    assert listed(viewer, text="web") == ["Clone web-01"]
    make_job(description="Übertragung")
    assert listed(viewer, text="übertrag") == ["\u2068Übertragung\u2069"]
    assert listed(viewer, search="status = failed and owner = bal*") == ["Migrate git-01"]
    assert listed(viewer, search="status = failed or external = false", text="clone") == ["Clone web-01"]


def test_a_wrong_search_says_why_and_is_kept(site: Site, viewer: Client) -> None:
    page = html(viewer, search="foo = 1")
    assert "there is no column foo" in page
    assert 'value="foo = 1"' in page
    assert 'aria-invalid="true"' in page
    assert site.job.description not in page


def test_a_row_that_left_the_filter_is_greyed(site: Site, viewer: Client) -> None:
    address = f"/jobs/{site.job.pk}/row/"
    assert 'job is-running"' in html(viewer, address, status="STARTED")
    assert 'job is-running left"' in html(viewer, address, status="FAILED")
    assert viewer.get(address, {"search": "foo = 1"}).status_code == 400


def test_cleared_jobs_have_left_the_list(site: Site, viewer: Client) -> None:
    jobs.end_job(job_id=site.job.pk, status="FINISHED", actor=make_actor(), now=NOW)
    jobs.clear_job(job_id=site.job.pk, actor=make_actor(), now=NOW)
    assert listed(viewer) == []
    assert "left" in html(viewer, f"/jobs/{site.job.pk}/row/")


def test_four_ways_to_be_empty(site: Site, viewer: Client, stranger: Client, login: Login) -> None:
    assert 'data-empty="filter"' in html(viewer, text="nothing like it")
    assert 'href="?status=FAILED" aria-label="Drop text: zzz"' in html(viewer, text="zzz", status="FAILED")
    none = html(stranger)
    assert 'data-empty="none"' in none
    assert "curl --fail-with-body http://testserver/api/jobs" in none
    assert 'href="/tokens/"' in none
    assert "Task viewer" in none
    nothing = html(login(make_user("nobody")))
    assert 'data-empty="right"' in nothing
    assert "External tasks creator" in nothing
    assert "curl" not in nothing


def test_who_sees_only_their_own_is_not_asked_for_an_owner(owner: Client, viewer: Client) -> None:
    assert 'name="owner"' not in html(owner)
    assert 'name="owner"' in html(viewer)


@pytest.mark.parametrize(
    ("address", "most"),
    [
        ("/jobs/", 6),
        ("/jobs/rows/", 6),
        ("/jobs/?status=STARTED&owner=plugin&text=o&search=clone", 8),  # SQLite; PostgreSQL needs fewer
    ],
)
def test_the_queries_of_a_list_do_not_grow(address: str, most: int, viewer: Client) -> None:
    counts = set()
    for count in (1, 40):
        for job in many_jobs(count):
            make_step(job)
        rows._html.cache_clear()  # of rows that were written before nothing is asked
        with CaptureQueriesContext(connection) as queries:
            viewer.get(address)
        counts.add(len(queries))
    assert len(counts) == 1
    assert max(counts) <= most


def test_the_queries_of_a_row(
    site: Site, viewer: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    jobs.end_job(job_id=site.job.pk, status="FINISHED", actor=make_actor(), now=NOW)
    address = f"/jobs/{site.job.pk}/row/"
    for queries, query in ((5, ""), (4, ""), (5, "?status=FINISHED")):
        with django_assert_num_queries(queries):
            viewer.get(address + query)
