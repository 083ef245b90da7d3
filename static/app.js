// What the pages do beyond links and forms. Each part stands alone; all of it is optional.

import { startClock } from "./clock.js";
import { startConfirm } from "./confirm.js";
import { startFilters } from "./filters.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { startStream } from "./stream.js";
import { startTree } from "./tree.js";

function startTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  document.getElementById("theme")?.addEventListener("click", () => {
    const root = document.documentElement;
    const now = root.dataset.theme || (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  });
}

function startMenus() {
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
}

startTheme();
startFilters();
startMenus();
startConfirm();
startTree();
startKeys();
startClock();
startLive();
startStream();
