// Ranks and stock: real tables whose rows carry a bar.

import type { BoardLine } from "../data/rows";
import { row, under } from "../data/store";
import * as f from "../fmt";
import { stockWords } from "../say";
import { Empty, hideMoney, Money, Name, Part, useMore } from "./part";

export type BoardKind = "creators" | "products" | "rigs";
const TITLES: Record<BoardKind, string> = { creators: "Creators", products: "Products", rigs: "Tills by rank" };
const TOP = 6;

/** The ranks of one kind within one currency. */
export const ranks = (kind: BoardKind, currency: string | null): BoardLine[] => (row(`board/${kind}`)?.rows ?? []).filter((r) => r.currency === currency);

export function Board({ kind, currency }: { kind: BoardKind; currency: string | null }) {
  const mine = ranks(kind, currency);
  const more = useMore(TOP);
  const most = mine.reduce((n, r) => Math.max(n, r.net ?? 0), 0);
  return (
    <Part id={`board-${kind}`} title={TITLES[kind]} aside={kind === "rigs" ? undefined : "by net"}>
      {mine.length ? (
        <table class="board">
          <thead class="vh"><tr>{["Rank", "Name", "Net and orders"].map((t) => <th scope="col">{t}</th>)}</tr></thead>
          <tbody>
            {more.shown(mine).map((r) => (
              <tr key={r.id}>
                <td class="rank">{f.count(r.rank)}</td>
                <th scope="row"><Name id={r.id} rig={kind === "rigs"} />
                  {!hideMoney.value && r.net != null && <span class="bar" aria-hidden="true" style={{ width: `${(most > 0 ? (Math.max(0, r.net) / most) * 100 : 0).toFixed(1)}%` }} />}</th>
                <td class="num">{r.net != null && <Money minor={r.net} currency={r.currency} signed />}
                  <span class="quiet">{r.orders != null && `${f.plural(r.orders, "order", "orders")} · `}{f.plural(r.units, "unit", "units")}</span></td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : <Empty>No data yet.</Empty>}
      {more.button(mine.length)}
    </Part>
  );
}

/** Stock, the riskiest first, in words. */
export function Stock() {
  const more = useMore(8);
  const all = under("sku/").map((s) => ({ s, w: stockWords(s) })).sort((a, b) => b.w.risk - a.w.risk || (a.s.sku < b.s.sku ? -1 : 1));
  if (!all.length) return null;
  return (
    <Part id="stock" title="Stock by risk">
      <table class="stock-table">
        <thead><tr><th scope="col">Product</th><th scope="col" class="num">Expected</th><th scope="col" class="num">Counted</th><th scope="col" class="words">In words</th></tr></thead>
        <tbody>
          {more.shown(all).map(({ s, w }) => (
            <tr key={s.sku} class={`lv${w.level}`}>
              <th scope="row"><Name id={s.sku} /></th>
              <td class="num">{s.expected == null ? "–" : f.range(s.expected_low ?? s.expected, s.expected)}</td>
              <td class="num">{s.counted == null ? "–" : `${f.count(s.counted)}${s.plus_minus ? ` ±${f.count(s.plus_minus)}` : ""}`}</td>
              <td class="words"><span class="state">{w.level > 1 && <span aria-hidden="true">▲ </span>}{w.text}</span></td>
            </tr>
          ))}
        </tbody>
      </table>
      {more.button(all.length)}
    </Part>
  );
}
