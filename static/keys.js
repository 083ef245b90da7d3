// The keyboard: one row of a tree has the focus, the others are reached by arrows or letters.

import { canOpen, close, isOpen, open, parentOf } from "./tree.js";

const rows = () => [...document.querySelectorAll("table.grid tbody tr")];
const typing = (element) => element.closest("input, textarea, select, [contenteditable]");

function current() {
  return document.activeElement?.closest("table.grid tbody tr") || document.querySelector('table.grid tr[tabindex="0"]');
}

function go(row) {
  if (!row) return;
  for (const other of document.querySelectorAll('table.grid tr[tabindex="0"]')) other.tabIndex = -1;
  row.tabIndex = 0;
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function by(offset) {
  const all = rows();
  const at = all.indexOf(current());
  go(at < 0 || !document.activeElement.closest("table.grid") ? current() || all[0] : all[at + offset]);
}

function inward(row) {
  if (!row) return;
  if (canOpen(row) && !isOpen(row)) open(row);
  else if (isOpen(row)) go(row.nextElementSibling);
}

function outward(row) {
  if (!row) return;
  if (isOpen(row)) close(row);
  else go(parentOf(row));
}

const KEYS = {
  j: () => by(1),
  ArrowDown: () => by(1),
  k: () => by(-1),
  ArrowUp: () => by(-1),
  l: () => inward(current()),
  ArrowRight: () => inward(current()),
  h: () => outward(current()),
  ArrowLeft: () => outward(current()),
  Home: () => go(rows()[0]),
  End: () => go(rows().at(-1)),
  "/": () => document.getElementById("search")?.select(),
  "?": () => document.getElementById("keys").showModal(),
};
const IN_TREE = new Set(["ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft", "Home", "End"]);

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const inTree = event.target.closest("table.grid");
    if (event.key === "Enter" && event.target.matches("table.grid tbody tr")) {
      event.target.querySelector("a.name")?.click();
      return;
    }
    if (!KEYS[event.key] || (IN_TREE.has(event.key) && !inTree)) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  document.addEventListener("click", (event) => {
    const row = event.target.closest("table.grid tbody tr");
    if (row && !event.target.closest("a, button") && !getSelection().toString()) go(row);
  });
  document.getElementById("show-keys")?.addEventListener("click", KEYS["?"]);
  const first = rows()[0];
  if (first) first.tabIndex = 0;
}
