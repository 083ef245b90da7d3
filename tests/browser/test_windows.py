"""Many windows of one browser, which share one stream."""

import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from playwright.sync_api import BrowserContext, Error, Page, Route, expect

from tests.browser.plugin import Plugin
from tests.browser.test_live import is_live, is_same, row
from tests.browser.truth import TROUBLE, says
from tests.live import Site
from tests.processes.eyes import eventually
from tests.processes.test_metrics import scraped, value

WITHOUT_WORKERS = "delete window.SharedWorker"
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def streams(site: Site) -> float:
    """How many the server has open."""
    return value(scraped(site), "taskmonitor_stream_readers")


def windows(context: BrowserContext, number: int, address: str = "/jobs/") -> list[Page]:
    pages = [context.new_page() for _ in range(number)]
    for page in pages:
        page.goto(address)
    return pages


def away_for_an_hour(page: Page, meanwhile: Callable[[], object] = lambda: None) -> None:
    """As its clock has it, which must be installed."""
    page.evaluate(HIDE, True)
    meanwhile()
    page.clock.fast_forward("01:00:00")
    page.evaluate(HIDE, False)


def test_ten_windows_are_live_by_one_stream(
    new_page: Callable[..., Page], site: Site, plugin: Plugin
) -> None:
    eventually(lambda: streams(site) == 0)
    first = new_page()
    pages = [first, *windows(first.context, 9)]
    for page in pages:
        is_live(page)
    eventually(lambda: streams(site) == 1)
    job = plugin.job("Seen everywhere")
    for page in pages:
        expect(row(page, job)).to_contain_text("Running")
    plugin.end_job(job)
    for page in pages:
        expect(row(page, job)).to_contain_text("Finished")
    first.close()
    for page in pages[2:]:
        page.goto(f"/jobs/{job}/")
        is_live(page)
    late = plugin.job("After some have gone")
    expect(row(pages[1], late)).to_be_visible()
    time.sleep(3)  # the metrics of all processes are known by then
    assert streams(site) == 1
    for page in pages[1:]:
        page.close()
    eventually(lambda: streams(site) == 0)


def test_a_window_that_was_out_of_sight_is_told_what_it_missed(
    new_page: Callable[..., Page], site: Site, plugin: Plugin
) -> None:
    first = is_live(new_page())
    [second] = windows(first.context, 1)
    is_live(second)
    second.evaluate(HIDE, True)
    job = plugin.job("Meanwhile")
    expect(row(first, job)).to_be_visible()
    expect(row(second, job)).to_have_count(0)
    second.evaluate(HIDE, False)
    expect(row(second, job)).to_be_visible()
    is_live(second)


def test_a_window_that_was_frozen_for_an_hour_is_fetched_anew(
    new_page: Callable[..., Page], plugin: Plugin
) -> None:
    page = new_page()
    page.clock.install()
    page.goto("/jobs/")
    is_live(page)
    job = ""

    def meanwhile() -> None:
        nonlocal job
        job = plugin.job("Meanwhile")

    with page.expect_request("**/jobs/rows/"):
        away_for_an_hour(page, meanwhile)
    expect(row(page, job)).to_be_visible()
    is_live(page)


def test_a_stream_whose_process_has_crashed_is_replaced(
    new_page: Callable[..., Page], site: Site, plugin: Plugin
) -> None:
    eventually(lambda: streams(site) == 0)
    first = is_live(new_page())
    second = first.context.new_page()
    second.goto("/jobs/")
    is_live(second)
    eventually(lambda: streams(site) == 1)
    with first.expect_event("crash"), suppress(Error):
        first.goto("chrome://crash")
    eventually(lambda: streams(site) == 0)
    job = plugin.job("After the crash")
    expect(row(second, job)).to_be_visible(timeout=30_000)
    eventually(lambda: streams(site) == 1)
    assert is_same(second)


def test_who_logs_out_in_one_window_is_logged_out_in_all(
    new_page: Callable[..., Page], new_plugin: Callable[..., Plugin]
) -> None:
    user, other = new_plugin("External tasks creator"), new_plugin("External tasks creator")
    first = is_live(new_page(user))
    others = [*windows(first.context, 2), *windows(first.context, 1, "/tokens/")]
    for page in others:
        says(page, "live")
    first.locator("summary").click()
    first.get_by_role("button", name="Log out").click()
    for page in others:
        page.wait_for_url("**/login/**", timeout=10_000)
    page = others[0]
    page.get_by_label("Name").fill(other.username)
    page.get_by_label("Password").fill(other.password)
    page.get_by_role("button", name="Log in").click()
    is_live(page)
    job = other.job("Somebody else's")
    expect(row(page, job)).to_be_visible()


