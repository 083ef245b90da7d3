"""Two hundred updates of what is on screen leave what people have there as it was."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.plugin import Plugin
from tests.browser.test_live import is_live, is_same, row
from tests.live import Site, plug_in, running_site

UPDATES = {"row": 200, "link": 200, "field": 40}  # by what has the focus

# What people have: `hold` remembers it, `lost` says what is not as it was.
HOLD = """async ([selected, typed]) => {
  const range = document.createRange();
  range.selectNodeContents(document.querySelector(selected));
  if (!document.activeElement.matches("input")) {  // the caret in a field is the selection
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  }
  for (const field of document.querySelectorAll(typed)) if (!field.value) field.value = "half a wo";
  const animation = () => document.querySelector(".state.is-running .icon")?.getAnimations()[0];
  const all = (selector, value) => [...document.querySelectorAll(selector)].map((each) => `${each.id} ${value(each)}`).join();
  const state = () => ({
    "the focus": document.activeElement,
    "the selected text": getSelection().toString(),
    "the place of the selection": getSelection().anchorNode,
    "the caret": `${document.activeElement.selectionStart} ${document.activeElement.selectionEnd}`,
    "the scroll position": Math.round(range.getBoundingClientRect().top),
    "what is open": all("[aria-expanded=true], details[open]", () => ""),
    "what was typed": all("input:not([type=hidden], [type=radio])", (field) => field.value),
    "what the keys go to": all("tr[tabindex='0']", () => ""),
    "the turning of the spinner": animation(),
    "the beginning of its turn": animation()?.startTime,
  });
  await animation()?.ready;
  const before = state(), events = [];
  for (const type of ["focus", "blur", "focusin", "focusout"]) {
    document.addEventListener(type, ({ target }) => events.push(`${type} of ${target.id || target.nodeName}`), true);
  }
  window.lost = () => [...Object.entries(state()).filter(([name, value]) => value !== before[name]).map(([name]) => name), ...events];
}"""
# The script's own way to bring a part of the page up to date, without its bound of some a second.
REFRESH = """async (parts) => {
  const loaded = performance.getEntriesByType("resource").find(({ name }) => /wanted[.\\w]*\\.js$/.test(name));
  const { refresh } = await import(loaded.name);
  await Promise.all(parts.map(([selector, address, style]) => refresh(document.querySelector(selector), address, style)));
}"""


def undisturbed(
    page: Page,
    change: Callable[[int], object],
    parts: list[tuple[str, str, str]],
    *,
    selected: str,
    typed: str,
    where: str,
) -> None:
    """Make the changes, have each of the page's parts brought up to date after each, and see that nothing was lost."""
    page.evaluate(HOLD, [selected, typed])
    for number in range(UPDATES[where]):
        change(number)
        page.evaluate(REFRESH, parts)
    assert page.evaluate("lost()") == []
    assert is_same(page)


def put_focus(page: Page, where: str, on: str) -> None:
    """On a row or a link; or into a field, in the middle of what was typed."""
    if where == "field":
        page.locator(on).focus()
        page.keyboard.type("half a word")
        for _ in range(3):
            page.keyboard.press("ArrowLeft")
    elif where == "row":
        page.locator(on).locator(".c-where").click()
    else:
        page.locator(on).focus()
    expect(page.locator(on)).to_be_focused()


@pytest.fixture(scope="module")
def tree(plugin: Plugin) -> tuple[str, str, str, list[str]]:
    """A job with a step, and beneath it a step that goes on and many that stand still; among many other jobs."""
    for number in range(20):
        plugin.job(f"Older {number}")
    job = plugin.job("Copy all")
    step = plugin.step(job, "Copy")
    below = [plugin.step(job, f"Part {number}", parent=step) for number in range(30)]
    for number in range(20):
        plugin.job(f"Newer {number}")
    return job, step, below[0], below[1:]


