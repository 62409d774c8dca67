// Keeps "where we are" up to date. Without it the page shows the moment it was loaded.
const EVERY_MS = 5000;
const here = document.querySelector("[data-here]");

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(here.dataset.here, { credentials: "omit" });
    if (!answer.ok) throw new Error(answer.status);
    here.innerHTML = await answer.text();
    here.classList.remove("old");
  } catch {
    // The last known place stays, but it is not shown as if it were now.
    here.classList.add("old");
  }
}

if (here) {
  setInterval(refresh, EVERY_MS);
  document.addEventListener("visibilitychange", refresh);
}
