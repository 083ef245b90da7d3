// What changes on the server changes here: a stream says what is new, and what is on screen is fetched again.

import { ask } from "./ask.js";
import { say } from "./say.js";
import { failed, follow, gone, refusal } from "./stream.js";
import { fetchInto, isOpen, moreRow, parentOf, siblings } from "./tree.js";

const RATE = 4; // fetches a second
const MANY = 4; // rows of one kind that are cheaper to fetch together
const PART = 50; // steps that are fetched together at most

const page = document.body.dataset;
const wanted = new Map(); // key -> what is to be fetched, oldest first
let tokens = RATE;

// Nobody did anything, so the session may become idle.
const AUTOMATIC = { "X-Automatic": "1" };
const refresh = (target, address, swapStyle) => fetchInto(target, address, swapStyle, AUTOMATIC);

const byId = (id) => document.getElementById(id);
const jobRows = () => byId("job-rows");
const list = () => byId("job-list");
const body = () => byId("job-rows") || byId("step-rows");

// --- what to fetch ---

function want(key, unit) {
  wanted.delete(key);
  wanted.set(key, { key, ...unit });
  pump();
}

function wantJob(id, version) {
  want(`job-${id}`, { id: `job-${id}`, version, job: id, fetch: () => fetchJob(id) });
}

function wantStep(id, version) {
  const row = byId(`step-${id}`);
  if (row) want(row.id, { id: row.id, version, parent: `${row.dataset.job}/${row.dataset.parent}`, fetch: () => fetchStep(row.id) });
}

function wantLevel(job, parent) {
  const shown = siblings(body(), job, parent);
  if (moreRow(job, parent)) return; // there are more than are shown; that stays true
  const after = shown.length ? shown.at(-1).dataset.number : -1;
  want(`level-${parent || job}`, { fetch: () => fetchLevel(job, parent, after) });
}

function wantPage() {
  if (page.page === "list") want("list", { fetch: fetchList });
  if (page.page !== "list") want("facts", { fetch: fetchFacts });
  if (byId("history-rows")) want("history", { id: "history-rows", fetch: fetchHistory });
}

// All that is in sight, because changes may have been missed; the rest is fetched when it is scrolled to.
async function catchUp() {
  wanted.clear();
  const whole = page.page === "list" ? [fetchList] : [fetchFacts];
  if (byId("history-rows")) whole.push(fetchHistory);
  await fetchTogether(whole);
  const levels = [...document.querySelectorAll('tr[aria-expanded="true"]')].map((row) => [row.dataset.job, row.dataset.step || ""]);
  if (page.page !== "list") levels.push([page.job, page.step || ""]);
  await fetchTogether(levels.flatMap(([job, parent]) => partsInSight(job, parent)));
}

async function fetchTogether(fetches) {
  while (fetches.length) await Promise.all(fetches.splice(0, RATE).map((fetch) => fetch()));
}

// The fetches of those parts of a level that are in sight; the others are wanted.
function partsInSight(job, parent) {
  const shown = siblings(body(), job, parent);
  const fetches = [];
  for (let first = 0; first < shown.length; first += PART) {
    const part = shown.slice(first, first + PART);
    const after = Number(part[0].dataset.number) - 1;
    if (part.some(inSight)) fetches.push(() => fetchLevel(job, parent, after));
    else for (const row of part) wantStep(row.dataset.step, Infinity);
  }
  if (shown.length % PART === 0) wantLevel(job, parent); // what came meanwhile is in none of them
  return fetches;
}

// --- fetching, at most RATE times a second ---

function pump() {
  while (tokens > 0 && !refusal()) {
    const unit = next();
    if (!unit) return;
    tokens -= 1;
    setTimeout(() => { tokens += 1; pump(); }, 1000);
    Promise.resolve(unit.fetch()).catch(failed);
  }
}

function next() {
  for (const [key, unit] of wanted) if (isDone(unit)) wanted.delete(key);
  const due = [...wanted.values()].filter(inSight);
  if (!due.length) return null;
  const first = due[0];
  const alike = due.filter((unit) => (first.job && unit.job) || (first.parent && unit.parent === first.parent));
  const together = alike.length >= MANY ? alike : [first];
  for (const unit of together) wanted.delete(unit.key);
  if (together.length === 1) return first;
  return { fetch: first.job ? fetchList : () => fetchSteps(alike.map(({ id }) => byId(id))) };
}

// Whether an answer to another question has brought it meanwhile, or it is not shown any more.
function isDone(unit) {
  const row = byId(unit.id);
  return row ? Number(row.dataset.version) >= unit.version : Boolean(unit.parent);
}

// What is out of sight waits until it is scrolled to.
function inSight({ id }) {
  const row = byId(id);
  if (!row) return true;
  const { top, bottom } = row.getBoundingClientRect();
  return bottom > -100 && top < innerHeight + 100;
}

const jobUrl = (id, rest) => `/jobs/${id}/${rest}`;
const stepUrl = (job, step, rest) => jobUrl(job, step ? `steps/${step}/${rest}` : rest);

