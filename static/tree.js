// The tree of work: rows open and close in place, and stay as they are when they are refreshed.

import { ask, meaning } from "./ask.js";
import { morph } from "./morph.js";
import { say } from "./say.js";
import { refusal } from "./stream.js";

const STORE = `open:${location.pathname}`;
const opened = new Set(JSON.parse(sessionStorage.getItem(STORE) || "[]"));

const level = (row) => Number(row.getAttribute("aria-level"));
export const isOpen = (row) => row.getAttribute("aria-expanded") === "true";
export const canOpen = (row) => row.hasAttribute("aria-expanded");

// The row that a step stands under; null right under the page's own job or step.
export function parentOf(row) {
  const { parent, job } = row.dataset;
  return document.getElementById(parent ? `step-${parent}` : `job-${job}`);
}

// The last row of the subtree that begins with `row`.
function lastOf(row) {
  let last = row;
  for (let next = row.nextElementSibling; next && level(next) > level(row); next = next.nextElementSibling) last = next;
  return last;
}

// The steps that are shown right under what has the key `parent` (a step, or "" for the job).
export function siblings(body, job, parent) {
  return [...body.querySelectorAll(`tr[data-step][data-job="${job}"][data-parent="${parent}"]`)];
}

export const moreRow = (job, parent) => document.getElementById(`more-${parent || job}`);

export async function fetchInto(target, address, swapStyle, headers = {}) {
  const text = await ask(address, headers);
  if (refusal()) throw new Error(refusal()); // what comes now is from before the server went away
  if (text !== null) htmx.swap(target, text, { swapStyle }, { contextElement: target });
  return text !== null;
}

export async function open(row) {
  if (!canOpen(row) || isOpen(row)) return;
  const { id, parentElement: body } = row;
  if (refusal()) return say(refusal());
  setOpen(row, true);
  const problem = await problemOf(fetchInto(body, row.querySelector(".toggle").dataset.level, "rows"));
  const now = document.getElementById(id); // it may have been fetched anew meanwhile
  if (!problem || !now) return;
  close(now);
  explain(now, problem);
}

// Why that could not be fetched, in words; empty if it was.
const problemOf = (fetched) => fetched.then((found) => (found ? "" : meaning(404)), (error) => error.message);

// Say beside a row why it could not be opened, until it is tried again.
function explain(row, problem) {
  row.querySelector(".problem")?.remove();
  const words = document.createElement("span");
  words.className = "problem";
  words.textContent = `Not opened. ${problem}`;
  row.querySelector(".tree").append(words);
  say(`${row.querySelector(".name").textContent}: ${words.textContent}`);
}

export function close(row) {
  setOpen(row, false);
  for (let last = lastOf(row); last !== row; last = lastOf(row)) last.remove();
}

function setOpen(row, open) {
  row.querySelector(".problem")?.remove();
  row.setAttribute("aria-expanded", open);
  opened[open ? "add" : "delete"](row.id);
  sessionStorage.setItem(STORE, JSON.stringify([...opened]));
}

// Rows that are here become those in the answer, newer wins; new ones go where they belong.
const rows = {
  isInlineSwap: (style) => ["rows", "list", "morph"].includes(style),
  handleSwap(style, body, fragment) {
    if (style === "morph") return isOlder(fragment.firstElementChild, body) ? [] : [morph(body, fragment.firstElementChild)];
    if (style !== "rows" && style !== "list") return false;
    const fresh = [...fragment.querySelectorAll("tr")];
    for (const row of fresh) if ("of" in row.dataset) takeId(body, row);
    const placed = fresh.map((row) => place(body, row, fresh)).filter(Boolean);
    if (style === "list") greyMissing(body, fresh);
    for (const row of placed) if (opened.has(row.id)) queueMicrotask(() => open(row));
    return placed;
  },
};

// The row as it is on the page then; null if it is not, or stays as it was.
function place(body, row, fresh) {
  const old = document.getElementById(row.id);
  if (old) return replace(old, row);
  if ("more" in row.dataset) return placeMore(body, row, fresh);
  if ("step" in row.dataset) return placeStep(body, row);
  if (row.classList.contains("left")) return null;
  if ("cursor" in row.dataset) return placeByTime(body, row);
  return placeHappening(body, row, fresh);
}

// Whether it answers a question that was asked before the other's.
const isOlder = (fresh, old) => Number(fresh.dataset.version) < Number(old.dataset.version);

