// What cannot be undone is asked for first: the page that asks without scripts is shown as a dialog.

import { NO_ANSWER, meaning } from "./ask.js";
import { say } from "./say.js";

async function question(address) {
  const answer = await fetch(address).catch(() => { throw new Error(NO_ANSWER); });
  if (answer.status >= 500) throw new Error(meaning(answer.status));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const form = page.querySelector("form.confirm");
  form?.setAttribute("action", address);
  return form;
}

// Say beside the link why nothing was asked, until it is tried again.
function explain(link, problem) {
  const words = document.createElement("span");
  words.className = "problem";
  words.textContent = problem;
  link.after(words);
  say(problem);
}

// Where there is no question the browser goes: to a page that says why, or to the login if the session has ended.
async function confirm(link) {
  if (link.nextElementSibling?.matches(".problem")) link.nextElementSibling.remove();
  const form = await question(link.href).catch((error) => explain(link, error.message));
  if (form === undefined) return;
  if (!form) return location.assign(link.href);
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "confirm-title");
  dialog.setAttribute("aria-describedby", "confirm-words");
  dialog.append(form);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => {
    if (!event.target.closest("[data-cancel]")) return;
    event.preventDefault();
    dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
}

export function startConfirm() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-confirm]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    confirm(link);
  });
}
