"""A real Chromium on a real site. A test fails if the browser's console or policy complained meanwhile."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    StorageState,
    expect,
    sync_playwright,
)

from tests.browser.browsers import BINARIES, SWITCHES
from tests.browser.plugin import Plugin
from tests.live import Site

expect.set_options(timeout=15_000)  # the machine may be busy; test_live.py has the promise of a second


# What a page is made of, and does by itself, is the same on every database; it takes long to look at.
OF_PAGES = {f"test_{name}.py" for name in ("axe", "confirm", "texts_of_users", "updates", "windows")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    on_sqlite = pytest.mark.skipif(
        "DATABASE_URL" in os.environ, reason="the same on every database: seen on SQLite"
    )
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if item.path.name in OF_PAGES:
                item.add_marker(on_sqlite)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    binary = next((path for path in BINARIES if path.exists()), None)
    if binary is None:
        reason = "Chromium is missing; Debian's package chromium-headless-shell or chromium brings it"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def plugin(site: Site) -> Plugin:
    return make_plugin(site, "External tasks creator")


@pytest.fixture
def new_plugin(site: Site) -> Callable[..., Plugin]:
    """Makes a user of the site with the roles."""
    return lambda *roles: make_plugin(site, *roles)


def make_plugin(site: Site, *roles: str) -> Plugin:
    username, password = f"plugin-{uuid4().hex[:8]}", uuid4().hex
    site.manage(
        "shell",
        "-v0",
        "-c",
        "from django.contrib.auth.models import Group, User;"
        f"user = User.objects.create_user({username!r}, password={password!r});"
        f"user.groups.set(Group.objects.filter(name__in={roles!r}))",
    )
    return Plugin(site, username, password)


@pytest.fixture(scope="package")
def sessions() -> dict[tuple[Path, str], StorageState]:
    """The cookies of who logged in before, by the site's data and the name: to check a password takes long."""
    return {}


@pytest.fixture
def new_page(
    chromium: Browser, site: Site, sessions: dict[tuple[Path, str], StorageState]
) -> Iterator[Callable[..., Page]]:
    """Opens a page in a context of its own, logged in as the plug-in's user or as the superuser."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(
        user: Plugin | None = None, *, at: Site = site, expected: tuple[str, ...] = (), **options: object
    ) -> Page:
        username, password = (user.username, user.password) if user else (at.username, at.password)
        account = at.data, username
        session = sessions.get(account)
        context = chromium.new_context(
            base_url=at.url,
            storage_state=session,
            **{"viewport": {"width": 1366, "height": 768}, **options},
        )
        contexts.append(context)
        page = context.new_page()

        def complain(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not message.text.startswith(expected):
                complaints.append(message.text)

        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.goto("/jobs/")
        if session is None:
            page.get_by_label("Name").fill(username)
            page.get_by_label("Password").fill(password)
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url("**/jobs/")
            sessions[account] = context.storage_state()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints
