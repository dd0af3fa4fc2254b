// The model: onnxruntime in this page, and what it says of rows.
import * as ort from "./ort.wasm.bundle.min.mjs";

const LABEL = "prediction.label";
const PROBABILITIES = "prediction.probabilities";
const VALUE = "prediction.value";

/** Return the content of a file that lies beside this page. */
async function content(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name} cannot be read (${answer.status})`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Return the content of a packed file; some servers unpack it on the way. */
async function unpacked(name) {
  const packed = await content(name);
  if (packed[0] !== 0x1f || packed[1] !== 0x8b) return packed;
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function opened() {
  const [program, file, text] = await Promise.all([
    unpacked("ort-wasm-simd-threaded.wasm.gz"), content("model.ort"), content("signature.json"),
  ]);
  ort.env.wasm.wasmBinary = program;
  ort.env.wasm.numThreads = 1; // more would need headers that a plain file server does not send
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
  return { session, signature: JSON.parse(new TextDecoder().decode(text)) };
}

/** The model, once it is loaded: `{ session, signature }`. */
export const ready = opened();

let last = Promise.resolve(); // onnxruntime answers one call at a time

/**
 * Predict rows.
 *
 * `columns` has an array for each input that the model reads: numbers with null for a missing one, texts with "" for
 * a missing one; an image is a Float32Array of (channels, height, width) in [0, 1].
 * Returns an object for each row: `{ label, probabilities }`, or `{ value }`.
 */
export function predict(columns) {
  const asked = last.then(() => run(columns));
  last = asked.catch(() => {});
  return asked;
}

async function run(columns) {
  const { session, signature } = await ready;
  const feeds = Object.create(null); // a column may be called __proto__
  for (const one of signature.inputs.filter((input) => input.used)) feeds[one.name] = tensor(one, columns[one.name]);
  const found = await session.run(feeds);
  if (!signature.classes.length) return Array.from(found[VALUE].data, (value) => ({ value }));
  const all = found[PROBABILITIES].data;
  const count = signature.classes.length;
  return Array.from(found[LABEL].data, (label, row) => (
    { label, probabilities: Array.from(all.slice(row * count, (row + 1) * count)) }));
}

function tensor(one, values) {
  if (one.kind === "text") return new ort.Tensor("string", values, [values.length, 1]);
  if (one.kind === "number") {
    return new ort.Tensor("float32", Float32Array.from(values, (value) => value ?? NaN), [values.length, 1]);
  }
  const size = one.shape.reduce((product, side) => product * side, 1);
  const rows = values.length;
  const flat = new Float32Array(rows * size);
  values.forEach((image, row) => flat.set(image, row * size));
  return new ort.Tensor("float32", flat, [rows, ...one.shape]);
}
