// The form: one field for each column that the model reads.

const OTHER = "other:";
const MISSING = "missing:";

/** Return an element with attributes and children. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Return the fields of a signature: `{ nodes, read }`; `read` returns columns of one row, or throws what is wrong. */
export function fields(signature) {
  const made = signature.inputs.filter((one) => one.used).map((one, index) => (
    one.kind === "text" ? text(one, `field-${index}`) : number(one, `field-${index}`)));
  return {
    nodes: made.map((one) => one.node),
    read: () => Object.fromEntries(made.map((one) => [one.name, [one.value()]])),
  };
}

function number(one, id) {
  const hint = element("p", { class: "hint", id: `${id}-hint` }, range(one));
  const input = element("input", {
    id, type: "number", step: "any", value: one.example, "aria-describedby": hint.id,
    // the numeric keyboards of some phones have no minus
    inputmode: one.low !== null && one.low >= 0 ? (one.whole ? "numeric" : "decimal") : null,
  });
  const check = () => {
    const value = input.valueAsNumber;
    const outside = (one.low !== null && value < one.low) || (one.high !== null && value > one.high);
    hint.textContent = outside ? `${range(one)}: this is outside of what the model knows` : range(one);
    hint.classList.toggle("warns", outside);
  };
  input.addEventListener("input", check);
  return {
    name: one.name,
    node: element("div", { class: "field" }, element("label", { for: id }, one.name), input, hint),
    value: () => {
      if (input.validity.badInput) throw wrong(input, `${one.name}: this is no number`);
      const most = bound(one);
      if (Math.abs(input.valueAsNumber) >= most) throw wrong(input, `${one.name}: this is beyond ${most.toPrecision(3)}`);
      return input.value === "" ? null : input.valueAsNumber;
    },
  };
}

/** Return what numbers stay below: as `sweep serve` and `sweep predict` have it. */
function bound(one) {
  const whole = 2 ** 63;
  return Math.max(Math.abs(one.low ?? 0), Math.abs(one.high ?? 0)) >= whole ? 3.4028234663852886e38 : whole;
}

function range(one) {
  const written = (value) => new Intl.NumberFormat(undefined, { maximumSignificantDigits: 6, useGrouping: false }).format(value);
  const seen = one.low === null || one.high === null ? "a number" : `${written(one.low)} to ${written(one.high)} in training`;
  return `${seen}; empty: missing`;
}

function text(one, id) {
  if (!one.levels.length) { // each row of the training had its own
    const field = element("input", { id, type: "text", maxlength: 1000 });
    const hint = element("p", { class: "hint" }, "a text; empty: missing");
    const node = element("div", { class: "field" }, element("label", { for: id }, one.name), field, hint);
    return { name: one.name, node, value: () => field.value };
  }
  const select = element("select", { id },
    ...one.levels.map((level) => element("option", { value: `=${level}`, selected: level === one.example }, level)),
    element("option", { value: OTHER }, "another …"),
    element("option", { value: MISSING }, "missing"));
  const free = element("input", { type: "text", "aria-label": `${one.name}, another one`, hidden: true, maxlength: 1000 });
  const show = () => { free.hidden = select.value !== OTHER; };
  select.addEventListener("change", () => { show(); if (!free.hidden) free.focus(); });
  show();
  return {
    name: one.name,
    node: element("div", { class: "field" }, element("label", { for: id }, one.name), select, free),
    value: () => {
      if (select.value === MISSING) return "";
      return select.value === OTHER ? free.value : select.value.slice(1);
    },
  };
}

/** Return an error that points at a field. */
function wrong(input, message) {
  return Object.assign(new Error(message), { input });
}
