// The picture: taken, chosen or drawn, and scaled to what the model reads.
import { element } from "./form.js";

const WEIGHTS = [0.299, 0.587, 0.114]; // of red, green and blue in a grey, as in ITU-R BT.601
const PEN = 0.08; // width of a stroke, of the drawing's width

/**
 * Return pixels as the model reads them: (channels, height, width) in [0, 1].
 *
 * The middle of the picture is taken, in the model's proportions; each pixel is the mean of the area it stands for.
 */
export function scaled(picture, [channels, height, width], inverted = false) {
  const factor = Math.min(picture.width / width, picture.height / height);
  const left = (picture.width - width * factor) / 2;
  const top = (picture.height - height * factor) / 2;
  const columns = shares(left, factor, width, picture.width);
  const rows = shares(top, factor, height, picture.height);
  const made = new Float32Array(channels * height * width);
  const sums = new Float64Array(4);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      sums.fill(0);
      for (const [row, high] of rows[y]) {
        for (const [column, wide] of columns[x]) {
          const at = (row * picture.width + column) * 4;
          for (let channel = 0; channel < 4; channel += 1) sums[channel] += picture.data[at + channel] * high * wide;
        }
      }
      const colours = channels === 1 ? [grey(sums)] : sums.subarray(0, channels);
      colours.forEach((value, channel) => {
        const shade = Math.min(1, value / 255);
        made[(channel * height + y) * width + x] = inverted && channel < 3 ? 1 - shade : shade;
      });
    }
  }
  return made;
}

const grey = (sums) => WEIGHTS.reduce((total, weight, channel) => total + weight * sums[channel], 0);

/** Return, for each target pixel, the source pixels under it and their shares. */
function shares(start, factor, count, most) {
  return Array.from({ length: count }, (_, index) => {
    const [from, to] = [start + index * factor, start + (index + 1) * factor];
    const found = [];
    for (let pixel = Math.floor(from + 1e-9); pixel < Math.min(most, to - 1e-9); pixel += 1) {
      found.push([pixel, (Math.min(to, pixel + 1) - Math.max(from, pixel)) / (to - from)]);
    }
    return found;
  });
}

/** Return the pixels of a picture's file. */
async function decoded(file) {
  const bitmap = await createImageBitmap(file);
  const canvas = element("canvas", { width: bitmap.width, height: bitmap.height });
  const drawing = canvas.getContext("2d", { willReadFrequently: true });
  drawing.drawImage(bitmap, 0, 0);
  return drawing.getImageData(0, 0, canvas.width, canvas.height);
}

/** Return what asks for a picture: `{ nodes, read }`; `changed` is called when there is another one. */
export function chooser(input, changed) {
  const [, height, width] = input.shape;
  const preview = element("canvas", { width, height, class: "preview", role: "img", "aria-label": "What the model sees" });
  const inverted = element("input", { type: "checkbox", id: "inverted" });
  const problem = element("p", { class: "hint", role: "alert" });
  const board = drawingBoard(width, height, () => take(board.pixels()));
  let source = null;
  let pixels = null;

  const update = () => {
    if (source === null) return;
    pixels = scaled(source, input.shape, inverted.checked);
    show(preview, pixels, input.shape);
    changed();
  };
  const take = (picture) => { source = picture; problem.textContent = ""; update(); };
  const file = (id, label, capture) => {
    const field = element("input", { type: "file", id, accept: "image/*", capture, class: "unseen" });
    field.addEventListener("change", async () => {
      if (!field.files.length) return;
      try {
        take(await decoded(field.files[0]));
      } catch {
        source = pixels = null; // what was said of the picture before does not stand for this file
        preview.getContext("2d").clearRect(0, 0, width, height);
        changed();
        problem.textContent = "This file is no picture that the browser can read.";
      }
      field.value = "";
    });
    return [field, element("label", { for: id, class: "button" }, label)];
  };
  inverted.addEventListener("change", update);
  return {
    nodes: [
      element("div", { class: "row" }, ...file("camera", "Take a picture", "environment"), ...file("file", "Choose a file", null)),
      board.node,
      element("div", { class: "row" }, preview,
        element("label", { for: "inverted", class: "check" }, inverted, " swap light and dark")),
      problem,
    ],
    read: () => {
      if (pixels === null) throw new Error("Take, choose or draw a picture first.");
      return { [input.name]: [pixels] };
    },
  };
}

function show(canvas, pixels, [channels, height, width]) {
  const area = height * width;
  const drawing = canvas.getContext("2d");
  const seen = drawing.createImageData(width, height);
  for (let at = 0; at < area; at += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      seen.data[at * 4 + channel] = 255 * pixels[(channels >= 3 ? channel : 0) * area + at];
    }
    seen.data[at * 4 + 3] = 255;
  }
  drawing.putImageData(seen, 0, 0);
}

/** Return a board to draw on: light on dark, as digits are. */
function drawingBoard(width, height, drawn) {
  const wide = 320;
  const high = Math.round((wide * height) / width);
  const canvas = element("canvas", { width: wide, height: high, class: "board", role: "img", "aria-label": "Board to draw on" });
  const drawing = canvas.getContext("2d", { willReadFrequently: true });
  const clear = element("button", { type: "button" }, "Clear");
  const empty = () => { drawing.fillStyle = "#000"; drawing.fillRect(0, 0, wide, high); };
  let last = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * wide) / box.width, ((event.clientY - box.top) * high) / box.height];
  };
  const line = (event) => {
    const next = place(event);
    Object.assign(drawing, { lineWidth: wide * PEN, lineCap: "round", strokeStyle: "#fff" });
    drawing.beginPath();
    drawing.moveTo(...last);
    drawing.lineTo(...next);
    drawing.stroke();
    last = next;
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    line(event);
  });
  canvas.addEventListener("pointermove", (event) => { if (last) line(event); });
  const end = () => { if (last) { last = null; drawn(); } };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  clear.addEventListener("click", empty);
  empty();
  return {
    node: element("div", { class: "drawing" }, element("p", { class: "hint" }, "or draw here:"), canvas, clear),
    pixels: () => drawing.getImageData(0, 0, wide, high),
  };
}
