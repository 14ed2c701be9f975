// Talks to the server. Steps go one after the other, and a step counts when the server has answered.

const HEADERS = { "content-type": "application/json" };
const PATIENCE = [300, 700, 1500, 3000];  // milliseconds between tries while the server does not answer

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: HEADERS, body: JSON.stringify(body) };
  const answer = await fetch(`/kaname/${path}`, { ...options, credentials: "same-origin" });
  const text = await answer.text();
  let content = {};
  try { content = JSON.parse(text); } catch { content = { error: text.trim() || `status ${answer.status}` }; }
  if (!answer.ok) throw new Refused(answer.status, content.error ?? `status ${answer.status}`);
  return content;
}

export const faceOf = (image, face) => ask(`face?image=${encodeURIComponent(image)}&face=${face}`);

const nextName = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

export class Steps {
  // `told(view, waiting)` after each answer; `trouble(text)` while there is none; `refused(text, view)` where steps are lost.
  constructor({ told, trouble, refused }) {
    Object.assign(this, { told, trouble, refused, waiting: [], running: null, view: null, kept: 0 });
  }

  open(view) {
    this.view = view;
  }

  take(action) {
    this.waiting.push({ id: nextName(), action });
    this.running ??= this.#run();
    return this.running;
  }

  async idle() {
    while (this.running) await this.running;
  }

  async #run() {
    try {
      while (this.waiting.length) await this.#one(this.waiting[0]);
    } finally {
      this.running = null;
    }
  }

  async #one(step) {
    const { image, face } = this.view;
    try {
      const after = this.view.version;
      const view = await this.#patiently("act", { image, face, after, id: step.id, action: step.action });
      this.waiting.shift();
      this.kept += 1;
      this.view = view;
      this.told(view, this.waiting.length);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const view = await faceOf(image, face);
      if (error.status === 409 && same(view.state, this.view.state) && view.version !== this.view.version) {
        this.view = view;  // the server has started again, and knows the same face by another version
        return;
      }
      this.waiting = [];
      this.view = view;
      this.refused(error.message, view);
    }
  }

  // A step that the server may or may not have heard is sent again under its own name, so that it counts once.
  async #patiently(path, body) {
    for (let tries = 0; ; tries += 1) {
      try {
        return await ask(path, body);
      } catch (error) {
        if (error instanceof Refused && error.status < 500) throw error;
        this.trouble(`The server does not answer: ${this.waiting.length} not kept yet, trying again`);
        await new Promise((done) => setTimeout(done, PATIENCE[Math.min(tries, PATIENCE.length - 1)]));
      }
    }
  }

  async save(finish, force = false) {
    await this.idle();
    const { image, face, version } = this.view;
    const view = await ask("save", { image, face, after: version, id: nextName(), finish, force });
    this.view = view;
    return view;
  }
}
