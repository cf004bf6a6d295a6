// Times and spans as text, in the popup's own zone.

import { signal } from "@preact/signals";

const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const count = (n: number): string => numbers.format(n);

const zone = signal("UTC");
/** From here on times are of this zone; one that the browser does not know is UTC. */
export function setZone(name: string): void {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    zone.value = name || "UTC";
  } catch {
    zone.value = "UTC";
  }
}
export const zoneName = (): string => zone.value;

const clocks = new Map<string, Intl.DateTimeFormat>();
function clock(kind: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone.value + kind;
  let found = clocks.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat(undefined, { timeZone: zone.value, ...options });
    clocks.set(key, found);
  }
  return found;
}
const isTime = (ms: number): boolean => Number.isFinite(ms) && Math.abs(ms) <= 8e15;
const HM: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

/** "19:04" in the popup's zone */
export const hm = (ms: number): string => (isTime(ms) ? clock("hm", HM).format(ms) : "an unknown time");
/** "19:04:12" in the popup's zone */
export const hms = (ms: number): string => (isTime(ms) ? clock("hms", { ...HM, second: "2-digit" }).format(ms) : "an unknown time");
/** "22 Nov" in the popup's zone */
export const day = (ms: number): string => (isTime(ms) ? clock("day", { day: "numeric", month: "short" }).format(ms) : "an unknown day");
/** "19:04", or "22 Nov 19:04" when it is more than half a day from `now` */
export const hmNear = (ms: number, now: number): string => (Math.abs(now - ms) > 43_200_000 ? `${day(ms)} ${hm(ms)}` : hm(ms));

/** "1:42", hours and minutes */
export function span(ms: number): string {
  const m = Math.max(0, Math.floor(ms / 60_000));
  return `${Math.floor(m / 60)}:${String(m % 60).padStart(2, "0")}`;
}
/** "0.2 s", "14 s", "3 min", "2 h 10 min", "4 d" */
export function age(ms: number): string {
  const s = Math.max(0, ms) / 1000;
  if (s < 1) return `${(Math.floor(s * 10) / 10).toFixed(1)} s`;
  if (s < 100) return `${Math.floor(s)} s`;
  if (s < 5_400) return `${Math.floor(s / 60)} min`;
  if (s < 172_800) return `${Math.floor(s / 3_600)} h ${Math.floor((s % 3_600) / 60)} min`;
  return `${count(Math.floor(s / 86_400))} d`;
}
/** A checkout's length: "0.8 s", "41 s", "2 min 05 s" */
export function length(ms: number): string {
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)}\u00a0s`;
  const s = Math.round(ms / 1000);
  return s < 120 ? `${s}\u00a0s` : `${Math.floor(s / 60)}\u00a0min ${String(s % 60).padStart(2, "0")}\u00a0s`;
}
/** "480 µs", "3 ms" */
export const micros = (us: number): string => (us < 1_000 ? `${count(us)} µs` : `${count(Math.ceil(us / 1_000))} ms`);
/** "40 s", "3 min", "7 h" */
export function lasts(seconds: number): string {
  if (seconds < 90) return `${count(Math.max(1, Math.ceil(seconds)))} s`;
  return minutes(Math.ceil(seconds / 60));
}
/** "41 min", "7 h", "12 days" */
export function minutes(n: number): string {
  if (n < 120) return `${count(n)} min`;
  return n < 2_880 ? `${count(Math.floor(n / 60))} h` : `${count(Math.floor(n / 1_440))} days`;
}
/** "±12 ms", "±3 s", "±7 min" */
export function plusMinus(ms: number): string {
  if (ms < 1_000) return `±${count(Math.ceil(ms))} ms`;
  return ms < 90_000 ? `±${count(Math.ceil(ms / 1_000))} s` : `±${count(Math.ceil(ms / 60_000))} min`;
}
