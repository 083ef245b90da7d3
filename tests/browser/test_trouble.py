"""Server, database and workers go and come back while pages are open: no page ever says what is not so."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError

import pytest
from playwright.sync_api import Page, expect

from tests.browser.plugin import Plugin
from tests.browser.test_live import row
from tests.browser.truth import RETURN, TROUBLE, lies, said, says, watch
from tests.faults.test_postgres import Server, server  # noqa: F401 - a fixture
from tests.live import Site, plug_in, running_site
from tests.processes.eyes import alive, children, eventually, web_and_cluster
from tests.processes.http import ask

NOTICED = 3.0  # seconds until a page says that the server is gone, if its system says so at once
HUNG = 20.0  # seconds until it says so of one that is silent
END = (
    "from uuid import UUID; from django.contrib.auth.models import User; from django.utils import timezone;"
    "from taskmonitor.selectors import access; from taskmonitor.services.jobs import end_job;"
    "end_job(job_id=UUID({!r}), status='FAILED', actor=access.actor(User.objects.get(username='admin')), now=timezone.now())"
)


@dataclass
class Pages:
    """A page of every kind, all of them open at once; and what they show."""

    site: Site
    running: str
    step: str
    command: str
    all: dict[str, Page] = field(default_factory=dict)

    def say(self, word: str, seconds: float = 15) -> None:
        """Each of them does, within that time from now."""
        until = time.monotonic() + seconds
        for page in self.all.values():
            says(page, word, max(until - time.monotonic(), 0.1))

    def told_no_lies(self) -> None:
        assert {kind: told for kind, page in self.all.items() if (told := lies(page))} == {}


@pytest.fixture
def opened(new_page: Callable[..., Page]) -> Callable[[Site], Pages]:
    """Opens a page of every kind, which are watched from then on."""

    def open_all(site: Site) -> Pages:
        admin = Plugin(site, site.username, site.password)
        running, ended = admin.job("Goes on"), admin.job("Has ended")
        step = admin.step(running, "Copy disks")
        admin.step(running, "Disk 1", parent=step)
        admin.step(ended, "Copy disks")
        admin.end_job(ended)
        command = admin.command("Waiting", word=f"never-{time.monotonic_ns()}")
        first = new_page(at=site, expected=TROUBLE)
        pages = Pages(site, running, step, command)
        for kind, address in {
            "list": "/jobs/",
            "job": f"/jobs/{running}/",
            "ended job": f"/jobs/{ended}/",
            "step": f"/jobs/{running}/steps/{step}/",
            "commands": "/commands/",
            "command": f"/commands/{command}/",
            "tokens": "/tokens/",
            "account": "/account/",
        }.items():
            page = pages.all[kind] = first.context.new_page() if pages.all else first
            page.goto(address)
            page.evaluate("window.since = 'the first load'")
            watch(page)
        pages.say("live")
        return pages

    return open_all


@pytest.fixture
def working(tmp_path: Path) -> Iterator[Site]:
    """A site of its own, with the commands of the tests."""
    path = plug_in(tmp_path / "plug-in", "tests.coordinator.commands")
    with running_site(tmp_path / "data", PYTHONPATH=path) as site:
        yield site


@contextmanager
def back_soon(pages: Pages) -> Iterator[None]:
    """Within, what was away returns and answers; then every page is live soon, and is still what was loaded."""
    yield
    eventually(lambda: ask(pages.site, "GET", "/healthz").status == 200)
    answered = time.monotonic()
    pages.say("live", RETURN)
    print(f"live {time.monotonic() - answered:.1f} s after the return")  # noqa: T201 - pytest -s
    for page in pages.all.values():
        assert page.evaluate("window.since") == "the first load"
        assert (said(page).banner, said(page).held) == ("", 0)


def use(pages: Pages) -> None:
    """Click on a filter, and open a row, while that is of no use: both are refused, and it is said."""
    page = pages.all["list"]
    page.get_by_text("Failed", exact=True).first.click(force=True)
    for toggle in page.locator("a.toggle[data-level]").all():
        toggle.click(force=True)
    page.locator("tr.job").first.focus()
    page.keyboard.press("l")
    expect(page.locator("#announcer")).not_to_be_empty()
    expect(page.locator('tr[aria-expanded="true"]')).to_have_count(0)
    assert said(page).chosen == ""
    job = pages.all["job"]
    job.locator("a.toggle[data-level]").first.click(force=True)
    expect(job.locator('tr[aria-expanded="true"]')).to_have_count(0)
    expect(job.locator("a.toggle[data-level]").first).to_have_attribute(
        "title", said(job).banner.split(".")[0] + "."
    )


def test_a_server_that_is_killed(opened: Callable[[Site], Pages], working: Site) -> None:
    pages = opened(working)
    working.kill()
    pages.say("away", NOTICED)
    for page in pages.all.values():
        assert "The server does not answer. What you see is from" in said(page).banner
        assert said(page).held
    use(pages)
    working.manage("shell", "-v0", "-c", END.format(pages.running))
    with back_soon(pages):
        working.come_back()
    expect(row(pages.all["list"], pages.running)).to_contain_text("Failed", timeout=1)
    for kind in ("job", "step"):
        expect(pages.all[kind].locator("#facts .state")).to_have_text("Failed", timeout=1)
    row(pages.all["list"], pages.running).locator("a.toggle").click()
    expect(row(pages.all["list"], pages.step)).to_contain_text("Failed")
    pages.told_no_lies()


def test_a_server_that_is_killed_while_a_filter_and_a_row_wait_for_it(
    opened: Callable[[Site], Pages], working: Site
) -> None:
    pages = opened(working)
    page = pages.all["list"]
    web, _ = web_and_cluster(working)
    os.kill(web, signal.SIGSTOP)
    page.get_by_role("radio", name="Failed").check(force=True)
    row(page, pages.running).locator("a.toggle").click()
    working.kill()
    pages.say("away", NOTICED)
    expect(page.locator("#filter-problem")).to_have_text(
        "The list was not changed. The server does not answer."
    )
    assert said(page).chosen == ""
    expect(row(page, pages.running).locator(".problem")).to_have_text(
        "Not opened. The server does not answer."
    )
    with back_soon(pages):
        working.come_back()
    page.get_by_role("radio", name="Failed").check(force=True)
    expect(row(page, pages.running)).to_have_count(0)
    expect(page.locator("#filter-problem")).to_be_empty()
    pages.told_no_lies()


def test_a_server_that_hangs(opened: Callable[[Site], Pages], working: Site) -> None:
    pages = opened(working)
    web, _ = web_and_cluster(working)
    os.kill(web, signal.SIGSTOP)
    try:
        pages.say("away", HUNG)
        use(pages)
    finally:
        with back_soon(pages):
            os.kill(web, signal.SIGCONT)
    pages.told_no_lies()


def test_a_web_server_that_is_started_again_by_itself(opened: Callable[[Site], Pages], working: Site) -> None:
    pages = opened(working)
    web, _ = web_and_cluster(working)
    with back_soon(pages):
        os.kill(web, signal.SIGKILL)
    pages.told_no_lies()


def test_a_database_that_is_stopped(
    opened: Callable[[Site], Pages],
    server: Server,  # noqa: F811
    tmp_path: Path,
) -> None:
    path = plug_in(tmp_path / "plug-in", "tests.coordinator.commands")
    with running_site(tmp_path / "data", PYTHONPATH=path, DATABASE_URL=server.url) as site:
        pages = opened(site)
        server.control("stop", "-m", "immediate")
        try:
            pages.say("away", NOTICED)
            for page in pages.all.values():
                assert "The server cannot reach its database. What you see is from" in said(page).banner
            use(pages)
        finally:
            server.control("start")
        with back_soon(pages):
            pass
        pages.told_no_lies()


def test_workers_that_are_killed_and_that_stand_still(opened: Callable[[Site], Pages], working: Site) -> None:
    pages = opened(working)
    _, cluster = web_and_cluster(working)
    os.kill(cluster, signal.SIGKILL)
    eventually(lambda: not alive(cluster))
    _, cluster = web_and_cluster(working)
    pages.say("live")
    stalled = pages.all["command"].get_by_text("No worker looks at commands")
    stopped = [cluster, *children(cluster)]

    def all_get(number: signal.Signals) -> None:
        for pid in stopped:
            os.kill(pid, number)

    def stop_and_submit() -> bool:
        all_get(signal.SIGSTOP)
        try:
            return bool(Plugin(working, working.username, working.password).command("Plain"))
        except HTTPError:  # one was stopped while it wrote to SQLite, where nobody else can then
            all_get(signal.SIGCONT)
            return False

    try:
        eventually(stop_and_submit)
        expect(stalled).to_be_visible(timeout=45_000)
    finally:
        all_get(signal.SIGCONT)
    expect(stalled).to_be_hidden()
    pages.say("live")
    pages.told_no_lies()
