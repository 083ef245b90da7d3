"""The pages by keyboard alone, in both themes, on a narrow screen, without JavaScript."""

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.plugin import Plugin
from tests.browser.test_live import is_live, row


def test_by_keyboard_alone(new_page: Callable[..., Page], plugin: Plugin) -> None:
    mark = f"keys{time.time_ns()}"
    second, first = plugin.job(f"{mark} b"), plugin.job(f"{mark} a")
    step = plugin.step(first, "Outer")
    below = plugin.step(first, "Inner", parent=step)
    page = is_live(new_page(plugin))
    press = page.keyboard.press
    press("/")
    expect(page.get_by_label("Search jobs")).to_be_focused()
    page.keyboard.type(mark)
    press("Enter")
    expect(page.locator("#job-list")).to_have_attribute("data-query", f"search={mark}")  # the list is fetched
    expect(page.locator("tr.job")).to_have_count(2)
    press("Escape")
    press("j")
    expect(row(page, first)).to_be_focused()
    press("l")
    expect(row(page, step)).to_be_visible()
    press("l")
    expect(row(page, step)).to_be_focused()
    press("ArrowRight")
    expect(row(page, below)).to_be_visible()
    press("j")
    expect(row(page, below)).to_be_focused()
    press("h")
    expect(row(page, step)).to_be_focused()
    press("ArrowLeft")
    expect(row(page, below)).to_have_count(0)
    press("End")
    expect(row(page, second)).to_be_focused()
    press("Home")
    expect(row(page, first)).to_be_focused()
    press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    press("j")
    press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(row(page, first)).to_be_focused()
    press("Enter")
    page.wait_for_url(f"**/jobs/{first}/")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{mark} a")


@pytest.mark.mission("S2", "S74")
def test_fifty_levels_are_opened_in_place(new_page: Callable[..., Page], plugin: Plugin) -> None:
    job = plugin.job("Deep")
    steps = [plugin.step(job, "Level 1")]
    for n in range(2, 51):
        steps.append(plugin.step(job, f"Level {n}", parent=steps[-1]))
    page = is_live(new_page(plugin))
    row(page, job).locator(".c-where").click()
    for step in steps:
        page.keyboard.press("l")
        expect(row(page, step)).to_be_visible()
        page.keyboard.press("j")
        expect(row(page, step)).to_be_focused()
    expect(row(page, steps[-1])).to_have_attribute("aria-level", "51")
    expect(row(page, steps[-1])).to_be_in_viewport()
    row(page, job).locator("a.toggle").click()
    expect(page.locator("tr.step")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_one_is_chosen(
    scheme: str, new_page: Callable[..., Page], plugin: Plugin
) -> None:
    plugin.job("Themed")
    page = new_page(color_scheme=scheme)
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    colours = {"light": "rgb(246, 248, 250)", "dark": "rgb(15, 20, 26)"}
    other = "dark" if scheme == "light" else "light"
    assert page.evaluate(ground) == colours[scheme]
    assert len(page.screenshot()) > 10_000
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate(ground) == colours[other]
    page.reload()
    assert page.evaluate(ground) == colours[other]


CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data; };
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, n) => { const v = c[n] / 255; return sum + weight * (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); }, 0);
  const ground = (element) => { for (let e = element; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255]; };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest(".unseen, .skip, dialog, script, .left")) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(node.data.trim());
  }
  return poor;
}"""
NAMELESS = """() => [...document.querySelectorAll("a, button, input, select, progress")]
  .filter((e) => e.checkVisibility() && e.type !== "hidden")
  .filter((e) => !(e.getAttribute("aria-label") || e.innerText?.trim() || e.labels?.length || e.title))
  .map((e) => e.outerHTML)"""
SMALL = """() => [...document.querySelectorAll("button, select, input:not([type=checkbox], [type=radio]), summary, .toggle:not(.none), nav a")]
  .filter((e) => e.checkVisibility() && e.type !== "hidden" && !e.closest(".crumbs, .unseen"))
  .filter((e) => { const box = e.getBoundingClientRect(); return box.width < 23.5 || box.height < 23.5; })
  .map((e) => e.outerHTML)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1366, 390])
