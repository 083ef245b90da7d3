// The stream of changes that pages share, and whether the server can be reached, which it tells them.
//
// A page is told the state at once, and whenever it changes:
//   connecting    nothing is known yet
//   live          the stream is open
//   reconnecting  it was open until now, and is tried again
//   away          it was tried, in vain
// It runs in a SharedWorker, or in the page itself where there are none.

import { meaning, NO_ANSWER } from "./ask.js";

const ANSWER = 5000; // milliseconds for the stream to open
const SILENCE = 12_000; // milliseconds; the server says something every 5 s
const PAUSE = 400; // milliseconds before it is tried again, and up to as much by chance: others try too
const GRACE = 2000; // milliseconds that the stream outlives its last page; another one may be shown at once
const DOUBTS = 10_000; // milliseconds between two doubts that are heard
const REMEMBERED = 2000; // changes, for pages that join later

const pages = new Map(); // port -> the position that its page has seen
let following = false;
let address, user; // `user`: whose pages these are
let state, heard; // `heard`: when the server last said something
let recent, behind, position; // `recent` has every change behind the one position up to the other
let gathered = []; // changes that belong to the one that comes next, and has their position
let commands = false; // whether what happens to commands is told, too
let attempt, deadline;
let reopening = false;
let doubted = 0;

const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// A page joins, with the position that it has seen, while it is shown; it leaves when it is hidden or goes.
export function serve(port) {
  port.onmessage = ({ data }) => {
    if (data.join) join(port, data.join);
    if (data.leave) leave(port);
    if (data.doubt) doubt();
  };
  port.onclose = () => leave(port); // of a page that crashed, in browsers that tell
}

function join(port, page) {
  pages.set(port, page.position);
  if (!following) {
    ({ address, user, commands } = page);
    follow(page.position);
    return;
  }
  if (page.commands && !commands) {
    commands = reopening = true;
    attempt.abort();
  }
  if (page.position < behind) port.postMessage({ reset: position });
  else pass(port, recent);
  port.postMessage({ state });
}

function leave(port) {
  pages.delete(port);
  setTimeout(() => { if (!pages.size) attempt.abort(); }, GRACE);
}

// A page could not fetch what it shows: is the server there?
function doubt() {
  if (state.name !== "live" || Date.now() - doubted < DOUBTS) return;
  doubted = Date.now();
  attempt.abort();
}

function tell(message) {
  for (const port of pages.keys()) port.postMessage(message);
}

function pass(port, changes) {
  const seen = pages.get(port);
  for (const change of changes) if (!(change.position <= seen)) port.postMessage({ change });
  if (changes.length && !(changes.at(-1).position <= seen)) pages.set(port, changes.at(-1).position);
}

function become(name, why) {
  state = { name, why, since: heard };
  tell({ state });
}

// --- the stream ---

async function follow(after) {
  following = true;
  begin(after);
  become("connecting");
  const watching = setInterval(() => { if (Date.now() > deadline) attempt.abort(); }, 1000); // also after a sleep
  while (pages.size) {
    reopening = false;
    attempt = new AbortController();
    deadline = Date.now() + ANSWER;
    const why = await read(attempt.signal).catch(() => NO_ANSWER);
    if (why === "logout") logout();
    if (!pages.size) break;
    if (reopening) continue;
    become(state.name === "live" ? "reconnecting" : "away", why);
    await sleep(PAUSE * (1 + Math.random()));
  }
  clearInterval(watching);
  following = false;
}

function begin(at) {
  recent = [];
  behind = position = at;
}

function logout() {
  tell({ logout: true });
  pages.clear();
}

// Follow the stream to its end; why there is none, in words, or "logout".
async function read(signal) {
  const asked = new URLSearchParams({ after: position ?? "", ...(commands && { commands: 1 }) });
  const headers = { "X-Automatic": "1" }; // nobody did anything, so the session may become idle
  gathered = [];
  const answer = await fetch(`${address}?${asked}`, { headers, redirect: "manual", cache: "no-store", signal });
  if (answer.status === 401 || answer.type === "opaqueredirect") return "logout";
  if (!answer.ok) return meaning(answer.status);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let part; !(part = await reader.read()).done; ) {
    heard = Date.now();
    deadline = heard + SILENCE;
    const blocks = (text + part.value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) if (happened(fields(block)) === "logout") return "logout";
  }
  return NO_ANSWER;
}

function fields(block) {
  return Object.fromEntries(block.split("\n").map((line) => {
    const at = line.indexOf(": ");
    return [line.slice(0, at), line.slice(at + 2)];
  }));
}

function happened({ id, event, data }) {
  const at = Number(id);
  if (event === "logout") return event;
  if (event === "change" && id === undefined) {
    gathered.push(JSON.parse(data));
    return event;
  }
  if (event === "command") {
    tell({ command: JSON.parse(data) });
    return event;
  }
  if (event === "open") {
    if (JSON.parse(data).user !== user) return "logout"; // somebody else has logged in
    if (position === undefined) begin(at);
    become("live");
  } else if (event === "reset") {
    begin(at);
    for (const port of pages.keys()) pages.set(port, at);
    tell({ reset: at });
  } else {
    if (event === "change") remember([...gathered.splice(0), JSON.parse(data)].map((change) => ({ position: at, ...change })));
    else tell({ alive: true });
    position = at;
  }
  return event;
}

function remember(changes) {
  recent.push(...changes);
  while (recent.length > REMEMBERED) behind = recent.shift().position;
  for (const port of pages.keys()) pass(port, changes);
}