async function fetchJob(id) {
  if (!jobRows()) return refreshEmpty();
  const found = await refresh(jobRows(), `${jobUrl(id, "row/")}?${list().dataset.query}`, "rows");
  if (!found) byId(`job-${id}`)?.classList.add("left");
  trim();
}

function fetchStep(id) {
  const row = byId(id);
  if (!row) return;
  const level = row.getAttribute("aria-level");
  return refresh(row.parentElement, `${stepUrl(row.dataset.job, row.dataset.step, "row/")}?level=${level}`, "rows");
}

function fetchSteps(rows) {
  if (!rows.length) return;
  const { job, parent } = rows[0].dataset;
  const numbers = rows.map((row) => Number(row.dataset.number));
  const first = Math.min(...numbers);
  for (const row of rows) {
    if (Number(row.dataset.number) >= first + PART) wantStep(row.dataset.step, Infinity);
  }
  return fetchLevel(job, parent, first - 1, rows[0].getAttribute("aria-level"));
}

function fetchLevel(job, parent, after, level) {
  const row = byId(parent ? `step-${parent}` : `job-${job}`);
  const depth = level || (row ? Number(row.getAttribute("aria-level")) + 1 : 1);
  const behind = after >= 0 ? `&after=${after}` : "";
  return refresh(body(), `${stepUrl(job, parent, "steps/")}?level=${depth}${behind}`, "rows");
}

async function fetchList() {
  if (!jobRows()) return refreshEmpty();
  await refresh(jobRows(), list().dataset.rows + location.search, "list");
  trim();
}

async function fetchFacts() {
  const had = "ended" in byId("facts").dataset;
  const found = await refresh(byId("facts"), stepUrl(page.job, page.step, "facts/"), "morph");
  if (!found) return gone();
  const { ended, name, state } = byId("facts").dataset;
  if (page.page === "job" && ended !== undefined && !had) announce(name, state);
}

const fetchHistory = () => refresh(byId("history-rows"), byId("history-rows").dataset.fragment, "rows");

// A list without rows has no table; if a job may belong on it, the whole of it is fetched.
async function refreshEmpty() {
  if (!["none", "right", "filter"].includes(byId("empty")?.dataset.empty)) return;
  const text = await ask(location.href, AUTOMATIC);
  htmx.swap(list(), text, { swapStyle: "morph" }, { contextElement: document.body, select: "#job-list" });
}

// A page that is open for days does not grow without end.
function trim() {
  const rows = [...jobRows().querySelectorAll("tr.job")];
  const size = Number(list().dataset.size);
  if (rows.length <= 4 * size || scrollY > 40) return;
  const last = rows[size - 1];
  for (let row = rows[size]; row; ) {
    const following = row.nextElementSibling;
    row.remove();
    row = following;
  }
  const older = byId("older");
  const address = new URLSearchParams(list().dataset.query);
  address.set("after", last.dataset.cursor);
  older.href = `?${address}`;
  older.hidden = false;
}

// --- changes ---

function changed({ job, step, parent, version, verb }) {
  if (page.page !== "list" && job !== page.job) return;
  if (step) stepChanged(job, step, parent || "", version, verb);
  if (page.page === "list") {
    const filtered = list().dataset.query !== "";
    if (byId(`job-${job}`)) wantJob(job, version);
    else if (!step && "live" in list().dataset && (verb === "added" || filtered)) wantJob(job, version);
  } else if (page.page === "job" || step === page.step || parent === page.step) wantPage();
}

function stepChanged(job, step, parent, version, verb) {
  if (byId(`step-${step}`)) wantStep(step, version);
  else if (verb === "added") {
    const above = byId(parent ? `step-${parent}` : `job-${job}`);
    const root = page.page !== "list" && parent === (page.step || "");
    if (root || (above && isOpen(above))) wantLevel(job, parent);
  }
  if (parent) wantStep(parent, version);
}

// --- what people are told ---

const announce = (name, state) => say(`${name}: ${state}.`);

const above = new Set();

function showPill() {
  const pill = byId("new-jobs");
  if (!pill) return;
  pill.hidden = !above.size;
  pill.textContent = `↑ ${above.size} new`;
}

function showNew() {
  above.clear();
  showPill();
  scrollTo({ top: 0 });
  want("list", { fetch: fetchList });
}

export function startLive() {
  if (!page.position) return;
  document.addEventListener("job:above", ({ detail }) => { above.add(detail); showPill(); });
  document.addEventListener("job:ended", ({ target }) => announce(target.querySelector("a.name").textContent, target.dataset.state));
  document.addEventListener("click", (event) => { if (event.target.id === "new-jobs") showNew(); });
  let scrolled;
  document.addEventListener("scroll", () => {
    clearTimeout(scrolled);
    scrolled = setTimeout(() => { pump(); if (scrollY <= 40 && above.size) showNew(); }, 150);
  }, { passive: true });
  follow({ changed, catchUp });
}
