"""The list, the job's page and its tree say what made a job fail, and lead to it."""

import re
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from taskmonitor.models import Job, Step
from taskmonitor.pages import rows
from taskmonitor.services import jobs, steps
from tests.factories import NOW, make_actor, make_job, make_step
from tests.pages.conftest import Site

pytestmark = pytest.mark.django_db


def html(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def words(page: str) -> str:
    """What is read of the page."""
    return " ".join(re.sub("<[^>]*>", "", page).split())


def end(step: Step, status: str = "FAILED", reason: str = "") -> None:
    steps.end_step(
        job_id=step.job_id, step_id=step.pk, status=status, reason=reason, actor=make_actor(), now=NOW
    )


def chain(job: Job, *names: str, **fields: Any) -> list[Step]:
    made: list[Step] = []
    for name in names:
        parent = made[-1].pk if made else None
        made.append(make_step(job, description=name, parent_step_id=parent, **fields))
    return made


def panel(page: str) -> str:
    found = re.search('<section class="failure".*?</section>', page, re.DOTALL)
    return found[0] if found else ""


@pytest.fixture
def failed(site: Site) -> list[Step]:
    """A job whose steps stand four deep: the deepest failed, those above it finished, and so did the job."""
    job = make_job(description="Clone db-02")
    made = chain(job, "Executing", "copy disks", "disk 2", "write <block>")
    end(made[-1], reason="No space left on datastore ds-7")
    for step in made[-2::-1]:
        end(step, "FINISHED")
    jobs.end_job(job_id=job.pk, status="FINISHED", actor=make_actor(), now=NOW)
    return made


def test_each_step_above_a_failed_one_says_that_something_went_wrong(
    failed: list[Step], viewer: Client
) -> None:
    base = f"/jobs/{failed[0].job_id}/steps/"
    for step in failed[:-1]:
        row = html(viewer, f"{base}{step.pk}/row/")
        assert "Finished with warnings" in row
        assert "1 failed or aborted" in row
        assert "Finished with warnings" in html(viewer, f"{base}{step.pk}/facts/")
    assert "No space left on datastore ds-7" in html(viewer, f"{base}{failed[-1].pk}/row/")


def test_the_list_names_the_first_cause_and_leads_to_it(failed: list[Step], viewer: Client) -> None:
    job = failed[0].job_id
    row = html(viewer, f"/jobs/{job}/row/")
    assert "write &lt;block&gt;</bdi>: <bdi>No space left on datastore ds-7" in row
    assert f'href="/jobs/{job}/?step={failed[-1].pk}#step-{failed[-1].pk}"' in row
    assert "more failures" not in row
    assert row.replace("\n", "") in html(viewer, "/jobs/").replace("\n", "")


def test_a_running_job_and_a_failed_one_name_it_too_and_how_many_more(site: Site, viewer: Client) -> None:
    job = make_job()
    for name in ("disk 1", "disk 2", "disk 3"):
        end(make_step(job, description=name), reason=f"{name} is full")
    for status in ("STARTED", "FAILED"):
        if status == "FAILED":
            jobs.end_job(job_id=job.pk, status=status, actor=make_actor(), now=NOW, reason="gave up")
        row = words(html(viewer, f"/jobs/{job.pk}/row/"))
        assert "disk 1: disk 1 is full +2 more failures" in row.replace("+", " +")
        assert "gave up" not in row


def test_a_reason_of_the_jobs_own_stands_in_where_no_step_gave_one(site: Site, viewer: Client) -> None:
    by_itself, silent = make_job(), make_job()
    end(make_step(silent, description="disk 1"))
    for job in (by_itself, silent):
        jobs.end_job(job_id=job.pk, status="FAILED", actor=make_actor(), now=NOW, reason="the host is gone")
    row = html(viewer, f"/jobs/{by_itself.pk}/row/")
    assert "the host is gone" in row
    assert "?step=" not in row
    assert "disk 1: the host is gone" in words(html(viewer, f"/jobs/{silent.pk}/row/"))


def test_the_page_of_a_job_opens_on_its_first_cause(failed: list[Step], viewer: Client) -> None:
    page = html(viewer, f"/jobs/{failed[0].job_id}/")
    shown = words(panel(page)).replace("\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}", ">")
    assert "Executing > copy disks > disk 2 > write &lt;block&gt; No space left on datastore ds-7" in shown
    assert "Failed 21 Nov 12:00" in shown
    assert "failure 1 of" not in shown
    for level, step in enumerate(failed, start=1):
        row = page[page.index(f'id="step-{step.pk}"') :]
        assert f'aria-level="{level}"' in row.partition(">")[0]
        assert ('aria-expanded="true"' in row.partition(">")[0]) == (step is not failed[-1])
    assert panel(page) in html(viewer, f"/jobs/{failed[0].job_id}/facts/")


def test_a_job_that_went_well_has_no_such_panel(site: Site, viewer: Client) -> None:
    page = html(viewer, f"/jobs/{site.job.pk}/")
    assert panel(page) == ""
    assert 'aria-expanded="true"' not in page


def test_one_goes_from_failure_to_failure(site: Site, viewer: Client) -> None:
    job = make_job()
    disks = [make_step(job, description=f"disk {n}") for n in (1, 2, 3)]
    for step in reversed(disks):
        end(step, reason="full")
    address, seen = f"/jobs/{job.pk}/", []
    while address:
        shown = panel(html(viewer, address))
        seen.append(re.findall("failure . of .|disk .", words(shown)))
        onward = re.search('rel="next" href="([^"#]*)#', shown)
        assert ('rel="prev"' in shown) == (len(seen) > 1)
        facts = address.replace("/?", "/facts/?") if "?" in address else f"{address}facts/"
        assert panel(html(viewer, facts)) == shown
        address = onward[1] if onward else ""
    assert seen == [[f"failure {n} of 3", f"disk {4 - n}"] for n in (1, 2, 3)]


def test_the_page_opens_at_any_step_that_its_address_names(site: Site, viewer: Client) -> None:
    page = html(viewer, f"/jobs/{site.job.pk}/?step={site.below.pk}")
    assert f'id="step-{site.below.pk}"' in page
    for other, status in (("", 200), (str(make_step(make_job()).pk), 200), ("nonsense", 404)):
        answer = viewer.get(f"/jobs/{site.job.pk}/?step={other}")
        assert answer.status_code == status
        assert f'id="step-{site.below.pk}"' not in answer.content.decode()


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize(("place", "first"), [(49, 0), (50, 45), (119, 114)])
def test_a_level_begins_where_the_failed_step_is_on_it(
    depth: int, place: int, first: int, site: Site, viewer: Client
) -> None:
    job = make_job()
    parent = make_step(job) if depth else None
    made = [make_step(job, parent_step_id=parent and parent.pk) for _ in range(120)]
    end(made[place], reason="bad block")
    page = html(viewer, f"/jobs/{job.pk}/")
    level = f'aria-level="{depth + 1}"'
    numbers = [int(n) for n in re.findall(rf'row step[^>]*{level}[^>]*data-number="(\d+)"', page)]
    assert numbers[-50:] == list(range(first, min(first + 50, 120)))[-50:]
    assert place in numbers
    assert "bad block" in page[page.index(f'id="step-{made[place].pk}"') :].partition("</tr>")[0]
    if depth and first:
        assert f"{first} earlier" in page
        earlier = html(viewer, f"/jobs/{job.pk}/steps/{parent.pk}/")  # type: ignore[union-attr]
        assert f'id="step-{made[0].pk}"' in earlier
    elif first:
        assert f"From number {first} on" in page
        assert f'id="step-{made[0].pk}"' in html(viewer, f"/jobs/{job.pk}/?step=")
    assert ("data-more" in page) == (first + 50 < 120)


def test_rows_behind_the_path_and_links_to_more_stand_where_they_belong(site: Site, viewer: Client) -> None:
    job = make_job()
    tops = [make_step(job, description=f"top {n}") for n in range(60)]
    below = [make_step(job, description=f"below {n}", parent_step_id=tops[1].pk) for n in range(60)]
    end(below[2])
    page = html(viewer, f"/jobs/{job.pk}/")
    read = re.findall(r'class="name"[^>]*title="([^"]*)"|(Show \d+ more)', page)
    assert ["".join(found) for found in read] == [
        *("top 0", "top 1", *(f"below {n}" for n in range(50)), "Show 10 more"),
        *(f"top {n}" for n in range(2, 50)),
        "Show 10 more",
    ]


def test_a_step_too_deep_for_the_tree_has_a_page_that_the_list_leads_to(site: Site, viewer: Client) -> None:
    job = make_job()
    made = chain(job, *(f"level {n}" for n in range(rows.OPENED + 3)))
    end(made[-1], reason="at the bottom")
    found = re.search('class="why is-failed" href="([^"]*)"', html(viewer, f"/jobs/{job.pk}/row/"))
    assert found is not None
    assert "at the bottom" in html(viewer, found[1])
    page = html(viewer, f"/jobs/{job.pk}/")
    assert page.count('class="row step') == rows.OPENED
    assert found[1] in panel(page)
    assert "more" in panel(page)


def test_the_panel_is_gone_when_a_clean_up_has_deleted_the_step(failed: list[Step], viewer: Client) -> None:
    job = failed[0].job_id
    failed[-1].delete()
    assert panel(html(viewer, f"/jobs/{job}/")) == ""
    assert html(viewer, f"/jobs/{job}/row/")
    assert viewer.get("/jobs/").status_code == 200


def test_the_queries_do_not_grow_with_the_steps(
    site: Site, viewer: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    job = make_job()
    parent = make_step(job)
    last = make_step(job, parent_step_id=parent.pk)
    end(last)
    for _ in range(2):
        for _ in range(20):
            end(make_step(job, parent_step_id=parent.pk))
            make_step(job, parent_step_id=make_step(job).pk)
        with django_assert_num_queries(18):
            viewer.get(f"/jobs/{job.pk}/")
        with django_assert_num_queries(7):
            viewer.get(f"/jobs/{job.pk}/steps/{parent.pk}/row/")
