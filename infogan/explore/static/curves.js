// The run's curves as drawings, told apart by dashes and names as well as colour, and as a table.

import { make, number } from "./ask.js";

const TALL = 240, LEFT = 48, RIGHT = 132, TOP = 12, BOTTOM = 30, GAP = 24;
const DASHES = ["", "8 4", "2 3", "10 3 2 3"];

// Two drawings side by side where `place` has the room, each as wide as it is shown, so that letters keep their size.
export function showCurves(place, found, codes) {
  if (!found.step.length) {
    place.replaceChildren(make("p", { class: "hint" }, "metrics.jsonl has no lines yet."));
    return;
  }
  const limits = codes.filter((code) => code.entropy).map((code) => [`H(${code.name})`, code.entropy]);
  const unique = limits.filter(([, value], i) => limits.findIndex((other) => other[1] === value) === i);
  const room = place.clientWidth, wide = room < 900 ? room : (room - GAP) / 2;
  place.replaceChildren(
    make("div", { class: "charts" },
      chart("Information between each code and the pictures, from below", wide, found.step, Object.entries(found.bounds), unique),
      chart("Losses of the game", wide, found.step, [["D", found.losses.loss_d], ["G", found.losses.loss_g]], [])),
    numbers(found),
  );
}

function chart(title, wide, steps, curves, limits) {
  const end = wide - RIGHT;
  const values = [...curves.flatMap(([, line]) => line.filter((v) => v !== null)), ...limits.map(([, v]) => v)];
  const low = Math.min(0, ...values), high = Math.max(...values, low + 1e-9), last = steps.at(-1);
  const x = (step) => LEFT + ((end - LEFT) * step) / last;
  const y = (value) => TOP + ((TALL - TOP - BOTTOM) * (high - value)) / (high - low);
  const drawing = svg("svg", { viewBox: `0 0 ${wide} ${TALL}`, class: "chart", role: "img", "aria-label": inWords(title, curves, limits, last) });
  for (const value of ticks(low, high)) {
    drawing.append(svg("line", { class: "rule", x1: LEFT, x2: end, y1: y(value), y2: y(value) }));
    drawing.append(text(LEFT - 8, y(value) + 4, number(value, 1), { "text-anchor": "end" }));
  }
  for (const step of [0, last]) drawing.append(text(x(step), TALL - 8, step.toLocaleString("en"), { "text-anchor": "middle" }));
  drawing.append(text((LEFT + end) / 2, TALL - 8, "updates", { "text-anchor": "middle" }), text(4, TOP + 2, "nats", {}));
  for (const [, value] of limits) drawing.append(svg("line", { class: "limit", x1: LEFT, x2: end, y1: y(value), y2: y(value) }));
  curves.forEach(([, line], i) => {
    const points = line.map((v, j) => (v === null ? "" : `${x(steps[j]).toFixed(1)},${y(v).toFixed(1)}`)).filter(Boolean).join(" ");
    drawing.append(svg("polyline", { class: `curve c${i % 4}`, points, "stroke-dasharray": DASHES[i % 4] }));
  });
  drawing.append(...names(curves, limits, y, end));
  const figure = make("figure", {}, make("figcaption", {}, title), drawing);
  figure.style.width = `${wide}px`;
  return figure;
}

// The names at the right ends of the curves, moved apart where they would touch, with the curve's own dash before.
function names(curves, limits, y, right) {
  const ends = curves.map(([name, line], i) => ({ name, value: line.findLast((v) => v !== null), curve: i }));
  ends.push(...limits.map(([name, value]) => ({ name, value })));
  const shown = ends.filter((end) => end.value !== undefined).slice(0, 12).sort((a, b) => b.value - a.value);
  let above = -Infinity;
  for (const end of shown) above = end.y = Math.max(y(end.value), above + 15);
  const over = Math.max(0, above - (TALL - BOTTOM));
  return shown.flatMap(({ name, value, curve, y }) => {
    const look = curve === undefined ? { class: "limit" } : { class: `curve c${curve % 4}`, "stroke-dasharray": DASHES[curve % 4] };
    const at = y - over;
    return [
      svg("line", { ...look, x1: right + 6, x2: right + 30, y1: at, y2: at }),
      text(right + 36, at + 4, `${name} ${number(value)}`, { class: curve === undefined ? "name" : `name c${curve % 4}` }),
    ];
  });
}

function inWords(title, curves, limits, last) {
  const ends = curves.map(([name, line]) => `${name} ends at ${number(line.findLast((v) => v !== null) ?? NaN)}`);
  const most = limits.map(([name, value]) => `${name} is ${number(value)}`);
  return `${title}, in nats over ${last} updates: ${[...ends, ...most].join(", ")}. The numbers are in the table below.`;
}

function numbers(found) {
  const columns = [...Object.entries(found.bounds), ["loss of D", found.losses.loss_d], ["loss of G", found.losses.loss_g]];
  const rows = [...new Set([0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => Math.round((i / 8) * (found.step.length - 1))))];
  const head = make("tr", {}, make("th", { scope: "col" }, "update"), ...columns.map(([name]) => make("th", { scope: "col" }, name)));
  const body = rows.map((i) => make("tr", {}, make("th", { scope: "row" }, found.step[i].toLocaleString("en")),
    ...columns.map(([, line]) => make("td", {}, line[i] === null ? "—" : number(line[i], 3)))));
  const table = make("table", { class: "numbers" }, make("thead", {}, head), make("tbody", {}, ...body));
  return make("details", {}, make("summary", {}, "The same in numbers"), make("div", { class: "scroll" }, table));
}

function ticks(low, high) {
  const raw = (high - low) / 4, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= raw);
  const found = [];
  for (let v = Math.ceil(low / step) * step; v <= high + 1e-9; v += step) found.push(v);
  return found;
}

function svg(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function text(x, y, content, attributes) {
  const element = svg("text", { x, y, ...attributes });
  element.textContent = content;
  return element;
}
