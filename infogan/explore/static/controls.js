// A control for each code: buttons or a list for a category, a slider for a value.

import { make, number, short } from "./ask.js";

const MOST_BUTTONS = 12;
const STEPS = 80;

// Draws the controls into `place`; `changed()` is called after a person moved one. Returns their setters by name.
export function controls(place, codes, values, changed) {
  const setters = {};
  for (const code of codes) {
    const draw = code.kind !== "categorical" ? slider : code.p.length <= MOST_BUTTONS ? buttons : list;
    const [element, set] = draw(code, (value) => { values[code.name] = value; changed(); });
    setters[code.name] = (value) => { values[code.name] = value; set(value); };
    setters[code.name](values[code.name]);
    place.append(element);
  }
  return setters;
}

function group(code, kind, ...children) {
  return make("fieldset", {}, make("legend", {}, `${code.name} `, make("span", { class: "kind" }, kind)), ...children);
}

function buttons(code, moved) {
  const inputs = code.p.map((_, k) => make("input", { type: "radio", name: code.name, value: String(k), "aria-label": `${code.name} = ${k}` }));
  const row = make("div", { class: "choices" });
  inputs.forEach((input, k) => {
    input.addEventListener("change", () => moved(k));
    row.append(make("label", {}, input, make("span", { "aria-hidden": "true" }, String(k))));
  });
  return [group(code, `one of ${code.p.length} categories`, row), (k) => { inputs[k].checked = true; }];
}

function list(code, moved) {
  const select = make("select", { "aria-label": code.name }, ...code.p.map((_, k) => make("option", { value: String(k) }, String(k))));
  select.addEventListener("change", () => moved(+select.value));
  return [group(code, `one of ${code.p.length} categories`, select), (k) => { select.value = String(k); }];
}

function slider(code, moved) {
  const { low, high, usual_low, usual_high } = code;
  const input = make("input", { type: "range", min: String(low), max: String(high), step: String((high - low) / STEPS), "aria-label": code.name });
  const output = make("output", {});
  const beyond = make("span", { class: "kind" });
  const usual = make("span", { class: "usual", "aria-hidden": "true" });
  usual.style.left = `${(100 * (usual_low - low)) / (high - low)}%`;
  usual.style.right = `${(100 * (high - usual_high)) / (high - low)}%`;
  const say = (value) => {
    const outside = value < usual_low || value > usual_high;
    output.textContent = number(value);
    beyond.textContent = outside ? "▲ beyond the range of training" : "";
    beyond.classList.toggle("beyond", outside);
    input.setAttribute("aria-valuetext", number(value) + (outside ? ", beyond the range of training" : ""));
  };
  input.addEventListener("input", () => { say(+input.value); moved(+input.value); });
  const kind = code.kind === "uniform" ? `uniform, ${short(usual_low)} to ${short(usual_high)} in training`
    : `normal, mostly ${short(usual_low)} to ${short(usual_high)} in training`;
  const box = make("div", { class: "slider" }, make("div", { class: "slider-track" }, input, usual), output, beyond);
  return [group(code, kind, box), (value) => { input.value = value; say(+input.value); }];
}

// Codes as training draws them.
export function drawn(codes) {
  return Object.fromEntries(codes.map((code) => [code.name, draw(code)]));
}

function draw(code) {
  let u = Math.random();
  if (code.kind === "categorical") {
    const k = code.p.findIndex((p) => (u -= p) < 0);
    return k < 0 ? code.p.length - 1 : k;
  }
  if (code.kind === "normal") u = ([...Array(12)].reduce((sum) => sum + Math.random(), 0) - 6) / 4 + 0.5;
  const value = code.usual_low + u * (code.usual_high - code.usual_low);
  return Math.min(code.high, Math.max(code.low, value));
}
