// What changes on the server changes here: a stream says what is new, and what is on screen is fetched again.

import { ask } from "./ask.js";
import { say } from "./say.js";
import { follow, gone } from "./stream.js";
import { isOpen, moreRow, siblings } from "./tree.js";
import { AUTOMATIC, forget, inSight, isDone, pump, RATE, refresh, want } from "./wanted.js";

const SECOND = 1000; // milliseconds
const PART = 50; // steps that are fetched together at most


const page = document.body.dataset;
const byId = (id) => document.getElementById(id);
const list = () => document.querySelector("#job-list, #command-list");
const listRows = () => document.querySelector("#job-rows, #command-rows");
const body = () => document.querySelector("#job-rows, #step-rows");

// --- what to fetch ---

function wantJob(id, version) {
  want(`job-${id}`, { id: `job-${id}`, version, group: "list", together: fetchListFor, fetch: () => fetchJob(id) });
}

function wantCommand(id, version) {
  want(`command-${id}`, { id: `command-${id}`, version, group: "list", together: fetchListFor, fetch: () => fetchCommand(id) });
}

function wantStep(id, version) {
  const row = byId(`step-${id}`);
  if (!row) return;
  const { job, parent } = row.dataset;
  want(row.id, { id: row.id, version, inPlace: true, group: `${job}/${parent}`, together: fetchSteps, fetch: () => fetchStep(row.id) });
}

function wantLevel(job, parent) {
  const shown = siblings(body(), job, parent);
  if (moreRow(job, parent)) return; // there are more than are shown; that stays true
  const after = shown.length ? shown.at(-1).dataset.number : -1;
  want(`level-${parent || job}`, { fetch: () => fetchLevel(job, parent, after) });
}

function wantPage() {
  if (list()) want("list", { fetch: fetchWholeList, rest: page.page === "commands" ? 2 * SECOND : 0 });
  if (byId("workers")) want("workers", { fetch: fetchWorkers, rest: 2 * SECOND });
  if (byId("command-facts")) want("facts", { fetch: fetchCommandFacts, rest: SECOND });
  if (byId("facts")) want("facts", { fetch: fetchFacts });
  if (byId("history-rows")) want("history", { id: "history-rows", fetch: fetchHistory });
}