def progress(plugin: Plugin, job: str, step: str) -> Callable[[int], None]:
    return lambda number: plugin.progress(job, step, current=number, end=400, text=f"block {number}")


@pytest.mark.parametrize("where", ["row", "field"])
def test_the_list_of_jobs(
    new_page: Callable[..., Page], plugin: Plugin, tree: tuple[str, str, str, list[str]], where: str
) -> None:
    job, step, below, others = tree
    page = is_live(new_page(plugin))
    for identifier in (job, step):
        row(page, identifier).locator("a.toggle").click()
    expect(row(page, others[-1])).to_be_visible()
    row(page, step).scroll_into_view_if_needed()
    page.evaluate("scrollBy(0, 40)")
    put_focus(page, where, f"#step-{below}" if where == "row" else "#search")
    parts = [
        ("#job-rows", f"/jobs/{job}/row/", "rows"),
        ("#job-rows", f"/jobs/{job}/steps/{step}/row/?level=2", "rows"),
        ("#job-rows", f"/jobs/{job}/steps/{below}/row/?level=3", "rows"),
        ("#job-rows", "/jobs/rows/", "list"),
    ]
    undisturbed(
        page,
        progress(plugin, job, below),
        parts,
        selected=f"#name-{below}",
        typed="#search, [name=owner]",
        where=where,
    )
    expect(row(page, below)).to_contain_text(f"block {UPDATES[where] - 1}")


@pytest.mark.parametrize("where", ["row", "field"])
def test_the_page_of_a_job(
    new_page: Callable[..., Page], plugin: Plugin, tree: tuple[str, str, str, list[str]], where: str
) -> None:
    job, step, below, others = tree
    page = new_page(plugin)
    page.goto(f"/jobs/{job}/")
    is_live(page)
    row(page, step).locator("a.toggle").click()
    expect(row(page, others[-1])).to_be_visible()
    page.evaluate("scrollTo(0, 60)")
    put_focus(page, where, f"#step-{below}" if where == "row" else "#search")
    parts = [
        ("#facts", f"/jobs/{job}/facts/", "morph"),
        ("#step-rows", f"/jobs/{job}/steps/?level=1", "rows"),
        ("#step-rows", f"/jobs/{job}/steps/{step}/steps/?level=2", "rows"),
        ("#history-rows", f"/jobs/{job}/history/", "rows"),
    ]
    undisturbed(
        page,
        progress(plugin, job, below),
        parts,
        selected="#facts dl div:nth-child(3)",
        typed="#search",
        where=where,
    )
    expect(row(page, below)).to_contain_text(f"block {UPDATES[where] - 1}")
    reports = page.locator("#history-rows tr", has_text="reported progress")
    expect(reports).to_have_count(1)


