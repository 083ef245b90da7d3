"""A job that falls silent while its page is open: nothing on it goes on as if it ran, until it is heard of again."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.plugin import Plugin
from tests.browser.test_live import is_live, row

LOSE = """
from datetime import timedelta
from uuid import UUID
from django.utils import timezone
from taskmonitor.services.jobs import lose_job
lose_job(job_id=UUID("{}"), reason="No sign of life.", now=timezone.now() + timedelta(minutes=2))
"""


def test_open_steps_stop_with_their_job_and_go_on_with_it(
    new_page: Callable[..., Page], plugin: Plugin
) -> None:
    job = plugin.job("Falls silent", heartbeat_limit=60)
    step = plugin.step(job, "Copies")
    ended = plugin.step(job, "Checked")
    plugin.end_step(job, ended)
    page = new_page(plugin)
    page.goto(f"/jobs/{job}/")
    expect(row(is_live(page), step)).to_contain_text("Running")
    plugin.site.manage("shell", "-v0", "-c", LOSE.format(job))
    expect(row(page, step)).to_contain_text("No sign of life")
    expect(row(page, step).locator(".c-took")).to_contain_text("s+")
    assert page.locator(".is-running").count() == 0
    assert page.locator("[data-since]").count() == 0
    expect(row(page, ended)).to_contain_text("Finished")
    plugin.progress(job, step, current=1)
    expect(row(page, step)).to_contain_text("Running")
    expect(row(page, step).locator("[data-since]")).to_have_count(1)
