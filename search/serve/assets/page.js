"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const KEPT = "sweep-token";
  const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i; // what predict takes for a number, and the phone's app
  const WRONG = "This is not the token of this server.";
  const NO_PICTURE = "This file is no picture that the browser can read.";
  let model = null;
  let unread = false; // whether the last file that was chosen is no picture

  const kept = () => { try { return sessionStorage.getItem(KEPT) || ""; } catch { return ""; } };
  const keep = (token) => { try { sessionStorage.setItem(KEPT, token); } catch { /* asked for again next time */ } };
  let token = kept();

  const ask = (path, options = {}) => fetch(path, {
    ...options,
    headers: { ...(token ? { Authorization: `Bearer ${token}` } : {}), ...options.headers },
  });

  const make = (name, text, attributes = {}) => {
    const made = document.createElement(name);
    if (text !== null) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  const open = async () => {
    let answer;
    try {
      answer = await ask("model", { headers: { Accept: "application/json" } });
    } catch {
      trouble("The server does not answer.");
      byId("work").hidden = false;
      return;
    }
    if (answer.status === 401) {
      byId("access").hidden = false;
      byId("refused").textContent = token ? WRONG : "";
      byId("token").focus();
      return;
    }
    if (!answer.ok) { byId("work").hidden = false; trouble(`The server says ${answer.status}.`); return; }
    keep(token);
    model = await answer.json();
    byId("access").hidden = true;
    byId("work").hidden = false;
    document.title = `${model.model}: try it`;
    byId("name").textContent = model.model;
    const { task, target, classes } = model.signature;
    const whom = target ? ` ${target}` : "";
    byId("about").textContent = classes.length ? `Predicts${whom}: ${classes.slice(0, 12).join(", ")}${classes.length > 12 ? ", ..." : ""}` : `Predicts${whom} (${task})`;
    byId("card").textContent = model.card;
    fill();
  };

  const shown = (value) => Number(value.toPrecision(6)).toString();

  const takesTruth = (input) => input.whole && input.low !== null && input.low >= 0 && input.high <= 1;

  const noteOf = (input) => {
    const words = [];
    if (input.kind === "number" && input.low !== null) words.push(`usual: ${shown(input.low)} to ${shown(input.high)}`);
    if (input.kind === "number" && takesTruth(input)) words.push("true or false");
    if (input.kind === "text" && input.levels.length > 12) words.push(`${input.levels.length} usual texts`);
    if (input.missing > 0) words.push("may be empty");
    return words.join("; ");
  };

  const control = (input, id) => {
    if (input.kind === "number") {
      const made = make("input", null, { id, type: "text", inputmode: "decimal", autocomplete: "off" });
      made.value = input.example === null ? "" : String(input.example);
      return made;
    }
    const made = make("input", null, { id, type: "text", autocomplete: "off" });
    made.value = input.example || "";
    if (input.levels.length) {
      const list = make("datalist", null, { id: `${id}-levels` });
      for (const level of input.levels) list.append(make("option", null, { value: level }));
      made.setAttribute("list", list.id);
      byId("fields").append(list);
    }
    return made;
  };

  const fill = () => {
    byId("fields").replaceChildren();
    model.signature.inputs.filter((one) => one.used).forEach((input, index) => {
      const field = make("div", null, { class: "field" });
      const id = `field-${index}`;
      field.append(make("label", input.name, { for: id }));
      if (input.kind === "image") picture(field, input, id);
      else {
        const made = control(input, id);
        made.dataset.name = input.name;
        made.dataset.kind = input.kind;
        if (takesTruth(input)) made.dataset.truth = "";
        made.setAttribute("aria-describedby", `${id}-note`);
        field.append(made, make("small", noteOf(input), { id: `${id}-note` }));
      }
      byId("fields").append(field);
    });
    told();
  };

  // a picture is drawn on a canvas of the very size that the model takes
  let canvas = null;
  const picture = (field, input, id) => {
    const [, height, width] = input.shape;
    field.classList.add("picture");
    canvas = make("canvas", null, { width, height, role: "img", "aria-label": "Drawing of the picture" });
    canvas.style.aspectRatio = `${width} / ${height}`;
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const wipe = () => { unread = false; pen.fillStyle = "#000"; pen.fillRect(0, 0, width, height); told(); };
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width * width, (event.clientY - box.top) / box.height * height];
    };
    let last = null;
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); unread = false; last = at(event); draw(event); });
    const draw = (event) => {
      if (last === null) return;
      const next = at(event);
      pen.strokeStyle = "#fff";
      pen.lineWidth = Math.max(1, Math.min(width, height) / 10);
      pen.lineCap = "round";
      pen.beginPath(); pen.moveTo(...last); pen.lineTo(next[0] + .01, next[1] + .01); pen.stroke();
      last = next;
      told();
    };
    canvas.addEventListener("pointermove", draw);
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { last = null; });
    const file = make("input", null, { id, type: "file", accept: "image/*" });
    file.addEventListener("change", () => {
      if (!file.files.length) return;
      wipe();
      unread = true;
      const source = URL.createObjectURL(file.files[0]);
      const image = new Image();
      image.onload = () => {
        wipe();
        const factor = Math.min(image.width / width, image.height / height); // the middle, in the model's proportions
        const [wide, high] = [width * factor, height * factor];
        pen.imageSmoothingQuality = "high";
        pen.drawImage(image, (image.width - wide) / 2, (image.height - high) / 2, wide, high, 0, 0, width, height);
        URL.revokeObjectURL(source);
        trouble("");
        told();
      };
      image.onerror = () => { URL.revokeObjectURL(source); trouble(NO_PICTURE); };
      image.src = source;
    });
    field.append(file, make("small", `or draw; the model sees ${width} x ${height} pixels`), canvas);
    wipe();
  };

  const pixels = (shape) => {
    const [channels, height, width] = shape;
    const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    const bytes = new Uint8Array(channels * height * width);
    for (let at = 0; at < height * width; at += 1) {
      const colours = data.subarray(4 * at, 4 * at + 4);
      if (channels === 1) bytes[at] = Math.round(.299 * colours[0] + .587 * colours[1] + .114 * colours[2]);
      else colours.subarray(0, channels).forEach((value, channel) => { bytes[channel * height * width + at] = value; });
    }
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text);
  };

  const row = () => {
    const made = Object.create(null); // a column may be called __proto__
    for (const input of model.signature.inputs.filter((one) => one.kind === "image")) made[input.name] = pixels(input.shape);
    for (const field of byId("fields").querySelectorAll("[data-name]")) {
      const text = field.value.trim();
      if (field.dataset.kind === "text") made[field.dataset.name] = field.value || null;
      else if ("truth" in field.dataset && /^(true|false)$/i.test(text)) made[field.dataset.name] = text.toLowerCase() === "true";
      else {
        const value = DECIMAL.test(text) ? Number(text) : NaN;
        made[field.dataset.name] = text === "" ? null : (Number.isFinite(value) ? value : text);
      }
      field.setAttribute("aria-invalid", String(field.dataset.kind === "number" && typeof made[field.dataset.name] === "string"));
    }
    return made;
  };

  const told = () => {
    if (model === null) return;
    const body = JSON.stringify(row());
    const short = body.length > 2000 ? `${body.slice(0, 200)}...` : body;
    const key = token ? " -H \"Authorization: Bearer $SWEEP_TOKEN\"" : "";
    byId("curl").textContent = `curl ${location.origin}/predict -H "Content-Type: application/json"${key} -d '${short.replaceAll("'", "'\\''")}'`;
  };

  const trouble = (text) => {
    byId("trouble").textContent = text;
    byId("trouble").hidden = !text;
    if (text) byId("answer").hidden = true;
  };

  const show = (prediction, label, took) => {
    byId("bars").replaceChildren();
    if ("value" in prediction) {
      byId("label").textContent = prediction.value === null ? "no number" : shown(prediction.value);
    } else {
      byId("label").textContent = prediction.label === null ? "no label" : prediction.label;
      const pairs = Object.entries(prediction.probabilities).sort((one, other) => other[1] - one[1]);
      for (const [name, value] of pairs.slice(0, 20)) {
        const bar = make("div", null, { class: "bar" });
        bar.append(make("span", name), make("progress", null, { max: "1", value: String(value ?? 0), "aria-label": name }),
          make("span", value === null ? "-" : `${(100 * value).toFixed(1)} %`));
        byId("bars").append(bar);
      }
    }
    byId("took").textContent = `${label}, ${took} ms`;
    byId("answer").hidden = false;
  };

  byId("row").addEventListener("input", told);
  byId("reset").addEventListener("click", fill);
  byId("row").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (unread) { trouble(NO_PICTURE); return; }
    const button = event.submitter || byId("row").querySelector("button");
    button.disabled = true;
    const begun = performance.now();
    try {
      const answer = await ask("predict", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(row()) });
      const said = await answer.json();
      const took = (performance.now() - begun).toFixed(1);
      if (answer.ok) { trouble(""); show(said.predictions[0], said.model, took); }
      else {
        const errors = said.error.errors || [];
        trouble(errors.length ? errors.map((one) => `${one.column || "row"}: ${one.message}`).join("\n") : said.error.message);
      }
    } catch {
      trouble("The server does not answer.");
    } finally {
      button.disabled = false;
    }
  });
  byId("access").addEventListener("submit", (event) => {
    event.preventDefault();
    token = byId("token").value.trim();
    if (/[^!-~]/.test(token)) byId("refused").textContent = WRONG; // no header holds it
    else open();
  });
  open();
})();
