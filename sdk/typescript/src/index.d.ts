import type { Calls } from "./catalogue.js";

export type * from "./catalogue.js";

/** What may be said of a single event. */
export interface Options {
  /** The event's id; without one it is made here, once, before the first send. */
  id?: string;
  /** When it happened, RFC 3339; informative, the order comes from the edge. */
  time?: string;
}

/** Where the edge keeps an event. */
export interface Place {
  status: "accepted" | "duplicate";
  rig: string;
  epoch: number;
  seq: number;
  /** The popup the client was opened with, and when the event was emitted, ms since 1970. */
  popup?: string;
  at_ms: number;
}

/** An event on its way. */
export interface Emitted {
  id: string;
  /** Ends when the event survives a crash of this page or process. */
  stored: Promise<string>;
  /** Ends when the event is safe on the till. */
  done: Promise<Place>;
}

/** Why an event is not kept. */
export class PopwatchError extends Error {
  /** Stable, such as `PW0103`. */
  code: string;
  field?: string;
  detail: string;
}

export interface Status {
  queued: number;
  bytes: number;
  oldest_ms: number | null;
  /** False: events wait in memory only (PW0132). */
  stored: boolean;
  /** Chat and page views that found no room, by class, not yet reported. */
  lost: Record<string, number>;
  edge: { rig?: string; epoch?: number; durable_seq?: number };
  fault: string | null;
}

export interface Client extends Calls {
  /** Takes an event; never throws and never waits. What is wrong with it, `done` says. */
  emit(type: string, data: object, options?: Options): Emitted;
  /** Waits until the edge has everything; answers whether it has. */
  flush(deadlineMs?: number): Promise<boolean>;
  status(): Status;
  /**
   * The reference to stamp into the provider's object and to use as idempotency key: of a payment (`p0`
   * to `pz`, by tender) or a refund (`r0` to `rz`). The same anchor gives the same; null in journals
   * beyond all measure. After `safe_until_ms` search at the provider by it before asking again.
   */
  paymentRef(anchor: Place, use?: string): { payment: string | null; safe_until_ms: number };
  /** The last 200 events that the edge refused, with the reasons. */
  dead(): { event: object; error: object }[];
  /** Flushes, then stops; what is left waits in the outbox for the next start. */
  close(deadlineMs?: number): Promise<boolean>;
}

export interface Opening {
  /** Such as `http://127.0.0.1:8710`. */
  edge: string;
  /** Who reports: a till, a shop system. */
  source: string;
  /** The popup; the rig's own without one. */
  popup?: string;
  /** The till's pass, where an edge of an organisation asks for one. */
  pass?: string;
  /** Node: a file of this process alone. Browser: the name of the database. */
  outbox?: string;
  /** Hears of each event that the edge refused. */
  onRejected?: (event: object, error: { code: string | null; field?: string; detail: string }) => void;
}

export function open(opening: Opening): Promise<Client>;
