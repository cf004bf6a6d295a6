// A stock line as a seller says it, and how much it matters.

import type { SkuRow } from "../data/rows";
import { clip, count } from "../fmt";
import { line, type Line } from "./line";

export interface StockWords {
  /** The larger the sooner somebody should look. */
  risk: number;
  level: Line["level"];
  text: string;
}

export function stockWords(s: SkuRow): StockWords {
  if (s.oversold) {
    const over = s.expected != null && s.expected < 0;
    return { risk: 3e9 - (s.expected ?? 0), level: 3, text: over ? `${count(-s.expected!)} more sold than there were` : "More sold than there were" };
  }
  if (s.expected != null && s.expected_low != null && s.expected_low < 0) return { risk: 2.5e9 - s.expected_low, level: 2, text: `Up to ${count(-s.expected_low)} may be oversold offline` };
  if (s.skew != null && s.skew < 0) return { risk: 2e9 - s.skew, level: 2, text: `${count(-s.skew)} missing at the count` };
  if (s.skew != null && s.skew > 0) return { risk: 1e9 + s.skew, level: 1, text: `${count(s.skew)} more than expected` };
  if (s.expected == null) return { risk: -1, level: 0, text: "No stock is kept of it" };
  if (s.expected <= 0) return { risk: 9e8, level: 2, text: "Sold out" };
  if (s.expected <= Math.max(1, Math.floor(s.sold / 10))) return { risk: 8e8 - s.expected, level: 1, text: `Last ${count(s.expected)}` };
  return { risk: Math.max(0, s.sold), level: 0, text: s.counted != null ? "Count agrees" : "Not counted yet" };
}

/** What may have been sold twice, as a sentence. */
export function stockLines(rows: readonly SkuRow[]): Line[] {
  return rows.flatMap((s) => {
    const low = s.expected_low ?? s.expected;
    const over = low != null && low < 0 ? -low : 0;
    if (!over || !s.sku) return [];
    return [line(2, "stock_conflict", `Up to ${count(over)} more “${clip(s.sku, 24)}” may have been sold offline than you have. Pause it, or say “while stocks last”.`, s.sku)];
  });
}
