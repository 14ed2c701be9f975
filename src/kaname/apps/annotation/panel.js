// What stands beside the picture: progress, the next point on a reference face, and all points.

const $ = (id) => document.getElementById(id);
export const words = (name) => name.replaceAll("_", " ");

const SVG = "http://www.w3.org/2000/svg";
const drawn = (kind, attributes) => {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};

export class Panel {
  // `did` = { choose(number), face(number) }
  constructor(about, did) {
    Object.assign(this, { about, did });
    this.#makeReference();
    this.#makePoints();
  }

  #makeReference() {
    const svg = $("kn-reference"), { positions, points, edges } = this.about;
    const known = positions.filter(Boolean);
    svg.replaceChildren();
    svg.toggleAttribute("hidden", known.length < 2);
    svg.style.display = known.length < 2 ? "none" : "";
    if (known.length < 2) return;
    const low = [0, 1].map((axis) => Math.min(...known.map((at) => at[axis])));
    const high = [0, 1].map((axis) => Math.max(...known.map((at) => at[axis])));
    const span = Math.max(high[0] - low[0], high[1] - low[1]) || 1;
    const size = [0, 1].map((axis) => ((high[axis] - low[axis]) / span) * 84 + 16);
    svg.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
    const place = (at) => [0, 1].map((axis) => ((at[axis] - low[axis]) / span) * 84 + 8);
    for (const [one, other] of edges) {
      if (!positions[one] || !positions[other]) continue;
      const [[x1, y1], [x2, y2]] = [place(positions[one]), place(positions[other])];
      svg.append(drawn("line", { x1, y1, x2, y2, stroke: points[one].colour, "stroke-width": 0.9, opacity: 0.7 }));
    }
    this.halo = drawn("circle", { r: 5, class: "kn-halo" });
    svg.append(this.halo);
    this.dots = points.map(({ name, colour }, number) => {
      if (!positions[number]) return null;
      const [cx, cy] = place(positions[number]);
      const dot = drawn("circle", { cx, cy, r: 1.9, stroke: colour, fill: "transparent", "stroke-width": 0.9, "data-point": number });
      const title = drawn("title", {});
      title.textContent = `${number} ${words(name)}`;
      dot.append(title);
      dot.addEventListener("click", () => this.did.choose(number));
      svg.append(dot);
      return dot;
    });
  }

  #makePoints() {
    this.chips = this.about.points.map(({ name, colour }, number) => {
      const chip = document.createElement("button");
      Object.assign(chip, { type: "button", textContent: number, title: words(name) });
      chip.style.setProperty("--colour", colour);
      chip.setAttribute("role", "option");
      chip.dataset.point = number;
      chip.addEventListener("click", () => this.did.choose(number));
      return chip;
    });
    $("kn-points").replaceChildren(...this.chips);
  }

  // `target`: the point that the next click sets; `touched`: the one that keys move; `mode`: place, mean or box.
  show({ view, state, target, chosen, touched, mode, waiting, meanClicks }) {
    const { points, anchors } = this.about;
    $("kn-where").textContent = `Image ${view.number} of ${view.count}`;
    $("kn-file").firstElementChild.textContent = view.image;  // a left end that is cut needs "rtl", a name its own order
    $("kn-file").title = view.image;
    $("kn-done").textContent = `${view.finished} finished`;
    const bar = $("kn-bar");
    bar.firstElementChild.style.width = `${(100 * view.finished) / view.count}%`;
    bar.setAttribute("aria-valuenow", view.finished);
    bar.setAttribute("aria-valuemax", view.count);
    this.#showKept(view, waiting);
    const warning = $("kn-warning");
    warning.hidden = !view.warning && !view.others;
    warning.textContent = view.warning || "";
    if (view.others) {
      const take = document.createElement("button");
      Object.assign(take, { type: "button", textContent: "Show them", id: "kn-adopt", onclick: () => this.did.adopt() });
      warning.replaceChildren("A session that is over left clicks on this face that were never saved. ", take);
    }
    $("kn-guide").style.display = state ? "" : "none";
    if (!state) return;
    const asked = mode === "mean" ? anchors[meanClicks] : target;
    this.#showNext(asked, state, mode, chosen);
    this.chips.forEach((chip, number) => {
      const mark = state.marks[number];
      chip.className = ["kn-open", "kn-absent", "kn-hidden", "kn-seen"][mark + 1];
      chip.classList.toggle("kn-proposed", state.proposed.includes(number));
      chip.classList.toggle("kn-target", number === asked);
      chip.setAttribute("aria-selected", String(number === chosen || number === touched));
      const how = { "-1": "not placed", 0: "absent", 1: "hidden", 2: state.proposed.includes(number) ? "proposed" : "placed" }[mark];
      chip.title = `${number} ${words(points[number].name)}: ${how}`;
      const dot = this.dots?.[number];
      dot?.setAttribute("fill", mark > 0 ? points[number].colour : "transparent");
      dot?.setAttribute("opacity", mark === 0 ? 0.25 : 1);
    });
    this.#showFaces(view);
  }

  #showKept(view, waiting) {
    const kept = $("kn-kept");
    const text = view.broken ? "not shown" : waiting ? `${waiting} on the way` : view.dirty ? "kept, not saved yet" : { "": "nothing saved yet" }[view.saved] ?? `saved, ${view.saved}`;
    kept.textContent = view.score === null || view.score === undefined ? text : `${text}; score ${view.score.toFixed(2)}`;
    kept.dataset.state = waiting ? "waiting" : view.dirty ? "kept" : view.saved || "none";
  }

  #showNext(asked, state, mode, chosen) {
    const { points, positions } = this.about, box = $("kn-next");
    const [number, name, group] = ["kn-next-number", "kn-next-name", "kn-next-group"].map($);
    if (mode === "box") {
      [number.textContent, name.textContent, group.textContent] = ["▭", "Face box", "drag from corner to corner"];
    } else if (asked === null || asked === undefined) {
      [number.textContent, name.textContent] = ["✓", "All points are there"];
      group.textContent = "Save, or choose one to move it";
    } else {
      const what = mode === "mean" ? "click it for the mean face" : asked === chosen ? "click where it belongs" : "next";
      [number.textContent, name.textContent] = [asked, words(points[asked].name)];
      group.textContent = `${points[asked].group}; ${what}`;
    }
    const colour = asked === null || asked === undefined || mode === "box" ? "var(--kn-done)" : points[asked].colour;
    box.style.setProperty("--colour", colour);
    const at = asked === null || asked === undefined ? null : this.dots?.[asked];
    if (!this.halo) return;
    this.halo.style.display = at && positions[asked] ? "" : "none";
    this.dots.forEach((dot, one) => dot?.classList.toggle("kn-asked", one === asked));
    if (at) for (const side of ["cx", "cy"]) this.halo.setAttribute(side, at.getAttribute(side));
  }

  #showFaces({ faces, face }) {
    const last = Math.max(...faces);
    const made = [...faces, last + 1].map((number) => {
      const button = document.createElement("button");
      const isNew = number === last + 1;
      Object.assign(button, { type: "button", textContent: isNew ? "+ face" : `Face ${number}`, onclick: () => this.did.face(number) });
      if (isNew) button.title = "Annotate another face of this image";
      button.setAttribute("aria-pressed", String(number === face));
      return button;
    });
    $("kn-faces").replaceChildren(...made);
  }
}
