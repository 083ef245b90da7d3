"""From the list to what made a job fail: on screen with no click, its step with one; and while pages are open."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.plugin import Plugin
from tests.browser.test_live import is_live, is_same, row

REASON = "No space left on datastore ds-7"


def chain(plugin: Plugin, job: str, *names: str) -> list[str]:
    made: list[str] = []
    for name in names:
        made.append(plugin.step(job, name, parent=made[-1] if made else ""))
    return made


def fail(plugin: Plugin, job: str, step: str, reason: str = REASON) -> None:
    plugin.post(f"/{job}/steps/{step}/end", succeeded=False, reason=reason)


def is_whole_in_view(shown: Locator) -> bool:
    """Whether all of it is within the window, and nothing lies over it."""
    return bool(
        shown.evaluate("""element => {
            const { top, bottom, left, height } = element.getBoundingClientRect();
            const over = document.elementFromPoint(left + 20, top + height / 2);
            return top >= 0 && bottom <= innerHeight && element.contains(over);
        }""")
    )


@pytest.mark.parametrize("javascript", [True, False])
@pytest.mark.parametrize("siblings", [1, 120])
def test_a_failure_four_levels_deep_is_seen_in_the_list_and_its_step_after_one_click(
    siblings: int, javascript: bool, new_page: Callable[..., Page], plugin: Plugin
) -> None:
    job = plugin.job("Clone web-01")
    *above, disk = chain(plugin, job, "Executing", "copy disks", "disk 2")
    blocks = [plugin.step(job, f"block {n}", parent=disk) for n in range(siblings)]
    failed = blocks[-1 if siblings == 1 else 110]
    fail(plugin, job, failed)
    for step in (disk, *reversed(above)):
        plugin.end_step(job, step)
    plugin.end_job(job)
    page = new_page(plugin, java_script_enabled=javascript)
    why = row(page, job).locator("a.why")
    expect(why).to_have_text(f"block {blocks.index(failed)}: {REASON}")
    assert is_whole_in_view(why)
    assert why.evaluate("e => e.scrollHeight <= e.clientHeight") if javascript else True
    why.click()
    shown = row(page, failed)
    expect(shown).to_contain_text(REASON)
    page.wait_for_timeout(300)
    assert is_whole_in_view(shown)
    for step in (*above, disk):
        expect(row(page, step)).to_contain_text("Finished with warnings")
    page.goto(f"/jobs/{job}/")
    panel = page.get_by_role("region", name="What went wrong")
    expect(panel).to_contain_text(REASON)
    assert is_whole_in_view(panel)
    expect(row(page, failed)).to_have_count(1)


def test_a_failure_out_of_sight_is_shown_in_every_row_above_it(
    new_page: Callable[..., Page], plugin: Plugin
) -> None:
    job = plugin.job("Clone web-02")
    a, b, c, d = chain(plugin, job, "A", "B", "C", "D")
    pages = [new_page(plugin) for _ in range(3)]
    in_list, of_job, of_step = pages
    of_job.goto(f"/jobs/{job}/")
    of_step.goto(f"/jobs/{job}/steps/{a}/")
    for page in pages:
        is_live(page)
    row(in_list, job).locator("a.toggle").click()
    expect(row(in_list, a)).to_be_visible()
    row(in_list, a).locator("a.toggle").click()
    row(of_job, a).locator("a.toggle").click()
    for page in (in_list, of_job):
        expect(row(page, b)).to_contain_text("1 open")
    fail(plugin, job, d)
    for page in (in_list, of_job):
        for step in (a, b):
            expect(row(page, step)).to_contain_text("1 failed or aborted")
    expect(row(in_list, job).locator("a.why")).to_have_text(f"D: {REASON}")
    expect(of_job.get_by_role("region", name="What went wrong")).to_contain_text(REASON)
    expect(row(of_step, b)).to_contain_text("1 failed or aborted")
    expect(of_step.locator("#facts")).to_contain_text("1 failed or aborted")
    for step in (c, b, a):
        plugin.end_step(job, step)
    for page in (in_list, of_job):
        for step in (a, b):
            expect(row(page, step)).to_contain_text("Finished with warnings")
        assert is_same(page)
    expect(of_step.locator("#facts .state")).to_have_text("Finished with warnings")


def test_the_failure_that_one_looks_at_stays_while_the_page_is_live(
    new_page: Callable[..., Page], plugin: Plugin
) -> None:
    job = plugin.job("Clone web-03")
    disks = [plugin.step(job, f"disk {n}") for n in range(3)]
    for step in disks[:2]:
        fail(plugin, job, step, "full")
    page = new_page(plugin)
    page.goto(f"/jobs/{job}/")
    panel = page.get_by_role("region", name="What went wrong")
    panel.get_by_role("link", name="Next").click()
    page.wait_for_url(re.compile(f"step={disks[1]}"))
    expect(panel).to_contain_text("failure 2 of 2")
    is_live(page)
    fail(plugin, job, disks[2], "full")
    expect(panel).to_contain_text("failure 2 of 3")
    expect(panel).to_contain_text("disk 1")
    assert is_same(page)


def test_rows_that_the_page_opened_close_and_stay_open_like_any_other(
    new_page: Callable[..., Page], plugin: Plugin
) -> None:
    job = plugin.job("Clone web-04")
    top, middle, leaf = chain(plugin, job, "top", "middle", "leaf")
    fail(plugin, job, leaf)
    page = new_page(plugin)
    page.goto(f"/jobs/{job}/")
    is_live(page)
    plugin.progress(job, top, current=1, end=2)
    expect(row(page, top)).to_contain_text("50 %")
    expect(row(page, leaf)).to_be_visible()
    expect(row(page, top)).to_have_attribute("aria-expanded", "true")
    row(page, top).locator("a.toggle").click()
    expect(page.locator("tr.step")).to_have_count(1)
    row(page, top).locator("a.toggle").click()
    expect(row(page, middle)).to_have_attribute("aria-expanded", "false")
