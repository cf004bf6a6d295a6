// The client: stores what is emitted, sends what is stored. The outbox and the sender's turn are
// given to it, so that a browser and Node differ in nothing else.
import { TYPES } from "./catalogue.js";
import { reference } from "./reference.js";
import {
  BYTES_MAX, EVENTS_MAX, PopwatchError, SEND_EVENTS_MAX, batch, classOf, envelope, eventId, judge,
  makeRoom, retryMs,
} from "./rules.js";

const TIMEOUT_MS = 30000;
const LOOK_MS = 1000;
const SAFE_MS = 20 * 3600000;
// What `,"agems":2147483647` and the end of the line add to an event.
const AGE_BYTES = 21;
const encoder = new TextEncoder();

/**
 * An event that waits; `text` is its JSON without its age. Before `after` it is not sent: the edge had
 * no room for its class.
 */
export function held(id, text, wall) {
  const { type } = JSON.parse(text);
  return { id, text, wall, kind: classOf(type), size: encoder.encode(text).length + AGE_BYTES, after: 0 };
}

/** Whether two texts are the same fact: a retry may carry another time. */
export function saysTheSame(one, other) {
  const [a, b] = [one, other].map((text) => JSON.parse(text));
  return a.type === b.type && JSON.stringify(a.data) === JSON.stringify(b.data);
}

/** The event with its age: by the steady clock, after a reload by the wall clock. */
function line(one) {
  const age = one.mono === undefined ? Date.now() - one.wall : performance.now() - one.mono;
  const agems = Math.min(Math.max(Math.floor(age), 0), 2 ** 31 - 1);
  return `${one.text.slice(0, -1)},"agems":${agems}}\n`;
}

function deferred() {
  const one = {};
  one.promise = new Promise((resolve, reject) => Object.assign(one, { resolve, reject }));
  // Nobody has to listen: an unheard rejection must not end a checkout.
  one.promise.catch(() => {});
  return one;
}

export class Client {
  #opening;
  #outbox;
  #coming = [];
  #held = new Map();
  #sending = new Set();
  #waiters = new Map();
  #losses = {};
  #edge = {};
  #fault = null;
  #failures = 0;
  #sheds = 0;
  #most = SEND_EVENTS_MAX;
  #notBefore = 0;
  #storing = null;
  #loop = null;
  #closed = false;
  #stop = new AbortController();
  #request = null;
  #wake = () => {};
  #idle = [];

  /** `outbox`: null for memory, else {load, put, settle, dead, close, turn?, settled?}. */
  constructor(opening, outbox, fault, kept) {
    this.#opening = { ...opening, edge: opening.edge.replace(/\/+$/, "") };
    this.#outbox = outbox;
    this.#fault = fault;
    if (kept) {
      this.#losses = { ...kept.losses };
      this.merge(kept.events);
    }
  }

