"""Screenshots of every page, in both themes and two widths: python -m tests.browser.screenshots FOLDER [NAME…]."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.browsers import BINARIES, SWITCHES
from tests.browser.tour import log_in, prepare, visits
from tests.live import plug_in, running_site

SIZES = {"1366": {"width": 1366, "height": 768}, "390": {"width": 390, "height": 844}}


def main(folder: Path, names: list[str]) -> None:
    """Start a site, fill it, and look at all of it, or at the pages that are named."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, sync_playwright() as playwright:
        path = plug_in(Path(data) / "plug-in", "tests.coordinator.commands")
        with running_site(Path(data) / "site", PYTHONPATH=path) as site:
            stops = [stop for stop in prepare(site) if not names or stop.name in names]
            binary = next(path for path in BINARIES if path.exists())
            browser = playwright.chromium.launch(executable_path=binary, args=SWITCHES)
            sessions = {}
            for width, size in SIZES.items():

                def open_page(user: str, size: object = size) -> Page:
                    context = browser.new_context(
                        base_url=site.url, viewport=size, storage_state=sessions.get(user)
                    )
                    page = context.new_page()
                    if user and user not in sessions:
                        log_in(page, user, site.password)
                        sessions[user] = context.storage_state()
                    return page

                for stop, page in visits(stops, open_page):
                    for scheme in ("light", "dark"):
                        page.emulate_media(color_scheme=scheme)
                        page.screenshot(path=folder / f"{stop.name}-{width}-{scheme}.png")
            browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
