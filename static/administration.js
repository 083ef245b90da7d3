// What Django's admin does not tell screen readers.

// The marks beside lists of choices are images; its script makes them when all is loaded.
addEventListener("load", () => {
  for (const mark of document.querySelectorAll(".help-tooltip[aria-label]")) mark.setAttribute("role", "img");
});

document.getElementById("searchbar")?.setAttribute("aria-label", "Search");
