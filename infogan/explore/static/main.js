// The page put together: what is asked for, and what is shown when the answer comes.

import { ask, later, make, newest, number, percent } from "./ask.js";
import { controls, drawn } from "./controls.js";
import { showCurves } from "./curves.js";
import { Sheet } from "./drawing.js";
import { Grid } from "./grid.js";
import { inWords, likeliest, showReading } from "./reading.js";

const $ = (id) => document.getElementById(id);
const state = { codes: {}, noise: { seed: 0, towards: 1, mix: 0 } };
let about, setters, grid, sheet, ownReading, trained, gridOf = "";

const picture = newest(async () => {
  const asked = structuredClone(state);
  const found = await ask("api/picture", asked);
  const made = Object.entries(asked.codes).map(([name, value]) => `${name} = ${number(value)}`).join(", ");
  $("picture").src = found.picture;
  $("picture").alt = `Generated picture with ${made} and noise of seed ${asked.noise.seed}`;
  $("picture-real").textContent = judged(found.real);
  showReading($("reading"), about.codes, found.reading, asked.codes);
  sayReading.text = inWords(about.codes, found.reading);
  sayReading();
  $("command").textContent = command(asked);
});

// Said once a slider rests: a screen reader cannot follow every step.
const sayReading = later(400, () => { $("reading-said").textContent = sayReading.text; });
const sayOwn = later(700, () => { $("own-said").textContent = sayOwn.text; });

const pictures = newest(async () => {
  const [across, down] = [$("across").value, $("down").value || null];
  const still = Object.fromEntries(Object.entries(state.codes).filter(([name]) => name !== across && name !== down));
  const window = [across, down].map((name) => Math.floor((state.codes[name] ?? 0) / 12) * isLong(name));
  const key = JSON.stringify([across, down, still, window, state.noise]);
  if (key !== gridOf) {
    await grid.show(await ask("api/grid", { ...state, across, down }), across, down, about.side);
    gridOf = key;
  }
  grid.mark(state.codes);
});
const picturesSoon = later(120, pictures);
const isLong = (name) => about.codes.some((code) => code.name === name && (code.p?.length ?? 0) > 12);

const own = newest(async () => {
  if (sheet.empty) { nothingDrawn(); return; }
  showOwn(await ask(`api/read?centre=${+$("centre").checked}&invert=${+$("invert").checked}`, await sheet.file()));
});

const curves = newest(async () => {
  trained = await ask("api/curves");
  showCurves($("curves"), trained, about.codes);
});

function changed() {
  grid?.mark(state.codes);
  picture();
  picturesSoon();
}

function go(values) {
  for (const [name, value] of Object.entries(values)) setters[name](value);
  changed();
}

function showOwn(found) {
  $("seen").src = found.picture;
  $("seen").alt = `Your picture as Q sees it, ${about.side} by ${about.side} pixels`;
  $("seen").hidden = false;
  $("seen-real").textContent = `As Q sees it. ${judged(found.real)}`;
  showReading($("own-reading"), about.codes, found.reading);
  ownReading = found.reading;
  $("adopt").disabled = false;
  sayOwn.text = inWords(about.codes, found.reading);
  sayOwn();
}

function nothingDrawn() {
  $("seen").hidden = true;
  $("seen-real").textContent = "Draw something, and Q reads it here.";
  $("own-reading").replaceChildren();
  sayOwn.text = "";
  sayOwn();
  $("adopt").disabled = true;
}

const judged = (real) => `D takes it for real with probability ${percent(real)}.`;

function command(asked) {
  if (asked.noise.mix) return "None: the command line blends no noises.";
  const codes = Object.entries(asked.codes).map(([name, value]) => `${name}=${+value.toFixed(6)}`).join(",");
  const folder = /^[\w./-]+$/.test(about.folder) ? about.folder : `'${about.folder.replaceAll("'", "'\\''")}'`;
  return `infogan generate ${folder} -n 1 --seed ${asked.noise.seed} --set ${codes} --out picture.png`;
}

function setSeed(seed) {
  state.noise.seed = seed;
  $("seed").value = seed;
}

const newSeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % 100000;

function wireNoise() {
  $("noise-kind").textContent = `the noise: ${about.noise} numbers with no meaning of their own`;
  $("seed").value = state.noise.seed;
  $("towards").value = state.noise.towards;
  for (const name of ["seed", "towards"]) {
    $(name).addEventListener("input", () => {
      if ($(name).value && $(name).validity.valid) { state.noise[name] = +$(name).value; changed(); }
    });
  }
  $("mix").addEventListener("input", () => {
    state.noise.mix = +$("mix").value;
    $("mix-value").textContent = `${Math.round(100 * state.noise.mix)} %`;
    $("mix").setAttribute("aria-valuetext", $("mix-value").textContent);
    changed();
  });
  $("new-noise").addEventListener("click", () => { setSeed(newSeed()); changed(); });
  $("new-all").addEventListener("click", () => { setSeed(newSeed()); go(drawn(about.codes)); });
  $("controls").addEventListener("submit", (event) => event.preventDefault());
}

function wireGrid() {
  const names = about.codes.map((code) => code.name);
  const value = about.codes.find((code) => code.kind !== "categorical") ?? about.codes[1] ?? about.codes[0];
  const other = about.codes.find((code) => code.kind === "categorical" && code !== value) ?? about.codes.find((code) => code !== value);
  for (const id of ["across", "down"]) $(id).append(...names.map((name) => make("option", { value: name }, name)));
  $("down").append(make("option", { value: "" }, "nothing"));
  $("across").value = value.name;
  $("down").value = other?.name ?? "";
  const swapped = { across: value.name, down: $("down").value };
  for (const [id, partner] of [["across", "down"], ["down", "across"]]) {
    $(id).addEventListener("change", () => {
      if ($(id).value === $(partner).value) $(partner).value = swapped[id] || "";  // the two change places
      if (!$("across").value) $("across").value = names.find((name) => name !== $("down").value) ?? names[0];
      Object.assign(swapped, { across: $("across").value, down: $("down").value });
      pictures();
    });
  }
  grid = new Grid($("grid"), go);
}

function wireOwn() {
  const grey = about.channels === 1;
  $("colour-label").hidden = grey;
  $("fitting").firstElementChild.hidden = !grey;
  $("centre").checked = grey;
  sheet = new Sheet($("canvas"), about.side, $("pen"), $("colour"), own, (text) => { $("pen-said").textContent = text; });
  for (const id of ["centre", "invert"]) $(id).addEventListener("change", own);
  $("clear").addEventListener("click", () => { sheet.clear(); $("centre").checked = grey; $("invert").checked = false; own(); });
  $("copy").addEventListener("click", () => asItIs($("picture").src));
  $("file").addEventListener("change", load);
  $("adopt").addEventListener("click", () => go(likeliest(about.codes, ownReading)));
}

// A whole picture is read as it stands; only drawings are fitted unasked.
async function asItIs(source) {
  await sheet.put(source);
  $("centre").checked = $("invert").checked = false;
  own();
}

const load = newest(async () => {
  const file = $("file").files[0];
  $("file").value = "";
  if (file) await asItIs((await ask("api/read", file)).picture);
});

const start = newest(async () => {
  about = await ask("api/about");
  for (const code of about.codes) {
    code.sigma = about.sigma;
    state.codes[code.name] = code.kind === "categorical" ? 0 : (code.low + code.high) / 2;
  }
  document.title = `${about.name} – InfoGAN explorer`;
  $("about").textContent = `${about.name}: ${about.data}, ${about.side}×${about.side}, after ${about.step.toLocaleString("en")} updates`;
  setters = controls($("codes"), about.codes, state.codes, changed);
  wireNoise();
  wireGrid();
  wireOwn();
  $("refresh").addEventListener("click", curves);
  let room = 0;
  new ResizeObserver(() => {
    if (trained && $("curves").clientWidth !== room) showCurves($("curves"), trained, about.codes);
    room = $("curves").clientWidth;
  }).observe($("curves"));
  await picture();
  pictures();
  curves();
});

start();
