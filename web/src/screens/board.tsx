// A screen on the wall: ranks in large type, for people who stand at a distance. Amounts only where whoever set it up says so.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { BoardLine } from "../data/rows";
import { seesAll } from "../data/session";
import * as f from "../fmt";
import { ranks, type BoardKind } from "../parts/boards";
import { CurrencyPicker, useCurrency } from "../parts/currency";
import { Complete } from "../parts/money";
import { Empty, Money, Name } from "../parts/part";

const TOP = 10;
const KINDS: [BoardKind, string][] = [["creators", "Creators"], ["products", "Products"]];

export function Board() {
  const currency = useCurrency();
  const kind = useSignal<BoardKind>("creators");
  const amounts = useSignal(false);
  const first = ranks("creators", currency.shown).some((r) => r.id !== "") ? kind.value : "products";
  const lines = ranks(first, currency.shown).filter((r) => r.id !== "").slice(0, TOP);
  useEffect(stayAwake, []);
  return (
    <div class="wall">
      <div class="wall-head">
        <h2>{first === "creators" ? "Leaderboard" : "Best sellers"} <span class="quiet">by net</span></h2>
        <div class="seg" role="group" aria-label="Ranks of">
          {KINDS.map(([k, title]) => <button key={k} type="button" aria-pressed={first === k} onClick={() => { kind.value = k; }}>{title}</button>)}
          {seesAll() && <button type="button" aria-pressed={amounts.value} onClick={() => { amounts.value = !amounts.value; }}>Amounts</button>}
        </div>
        <CurrencyPicker {...currency} />
      </div>
      {lines.length ? <Ranks key={first} lines={lines} amounts={amounts.value} /> : <Empty>Nobody has sold anything yet. Be the first.</Empty>}
      <Complete />
    </div>
  );
}

/** Ranks with how they moved since a quarter of an hour ago. A refund may take a place back: that is shown like any other move. */
function Ranks({ lines, amounts }: { lines: BoardLine[]; amounts: boolean }) {
  const before = useRef<{ at: number; ranks: Map<string, number> }[]>([]);
  const now = Date.now();
  const last = before.current.at(-1);
  if (!last || now - last.at > 60_000) before.current.push({ at: now, ranks: new Map(lines.map((r) => [r.id, r.rank])) });
  while (before.current.length > 1 && now - before.current[0]!.at > 900_000) before.current.shift();
  const then = before.current[0]?.ranks;
  return (
    <table class="ranks">
      <thead class="vh"><tr><th scope="col">Rank</th><th scope="col">Name</th><th scope="col">{amounts ? "Net" : "Orders or units"}</th></tr></thead>
      <tbody>
        {lines.map((r) => {
          const was = then?.get(r.id);
          const moved = was == null ? 0 : was - r.rank;
          return (
            <tr key={r.id} class={r.rank <= 3 ? "podium" : undefined} data-testid={`rank-${r.rank}`} data-value={r.id}>
              <td class="rank">{f.count(r.rank)}</td>
              <th scope="row"><Name id={r.id} />
                {moved !== 0 && <span class={`moved ${moved > 0 ? "rose" : "fell"}`}><span aria-hidden="true">{moved > 0 ? "▲" : "▼"}{f.count(Math.abs(moved))}</span><span class="vh"> {moved > 0 ? "up" : "down"} {f.count(Math.abs(moved))}</span></span>}</th>
              <td class="num">{amounts && r.net != null ? <Money minor={r.net} currency={r.currency} signed /> : <span class="quiet">{r.orders == null ? f.plural(r.units, "unit", "units") : f.plural(r.orders, "order", "orders")}</span>}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** The screen stays on while the board is shown, where the browser lets a page ask for that. */
function stayAwake(): () => void {
  let lock: { release(): Promise<void> } | null = null;
  let over = false;
  const ask = async (): Promise<void> => {
    try {
      const got = await (navigator as { wakeLock?: { request(kind: "screen"): Promise<{ release(): Promise<void> }> } }).wakeLock?.request("screen");
      if (over) void got?.release();
      else lock = got ?? null;
    } catch {
      // Refused, or hidden just now.
    }
  };
  const seen = (): void => { if (!document.hidden) void ask(); };
  void ask();
  document.addEventListener("visibilitychange", seen);
  return () => {
    over = true;
    document.removeEventListener("visibilitychange", seen);
    void lock?.release();
  };
}
