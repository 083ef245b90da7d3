import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from taskmonitor.models import Event, Job, Role, Step
from taskmonitor.services import jobs, steps
from taskmonitor.services.jobs import EntityName
from tests.factories import NOW, make_actor, make_job, make_step, make_user
from tests.pages.conftest import Site

pytestmark = pytest.mark.django_db


def html(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def bare(text: str) -> str:
    return " ".join(text.split())


def test_the_facts_of_a_job(viewer: Client) -> None:
    job = make_job(entities=[EntityName("vm", "web-01")], correlation_id="clone-8841", heartbeat_limit=60)
    jobs.end_job(job_id=job.pk, status="FAILED", actor=make_actor(), now=NOW, reason="no space left on ds-7")
    page = html(viewer, f"/jobs/{job.pk}/")
    for expected in (
        "Failed",
        "no space left on ds-7",
        "plugin",
        "web-01",
        "clone-8841",
        str(job.pk),
        "AddExternalJob",
        "by hand",
    ):
        assert expected in page, expected
    assert '<a href="/jobs/">Jobs</a>' in page


def test_the_page_contains_the_fragments_it_swaps_in(site: Site, owner: Client) -> None:
    jobs.end_job(job_id=site.job.pk, status="FINISHED", actor=make_actor(), now=NOW)
    page = bare(html(owner, f"/jobs/{site.job.pk}/"))
    for fragment in ("history/", "steps/", f"steps/{site.step.pk}/row/"):
        assert bare(html(owner, f"/jobs/{site.job.pk}/{fragment}")) in page, fragment
    facts = bare(html(owner, f"/jobs/{site.job.pk}/facts/"))
    for part in facts.split('name="csrfmiddlewaretoken"'):
        assert part.partition('">')[2].strip() in page
    step = bare(html(owner, f"/jobs/{site.job.pk}/steps/{site.step.pk}/"))
    assert bare(html(owner, f"/jobs/{site.job.pk}/steps/{site.step.pk}/facts/")) in step
    assert bare(html(owner, f"/jobs/{site.job.pk}/steps/{site.step.pk}/steps/")) in step


def test_the_history_says_what_happened_and_who_did_it(site: Site, owner: Client) -> None:
    for current in (1, 2, 3):
        steps.report_progress(
            job_id=site.job.pk, step_id=site.step.pk, current=current, actor=make_actor(), now=NOW
        )
    steps.end_step(
        job_id=site.job.pk,
        step_id=site.step.pk,
        status="FAILED",
        actor=make_actor(),
        now=NOW,
        reason="disk full",
    )
    page = bare(html(owner, f"/jobs/{site.job.pk}/history/"))
    assert "STARTED → FAILED" in page
    assert "disk full" in page
    assert "3 times" in page
    assert page.count("reported progress") == 1
    assert page.index("disk full") < page.index("3 times") < page.index("added")
    assert '<td class="h-who"><bdi>plugin</bdi></td>' in page


def test_a_long_history_comes_in_parts_and_none_is_missing(owner: Client, site: Site) -> None:
    for _ in range(60):
        make_step(site.job)
    address, shown = f"/jobs/{site.job.pk}/history/", 0
    while address:
        page = html(owner, address)
        shown += page.count('id="event-') - page.count('id="event-older"')
        _, found, rest = page.partition('hx-get="')
        address = rest.partition('"')[0] if found else ""
    assert shown == Event.objects.filter(job=site.job).count() == 63


@pytest.mark.mission("D14")
def test_an_ended_job_can_be_cleared_by_its_owner(site: Site, owner: Client) -> None:
    address = f"/jobs/{site.job.pk}/"
    assert "Clear</button>" not in html(owner, address)
    jobs.end_job(job_id=site.job.pk, status="FINISHED", actor=make_actor(), now=NOW)
    assert "Clear</button>" in html(owner, address)
    assert owner.post(address + "clear/").headers["Location"] == address
    assert Job.objects.get().cleared_at is not None
    page = html(owner, address)
    assert "it has left the lists" in page
    assert "Clear</button>" not in page
    assert "Undo</button>" in page  # beside what has been said of it
    assert "Undo</button>" not in html(owner, address)
    assert "Bring back</button>" in html(owner, address)
    assert owner.post(address + "bring-back/").headers["Location"] == address
    assert Job.objects.get().cleared_at is None
    page = html(owner, address)
    assert "It is back in the lists" in page
    assert "brought back to the lists" in page  # in the history
    assert "Clear</button>" in page
    assert str(site.job.pk) in html(owner, "/jobs/")


@pytest.mark.parametrize(
    ("roles", "answer", "cleared"),
    [
        ([], 403, False),
        ([Role.VIEWER], 403, False),
        ([Role.INJECTOR], 404, False),
        ([Role.OPERATOR], 302, True),
    ],
)
def test_who_may_clear_the_job_of_another(
    roles: list[Role], answer: int, cleared: bool, site: Site, login: Callable[[User], Client]
) -> None:
    jobs.end_job(job_id=site.job.pk, status="FINISHED", actor=make_actor(), now=NOW)
    client = login(make_user("other", *roles))
    assert client.post(f"/jobs/{site.job.pk}/bring-back/").status_code == answer
    assert client.post(f"/jobs/{site.job.pk}/clear/").status_code == answer
    assert (Job.objects.get().cleared_at is not None) == cleared
    if Role.VIEWER in roles:
        assert "Clear</button>" not in html(client, f"/jobs/{site.job.pk}/")


@pytest.mark.parametrize(
    ("rest", "queries"),
    [
        ("", 12),
        ("facts/", 6),
        ("history/", 6),
        ("steps/", 7),
        ("steps/{step}/", 11),
        ("steps/{step}/row/", 6),
    ],
)
def test_the_queries_of_a_job_do_not_grow(
    rest: str, queries: int, site: Site, viewer: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    address = f"/jobs/{site.job.pk}/{rest.format(step=site.step.pk)}"
    for _ in range(2):
        for _ in range(20):
            make_step(site.job, parent_step_id=make_step(site.job).pk)
            make_step(site.job, parent_step_id=site.step.pk)
        with django_assert_num_queries(queries):
            viewer.get(address)


def test_nothing_of_a_silent_job_runs(site: Site, owner: Client) -> None:
    Job.objects.update(status="UNKNOWN", last_sign=NOW + timedelta(minutes=3))
    for address in ("/jobs/", f"/jobs/{site.job.pk}/", f"/jobs/{site.job.pk}/steps/{site.step.pk}/"):
        page = html(owner, address).partition("<main")[2]
        page = re.sub(r"<fieldset.*?</fieldset>", "", page, flags=re.DOTALL)  # the filters
        assert 'class="state is-running"' not in page, address
        assert "data-since" not in page, address
        assert ">3 m 00 s+</span>" in page, address


def test_progress_keeps_its_numbers(site: Site, owner: Client) -> None:
    gib = {"progress_current": 3, "progress_end": 10, "progress_text": "GiB"}
    Job.objects.update(**gib)
    Step.objects.update(**gib)
    for address in ("/jobs/", f"/jobs/{site.job.pk}/", f"/jobs/{site.job.pk}/steps/{site.below.pk}/"):
        assert "3 of 10 <bdi>GiB</bdi> (30 %)</span>" in html(owner, address), address
