"""What an open page says of itself, and what no page may say at any time."""

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page, expect

TROUBLE = ("Failed to load resource", "htmx:")  # how the browser's console begins to speak of it
RETURN = 3.0  # seconds after the server's return within which a page is live; the promise

# Begins to look at the page, twenty times a second, for what cannot be so. `window.truth()` is what it says now.
WATCH = """() => {
  const held = 'form:not([method="dialog"]) button, button[form], .filters :is([type="radio"], select)';
  const visible = (element) => element && !element.hidden;
  const usable = () => [...document.querySelectorAll(held)].filter((e) => !e.disabled && e.checkVisibility());
  const openable = () => [...document.querySelectorAll("[data-level]:not([aria-disabled])")];
  window.truth = () => ({
    dot: visible(live) ? live.querySelector(".word").textContent : "",
    banner: visible(offline) ? offline.textContent : "",
    usable: usable().length,
    openable: openable().length,
    unexplained: [...document.querySelectorAll("[data-held]")].filter((e) => !e.title).length,
    held: document.querySelectorAll("[data-held]").length,
    spinning: document.getAnimations().filter((a) => a.animationName === "turn" && a.playState === "running").length,
    clocks: [...document.querySelectorAll("[data-since]")].map((e) => e.textContent).join(),
    chosen: document.querySelector("#filters [name=status]:checked")?.value,
    listed: new URLSearchParams(document.getElementById("job-list")?.dataset.query).get("status") ?? "",
    asking: Boolean(document.querySelector("#filters.htmx-request")),
  });
  window.lies = [];
  let before = window.truth();
  setInterval(() => {
    const now = window.truth();
    const sure = ["live", "", "connecting"].includes(now.dot);
    const lost = ["away", "reconnecting"].includes(now.dot);
    const lie = (words) => { if (!window.lies.some((told) => told.startsWith(words))) window.lies.push(`${words}: ${JSON.stringify(now)}`); };
    if (now.dot === "live" && now.banner) lie("live, and not");
    if (now.dot === "away" && !now.banner) lie("away, and nothing is said");
    if (sure && now.held) lie("something is held for no reason");
    if (lost && (now.usable || now.openable)) lie("away, and something seems of use");
    if (lost && now.unexplained) lie("held, and nothing says why");
    if (!sure && now.spinning) lie("not live, and something spins");
    if (lost && before.dot === now.dot && before.clocks !== now.clocks) lie("away, and clocks go on");
    if (now.chosen !== undefined && now.chosen !== now.listed && !now.asking) lie("a filter that is not the list's");
    before = now;
  }, 50);
}"""


@dataclass(frozen=True)
class Said:
    """What a page says: the word beside its dot, its banner, and how much of it is alive or held."""

    dot: str
    banner: str
    held: int
    spinning: int
    chosen: str | None


def watch(page: Page) -> Page:
    page.evaluate(WATCH)
    return page


def said(page: Page) -> Said:
    now: dict[str, Any] = page.evaluate("window.truth()")
    return Said(now["dot"], now["banner"], now["held"], now["spinning"], now.get("chosen"))


def says(page: Page, word: str, seconds: float = 15) -> None:
    """It says so within that time; `live` is an empty word on pages of which nothing changes by itself."""
    dot = page.locator("#live")
    expect(dot).to_have_attribute("class", f"live is-{word.replace(' ', '-')}", timeout=1000 * seconds)


def lies(page: Page) -> list[str]:
    """What it has said that cannot be so, since it was watched."""
    told: list[str] = page.evaluate("window.lies")
    return told
