// The tree of work: rows open and close in place, and stay as they are when they are refreshed.

import { ask, meaning } from "./ask.js";
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

// Rows in the answer take the place of those that are here, newer wins; new ones go where they belong.
const rows = {
  isInlineSwap: (style) => style === "rows" || style === "list",
  handleSwap(style, body, fragment) {
    if (style !== "rows" && style !== "list") return false;
    const fresh = [...fragment.querySelectorAll("tr")];
    const placed = fresh.filter((row) => place(body, row, fresh));
    if (style === "list") greyMissing(body, fresh);
    for (const row of placed) if (opened.has(row.id)) queueMicrotask(() => open(row));
    return placed;
  },
};

function place(body, row, fresh) {
  const old = document.getElementById(row.id);
  if (old) return replace(old, row);
  if ("more" in row.dataset) return placeMore(body, row, fresh);
  if ("step" in row.dataset) return placeStep(body, row);
  if (row.classList.contains("left")) return false;
  if ("cursor" in row.dataset) return placeJob(body, row);
  return placeHappening(body, row, fresh);
}

function replace(old, row) {
  if (Number(row.dataset.version) < Number(old.dataset.version)) return false;
  if (isOpen(old) && canOpen(row)) row.setAttribute("aria-expanded", "true");
  if (old.hasAttribute("tabindex")) row.setAttribute("tabindex", old.getAttribute("tabindex"));
  if (old.dataset.state !== row.dataset.state) row.classList.add("changed");
  const ended = !("ended" in old.dataset) && "ended" in row.dataset;
  old.replaceWith(row);
  if (ended) row.dispatchEvent(new CustomEvent("job:ended", { bubbles: true }));
  return true;
}

const start = (row) => Date.parse(row.querySelector(".c-started time").dateTime);

function placeJob(body, row) {
  const older = [...body.querySelectorAll("tr.job")].find((other) => start(other) <= start(row));
  if (!older && document.querySelector("#older:not([hidden])")) return false; // it belongs on a later page
  const above = older ? older.getBoundingClientRect().top < 0 || scrollY > 40 : false;
  if (above) {
    body.dispatchEvent(new CustomEvent("job:above", { bubbles: true, detail: row.dataset.job }));
    return false;
  }
  row.classList.add("arrived");
  body.insertBefore(row, older || null);
  return true;
}

function placeStep(body, row) {
  const { job, parent } = row.dataset;
  const above = parentOf(row);
  if (above ? !isOpen(above) : body.dataset.parent !== parent) return false;
  const before = siblings(body, job, parent).findLast((other) => Number(other.dataset.number) < Number(row.dataset.number));
  const gap = Number(row.dataset.number) - (before ? Number(before.dataset.number) : -1) > 1;
  if (gap && moreRow(job, parent)) return false; // it comes with those between
  if (before) lastOf(before).after(row);
  else if (above) above.after(row);
  else body.prepend(row);
  return true;
}

function placeMore(body, row, fresh) {
  const before = fresh[fresh.indexOf(row) - 1];
  if (!before?.isConnected) return false;
  const all = siblings(body, row.dataset.job, row.dataset.parent);
  if (all.at(-1) !== before) return false;
  lastOf(before).after(row);
  return true;
}

function placeHappening(body, row, fresh) {
  if ("older" in row.dataset) return false;
  const next = fresh.slice(fresh.indexOf(row) + 1).map((other) => document.getElementById(other.id)).find(Boolean);
  body.insertBefore(row, next || null);
  return true;
}

// A job that the list no longer has stays, greyed, so that no click lands on another row.
function greyMissing(body, fresh) {
  const present = new Set(fresh.map((row) => row.id));
  const shown = [...body.querySelectorAll("tr.job")];
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
