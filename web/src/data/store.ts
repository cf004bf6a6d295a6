// What the screens know: rows by key, and how old they are. Rows are replaced whole and never patched; on any failure the last
// rows stay, with their age. Whoever reads a row here is drawn anew when it changes, and by nothing else.

import { batch, computed, signal, type ReadonlySignal, type Signal } from "@preact/signals";
import type { Asof, Rows } from "./rows";

/** How this browser and the server stand. */
export type Link = "opening" | "live" | "polling" | "lost" | "paused";
/** A popup as the list of popups has it. */
export interface PopupEntry {
  id: string;
  starts_ms: number | null;
  ends_ms: number | null;
  zone: string;
  currencies: string[];
  note?: string;
}
/** When the server last said anything, on both of this browser's clocks; `mono` is not known of what was kept. */
interface Heard {
  mono: number | null;
  wall: number;
}
/** One event's worth of change. `keep` names rows that stay unless they are named; without it all others go. */
export interface Change {
  asof?: Asof;
  rows?: Record<string, unknown>;
  gone?: string[];
  keep?: string;
  regressed?: boolean;
}

export const popups = signal<PopupEntry[] | null>(null);
export const popup = signal<string | null>(null);
export const asof = signal<Asof | null>(null);
export const link = signal<Link>("opening");
export const problem = signal<string | null>(null);
/** The rows come from this browser's own store and nobody has confirmed them yet. */
export const kept = signal(false);
/** This server holds less than was shown here; rigs that are missing. */
export const behind = signal<string[] | null>(null);
export const regressed = signal(false);
export const heard = signal<Heard | null>(null);
/** Changes once a second, for everything that says an age. */
export const beat = signal(0);

const DAY_MS = 86_400_000;
const rows = new Map<string, unknown>();
const versions = new Map<string, Signal<number>>();

/** A key's own name, or its beginning up to the slash. */
const groupOf = (key: string): string => (key.includes("/") ? key.slice(0, key.indexOf("/") + 1) : key);
function version(group: string): Signal<number> {
  let found = versions.get(group);
  if (!found) {
    found = signal(0);
    versions.set(group, found);
  }
  return found;
}

/** The row under a key. */
export function row<K extends keyof Rows & string>(key: K): Rows[K] | undefined {
  void version(groupOf(key)).value;
  return rows.get(key) as Rows[K] | undefined;
}

const lists = new Map<string, ReadonlySignal<unknown[]>>();
/** All rows under a beginning, in no order. */
export function under<P extends "min/" | "rig/" | "sku/" | "slo/" | "chat/" | "drop/">(prefix: P): Rows[`${P}x`][] {
  let found = lists.get(prefix);
  if (!found) {
    found = computed(() => {
      void version(prefix).value;
      return [...rows].filter(([key, value]) => key.startsWith(prefix) && value).map(([, value]) => value);
    });
    lists.set(prefix, found);
  }
  return found.value as Rows[`${P}x`][];
}

/** Takes a snapshot: all rows, or with `keep` all but those under that beginning. */
export function replace(change: Change): void {
  batch(() => {
    const keeps = (key: string): boolean => change.keep != null && key.startsWith(change.keep);
    const touched = new Set<string>();
    for (const key of [...rows.keys()]) {
      if (!keeps(key)) {
        rows.delete(key);
        touched.add(groupOf(key));
      }
    }
    put(change, touched);
    kept.value = false;
    behind.value = null;
    regressed.value = change.regressed === true;
  });
}

/** Takes rows that changed and keys that are gone. */
export function patch(change: Change): void {
  batch(() => put(change, new Set()));
}

function put(change: Change, touched: Set<string>): void {
  for (const key of change.gone ?? []) {
    rows.delete(key);
    touched.add(groupOf(key));
  }
  for (const [key, value] of Object.entries(change.rows ?? {})) {
    rows.set(key, value);
    touched.add(groupOf(key));
  }
  for (const group of touched) version(group).value++;
  if (change.asof) asof.value = change.asof;
}

/** Forgets a popup's rows: another one is shown. */
export function clear(): void {
  batch(() => {
    rows.clear();
    for (const one of versions.values()) one.value++;
    asof.value = heard.value = behind.value = problem.value = null;
    kept.value = regressed.value = false;
  });
}

/** The rows as they would be kept. */
export const held = (): Record<string, unknown> => Object.fromEntries(rows);

export function hear(): void {
  heard.value = { mono: performance.now(), wall: Date.now() };
}

/** Milliseconds since the server last spoke. Both clocks are asked, because one of them may stop while a phone sleeps. */
export function ageMs(): number {
  void beat.value;
  const at = heard.value;
  if (!at) return Infinity;
  const wall = Date.now() - at.wall;
  return at.mono == null ? Math.max(0, wall) : Math.max(performance.now() - at.mono, wall < DAY_MS ? wall : 0);
}

/** The server's clock now, carried on by this browser's. */
export function serverNow(): number {
  const at = asof.value;
  return at ? at.server_ms + Math.min(ageMs(), DAY_MS * 365) : Date.now();
}

/** How old what is shown is: fresh, from 15 s on stale, from a minute on old (drawn hatched). */
export type Freshness = "fresh" | "stale" | "old";
export const freshness = computed<Freshness>(() => {
  const age = ageMs();
  return age > 60_000 ? "old" : age > 15_000 || (kept.value && age > 2_000) ? "stale" : "fresh";
});

/** How fast the backlog of this till shrinks, records a second; null while it does not or is not known. */
const backlog: { at: number; records: number }[] = [];
export function drainRate(): number | null {
  const edge = row("edge");
  const records = edge?.unsent.records ?? 0;
  const last = backlog.at(-1);
  const now = performance.now();
  if (!records || (last && records > last.records)) backlog.length = 0;
  if (records && backlog.at(-1)?.at !== now) backlog.push({ at: now, records });
  while (backlog.length > 1 && now - backlog[0]!.at > 10_000) backlog.shift();
  const first = backlog[0];
  if (!first || now - first.at < 1_000 || records >= first.records) return null;
  return ((first.records - records) * 1_000) / (now - first.at);
}