def test_every_page_can_be_read_and_hit(
    scheme: str, width: int, new_page: Callable[..., Page], plugin: Plugin
) -> None:
    job = plugin.job("Readable " + "and very long indeed " * 10, entity=[{"type": "vm", "id": "web-01"}])
    step = plugin.step(job, "unbroken" * 40)
    below = plugin.step(job, "Part", parent=step)
    plugin.end_step(job, below, succeeded=False)
    for status in ("FINISHED", "FAILED", "ABORTED"):
        plugin.end_job(plugin.job(f"Ended as {status}"), status)
    page = new_page(plugin, color_scheme=scheme, viewport={"width": width, "height": 800})
    for address in (
        "/jobs/",
        f"/jobs/{job}/",
        f"/jobs/{job}/steps/{step}/",
        "/tokens/",
        "/account/",
        "/account/password/",
        "/jobs/?search=foo+%3D+1",
        "/jobs/?text=zzzz",
    ):
        page.goto(address)
        page.wait_for_timeout(100)
        assert page.evaluate(CONTRAST) == [], address
        assert page.evaluate(NAMELESS) == [], address
        assert page.evaluate(SMALL) == [], address
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address


CUT = """() => [...document.querySelectorAll(".c-state, .c-started, .c-took")]
  .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth)
  .map((e) => e.innerText)"""
LONGEST = """() => document.querySelectorAll(".c-started time, .c-took span")
  .forEach((e) => { e.textContent = e.localName === "time" ? "30 Nov 23:59" : "23 h 59 m"; })"""


@pytest.mark.parametrize("width", [1366, 1025, 1024, 901, 701])
def test_states_and_times_are_whole_and_names_have_room(
    width: int, new_page: Callable[..., Page], plugin: Plugin
) -> None:
    job = plugin.job("Copy " * 40)
    plugin.end_step(job, plugin.step(job, "Fails"), succeeded=False)
    plugin.end_job(job)
    page = new_page(plugin, viewport={"width": width, "height": 800})
    expect(row(page, job)).to_contain_text("Finished with warnings")
    page.evaluate(LONGEST)
    assert page.evaluate(CUT) == []
    assert row(page, job).locator(".c-name").evaluate("e => e.clientWidth") > 150


def test_the_tree_says_what_it_is_to_a_screen_reader(new_page: Callable[..., Page], plugin: Plugin) -> None:
    job = plugin.job("Spoken")
    plugin.step(job, "One")
    plugin.step(job, "Two")
    page = new_page(plugin)
    row(page, job).locator("a.toggle").click()
    expect(page.locator("tr.step")).to_have_count(2)
    grid = page.get_by_role("treegrid", name="Jobs")
    expect(grid.get_by_role("row", expanded=True)).to_have_count(1)
    assert [r.get_attribute("aria-posinset") for r in page.locator("tr.step").all()] == ["1", "2"]
    assert [r.get_attribute("aria-setsize") for r in page.locator("tr.step").all()] == ["2", "2"]
    expect(grid.get_by_role("columnheader")).to_have_count(7)


def test_without_javascript(new_page: Callable[..., Page], new_plugin: Callable[..., Plugin]) -> None:
    plugin = new_plugin("External tasks creator")
    job = plugin.job("Plain pages")
    step = plugin.step(job, "Outer")
    below = plugin.step(job, "Inner", parent=step)
    plugin.end_job(plugin.job("Has failed"), "FAILED")
    page = new_page(plugin, java_script_enabled=False)
    expect(page.locator("tr.job")).to_have_count(2)
    expect(page.locator("#theme")).to_be_hidden()
    page.get_by_role("radio", name="Failed").check(force=True)
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("tr.job .name")).to_have_text("Has failed")
    page.get_by_role("link", name="Has failed").click()
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("it has left the lists")).to_be_visible()
    page.get_by_label("Search jobs").fill("status = started")
    page.get_by_label("Search jobs").press("Enter")
    row(page, job).locator("a.toggle").click()
    row(page, step).locator("a.toggle").click()
    expect(row(page, below)).to_contain_text("Inner")
    page.get_by_role("link", name="Tokens").click()
    page.get_by_label("Name").fill("plain")
    page.get_by_role("button", name="Make token").click()
    assert re.fullmatch(r"tm_[\w-]+", page.locator("#secret").inner_text())
    page.get_by_role("link", name="Revoke plain").click()
    page.get_by_role("button", name="Revoke", exact=True).click()
    expect(page.get_by_text("You have none.")).to_be_visible()


def test_who_logs_out_in_one_tab_is_out_in_the_other(
    new_page: Callable[..., Page], new_plugin: Callable[..., Plugin]
) -> None:
    plugin = new_plugin("External tasks creator")
    page = is_live(new_page(plugin))
    other = page.context.new_page()
    other.goto("/tokens/")
    other.locator("summary").click()
    other.get_by_role("button", name="Log out").click()
    other.wait_for_url("**/login/")
    plugin.job("Of no concern")
    page.wait_for_url("**/login/?next=/jobs/")
