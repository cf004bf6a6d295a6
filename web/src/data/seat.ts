// One stream per browser: of the tabs that show the same to the same person, one reads the stream and tells the others. Six
// tabs would use up all connections that HTTP/1.1 gives a browser to one server. Who reads is settled by a Web Lock; where a
// page may not have one (plain HTTP on the venue's network) by a word that is repeated every second.

import type { Change, Link } from "./store";

/** What the reading tab tells, and what the others ask. */
export type Said =
  | { is: "event"; name: string; data: string; id: string }
  | { is: "state"; change: Change; place: string | null; link: Link }
  | { is: "beat"; link: Link; from: number }
  | { is: "ask" };

/** A tab's seat among those that show the same. */
export interface Seat {
  leads(): boolean;
  /** Since the reading tab said anything, ms. */
  silentMs(): number;
  say(said: Said): void;
  /** Reads from here on, whoever does now. */
  take(): void;
  leave(): void;
}
interface Duties {
  lead: () => void;
  unseat: () => void;
  hear: (said: Said) => void;
  link: () => Link;
}

const BEAT_MS = 1_000;
/** Where no lock settles it: so long nobody reads before another does. */
const LEASE_MS = 3_000;
/** A reading tab answers a new one sooner than this. */
const ANSWER_MS = 250;

export function sit(name: string, duties: Duties): Seat {
  if (typeof BroadcastChannel === "undefined") return alone(duties);
  const me = Math.random();
  const channel = new BroadcastChannel(name);
  let reads = false;
  let left = false;
  let heardAt = performance.now();
  let begunAt = heardAt;
  const say = (said: Said): void => {
    if (!left) channel.postMessage(said);
  };
  const begin = (): void => {
    if (left || reads) return;
    reads = true;
    say({ is: "beat", link: duties.link(), from: me });
    duties.lead();
  };
  const stop = (): void => {
    if (!reads) return;
    reads = false;
    heardAt = performance.now();
    if (!left) duties.unseat();
  };
  const turn = navigator.locks ? byLock(name, begin, stop) : { take: begin, leave: stop };

  channel.onmessage = (message: MessageEvent<Said>) => {
    const said = message.data;
    if (said.is !== "ask") heardAt = performance.now();
    // Two that read at once, which only the word can bring about: the one with the smaller number goes on.
    if (said.is === "beat" && reads && !navigator.locks && said.from < me) stop();
    if (reads ? said.is === "ask" : said.is !== "ask") duties.hear(said);
  };
  const pulse = setInterval(() => {
    if (reads) say({ is: "beat", link: duties.link(), from: me });
    else if (!navigator.locks && performance.now() - heardAt > LEASE_MS + me * BEAT_MS) begin();
  }, BEAT_MS);
  say({ is: "ask" });
  if (!navigator.locks) {
    setTimeout(() => heardAt === begunAt && begin(), ANSWER_MS);
  }

  return {
    leads: () => reads,
    silentMs: () => performance.now() - heardAt,
    say,
    take: () => {
      begunAt = heardAt = performance.now();
      turn.take();
    },
    leave: () => {
      left = true;
      clearInterval(pulse);
      turn.leave();
      channel.close();
    },
  };
}

/** Waits in line for the lock; when it is taken away, waits again. */
function byLock(name: string, begin: () => void, stop: () => void): { take: () => void; leave: () => void } {
  const over = new AbortController();
  let release: (() => void) | null = null;
  const line = (options: LockOptions): void => {
    const held = navigator.locks.request(name, options, () => {
      if (over.signal.aborted) return undefined;
      begin();
      return new Promise<void>((done) => (release = done));
    });
    held.catch(() => {
      stop();
      if (!over.signal.aborted) line({ signal: over.signal });
    });
  };
  line({ signal: over.signal });
  return {
    take: () => line({ steal: true }),
    leave: () => {
      over.abort();
      stop();
      release?.();
    },
  };
}

function alone(duties: Duties): Seat {
  queueMicrotask(duties.lead);
  return { leads: () => true, silentMs: () => 0, say: () => undefined, take: () => undefined, leave: () => undefined };
}
