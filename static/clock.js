// Running work shows how long it has taken so far; the words are those of templatetags/monitor.py.

import { isSure } from "./stream.js";

const two = (number) => String(number).padStart(2, "0");

export function duration(seconds) {
  const whole = Math.max(Math.floor(seconds), 0);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} m`;
  return `${Math.floor(whole / 86400)} d ${two(Math.floor((whole % 86400) / 3600))} h`;
}

export function startClock() {
  const ahead = Date.parse(document.body.dataset.now) - Date.now(); // of this machine's clock
  if (Number.isNaN(ahead)) return;
  setInterval(() => {
    if (document.hidden || !isSure()) return;
    for (const span of document.querySelectorAll("[data-since]")) {
      const words = duration((Date.now() + ahead - Date.parse(span.dataset.since)) / 1000);
      if (span.textContent !== words) span.textContent = words;
    }
  }, 1000);
}
