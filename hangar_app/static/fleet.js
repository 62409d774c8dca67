// Fetches the page again and swaps the part marked with data-seconds. Without this the page is whole.
(() => {
  const part = () => document.querySelector("[data-seconds]");
  const again = async () => {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected) return location.reload();
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("[data-seconds]");
      if (answer.ok && fresh) part().replaceWith(document.importNode(fresh, true));
      document.body.classList.toggle("stale", !answer.ok);
    } catch {
      document.body.classList.add("stale");
    }
    wait();
  };
  const wait = () => {
    const here = part();
    if (here) setTimeout(() => (document.hidden ? wait() : again()), here.dataset.seconds * 1000);
  };
  wait();
})();
