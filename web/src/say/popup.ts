// The popup as the people who run it or sell at it read it, till by till. The sentences are the agreed ones; whoever runs the
// popup gets ids and numbers beside them.

import type { Asof, NowRow, PopupRow, RigRow, Silent, SkuRow, SloRow } from "../data/rows";
import { count, day, hmNear, lasts, moneyInWords, plusMinus, rigName } from "../fmt";
import { are, backlog, line, records, upper, worstFirst, type Line } from "./line";
import { stockLines } from "./stock";

/** What is known of the popup; a screen that may see less has less to say. */
export interface Known {
  asof: Asof;
  rigs: readonly RigRow[];
  now?: NowRow | undefined;
  slos?: readonly SloRow[];
  stock?: readonly SkuRow[];
  popup?: PopupRow | undefined;
  at: number;
}

const HELD = ["fork", "not_admitted", "quarantined", "newer_format"];

export function popupLines(known: Known): Line[] {
  const { asof, rigs } = known;
  const silent = new Map(asof.silent.map((s) => [s.rig, s]));
  const out = [...payments(known)];
  for (const rig of rigs) rigLines(rig, silent.get(rig.rig), known.at, out);
  for (const one of asof.silent) if (!rigs.some((r) => r.rig === one.rig)) silentLine(one.rig, one, undefined, known.at, out);
  out.push(...stockLines(known.stock ?? []));
  if (!out.some((l) => l.level > 0)) {
    const missing = Math.max(0, asof.known - asof.have);
    const settled = known.popup?.settled;
    if (settled) out.push(line(0, "settled", `This popup is over. Its numbers stand as of ${day(settled.since_ms)}; what came later is in the books.`));
    else if (!asof.known) out.push(line(0, "waiting", "Open. No till has reported yet."));
    else if (missing) out.push(line(0, "ok", `All tills live. ${records(missing)} on the way.`));
    else out.push(line(0, "ok", "All tills live. The total is up to date."));
  }
  return worstFirst(out);
}

/** Cards that fail, and cards taken without asking. */
function payments({ now, slos }: Known): Line[] {
  const out: Line[] = [];
  const failing = slos?.find((s) => s.slo === "payment_success" && s.state === "page");
  if (failing) {
    const seen = failing.page ?? failing;
    out.push(line(3, "payments_failing", `Card payments are failing: ${count(seen.bad)} of the last ${count(seen.n)}. Offer cash, or hold the drop.`, failing.slo));
  }
  const offline = (now?.currencies ?? []).filter((c) => c.offline.gross > 0);
  if (offline.length) {
    const sums = offline.map((c) => moneyInWords(c.offline.gross, c.currency)).join(" and ");
    out.push(line(1, "deferred_payments", `Cards are taken offline: ${sums} is not charged yet and could still be declined.`));
  }
  return out;
}

function silentLine(rig: string, silent: Silent | undefined, row: RigRow | undefined, at: number, out: Line[]): void {
  const name = rigName(rig);
  const since = hmNear(silent?.since_ms ?? row?.last_heard_ms ?? at, at);
  const told = row?.unsent ?? (silent?.records != null ? { records: silent.records, money: [] } : null);
  if (told && told.records > 0) {
    out.push(line(2, "selling_offline", `${name} is offline since ${since} and still selling. ${upper(backlog(told))} ${are(told)} safe on the till and not in the total yet.`, rig));
  } else {
    out.push(line(2, "silent", `We cannot hear ${name} since ${since}. Earlier sales are counted. If its screen shows newer ones, they are safe there.`, rig));
  }
}

function rigLines(r: RigRow, silent: Silent | undefined, at: number, out: Line[]): void {
  const name = rigName(r.rig);
  const states = new Set([...r.states, r.state]);
  const detail = r.durable_seq == null ? r.rig : `${r.rig} ${r.epoch}/${count(r.durable_seq)}`;
  const add = (level: Line["level"], key: string, text: string): void => void out.push(line(level, key, text, detail));
  if (states.has("cannot_store")) add(3, "cannot_store", `${name} cannot record. Keep selling, note sales on paper until it recovers.`);
  const held = HELD.find((state) => states.has(state));
  if (held) add(3, held, `${name} is held back for a check. Its sales are kept but not shown.`);
  if (silent || states.has("silent") || states.has("selling_offline")) silentLine(r.rig, silent, r, at, out);
  else if (states.has("replaying")) add(1, "replaying", `${name} is back and sending ${backlog(r.unsent)}. Your total will rise.`);
  if (states.has("storage_pressure")) add(2, "storage_pressure", `${name} is nearly full. Sales are kept; chat is no longer recorded.`);
  if (states.has("power")) add(2, "power", powerWords(name, r));
  if (states.has("clock_suspect")) add(1, "clock_suspect", `${name}'s clock may be ${clockWords(r)} off. Totals are right; a sale may move to another minute.`);
  if (r.gap_records || states.has("gap")) {
    const what = r.gap_records ? ` (${records(r.gap_records)})` : "";
    add(2, "gap", `A disk fault cost part of ${name}'s record${what}. The money is being checked with the card provider.`);
  }
}

function powerWords(name: string, r: RigRow): string {
  const left = r.battery != null ? ` has ${count(r.battery)} % of battery.` : " has trouble with its power.";
  return `${name}${left} Recorded sales are safe if it stops.`;
}
const clockWords = (r: RigRow): string => (r.clock_u_ms == null ? "" : r.clock_u_ms < 90_000 ? plusMinus(r.clock_u_ms).slice(1) : lasts(r.clock_u_ms / 1_000));

/** A rig's own state in two words, with a mark that does not depend on colour. */
export function rigWord(r: RigRow, silent: boolean): { level: Line["level"]; mark: string; word: string } {
  const states = [r.state, ...r.states];
  const has = (...names: string[]): boolean => names.some((n) => states.includes(n));
  if (has("cannot_store")) return { level: 3, mark: "✕", word: "Cannot record" };
  if (has(...HELD)) return { level: 3, mark: "✕", word: "Held for a check" };
  if (silent || has("silent", "selling_offline")) return { level: 2, mark: "▲", word: r.unsent?.records ? "Offline, still selling" : "Not heard" };
  if (has("replaying")) return { level: 1, mark: "↑", word: "Catching up" };
  if (has("storage_pressure")) return { level: 2, mark: "▲", word: "Disk nearly full" };
  if (has("power")) return { level: 2, mark: "▲", word: "Power" };
  if (has("clock_suspect")) return { level: 1, mark: "◆", word: "Clock off" };
  if (has("gap")) return { level: 2, mark: "▲", word: "Has a gap" };
  return { level: 0, mark: "●", word: "Live" };
}
