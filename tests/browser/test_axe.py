"""Access for all, as axe sees it: no page, in either theme or width, has anything that it finds fault with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.tour import Stop, log_in, prepare, visits
from tests.live import ROOT, Site, plug_in, running_site

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FOUND = """async (run) => (await axe.run(document, run)).violations.map(
  (v) => `${v.impact} ${v.id}: ${v.nodes.map((n) => n.target.join(" ")).slice(0, 5).join(", ")}`)"""
ALL = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast"]}, "resultTypes": ["violations"]}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, list[Stop]]]:
    """A site with the commands of the tests, and where to look there."""
    folder: Path = tmp_path_factory.mktemp("tour")
    path = plug_in(folder / "plug-in", "tests.coordinator.commands")
    with running_site(folder / "data", PYTHONPATH=path) as site:
        yield site, prepare(site)


@pytest.mark.parametrize("width", [1366, 390])
def test_axe_finds_no_fault_with_any_page(
    chromium: Browser, filled: tuple[Site, list[Stop]], width: int
) -> None:
    site, stops = filled
    contexts = []

    def open_page(user: str) -> Page:
        context = chromium.new_context(
            base_url=site.url, viewport={"width": width, "height": 800}, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        if user:
            log_in(page, user, site.password)
        return page

    faults = []
    for stop, page in visits(stops, open_page):
        page.evaluate(AXE.read_text())
        for scheme, run in (("light", ALL), ("dark", COLOURS)):
            page.emulate_media(color_scheme=scheme)
            faults += [f"{stop.name} {scheme} {fault}" for fault in page.evaluate(FOUND, run)]
        page.emulate_media(color_scheme="light")
    for context in contexts:
        context.close()
    assert not faults, "\n".join(faults)
