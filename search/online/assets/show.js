// How a status is shown: pure of the network; every name in it is text, never markup.
"use strict";

const sweepOnline = (window.sweepOnline = {});

(() => {
  const { make, shown } = sweepPage;
  const byId = (id) => document.getElementById(id);
  const ROLES = {
    served: "what was served", champion: "champion", challenger: "challenger", previous: "champion before",
    winner: "winner of the re-sweep",
  };
  const KINDS = {
    shown: "were predicted for somebody",
    labelled: "of all have a label",
    learnt: "of those were learnt",
    holdout: "are kept to test with, and never learnt",
    trusted: "were labelled by an administrator, and are never learnt",
    aside: "were put aside: outside the ranges seen, or beyond the share of one source",
    held: "wait, since labels have shifted suddenly",
    unknown: "labels were of rows that nobody knows",
    waiting: "were predicted, and wait for their label",
  };
  const COLOURS = { champion: "#0072B2", challenger: "#E69F00", error: "#D55E00", input: "#CC79A7", swap: "#009E73" };
  const UNSETTLED = 50; // as in search/online/status.py
  const FEW = 30; // labelled rows below which nobody is called ahead
  const NAMES = { accuracy: "accuracy", mae: "mean absolute error" };

  const narrow = window.matchMedia("(max-width: 640px)"); // the legend takes several lines there

  // ---- words

  const count = (value, one, more = `${one}s`) => `${value.toLocaleString("en")} ${value === 1 ? one : more}`;
  const figure = (value) => (value === null || value === undefined ? "–" : shown(Number(value.toPrecision(4))));
  const evidence = (value) => (value === null || value === undefined ? "–" : (Math.round(100 * value) / 100 + 0).toFixed(2)); // no -0.00
  const own = (object, name) => (object && Object.hasOwn(object, name) ? object[name] : undefined);
  sweepOnline.count = count;

  /** Return seconds in words, as search/durations.py does. */
  sweepOnline.duration = (seconds) => {
    const whole = Math.max(0, Math.round(seconds));
    const two = (value) => String(value).padStart(2, "0");
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
    if (whole < 172_800) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
    return `${Math.floor(whole / 86_400)} days`;
  };

  const when = (seconds) => {
    const at = new Date(1000 * seconds);
    const two = (value) => String(value).padStart(2, "0");
    const day = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join("-");
    return `${day} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":")}`;
  };

  /** Return a name as text of a figure: plotly takes some tags for markup, and fills in `%{...}`. */
  const plain = (value, most = 28) => {
    let text = make("i", { text: String(value) }).textContent;
    if (text.length > most) text = `${text.slice(0, (most - 1) >> 1)}…${text.slice(text.length - (most >> 1))}`;
    return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("%{", "%\u200b{");
  };

  // ---- parts

  const put = (id, ...children) => byId(id).replaceChildren(...children);
  const words = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
    element.hidden = !text;
  };
  const told = (id, text) => words(byId(id), make("i", { text }).textContent);

  const kept = new Map(); // what a part was made of last
  /** Make a part anew where what it shows has changed: a reader may have marked text in it. */
  const part = (id, content, build) => {
    const key = JSON.stringify(content);
    if (kept.get(id) === key) return;
    kept.set(id, key);
    put(id, ...build(content));
  };

  const table = (caption, heads, rows) => {
    const cell = (name, [text, kind], scope) => {
      const made = make(name, { class: kind, scope });
      made.append(text instanceof Node ? text : make("span", { text }));
      return made;
    };
    return make("table", {},
      make("caption", { class: "unseen", text: caption }),
      make("thead", {}, make("tr", {}, ...heads.map((one) => cell("th", one, "col")))),
      make("tbody", {}, ...rows.map(([first, ...others]) =>
        make("tr", {}, cell("th", first, "row"), ...others.map((one) => cell("td", one))))));
  };
  const text = (value) => [value, null];
  const long = (value) => [value, "long"];
  const right = (value) => [typeof value === "number" || value === null || value === undefined ? figure(value) : value, "figure"];

  const gauge = (share, kind) => {
    const made = make("span", { class: kind ? `gauge ${kind}` : "gauge", "aria-hidden": "true" }, make("i"));
    made.firstChild.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
    return made;
  };

  // ---- the head

  const standing = (status, silent) => {
    const served = status.metrics.served?.rows > 0; // the champion's own are few after each change
    const scores = served ? status.metrics.served : status.metrics.champion;
    const { label, since_s } = status.champion;
    const since = since_s === null ? "" : ` for ${sweepOnline.duration(status.at_s - since_s)}`;
    const learning = silent ? "nothing is learnt" : { on: "learning", paused: "learning is paused", held: "learning is held" }[status.learning];
    told("name", status.name);
    told("facts", [
      `${label} answers${since}`, learning, count(status.rows.labelled, "labelled row"),
      ...(status.behind ? [`${count(status.behind, "event")} behind`] : []),
    ].join(" · "));
    const value = scores?.rolling[status.score] ?? null;
    told("measure", `${NAMES[status.score]} of ${served ? "what was served" : "the champion"}, over the newest rows`);
    told("value", value === null ? "none yet" : figure(value));
    const [champion, challenger] = ["champion", "challenger"].map((role) => status.metrics[role]?.rolling[status.score]);
    told("value-note", value === null ? "no row that was answered has a label yet"
      : `champion ${figure(champion)}, challenger ${figure(challenger)}; ${count(scores.rows, "row")} measured`);
  };

  const share = (test) => (test.needed > 0 ? (test.log_evidence ?? 0) / test.needed : 0);

  const challengersCase = (test) => {
    if (!test) return [make("p", { text: "There is no challenger." })];
    const known = test.log_evidence !== null && test.rows;
    const said = known ? `evidence ${evidence(test.log_evidence)} of ${evidence(test.needed)} needed` : `no evidence yet; ${evidence(test.needed)} is needed`;
    return [
      make("p", { text: said }), gauge(share(test), share(test) >= 1 ? "enough" : ""),
      make("p", { class: "quiet", text: test.rows ? `over ${count(test.since, "row")} of ${test.rows.toLocaleString("en")} that both have answered` : "no row yet that both have answered" }),
    ];
  };

  const tiles = (status) => {
    const { rows, drift, resweep } = status;
    const lines = (...texts) => texts.filter(Boolean).map((one) => make("p", { text: one }));
    part("tile-rows", rows, () => lines(
      `${count(rows.learnt, "row")} learnt`, `${rows.labelled.toLocaleString("en")} labelled, ${rows.waiting.toLocaleString("en")} waiting`,
      rows.aside + rows.held ? `${rows.aside.toLocaleString("en")} put aside, ${rows.held.toLocaleString("en")} held` : ""));
    const moved = Object.values(drift.stability).filter((one) => one >= 0.25).length;
    const full = drift.alarms.length >= 50;
    part("tile-drift", [drift.alarms.length, moved, drift.alarms.map((one) => one.row)], () => lines(
      drift.alarms.length ? `${full ? "50 or more alarms" : count(drift.alarms.length, "alarm")}` : "no alarm",
      drift.alarms.length ? `the last at row ${Math.max(...drift.alarms.map((one) => one.row)).toLocaleString("en")}` : "",
      moved ? `${count(moved, "column has", "columns have")} moved far` : "no column has moved far"));
    const states = { none: "none", running: "running", finished: "finished", failed: "failed" };
    part("tile-resweep", resweep, () => lines(
      states[resweep.state] ?? resweep.state, resweep.state !== "none" && resweep.study,
      resweep.state !== "none" && resweep.used_s !== null && resweep.used_s !== undefined && `${sweepOnline.duration(resweep.used_s)} used`,
      resweep.state !== "none" && resweep.why));
  };

  // ---- the tables

  const label = (status, role) => (role === "champion" ? `champion ${status.champion.label}` : ROLES[role] ?? role);

  const metrics = (status) => {
    const roles = Object.entries(status.metrics).filter(([, one]) => one);
    const names = [...new Set(roles.flatMap(([, one]) => Object.keys(one.rolling).filter((name) => name !== "classes")))];
    const heads = [text("model"), right("rows"), ...["rolling", "fading"].flatMap((over) => names.map((name) => right(`${name.replaceAll("_", " ")}, ${over}`)))];
    const rows = roles.map(([role, one]) => [
      text(label(status, role)), right(one.rows.toLocaleString("en")),
      ...["rolling", "fading"].flatMap((over) => names.map((name) => right(own(one[over], name)))),
    ]);
    part("metrics", [heads, rows], () => [table("Metrics by model", heads, rows)]);
  };

  const tests = (status) => {
    const found = Object.entries(status.tests).filter(([, one]) => one);
    told("evidence-empty", found.length ? "" : "Nobody competes with the champion.");
    byId("tests").hidden = !found.length;
    part("tests", found, () => [table("Evidence by competitor",
      ["competitor", "", "log evidence", "needed", "rows since it began", "rows in all", "objection"].map((one, at) => (at > 1 ? right(one) : text(one || make("span", { class: "unseen", text: "share of what is needed" })))),
      found.map(([role, one]) => [
        text(ROLES[role] ?? role), [gauge(share(one), share(one) >= 1 ? "enough" : ""), "track"], right(evidence(one.log_evidence)), right(evidence(one.needed)),
        right(one.since.toLocaleString("en")), right(one.rows.toLocaleString("en")), text(one.objection || "–"),
      ]))]);
  };

  const classes = (status) => {
    const measured = ["champion", "challenger"].map((role) => [role, status.metrics[role]?.rolling.classes]).filter(([, one]) => one);
    const names = [...new Set(measured.flatMap(([, one]) => Object.keys(one)))];
    byId("classes").hidden = byId("classes-link").hidden = !names.length;
    const heads = [text("class"), right("rows"), ...measured.flatMap(([role]) => [right(`recall of the ${role}`), right(`precision of the ${role}`)])];
    const rows = names.map((name) => {
      const each = measured.map(([, one]) => own(one, name));
      return [text(name), right(each.find(Boolean)?.rows.toLocaleString("en") ?? "–"), ...each.flatMap((one) => [right(one?.recall), right(one?.precision)])];
    });
    part("by-class", [heads, rows], () => [table("Recall and precision by class", heads, rows)]);
  };

  const drift = (status) => {
    const columns = Object.entries(status.drift.stability).sort(([, one], [, other]) => (other ?? -1) - (one ?? -1));
    const moved = columns.filter(([, value]) => value >= 0.25).length;
    const shifted = columns.filter(([, value]) => value >= 0.1).length - moved;
    told("drift-finding", !columns.length ? "Too few rows yet to hold the columns against those of training."
      : moved || shifted ? [moved && `${count(moved, "column has", "columns have")} moved far`, shifted && `${shifted} shifted`].filter(Boolean).join(", ")
        : "All columns are as in training.");
    byId("stability").hidden = !columns.length;
    const kind = (value) => (value === null ? "unknown" : value >= 0.25 ? "moved far" : value >= 0.1 ? "shifted" : "as in training");
    part("stability", columns.map(([name, value]) => [name, value === null ? null : Number(value.toFixed(3))]), (given) => [table(
      "Population stability by column", [text("column"), text(make("span", { class: "unseen", text: "as a bar" })), right("index"), text("which is")],
      given.map(([name, value]) => [
        text(name), [gauge((value ?? 0) / 0.5, value >= 0.25 ? "moved" : value >= 0.1 ? "shifted" : ""), "track"], right(value), text(kind(value)),
      ]))]);
  };

  const events = (status) => {
    const both = [
      ...status.drift.alarms.map((one) => ({ ...one, what: `alarm: ${one.detector}`, of: one.column || "error", said: one.sentence })),
      ...status.swaps.map((one) => ({ ...one, what: one.how, of: `${one.from} → ${one.to}`, said: one.why })),
    ].sort((one, other) => other.at_s - one.at_s || other.row - one.row);
    told("events-empty", both.length ? "" : "No alarm and no change of the champion yet.");
    byId("log").hidden = !both.length;
    part("log", both.map(({ at_s, row, what, of, said }) => [at_s, row, what, of, said]), (given) => [table(
      "Changes of champion and alarms, the newest first", [text("time"), right("labelled rows"), text("what"), text("of"), text("why")],
      given.map(([at_s, row, what, of, said]) => [
        text(make("time", { datetime: new Date(1000 * at_s).toISOString(), text: when(at_s) })), right(row.toLocaleString("en")), text(what), long(of), long(said),
      ]))]);
  };

  const rows = (status) => part("by-kind", status.rows, (given) => [table(
    "Rows by what came of them", [text("kind"), right("rows"), text("which")],
    Object.entries(given).map(([kind, value]) => [text(kind), right(value.toLocaleString("en")), long(KINDS[kind] ?? "")]))]);

  // ---- the figure

  const finding = (status) => {
    const last = status.curve.findLast((one) => one.champion !== null && one.challenger !== null);
    if (!last) return "";
    if (status.rows.labelled < FEW) return "Too few rows yet to tell champion and challenger apart";
    const ahead = status.score === "mae" ? last.champion - last.challenger : 100 * (last.challenger - last.champion);
    const size = status.score === "mae" ? figure(Math.abs(ahead)) : `${Math.abs(ahead).toFixed(1)} points`;
    const level = status.score === "mae" ? Math.abs(ahead) < 0.005 * Math.max(1e-12, last.champion) : Math.abs(ahead) < 0.05;
    if (level) return "Champion and challenger are level over the newest rows";
    return `The ${ahead > 0 ? "challenger" : "champion"} is ${size} ahead over the newest rows`;
  };

  /** Return a role's scores, with gaps just after a change of the champion: they are of hardly any rows there. */
  const settled = (status, role) => status.curve.map((one) => {
    const early = status.swaps.some(({ row }) => one.row >= row && one.row - row < UNSETTLED);
    return early ? null : one[role];
  });

  const line = (status, role) => ({
    type: "scatter", name: role, mode: status.curve.length > 40 ? "lines" : "lines+markers", marker: { size: 5 },
    x: status.curve.map((one) => one.row), y: settled(status, role), connectgaps: false,
    line: { color: COLOURS[role], width: 2, dash: role === "champion" ? "solid" : "dot" },
    hovertemplate: `row %{x:,}: %{y:.4~g}<extra>${role}</extra>`,
  });

  const marks = (name, given, y, marker, say) => ({
    type: "scatter", name, mode: "markers", yaxis: "y2", x: given.map((one) => one.row), y: given.map(() => y),
    marker: { size: 10, ...marker }, text: given.map(say), hovertemplate: "row %{x:,}: %{text}<extra></extra>",
  });

  const upright = (row, colour, dash) => ({
    type: "line", xref: "x", yref: "paper", x0: row, x1: row, y0: 0, y1: 1, layer: "below", line: { color: colour, width: 1, dash },
  });

  const curve = (status) => {
    const { alarms } = status.drift;
    const of = (kind) => alarms.filter((one) => one.kind === kind);
    const lone = status.curve.length < 2; // plotly would find no scale
    const spec = !status.curve.length ? null : {
      data: [
        line(status, "champion"), line(status, "challenger"),
        ...(of("error").length ? [marks("error rose", of("error"), 0.03, { symbol: "triangle-up", color: COLOURS.error }, (one) => plain(one.sentence, 90))] : []),
        ...(of("input").length ? [marks("inputs moved", of("input"), 0.03, { symbol: "diamond-open", color: COLOURS.input, line: { width: 2 } }, (one) => plain(one.sentence, 90))] : []),
        ...(status.swaps.length ? [marks("change of champion", status.swaps, 0.97, { symbol: "star", color: COLOURS.swap, size: 12 }, (one) => `${plain(one.how)}, ${plain(one.from)} → ${plain(one.to)}`)] : []),
      ],
      layout: {
        height: narrow.matches ? 420 : 360, hovermode: "closest",
        xaxis: { title: { text: "labelled rows" }, ...(lone ? { dtick: 1 } : { rangemode: "tozero" }) },
        yaxis: { title: { text: `${NAMES[status.score]}, over the newest rows` }, ...(lone && status.score === "accuracy" ? { range: [0, 1.05] } : {}) },
        yaxis2: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true },
        shapes: [
          ...of("error").map((one) => upright(one.row, COLOURS.error, "dot")), ...status.swaps.map((one) => upright(one.row, COLOURS.swap, "solid")),
        ],
      },
    };
    const columns = spec ? {
      "labelled rows": status.curve.map((one) => one.row), champion: status.curve.map((one) => one.champion),
      challenger: status.curve.map((one) => one.challenger), time: status.curve.map((one) => when(one.at_s)),
    } : {};
    return {
      spec, data: columns, cut: "", finding: finding(status),
      empty: spec ? "" : "no row has a label yet.",
      note: spec ? `Triangles: the champion's error rose; diamonds: a column moved; stars: another champion, from whose first ${UNSETTLED} rows nothing is drawn. Which of the two is better is decided by the evidence, not by this curve.` : "",
    };
  };

  const drawCurve = (status) => {
    const key = JSON.stringify([status.curve, status.drift.alarms, status.swaps, status.score]);
    if (kept.get("curve") === key) return;
    kept.set("curve", key);
    const found = curve(status);
    const where = byId("figure-scores");
    words(where.querySelector("h3"), found.finding);
    words(where.querySelector(".note"), found.note);
    words(where.querySelector(".empty"), found.empty);
    const plot = where.querySelector(".plot");
    plot.setAttribute("aria-label", ["Champion and challenger.", found.finding, found.note].filter(Boolean).join(" "));
    plot.hidden = where.querySelector("details").hidden = !found.spec;
    sweepPage.update({ ...sweepPage.data, study: status.name, figures: { scores: found } });
  };

  /** Show a status; `silent`: whether it is an old one. */
  sweepOnline.show = (status, silent) => {
    document.title = `${make("i", { text: status.name }).textContent}: online - sweep`;
    if (byId("main").hidden) { // while nothing was there its last section was the one that is read
      byId("standing").hidden = byId("main").hidden = false;
      for (const link of document.querySelectorAll("nav a")) link.removeAttribute("aria-current");
    }
    standing(status, silent);
    part("case", [status.tests.challenger ?? null], ([test]) => challengersCase(test));
    tiles(status);
    for (const show of [drawCurve, metrics, tests, classes, drift, events, rows]) show(status);
  };
})();
