// The way from the stream to the sale: funnel, chat, flash drops with what they changed.

import type { DropRow, FunnelRow } from "../data/rows";
import { row, serverNow, under } from "../data/store";
import * as f from "../fmt";
import { useCurrency } from "./currency";
import { Fact, Money, Name, Part } from "./part";

export function Signals() {
  const funnel = row("funnel");
  const streams = under("chat/").sort((a, b) => b.messages - a.messages);
  const drops = under("drop/").sort((a, b) => b.opened_ms - a.opened_ms);
  if (!funnel && !streams.length && !drops.length) return null;
  return (
    <div class="row boards">
      {funnel && <Funnel funnel={funnel} />}
      {drops.length > 0 && (
        <Part id="drops" title="Drops"><ul class="drops">{drops.slice(0, 5).map((d) => <Drop key={d.drop} d={d} />)}</ul></Part>
      )}
      {streams.length > 0 && (
        <Part id="chat" title="Chat">
          <ul class="drops">
            {streams.slice(0, 4).map((s) => (
              <li key={s.stream}><h3><Name id={s.stream} /></h3>
                <dl class="mini">
                  <Fact label={`Last ${f.count(s.minutes)} min`}>{s.minutes ? f.plural(s.recent_messages, "message", "messages") : "no data"}</Fact>
                  <Fact label="Negative">{s.state === "covered" && s.negative_share != null ? f.share(s.negative_share) : s.state === "not_covered" ? "not covered" : "no data"}</Fact>
                  <Fact label="Watching">{s.watching == null ? "not told" : f.count(s.watching)}</Fact>
                </dl></li>
            ))}
          </ul>
        </Part>
      )}
    </div>
  );
}

const STEPS: Record<string, string> = { chat: "Chatted", viewed: "Looked", cart: "In the cart", started: "At checkout", paid: "Paid" };
function Funnel({ funnel }: { funnel: FunnelRow }) {
  const steps = (funnel.with_chat[0]?.n ?? 0) > 0 ? funnel.with_chat : funnel.without_chat;
  const first = Math.max(1, steps[0]?.n ?? 1);
  const unlinked = funnel.not_linked_paid;
  return (
    <Part id="funnel" title="From stream to sale" aside={funnel.estimated ? "estimated from a part" : undefined}>
      <table class="board">
        <thead class="vh"><tr><th scope="col">Step</th><th scope="col">Viewers</th></tr></thead>
        <tbody>
          {steps.map((s) => (
            <tr key={s.step}><th scope="row"><span class="name">{STEPS[s.step] ?? s.step}</span><span class="bar" aria-hidden="true" style={{ width: `${((s.n / first) * 100).toFixed(1)}%` }} /></th>
              <td class="num">{f.count(s.n)}{s.plus_minus > 0 && <span class="quiet">±{f.count(s.plus_minus)}</span>}</td></tr>
          ))}
        </tbody>
      </table>
      {unlinked > 0 && <p class="quiet gap-above">{f.plural(unlinked, "order was", "orders were")} paid by somebody who cannot be followed.</p>}
    </Part>
  );
}

/** "3.4× (2.1–5.6)": what a drop changed, never without its interval. */
export function liftWords(d: DropRow): { ratio: string; sure: string } {
  const l = d.lift;
  if (!l) return { ratio: "no data yet", sure: "" };
  if (l.ratio == null) return { ratio: `+${f.oneDigit(l.incremental)} units`, sure: "nothing was sold before it" };
  const between = l.interval ? `between ${f.times(l.interval[0])} and ${f.times(l.interval[1])}, 9 times out of 10` : "";
  const still = l.running ? "still running" : l.censored ? "cut short" : "";
  return { ratio: f.times(l.ratio), sure: [between, still].filter(Boolean).join(", ") };
}

export function Drop({ d }: { d: DropRow }) {
  const { ratio, sure } = liftWords(d);
  const extra = d.lift?.incremental_minor;
  const currency = useCurrency().shown;
  return (
    <li>
      <div class="rig-head"><h3><Name id={d.sku || d.drop} /></h3>
        <span class="state quiet">{d.closed_ms == null ? `open since ${f.hmNear(d.opened_ms, serverNow())}` : `${f.hmNear(d.opened_ms, serverNow())}–${f.hm(d.closed_ms)}`}</span></div>
      <p class="promise-n"><b>{ratio}</b> <span class="quiet">{sure}</span></p>
      {extra != null && extra !== 0 && currency && <p class="quiet">About <Money minor={extra} currency={currency} signed /> beyond the pace before.</p>}
    </li>
  );
}
