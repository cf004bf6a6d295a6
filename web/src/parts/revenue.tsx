// Revenue per minute: a chart with a keyboard cursor, a line that says what is under it, and a real table behind it.

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { Bars } from "../chart/bars";
import { gather, readout, type Gathered } from "../chart/gather";
import { asof, row, under, type PopupEntry } from "../data/store";
import * as f from "../fmt";
import { Empty, hideMoney, Part } from "./part";
import { theme } from "./prefs";

const LEGEND = [["gross", "gross"], ["refund", "refunds"], ["net-k", "net where refunded"], ["soft", "still arriving"]] as const;

export function Revenue({ currency, popup }: { currency: string | null; popup: Pick<PopupEntry, "starts_ms" | "ends_ms"> | null }) {
  const minutes = under("min/");
  const width = useSignal(320);
  const cursor = useSignal<number | null>(null);
  const table = useSignal(false);
  const host = useRef<HTMLDivElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const bars = useRef<Bars | null>(null);
  const opens = popup?.starts_ms ?? null;
  const closes = popup?.ends_ms ?? null;
  const settled = row("popup")?.settled;
  const step = settled?.step_minutes ?? 1;
  const g = useMemo(() => (currency ? gather(minutes, currency, { starts_ms: opens, ends_ms: closes }, width.value - 64, step) : null), [minutes, currency, width.value, opens, closes, step]);
  const height = width.value < 520 ? 210 : 270;
  const firmTo = settled ? Infinity : asof.value?.watermark_ms ?? -Infinity;
  const has = !!g?.bins.length && !hideMoney.value;

  useEffect(() => {
    if (!box.current) return;
    const watch = new ResizeObserver(([entry]) => { if (entry) width.value = Math.max(240, Math.floor(entry.contentRect.width)); });
    watch.observe(box.current);
    return () => watch.disconnect();
  }, [has]);
  useEffect(() => {
    if (!has || !g || !currency || !host.current) return;
    const drawn = { g, currency, firmTo };
    if (bars.current) bars.current.update(drawn, width.value, height);
    else bars.current = new Bars(host.current, drawn, width.value, height, (i) => { cursor.value = i; });
  });
  useEffect(() => () => { bars.current?.destroy(); bars.current = null; }, [has]);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => bars.current?.redraw();
    dark.addEventListener("change", redraw);
    const stop = theme.subscribe(() => requestAnimationFrame(redraw));
    return () => { dark.removeEventListener("change", redraw); stop(); };
  }, []);

  const newest = useComputed(() => 0).value + Math.max(0, g?.bins.findLastIndex((b) => b.gross || b.refund) ?? 0);
  if (!g || !currency || !g.rows.length) return <Part id="revenue" title="Revenue per minute"><Empty>No data yet. Each minute with sales becomes a bar.</Empty></Part>;
  if (hideMoney.value) return <Part id="revenue" title="Revenue per minute"><Empty>Amounts are hidden.</Empty></Part>;
  const last = Math.max(0, g.bins.length - 1);
  const at = Math.min(last, cursor.value ?? newest);
  const bin = g.bins[at];
  const read = bin && readout(bin, g, currency);
  const title = g.per === 1 ? "Revenue per minute" : `Revenue per ${g.per} minutes`;
  const keys = (event: KeyboardEvent): void => {
    const to = ({ ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - 10, PageUp: at + 10, Home: 0, End: last } as Record<string, number>)[event.key];
    if (event.key === "Escape") bars.current?.point(null);
    if (to == null) return;
    event.preventDefault();
    bars.current?.point(Math.max(0, Math.min(last, to)));
  };
  return (
    <Part id="revenue" title={title} aside={currency}>
      <p class="readout">{read && <><b>{read.time}</b> {read.text}</>}</p>
      <div ref={box} class="plot" id="plot" tabindex={0} role="slider" aria-label={`${title}, ${currency}. Arrow keys move through time; the table below has every minute.`}
        aria-valuemin={0} aria-valuemax={last} aria-valuenow={at} aria-valuetext={read ? `${read.time}: ${read.text}` : "no data"} onKeyDown={keys} onBlur={() => bars.current?.point(null)}>
        {has ? <div ref={host} aria-hidden="true" /> : <Empty>All minutes lie outside the popup's window; see the table.</Empty>}
      </div>
      <p class="legend">{LEGEND.map(([k, text]) => <span class={`k ${k}`}>{text}</span>)}</p>
      <details class="table" onToggle={(e) => { table.value = e.currentTarget.open; }}>
        <summary>Table</summary>
        {table.value && <MinuteTable g={g} currency={currency} />}
      </details>
      {g.outside > 0 && <p class="quiet">{f.plural(g.outside, "minute lies", "minutes lie")} outside the popup's window: in the table only.</p>}
    </Part>
  );
}

function MinuteTable({ g, currency }: { g: Gathered; currency: string }) {
  return (
    <div class="scroll" tabindex={0} role="region" aria-label="Revenue per minute, table">
      <table class="minutes">
        <caption class="vh">Revenue per minute in {currency}, newest first</caption>
        <thead><tr>{["Minute", "Gross", "Refunds", "Net", g.mixed ? "Sales, all currencies" : "Sales"].map((t, i) => <th scope="col" class={i ? "num" : undefined}>{t}</th>)}</tr></thead>
        <tbody>
          {[...g.rows].reverse().map((r) => (
            <tr key={r.at}><th scope="row">{f.hm(r.at)}</th>
              {[r.gross, -r.refund || 0, r.net].map((m) => <td class={m < 0 ? "num down" : "num"}>{f.money(m, currency)}</td>)}
              <td class="num">{f.count(r.sales)}</td></tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
