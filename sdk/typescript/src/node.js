// For Node: the outbox is a file to which lines are appended and synced.
import { createHash } from "node:crypto";
import { open as openFile, readFile, rename, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { Client, held } from "./client.js";
import { PopwatchError } from "./rules.js";

export { PopwatchError };

const REWRITE_BYTES = 4 << 20;
const DEAD_MAX = 200;

export async function open(opening) {
  if (!opening.outbox) {
    return new Client(opening, null, "PW0132: no outbox was named; events wait in memory");
  }
  const outbox = new FileOutbox(resolve(opening.outbox));
  try {
    await outbox.lock();
    const kept = await outbox.load();
    return new Client(opening, outbox, null, kept);
  } catch (error) {
    await outbox.close();
    return new Client(opening, null, `PW0132: ${error.message}; events wait in memory`);
  }
}

/**
 * Lines of JSON: {p: id, t: text, w: wall ms} an event, {d: ids} gone, {x: event, e: error} refused,
 * {l: counts} lost. A line torn by a crash was never called stored, and goes at the next start.
 */
class FileOutbox {
  #path;
  #file = null;
  #lock = null;
  #live = new Map();
  #dead = [];
  #losses = {};
  #bytes = 0;
  #queue = Promise.resolve();

  constructor(path) {
    this.#path = path;
  }

  /** One process per outbox: the kernel lets go of a socket when its process dies, however it dies. */
  async lock() {
    const name = `popwatch-${createHash("sha256").update(this.#path).digest("hex").slice(0, 32)}`;
    const address = { linux: `\0${name}`, win32: `\\\\.\\pipe\\${name}` }[process.platform];
    const path = address ?? join(tmpdir(), `${name}.sock`);
    for (let tries = 0; ; tries++) {
      try {
        this.#lock = await listen(path);
        return;
      } catch (error) {
        if (error.code !== "EADDRINUSE" || tries > 0 || address || (await answers(path))) {
          throw new Error("another process uses this outbox");
        }
        await rm(path, { force: true });
      }
    }
  }

  async load() {
    let text = "";
    try {
      text = await readFile(this.#path, "utf8");
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
    for (const row of text.split("\n")) this.#read(row);
    await this.#rewrite();
    return { events: [...this.#live.values()], losses: this.#losses };
  }

  #read(row) {
    let one;
    try {
      one = JSON.parse(row);
    } catch {
      return;
    }
    if (one?.p) this.#live.set(one.p, held(one.p, one.t, one.w));
    for (const id of one?.d ?? []) this.#live.delete(id);
    if (one?.x) this.#dead.push({ event: one.x, error: one.e });
    if (one?.l) this.#losses = one.l;
    this.#dead = this.#dead.slice(-DEAD_MAX);
  }

  put(fresh, dropped, losses) {
    for (const one of fresh) this.#live.set(one.id, one);
    for (const id of dropped) this.#live.delete(id);
    this.#losses = { ...losses };
    const rows = fresh.map(row);
    if (dropped.length) rows.push({ d: dropped }, { l: losses });
    return this.#append(rows, true);
  }

  settle(ended, losses) {
    for (const { one, error } of ended) {
      this.#live.delete(one.id);
      if (error) this.#dead.push({ event: JSON.parse(one.text), error });
    }
    this.#dead = this.#dead.slice(-DEAD_MAX);
    this.#losses = { ...losses };
    const refused = ended.filter((one) => one.error);
    const rows = [
      { d: ended.map(({ one }) => one.id), l: losses },
      ...refused.map(({ one, error }) => ({ x: JSON.parse(one.text), e: error })),
    ];
    // Not synced: a lost row means one more send, and the edge says duplicate.
    return this.#append(rows, refused.length > 0);
  }

  dead() {
    return [...this.#dead];
  }

  async close() {
    await this.#queue.catch(() => {});
    await this.#file?.close();
    await new Promise((done) => (this.#lock ? this.#lock.close(done) : done()));
  }

  #append(rows, sync) {
    const work = this.#queue.catch(() => {}).then(async () => {
      if (!this.#file || this.#bytes > REWRITE_BYTES) return this.#rewrite();
      const text = lines(rows);
      try {
        await this.#file.appendFile(text);
        if (sync) await this.#file.datasync();
      } catch (error) {
        // What a failed write or sync left behind is unknown: the next one starts a new file.
        await this.#file.close().catch(() => {});
        this.#file = null;
        throw error;
      }
      this.#bytes += Buffer.byteLength(text);
    });
    this.#queue = work;
    return work;
  }

  /** A new file of what is live, in place of the old one. */
  async #rewrite() {
    const next = `${this.#path}.next`;
    const file = await openFile(next, "w");
    try {
      const live = [...this.#live.values()].map(row);
      await file.appendFile(lines([
        ...live, { l: this.#losses }, ...this.#dead.map(({ event, error }) => ({ x: event, e: error })),
      ]));
      await file.sync();
      await rename(next, this.#path);
      const folder = await openFile(dirname(this.#path), "r").catch(() => null);
      await folder?.sync().catch(() => {});
      await folder?.close();
    } catch (error) {
      await file.close();
      throw error;
    }
    await this.#file?.close();
    this.#file = file;
    this.#bytes = 0;
  }
}

const row = (one) => ({ p: one.id, t: one.text, w: one.wall });
const lines = (rows) => rows.map((one) => `${JSON.stringify(one)}\n`).join("");

function listen(path) {
  return new Promise((done, fail) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", fail);
    server.listen(path, () => done(server.unref()));
  });
}

function answers(path) {
  return new Promise((done) => {
    const socket = connect(path, () => (socket.destroy(), done(true)));
    socket.once("error", () => done(false));
  });
}