@pytest.mark.parametrize("where", ["row", "field"])
def test_the_page_of_a_step(
    new_page: Callable[..., Page], plugin: Plugin, tree: tuple[str, str, str, list[str]], where: str
) -> None:
    job, step, below, others = tree
    page = new_page(plugin)
    page.goto(f"/jobs/{job}/steps/{step}/")
    is_live(page)
    page.evaluate("scrollTo(0, 50)")
    put_focus(page, where, f"#step-{below}" if where == "row" else "#search")
    parts = [
        ("#facts", f"/jobs/{job}/steps/{step}/facts/", "morph"),
        ("#step-rows", f"/jobs/{job}/steps/{step}/steps/?level=1", "rows"),
    ]
    undisturbed(
        page, progress(plugin, job, below), parts, selected=f"#name-{others[0]}", typed="#search", where=where
    )
    expect(row(page, below)).to_contain_text(f"block {UPDATES[where] - 1}")


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with the commands of the tests."""
    folder: Path = tmp_path_factory.mktemp("updates")
    with running_site(
        folder / "data", PYTHONPATH=plug_in(folder / "plug-in", "tests.coordinator.commands")
    ) as site:
        yield site


@pytest.fixture(scope="module")
def admin(working: Site) -> Plugin:
    return Plugin(working, working.username, working.password)


@pytest.fixture(scope="module")
def commands(admin: Plugin) -> list[str]:
    """Many that are polled on and on."""
    return [admin.command("Polled", times=10**6, word=f"number {number}") for number in range(30)]


def poll(admin: Plugin, command: str) -> Callable[[int], Any]:
    return lambda number: admin.post(f"/{command}/poll", "commands", reason=f"look {number}")


@pytest.mark.parametrize("where", ["row", "link", "field"])
def test_the_list_of_commands(
    new_page: Callable[..., Page], admin: Plugin, commands: list[str], where: str
) -> None:
    page = new_page(at=admin.site)
    page.goto("/commands/")
    is_live(page)
    polled, other = commands[20], f"#command-{commands[18]}"
    expect(row(page, polled)).to_contain_text("poll")
    page.evaluate("scrollTo(0, 90)")
    put_focus(
        page, where, {"row": f"#command-{polled}", "link": f"{other} a.name", "field": "[name=text]"}[where]
    )
    parts = [
        ("#command-rows", f"/commands/{polled}/row/", "rows"),
        ("#command-rows", "/commands/rows/", "list"),
        ("#workers", "/commands/workers/", "morph"),
    ]
    undisturbed(
        page, poll(admin, polled), parts, selected=f"{other} a.name", typed="[name=text]", where=where
    )


@pytest.mark.parametrize("where", ["link", "field"])
def test_the_page_of_a_command(new_page: Callable[..., Page], admin: Plugin, where: str) -> None:
    command = admin.command("Struggling", fail_in="end_successfully")
    page = new_page(at=admin.site)
    page.goto(f"/commands/{command}/")
    is_live(page)
    page.locator("#trace-summary").click(timeout=20_000)
    page.evaluate("scrollTo(0, 70)")
    if where == "field":
        page.get_by_role("link", name="Mark failed").click()
    put_focus(page, where, "#trace-summary" if where == "link" else "[name=reason]")
    parts = [("#command-facts", f"/commands/{command}/facts/", "morph")]
    undisturbed(
        page,
        poll(admin, command),
        parts,
        selected="#trace code span:last-child",
        typed="#search" if where == "link" else "#search, [name=reason]",
        where=where,
    )
    expect(page.locator(".timeline")).to_contain_text("end method failed")


def test_what_is_selected_stays_while_changes_come_by_the_stream(
    new_page: Callable[..., Page], admin: Plugin, commands: list[str]
) -> None:
    page = new_page(at=admin.site)
    page.goto("/commands/")
    is_live(page)
    polled = row(page, commands[-1])
    polled.focus()
    page.evaluate(HOLD, [f"#command-{commands[-2]} a.name", "[name=text]"])
    for number in range(5):
        shown = polled.inner_text()
        poll(admin, commands[-1])(number)
        expect(polled).not_to_have_text(shown, timeout=3000)
    assert page.evaluate("lost()") == []


def test_pages_change_though_npm_is_missing(new_page: Callable[..., Page], plugin: Plugin) -> None:
    from django.conf import settings

    stub = settings.BASE_DIR / "static/idiomorph/idiomorph.esm.js"
    page = new_page(plugin)
    page.route("**/idiomorph/idiomorph*.js", lambda route: route.fulfill(path=stub))
    page.reload()
    is_live(page)
    job = plugin.job("Plain")
    step = plugin.step(job)
    expect(row(page, job)).to_contain_text("0/1")
    row(page, job).locator("a.toggle").click()
    row(page, step).locator(".c-where").click()
    plugin.end_step(job, step)
    expect(row(page, step)).to_contain_text("Finished")
    page.goto(f"/jobs/{job}/")
    is_live(page)
    plugin.end_job(job)
    expect(page.locator("#facts")).to_contain_text("Finished")
    assert is_same(page)
