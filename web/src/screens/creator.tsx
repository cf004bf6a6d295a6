// What a creator wants to know in two seconds, with one hand, in the dark: how is it going, and what is wrong. One number, one
// sentence; the rest below.

import { useEffect } from "preact/hooks";
import type { BoardLine, ConfidencePart, SkuRow } from "../data/rows";
import { own, seesAll } from "../data/session";
import * as store from "../data/store";
import { row, under } from "../data/store";
import * as f from "../fmt";
import { ranks } from "../parts/boards";
import { CurrencyPicker, useCurrency } from "../parts/currency";
import { Complete } from "../parts/money";
import { BigMoney, Empty, hideMoney, MARKS, Money, Name, Part } from "../parts/part";
import { creatorShown, pinnedSku } from "../parts/prefs";
import { Drop } from "../parts/signals";
import { Status } from "../parts/status";
import { creatorNamed } from "../route";
import { stockWords } from "../say";
import { sentences } from "./operator";

export function Creator() {
  const currency = useCurrency();
  const boards = ranks("creators", currency.shown).filter((r) => r.id !== "");
  const mine = own();
  const open = mine ? boards.filter((r) => mine.includes(r.id)) : boards;
  const wanted = creatorNamed.value ?? creatorShown.value;
  const line = open.find((r) => r.id === wanted) ?? open[0] ?? null;
  const id = line?.id ?? mine?.[0] ?? null;
  return (
    <div class="creator-screen">
      <Going id={id} line={line} currency={currency.shown} of={boards.length} />
      <Status lines={sentences()} />
      <CurrencyPicker {...currency} />
      <Confidence />
      <div class="row pairs">
        <LastDrop creator={id} />
        <Pinned />
      </div>
      <Choices open={open} id={id} />
    </div>
  );
}

/** The one number: own net, or of the whole popup where nobody is credited. */
function Going({ id, line, currency, of }: { id: string | null; line: BoardLine | null; currency: string | null; of: number }) {
  const total = row("now")?.currencies.find((c) => c.currency === currency);
  const shown = line ?? (id == null && total ? { net: total.net, gross: total.gross, refund: total.refund, orders: total.conversions, units: null, rank: 0 } : null);
  return (
    <section class="going" aria-labelledby="h-going">
      <h2 id="h-going">{id ? <><bdi>{f.clip(id, 40)}</bdi>, net</> : "Whole popup, net"}</h2>
      {shown?.net != null && currency ? (
        <>
          <BigMoney minor={shown.net} currency={currency} testid={`own-net-${currency}`} />
          <Complete />
          <p class="going-facts">
            {shown.orders != null && <span><b data-testid="own-orders" data-value={shown.orders}>{f.count(shown.orders)}</b> {shown.orders === 1 ? "order" : "orders"}</span>}
            {shown.units != null && <span><b>{f.count(shown.units)}</b> {shown.units === 1 ? "unit" : "units"}</span>}
            {shown.rank > 0 && of > 1 && <span>rank <b>{f.count(shown.rank)}</b> of {f.count(of)}</span>}
            {shown.refund != null && shown.refund > 0 && <span>refunded <b><Money minor={shown.refund} currency={currency} /></b></span>}
          </p>
        </>
      ) : <><p class="big none">Nothing yet</p><p class="quiet">The first sale that is credited to you shows here by itself.</p></>}
    </section>
  );
}

const PARTS: Record<ConfidencePart["part"], { title: string; of: [string, string]; ok: string; watch: string; page: string }> = {
  payments: { title: "Payments", of: ["payment", "payments"], ok: "going through", watch: "more fail than usual", page: "failing" },
  refunds: { title: "Refunds", of: ["sale", "sales"], ok: "as few as promised", watch: "more than usual", page: "far too many" },
  stock: { title: "Stock", of: ["product", "products"], ok: "enough of all", watch: "may be sold twice", page: "sold twice" },
  redemption: { title: "Tokens", of: ["token", "tokens"], ok: "each used once", watch: "some used twice", page: "many used twice" },
};
const LEVELS = { no_data: 1, few: 1, ok: 0, watch: 2, page: 3 } as const;

