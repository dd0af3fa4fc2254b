// The page: asks for a row or a picture, and shows what the model says of it.
import { element, fields } from "./form.js";
import { predict, ready } from "./model.js";
import { chooser } from "./picture.js";

const SHOWN = 8; // classes, the likeliest first
const NEWER = "There is a newer model: close this page wherever it is open, and open it again to have it.";

const state = document.getElementById("state");
const form = document.getElementById("form");
const result = document.getElementById("result");

const percent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const digits = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6 });

let asked = 0;

async function answer(read, signature) {
  asked += 1;
  const mine = asked;
  for (const one of form.querySelectorAll("[aria-invalid]")) one.removeAttribute("aria-invalid");
  try {
    const [row] = await predict(read());
    if (mine === asked) result.replaceChildren(...told(row, signature));
  } catch (error) {
    if (mine !== asked) return;
    error.input?.setAttribute("aria-invalid", "true");
    result.replaceChildren(element("p", { class: "wrong" }, error.message ?? String(error)));
  }
  result.hidden = false;
}

function told(row, signature) {
  const name = element("p", { class: "hint" }, signature.target || "prediction");
  if (!signature.classes.length) return [name, element("p", { class: "answer" }, digits.format(row.value))];
  const order = row.probabilities.map((_, index) => index).sort((a, b) => row.probabilities[b] - row.probabilities[a]);
  const bars = order.slice(0, SHOWN).map((index) => {
    const share = row.probabilities[index];
    return element("li", {}, element("span", {}, signature.classes[index]), element("span", {}, percent.format(share)),
      element("progress", { max: 1, value: share, "aria-label": signature.classes[index] }));
  });
  const notes = [];
  if (order.length > SHOWN) notes.push(`${order.length - SHOWN} more are less likely.`);
  if (signature.threshold !== null) {
    notes.push(`“${signature.classes[1]}” is given from ${percent.format(signature.threshold)} on.`);
  }
  return [name, element("p", { class: "answer" }, row.label), element("ul", { class: "bars" }, ...bars),
    ...notes.map((note) => element("p", { class: "hint" }, note))];
}

async function start() {
  const { signature } = await ready;
  const image = signature.inputs.find((one) => one.kind === "image");
  let asks = null;
  const again = () => answer(asks.read, signature);
  asks = image ? chooser(image, again) : fields(signature);
  document.getElementById("fields").replaceChildren(...asks.nodes);
  form.addEventListener("submit", (event) => { event.preventDefault(); again(); });
  if (!image) form.addEventListener("change", () => { if (!result.hidden) again(); });
  document.getElementById("predict").disabled = false;
  document.getElementById("predict").hidden = Boolean(image); // a picture is predicted as it comes
  document.documentElement.dataset.ready = "";
}

async function describe() {
  const about = await (await fetch("app.json")).json();
  document.getElementById("about").textContent = `${about.text} (${about.precision}, ${about.digest.slice(0, 12)})`;
}

/** Keep all files on the device, so that the page opens without a network. */
async function keep() {
  if (!("serviceWorker" in navigator)) return "This browser keeps no pages: it needs a network to open this one.";
  const kept = await navigator.serviceWorker.register("sw.js");
  if (navigator.serviceWorker.controller) { // else this is the first visit, and what comes is what is shown
    const tell = () => { if (kept.waiting) state.textContent = NEWER; };
    const watch = () => kept.installing?.addEventListener("statechange", tell);
    kept.addEventListener("updatefound", watch);
    watch();
  }
  kept.update().catch(() => {}); // browsers look for a newer one when they please, and without a network there is none
  await navigator.serviceWorker.ready;
  document.documentElement.dataset.kept = "";
  return kept.waiting ? NEWER : "Ready. Works without a network.";
}

try {
  await Promise.all([start(), describe()]);
  state.textContent = "Ready.";
  state.textContent = await keep().catch(() => "Ready. It was not kept for use without a network: that needs https.");
} catch (error) {
  state.textContent = `The model cannot be loaded: ${error.message ?? error}`;
}
