// The page's end of the stream of changes: what comes is handed on, and people are told whether it comes.

const POLL = 5000; // milliseconds between refreshes while there is no stream

const page = document.body.dataset;
const byId = (id) => document.getElementById(id);
let position = page.position;
let source, polling, lost, follower;

// Follow the stream: `changed` is called with each change, `catchUp` when changes were missed.
export function startStream(following) {
  follower = following;
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) source.close(); // browsers allow six connections to a host; tabs out of sight need none
    else connect();
  });
  connect();
}

function connect() {
  source?.close();
  source = new EventSource(`${page.stream}?after=${position}`);
  source.addEventListener("open", () => {
    lost = undefined;
    show("live", "live");
    clearInterval(polling);
    polling = undefined;
  });
  source.addEventListener("change", (event) => {
    position = event.lastEventId;
    follower.changed(JSON.parse(event.data));
  });
  source.addEventListener("reset", (event) => {
    position = event.lastEventId;
    follower.catchUp();
  });
  source.addEventListener("logout", () => location.reload());
  source.onerror = () => {
    lost ||= new Date();
    show("reconnecting", "lost");
    polling ||= setInterval(fallBack, POLL);
  };
}

// Without a stream: look now and then, and try again to have one.
function fallBack() {
  if (document.hidden) return;
  follower.catchUp();
  if (source.readyState === EventSource.CLOSED) connect();
}

function show(words, state) {
  const shown = byId("live");
  shown.hidden = false;
  shown.className = `live is-${state}`;
  shown.querySelector(".word").textContent = words;
}

export function reached() {
  byId("offline").hidden = true;
}

export function unreachable() {
  const banner = byId("offline");
  if (!lost || !banner.hidden) return;
  banner.textContent = `The server does not answer. What you see is from ${lost.toISOString().slice(11, 19)} UTC; this page goes on trying.`;
  banner.hidden = false;
}
