// Keeps a page of besom serve up to date: it asks its own server, and no other, what is new. What
// comes is set as text; a newer page is HTML from the same templates as the first.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const RETRY_S = 5;
  let paused = false;
  let held = null; // a newer page that waits until the reader is done with what is shown
  let pointerDown = false;
  let timer = 0;
  let asking = false;

  function isBusy() {
    const selection = getSelection();
    const inMain = selection.rangeCount && !selection.isCollapsed
      && document.querySelector("main").contains(selection.anchorNode);
    return pointerDown || Boolean(inMain) || find("columns")?.open;
  }

  document.addEventListener("pointerdown", () => { pointerDown = true; });
  for (const name of ["pointerup", "pointercancel"]) {
    document.addEventListener(name, () => { pointerDown = false; });
  }
  // A button that is let go outside of the window is not heard of.
  document.addEventListener("pointermove", (event) => { pointerDown = event.buttons !== 0; });

  function showNow(now) {
    find("now-state").textContent = now.state;
    find("now-words").textContent = now.words;
    const progress = find("now-progress");
    progress.hidden = !now.total;
    progress.max = now.total || 1;
    progress.value = now.done;
    find("now-latest").hidden = !now.rows.length;
    const cells = (tag) => (row) => {
      const made = document.createElement("tr");
      for (const text of row) {
        const cell = document.createElement(tag);
        cell.textContent = text;
        cell.title = text;
        made.append(cell);
      }
      return made;
    };
    const shown = document.querySelector("#now-latest table");
    shown.tHead.replaceChildren(cells("th")(now.columns));
    shown.tBodies[0].replaceChildren(...now.rows.map(cells("td")));
    find("now-page").textContent = now.page;
  }

  async function showHeld() {
    if (!held || isBusy()) return;
    const { page, version } = held;
    held = null;
    await window.besomReady.replace(new DOMParser().parseFromString(page, "text/html"));
    document.body.dataset.version = version;
  }

  // What the server says now; the seconds until it is asked again, or null for never.
  async function ask() {
    const since = held ? held.version : document.body.dataset.version;
    let reply;
    try {
      reply = await fetch(`?since=${since}`, { cache: "no-store" });
    } catch {
      find("now-remark").textContent = "The server of besom serve does not answer. Trying again.";
      return RETRY_S;
    }
    if (!reply.ok) {
      find("now-remark").textContent = reply.status < 500
        ? "This address is no longer served: open the one that besom serve has printed."
        : "The server of besom serve reports an error. Trying again.";
      return reply.status < 500 ? null : RETRY_S;
    }
    const said = await reply.json();
    find("now-remark").textContent = "";
    showNow(said.now);
    if (said.page !== null) held = { page: said.page, version: said.version };
    await showHeld();
    return said.again_s;
  }

  async function poll() {
    clearTimeout(timer);
    if (asking || paused || document.hidden) return;
    asking = true;
    const again = await ask();
    asking = false;
    if (again !== null) timer = setTimeout(poll, 1000 * again);
  }

  find("pause").addEventListener("click", () => {
    paused = !paused;
    find("pause").setAttribute("aria-pressed", paused);
    find("pause").textContent = paused ? "Go on" : "Pause";
    find("now-remark").textContent = paused ? "Paused." : "";
    poll();
  });
  document.addEventListener("visibilitychange", poll);

  // After the page's own script has drawn it.
  const waiting = setInterval(() => {
    if (!window.besomReady) return;
    clearInterval(waiting);
    poll();
  }, 50);
})();
