// One sentence about one state.

import type { Minor } from "../data/rows";
import { count, moneyList, plural } from "../fmt";

/** `level` orders them: 3 stop and act, 2 look, 1 know, 0 fine. `key` names the state without its numbers. */
export interface Line {
  level: 0 | 1 | 2 | 3;
  key: string;
  text: string;
  /** Ids and numbers that help whoever runs the popup, not whoever sells. */
  detail?: string;
}

export const line = (level: Line["level"], key: string, text: string, detail?: string): Line => (detail ? { level, key, text, detail } : { level, key, text });

/** What a till has not sent. */
export interface Backlog {
  records: number | null;
  sales?: number;
  money?: readonly Minor[];
}

/** "12 sales (EUR 214.50)"; the money is left out when there is none, the count when it was never told. */
export function backlog(unsent: Backlog | null | undefined): string {
  if (unsent?.records == null) return "an unknown number of sales";
  const what = unsent.sales ? plural(unsent.sales, "sale", "sales") : plural(unsent.records, "record", "records");
  const worth = moneyList(unsent.money);
  return worth ? `${what} (${worth})` : what;
}

export const are = (unsent: Backlog): string => ((unsent.sales || unsent.records) === 1 ? "is" : "are");
export const upper = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
export const records = (n: number): string => plural(n, "record", "records");

/** The weightiest first, those of one weight in the order they came. */
export const worstFirst = (lines: Line[]): Line[] => lines.map((one, i) => ({ one, i })).sort((a, b) => b.one.level - a.one.level || a.i - b.i).map(({ one }) => one);

export { count };