  /** Takes in events that another page of this origin stored. */
  merge(events) {
    for (const one of events) if (!this.#held.has(one.id)) this.#held.set(one.id, one);
    if (this.#held.size) this.#send();
  }

  emit(type, data, options = {}) {
    const [stored, done] = [deferred(), deferred()];
    let { id } = options;
    try {
      id = String(id ?? eventId(Date.now(), crypto.getRandomValues(new Uint8Array(10))));
      if (this.#closed) throw new PopwatchError("PW0131", undefined, "the client is closed");
      const text = envelope(type, data, id, this.#opening.source, this.#opening.popup, options.time);
      const first = this.#held.get(id) ?? this.#coming.find((one) => one.id === id);
      if (first && !saysTheSame(first.text, text)) {
        throw new PopwatchError("PW0104", "id", "names another event already");
      }
      this.#coming.push({ ...held(id, text, Date.now()), mono: performance.now(), stored, done });
      this.#waiters.set(id, [...(this.#waiters.get(id) ?? []), done]);
      this.#storing ??= this.#store();
    } catch (error) {
      const fault = error instanceof PopwatchError
        ? error
        : new PopwatchError("PW0103", "data", `is not JSON: ${error?.message}`);
      stored.reject(fault);
      done.reject(fault);
    }
    return { id, stored: stored.promise, done: done.promise };
  }

  async flush(deadlineMs = 10000) {
    if (this.#isEmpty()) return true;
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, deadlineMs, false)));
    const empty = new Promise((resolve) => this.#idle.push(() => resolve(true)));
    const done = await Promise.race([empty, late]);
    clearTimeout(timer);
    return done;
  }

  status() {
    const waiting = [...this.#held.values(), ...this.#coming];
    const oldest = waiting.reduce((least, one) => Math.min(least, one.wall), Infinity);
    return {
      queued: waiting.length,
      bytes: waiting.reduce((sum, one) => sum + one.size, 0),
      oldest_ms: waiting.length ? Math.max(Date.now() - oldest, 0) : null,
      stored: this.#outbox !== null,
      lost: Object.fromEntries(Object.entries(this.#losses).filter(([, count]) => count)),
      edge: { ...this.#edge },
      fault: this.#fault,
    };
  }

  dead() {
    return this.#outbox?.dead() ?? [];
  }

  /** The reference of a payment or refund, from the record that anchors it. */
  paymentRef(anchor, use = "p0") {
    if (!anchor.popup) throw new PopwatchError("PW0103", "popup", "open the client with a popup to mint references");
    const payment = reference(anchor.popup, anchor.rig, anchor.epoch, anchor.seq, use);
    return { payment, safe_until_ms: anchor.at_ms + SAFE_MS };
  }

  async close(deadlineMs = 10000) {
    const done = this.#closed || (await this.flush(deadlineMs));
    this.#closed = true;
    // A request under way is let go: its events are in the outbox, and the edge knows repeats.
    this.#stop.abort();
    this.#request?.abort();
    this.#wake();
    await this.#storing;
    await this.#loop;
    await this.#outbox?.close();
    return done;
  }

  /** Tries at once: the network is back. */
  hurry() {
    this.#notBefore = 0;
    this.#wake();
  }

  /** A page goes away: what fits goes along; the outbox keeps it until the edge has said so. */
  farewell() {
    const chosen = [];
    let bytes = 0;
    for (const one of batch([...this.#held.values(), ...this.#coming])) {
      bytes += one.size;
      if (bytes > 60000) break;
      chosen.push(one);
    }
    if (chosen.length) this.#fetch(chosen.map(line).join(""), {}, { keepalive: true }).catch(() => {});
  }

  /** Another page of this origin heard the verdict. */
  settled(id, place, error) {
    this.#held.delete(id);
    this.#tell(id, place, error);
    this.#rest();
  }

  #tell(id, place, error) {
    for (const done of this.#waiters.get(id) ?? []) {
      if (error) done.reject(new PopwatchError(error.code, error.field, error.detail));
      else done.resolve(place);
    }
    this.#waiters.delete(id);
  }

  #isEmpty() {
    return !this.#coming.length && !this.#held.size && !this.#storing;
  }

  #rest() {
    if (this.#isEmpty()) for (const wake of this.#idle.splice(0)) wake();
  }

  // Storing: what came in during one write shares the next.

  async #store() {
    await null;
    while (this.#coming.length) {
      const { fresh, dropped, refused } = this.#admit();
      let fault = this.#outbox ? null : "this event waits in memory only";
      let others = [];
      try {
        others = (await this.#outbox?.put(fresh, dropped, this.#losses)) ?? [];
      } catch (error) {
        fault = this.#fault = `PW0132: ${error?.message}`;
      }
      for (const one of fresh) {
        if (others.includes(one)) {
          this.#refuse(one);
          continue;
        }
        if (!this.#held.has(one.id)) this.#held.set(one.id, one);
        if (fault) one.stored.reject(new PopwatchError("PW0132", undefined, fault));
        else one.stored.resolve(one.id);
      }
      for (const one of refused) {
        const full = { code: "PW0131", detail: "the outbox is full; the edge has not answered for long" };
        one.stored?.reject(new PopwatchError(full.code, undefined, full.detail));
        this.#tell(one.id, null, full);
      }
      this.#send();
    }
    this.#storing = null;
    this.#rest();
  }

  /** Another page of this origin gave the id to another event, which waits. */
  #refuse({ id, stored, done }) {
    const fault = new PopwatchError("PW0104", "id", "names another event already");
    this.#waiters.set(id, (this.#waiters.get(id) ?? []).filter((one) => one !== done));
    stored.reject(fault);
    done.reject(fault);
  }

  #admit() {
    const [fresh, dropped, refused] = [[], [], []];
    const lose = (one) => {
      this.#losses[one.kind] = (this.#losses[one.kind] ?? 0) + 1;
      refused.push(one);
    };
    let total = [...this.#held.values()].reduce((sum, one) => sum + one.size, 0);
    for (const one of this.#coming.splice(0)) {
      total += one.size;
      if (this.#held.size + fresh.length < EVENTS_MAX && total <= BYTES_MAX) {
        fresh.push(one);
        continue;
      }
      // What is being sent keeps its place, as money does.
      const all = [...this.#held.values(), ...fresh];
      const gone = makeRoom(all.map((other) =>
        this.#sending.has(other.id) ? { size: other.size, kind: "money" } : other), one);
      if (!gone) {
        total -= one.size;
        if (one.kind === "money" || one.kind === "stock") refused.push(one);
        else lose(one);
        continue;
      }
      for (const other of gone) {
        total -= other.size;
        lose(other);
        if (this.#held.delete(other.id)) dropped.push(other.id);
        else fresh.splice(fresh.indexOf(other), 1);
      }
      fresh.push(one);
    }
    return { fresh, dropped, refused };
  }

  // Sending: one request at a time, by one page or process of an outbox.

  #send() {
    if (this.#closed) return;
    this.#wake();
    this.#loop ??= this.#run().then(
      () => 0,
      (error) => {
        this.#fault = `not sending: ${error?.message}`;
        return LOOK_MS;
      },
    ).then((wait) => {
      this.#loop = null;
      if (this.#held.size) setTimeout(() => this.#send(), wait);
    });
  }

  async #run() {
    const { signal } = this.#stop;
    const turn = this.#outbox?.turn ?? ((work) => work());
    await turn.call(this.#outbox, async () => {
      while (!signal.aborted && this.#held.size) {
        const soonest = [...this.#held.values()].reduce((least, one) => Math.min(least, one.after), Infinity);
        const wait = Math.max(this.#notBefore, soonest) - performance.now();
        await (wait > 0 ? this.#pause(wait) : this.#once());
      }
    }, signal);
  }

  #pause(wait) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, wait);
      // A waiting outbox keeps no process alive; its events are on disk.
      if (this.#outbox) timer.unref?.();
      this.#wake = () => (clearTimeout(timer), resolve());
    });
  }

  async #once() {
    const now = performance.now();
    const chosen = batch([...this.#held.values()].filter((one) => one.after <= now), this.#most);
    this.#sending = new Set(chosen.map((one) => one.id));
    const losses = Object.entries(this.#losses).filter(([, count]) => count);
    let [status, answer, asked] = [0, null, null];
    const request = (this.#request = new AbortController());
    const timer = setTimeout(() => request.abort(), TIMEOUT_MS);
    try {
      const headers = losses.length
        ? { "popwatch-client-loss": losses.map(([kind, count]) => `${kind}=${count}`).join(", ") }
        : {};
      const response = await this.#fetch(chosen.map(line).join(""), headers, { signal: request.signal });
      status = response.status;
      const told = response.headers.get("retry-after");
      asked = /^\d+$/.test(told ?? "") ? Number(told) : null;
      answer = await response.json().catch(() => null);
      this.#fault = status === 200 ? null : `the edge answered ${status}`;
    } catch (error) {
      this.#fault = `no answer of the edge: ${error?.message}`;
    }
    clearTimeout(timer);
    await this.#take(chosen, losses, status, answer, asked);
  }

  #fetch(body, headers, how) {
    return fetch(`${this.#opening.edge}/v1/events`, {
      method: "POST",
      body,
      ...how,
      headers: {
        "content-type": "application/x-ndjson",
        ...(this.#opening.pass && { authorization: `Bearer ${this.#opening.pass}` }),
        ...headers,
      },
    });
  }

  async #take(chosen, losses, status, answer, asked) {
    const fates = judge(status, answer, chosen.length);
    const judged = status === 200 && answer?.results?.length === chosen.length;
    const ended = [];
    chosen.forEach((one, at) => {
      const verdict = judged ? answer.results[at] : undefined;
      if (fates[at] === "kept") {
        const { rig, epoch } = answer;
        const { popup } = this.#opening;
        ended.push({
          one,
          place: { status: verdict.status, rig, epoch: verdict.epoch ?? epoch, seq: verdict.seq, popup, at_ms: one.wall },
        });
      } else if (fates[at] === "dead") {
        ended.push({ one, error: verdict?.error ?? { code: answer.code, detail: answer.detail } });
      }
    });
    if (judged) {
      const { rig, epoch, durable_seq } = answer;
      this.#edge = { rig, epoch, durable_seq };
      for (const [kind, count] of losses) this.#losses[kind] -= count;
    }
    this.#space(chosen, fates, judged, asked);
    try {
      if (ended.length) await this.#outbox?.settle(ended, this.#losses);
    } catch (error) {
      // They are sent once more after a restart, and the edge says duplicate.
      this.#fault = `PW0132: ${error?.message}`;
    }
    this.#sending.clear();
    for (const { one, place, error } of ended) {
      this.#held.delete(one.id);
      this.#tell(one.id, place, error);
      this.#outbox?.settled?.(one.id, place, error);
      if (error) {
        try {
          this.#opening.onRejected?.(JSON.parse(one.text), error);
        } catch (raised) {
          this.#fault = `onRejected threw ${raised?.name}`;
        }
      }
    }
    this.#rest();
  }

  /**
   * When to send again, and how much. Chat for which a full disk has no room waits by itself: a sale
   * goes at once.
   */
  #space(chosen, fates, judged, asked) {
    this.#most = fates.includes("halved") ? Math.max(chosen.length >> 1, 1) : SEND_EVENTS_MAX;
    const later = chosen.filter((_, at) => fates[at] === "later");
    this.#failures = later.length && !judged ? this.#failures + 1 : 0;
    this.#sheds = later.length && judged ? this.#sheds + 1 : 0;
    const ppm = Math.floor(Math.random() * 1000001);
    const moment = performance.now() + retryMs(this.#failures || this.#sheds, ppm, asked);
    if (this.#failures) this.#notBefore = moment;
    if (judged) for (const one of later) one.after = moment;
  }
}

for (const type of Object.keys(TYPES)) {
  const call = type.replace(/[._](.)/g, (_, letter) => letter.toUpperCase());
  Client.prototype[call] = function (data, options) {
    return this.emit(type, data, options);
  };
}
