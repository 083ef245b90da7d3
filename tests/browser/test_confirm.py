"""What cannot be undone is asked for first, by mouse, by keyboard and without scripts; a clearing is undone instead."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.plugin import Plugin
from tests.live import Site


def make_token(page: Page, name: str) -> None:
    page.goto("/tokens/")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make token").click()
    page.goto("/tokens/")


def test_a_token_is_revoked_by_keyboard_and_only_when_that_is_meant(
    new_page: Callable[..., Page], new_plugin: Callable[..., Plugin]
) -> None:
    page = new_page(new_plugin("External tasks creator"))
    make_token(page, "nightly")
    link, press = page.get_by_role("link", name="Revoke nightly"), page.keyboard.press
    dialog = page.get_by_role("dialog", name="Revoke the token nightly?")
    for leave in ("Escape", "Enter"):
        link.focus()
        press("Enter")
        expect(dialog).to_have_accessible_description(re.compile("^Programs that use it are refused"))
        expect(dialog).to_contain_text("This cannot be undone")
        expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
        press(leave)
        expect(dialog).to_have_count(0)
        expect(link).to_be_focused()
    press("Enter")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    press("Tab")
    expect(dialog.get_by_role("button", name="Revoke", exact=True)).to_be_focused()
    press("Enter")
    expect(page.get_by_role("status").filter(has_text="Revoked")).to_be_visible()
    expect(page.get_by_text("You have none.")).to_be_visible()


def test_a_link_whose_token_is_gone_meanwhile_says_so(
    new_page: Callable[..., Page], new_plugin: Callable[..., Plugin]
) -> None:
    page = new_page(
        new_plugin("External tasks creator"),
        expected=("Failed to load resource: the server responded with a status of 404",),
    )
    make_token(page, "nightly")
    other = page.context.new_page()
    other.goto("/tokens/")
    other.get_by_role("link", name="Revoke nightly").click()
    other.get_by_role("button", name="Revoke", exact=True).click()
    expect(other.get_by_text("You have none.")).to_be_visible()
    page.get_by_role("link", name="Revoke nightly").click()
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    page.get_by_role("link", name="To your tokens").click()
    expect(page.get_by_text("You have none.")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_clearing_is_undone(
    new_page: Callable[..., Page], new_plugin: Callable[..., Plugin], scripts: bool
) -> None:
    plugin = new_plugin("External tasks creator")
    job = plugin.job("Done")
    plugin.end_job(job)
    page = new_page(plugin, java_script_enabled=scripts)
    page.goto(f"/jobs/{job}/")
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("button", name="Bring back")).to_be_visible()
    page.get_by_role("status").filter(has_text="it has left the lists").get_by_role(
        "button", name="Undo"
    ).click()
    expect(page.get_by_text("It is back in the lists")).to_be_visible()
    page.goto("/jobs/")
    expect(page.locator("tr.job .name")).to_have_text("Done")


def test_an_expired_session_leads_back_to_the_question(
    new_page: Callable[..., Page], new_plugin: Callable[..., Plugin], site: Site
) -> None:
    plugin = new_plugin("External tasks creator")
    page = new_page(plugin)
    make_token(page, "nightly")
    expect(page.locator("html")).to_have_attribute("data-truth", "live")
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("link", name="Revoke nightly").click()
    page.wait_for_url("**/login/**")
    page.get_by_label("Name").fill(plugin.username)
    page.get_by_label("Password").fill(plugin.password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Revoke the token nightly?")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("link", name="Revoke nightly")).to_be_visible()
