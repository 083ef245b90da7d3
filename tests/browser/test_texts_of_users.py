"""What users write cannot turn round, push away or break the words beside it, whatever it is."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.plugin import Plugin

NASTY = (
    "\u202e<b>odd</b> \u05d0\u05d1 \u2069\u2067"
    + "Z\u0335\u0301\u0323\u0334" * 3
    + "unbroken" * 6
    + " (1) 50 %"
)

# Each of our own texts runs from left to right within a line, and so do the parts of a line beside a text of users.
TURNED = """() => {
  const turned = [];
  const lineOf = (rect) => Math.round(rect.top / 8);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    if (!node.data.trim() || node.parentElement.closest("bdi, .unseen") || !node.parentElement.checkVisibility()) continue;
    let last;
    for (let at = 0; at < node.length; at++) {
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      const rect = range.getBoundingClientRect();
      if (!rect.width) continue;
      if (last && lineOf(rect) === lineOf(last) && rect.left < last.left) { turned.push(node.data.trim()); break; }
      last = rect;
    }
  }
  for (const bdi of document.querySelectorAll("bdi")) {
    const range = document.createRange();
    for (const [first, second] of [[bdi.previousSibling, bdi], [bdi, bdi.nextSibling]]) {
      if (!first || !second || !first.textContent.trim() || !second.textContent.trim() || !bdi.checkVisibility()) continue;
      range.selectNode(first);
      const before = [...range.getClientRects()].at(-1);
      range.selectNode(second);
      const after = range.getClientRects()[0];
      if (before && after && lineOf(before) === lineOf(after) && after.left < before.right - 1) turned.push(bdi.parentElement.textContent);
    }
  }
  return turned;
}"""


@pytest.mark.parametrize("width", [1366, 390])
def test_our_words_stay_in_their_order_and_place(
    new_page: Callable[..., Page], new_plugin: Callable[..., Plugin], width: int
) -> None:
    plugin = new_plugin("External tasks creator")
    job = plugin.job(NASTY, entities=[{"type": NASTY[:40], "id": "1", "name": NASTY}])
    step = plugin.step(job, NASTY)
    below = plugin.step(job, NASTY, parent=step)
    plugin.progress(job, below, current=3, end=10, text=NASTY)
    plugin.post(f"/{job}/steps/{below}/end", status="FAILED", reason=NASTY)
    plugin.post(f"/{job}/end", status="FAILED", reason=NASTY)
    page = new_page(plugin, viewport={"width": width, "height": 800})

    def look() -> None:
        assert page.evaluate(TURNED) == [], page.url
        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url

    for address in ("/jobs/", f"/jobs/{job}/", f"/jobs/{job}/steps/{step}/", "/account/"):
        page.goto(address)
        look()
    assert page.title() == "Your account · Task Monitor"
    page.goto(f"/jobs/{job}/")
    assert page.title().startswith("\u2068\u202e<b>odd</b>")
    assert page.title().endswith("\u2069 · Task Monitor")
    page.goto("/jobs/?text=\u202eodd&search=\u202edd")
    look()
    page.goto("/tokens/")
    page.get_by_label("Name").fill(NASTY)
    page.get_by_role("button", name="Make token").click()
    expect(page.locator("#made-title")).to_contain_text("is ready")
    look()
    page.get_by_role("link", name="Revoke").click()
    expect(page.get_by_role("dialog")).to_contain_text("Revoke the token")
    look()
