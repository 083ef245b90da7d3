// The page's end of the stream: the one truth of whether what it shows is so, and what people see of that.

import { hold, startHold } from "./hold.js";
import { serve } from "./stream_hub.js";

const SPREAD = 400; // milliseconds, so that not all pages fetch all of themselves at once
const SILENCE = 12_000; // milliseconds; the hub says something every 5 s
const LONG = 60_000; // milliseconds out of sight after which a page is fetched anew
const RETRY = [1000, 2000, 5000, 10_000]; // milliseconds until what was not to be fetched is tried again

const byId = (id) => document.getElementById(id);
const header = byId("live")?.dataset;
const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

let port, follower;
let told = Date.now(); // when the hub last said something
let position = document.body.dataset.position && Number(document.body.dataset.position);
let server = { name: "connecting" }; // as the hub has it
let asOf; // when what is shown was last known to be so, if it may not be so now
let hidden; // since when the page is out of sight, or was until now
let failure; // why what is shown could not be fetched, though the server is there
let catching = 0; // how often it was begun to fetch all
let tries = 0;
const loaded = Date.now();
const commands = "commands" in document.body.dataset; // of which the stream tells only what happens from now on

// "live", or why what is shown may not be so: "connecting", "reconnecting", "away", "catching up", "gone".
export const truth = () => (server.name === "live" && asOf ? "catching up" : server.name);

// Whether the page may take it that what it shows goes on.
export const isSure = () => ["live", "connecting"].includes(truth());

// Why nothing may be asked of the server now; empty if it may.
export function refusal() {
  return ["reconnecting", "away", "gone"].includes(server.name) ? server.why : "";
}

// Follow the stream: `changed` and `commandChanged` are called with each change; `catchUp` fetches all that is
// shown, and ends when it has.
export function follow(following) {
  follower = following;
}

// A fetch that the page made by itself has failed, so what it shows may be old.
export function failed(error) {
  if (server.name === "live" && !failure) catchUp(error);
}

// What the page is about does not exist any more.
export function gone() {
  leave();
  server = { name: "gone", why: "What this page shows does not exist any more, or you may no longer see it." };
  show();
}

// --- with the hub ---

function join() {
  server = { name: "connecting" };
  port.postMessage({ join: { position, address: header.stream, user: header.user, commands } });
}

function leave() {
  port.postMessage({ leave: true });
}

function heard({ data }) {
  told = Date.now();
  if (server.name === "gone") return;
  if (data.logout) location.reload();
  if (data.change) {
    position = data.change.position;
    follower?.changed?.(data.change);
  }
  if (data.command) follower?.commandChanged?.(data.command);
  if ("reset" in data) {
    position = data.reset;
    missed(Date.now());
    if (server.name === "live") catchUp();
  }
  if (data.state) become(data.state);
}

const missed = (since) => { asOf ??= hidden ?? since; };

function become(state) {
  server = state;
  if (state.name === "live") {
    if (asOf || commands) catchUp();
    hidden = undefined;
  } else if (state.name !== "connecting") missed(Math.max(state.since || 0, loaded));
  show();
}

// Fetch all that is shown; after a failure only in a while.
async function catchUp(error) {
  const mine = ++catching;
  missed(Date.now());
  failure = error;
  if (error && (!error.status || error.status === 503)) port.postMessage({ doubt: true });
  show();
  await sleep(error ? RETRY[Math.min(tries++, RETRY.length - 1)] : SPREAD * Math.random());
  const outdated = () => mine !== catching || server.name !== "live";
  if (outdated()) return;
  try {
    await follower?.catchUp?.();
  } catch (another) {
    if (!outdated()) catchUp(another);
    return;
  }
  if (outdated()) return;
  asOf = failure = undefined;
  tries = 0;
  show();
}

// --- what people see ---

const utc = (time) => `${new Date(time).toISOString().slice(11, 19)} UTC`;

function words() {
  const old = () => `What you see is from ${utc(asOf)}; this page goes on trying.`;
  const name = truth();
  if (name === "gone") return server.why;
  if (name === "away") return `${server.why} ${old()}`;
  return failure ? `${failure.message} ${old()}` : "";
}

function show() {
  const name = truth();
  document.documentElement.dataset.truth = name;
  const shown = byId("live");
  shown.hidden = name === "live" && !follower; // what does not change by itself is not called live
  shown.className = `live is-${name.replace(" ", "-")}`;
  shown.querySelector(".word").textContent = name;
  const banner = byId("offline");
  if (banner.textContent !== words()) banner.textContent = words();
  banner.hidden = !banner.textContent;
  hold(refusal());
}

// --- from the page's beginning to its end ---

function connect() {
  const own = () => {
    const { port1, port2 } = new MessageChannel();
    serve(port2);
    listen(port1);
  };
  if (!window.SharedWorker) return own();
  const worker = new SharedWorker(header.worker, { type: "module", name: `of user ${header.user}` });
  worker.onerror = () => { if (server.name === "connecting") own(); };
  listen(worker.port);
}

// A worker ends with the process that it is in, which may be that of another window.
function lookAtHub() {
  if (document.hidden || server.name === "gone" || Date.now() - told < SILENCE) return;
  leave();
  missed(told);
  connect();
}

function listen(to) {
  port = to;
  told = Date.now();
  port.onmessage = heard;
  if (document.hidden) return;
  join();
  show();
}

function shownOrHidden() {
  if (server.name === "gone") return;
  if (document.hidden) {
    hidden ??= Date.now();
    leave();
  } else {
    if (Date.now() - hidden > LONG) missed();
    join();
    show();
  }
}

export function startStream() {
  if (!header?.stream) return;
  document.addEventListener("visibilitychange", shownOrHidden);
  addEventListener("pagehide", () => { hidden ??= Date.now(); leave(); });
  addEventListener("pageshow", (event) => { if (event.persisted) shownOrHidden(); });
  document.addEventListener("resume", shownOrHidden);
  startHold();
  setInterval(lookAtHub, SILENCE / 4);
  connect();
}