function replace(old, fresh) {
  if (isOlder(fresh, old)) return null;
  if (isOpen(old) && canOpen(fresh)) fresh.setAttribute("aria-expanded", "true");
  if (old.hasAttribute("tabindex")) fresh.setAttribute("tabindex", old.getAttribute("tabindex"));
  if (old.dataset.state !== fresh.dataset.state) fresh.classList.add("changed");
  const ended = !("ended" in old.dataset) && "ended" in fresh.dataset;
  const row = morph(old, fresh);
  if (ended) row.dispatchEvent(new CustomEvent("row:ended", { bubbles: true }));
  return row;
}

const start = (row) => Date.parse(row.dataset.created ?? row.querySelector(".c-started time").dateTime);

function placeByTime(body, row) {
  const older = [...body.querySelectorAll("tr[data-cursor]")].find((other) => start(other) <= start(row));
  if (!older && document.querySelector("#older:not([hidden])")) return null; // it belongs on a later page
  const above = older ? older.getBoundingClientRect().top < 0 || scrollY > 40 : false;
  if (above) {
    body.dispatchEvent(new CustomEvent("row:above", { bubbles: true, detail: row.id }));
    return null;
  }
  row.classList.add("arrived");
  return body.insertBefore(row, older || null);
}

function placeStep(body, row) {
  const { job, parent } = row.dataset;
  const above = parentOf(row);
  if (above ? !isOpen(above) : body.dataset.parent !== parent) return null;
  const before = siblings(body, job, parent).findLast((other) => Number(other.dataset.number) < Number(row.dataset.number));
  const gap = Number(row.dataset.number) - (before ? Number(before.dataset.number) : -1) > 1;
  if (gap && moreRow(job, parent)) return null; // it comes with those between
  if (before) lastOf(before).after(row);
  else if (above) above.after(row);
  else body.prepend(row);
  return row;
}

function placeMore(body, row, fresh) {
  const before = document.getElementById(fresh[fresh.indexOf(row) - 1]?.id);
  const last = siblings(body, row.dataset.job, row.dataset.parent).at(-1);
  if (!before || last !== before) return null;
  lastOf(before).after(row);
  return row;
}

// Reports of progress that are read as one are known by the first of them, which may be too old for the answer.
function takeId(body, row) {
  const { of, first } = row.dataset;
  const begun = [...body.children].find(({ dataset }) => dataset.of === of && +dataset.first <= +first && +first <= +dataset.last);
  if (!begun) return;
  row.id = begun.id;
  row.dataset.first = begun.dataset.first;
}

function placeHappening(body, row, fresh) {
  if ("older" in row.dataset) return null;
  const next = fresh.slice(fresh.indexOf(row) + 1).map((other) => document.getElementById(other.id)).find(Boolean);
  return body.insertBefore(row, next || null);
}

// What the list no longer has stays, greyed, so that no click lands on another row.
function greyMissing(body, fresh) {
  const present = new Set(fresh.map((row) => row.id));
  const shown = [...body.querySelectorAll("tr[data-cursor]")];
  const last = shown.findLastIndex((row) => present.has(row.id));
  shown.forEach((row, index) => index < last && !present.has(row.id) && row.classList.add("left"));
}

export function startTree() {
  htmx.defineExtension("rows", rows);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-level]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const row = link.closest("tr");
    if ("more" in row.dataset) showMore(row, link.dataset.level);
    else if (isOpen(row)) close(row);
    else open(row);
  });
  document.addEventListener("animationend", ({ target }) => target.closest("tr")?.classList.remove("changed", "arrived"));
  for (const row of document.querySelectorAll("tr[aria-expanded]")) if (opened.has(row.id)) open(row);
}

async function showMore(row, address) {
  const body = row.parentElement;
  const { id } = row;
  row.id = ""; // its successor in the answer is a new row, behind the new steps
  row.removeAttribute("data-more");
  row.setAttribute("aria-busy", "true");
  const focused = row.contains(document.activeElement);
  const before = row.previousElementSibling;
  const problem = await problemOf(fetchInto(body, address, "rows"));
  if (problem) {
    row.id = id;
    row.dataset.more = "";
    row.removeAttribute("aria-busy");
    explain(row, problem);
    return;
  }
  row.remove();
  if (focused) before?.nextElementSibling?.querySelector("a.name")?.focus();
}
