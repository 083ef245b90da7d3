// While the server is away, what would ask something of it cannot be used, and says why.

import { say } from "./say.js";

// Links to other pages stay as they are.
const BUTTONS = 'form:not([method="dialog"]) button, button[form], .filters :is([type="radio"], [type="checkbox"], select), #new-rows';
const TEXTS = '.filters :is([type="search"], [type="text"], input:not([type])), [role="search"] input';
const TOGGLES = "[data-level], [data-confirm]";
const HOW = { [BUTTONS]: "disabled", [TEXTS]: "readonly", [TOGGLES]: "aria-disabled" };

let reason = "";
let focused; // before it was held

// Hold all of it for that reason, or release it if there is none.
export function hold(why) {
  reason = why;
  if (!reason) return release();
  const active = document.activeElement;
  for (const [what, attribute] of Object.entries(HOW)) {
    for (const element of document.querySelectorAll(what)) {
      if (!element.hasAttribute(attribute)) keep(element, attribute);
    }
  }
  if (active.matches("[data-held]")) focused = active;
  for (const element of document.querySelectorAll("[data-held]")) element.title = reason;
}

function keep(element, attribute) {
  element.dataset.held = attribute;
  element.dataset.title = element.title;
  element.setAttribute(attribute, "true");
}

function release() {
  for (const element of document.querySelectorAll("[data-held]")) {
    const { held, title } = element.dataset;
    element.removeAttribute(held);
    if (title) element.title = title;
    else element.removeAttribute("title");
    delete element.dataset.held;
    delete element.dataset.title;
  }
  if (focused?.isConnected && document.activeElement === document.body) focused.focus({ preventScroll: true });
  focused = undefined;
}

function refuse(event) {
  if (!reason || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.type === "click" && !event.target.closest('[data-held="aria-disabled"]')) return;
  if (event.type === "submit" && event.target.method === "dialog") return;
  event.preventDefault();
  event.stopImmediatePropagation();
  say(reason);
}

export function startHold() {
  document.addEventListener("click", refuse, true);
  document.addEventListener("submit", refuse, true);
  document.addEventListener("htmx:beforeRequest", (event) => { if (reason) event.preventDefault(); });
}
