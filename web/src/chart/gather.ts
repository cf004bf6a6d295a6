// Minutes gathered into bars, and how far the axis reaches. It follows what most bars do, so that one huge order does not
// flatten the day: a bar beyond it is broken visibly and carries its true value. Integer sums only.

import type { MinuteRow } from "../data/rows";
import type { PopupEntry } from "../data/store";
import { exponentOf, hm, money, plural } from "../fmt";

const MINUTE = 60_000;
const BIN_MINUTES = [1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 1440];
const BIN_MAX = 1440;
const BAR_PX_MIN = 3.2;
/** A minute further than this outside the window is a wrong clock: table only. */
const OUTSIDE_MS = 3_600_000;
const QUANTILE = 0.9;
const BREAK_ABOVE = 2;
/** Room that a side with a broken bar gets at least, of the other side. */
const BROKEN_SHARE_MIN = 0.25;

export interface Bin {
  at: number;
  gross: number;
  refund: number;
  net: number;
  sales: number;
}
export interface Gathered {
  /** Every minute, for the table. */
  rows: Bin[];
  bins: Bin[];
  /** Minutes in a bar. */
  per: number;
  /** Sales are of all currencies. */
  mixed: boolean;
  /** Minutes outside the popup's window. */
  outside: number;
}

/** Minutes of one currency in as many bars as the width can show; `step` minutes came as one. */
export function gather(minutes: readonly MinuteRow[], currency: string, popup: Pick<PopupEntry, "starts_ms" | "ends_ms"> | null, width: number, step = 1): Gathered {
  const rows = minutes.map((m): Bin => {
    const c = m.money.find((x) => x.currency === currency);
    return { at: m.start_ms, gross: c?.gross ?? 0, refund: c?.refund ?? 0, net: c?.net ?? 0, sales: m.conversions };
  });
  rows.sort((a, b) => a.at - b.at);
  const mixed = minutes.some((m) => m.money.length > 1);
  const [opens, closes] = [popup?.starts_ms ?? -Infinity, popup?.ends_ms ?? Infinity];
  const inside = rows.filter((r) => r.at >= opens - OUTSIDE_MS && r.at <= closes + OUTSIDE_MS);
  const [first, last] = [inside[0], inside.at(-1)];
  if (!first || !last) return { rows, bins: [], per: 1, mixed, outside: rows.length };
  const to = Math.max(last.at, first.at + 19 * MINUTE);
  const room = Math.max(1, Math.floor(width / BAR_PX_MIN));
  const per = BIN_MINUTES.find((b) => b % step === 0 && (to - first.at) / (b * MINUTE) + 1 <= room) ?? BIN_MAX;
  const from = Math.floor(first.at / (per * MINUTE)) * per * MINUTE;
  const length = Math.floor((to - from) / (per * MINUTE)) + 1;
  const bins = Array.from({ length }, (_, i): Bin => ({ at: from + i * per * MINUTE, gross: 0, refund: 0, net: 0, sales: 0 }));
  for (const r of inside) {
    const b = bins[Math.floor((r.at - from) / (per * MINUTE))]!;
    b.gross += r.gross;
    b.refund += r.refund;
    b.net += r.net;
    b.sales += r.sales;
  }
  return { rows, bins, per, mixed, outside: rows.length - inside.length };
}

/** How far the axis reaches on both sides of zero, in minor units, and where its lines are. */
export interface Reach {
  up: number;
  down: number;
  ticks: number[];
  brokenUp: boolean;
  brokenDown: boolean;
}

export function reachOf(bins: readonly Bin[], currency: string, lines: number): Reach {
  const unit = 10 ** exponentOf(currency);
  let up = side(bins.map((b) => b.gross), unit);
  let down = side(bins.map((b) => b.refund), unit);
  if (bins.some((b) => b.refund > down)) down = Math.max(down, up * BROKEN_SHARE_MIN);
  if (bins.some((b) => b.gross > up)) up = Math.max(up, down * BROKEN_SHARE_MIN);
  if (!up && !down) up = unit;
  const step = niceStep((up + down) / lines, unit);
  const ticks = [];
  for (let t = -Math.floor(down / step) * step; t <= up; t += step) ticks.push(t);
  return { up, down, ticks, brokenUp: bins.some((b) => b.gross > up), brokenDown: bins.some((b) => b.refund > down) };
}

/** To the largest value that is not far beyond what 90 % of the bars need. */
function side(values: readonly number[], unit: number): number {
  const v = values.filter((x) => x > 0).sort((a, b) => a - b);
  const far = (v[Math.floor(QUANTILE * (v.length - 1))] ?? 0) * BREAK_ABOVE;
  const tallest = v.filter((x) => x <= far).at(-1);
  if (tallest == null) return 0;
  return Math.max(tallest < v.at(-1)! ? tallest * 1.25 : tallest, unit);
}

function niceStep(rough: number, unit: number): number {
  const r = Math.max(rough / unit, 1);
  const ten = 10 ** Math.floor(Math.log10(r));
  const lead = r / ten;
  return (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 2.5 ? 2.5 : lead <= 5 ? 5 : 10) * ten * unit;
}

const TIME_STEPS = [5, 10, 15, 30, 60, 120, 240, 480];
/** Bars that carry a time below them, at least 64 px apart. */
export function timeTicks({ bins, per }: Gathered, width: number): { i: number; text: string }[] {
  const room = Math.max(2, Math.floor(width / 64));
  const step = TIME_STEPS.find((s) => (bins.length * per) / s <= room) ?? 1_440;
  return bins.flatMap((b, i) => {
    const start = Math.ceil(b.at / (step * MINUTE)) * step * MINUTE;
    return start < b.at + per * MINUTE ? [{ i, text: hm(start) }] : [];
  });
}

/** "19:04", "£1,204.00 gross, £40.00 refunds, £1,164.00 net, 31 sales" */
export function readout(b: Bin, { per, mixed }: Gathered, currency: string): { time: string; text: string } {
  const time = per === 1 ? hm(b.at) : `${hm(b.at)}–${hm(b.at + per * MINUTE)}`;
  const sums = `${money(b.gross, currency)} gross, ${money(b.refund, currency)} refunds, ${money(b.net, currency)} net`;
  return { time, text: `${sums}, ${plural(b.sales, "sale", "sales")}${mixed ? " in all currencies" : ""}` };
}
