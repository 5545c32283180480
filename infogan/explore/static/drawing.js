// A sheet to draw on, by pointer or by arrow keys. Its pixels are a whole number of the run's pixels.

const SCREEN = 280;

export class Sheet {
  // `changed()` is called whenever what is on the sheet changed, `say(text)` with what a screen reader should hear.
  constructor(canvas, side, pen, colour, changed, say) {
    Object.assign(this, { canvas, side, pen, colour, changed, say, empty: true });
    this.scale = Math.max(1, Math.floor(SCREEN / side));
    canvas.width = canvas.height = side * this.scale;
    this.context = canvas.getContext("2d");
    this.context.lineCap = this.context.lineJoin = "round";
    this.at = { x: canvas.width / 2, y: canvas.height / 2 };
    this.down = false;
    this.clear();
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { this.held = false; });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  clear() {
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.empty = true;
  }

  // Puts a picture of the run's size on the sheet, pixel by pixel.
  async put(source) {
    const image = new Image();
    image.src = source;
    await image.decode();
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(image, 0, 0, this.canvas.width, this.canvas.height);
    this.empty = false;
  }

  file() {
    return new Promise((done) => this.canvas.toBlob(done, "image/png"));
  }

  press(event) {
    if (event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.held = true;
    this.at = this.place(event);
    this.line(this.at);
  }

  drag(event) {
    if (!this.held) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) this.line(this.place(one));
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / box.width;
    return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
  }

  line(to) {
    this.context.strokeStyle = this.colour.value;
    this.context.lineWidth = this.pen.value * this.canvas.width / 28;
    this.context.beginPath();
    this.context.moveTo(this.at.x, this.at.y);
    this.context.lineTo(to.x, to.y);
    this.context.stroke();
    this.at = to;
    this.empty = false;
    this.changed();
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === " ") {
      this.down = !this.down;
      this.say(this.down ? "pen down" : "pen up");
      if (this.down) this.line(this.at);
    } else if (step) {
      const length = this.canvas.width / 28;
      const within = (v) => Math.min(this.canvas.width, Math.max(0, v));
      const to = { x: within(this.at.x + step[0] * length), y: within(this.at.y + step[1] * length) };
      if (this.down) this.line(to);
      else this.at = to;
      this.say(`${Math.round((100 * to.x) / this.canvas.width)} % across, ${Math.round((100 * to.y) / this.canvas.height)} % down`);
    } else return;
    event.preventDefault();
  }
}
