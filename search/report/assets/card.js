// A trial's card: its parameters in their ranges, its curve, its end, its log, its commands.
"use strict";

(() => {
  const { make, shown } = sweepPage;
  const card = (sweepPage.card = {});
  const dialog = document.getElementById("card");
  let back = null; // what had the focus before the card
  let number = null;

  const SVG = "http://www.w3.org/2000/svg";
  function draw(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function value(column, trial) {
    const found = column.values[trial];
    return column.kind === "level" && found !== null ? column.levels[found] : found;
  }

  /** Return a parameter's value beside its place in its range. */
  function ranged(column, trial) {
    const found = column.values[trial];
    const dd = make("dd", {}, make("span", { class: "value", text: shown(value(column, trial)) }));
    if (column.kind === "level") {
      const few = column.levels.length > 1 && column.levels.length <= 12;
      const dots = few ? column.levels.map((_, place) => make("i", { class: place === found ? "on" : "" })) : [];
      dd.append(make("span", { class: "among" }, ...dots, make("small", { text: `one of ${column.levels.length}` })));
    } else if (column.high > column.low) {
      const scale = column.log ? Math.log : (one) => one;
      const at = (scale(found) - scale(column.low)) / (scale(column.high) - scale(column.low));
      const dot = make("i");
      dot.style.setProperty("--at", String(Math.min(1, Math.max(0, at))));
      dd.append(make("span", { class: "range" }, dot,
        make("small", {}, make("span", { text: shown(column.low) }), make("span", { text: shown(column.high) + (column.log ? ", log" : "") }))));
    }
    return make("div", {}, make("dt", { text: column.name }), dd);
  }

  /** Return the curve of a trial as a small picture, the best trial's beside it. */
  function curve(trial) {
    const { metrics, unit, last } = sweepPage.data.curves;
    const metric = metrics[0];
    const own = sweepPage.curve(trial, metric);
    if (!own || own.values.length < 2) return null;
    const { front } = sweepPage.data.columns;
    const searched = sweepPage.column(`value:${metric}`);
    const turn = searched?.better === "more" ? -1 : 1;
    const bestTrial = [...front].sort((a, b) => turn * (searched.values[a] - searched.values[b]))[0];
    const best = bestTrial !== undefined && bestTrial !== trial ? sweepPage.curve(bestTrial, metric) : null;
    const finite = [own, best].filter(Boolean).flatMap((one) => one.values).filter(Number.isFinite);
    if (!finite.length) return null;
    const [least, most] = [(a, b) => Math.min(a, b), (a, b) => Math.max(a, b)]; // too many to be arguments at once
    const [low, high] = [finite.reduce(least), finite.reduce(most)];
    const end = [...own.steps, ...(best?.steps ?? [])].reduce(most, last);
    const [wide, tall, left, bottom] = [420, 150, 52, 20];
    const x = (step) => left + ((wide - left - 8) * (step - 1)) / Math.max(1, end - 1);
    const y = (one) => 8 + (tall - bottom - 8) * (high > low ? 1 - (one - low) / (high - low) : 0.5);
    const line = (one, attributes) => draw("polyline", {
      points: one.steps.flatMap((step, at) => (Number.isFinite(one.values[at]) ? [`${x(step)},${y(one.values[at])}`] : [])).join(" "),
      fill: "none", ...attributes,
    });
    const told = `${metric} by ${unit}, from ${shown(own.values[0])} to ${shown(own.values.at(-1))}`;
    const picture = draw("svg", { viewBox: `0 0 ${wide} ${tall}`, role: "img", "aria-label": told });
    for (const level of [low, high]) {
      picture.append(draw("line", { x1: left, x2: wide - 8, y1: y(level), y2: y(level), class: "grid" }),
        draw("text", { x: left - 6, y: y(level) + 4, "text-anchor": "end" }, shown(Number(level.toPrecision(3)))));
    }
    picture.append(draw("text", { x: left, y: tall - 4 }, `${unit} 1`), draw("text", { x: wide - 8, y: tall - 4, "text-anchor": "end" }, String(end)));
    if (best) picture.append(line(best, { class: "other" }));
    picture.append(line(own, { class: "own" }));
    const note = best ? `${told}. Dashed: trial ${bestTrial}, the best${front.length > 1 ? ` in ${metric}` : ""}.` : `${told}.`;
    return make("div", {}, picture, make("p", { class: "quiet", text: note }));
  }

  function command(text) {
    return make("div", { class: "command" }, make("code", { text, tabindex: "0" }),
      make("button", { type: "button", class: "copy", "data-copy": text, "aria-label": `Copy the command ${text}`, text: "Copy" }));
  }

  function pairs(columns, trial) {
    const known = columns.filter((column) => column.values[trial] !== null && column.values[trial] !== undefined);
    if (!known.length) return null;
    return make("dl", { class: "pairs" }, ...known.map((column) =>
      make("div", {}, make("dt", { text: column.name + (column.unit ? ` (${column.unit})` : "") }), make("dd", { text: shown(value(column, trial)) }))));
  }

  function fill(trial) {
    const { cards, columns } = sweepPage.data;
    const told = cards.of[trial] ?? {};
    const state = value(sweepPage.column("state"), trial);
    const of = (...starts) => columns.list.filter((column) => starts.some((start) => column.key.startsWith(start)));
    const params = of("param:").filter((column) => column.values[trial] !== null);
    const rest = columns.list.filter((column) => !/^(param|value|metric|constraint):|^(state|rank)$/.test(column.key));
    const part = (heading, ...children) => (children.some(Boolean) ? [make("h3", { text: heading }), ...children] : []);
    const end = told.end ?? `Its words are not in the page: ${cards.show.replace("{}", trial)}`;
    dialog.querySelector("#card-title").replaceChildren(make("i", { class: `state-${state}` }), `Trial ${trial}`,
      make("small", { text: columns.front.includes(trial) ? ` ${state}, ${columns.front.length > 1 ? "on the front" : "the best"}` : ` ${state}` }));
    dialog.querySelector(".body").replaceChildren(
      make("p", { class: "end", text: end }),
      ...(told.origin ?? []).map((text) => make("p", { class: "origin", text })),
      ...part("Values", pairs(of("value:", "constraint:"), trial)),
      ...part("Curve", curve(trial)),
      ...part("Parameters", params.length ? make("dl", { class: "ranges" }, ...params.map((column) => ranged(column, trial))) : null),
      ...part("Error", told.error ? make("pre", { text: told.error, tabindex: "0" }) : null),
      ...part("End of its log", told.log ? make("pre", { text: told.log, tabindex: "0" }) : null),
      ...part("More", pairs([...of("metric:"), ...rest], trial)),
      ...part("Commands", ...(cards.repeat ? [command(cards.repeat.replace("{}", trial))] : []), command(cards.logs.replace("{}", trial))),
      make("p", { class: "quiet", text: cards.note }),
    );
    dialog.dataset.trial = trial;
    number = trial;
  }

  /** Open the card of a trial. */
  card.open = (trial) => {
    if (trial === undefined || trial === null) return;
    fill(trial);
    if (!dialog.open) {
      back = document.activeElement;
      dialog.show();
      dialog.querySelector("#card-title").focus({ preventScroll: true });
    }
    dialog.querySelector(".body").scrollTop = 0;
    for (const text of dialog.querySelectorAll(".body pre")) text.scrollTop = text.scrollHeight; // what matters stands last
  };

  card.close = () => {
    if (!dialog.open) return;
    dialog.close();
    delete dialog.dataset.trial;
    const last = number;
    number = null;
    const fromRow = back?.dataset?.trial !== undefined;
    if (!fromRow || !sweepPage.table.focus(last)) back?.focus?.({ preventScroll: true });
    back = null;
  };

  card.update = () => { if (number !== null) fill(number); };

  function move(step) {
    const to = sweepPage.table.beside(number, step);
    if (to !== null) sweepPage.select([to], { open: true });
  }

  dialog.addEventListener("click", (event) => {
    if (event.target.closest(".close")) card.close();
    else if (event.target.closest(".before")) move(-1);
    else if (event.target.closest(".after")) move(1);
  });
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (step === undefined || event.target.closest("pre, code")) return;
    event.preventDefault();
    move(step);
  });
  sweepPage.begin();
})();
