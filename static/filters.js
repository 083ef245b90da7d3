// The filters of the list: they say what the list shows, also when it could not be fetched.

import { meaning, NO_ANSWER } from "./ask.js";
import { say } from "./say.js";

const form = () => document.getElementById("filters");
const problem = () => document.getElementById("filter-problem");

// Put the controls back to what the list was cut down to when it was fetched.
function putBack() {
  const said = new URLSearchParams(document.getElementById("job-list").dataset.query);
  for (const control of form().elements) {
    if (!control.name || control.type === "hidden") continue;
    const value = said.get(control.name) ?? "";
    if (control.type === "radio") control.checked = control.value.toUpperCase() === value.toUpperCase();
    else control.value = value;
  }
}

function refused(why) {
  putBack();
  problem().textContent = `The list was not changed. ${why}`;
  say(problem().textContent);
}

export function startFilters() {
  if (!form()) return;
  const on = (name, act) => document.body.addEventListener(`htmx:${name}`, ({ detail }) => { if (detail.elt.id === "filters") act(detail); });
  on("configRequest", ({ formData }) => {
    for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
  });
  on("responseError", ({ xhr }) => refused(meaning(xhr.status)));
  on("sendError", () => refused(NO_ANSWER));
  on("timeout", () => refused(NO_ANSWER));
  on("afterRequest", ({ successful }) => { if (successful) problem().textContent = ""; });
}
