// The page: its data, its look, its figures drawn when they are seen, their tables, copying and printing.
"use strict";

const sweepPage = (window.sweepPage = {});

(() => {
  const root = document.documentElement;
  const fresh = new Map(); // figures that plotly has drawn, by key: whether they show what is so now
  const ROWS = 200; // of a figure's table that are shown

  sweepPage.data = JSON.parse(document.getElementById("payload").textContent);

  // what steers a terminal, and marks that turn the direction of text round
  const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
  const clean = (value) => String(value).replace(UNSEEN, "\ufffd");

  /** Make an element; `text` is text, never markup. */
  sweepPage.make = (name, properties = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (value === undefined || value === null || value === false) continue;
      if (key === "text") made.textContent = clean(value);
      else if (key === "class") made.className = value;
      else made.setAttribute(key, value === true ? "" : clean(value));
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  };

  /** Return a value for people. */
  sweepPage.shown = (value) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (typeof value !== "number" || Number.isInteger(value)) return String(value);
    const size = Math.abs(value);
    return size >= 1e-4 && size < 1e6 ? String(Number(value.toPrecision(5))) : value.toExponential(3).replace(/\.?0+e/, "e");
  };

  /** Write a table as a file that spreadsheets read; text that they would take for a formula is quoted. */
  sweepPage.download = (name, heads, rows) => {
    const cell = (value) => {
      if (value === null || value === undefined) return "";
      let text = String(value);
      if (typeof value !== "number" && /^[=+@\t\r-]/.test(text) && Number.isNaN(Number(text))) text = `'${text}`;
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const lines = [heads, ...rows].map((row) => Array.from(row, cell).join(","));
    const blob = new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv;charset=utf-8" });
    const link = sweepPage.make("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };

  // ---- look

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const kept = {
    get: () => { try { return localStorage.getItem("sweep-theme"); } catch { return null; } },
    set: (look) => { try { localStorage.setItem("sweep-theme", look); } catch { /* of this page view alone */ } },
  };

  function wear(look) {
    root.dataset.theme = look;
    document.getElementById("theme").textContent = look === "dark" ? "Light" : "Dark";
    refresh();
  }

  // ---- figures

  const box = (key) => document.getElementById(`figure-${key}`);
  const coarse = window.matchMedia("(pointer: coarse)").matches; // a finger that drags scrolls the page
  const options = {
    responsive: true,
    displaylogo: false,
    modeBarButtons: [["select2d", "zoom2d", "pan2d", "resetScale2d"], ["toImage"]],
  };

  let revision = 0; // of outlines of boxes: none outlasts the next drawing
  let drawing = false;
  let keys = {}; // with which a pointer went down last
  document.addEventListener("pointerdown", (event) => { keys = event; }, true);

  function layoutOf(key, figure) {
    const layout = structuredClone(figure.spec.layout);
    const picks = sweepPage.picks(figure);
    return {
      ...layout,
      template: sweepPage.data.templates[root.dataset.theme],
      autosize: true,
      uirevision: "kept",
      selections: [],
      selectionrevision: ++revision,
      dragmode: coarse ? false : picks ? "select" : "zoom",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--quiet"), activecolor: colour("--accent") },
    };
  }

  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  sweepPage.colour = colour;

  function draw(key) {
    const figure = sweepPage.data.figures[key];
    const where = box(key)?.querySelector(".plot");
    if (!where || !figure?.spec) return;
    const traces = sweepPage.marked(figure);
    const layout = layoutOf(key, figure);
    const config = { ...options, toImageButtonOptions: { format: "svg", filename: key } }; // another one would undo zooms
    drawing = true;
    if (fresh.has(key)) {
      Plotly.react(where, traces, layout, config);
    } else {
      Plotly.newPlot(where, traces, layout, config);
      where.on("plotly_click", (event) => sweepPage.picked(event.points, event.event, true));
      where.on("plotly_selected", (event) => {
        if (!drawing && event?.points?.length) sweepPage.picked(event.points, keys, false);
      });
      box(key).dataset.drawn = "true";
    }
    drawing = false;
    fresh.set(key, true);
  }

  const seen = new Set();
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const key = entry.target.dataset.key;
        if (!entry.isIntersecting) seen.delete(key);
        else {
          seen.add(key);
          if (!fresh.get(key)) draw(key);
        }
      }
    },
    { rootMargin: "900px" },
  );

  /** Draw anew what is in sight, and the rest once it is. */
  function refresh() {
    for (const key of fresh.keys()) fresh.set(key, false);
    for (const key of seen) draw(key);
  }
  sweepPage.refresh = refresh;

  // ---- tables of figures

  function fill(details) {
    const key = details.closest("figure").dataset.key;
    const columns = Object.entries(sweepPage.data.figures[key].data);
    const where = details.querySelector(".data");
    const count = columns.length ? columns[0][1].length : 0;
    const { make, shown } = sweepPage;
    const head = make("tr", {}, ...columns.map(([name]) => make("th", { scope: "col", text: name })));
    const rows = Array.from({ length: Math.min(count, ROWS) }, (_, row) =>
      make("tr", {}, ...columns.map(([, values]) => make("td", { text: shown(values[row]) }))));
    const told = count > ROWS ? `The first ${ROWS} of ${count.toLocaleString("en")} rows. ` : "";
    where.replaceChildren(
      make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Data of the figure" },
        make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))),
      make("p", { class: "quiet", text: told + (sweepPage.data.figures[key].cut ?? "") }),
    );
  }

  function csv(key) {
    const columns = Object.entries(sweepPage.data.figures[key].data);
    const count = columns.length ? columns[0][1].length : 0;
    const rows = Array.from({ length: count }, (_, row) => columns.map(([, values]) => values[row]));
    sweepPage.download(`${sweepPage.data.study}-${key}.csv`, columns.map(([name]) => name), rows);
  }

  // ---- new data

  /** Take a whole new payload; what the reader has set up stays as it is. */
  sweepPage.update = (payload) => {
    sweepPage.data = payload;
    sweepPage.forget();
    for (const [key, figure] of Object.entries(payload.figures)) {
      if (!figure.spec && fresh.has(key)) {
        Plotly.purge(box(key).querySelector(".plot"));
        fresh.delete(key);
        delete box(key).dataset.drawn;
      }
    }
    for (const key of seen) if (!fresh.has(key)) draw(key);
    refresh();
    for (const details of document.querySelectorAll("figure details[open]")) fill(details);
    sweepPage.table.update();
    sweepPage.card.update();
  };

  // ---- printing: everything is drawn, light, as wide as paper

  let before = null;
  let folded = [];
  window.addEventListener("beforeprint", () => {
    if (before !== null) return;
    before = root.dataset.theme;
    root.classList.add("printing");
    root.dataset.theme = "light";
    document.getElementById("rows-port")?.scrollTo(0, 0);
    folded = [...document.querySelectorAll(".made details:not([open]), #commands:not([open])")];
    for (const details of folded) details.open = true;
    for (const key of Object.keys(sweepPage.data.figures)) {
      draw(key);
      const where = box(key)?.querySelector(".plot");
      if (fresh.has(key) && where) Plotly.Plots.resize(where);
    }
  });
  window.addEventListener("afterprint", () => {
    root.classList.remove("printing");
    if (before !== null) wear(before);
    before = null;
    for (const details of folded) details.open = false;
    folded = [];
    for (const key of fresh.keys()) Plotly.Plots.resize(box(key).querySelector(".plot"));
  });

  // ---- the reader

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch { // where the browser keeps the clipboard to itself: the text is selected, for Ctrl-C
      const code = button.closest(".command")?.querySelector("code");
      if (code) window.getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1_500);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.copy !== undefined) copy(button);
    else if (button.dataset.open !== undefined) sweepPage.select([Number(button.dataset.open)], { open: true });
    else if (button.matches("figure button.csv")) csv(button.closest("figure").dataset.key);
    else if (button.id === "theme") {
      const look = root.dataset.theme === "dark" ? "light" : "dark";
      kept.set(look);
      wear(look);
    }
  });
  document.addEventListener("toggle", (event) => {
    if (event.target.matches?.("figure details") && event.target.open) fill(event.target);
  }, true);
  dark.addEventListener("change", () => { if (!kept.get()) wear(dark.matches ? "dark" : "light"); });

  // the link to the section that is being read
  const sections = [...document.querySelectorAll("main > section")];
  const passed = new IntersectionObserver(() => {
    const now = sections.findLast((one) => one.getBoundingClientRect().top < window.innerHeight / 3);
    for (const link of document.querySelectorAll("nav a")) {
      if (link.hash === `#${now?.id}`) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "0px 0px -66% 0px" });

  /** Begin, once all scripts are there. */
  sweepPage.begin = () => {
    root.dataset.theme = kept.get() ?? (dark.matches ? "dark" : "light");
    document.getElementById("theme").textContent = root.dataset.theme === "dark" ? "Light" : "Dark";
    sweepPage.table.begin();
    sweepPage.restore();
    for (const figure of document.querySelectorAll("figure[data-key]")) watcher.observe(figure);
    for (const section of sections) passed.observe(section);
  };
})();
