// One selection of trials: in every figure, in the table, in the address, and in the card.
"use strict";

(() => {
  const MOST_MARKED = 300; // in a figure: of more, evenly chosen ones
  const MOST_NAMED = 200; // in the address
  const LABELLED = 6;
  const FILLED = new Set(["heatmap", "contour", "image", "pie"]);
  let selection = [];
  let indices = new WeakMap(); // by a figure: what of it stands where

  sweepPage.selection = () => selection;
  sweepPage.forget = () => { indices = new WeakMap(); columns = null; };

  // ---- columns of trials

  let columns = null;
  sweepPage.column = (key) => {
    columns ??= new Map(sweepPage.data.columns.list.map((column) => [column.key, column]));
    return columns.get(key);
  };

  /** Return a trial's value of a column as a place on an axis; of a choice its name where the axis has names. */
  function place(key, trial, axis) {
    if (key === "number") return trial;
    const column = sweepPage.column(key);
    const value = column?.values[trial] ?? null;
    return column?.kind === "level" && value !== null && axis?.type === "category" ? column.levels[value] : value;
  }

  // ---- drawn points

  const KINDS = {
    f8: Float64Array, f4: Float32Array, i4: Int32Array, u4: Uint32Array, i2: Int16Array, u2: Uint16Array,
    i1: Int8Array, u1: Uint8Array,
  };

  /** Return an array of a figure, which plotly writes as numbers or as their bytes. */
  function array(values) {
    if (!values?.bdata) return Array.isArray(values) ? values : [];
    const bytes = Uint8Array.from(atob(values.bdata), (letter) => letter.charCodeAt(0));
    const flat = new KINDS[values.dtype](bytes.buffer);
    const wide = Number(String(values.shape ?? "").split(",")[1] ?? 1);
    return wide > 1 ? Array.from({ length: flat.length / wide }, (_, row) => [flat[row * wide]]) : flat;
  }

  const trialOf = (custom) => {
    const first = Array.isArray(custom) || ArrayBuffer.isView(custom) ? custom[0] : custom;
    return Number.isInteger(first) ? first : null;
  };

  /** Return the drawn points of trials: by trial, where each stands. */
  function index(figure) {
    if (indices.has(figure)) return indices.get(figure);
    const found = new Map();
    for (const trace of figure.spec?.data ?? []) {
      if (!trace.customdata) continue;
      const [custom, x, y] = [array(trace.customdata), array(trace.x), array(trace.y)];
      for (let point = 0; point < custom.length; point++) {
        const trial = trialOf(custom[point]);
        if (trial === null || x[point] === undefined || x[point] === null || y[point] === null) continue;
        if (!found.has(trial)) found.set(trial, []);
        found.get(trial).push({ x: x[point], y: y[point], xaxis: trace.xaxis ?? "x", yaxis: trace.yaxis ?? "y" });
      }
    }
    indices.set(figure, found);
    return found;
  }

  /** Tell whether trials can be picked in a figure. */
  sweepPage.picks = (figure) => index(figure).size > 0;

  // ---- marks

  const axisOf = (figure, id) => figure.spec.layout[id.replace(/^([xy])(\d*)$/, "$1axis$2")];
  const same = (point, mark) => point.xaxis === mark.xaxis && point.yaxis === mark.yaxis;

  /** Return where a trial stands by one mark: points, which are joined where they are a curve. */
  function byMark(figure, mark, trial) {
    const drawn = (index(figure).get(trial) ?? []).filter((point) => same(point, mark));
    if (mark.y === "") {
      const curve = sweepPage.curve(trial, mark.x.slice("curve:".length));
      return curve ? curve.steps.map((step, at) => ({ x: step, y: curve.values[at] })) : drawn;
    }
    if (drawn.length) return drawn.slice(0, 1);
    const x = place(mark.x, trial, axisOf(figure, mark.xaxis));
    const y = place(mark.y, trial, axisOf(figure, mark.yaxis));
    return x === null || y === null || x === undefined || y === undefined ? [] : [{ x, y }];
  }

  /** Return groups of points on one pair of axes: a trial's points, one trial after the other. */
  function groups(figure, trials) {
    const meta = figure.spec.layout.meta ?? {};
    if (meta.places) {
      const { xaxis = "x", yaxis = "y" } = meta.places;
      const [numbers, x, y] = [array(meta.places.trial), array(meta.places.x), array(meta.places.y)];
      const wanted = new Map(trials.map((trial) => [trial, []]));
      numbers.forEach((trial, at) => wanted.get(trial)?.push({ x: x[at], y: y[at] }));
      return [{ xaxis, yaxis, of: [...wanted] }];
    }
    if (meta.marks?.length) {
      return meta.marks.map((mark) => ({
        xaxis: mark.xaxis, yaxis: mark.yaxis, of: trials.map((trial) => [trial, byMark(figure, mark, trial)]),
      }));
    }
    const byAxes = new Map();
    for (const trial of trials) {
      for (const point of index(figure).get(trial) ?? []) {
        const id = `${point.xaxis} ${point.yaxis}`;
        if (!byAxes.has(id)) byAxes.set(id, { xaxis: point.xaxis, yaxis: point.yaxis, of: [] });
        byAxes.get(id).of.push([trial, [point]]);
      }
    }
    return [...byAxes.values()];
  }

  function overlay(group, labelled) {
    const joined = group.of.some(([, points]) => points.length > 1);
    const [x, y, text, custom] = [[], [], [], []];
    for (const [trial, points] of group.of) {
      points.forEach((point, at) => {
        x.push(point.x);
        y.push(point.y);
        custom.push(trial);
        text.push(labelled && at === points.length - 1 ? `#${trial}` : "");
      });
      if (joined) [x, y, text, custom].forEach((list) => list.push(null));
    }
    return {
      type: "scatter", meta: "selected", name: "picked", showlegend: false, hoverinfo: "skip", cliponaxis: false,
      xaxis: group.xaxis, yaxis: group.yaxis, x, y, text, customdata: custom,
      mode: `${joined ? "lines+" : ""}markers${labelled ? "+text" : ""}`,
      textposition: "top center", textfont: { color: sweepPage.colour("--ink"), size: 12 },
      line: { color: sweepPage.colour("--ink"), width: 2.5 },
      marker: {
        color: sweepPage.colour("--ink"), symbol: joined ? "circle" : "circle-open", size: joined ? 4 : 13, line: { width: 2.5 },
      },
    };
  }

  /** Return the traces of a figure: as they are, or dimmed under the marks of what is picked. */
  sweepPage.marked = (figure) => {
    const traces = figure.spec.data.map((trace) => ({ ...trace }));
    if (!selection.length) return traces;
    const step = Math.ceil(selection.length / MOST_MARKED);
    const trials = selection.filter((_, at) => at % step === 0);
    const found = groups(figure, trials).filter((group) => group.of.some(([, points]) => points.length));
    if (!found.length) return traces;
    for (const trace of traces) if (!FILLED.has(trace.type)) trace.opacity = 0.25 * (trace.opacity ?? 1);
    return [...traces, ...found.map((group) => overlay(group, trials.length <= LABELLED && step === 1))];
  };

  /** Return the curve of a trial, or null where the page does not have it. */
  sweepPage.curve = (trial, metric) => {
    const { metrics, of } = sweepPage.data.curves;
    const at = metrics.indexOf(metric);
    const found = of[trial];
    if (at < 0 || !found) return null;
    const values = found[at + 1];
    return { steps: found[0] ?? values.map((_, step) => step + 1), values };
  };

  // ---- choosing

  /** Take points that were clicked or boxed: Ctrl and Shift add to what is picked; with Ctrl plotly draws no box. */
  sweepPage.picked = (points, keys, open) => {
    const trials = [...new Set(points.map((point) => trialOf(point.customdata)).filter((trial) => trial !== null))];
    if (!trials.length) return;
    const adds = keys.ctrlKey || keys.metaKey || keys.shiftKey;
    sweepPage.select(open ? trials.slice(0, 1) : trials, { open, adds });
  };

  /**
   * Pick trials.
   * @param {number[]} trials numbers
   * @param {{open?: boolean, adds?: boolean}} how whether a card opens, and whether others stay picked
   */
  sweepPage.select = (trials, { open = false, adds = false } = {}) => {
    const known = trials.filter((trial) => trial >= 0 && trial < sweepPage.data.columns.count);
    if (adds) {
      const already = new Set(selection);
      const leaves = known.length === 1 && already.has(known[0]);
      selection = leaves ? selection.filter((trial) => trial !== known[0]) : [...new Set([...selection, ...known])];
    } else selection = [...new Set(known)];
    changed();
    const last = known[known.length - 1];
    if (open && selection.includes(last)) sweepPage.card.open(last);
    else if (!selection.length) sweepPage.card.close();
  };

  function changed(missing = "") {
    const { pathname, search } = window.location;
    const named = selection.length && selection.length <= MOST_NAMED ? `#trials=${selection.join(",")}` : `${pathname}${search}`;
    window.history.replaceState(null, "", named);
    const bar = document.getElementById("picked");
    bar.hidden = !selection.length && !missing;
    bar.querySelector("#show-picked").hidden = !selection.length;
    const few = selection.slice(0, 8).join(", ") + (selection.length > 8 ? ", …" : "");
    const told = selection.length ? `${selection.length} trial${selection.length === 1 ? "" : "s"} picked: ${few}` : "";
    bar.querySelector("span").textContent = [told, missing].filter(Boolean).join(" · ");
    sweepPage.refresh();
    sweepPage.table.mark();
  }

  /** Pick what the address names, and open the card of one that it names alone; what is not there is said. */
  sweepPage.restore = () => {
    const named = /^#trials=([\d,]+)$/.exec(window.location.hash);
    if (!named) return;
    const asked = named[1].split(",").filter(Boolean).map(Number);
    const missing = asked.filter((trial) => trial >= sweepPage.data.columns.count);
    sweepPage.select(asked, { open: asked.length === 1 });
    if (missing.length) changed(`there is no trial ${missing.slice(0, 8).join(", ")}`);
  };

  window.addEventListener("hashchange", sweepPage.restore);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    sweepPage.card.close();
    if (!document.getElementById("picked").hidden) sweepPage.select([]);
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("#unpick")) sweepPage.select([]);
    if (event.target.closest("#show-picked")) sweepPage.card.open(selection[0]);
  });
})();
