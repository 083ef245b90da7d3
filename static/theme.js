// Before anything is painted: scripts run here, and which theme was chosen.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const chosen = localStorage.getItem("theme");
  if (chosen) root.dataset.theme = chosen;
})();