def test_who_logs_in_as_somebody_else_sees_nothing_of_before(
    new_page: Callable[..., Page], new_plugin: Callable[..., Plugin]
) -> None:
    """The cookie is the browser's: pages of the one who was logged in before would ask with the new one's."""
    user, other = new_plugin("External tasks creator"), new_plugin("External tasks creator")
    job = user.job("Of the one before")
    page = is_live(new_page(user, expected=TROUBLE))
    another = is_live(new_page(other))
    page.context.clear_cookies()
    page.context.add_cookies(another.context.cookies())  # type: ignore[arg-type]
    page.route("**/row/*", lambda route: route.abort())  # so that the stream is doubted, and opened anew
    user.end_job(job)
    expect(page.locator(".who")).to_have_text(other.username)
    is_live(page)
    expect(row(page, job)).to_have_count(0)


def test_without_shared_workers_each_window_has_its_own_stream_while_it_is_seen(
    new_page: Callable[..., Page], site: Site, plugin: Plugin
) -> None:
    eventually(lambda: streams(site) == 0)
    first = new_page()
    first.context.add_init_script(WITHOUT_WORKERS)
    first.reload()
    is_live(first)
    [second] = windows(first.context, 1)
    is_live(second)
    eventually(lambda: streams(site) == 2)
    second.evaluate(HIDE, True)
    eventually(lambda: streams(site) == 1)
    job = plugin.job("Meanwhile")
    expect(row(first, job)).to_be_visible()
    second.evaluate(HIDE, False)
    expect(row(second, job)).to_be_visible()


REFUSALS = {
    403: "You may not see this any more.",
    404: "This is not there any more.",
    500: "The server has failed (500).",
    503: "The server cannot reach its database.",
}


@pytest.mark.parametrize("status", REFUSALS)
def test_what_is_refused_to_a_reader_is_said_where_it_was_asked_for(
    status: int, new_page: Callable[..., Page], plugin: Plugin
) -> None:
    """The answers are made up: a server that is well gives none of them."""
    job = plugin.job("Refused")
    plugin.step(job)
    page = is_live(new_page(plugin, expected=(*TROUBLE, "Response Status Error Code")))

    def refuse(route: Route) -> None:
        route.fulfill(status=status, body="no")

    page.route("**/steps/?level=*", refuse)
    page.route("**/jobs/?status=*", refuse)
    row(page, job).locator("a.toggle").click()
    expect(row(page, job).locator(".problem")).to_have_text(f"Not opened. {REFUSALS[status]}")
    expect(page.locator("#announcer")).to_contain_text(REFUSALS[status])
    page.get_by_role("radio", name="Failed").check(force=True)
    expect(page.locator("#filter-problem")).to_have_text(f"The list was not changed. {REFUSALS[status]}")
    expect(page.get_by_role("radio", name="All")).to_be_checked()
    expect(page.locator("#announcer")).to_contain_text("The list was not changed.")
    page.unroute_all()
    row(page, job).locator("a.toggle").click()
    expect(page.locator("tr.step")).to_have_count(1)
    expect(row(page, job).locator(".problem")).to_have_count(0)
    page.get_by_role("radio", name="Running").check(force=True)
    page.wait_for_url("**/jobs/?status=STARTED")
    expect(page.locator("#filter-problem")).to_be_empty()


def test_a_part_that_cannot_be_fetched_makes_the_page_say_that_it_may_be_old(
    new_page: Callable[..., Page], plugin: Plugin
) -> None:
    job = plugin.job("Part of it")
    page = new_page(plugin, expected=TROUBLE)
    page.goto(f"/jobs/{job}/")
    is_live(page)
    page.route("**/facts/", lambda route: route.fulfill(status=500, body="no"))
    plugin.end_job(job)
    says(page, "catching up")
    expect(page.locator("#offline")).to_contain_text("The server has failed (500). What you see is from")
    page.unroute_all()
    is_live(page)
    expect(page.locator("#facts .state")).to_have_text("Finished")
    expect(page.locator("#offline")).to_be_hidden()


def test_a_job_that_was_deleted_is_said_to_be_gone(
    new_page: Callable[..., Page], site: Site, plugin: Plugin
) -> None:
    job = plugin.job("Deleted")
    page = new_page(plugin, expected=TROUBLE)
    page.clock.install()
    page.goto(f"/jobs/{job}/")
    is_live(page)
    site.manage(
        "shell", "-v0", "-c", f"from taskmonitor.models import Job; Job.objects.get(pk={job!r}).delete()"
    )
    away_for_an_hour(page)
    says(page, "gone")
    expect(page.locator("#offline")).to_contain_text("What this page shows does not exist any more")
