// Asks the server how its model stands, every two seconds while somebody looks, and shows what is new.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const EVERY_MS = 2000;
  const SILENT_MS = 10_000; // a status that stays the same for so long is written by nobody
  const KEPT = "sweep-token"; // the same as on the page that tries the model
  const WRONG = "This is not the token of this server.";

  const kept = () => { try { return sessionStorage.getItem(KEPT) || ""; } catch { return ""; } };
  const keep = (one) => { try { sessionStorage.setItem(KEPT, one); } catch { /* asked for again next time */ } };
  let token = kept();
  let timer = 0;
  let asking = false;
  let held = false; // a pointer is down: somebody zooms, or marks text
  let waiting = null; // what came meanwhile
  let last = { at_s: null, since_ms: 0, looks: 0 };

  function say(state, text, more = "") {
    const bar = byId("live");
    const [word, rest] = bar.querySelectorAll("span");
    bar.dataset.state = state;
    if (word.textContent !== text) word.textContent = text;
    rest.textContent = more;
  }

  function trouble(text) {
    const where = byId("trouble");
    if (where.textContent !== text) where.textContent = text;
    where.hidden = !text;
  }

  async function look() {
    clearTimeout(timer);
    if (asking) return;
    asking = true;
    try {
      const headers = token ? { Authorization: `Bearer ${token}` } : {};
      await answered(await fetch("online.json", { cache: "no-store", headers }));
    } catch {
      say("lost", "Connection lost, trying again");
      trouble("The server does not answer: what stands here is how it last was.");
    } finally {
      asking = false;
      if (!document.hidden && byId("access").hidden) timer = setTimeout(look, EVERY_MS);
    }
  }

  async function answered(answer) {
    byId("access").hidden = answer.status !== 401;
    if (answer.status === 401) {
      say("lost", "A token is needed");
      trouble("");
      byId("refused").textContent = token ? WRONG : "";
      byId("token").focus();
      return;
    }
    keep(token);
    const told = await answer.json().catch(() => null);
    if (!answer.ok || !told || !told.champion) {
      say("waiting", "No status yet");
      const why = [told?.error?.message, told?.error?.hint].filter(Boolean).join("; ");
      const early = answer.ok || answer.status === 404 || answer.status === 503;
      const said = early ? "Nothing is learnt yet" : `The server says ${answer.status}`;
      const text = `${said}${why && `: ${why}`}.${early ? " This page goes on when there is something to show." : ""}`;
      byId("empty").textContent = text;
      byId("empty").hidden = false;
      return;
    }
    byId("empty").hidden = true;
    waiting = [told, standing(told)];
    show();
  }

  /** Say whether it learns, and return whether it has fallen silent; the clock of this machine need not be that of the server. */
  function standing(status) {
    const now_ms = performance.now();
    if (status.at_s !== last.at_s) last = { at_s: status.at_s, since_ms: now_ms, looks: 0 };
    last.looks += 1;
    const age_ms = Date.now() - 1000 * status.at_s;
    const silent = now_ms - last.since_ms > SILENT_MS || (last.looks > 2 && age_ms > SILENT_MS);
    const { duration, count } = sweepOnline;
    if (silent) {
      say("silent", "Nothing new");
      trouble(`The learner has told nothing for ${duration(Math.max(age_ms, now_ms - last.since_ms) / 1000)}: the champion answers as long as the server does, and nothing is learnt.`);
      return true;
    }
    const more = ` · ${count(status.rows.labelled, "labelled row")}`;
    if (status.learning === "on") say("on", "Learning", more);
    else say("paused", status.learning === "held" ? "Held" : "Paused", more);
    trouble({
      on: "",
      paused: "Learning is paused: an administrator asked for it. The champion answers, and labels are kept.",
      held: "Learning is held: the labels of the newest rows have shifted suddenly. Rows wait until it is clear whether that lasts.",
    }[status.learning] ?? "");
    return false;
  }

  function show() {
    if (held || !waiting) return;
    const [status, silent] = waiting;
    waiting = null;
    sweepOnline.show(status, silent);
  }

  function release() {
    held = false;
    setTimeout(show);
  }

  addEventListener("pointerdown", () => { held = true; }, true);
  for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, release, true);
  addEventListener("blur", release); // of the window: that of an element does not rise to here
  // of some presses nobody hears the end: on a scroll bar, for a menu
  addEventListener("pointermove", (event) => { if (held && !event.buttons) release(); }, true);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  byId("access").addEventListener("submit", (event) => {
    event.preventDefault();
    token = byId("token").value.trim();
    if (/[^!-~]/.test(token)) byId("refused").textContent = WRONG; // no header holds it
    else look();
  });
  look();
})();
