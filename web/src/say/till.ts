// A till's own page: what is safe here, and what is not yet elsewhere.

import type { EdgeStatus, GapStatus } from "../data/rows";
import { age, count, hms, hmNear, lasts, minutes, moneyList, plural } from "../fmt";
import { are, backlog, line, upper, type Line } from "./line";

type Say = (edge: EdgeStatus, now: number, rate: number | null) => string;
type State = readonly [key: string, level: Line["level"], say: Say];

/** Every state of a till: its weight is its place here, its level never depends on colour alone, its sentence has the status's own numbers. */
const STATES: readonly State[] = [
  ["cannot_store", 3, (e) => `This till cannot save sales. Keep selling, note them on paper.${e.last_sale_ms ? ` Last safe sale ${hms(e.last_sale_ms)}.` : ""}`],
  ["newer_format", 3, () => "This till needs the newer popwatch. What the newer one wrote is untouched."],
  ["fork", 3, () => "Two journals use this till's name. Sales are kept here; the office must decide which till keeps the name."],
  ["not_admitted", 3, () => "The office refused this till. Sales are kept here until it is let in."],
  ["storage_pressure", 2, storage],
  ["power", 2, power],
  ["gap", 2, gap],
  ["clock_suspect", 1, (e) => `${clockOff(e)} Times are corrected at the next contact; amounts are right.`],
  ["selling_offline", 2, offline],
  ["replaying", 1, (e, _, rate) => `Back online. ${upper(backlog(e.unsent))} still to send${rate ? `, about ${lasts(e.unsent.records / rate)}` : ""}.`],
];

function storage(e: EdgeStatus): string {
  const left = e.disk?.minutes_left != null ? `${minutes(e.disk.minutes_left)} of disk left.` : "The disk is nearly full.";
  const level = e.disk?.level ?? 1;
  if (level >= 3) return `${left} Only sales are kept; make room on this disk.`;
  if (level === 2) return `${left} Chat and checkout steps are no longer kept; sales are.`;
  return `${left} Chat is no longer kept; sales are.`;
}

function power(e: EdgeStatus): string {
  const p = e.power ?? {};
  const t = e.temperature ?? {};
  if (p.under_voltage) return "Power supply too weak: replace the adapter.";
  if (p.on_battery) {
    const rest = p.minutes != null ? `${minutes(p.minutes)} left` : p.battery != null ? `${count(p.battery)} % left` : "for an unknown time";
    return `On battery, ${rest}. Sales already safe on this till stay safe if it stops.`;
  }
  if (t.throttled || (t.celsius ?? 0) >= 75) return `This till is too hot${t.celsius != null ? ` (${count(t.celsius)} °C)` : ""}. Give it air and shade.`;
  return "The battery runs down although the adapter is in: use a stronger one.";
}

function gap(e: EdgeStatus): string {
  const worth = lost(e.gaps);
  return `${plural(e.gap_records, "record", "records")}${worth ? ` (${worth})` : ""} lost to disk damage; the books know which.`;
}

/** What lost records were worth per currency: "EUR 412.50", "value unknown", nothing where no money was among them. */
export function lost(gaps: readonly GapStatus[]): string {
  const sums = new Map<string, number>();
  for (const row of gaps.flatMap((g) => g.value ?? [])) {
    if (row.currency !== "XXX") sums.set(row.currency, (sums.get(row.currency) ?? 0) + row.captured - row.refunded);
  }
  const known = moneyList([...sums].map(([currency, minor]) => ({ currency, minor })));
  const unknown = gaps.some((g) => g.value == null);
  return [known, unknown && (known ? "and more of unknown value" : "value unknown")].filter(Boolean).join(" ");
}

function clockOff(e: EdgeStatus): string {
  const off = Math.max(Math.abs(e.clock?.offset_ms ?? 0), e.clock?.u_ms ?? 0);
  return off >= 1_000 ? `Clock may be ${lasts(off / 1_000)} wrong.` : "This till's clock has not been checked.";
}

function offline(e: EdgeStatus, now: number): string {
  const from = e.peers.map((p) => p.down_since_ms).filter((t) => t != null);
  const since = from.length ? `Offline since ${hmNear(Math.min(...from), now)}.` : "Offline.";
  return `${since} ${e.unsent.records ? `${upper(backlog(e.unsent))} ${are(e.unsent)} safe on this till, not in the total yet.` : "All sales so far are in the total."}`;
}

/** What runs otherwise than it was signed. */
const POLICY: { readonly [mode: string]: string | undefined } = {
  grace: "The policy has expired and runs on for its grace. The office should send a newer one.",
  fell_back: "The newest policy did not work on this till: what it changed is no longer recorded. Sales are kept.",
  restricted: "No policy is in force: only the facts of sales are recorded. The office should send one.",
};

/** All that a till has to say of itself. `rate` is records sent per second, as far as known. */
export function edgeLines(edge: EdgeStatus, now: number, rate: number | null): Line[] {
  const states = new Set(edge.states);
  const out = STATES.filter(([key]) => states.has(key)).map(([key, level, say]) => line(level, key, say(edge, now, rate)));
  if (!states.has("selling_offline")) {
    for (const p of edge.peers.filter((one) => one.state === "down")) {
      const name = p.kind === "ledger" ? "The ledger" : "The live total";
      out.push(line(2, "peer_" + p.kind, `${name} cannot be reached${p.down_since_ms != null ? ` since ${hmNear(p.down_since_ms, now)}` : ""}. Sales are safe on this till.`));
    }
  }
  const policy = edge.policy?.mode && POLICY[edge.policy.mode];
  if (policy) out.push(line(1, "policy", policy));
  if (!out.length) {
    out.push(edge.last_sale_ms
      ? line(0, "ok", `Last sale safe on disk ${age(now - edge.last_sale_ms)} ago.`)
      : line(0, "ok", "Ready. No sale on this till yet."));
  }
  return out;
}
