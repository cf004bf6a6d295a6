// For browsers: the outbox is IndexedDB; of all pages of an origin one sends.
import { Client, held, saysTheSame } from "./client.js";
import { PopwatchError } from "./rules.js";

export { PopwatchError };

const LEASE_MS = 5000;
const LOOK_MS = 1000;

export async function open(opening) {
  let outbox = null;
  let fault = null;
  let kept;
  try {
    outbox = new Database(await database(`popwatch:${opening.outbox ?? "outbox"}`), opening.outbox ?? "outbox");
    kept = await outbox.load();
    // Asked for, not waited for: a browser may ask its user.
    navigator.storage?.persist?.().catch(() => {});
  } catch (error) {
    outbox = null;
    fault = `PW0132: ${error?.message}; events wait in memory`;
  }
  const client = new Client(opening, outbox, fault, kept);
  outbox?.serve(client);
  addEventListener("online", () => client.hurry());
  addEventListener("pagehide", () => client.farewell());
  return client;
}

function database(name) {
  return new Promise((done, fail) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      const events = request.result.createObjectStore("events", { keyPath: "n", autoIncrement: true });
      events.createIndex("id", "id", { unique: true });
      request.result.createObjectStore("dead", { autoIncrement: true });
      request.result.createObjectStore("meta");
    };
    request.onsuccess = () => done(request.result);
    request.onerror = request.onblocked = () => fail(request.error ?? new Error("the database is blocked"));
  });
}

const settled = (request) => new Promise((done, fail) => {
  request.onsuccess = () => done(request.result);
  request.onerror = () => fail(request.error);
});

class Database {
  #db;
  #name;
  #channel;
  #dead = [];
  #timer;
  #me = crypto.getRandomValues(new Uint32Array(2)).join("-");

  constructor(db, name) {
    this.#db = db;
    this.#name = `popwatch:${name}`;
    this.#channel = globalThis.BroadcastChannel ? new BroadcastChannel(this.#name) : null;
  }

  /** Hears what other pages store and settle. */
  serve(client) {
    const look = () => this.load().then((kept) => client.merge(kept.events)).catch(() => {});
    if (this.#channel) {
      this.#channel.onmessage = ({ data }) =>
        data ? client.settled(data.id, data.place, data.error) : look();
    }
    // A page that died left its events to the others.
    this.#timer = setInterval(async () => {
      const waiting = await settled(this.#db.transaction("events").objectStore("events").count()).catch(() => 0);
      if (waiting > client.status().queued) look();
    }, LOOK_MS);
  }

  async load() {
    const work = this.#db.transaction(["events", "dead", "meta"]);
    const [events, dead, losses] = await Promise.all([
      settled(work.objectStore("events").getAll()),
      settled(work.objectStore("dead").getAll()),
      settled(work.objectStore("meta").get("losses")),
    ]);
    this.#dead = dead;
    return { events: events.map((one) => held(one.id, one.text, one.wall)), losses: losses ?? {} };
  }

  /** Answers those whose id another page gave to another event. */
  async put(fresh, dropped, losses) {
    const others = [];
    await this.#write((store) => {
      const events = store("events");
      for (const one of fresh) {
        const { id, text, wall } = one;
        events.index("id").get(id).onsuccess = ({ target: { result } }) => {
          if (!result) events.add({ id, text, wall });
          else if (!saysTheSame(result.text, text)) others.push(one);
        };
      }
      if (dropped.length) this.#remove(store, dropped, losses);
    });
    this.#channel?.postMessage(null);
    return others;
  }

  settle(ended, losses) {
    const refused = ended.filter((one) => one.error);
    const rows = refused.map(({ one, error }) => ({ event: JSON.parse(one.text), error }));
    this.#dead = [...this.#dead, ...rows].slice(-200);
    return this.#write((store) => {
      this.#remove(store, ended.map(({ one }) => one.id), losses);
      if (rows.length) {
        store("dead").clear();
        for (const one of this.#dead) store("dead").add(one);
      }
    });
  }

  /** Tells the page that emitted the event. */
  settled(id, place, error) {
    this.#channel?.postMessage({ id, place, error });
  }

  dead() {
    return this.#dead;
  }

  close() {
    clearInterval(this.#timer);
    this.#channel?.close();
    this.#db.close();
  }

  /** Does the work as the one sender of this origin: by a lock, or where a page has none by a lease. */
  async turn(work, signal) {
    if (navigator.locks) return navigator.locks.request(this.#name, { signal }, work);
    while (!signal.aborted && !(await this.#lease())) await new Promise((done) => setTimeout(done, LOOK_MS));
    const renewal = setInterval(() => this.#lease(), LOOK_MS);
    try {
      return await work();
    } finally {
      clearInterval(renewal);
      await this.#write((store) => store("meta").delete("lease"));
    }
  }

  async #lease() {
    let mine = false;
    await this.#write((store) => {
      const meta = store("meta");
      meta.get("lease").onsuccess = ({ target }) => {
        const lease = target.result;
        mine = !lease || lease.who === this.#me || Math.abs(Date.now() - lease.at) > LEASE_MS;
        if (mine) meta.put({ who: this.#me, at: Date.now() }, "lease");
      };
    });
    return mine;
  }

  #remove(store, ids, losses) {
    const events = store("events");
    for (const id of ids) {
      events.index("id").getKey(id).onsuccess = ({ target }) => {
        if (target.result !== undefined) events.delete(target.result);
      };
    }
    store("meta").put({ ...losses }, "losses");
  }

  #write(steps) {
    return new Promise((done, fail) => {
      const work = this.#db.transaction(["events", "dead", "meta"], "readwrite", { durability: "strict" });
      work.oncomplete = () => done();
      work.onabort = work.onerror = () => fail(work.error ?? new Error("the write was aborted"));
      steps((name) => work.objectStore(name));
    });
  }
}
