// The picture: zoom, clicks and drags, and the points on it.
//
// A point is the index of a pixel. `indexAt` and `middleOf` are the only two places that know where pixels lie.

const CHOOSES = 4;  // CSS pixels from a point within which a click means that point
const GRABS = 9;  // and within which a drag takes it along
const SLACK = 3;  // a hand that shakes this much still clicks
const SMOOTH_BELOW = 4;  // from this scale on, pixels are shown as they are

export class Stage {
  // `did` = { click(pixel, shift), choose(number), drag(number, pixel, end), box(corners), hover(pixel | null), zoomed() }
  constructor(canvas, did) {
    Object.assign(this, { canvas, did, picture: null, size: { width: 1, height: 1 }, scale: 1, left: 0, top: 0 });
    Object.assign(this, { points: [], edges: [], fitted: true, mode: "place", marks: [], drawn: null, held: null, space: false });
    this.pointers = new Map();
    new ResizeObserver(() => this.#resized()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#stop(event));
    canvas.addEventListener("pointerleave", () => { this.pointer = null; did.hover(null); this.draw(); });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  show(picture, size) {
    Object.assign(this, { picture, size, held: null, drawn: null });
    this.pointers.clear();
    this.fit();
  }

  // ------------------------------------------------------------ where things are

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  spot([x, y]) {
    return [(x - this.left) / this.scale, (y - this.top) / this.scale];
  }

  indexAt(place) {
    const [x, y] = this.spot(place).map(Math.floor);
    return x >= 0 && y >= 0 && x < this.size.width && y < this.size.height ? [x, y] : null;
  }

  middleOf([x, y]) {
    return [(x + 0.5) * this.scale + this.left, (y + 0.5) * this.scale + this.top];
  }

  nearestIndex(place) {
    const [x, y] = this.spot(place).map(Math.floor);
    return [Math.min(Math.max(x, 0), this.size.width - 1), Math.min(Math.max(y, 0), this.size.height - 1)];
  }

  #hit(place, radius) {
    let best = null, least = radius;
    for (const point of this.points) {
      if (!point.at) continue;
      const [x, y] = this.middleOf(point.at);
      const away = Math.hypot(x - place[0], y - place[1]);
      if (away <= least) [best, least] = [point.number, away];
    }
    return best;
  }

  // ------------------------------------------------------------ zoom

  #resized() {
    const { clientWidth: across, clientHeight: down } = this.canvas, before = this.room ?? { across, down };
    if (!across || !down) return;
    this.room = { across, down };
    if (this.fitted) return this.fit();
    this.left += (across - before.across) / 2;  // what was in the middle stays there
    this.top += (down - before.down) / 2;
    this.draw();
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.scale = Math.max(Math.min(width / this.size.width, height / this.size.height) * 0.98, 0.01);
    this.left = (width - this.size.width * this.scale) / 2;
    this.top = (height - this.size.height * this.scale) / 2;
    this.fitted = true;
    this.did.zoomed();
    this.draw();
  }

  // Around the pointer, or around the middle.
  zoom(factor, place = this.pointer ?? [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2]) {
    const [x, y] = this.spot(place);
    this.scale = Math.min(Math.max(this.scale * factor, 0.02), 64);
    this.left = place[0] - x * this.scale;
    this.top = place[1] - y * this.scale;
    this.fitted = false;
    this.#keepInSight();
    this.did.zoomed();
    this.draw();
  }

  // The face as large as it fits, with some room: its box, or its points.
  face() {
    const corners = this.box ? [[this.box[0], this.box[1]], [this.box[0] + this.box[2], this.box[1] + this.box[3]]] : [];
    const known = corners.length ? corners : this.points.filter((point) => point.at).map((point) => point.at);
    if (known.length < 2) return this.fit();
    const [xs, ys] = [0, 1].map((axis) => known.map((at) => at[axis]));
    const [wide, high] = [xs, ys].map((side) => Math.max(Math.max(...side) - Math.min(...side), 8));
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.scale = Math.min(width / wide / 1.4, height / high / 1.4, 64);
    this.left = width / 2 - ((Math.max(...xs) + Math.min(...xs)) / 2) * this.scale;
    this.top = height / 2 - ((Math.max(...ys) + Math.min(...ys)) / 2) * this.scale;
    this.fitted = false;
    this.did.zoomed();
    this.draw();
  }

