// What cannot be undone is asked for first: the page that asks without scripts is shown as a dialog.

const FORM = "form.confirm";

async function question(address) {
  const answer = await fetch(address);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const form = page.querySelector(FORM);
  form?.setAttribute("action", address);
  return form;
}

// Without it, and when the session has ended, the browser goes to the page itself.
async function ask(link) {
  const form = await question(link.href).catch(() => null);
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
    ask(link);
  });
}
