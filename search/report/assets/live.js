"use strict";
// Keeps an open page up to date: the server tells of each new edition, which is put in place without a reload.
(() => {
  const AGAIN_MS = 3000;
  const root = document.documentElement;
  let edition = root.dataset.edition; // what the page shows
  let stream = null;
  let asking = false;
  let held = false; // a pointer is down: a brush, a drag
  let newest = edition;

  const style = document.createElement("style");
  style.textContent = `
    #live { flex: none; margin: 0 0 0 auto; font-size: 13px; color: var(--quiet); white-space: nowrap;
      font-variant-numeric: tabular-nums; }
    #live::before { content: "\\25CB\\a0"; }
    #live[data-state="running"]::before { content: "\\25CF\\a0"; color: var(--accent); }
    #live[data-state="lost"], #live[data-state="trouble"] { color: var(--warn); }
    @media (max-width: 640px) { #live span:last-child { display: none; } }`;
  document.head.append(style);
  const bar = document.createElement("p");
  const word = document.createElement("span"); // read out when it changes
  const counts = document.createElement("span");
  bar.id = "live";
  word.setAttribute("role", "status");
  bar.append(word, counts);
  document.getElementById("theme").before(bar);

  function say(state, text, { more = "", whole = "" } = {}) {
    bar.dataset.state = state;
    bar.title = whole;
    if (word.textContent !== text) word.textContent = text;
    counts.textContent = more;
  }

  function told(news) {
    newest = news.edition;
    const trials = news.trials;
    const ended = trials.complete + trials.pruned + trials.fail;
    const running = trials.running ? `, ${trials.running} running` : "";
    const more = ` · ${ended.toLocaleString("en")} ended${running}`;
    if (news.trouble) say("trouble", "Not up to date", { whole: news.trouble });
    else if (news.state === "running") say("running", "Live", { more });
    else say("ended", `Not running: ${news.state}`, { more, whole: "This page goes on when the sweep does." });
    refresh();
  }

  async function refresh() {
    if (asking || held || newest === edition) return;
    const wanted = newest;
    asking = true;
    const got = await fetched();
    asking = false;
    if (!got) {
      setTimeout(refresh, AGAIN_MS);
      return;
    }
    if (held) return; // what is being drawn on stays as it is; a newer one comes when the pointer is up
    edition = root.dataset.edition = got.name;
    if (newest === wanted) newest = edition;
    show(got.payload);
    refresh();
  }

  async function fetched() {
    try {
      const answer = await fetch("payload.json", { cache: "no-store" });
      if (!answer.ok) return null;
      return { name: answer.headers.get("ETag").replaceAll('"', ""), payload: await answer.json() };
    } catch {
      return null; // the server has gone; the stream notices
    }
  }

  function show(payload) {
    put(document.getElementById("head"), payload.head);
    for (const section of payload.sections) {
      put(document.querySelector(`.own[data-section="${CSS.escape(section.key)}"]`), section.html);
    }
    for (const [key, figure] of Object.entries(payload.figures)) {
      const where = document.getElementById(`figure-${key}`);
      if (!where) continue;
      words(where.querySelector("h3"), figure.finding);
      words(where.querySelector(".note"), figure.note);
      words(where.querySelector(".empty"), figure.empty);
      const plot = where.querySelector(".plot");
      plot.setAttribute("aria-label", [figure.name, figure.finding, figure.note].filter(Boolean).join(" "));
      plot.hidden = where.querySelector("details").hidden = !figure.spec;
      keepZoom(plot, figure.spec);
    }
    words(document.querySelector("footer p"), `Made by sweep on ${payload.made}.`);
    window.sweepPage.update(payload);
  }

  // Plotly keeps a reader's zoom where the range that a figure asks for is what it was. Ours grow with their data.
  function keepZoom(plot, spec) {
    const before = plot._fullLayout?._preGUI;
    if (!before || !spec) return;
    for (const path of Object.keys(before)) {
      const name = /^([xy]axis\d*)\.range\[0\]$/.exec(path)?.[1];
      if (!name || !spec.layout[name]?.range) continue;
      const asked = [before[path], before[`${name}.range[1]`]];
      const now = plot._fullLayout[name]?.range;
      const zoomed = now && (now[0] !== asked[0] || now[1] !== asked[1]);
      if (zoomed && !asked.includes(null) && !asked.includes(undefined)) spec.layout[name].range = asked;
    }
  }

  function words(element, text) {
    if (element.textContent !== text) element.textContent = text;
    element.hidden = !text;
  }

  const shown = new WeakMap(); // the HTML of an element, as it came

  // The HTML is made and escaped by the server, as that of the page is.
  function put(element, html) {
    if (!element || shown.get(element) === html) return;
    const name = (details) => details.querySelector("summary")?.textContent;
    const open = [...element.querySelectorAll("details")].filter((one) => one.open).map(name);
    const focused = [...element.querySelectorAll("a, button, input, summary")].indexOf(document.activeElement);
    element.innerHTML = html;
    shown.set(element, html);
    for (const details of element.querySelectorAll("details")) if (open.includes(name(details))) details.open = true;
    if (focused >= 0) element.querySelectorAll("a, button, input, summary")[focused]?.focus({ preventScroll: true });
  }

  function listen() {
    if (stream) stream.close();
    stream = new EventSource("events");
    stream.onmessage = (message) => told(JSON.parse(message.data));
    stream.onerror = () => {
      say("lost", "Connection lost, trying again");
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS); // refused: it tries no more itself
    };
  }

  // A browser keeps only six connections to one server: a page that nobody sees needs none.
  function seen() {
    if (!document.hidden) listen();
    else if (stream) stream.close();
  }

  function release() {
    held = false;
    setTimeout(refresh);
  }

  addEventListener("pointerdown", () => (held = true), true);
  for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, release, true);
  addEventListener("blur", release); // of the window: that of an element does not rise to here
  // of some presses nobody hears the end: on a scroll bar, for a menu
  addEventListener("pointermove", (event) => { if (held && !event.buttons) release(); }, true);
  document.addEventListener("visibilitychange", seen);
  say("ended", "Connecting");
  seen();
})();
