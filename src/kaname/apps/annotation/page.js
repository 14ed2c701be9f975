// The page: what a click, a key or a button does. `stage.js` draws, `panel.js` tells, `server.js` keeps.

import { ask, faceOf, Refused, Steps } from "./server.js";
import { Stage } from "./stage.js";
import { Panel, words } from "./panel.js";

const OPEN = -1, ABSENT = 0, HIDDEN = 1, SEEN = 2;
const PRESENCE = 15_000;  // milliseconds
const $ = (id) => document.getElementById(id);

const fits = (picture, { width, height }) => picture?.naturalWidth === width && picture.naturalHeight === height;

// Of a file that has changed the browser may keep an older picture: it is asked for under another name then.
async function pictureOf(image, size) {
  for (const other of ["", `&size=${size.width}x${size.height}`]) {
    const picture = new Image();
    picture.src = `/kaname/picture?image=${encodeURIComponent(image)}${other}`;
    await picture.decode();
    if (fits(picture, size)) return picture;
  }
  throw new Error("the picture has another size than the image");
}

class Page {
  constructor(about) {
    this.about = about;
    Object.assign(this, { view: null, state: null, chosen: null, touched: null, mode: "place", meanClicks: [], busy: false });
    this.steps = new Steps({
      told: (view, waiting) => this.#told(view, waiting),
      trouble: (text) => this.say(text, "trouble"),
      refused: (text, view) => { this.say(text, "error"); this.#accept(view); },
    });
    this.stage = new Stage($("kn-canvas"), {
      click: (pixel) => this.#click(pixel),
      choose: (number) => this.choose(number),
      drag: (number, pixel, end) => this.#drag(number, pixel, end),
      box: (corners) => { this.setMode("place"); this.take({ kind: "box", at: corners }); },
      hover: (pixel) => this.#hover(pixel),
      zoomed: () => { $("kn-scale").textContent = `${Math.round(this.stage?.scale * 100 || 100)} %`; },
    });
    this.panel = new Panel(about, {
      choose: (number) => this.choose(number),
      face: (number) => run(this, "another_face", number),
      adopt: () => this.take({ kind: "adopt" }),
    });
    this.stage.edges = about.edges;
    document.body.dataset.without = [about.model ? "" : "propose", about.anchors ? "" : "mean"].join(" ");
  }

  // ------------------------------------------------------------ from the server

  async open(image, face = 1) {
    const view = await faceOf(image, face);
    let picture = this.stage.picture;
    if (!view.broken && !(view.image === this.view?.image && fits(picture, view.size))) {
      const broken = () => Object.assign(view, { state: null, broken: "the browser could not load it" });
      picture = await pictureOf(image, view.size).catch(broken);
    }
    Object.assign(this, { chosen: null, touched: null, meanClicks: [] });
    history.replaceState(null, "", `#${encodeURIComponent(image)}${face > 1 ? `~${face}` : ""}`);
    if (view.broken) this.stage.show(null, { width: 1, height: 1 });
    else if (picture !== this.stage.picture) this.stage.show(picture, view.size);
    this.#accept(view);
    this.setMode("place");
    if (view.broken) this.say(`This image cannot be shown: ${view.broken}`, "error");
    if (view.next) new Image().src = `/kaname/picture?image=${encodeURIComponent(view.next)}`;  // to be there at once
  }

  #accept(view) {
    this.view = view;
    this.steps.open(view);
    this.state = view.state ? structuredClone(view.state) : null;
    this.show();
  }

