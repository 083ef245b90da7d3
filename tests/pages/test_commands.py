"""The list of commands, the page of one, and what operators do there."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from coordinator.command import Context
from coordinator.executor import execute_async
from coordinator.models import CommandEntity, CommandStatus
from coordinator.testing import Worker
from taskmonitor.models import AuditEntry, Job, Right, Role, SiteState
from tests.coordinator.commands import Family, Plain, Polled, Series
from tests.coordinator.test_secrets import LogIn
from tests.factories import make_actor, make_user
from tests.pages.conftest import Site

pytestmark = pytest.mark.django_db
LATER = timedelta(seconds=60)


def html(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def bare(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


@pytest.fixture
def worker(site: Site) -> Worker:
    """One who has nothing to do yet."""
    site.command.delete()
    Polled.polls = 0
    return Worker(timezone.now() - timedelta(hours=1))


@pytest.fixture
def operator(login: Callable[[User], Client]) -> Client:
    return login(make_user("operator", Role.OPERATOR))


def test_the_list_says_where_each_command_stands(viewer: Client, worker: Worker) -> None:
    failed = worker.submit(Plain, fail_in="execute")
    worker.turn(1)
    polled = worker.submit(Polled, times=9)
    worker.turn()
    worker.turn(1)
    page = html(viewer, "/commands/")
    assert page.index(str(polled.command_id)) < page.index(str(failed.command_id))
    told = bare(page)
    assert "Active Polled executed 1 poll" in told
    assert "Ended with failure Plain RuntimeError: no execute not executed" in told
    assert f'href="/jobs/{CommandEntity.objects.get(pk=failed.command_id).job_id}/"' in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", {"Plain", "Polled", "Series", "LogIn"}),
        ("show=active", {"Polled", "LogIn"}),
        ("show=interrupted", {"Series"}),
        ("show=rollback", set()),
        ("show=unknown", {"Plain"}),
        ("text=poll", {"Polled"}),
        ("text=no+such", {"Plain"}),
        ("text=ÜBERTRAGUNG", {"Series"}),
        ("text={polled}", {"Polled"}),
        ("job={job}", {"Polled"}),
        ("job={job}&show=unknown", set()),
    ],
)
def test_the_list_is_filtered(viewer: Client, worker: Worker, query: str, shown: set[str]) -> None:
    polled = worker.submit(Polled, times=9)
    worker.turn()
    put = CommandEntity.objects.filter
    unknown = worker.submit(Plain)
    put(pk=unknown.command_id).update(status="UNKNOWN", due_at=None, error="There is no such command.")
    cut_off = worker.submit(Series)
    put(pk=cut_off.command_id).update(
        status="ENDED_WITH_FAILURE", due_at=None, attempts=1, ended_at=worker.now, error="Keine Übertragung."
    )
    worker.submit(LogIn, pin="unseen")
    job = CommandEntity.objects.get(pk=polled.command_id).job_id
    page = html(viewer, f"/commands/?{query.format(polled=polled.command_id, job=job)}")
    assert set(re.findall(r'class="name" href="[^"]*" title="[^"]*"><bdi>(\w+)<', page)) == shown


@pytest.mark.parametrize("query", ["show=x", "job=x", "after=x", "text=%00", "text=" + "x" * 3000])
def test_hostile_addresses_do_no_harm(viewer: Client, worker: Worker, query: str) -> None:
    assert viewer.get(f"/commands/?{query}").status_code == 200
    assert viewer.get(f"/commands/rows/?{query}").status_code == 200


def test_the_list_has_pages(viewer: Client, worker: Worker) -> None:
    for _ in range(120):
        worker.submit(Plain)
    seen, address = [], "/commands/"
    while address:
        page = html(viewer, address)
        seen += re.findall(r'data-command="([^"]*)"', page)
        found = re.search(r'rel="next" id="older" href="([^"]+)"', page)
        address = f"/commands/{found[1]}" if found else ""
    assert len(seen) == len(set(seen)) == 120


def test_the_page_of_a_command(viewer: Client, worker: Worker) -> None:
    handle = worker.submit(Series, times=2, word="abc")
    worker.run()
    page = html(viewer, f"/commands/{handle.command_id}/")
    told = bare(page)
    for expected in (
        "Series Plain Ended successfully Plain Ended successfully",
        "2 operations",
        "created",
        "Parameters Word",
        "&quot;word&quot;: &quot;abc&quot;",
        "regular flow",
    ):
        assert expected in told.replace("Ended successfully Plain", "Plain", 1) or expected in told, expected
    root = CommandEntity.objects.get(pk=handle.command_id)
    assert f'href="/jobs/{root.job_id}/"' in page
    child = CommandEntity.objects.filter(parent_command_id=root.pk)[0]
    assert f'href="/commands/{child.pk}/"' in page
    below = html(viewer, f"/commands/{child.pk}/")
    assert f'href="/commands/{root.pk}/"' in below
    assert "&quot;letters&quot;: 6" in below


def test_the_fragments_are_parts_of_the_pages(viewer: Client, worker: Worker) -> None:
    handle = worker.submit(Polled, times=9)
    facts = html(viewer, f"/commands/{handle.command_id}/facts/")
    assert bare(facts) in bare(html(viewer, f"/commands/{handle.command_id}/"))
    rows, page = html(viewer, "/commands/rows/"), html(viewer, "/commands/")
    assert bare(rows) in bare(page)
    assert bare(html(viewer, f"/commands/{handle.command_id}/row/")) in bare(rows)


def test_pages_follow_the_stream_instead_of_asking_again_and_again(viewer: Client, worker: Worker) -> None:
    handle = worker.submit(Polled, times=9)
    for address in ("/commands/", f"/commands/{handle.command_id}/"):
        page = html(viewer, address)
        assert "data-commands" in page
        assert "hx-trigger" not in page


def test_a_row_is_grey_once_the_filters_of_its_list_no_longer_hold(viewer: Client, worker: Worker) -> None:
    handle = worker.submit(Plain)

    def is_grey(query: str) -> bool:
        row = html(viewer, f"/commands/{handle.command_id}/row/?{query}")
        return re.search(r'class="row command [^"]*\bleft\b', row) is not None

    assert not is_grey("")
    assert not is_grey("show=active")
    assert is_grey("show=active&text=other")
    worker.run()
    assert is_grey("show=active")
    assert not is_grey("")


def test_of_two_answers_about_a_command_the_later_has_the_higher_version(
    viewer: Client, worker: Worker
) -> None:
    handle = worker.submit(Plain)
    versions = []
    for address in (
        "/commands/",
        f"/commands/{handle.command_id}/row/",
        f"/commands/{handle.command_id}/facts/",
    ):
        versions.append(int(re.findall(r'data-version="(\d+)"', html(viewer, address))[-1]))
    assert versions == sorted(set(versions))


def test_a_job_leads_to_its_command(site: Site, owner: Client) -> None:
    actor = make_actor(site.owner, *Right)
    handle = execute_async(Plain, context=Context(job_id=site.job.pk), now=timezone.now(), actor=actor)
    assert f'href="/commands/{handle.command_id}/"' in html(owner, f"/jobs/{site.job.pk}/")
    CommandEntity.objects.update(user=None)
    assert "/commands/" not in html(owner, f"/jobs/{site.job.pk}/")


def test_secrets_are_masked(viewer: Client, worker: Worker) -> None:
    handle = worker.submit(LogIn, pin="unseen")
    worker.run()
    page = html(viewer, f"/commands/{handle.command_id}/")
    assert "&quot;pin&quot;: &quot;***&quot;" in page
    assert "unseen" not in page.replace('class="unseen"', "")


def test_traces_are_for_those_who_may_see_them(
    viewer: Client, login: Callable[[User], Client], worker: Worker
) -> None:
    tracer = login(make_user("tracer", Role.VIEWER, Role.TRACE_VIEWER))
    handle = worker.submit(Plain, fail_in="execute")
    worker.run()
    address = f"/commands/{handle.command_id}/"
    assert "raise RuntimeError" not in html(viewer, address)
    assert "an administrator can give you that role" in html(viewer, address)
    page = html(tracer, address)
    assert re.search(r'<details id="trace"><summary id="trace-summary">', page)
    assert re.search(r'<span class="own"><bdi>    raise RuntimeError', page)
    assert re.search(r'<span class="quiet"><bdi>  File &quot;[^<]*sandbox.py', page)


def test_commands_are_in_the_menu_of_those_who_see_them(
    owner: Client, viewer: Client, operator: Client
) -> None:
    link = '<a href="/commands/"'
    assert [link in html(client, "/jobs/") for client in (owner, viewer, operator)] == [False, True, True]


def test_operators_alone_are_offered_operations(viewer: Client, operator: Client, worker: Worker) -> None:
    address = f"/commands/{worker.submit(Polled, times=9).command_id}/"
    assert "Operate" not in html(viewer, address)
    page = html(operator, address)
    offered = {
        words: "disabled" in rest
        for rest, words in re.findall(r'<(?:a|button type="button") class="button" ([^>]*)>([^<]*)<', page)
    }
    assert offered == {"Poll now…": False, "Mark failed…": False, "Resume": True, "Remove hierarchy": True}
    for verb in ("poll", "fail", "resume", "remove"):
        assert viewer.get(f"{address}{verb}/").status_code == 403
        assert viewer.post(f"{address}{verb}/", {"reason": "r"}).status_code == 403


def test_an_operator_does_something_for_a_reason(operator: Client, worker: Worker) -> None:
    handle = worker.submit(Polled, times=9)
    address = f"/commands/{handle.command_id}/"

    def act(verb: str, **fields: str) -> str:
        return bare(operator.post(f"{address}{verb}/", fields, follow=True).content.decode())

    assert "The reason cannot be empty." in act("poll")
    assert "A worker looks at it now." in act("poll", reason="slow")
    assert "This command is not started; it can be resumed if it is held or unknown" in act(
        "resume", reason="r"
    )
    assert "are still alive" in act("remove", reason="r")
    assert "operator marked it failed: it hangs" in act("fail", reason="it hangs")
    worker.now = timezone.now() + LATER
    worker.run()
    assert handle.status == CommandStatus.ENDED_WITH_FAILURE
    assert Job.objects.get(external=False).status == "FAILED"
    assert "Nothing was done: it is ended with failure by now." in act("fail", reason="r")
    assert "Removed, with all of its hierarchy." in act("remove", reason="over")
    assert operator.get(address).status_code == 404
    assert AuditEntry.objects.count() == 3


@pytest.mark.parametrize(
    ("verb", "button", "words"),
    [
        ("poll", "Poll now", "Nothing is lost by it."),
        ("fail", "Mark failed", "its job and step end as failed"),
        ("resume", "", "It cannot be done now: it is neither held nor unknown, nor cut off."),
        ("remove", "", "All commands of its hierarchy (4) are deleted"),
    ],
)
def test_an_operation_is_asked_for_first(
    operator: Client, worker: Worker, verb: str, button: str, words: str
) -> None:
    handle = worker.submit(Family, times=3)
    worker.turn()
    address = f"/commands/{handle.command_id}/"
    page = html(operator, f"{address}{verb}/")
    assert words in bare(page)
    assert f'<a class="button" href="{address}" data-cancel autofocus>Cancel</a>' in page
    assert re.findall(r'<button class="button danger">([^<]*)<', page) == ([button] if button else [])
    assert ("<textarea" in page) == bool(button)
    assert CommandEntity.objects.get(pk=handle.command_id).status == "ACTIVE"


def test_a_reason_that_is_refused_is_asked_for_again_and_kept(operator: Client, worker: Worker) -> None:
    address = f"/commands/{worker.submit(Polled, times=9).command_id}/fail/"
    answer = operator.post(address, {"reason": "what I\x00 wrote"})
    assert answer.status_code == 400
    assert "The reason has the character U+0000" in answer.content.decode()
    assert "what I" in answer.content.decode()


def test_a_banner_says_that_no_worker_works(viewer: Client, worker: Worker) -> None:
    worker.now = timezone.now()
    worker.submit(Plain)
    assert "No worker looks" not in html(viewer, "/commands/")
    CommandEntity.objects.update(due_at=worker.now - LATER)
    assert "No worker looks" in html(viewer, "/commands/")
    CommandEntity.objects.update(due_at=worker.now - LATER, lease_until=worker.now + LATER)
    assert "No worker looks" not in html(viewer, "/commands/")


def test_a_banner_says_that_a_restored_database_is_not_released(viewer: Client, worker: Worker) -> None:
    command = worker.submit(Plain).command_id
    CommandEntity.objects.update(due_at=timezone.now() - LATER)
    for page in "/commands/", f"/commands/{command}/", f"/commands/{command}/facts/":
        assert "not released" not in html(viewer, page)
        SiteState.objects.update(released_at=None)
        assert "not released" in html(viewer, page)
        assert "No worker looks" not in html(viewer, page)
        SiteState.objects.update(released_at=timezone.now())


@pytest.mark.parametrize(("rest", "queries"), [("", 6), ("rows/", 4), ("{root}/", 7), ("{root}/facts/", 7)])
def test_the_queries_do_not_grow(
    viewer: Client, worker: Worker, rest: str, queries: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    root = worker.submit(Family, times=3).command_id
    for _ in range(2):
        worker.run()
        for _ in range(10):
            worker.submit(Plain)
        with django_assert_num_queries(queries):
            viewer.get(f"/commands/{rest.format(root=root)}")
