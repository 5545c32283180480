// A table of pictures over the values of two codes, which arrow keys walk through.

import { make, short } from "./ask.js";

export class Grid {
  // `chosen(values)` is called with the codes of the picture somebody chose.
  constructor(table, chosen) {
    this.table = table;
    this.chosen = chosen;
    this.key = "";
    table.addEventListener("keydown", (event) => this.walk(event));
  }

  async show(found, across, down, side) {
    const image = new Image();
    image.src = found.strip;
    await image.decode();
    const rows = found.down.length ? found.down : [undefined];
    const key = JSON.stringify([across, down, found.across, found.down]);
    if (key !== this.key) this.build(found.across, rows, across, down, side);
    this.key = key;
    this.cells.forEach(({ canvas }, i) => canvas.getContext("2d").drawImage(image, 0, i * side, side, side, 0, 0, side, side));
  }

  build(columns, rows, across, down, side) {
    Object.assign(this, { columns: columns.length, cells: [] });
    const title = down ? `${down} ↓  ${across} →` : `${across} →`;
    const head = make("tr", {}, make("th", { class: "corner" }, title), ...columns.map((v) => make("th", { scope: "col" }, short(v))));
    const body = rows.map((row) => make("tr", {}, make("th", { scope: "row" }, row === undefined ? "" : short(row)), ...columns.map((column) => {
      const values = row === undefined ? { [across]: column } : { [across]: column, [down]: row };
      return this.cell(values, side);
    })));
    this.table.replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
    this.stop(this.cells[0]);
  }

  cell(values, side) {
    const canvas = make("canvas", { class: "pixels", width: side, height: side });
    const label = Object.entries(values).map(([name, v]) => `${name} = ${short(v)}`).join(", ");
    const button = make("button", { type: "button", "aria-label": label, title: label, tabindex: "-1" }, canvas);
    const cell = { canvas, button, values, td: make("td", { role: "gridcell" }, button) };
    button.addEventListener("click", () => { this.stop(cell); this.chosen(values); });
    this.cells.push(cell);
    return cell.td;
  }

  // Marks the picture whose codes are those on the controls.
  mark(codes) {
    for (const cell of this.cells ?? []) {
      const here = Object.entries(cell.values).every(([name, v]) => Math.abs(codes[name] - v) < 1e-6);
      cell.td.setAttribute("aria-selected", String(here));
    }
  }

  // The one picture that Tab stops at.
  stop(cell) {
    for (const { button } of this.cells) button.tabIndex = -1;
    cell.button.tabIndex = 0;
  }

  walk(event) {
    const at = this.cells.findIndex(({ button }) => button === document.activeElement);
    const across = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
    const down = { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0;
    if (at < 0 || (!across && !down)) return;
    event.preventDefault();
    const column = (at % this.columns) + across;
    const next = column < 0 || column >= this.columns ? undefined : this.cells[at + across + down * this.columns];
    if (next) { this.stop(next); next.button.focus(); }
  }
}
