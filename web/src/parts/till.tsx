// The till's own page: what is safe here and who has it too.

import type { ComponentChildren } from "preact";
import type { EdgeStatus } from "../data/rows";
import { serverNow } from "../data/store";
import * as f from "../fmt";
import { lost } from "../say";
import { Fact, Money, Part } from "./part";

export function Till({ e }: { e: EdgeStatus }) {
  const now = serverNow();
  const u = e.unsent;
  const worth = u.money.filter((m) => m.minor);
  return (
    <Part id="till" title="Safe on this till">
      <div class="pair">
        <div><p class="code">Last sale</p><p class="mid" data-testid="last-sale" data-value={e.last_sale_ms ?? ""}>{e.last_sale_ms ? `${f.age(now - e.last_sale_ms)} ago` : "none yet"}</p></div>
        <div><p class="code">Not sent yet</p><p class="mid" data-testid="unsent" data-value={u.records}>{u.records ? f.plural(u.sales || u.records, u.sales ? "sale" : "record", u.sales ? "sales" : "records") : "nothing"}</p></div>
      </div>
      {worth.length > 0 && (
        <p class="chip hatch"><span>Safe here, not in the total yet</span>{worth.map((m) => <b><Money minor={m.minor} currency={m.currency} testid={`unsent-${m.currency}`} /></b>)}</p>
      )}
      <ul class="peers">
        {e.peers.map((p) => (
          <li key={p.kind + p.name} class={p.state === "ok" ? "lv0" : "lv2"}>
            <span class="state"><span aria-hidden="true">{p.state === "ok" ? "● " : "▲ "}</span>{p.state === "ok" ? "Reached" : "Not reached"}</span>
            <span>{p.kind === "ledger" ? "Ledger" : "Live total"} · <bdi class="quiet">{f.clip(p.name.replace(/^https?:\/\/|:\d+$/g, ""), 40)}</bdi></span>
            {p.down_since_ms != null ? <span class="quiet">since {f.hmNear(p.down_since_ms, now)}</span>
              : p.rtt_ms != null && <span class="quiet">{p.rtt_ms < 1 ? "under 1 ms" : `${f.count(p.rtt_ms)} ms`}</span>}
          </li>
        ))}
      </ul>
      <dl class="facts">
        {u.oldest_ms != null && <Fact label="Oldest not sent">{f.age(now - u.oldest_ms)} ago</Fact>}
        <Host e={e} />
        <Fact label="Records safe here"><span data-testid="durable-seq" data-value={e.durable_seq}>{f.count(e.durable_seq)}</span></Fact>
        <Fact label="Ledger: money to"><span data-testid="trunk-seq" data-value={e.replicated.trunk}>{f.count(e.replicated.trunk)}</span></Fact>
        <Fact label="Ledger: rest to"><span data-testid="bulk-seq" data-value={e.replicated.bulk}>{f.count(e.replicated.bulk)}</span></Fact>
        <Fact label="Journal life">{f.count(e.epoch)}</Fact>
      </dl>
      <Damage e={e} />
    </Part>
  );
}

/** What the till's own host measured; what nobody measured is not there. */
function Host({ e }: { e: EdgeStatus }) {
  const { disk: d, power: p, clock: c } = e;
  const room = d?.minutes_left != null ? `${f.minutes(d.minutes_left)} left` : d?.free_bytes != null ? `${f.bytes(d.free_bytes)} free` : null;
  const charge = [p?.battery != null && `${f.count(p.battery)} %`, p?.minutes != null && f.minutes(p.minutes)].filter(Boolean).join(", ");
  const facts: ComponentChildren[] = [
    room && <Fact label="Disk"><span data-testid="disk" data-value={d?.minutes_left ?? ""}>{room}</span></Fact>,
    charge && <Fact label="Battery"><span data-testid="battery" data-value={p?.minutes ?? ""}>{charge}</span></Fact>,
    c?.u_ms != null && <Fact label="Clock"><span data-testid="clock" data-value={c.u_ms}>{f.plusMinus(c.u_ms)}</span></Fact>,
    d?.p99_us != null && <Fact label="Disk answers in">{f.micros(d.p99_us)}</Fact>,
    d?.honest === false && <Fact label="Disk"><span class="down">keeps nothing over a power cut</span></Fact>,
  ];
  return <>{facts}</>;
}

const CLASSES: Record<string, string> = { money: "sales", stock: "stock and orders", journey: "checkout steps", ambient: "chat and measurements" };
/** Gaps with what they were worth, and what was refused, each on a line of its own. */
function Damage({ e }: { e: EdgeStatus }) {
  const gaps = e.gaps.slice(-8).reverse();
  if (!gaps.length && !e.losses.length) return null;
  return (
    <ul class="damage">
      {gaps.map((g) => (
        <li data-testid="gap"><b>Gap: {f.plural(g.last - g.first + 1, "record", "records")}</b> {f.count(g.epoch)}/{f.count(g.first)}{g.last > g.first && `–${f.count(g.last)}`}{" "}
          <span class="quiet">{lost([g]) || "no money"}</span></li>
      ))}
      {e.losses.map((l) => (
        <li data-testid="loss"><b>Not kept: {f.plural(l.count, "event", "events")}</b> <span class="quiet">{CLASSES[l.class] ?? f.clip(l.class, 20)}, {f.clip(l.cause, 40)}</span></li>
      ))}
    </ul>
  );
}
