import re

import pytest
from django.test import Client

from taskmonitor.models import Step
from taskmonitor.services import steps
from tests.factories import NOW, make_actor, make_step
from tests.pages.conftest import Site

pytestmark = pytest.mark.django_db


def html(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def shown(page: str) -> list[str]:
    return re.findall(r'class="row step [^"]*" role="row" aria-level="(\d+)"', page)


@pytest.mark.mission("S74")
def test_a_level_is_loaded_at_a_time(site: Site, owner: Client) -> None:
    base = f"/jobs/{site.job.pk}/steps/"
    top = html(owner, f"{base}?level=2")
    assert shown(top) == ["2"]
    assert 'aria-expanded="false"' in top
    assert f'data-level="{base}{site.step.pk}/steps/?level=3"' in top
    below = html(owner, f"{base}{site.step.pk}/steps/?level=3")
    assert shown(below) == ["3"]
    assert "aria-expanded" not in below
    assert f'data-parent="{site.step.pk}"' in below


def test_a_row_rolls_up_what_is_beneath_it(site: Site, owner: Client) -> None:
    for status in ("FINISHED", "FINISHED", "FAILED"):
        make_step(site.job, parent_step_id=site.step.pk, status=status)
    address = f"/jobs/{site.job.pk}/steps/{site.step.pk}/row/"
    page = html(owner, address)
    for expected in ("2 finished", "1 failed or aborted", "1 open", "Running"):
        assert expected in page
    steps.end_step(job_id=site.job.pk, step_id=site.step.pk, status="FINISHED", actor=make_actor(), now=NOW)
    assert "Finished with warnings" in html(owner, address)


def test_a_wide_level_comes_in_parts_of_fifty(site: Site, owner: Client) -> None:
    for _ in range(109):
        make_step(site.job)
    page, parts = html(owner, f"/jobs/{site.job.pk}/steps/"), []
    while True:
        parts.append(len(shown(page)))
        more = re.search(r'data-level="(/jobs/[^"]*after=[^"]*)"', page)
        if not more:
            break
        page = html(owner, more[1].replace("&amp;", "&"))
    assert parts == [50, 50, 10]


@pytest.mark.mission("S2")
def test_steps_fifty_deep_are_reached_by_links_alone(site: Site, owner: Client) -> None:
    step = site.below
    for _ in range(48):
        step = make_step(site.job, parent_step_id=step.pk)
    assert Step.objects.get(pk=step.pk).depth == 49
    address, visited = f"/jobs/{site.job.pk}/", 0
    while True:
        page = html(owner, address)
        onward = re.search(r'<a class="toggle" href="([^"]*)"', page)
        if not onward:
            break
        address, visited = onward[1], visited + 1
    assert visited == 49
    assert "43 more" in page
    assert str(step.pk) in page


def test_parts_of_a_wide_level_are_reached_by_links_alone(site: Site, owner: Client) -> None:
    for _ in range(60):
        make_step(site.job, parent_step_id=site.step.pk)
    address = f"/jobs/{site.job.pk}/steps/{site.step.pk}/"
    first = html(owner, address)
    more = re.search(r'href="([^"]*after=49)#steps"', first)
    assert more is not None
    rest = html(owner, more[1])
    assert (len(shown(first)), len(shown(rest))) == (50, 11)
    assert "From number 50 on" in rest


def test_the_page_of_a_step(site: Site, owner: Client) -> None:
    steps.end_step(
        job_id=site.job.pk,
        step_id=site.below.pk,
        status="FAILED",
        actor=make_actor(),
        now=NOW,
        reason="disk full",
    )
    page = html(owner, f"/jobs/{site.job.pk}/steps/{site.below.pk}/")
    for expected in ("Failed", "disk full", "executing", str(site.below.pk), "No sub-steps"):
        assert expected in page
    crumbs = page[page.index('aria-label="Breadcrumbs"') : page.index("</nav>", page.index("Breadcrumbs"))]
    assert re.findall('href="([^"]*)"', crumbs) == [
        "/jobs/",
        f"/jobs/{site.job.pk}/",
        f"/jobs/{site.job.pk}/steps/{site.step.pk}/",
    ]
