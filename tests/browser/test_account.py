"""One's own account by keyboard, and an open page whose session ends."""

import json
from collections.abc import Callable
from urllib.parse import urlencode
from urllib.request import urlopen

from playwright.sync_api import Page, expect

from tests.browser.plugin import Plugin
from tests.browser.test_live import is_live


def test_a_login_is_ended_and_the_password_changed_by_keyboard_alone(
    new_page: Callable[..., Page], new_plugin: Callable[..., Plugin]
) -> None:
    plugin = new_plugin("External tasks creator")
    form = {"grant_type": "password", "username": plugin.username, "password": plugin.password}
    with urlopen(f"{plugin.site.url}/ovirt-engine/sso/oauth/token", urlencode(form).encode()) as answer:
        assert json.load(answer)["access_token"]
    page = new_page(plugin)
    press, write = page.keyboard.press, page.keyboard.type
    page.locator("details.menu summary").focus()
    press("Enter")
    press("Tab")
    expect(page.get_by_role("link", name="Your account")).to_be_focused()
    press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your account")
    page.get_by_label("A client of the oVirt API").focus()
    press("Space")
    press("Tab")
    expect(page.get_by_label("Current password")).to_be_focused()
    write(plugin.password)
    press("Enter")
    expect(page.get_by_role("status").filter(has_text="Ended: 1.")).to_be_visible()
    page.get_by_role("link", name="Change your password").focus()
    press("Enter")
    page.get_by_label("Current password").focus()
    for word in (plugin.password, "a staple that nobody has", "a staple that nobody has"):
        write(word)
        press("Tab")
    press("Enter")
    expect(page.get_by_role("status").filter(has_text="Your password is changed")).to_be_visible()


def test_an_open_page_leads_to_the_login_once_its_session_has_ended(
    new_page: Callable[..., Page], new_plugin: Callable[..., Plugin]
) -> None:
    plugin = new_plugin("External tasks creator")
    page = is_live(new_page(plugin))
    end = "from taskmonitor.models import Session; Session.objects.filter(user__username={!r}).delete()"
    plugin.site.manage("shell", "-v0", "-c", end.format(plugin.username))
    page.wait_for_url("**/login/?next=/jobs/", timeout=5000)


def test_what_an_open_page_fetches_does_not_keep_its_session(
    new_page: Callable[..., Page], new_plugin: Callable[..., Plugin]
) -> None:
    plugin = new_plugin("External tasks creator")
    job = plugin.job("Followed")
    page = is_live(new_page(plugin))
    with page.expect_request(lambda request: "/rows/" in request.url or "/row/" in request.url) as fetched:
        plugin.progress(job, current=1)
    assert fetched.value.headers["x-automatic"] == "1"