// All that is in sight, because changes may have been missed; the rest is fetched when it is scrolled to.
async function catchUp() {
  forget();
  const whole = [];
  if (list()) whole.push(fetchWholeList);
  if (page.page === "commands") whole.push(fetchWorkers);
  if (byId("facts")) whole.push(fetchFacts);
  if (byId("command-facts")) whole.push(fetchCommandFacts);
  if (byId("history-rows")) whole.push(fetchHistory);
  await fetchTogether(whole);
  const levels = [...document.querySelectorAll('tr[aria-expanded="true"]')].map((row) => [row.dataset.job, row.dataset.step || ""]);
  if (byId("step-rows")) levels.push([page.job, page.step || ""]);
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

// --- fetching ---

const jobUrl = (id, rest) => `/jobs/${id}/${rest}`;
const stepUrl = (job, step, rest) => jobUrl(job, step ? `steps/${step}/${rest}` : rest);

const fetchJob = (id) => fetchListed(`job-${id}`, jobUrl(id, "row/"));
const fetchCommand = (id) => fetchListed(`command-${id}`, `/commands/${id}/row/`);

async function fetchListed(key, address) {
  if (!listRows()) return refreshEmpty();
  const found = await refresh(listRows(), `${address}?${list().dataset.query}`, "rows");
  if (!found) byId(key)?.classList.add("left");
  trim();
}

function fetchStep(id) {
  const row = byId(id);
  if (!row) return;
  const level = row.getAttribute("aria-level");
  return refresh(row.parentElement, `${stepUrl(row.dataset.job, row.dataset.step, "row/")}?level=${level}`, "rows");
}

function fetchSteps(units) {
  const rows = units.map(({ id }) => byId(id));
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
  if (!listRows()) return refreshEmpty();
  await refresh(listRows(), list().dataset.rows + location.search, "list");
  trim();
}

// Rows further down than the list begins are not in the answer.
async function fetchListFor(units) {
  await fetchList();
  for (const unit of units) if (byId(unit.id) && !isDone(unit)) want(unit.key, { ...unit, group: "" });
}

async function fetchWholeList() {
  await fetchList();
  for (const { dataset } of topRows().slice(Number(list().dataset.size) - above.size)) {
    if ("command" in dataset) wantCommand(dataset.command, Infinity);
    else wantJob(dataset.job, Infinity);
  }
}

async function fetchFacts() {
  const had = "ended" in byId("facts").dataset;
  const found = await refresh(byId("facts"), stepUrl(page.job, page.step, "facts/") + location.search, "morph"); // which failure of a job
  if (!found) return gone();
  const { ended, name, state } = byId("facts").dataset;
  if (page.page === "job" && ended !== undefined && !had) announce(name, state);
}

async function fetchCommandFacts() {
  const found = await refresh(byId("command-facts"), `/commands/${page.command}/facts/`, "morph");
  if (!found) gone();
}

const fetchWorkers = () => refresh(byId("workers"), byId("workers").dataset.fragment, "morph");

const fetchHistory = () => refresh(byId("history-rows"), byId("history-rows").dataset.fragment, "rows");

// A list without rows has no table; if something may belong on it, the whole of it is fetched.
async function refreshEmpty() {
  if (!["none", "right", "filter"].includes(byId("empty")?.dataset.empty)) return;
  const text = await ask(location.href, AUTOMATIC);
  htmx.swap(list(), text, { swapStyle: "morph" }, { contextElement: document.body, select: `#${list().id}` });
}

const topRows = () => [...listRows()?.querySelectorAll("tr[data-cursor]") ?? []];

// A page that is open for days does not grow without end.
function trim() {
  const rows = topRows();
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
  else if (verb === "moved") openSteps(job).forEach((row) => wantStep(row.dataset.step, version));
  if (page.page === "list") {
    const filtered = list().dataset.query !== "";
    if (byId(`job-${job}`)) wantJob(job, version);
    else if (!step && "live" in list().dataset && (verb === "added" || filtered)) wantJob(job, version);
  } else if (page.page === "job" || !step || step === page.step || parent === page.step) wantPage();
}

// The steps on screen that look otherwise while their job is silent.
const openSteps = (job) => document.querySelectorAll(`tr.step[data-job="${job}"]:is(.is-running, .is-lost, .is-unknown)`);

// Without an id any may have changed, or why they do not get on.
function commandChanged({ id, root, version, verb }) {
  if (!id) wantPage();
  else if (byId(`command-${id}`)) wantCommand(id, version);
  else if (page.page === "commands" && "live" in list().dataset) {
    const belongs = verb === "added" || list().dataset.query !== "";
    if (belongs) want("new", { fetch: fetchList, rest: 2 * SECOND });
  }
  if (page.page === "command" && [id, root].includes(page.root)) want("facts", { fetch: fetchCommandFacts, rest: SECOND });
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
  const pill = byId("new-rows");
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
  if (!page.position && !("commands" in page)) return;
  document.addEventListener("row:above", ({ detail }) => { above.add(detail); showPill(); });
  document.addEventListener("row:ended", ({ target }) => announce(target.querySelector("a.name").textContent, target.dataset.state));
  document.addEventListener("click", (event) => { if (event.target.id === "new-rows") showNew(); });
  let scrolled;
  document.addEventListener("scroll", () => {
    clearTimeout(scrolled);
    scrolled = setTimeout(() => { pump(); if (scrollY <= 40 && above.size) showNew(); }, 150);
  }, { passive: true });
  follow({ changed, commandChanged, catchUp });
}