  #told(view, waiting) {
    document.body.dataset.kept = this.steps.kept;
    if (waiting === 0 && !this.dragging) this.#accept(view);
    else { this.view = view; this.show(); }
    if ($("kn-hint").dataset.kind === "trouble") this.say("");
  }

  // Others may then see what this page never saved, once it has not been heard of for a while.
  async tellPresence() {
    if (!this.state || this.busy) return;
    const { image, face } = this.view;
    const { others } = await ask("here", { image, face });
    if (this.view.image !== image || this.view.face !== face || this.view.others === others) return;
    this.view.others = others;
    this.show();
  }

  // ------------------------------------------------------------ what a person does

  get target() {
    if (this.chosen !== null) return this.chosen;
    const open = this.state?.marks.indexOf(OPEN) ?? -1;
    return open < 0 ? null : open;
  }

  take(action) {
    if (!this.state || this.busy) return;
    this.#foresee(action);
    this.steps.take(action);
    this.show();
  }

  // Shown at once; the server's answer replaces it.
  #foresee({ kind, point, at, hidden, as }) {
    const { places, marks } = this.state;
    const set = (number, place, mark) => {
      [places[number], marks[number]] = [place, mark];
      this.state.proposed = this.state.proposed.filter((one) => one !== number);
    };
    if (kind === "place") set(point, at, hidden ? HIDDEN : SEEN);
    else if (kind === "mark") {
      const mark = { absent: ABSENT, hidden: HIDDEN, seen: SEEN, open: OPEN }[as];
      set(point, mark > ABSENT ? places[point] : null, mark);
    } else if (kind === "clear_last") {
      const last = marks.findLastIndex((mark) => mark !== OPEN);
      if (last >= 0) set(last, null, OPEN);
    } else if (kind === "clear_all") places.forEach((_, number) => set(number, null, OPEN));
  }

  #click(pixel) {
    if (this.mode === "mean") {
      this.meanClicks.push(pixel);
      if (this.meanClicks.length === 2) {
        const at = this.meanClicks;
        this.setMode("place");
        this.take({ kind: "mean", at });
      }
      this.show();
      return;
    }
    const point = this.target;
    if (point === null) {
      this.say("All points are there: choose one to move it, or save.");
      return;
    }
    this.#put(point, pixel);
    this.chosen = null;
    this.show();
  }

  #put(point, at) {
    this.touched = point;
    this.take({ kind: "place", point, at, hidden: this.state.marks[point] === HIDDEN });
  }

  #drag(number, pixel, end) {
    if (!this.state || this.busy) return;
    this.dragging = !end;
    this.touched = number;
    if (end) this.#put(number, pixel);
    else { this.state.places[number] = pixel; this.show(); }
    this.#hover(pixel);
  }

  #hover(pixel) {
    const name = this.dragging ? `${this.touched} ${words(this.about.points[this.touched].name)}  ` : "";
    $("kn-canvas").title = "";
    $("kn-zoom").dataset.at = pixel ? `${name}x ${pixel[0]}  y ${pixel[1]}` : "";
  }

  choose(number) {
    if (!this.state) return;
    this.setMode("place");
    this.chosen = this.touched = number;
    if (this.state.places[number]) this.stage.reveal(this.state.places[number]);
    this.show();
  }

  nudge(dx, dy) {
    const point = this.touched;
    if (!this.state?.places[point]) return this.say("Choose a point first: click on it, or press ].");
    const { width, height } = this.view.size, [x, y] = this.state.places[point].map(Math.round);
    this.#put(point, [Math.min(Math.max(x + dx, 0), width - 1), Math.min(Math.max(y + dy, 0), height - 1)]);
    this.stage.reveal(this.state.places[point]);
  }

  // Hidden belongs to a point that has a place; absent to the next point as well.
  hidden() {
    const point = this.touched;
    if (!this.state?.places[point]) return this.say("Place the point by guess first, then mark it hidden.");
    this.take({ kind: "mark", point, as: this.state.marks[point] === HIDDEN ? "seen" : "hidden" });
  }

  absent() {
    const point = this.chosen ?? this.target ?? this.touched;
    if (point === null || !this.state) return;
    this.touched = point;
    this.take({ kind: "mark", point, as: this.state.marks[point] === ABSENT ? "open" : "absent" });
    this.chosen = null;
    this.show();
  }

  remove() {
    if (this.touched === null || !this.state) return;
    this.take({ kind: "mark", point: this.touched, as: "open" });
    this.chosen = null;
    this.show();
  }

  neighbour(step) {
    const count = this.about.points.length, from = this.chosen ?? this.touched ?? (step > 0 ? -1 : count);
    this.choose((from + step + count) % count);
  }

  setMode(mode) {
    this.mode = this.stage.mode = mode;
    this.meanClicks = [];
    $("kn-canvas").dataset.mode = mode;
    if (mode === "mean") this.say(`Click ${words(this.about.points[this.about.anchors[0]].name)}, then ${words(this.about.points[this.about.anchors[1]].name)}.`);
    else if (mode === "box") this.say("Drag from corner to corner of the face.");
    else this.say("");
    this.show();
  }

  async save(force = false) {
    if (!this.state) return;
    try {
      const view = await this.steps.save(true, force);
      this.#accept(view);
      this.say(view.said, view.saved === "finished" ? "good" : "");
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 409 && !force && confirm(`${error.message}\n\nReplace what they saved?`)) return this.save(true);
      this.#accept(await faceOf(this.view.image, this.view.face));
      this.say(error.message, "error");
    }
  }

  async go(image, face = 1) {
    if (!image) return this.say("There is no further image.");
    await this.steps.idle();
    let said = "";
    try {
      if (this.state) said = (await this.steps.save(false)).said;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      said = `${error.message} (the clicks are kept)`;
    }
    await this.open(image, face);
    if (said && !this.view.broken) this.say(`Before this one: ${said}.`);
  }

  // ------------------------------------------------------------ showing

  say(text, kind = "") {
    const hint = $("kn-hint");
    Object.assign(hint, { textContent: text, hidden: !text });
    hint.dataset.kind = kind;
  }

  show() {
    if (!this.view) return;
    const { state, about, chosen, touched, target, mode } = this;
    this.stage.points = state ? about.points.map(({ colour }, number) => ({
      number, colour, at: state.places[number], hidden: state.marks[number] === HIDDEN, chosen: number === chosen,
      touched: number === touched, proposed: state.proposed.includes(number),
    })) : [];
    this.stage.box = state?.box;
    this.stage.marks = this.meanClicks;
    this.panel.show({ view: this.view, state, target, chosen, touched, mode, waiting: this.steps.waiting.length, meanClicks: this.meanClicks.length });
    this.stage.draw();
  }
}

