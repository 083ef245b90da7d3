// What is to be fetched again: at most so much a second, what is in sight first, and many rows of a kind together.

import { failed, refusal } from "./stream.js";
import { fetchInto } from "./tree.js";

export const RATE = 4; // fetches a second
const MANY = 4; // rows of one kind that are cheaper to fetch together

const wanted = new Map(); // key -> what is to be fetched, oldest first
const fetched = new Map(); // key -> when it was fetched last, if it is not to be fetched too soon again
let tokens = RATE;

// Nobody did anything, so the session may become idle.
export const AUTOMATIC = { "X-Automatic": "1" };
export const refresh = (target, address, swapStyle) => fetchInto(target, address, swapStyle, AUTOMATIC);

// `unit.fetch` does it. Of a row: its `id`, the least `version` that will do, `inPlace` if it is of no use once the
// row is gone, and its `group`, of which `together` fetches many. `rest`: milliseconds between two times.
export function want(key, unit) {
  wanted.delete(key);
  wanted.set(key, { key, ...unit });
  pump();
}

export const forget = () => wanted.clear();

export function pump() {
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
  const [first, ...others] = [...wanted.values()].filter((unit) => inSight(unit) && hasRested(unit));
  if (!first) return null;
  const alike = [first, ...others.filter((unit) => first.group && unit.group === first.group)];
  const units = alike.length >= MANY ? alike : [first];
  for (const { key, rest } of units) {
    wanted.delete(key);
    if (!rest) continue;
    fetched.set(key, Date.now());
    setTimeout(pump, rest);
  }
  return units.length > 1 ? { fetch: () => first.together(units) } : first;
}

// Whether an answer to another question has brought it meanwhile, or it is not shown any more.
export function isDone({ id, version, inPlace }) {
  const row = document.getElementById(id);
  return row ? Number(row.dataset.version) >= version : Boolean(inPlace);
}

// What is out of sight waits until it is scrolled to.
export function inSight({ id }) {
  const row = document.getElementById(id);
  if (!row) return true;
  const { top, bottom } = row.getBoundingClientRect();
  return bottom > -100 && top < innerHeight + 100;
}

const hasRested = ({ key, rest = 0 }) => Date.now() - (fetched.get(key) ?? 0) >= rest;