  #pan(dx, dy) {
    this.left += dx;
    this.top += dy;
    this.fitted = false;
    this.#keepInSight();
    this.draw();
  }

  #keepInSight() {
    const margin = 40, { clientWidth: width, clientHeight: height } = this.canvas;
    this.left = Math.min(Math.max(this.left, margin - this.size.width * this.scale), width - margin);
    this.top = Math.min(Math.max(this.top, margin - this.size.height * this.scale), height - margin);
  }

  reveal(index) {
    const [x, y] = this.middleOf(index), { clientWidth: width, clientHeight: height } = this.canvas;
    if (x < 0 || y < 0 || x > width || y > height) this.#pan(width / 2 - x, height / 2 - y);
  }

  #wheel(event) {
    event.preventDefault();
    const steps = event.deltaMode === 1 ? event.deltaY * 30 : event.deltaY;
    this.zoom(Math.exp(-Math.max(-200, Math.min(200, steps)) / 400), this.#place(event));
  }

  // ------------------------------------------------------------ hands

  #down(event) {
    if (!this.picture) return;
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    const place = this.#place(event);
    this.pointers.set(event.pointerId, place);
    if (this.pointers.size > 1) {
      this.held = { kind: "pinch" };
      return;
    }
    const pans = event.button === 1 || event.button === 2 || this.space;
    const number = pans || event.shiftKey || this.mode !== "place" ? null : this.#hit(place, GRABS);
    this.held = { kind: pans ? "pan" : "press", start: place, last: place, number, moved: false, shift: event.shiftKey };
  }

  #move(event) {
    const place = this.#place(event);
    this.pointer = place;
    this.did.hover(this.indexAt(place));
    const held = this.held;
    if (held && this.pointers.has(event.pointerId)) {
      if (held.kind === "pinch") this.#pinch(event.pointerId, place);
      else this.#pull(held, place);
      this.pointers.set(event.pointerId, place);
    }
    this.draw();
  }

  #pull(held, place) {
    const [dx, dy] = [place[0] - held.last[0], place[1] - held.last[1]];
    if (!held.moved && Math.hypot(place[0] - held.start[0], place[1] - held.start[1]) <= SLACK) return;
    held.moved = true;
    held.last = place;
    if (this.mode === "box" && held.kind === "press") this.drawn = [this.spot(held.start), this.spot(place)];
    else if (held.number !== null && held.kind === "press") this.did.drag(held.number, this.nearestIndex(place), false);
    else this.#pan(dx, dy);
  }

  #pinch(id, place) {
    const [other] = [...this.pointers].filter(([one]) => one !== id).map(([, at]) => at);
    const before = this.pointers.get(id);
    const spread = (a) => Math.max(Math.hypot(a[0] - other[0], a[1] - other[1]), 1);
    this.#pan((place[0] - before[0]) / 2, (place[1] - before[1]) / 2);
    this.zoom(spread(place) / spread(before), [(place[0] + other[0]) / 2, (place[1] + other[1]) / 2]);
  }

  #up(event) {
    const held = this.held, place = this.#place(event);
    this.pointers.delete(event.pointerId);
    if (!held || this.pointers.size) return;
    this.held = null;
    if (held.kind !== "press") return;
    if (this.mode === "box") {
      if (this.drawn) this.did.box(this.drawn);
      this.drawn = null;
    } else if (held.moved) {
      if (held.number !== null) this.did.drag(held.number, this.nearestIndex(place), true);
    } else {
      const near = held.shift || this.mode !== "place" ? null : this.#hit(held.start, CHOOSES);
      const index = this.indexAt(held.start);
      if (near !== null) this.did.choose(near);
      else if (index) this.did.click(index);
    }
    this.draw();
  }

  #stop(event) {
    this.pointers.delete(event.pointerId);
    Object.assign(this, { held: null, drawn: null });
    this.draw();
  }

  // ------------------------------------------------------------ drawing

  draw() {
    this.frame ??= requestAnimationFrame(() => { this.frame = null; this.#paint(); });
  }

  // Sized here, for a window that comes to another screen keeps its CSS pixels and has others of the device.
  #paint() {
    const pen = this.canvas.getContext("2d"), ratio = window.devicePixelRatio || 1;
    const box = this.canvas.getBoundingClientRect();
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.picture) return;
    pen.imageSmoothingEnabled = this.scale < SMOOTH_BELOW;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(this.picture, this.left, this.top, this.size.width * this.scale, this.size.height * this.scale);
    this.#paintBox(pen);
    this.#paintEdges(pen);
    const shown = this.points.filter((point) => point.at);
    for (const point of shown) this.#paintPoint(pen, point);
    this.#paintNumbers(pen, shown);
    for (const at of this.marks) this.#paintCross(pen, this.middleOf(at));
    if (this.pointer && !this.held && this.indexAt(this.pointer)) this.#paintAim(pen);
  }

  #paintBox(pen) {
    const corners = this.drawn ?? (this.box && [[this.box[0], this.box[1]], [this.box[0] + this.box[2], this.box[1] + this.box[3]]]);
    if (!corners) return;
    const [[x1, y1], [x2, y2]] = corners.map(([x, y]) => [x * this.scale + this.left, y * this.scale + this.top]);
    for (const [colour, dash] of [["rgb(0 0 0 / .6)", []], ["#fff", [6, 4]]]) {
      pen.setLineDash(dash);
      pen.strokeStyle = colour;
      pen.lineWidth = 1.5;
      pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
    }
    pen.setLineDash([]);
  }

  #paintEdges(pen) {
    pen.lineWidth = 1.5;
    pen.globalAlpha = 0.65;
    for (const [one, other] of this.edges) {
      const [a, b] = [this.points[one], this.points[other]];
      if (!a?.at || !b?.at) continue;
      pen.strokeStyle = a.colour;
      pen.beginPath();
      pen.moveTo(...this.middleOf(a.at));
      pen.lineTo(...this.middleOf(b.at));
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  #paintPoint(pen, { at, colour, hidden, proposed, chosen, touched }) {
    const [x, y] = this.middleOf(at);
    const ring = (radius, width, style, dash = []) => {
      pen.beginPath();
      pen.setLineDash(dash);
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.lineWidth = width;
      pen.strokeStyle = style;
      pen.stroke();
      pen.setLineDash([]);
    };
    if (chosen || touched) {
      ring(9, 4, "rgb(0 0 0 / .55)");
      ring(9, 2, chosen ? "#fff" : "rgb(255 255 255 / .75)", chosen ? [] : [3, 3]);
    }
    if (!proposed && !hidden) {
      pen.beginPath();
      pen.arc(x, y, 3.5, 0, 2 * Math.PI);
      pen.fillStyle = colour;
      pen.fill();
    }
    ring(4.5, 3, "rgb(0 0 0 / .6)");
    ring(4.5, proposed || hidden ? 2 : 1.2, proposed || hidden ? colour : "#fff", hidden ? [2.5, 2] : []);
  }

  // Numbers that would lie on one another are left out until there is room; the point at hand has its number first.
  #paintNumbers(pen, shown) {
    pen.font = "600 11px system-ui, sans-serif";
    pen.lineWidth = 3;
    pen.lineJoin = "round";
    const taken = [];
    for (const point of [...shown].sort((a, b) => (b.chosen || b.touched) - (a.chosen || a.touched))) {
      const [x, y] = this.middleOf(point.at), width = pen.measureText(point.number).width;
      const spots = [[x + 7, y - 5], [x + 7, y + 13], [x - 7 - width, y - 5], [x - 7 - width, y + 13]];
      const free = ([left, base]) => !taken.some(([a, b, wide]) => left < a + wide + 2 && a < left + width + 2 && Math.abs(base - b) < 11);
      const spot = spots.find(free);
      if (!spot) continue;
      taken.push([...spot, width]);
      pen.strokeStyle = "rgb(0 0 0 / .75)";
      pen.strokeText(point.number, ...spot);
      pen.fillStyle = "#fff";
      pen.fillText(point.number, ...spot);
    }
  }

  #paintCross(pen, [x, y]) {
    for (const [width, style] of [[4, "rgb(0 0 0 / .6)"], [2, "#fff"]]) {
      pen.lineWidth = width;
      pen.strokeStyle = style;
      pen.beginPath();
      pen.moveTo(x - 8, y); pen.lineTo(x + 8, y); pen.moveTo(x, y - 8); pen.lineTo(x, y + 8);
      pen.stroke();
    }
  }

  // The pixel under the pointer, where it can be seen.
  #paintAim(pen) {
    if (this.scale < 6) return;
    const [x, y] = this.indexAt(this.pointer);
    const [left, top] = [x * this.scale + this.left, y * this.scale + this.top];
    pen.lineWidth = 1;
    pen.strokeStyle = "rgb(0 0 0 / .8)";
    pen.strokeRect(left, top, this.scale, this.scale);
    pen.strokeStyle = "rgb(255 255 255 / .9)";
    pen.strokeRect(left + 1, top + 1, this.scale - 2, this.scale - 2);
  }
}
