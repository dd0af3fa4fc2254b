// The table of all trials: sorted, filtered, exported; of its rows only those in sight are there.
"use strict";

(() => {
  const { make, shown } = sweepPage;
  const HIGH = 30; // pixels of a row, as page.css has it
  const SPARE = 12; // rows above and below those in sight
  const USUAL = 12; // columns shown at first
  const table = (sweepPage.table = {});
  let view = []; // numbers of trials, filtered and sorted
  let sorting = { key: "rank", down: false };
  let wanted = null; // keys of the columns shown, once the reader has chosen
  let current = null; // number of the trial that the keyboard stands on

  const byId = (id) => document.getElementById(id);
  const all = () => [{ key: "number", name: "trial", kind: "int", values: null }, ...sweepPage.data.columns.list];
  const raw = (column, trial) => (column.values === null ? trial : column.values[trial]);
  const usual = new Set(["number", "rank", "state", "epochs", "seconds", "reason"]);

  /** Return a cell as what people read and files keep. */
  function cell(column, trial) {
    const value = raw(column, trial);
    return column.kind === "level" && value !== null ? column.levels[value] : value;
  }

  function columnsShown() {
    const listed = all();
    if (wanted) return listed.filter((column) => wanted.has(column.key));
    if (listed.length <= USUAL) return listed;
    const first = listed.filter((column) => usual.has(column.key) || column.key.startsWith("value:"));
    const params = listed.filter((column) => column.key.startsWith("param:")).slice(0, Math.max(3, USUAL - first.length));
    return listed.filter((column) => first.includes(column) || params.includes(column));
  }

  // ---- filtering: words, name:text, name<number; a minus before it turns it round

  const numeric = (value) => {
    if (value === "inf" || value === "-inf") return value === "inf" ? Infinity : -Infinity;
    return typeof value === "string" && value.trim() === "" ? NaN : Number(value);
  };
  const COMPARE = {
    "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
    "=": (a, b) => a === b, "!=": (a, b) => a !== b,
  };

  const fold = (text) => text.toUpperCase().toLowerCase(); // ß and SS are alike only by way of capitals

  function named(name) {
    const listed = all();
    const low = fold(name);
    return listed.find((column) => fold(column.name) === low || fold(column.key) === low)
      ?? listed.find((column) => fold(column.name).endsWith(`.${low}`))
      ?? listed.find((column) => fold(column.name).includes(low));
  }

  const plain = (word) => word.replaceAll('"', "");

  function textTerm(text) {
    const low = text.toLowerCase();
    const levels = all().filter((column) => column.kind === "level");
    return (trial) => String(trial) === low
      || levels.some((column) => String(cell(column, trial) ?? "").toLowerCase().includes(low))
      || (sweepPage.data.cards.of[trial]?.end ?? "").toLowerCase().includes(low);
  }

  function termOf(word) {
    if (/^#\d+$/.test(word)) return (trial) => trial === Number(word.slice(1));
    const found = /^((?:"[^"]*"|[^"])+?)(<=|>=|!=|<|>|=|:)(.*)$/.exec(word); // what stands in quotes compares nothing
    if (!found) return textTerm(plain(word));
    const [name, sign, given] = [plain(found[1]), found[2], plain(found[3])];
    const column = named(name);
    if (!column && sign === ":") return textTerm(plain(word));
    if (!column) throw new Error(`There is no column ${name}.`);
    if (found[3] === "") throw new Error(`${name}${sign} is not finished: it takes a value.`);
    const low = fold(given);
    const bound = given === "" ? NaN : Number(given);
    if (sign === ":" || (column.kind === "level" && Number.isNaN(bound))) {
      const exact = column.kind === "level" && column.levels.includes(given); // None is not none, where there are both
      const within = (trial) => {
        const text = String(cell(column, trial) ?? "");
        if (sign === ":") return fold(text).includes(low);
        return exact ? text === given : fold(text) === low;
      };
      return sign === "!=" ? (trial) => !within(trial) : within;
    }
    if (Number.isNaN(bound)) throw new Error(`${name}${sign} takes a number.`);
    return (trial) => {
      const value = cell(column, trial);
      return value !== null && COMPARE[sign](numeric(value), bound);
    };
  }

  function filter(text) {
    const outside = (part, at) => (at % 2 ? part : part.replace(/\s*(<=|>=|!=|<|>|=)\s*/g, "$1")); // of quotes
    const words = text.split(/("[^"]*")/).map(outside).join("").match(/(?:[^\s"]|"[^"]*")+/g) ?? [];
    return words.map((word) => {
      if (/^(-|-?[<>=!:].*)$/.test(word)) throw new Error(`${word} is not finished: ${word === "-" ? "say what not" : "say which column"}.`);
      const turned = word.startsWith("-") && word.length > 1;
      const term = termOf(turned ? word.slice(1) : word);
      return turned ? (trial) => !term(trial) : term;
    });
  }

  // ---- the view

  function look() {
    const count = sweepPage.data.columns.count;
    let terms = [];
    let fault = "";
    try {
      terms = filter(byId("filter").value);
    } catch (error) {
      fault = error.message;
    }
    view = [];
    for (let trial = 0; trial < count; trial++) if (terms.every((term) => term(trial))) view.push(trial);
    const column = all().find((one) => one.key === sorting.key);
    if (column) sort(column);
    const of = count.toLocaleString("en");
    byId("count").textContent = fault || (terms.length ? `${view.length.toLocaleString("en")} of ${of} trials` : `${of} trials`);
    render(true);
  }

  function sort(column) {
    const turn = sorting.down ? -1 : 1;
    const key = column.kind === "level" ? (trial) => cell(column, trial) : (trial) => {
      const value = raw(column, trial);
      return value === null ? null : numeric(value);
    };
    const keys = new Map(view.map((trial) => [trial, key(trial)]));
    view.sort((a, b) => {
      const [one, two] = [keys.get(a), keys.get(b)];
      if (one === two) return a - b;
      if (one === null) return 1; // what is missing comes last, either way
      if (two === null) return -1;
      return (one < two ? -1 : 1) * turn;
    });
  }

  function heads() {
    const cells = columnsShown().map((column) => {
      const sorted = column.key === sorting.key;
      const arrow = sorted ? (sorting.down ? " ↓" : " ↑") : "";
      const better = column.better ? `, ${column.better} is better` : "";
      const unit = column.unit ? ` (${column.unit})` : "";
      const button = make("button", { type: "button", "data-sort": column.key, title: `Sort by ${column.name}${better}` },
        make("span", { text: column.name + unit }), make("span", { text: arrow, "aria-hidden": "true" }));
      const order = sorted ? (sorting.down ? "descending" : "ascending") : "none";
      return make("th", { scope: "col", "aria-sort": order, class: column.kind === "level" ? "" : "right" }, button);
    });
    byId("rows").querySelector("thead").replaceChildren(make("tr", { "aria-rowindex": 1 }, ...cells));
  }

  let range = [-1, -1];

  /** Make the rows in sight. */
  function render(anew = false) {
    const port = byId("rows-port");
    const body = byId("rows").querySelector("tbody");
    const first = Math.max(0, Math.floor(port.scrollTop / HIGH) - SPARE);
    const last = Math.min(view.length, Math.ceil((port.scrollTop + port.clientHeight) / HIGH) + SPARE);
    if (!anew && first === range[0] && last === range[1]) return;
    range = [first, last];
    if (anew) heads();
    const listed = columnsShown();
    const picked = new Set(sweepPage.selection());
    const best = new Set(sweepPage.data.columns.front);
    const focused = body.contains(document.activeElement);
    const stop = view.includes(current) ? current : view[0];
    const row = (at) => {
      const trial = view[at];
      const cells = listed.map((column) => {
        const text = shown(cell(column, trial));
        if (column.key === "number") return make("th", { scope: "row", text: best.has(trial) ? `${text} ◎` : text, class: "right", title: best.has(trial) ? (best.size > 1 ? "on the front" : "best") : null });
        if (column.key === "state") return make("td", {}, make("i", { class: `state-${text}` }), text);
        return make("td", { text, title: text.length > 24 ? text : null, class: column.kind === "level" ? "" : "right" });
      });
      return make("tr", {
        "data-trial": trial, "aria-rowindex": at + 2, "aria-selected": String(picked.has(trial)), tabindex: trial === stop ? "0" : "-1",
      }, ...cells);
    };
    const space = (count) => {
      const made = make("tr", { class: "space", "aria-hidden": "true" }, make("td", { colspan: listed.length }));
      made.firstChild.style.height = `${count * HIGH}px`;
      return made;
    };
    const places = Array.from({ length: Math.max(0, last - first) }, (_, at) => first + at);
    const stands = view.indexOf(stop); // the keyboard's row is there, in sight or not
    if (stands >= 0 && stands < first) places.unshift(stands);
    if (stands >= last) places.push(stands);
    const rows = [];
    let next = 0;
    for (const at of places) {
      if (at > next) rows.push(space(at - next));
      rows.push(row(at));
      next = at + 1;
    }
    if (next < view.length) rows.push(space(view.length - next));
    body.replaceChildren(...rows);
    byId("rows").setAttribute("aria-rowcount", view.length + 1);
    if (focused) body.querySelector(`tr[data-trial="${stop}"]`)?.focus({ preventScroll: true });
  }

  function goTo(at) {
    if (!view.length) return;
    const place = Math.min(view.length - 1, Math.max(0, at));
    current = view[place];
    const port = byId("rows-port");
    const top = place * HIGH;
    const room = port.clientHeight - 2 * HIGH;
    if (top < port.scrollTop) port.scrollTop = top;
    else if (top > port.scrollTop + room) port.scrollTop = top - room;
    render(true);
    byId("rows").querySelector(`tr[data-trial="${current}"]`)?.focus({ preventScroll: true });
  }

  function choose() {
    const where = byId("columns");
    const listed = all();
    where.hidden = listed.length <= USUAL;
    const on = new Set(columnsShown().map((column) => column.key));
    where.querySelector("div").replaceChildren(...listed.map((column) => {
      const box = make("input", { type: "checkbox", value: column.key });
      box.checked = on.has(column.key);
      return make("label", {}, box, document.createTextNode(` ${column.name}`));
    }));
  }

  // ---- for the other scripts

  /** Show which trials are picked. */
  table.mark = () => render(true);
  /** Return the trial before or after another in the present order; null where there is none, or the filter hides it. */
  table.beside = (trial, step) => (view.includes(trial) ? view[view.indexOf(trial) + step] ?? null : null);
  /** Go to a trial's row; tell whether the filter leaves it. */
  table.focus = (trial) => {
    if (!view.includes(trial)) return false;
    goTo(view.indexOf(trial));
    return true;
  };
  table.update = () => { choose(); look(); };
  table.begin = () => {
    if (!sweepPage.column("rank")) sorting = { key: "number", down: false };
    choose();
    look();
  };

  byId("rows-port").addEventListener("scroll", () => requestAnimationFrame(() => render()), { passive: true });
  new ResizeObserver(() => render()).observe(byId("rows-port"));
  byId("filter").addEventListener("input", () => { byId("rows-port").scrollTop = 0; look(); });
  byId("columns").addEventListener("change", (event) => {
    wanted = new Set([...byId("columns").querySelectorAll("input:checked")].map((box) => box.value));
    if (!wanted.size) { wanted.add("number"); event.target.checked = event.target.value === "number"; }
    render(true);
  });
  byId("export").addEventListener("click", () => {
    const listed = all();
    sweepPage.download(`${sweepPage.data.study}-trials.csv`, listed.map((column) => column.name),
      view.map((trial) => listed.map((column) => cell(column, trial))));
  });
  byId("rows").addEventListener("click", (event) => {
    const key = event.target.closest("button[data-sort]")?.dataset.sort;
    if (key !== undefined) {
      sorting = { key, down: sorting.key === key ? !sorting.down : sweepPage.column(key)?.better === "more" };
      look();
      [...byId("rows").querySelectorAll("button[data-sort]")].find((button) => button.dataset.sort === key)?.focus();
      return;
    }
    const row = event.target.closest("tr[data-trial]");
    if (!row) return;
    current = Number(row.dataset.trial);
    pick(event);
  });
  function pick(event) {
    const from = sweepPage.selection().at(-1);
    if (event.shiftKey && from !== undefined && view.includes(from)) {
      const ends = [view.indexOf(from), view.indexOf(current)].sort((a, b) => a - b);
      sweepPage.select([...new Set([...sweepPage.selection(), ...view.slice(ends[0], ends[1] + 1)])]);
    } else sweepPage.select([current], { open: !(event.ctrlKey || event.metaKey), adds: event.ctrlKey || event.metaKey });
  }
  byId("rows").addEventListener("keydown", (event) => {
    const row = event.target.closest("tr[data-trial]");
    if (!row) return;
    const at = view.indexOf(Number(row.dataset.trial));
    const page = Math.floor(byId("rows-port").clientHeight / HIGH) - 1;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: view.length - 1 }[event.key];
    if (to !== undefined) goTo(to);
    else if (event.key === "Enter" || event.key === " ") {
      current = Number(row.dataset.trial);
      if (event.key === " ") sweepPage.select([current], { adds: true });
      else pick(event);
    } else return;
    event.preventDefault();
  });
})();
