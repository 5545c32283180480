// Q's reading: a bar a category, a mark and a band a value; every number also as text.

import { make, number, percent, short } from "./ask.js";

const MOST_BARS = 12;

export function showReading(place, codes, reading, asked) {
  const parts = codes.map((code) => {
    const draw = code.kind === "categorical" ? bars : gauge;
    return draw(code, reading[code.name], asked?.[code.name]);
  });
  place.replaceChildren(make("div", { class: "readings" }, ...parts));
}

// One sentence for a screen reader, and for a quick look.
export function inWords(codes, reading) {
  const said = codes.map(({ name, kind }) => {
    if (kind !== "categorical") return `${name} = ${number(reading[name][0])}`;
    const k = best(reading[name]);
    return `${name} = ${k} (${percent(reading[name][k])})`;
  });
  return `Q reads ${said.join(", ")}.`;
}

// The codes that Q holds for likeliest, within what the controls can show.
export function likeliest(codes, reading) {
  return Object.fromEntries(codes.map((code) => {
    const found = reading[code.name];
    const value = code.kind === "categorical" ? best(found) : Math.min(code.high, Math.max(code.low, found[0]));
    return [code.name, value];
  }));
}

const best = (shares) => shares.indexOf(Math.max(...shares));

function bars(code, shares, asked) {
  const top = best(shares);
  const order = shares.map((_, k) => k);
  const shown = order.length <= MOST_BARS ? order : order.sort((a, b) => shares[b] - shares[a]).slice(0, MOST_BARS);
  const rows = shown.map((k) => {
    const bar = make("span", { class: "bar", "aria-hidden": "true" });
    bar.style.width = `${100 * shares[k]}%`;
    const label = k === asked ? make("span", {}, make("span", { "aria-label": "made with" , role: "img" }, "◆"), ` ${k}`) : String(k);
    return make("tr", k === top ? { class: "top" } : {}, make("th", { scope: "row" }, label), make("td", {}, bar), make("td", {}, percent(shares[k])));
  });
  const rest = shown.length < shares.length ? `, the likeliest ${MOST_BARS} of ${shares.length}` : "";
  return make("table", { class: "bars" }, make("caption", {}, code.name, make("span", { class: "kind" }, `  probability of each category${rest}`)), make("tbody", {}, ...rows));
}

function gauge(code, [mean, deviation], asked) {
  const at = (value) => 100 * Math.min(1, Math.max(0, (value - code.low) / (code.high - code.low)));
  const line = make("div", { class: "gauge", "aria-hidden": "true" }, make("span", { class: "gauge-line" }));
  const band = make("span", { class: "gauge-band" });
  band.style.left = `${at(mean - deviation)}%`;
  band.style.right = `${100 - at(mean + deviation)}%`;
  const mark = make("span", { class: "gauge-mean" });
  mark.style.left = `${at(mean)}%`;
  line.append(band, mark);
  if (asked !== undefined) {
    const diamond = make("span", { class: "gauge-asked" }, "◆");
    diamond.style.left = `${at(asked)}%`;
    line.append(diamond);
  }
  const made = asked === undefined ? "" : `, made with ${number(asked)}`;
  const sigma = code.sigma === "fixed" ? `σ ${short(deviation)}, fixed` : `σ ${number(deviation)}`;
  const title = make("div", { class: "gauge-title" }, code.name, make("span", { class: "kind" }, `  mean ${number(mean)}, ${sigma}${made}`));
  const ends = make("div", { class: "gauge-ends", "aria-hidden": "true" }, make("span", {}, short(code.low)), make("span", {}, short(code.high)));
  return make("div", {}, title, line, ends);
}