// ------------------------------------------------------------ buttons and keys

const DOES = {
  save: (page) => page.save(),
  next: (page) => page.go(page.view.next),
  previous: (page) => page.go(page.view.previous),
  another_face: (page, number) => page.go(page.view.image, number),
  unfinished: (page) => (page.view.unfinished ? page.go(page.view.unfinished) : page.say("No other image is unfinished.")),
  clear_last: (page) => page.take({ kind: "clear_last" }),
  clear_all: (page) => page.take({ kind: "clear_all" }),
  undo: (page) => page.take({ kind: "undo" }),
  redo: (page) => page.take({ kind: "redo" }),
  revert: (page) => page.take({ kind: "revert" }),
  propose: (page) => page.take({ kind: "propose" }),
  hidden: (page) => page.hidden(),
  absent: (page) => page.absent(),
  remove: (page) => page.remove(),
  mean: (page) => page.about.anchors && page.setMode(page.mode === "mean" ? "place" : "mean"),
  box: (page) => page.setMode(page.mode === "box" ? "place" : "box"),
  escape: (page) => { page.chosen = null; page.setMode("place"); },
  before: (page) => page.neighbour(-1),
  after: (page) => page.neighbour(1),
  zoom_in: (page) => page.stage.zoom(1.5),
  zoom_out: (page) => page.stage.zoom(1 / 1.5),
  fit: (page) => page.stage.fit(),
  face: (page) => page.stage.face(),
};
const KEYS = {
  n: "next", p: "previous", u: "unfinished", s: "save", z: "undo", Z: "redo", h: "hidden", a: "absent", m: "mean", b: "box",
  Delete: "remove", Backspace: "clear_last", Escape: "escape", "[": "before", "]": "after",
  f: "face", "+": "zoom_in", "=": "zoom_in", "-": "zoom_out", 0: "fit",
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const WAITS = new Set(["save", "next", "previous", "unfinished", "another_face"]);

// What waits for the server comes one after the other, so that "save, next" typed fast does both.
function run(page, action, ...more) {
  if (!page.view) return;
  if (!WAITS.has(action)) return page.busy ? undefined : perform(page, action, more);
  page.line = (page.line ?? Promise.resolve()).then(() => perform(page, action, more));
  return page.line;
}

async function perform(page, action, more) {
  page.busy = WAITS.has(action);
  document.body.dataset.busy = page.busy ? action : "";
  try {
    await DOES[action](page, ...more);
  } catch (error) {
    page.say(error instanceof Refused ? error.message : "The server does not answer; nothing was changed. Try again.", "error");
  } finally {
    page.busy = false;
    document.body.dataset.busy = "";
  }
}

// What a key would write with the input method of another language switched off.
const plain = ({ key, code }) => (key === "Process" || (key.length === 1 && key > "~") ? code.replace(/^Key/, "").toLowerCase() : key);

function onKey(page, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select")) return;
  if (event.key === " " && !event.target.closest?.("button, summary")) {
    page.stage.space = true;
    event.preventDefault();
  } else if (event.key in ARROWS) {
    const step = event.shiftKey ? 10 : 1;
    page.nudge(...ARROWS[event.key].map((side) => side * step));
    event.preventDefault();
  } else {
    const key = plain(event), action = KEYS[key] ?? KEYS[key.toLowerCase()];
    if (!action || (event.repeat && WAITS.has(action))) return;
    event.preventDefault();
    run(page, action);
  }
}

function fromAddress(about) {
  let name = "";
  try { name = decodeURIComponent(location.hash.slice(1)); } catch { /* a broken address: the first image */ }
  const [image, face] = name.split(/~(?=\d+$)/);
  return image ? [image, Number(face ?? 1)] : [about.first, 1];
}

async function start() {
  while (!$("kn-canvas") || !$("kn-points") || !$("kn-status")) await new Promise((done) => setTimeout(done, 30));
  const page = new Page(await ask("about"));
  window.kaname = { page, run: (action) => { document.activeElement?.blur?.(); return run(page, action); } };
  addEventListener("keydown", (event) => onKey(page, event));
  addEventListener("keyup", (event) => { if (event.key === " ") page.stage.space = false; });
  addEventListener("beforeunload", (event) => { if (page.steps.waiting.length) event.preventDefault(); });
  $("kn-zoom").addEventListener("click", (event) => event.target.dataset.do && window.kaname.run(event.target.dataset.do));
  const [image, face] = fromAddress(page.about);
  try {
    await page.open(image, face);
  } catch (error) {
    await page.open(page.about.first);
    page.say(error.message, "error");
  }
  setInterval(() => page.tellPresence().catch(() => {}), PRESENCE);
  document.body.dataset.ready = "yes";
}

start().catch((error) => {
  const hint = $("kn-hint");
  if (hint) Object.assign(hint, { textContent: `The page could not start: ${error.message}`, hidden: false });
});
