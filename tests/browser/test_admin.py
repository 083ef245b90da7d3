"""The admin under the site's own Content-Security-Policy: the fixture fails on any complaint of the browser."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.plugin import Plugin


@pytest.mark.mission("S34")
def test_a_superuser_grants_the_role_in_the_browser(
    new_page: Callable[..., Page], new_plugin: Callable[..., Plugin]
) -> None:
    user = new_plugin()
    page = new_page()
    page.goto(f"/admin/auth/user/?q={user.username}")
    row = page.get_by_role("row").filter(has_text=user.username)
    expect(row.get_by_role("img", name="False").first).to_be_visible()
    row.get_by_role("checkbox").check()
    page.locator("select[name=action]").select_option(label="Grant external-tasks role")
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("Grant the role “External tasks creator” to")
    page.get_by_role("button", name="Grant", exact=True).click()
    expect(page.get_by_text("Granted to 1")).to_be_visible()
    page.goto("/admin/taskmonitor/auditentry/")
    expect(page.get_by_role("row").filter(has_text=user.username)).to_contain_text("External tasks creator")


PAGES = [
    "/admin/",
    "/admin/auth/user/add/",
    "/admin/auth/user/1/change/",
    "/admin/auth/group/",
    "/admin/auth/group/1/change/",
    "/admin/taskmonitor/accesstoken/",
    "/admin/taskmonitor/auditentry/",
    "/admin/taskmonitor/job/",
    "/admin/taskmonitor/job/retention/",
    "/admin/taskmonitor/step/",
    "/admin/taskmonitor/event/",
]


def test_the_admins_pages_keep_to_the_policy(new_page: Callable[..., Page]) -> None:
    page = new_page()
    for address in PAGES:
        response = page.goto(address)
        assert response is not None
        assert response.status == 200, address
        assert "unsafe" not in response.headers["content-security-policy"]
        expect(page.locator("#site-name")).to_have_text("Task Monitor")


def test_an_admin_gives_another_user_a_password(new_page: Callable[..., Page], plugin: Plugin) -> None:
    page = new_page()
    page.goto(f"/admin/auth/user/?q={plugin.username}")
    page.get_by_role("link", name=plugin.username).click()
    page.get_by_role("link", name="Reset password").click()
    expect(page.get_by_label("Must be changed at the next login")).to_be_checked()
    expect(page.get_by_text("A change ends all sessions and access tokens")).to_be_visible()
