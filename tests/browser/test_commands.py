"""Commands that are run over REST while their pages are open."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.plugin import Plugin
from tests.live import Site, plug_in, running_site


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with the commands of the tests."""
    folder: Path = tmp_path_factory.mktemp("commands")
    path = plug_in(folder / "plug-in", "tests.coordinator.commands")
    with running_site(folder / "data", PYTHONPATH=path) as site:
        yield site


@pytest.fixture
def run(working: Site) -> Callable[..., str]:
    return Plugin(working, working.username, working.password).command


@pytest.mark.mission("S12", "S75")
def test_a_command_appears_and_ends(
    new_page: Callable[..., Page], working: Site, run: Callable[..., str]
) -> None:
    run("Plain", word="first")
    page = new_page(at=working)
    page.get_by_role("link", name="Commands").click()
    page.evaluate("window.since = 'the first load'")
    waiting = run("Waiting", word="abc")
    row = page.locator(f"#command-{waiting}")
    expect(row).to_contain_text("waits for news")
    row.focus()
    page.wait_for_timeout(2500)
    expect(row).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Waiting", level=1)).to_be_visible()
    expect(page.locator("#command-facts")).to_contain_text("Waits for")
    page.get_by_role("link", name="Mark failed…").click()
    expect(page.get_by_role("link", name="Cancel")).to_be_focused()
    reason = page.get_by_label("Reason")
    reason.press_sequentially("it hangs")
    reason.press("Enter")  # which only ends the line
    page.wait_for_timeout(2500)  # the facts are fetched meanwhile
    expect(reason).to_have_value("it hangs\n")
    expect(page.locator(".facts")).to_contain_text("Active")
    reason.press("Backspace")
    page.get_by_role("button", name="Mark failed").click()
    expect(page.locator(".note")).to_contain_text("Failed: its end method runs now.")
    expect(page.locator(".facts")).to_contain_text("Ended with failure")
    expect(page.locator(".reason")).to_have_text("admin marked it failed: it hangs")
    page.get_by_role("link", name="its job").click()
    expect(page.locator("#facts")).to_contain_text("Failed")
    page.get_by_role("link", name="Waiting", exact=True).first.click()
    expect(page).to_have_url(f"{working.url}/commands/{waiting}/")


def test_a_trace_stays_as_it_is_while_the_page_is_fetched_again(
    new_page: Callable[..., Page], working: Site, run: Callable[..., str]
) -> None:
    command = run("Struggling", fail_in="end_successfully")
    page = new_page(at=working)
    page.goto(f"/commands/{command}/")
    trace = page.locator("#trace")
    line = trace.get_by_text("RuntimeError: no end_successfully")
    expect(trace).to_be_visible(timeout=8000)
    for is_open in (True, False):
        trace.locator("summary").click()
        trace.evaluate("element => element.classList.add('old')")
        expect(page.locator("#trace.old")).to_have_count(0, timeout=8000)
        expect(line).to_be_visible(visible=is_open)
        expect(trace.locator("summary")).to_be_focused()


def test_all_of_it_works_without_javascript(
    new_page: Callable[..., Page], working: Site, run: Callable[..., str]
) -> None:
    command = run("Waiting", word="plain")
    page = new_page(at=working, java_script_enabled=False)
    page.goto("/commands/?show=active")
    page.locator(f"#command-{command} a.name").click()
    page.get_by_role("link", name="Poll now…").click()
    page.get_by_role("button", name="Poll now").click()
    assert page.url.endswith(f"/commands/{command}/poll/")  # a browser asks for the reason first
    page.get_by_label("Reason").press("Enter")
    assert page.url.endswith(f"/commands/{command}/poll/")
    page.get_by_label("Reason").fill("slow")
    page.get_by_role("button", name="Poll now").click()
    expect(page.locator(".note")).to_contain_text("A worker looks at it now.")


@pytest.mark.parametrize("width", [390, 1366])
def test_nothing_is_wider_than_the_screen(
    new_page: Callable[..., Page], working: Site, run: Callable[..., str], width: int
) -> None:
    command = run("Plain", word="long" * 200, fail_in="execute")
    page = new_page(at=working, viewport={"width": width, "height": 800})
    for address in ("/commands/", f"/commands/{command}/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