/** Colour and words, each with how much it rests on; no composite score, since nobody can act on one. */
function Confidence() {
  const card = row("now")?.confidence;
  if (!card) return null;
  return (
    <Part id="confidence" title="What could spoil it">
      <ul class="confidence-list">
        {card.parts.map((p) => {
          const w = PARTS[p.part];
          if (!w) return null;
          const level = LEVELS[p.state];
          const words = p.state === "no_data" ? "no data yet" : p.state === "few" ? "too few to say" : w[p.state];
          return (
            <li key={p.part} class={`lv${level} ${p.state}`} data-testid={`confidence-${p.part}`} data-value={p.state}>
              <span class="mark" aria-hidden="true">{p.state === "no_data" || p.state === "few" ? "○" : MARKS[level]}</span>
              <span><b>{w.title}</b> {words}<span class="quiet">{p.n > 0 && ` · ${f.plural(p.n, w.of[0], w.of[1])}`}</span></span>
            </li>
          );
        })}
      </ul>
    </Part>
  );
}

function LastDrop({ creator }: { creator: string | null }) {
  const drops = under("drop/").filter((d) => !d.creator || !creator || d.creator === creator).sort((a, b) => b.opened_ms - a.opened_ms);
  const last = drops[0];
  return <Part id="drops" title="Last drop">{last ? <ul class="drops"><Drop d={last} /></ul> : <Empty>No drop yet.</Empty>}</Part>;
}

/** The one product a creator watches: what is left of it, large. */
function Pinned() {
  useStock();
  const all = under("sku/").filter((s) => s.sku !== "").sort((a, b) => stockWords(b).risk - stockWords(a).risk);
  const pinned = all.find((s) => s.sku === pinnedSku.value) ?? all[0];
  if (!pinned) return <Part id="pinned" title="Stock"><Empty>No product has moved yet.</Empty></Part>;
  const w = stockWords(pinned);
  return (
    <Part id="pinned" title="Stock">
      <select name="product" class="pick" aria-label="Product to watch" value={pinned.sku} onChange={(e) => { pinnedSku.value = e.currentTarget.value; }}>
        {all.map((s) => <option key={s.sku} value={s.sku}>{f.clip(s.sku, 60)}</option>)}
      </select>
      <Left s={pinned} />
      <p class={`lv${w.level}`}><span class="state">{w.level > 1 && <span aria-hidden="true">▲ </span>}{w.text}</span> <span class="quiet">· {f.count(pinned.sold)} sold</span></p>
    </Part>
  );
}

function Left({ s }: { s: SkuRow }) {
  if (s.expected == null) return <p class="mid">{f.count(s.sold - s.returned)} <span class="quiet">sold</span></p>;
  const low = s.expected_low != null && s.expected_low !== s.expected ? s.expected_low : null;
  return <p class="mid" data-testid="pinned-left" data-value={s.expected}>{f.range(low ?? s.expected, s.expected)} <span class="quiet">left{low != null && ", by what offline tills sell"}</span></p>;
}

/** Who may see ranks alone reads the stock by asking: it is not on that stream. */
function useStock(): void {
  const popup = store.popup.value;
  const needs = !seesAll() && popup != null;
  useEffect(() => {
    if (!needs) return;
    const read = async (): Promise<void> => {
      try {
        const answer = await fetch(`/v1/popups/${encodeURIComponent(popup)}/inventory`, { cache: "no-store" });
        if (!answer.ok) return;
        const body = (await answer.json()) as { rows: SkuRow[] };
        store.patch({ rows: Object.fromEntries(body.rows.slice(0, 200).map((s) => [`sku/${s.sku}`, s])) });
      } catch {
        // The age above tells it.
      }
    };
    void read();
    const timer = setInterval(() => void read(), 10_000);
    return () => clearInterval(timer);
  }, [needs, popup]);
}

function Choices({ open, id }: { open: BoardLine[]; id: string | null }) {
  return (
    <div class="choices">
      <button type="button" class="toggle" aria-pressed={hideMoney.value} onClick={() => { hideMoney.value = !hideMoney.value; }}>
        {hideMoney.value ? "Show amounts" : "Hide amounts while streaming"}
      </button>
      {open.length > 1 && (
        <label class="pick-label">Numbers of{" "}
          <select name="creator" class="pick" value={id ?? ""} onChange={(e) => { creatorShown.value = e.currentTarget.value; }}>
            {open.map((r) => <option key={r.id} value={r.id}>{f.clip(r.id, 40)}</option>)}
          </select></label>
      )}
      {open.length === 1 && id && <p class="quiet">Credited to <Name id={id} /></p>}
    </div>
  );
}
