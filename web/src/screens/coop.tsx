// A co-op's screen: what each member earned, how orders leave, and who leads.

import type { BoardLine, FulfilmentRow } from "../data/rows";
import { own } from "../data/session";
import { row } from "../data/store";
import * as f from "../fmt";
import { Board, ranks } from "../parts/boards";
import { CurrencyPicker, useCurrency } from "../parts/currency";
import { Complete } from "../parts/money";
import { BigMoney, Empty, Fact, Money, Name, Part } from "../parts/part";
import { Status } from "../parts/status";
import { sentences } from "./operator";

export function Coop() {
  const currency = useCurrency();
  const members = own();
  const lines = ranks("creators", currency.shown).filter((r) => r.id !== "" && (!members || members.includes(r.id)));
  const told = lines.some((r) => r.net != null);
  const sum = lines.reduce((n, r) => n + (r.net ?? 0), 0);
  const fulfilment = row("now")?.fulfilment;
  return (
    <>
      <Status lines={sentences()} />
      <CurrencyPicker {...currency} />
      <section class="going" aria-labelledby="h-going">
        <h2 id="h-going">{members ? "Our members, net" : "All creators, net"}</h2>
        {currency.shown && told ? <BigMoney minor={sum} currency={currency.shown} testid={`coop-net-${currency.shown}`} /> : <p class="big none">{lines.length ? "Ranks only" : "Nothing yet"}</p>}
        {members && lines.length > 0 && <p class="quiet">{told ? "Amounts are rounded, as the policy says." : "Amounts show once enough members have sold, so that nobody can work out another's."}</p>}
        <Complete />
      </section>
      <div class="row second">
        <Members lines={lines} />
        <Orders of={fulfilment} />
      </div>
      <Steps of={fulfilment} />
      {members && <Board kind="creators" currency={currency.shown} />}
    </>
  );
}

function Members({ lines }: { lines: BoardLine[] }) {
  return (
    <Part id="members" title="By member" aside="as credited on the till">
      {lines.length ? (
        <div class="scroll-x" tabindex={0} role="region" aria-label="By member, table">
          <table class="wide">
            <thead><tr>{["Member", "Net", "Gross", "Refunds", "Orders", "Units"].map((t, i) => <th scope="col" class={i ? "num" : undefined}>{t}</th>)}</tr></thead>
            <tbody>
              {lines.map((r) => (
                <tr key={r.id}>
                  <th scope="row"><Name id={r.id} /></th>
                  <td class="num strong"><Money minor={r.net} currency={r.currency} signed /></td>
                  <td class="num"><Money minor={r.gross} currency={r.currency} /></td>
                  <td class="num"><Money minor={r.refund && -r.refund} currency={r.currency} signed /></td>
                  <td class="num">{r.orders == null ? "–" : f.count(r.orders)}</td>
                  <td class="num">{f.count(r.units)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : <Empty>No sale has been credited to a member yet.</Empty>}
    </Part>
  );
}

function Orders({ of }: { of: FulfilmentRow | undefined }) {
  if (!of) return <Part id="orders" title="Orders on their way"><Empty>Only whoever sees the whole popup sees its orders.</Empty></Part>;
  // Nobody ever said that an order left: then nothing can be said of how they leave.
  const told = of.out > 0 || of.steps.length > 0;
  const word = !told ? "not reported" : of.stalled ? "stalled" : of.drain_min != null ? `about ${f.lasts(of.drain_min * 60)}` : of.backlog > 0 ? "not known yet" : "nobody waits";
  return (
    <Part id="orders" title="Orders on their way">
      <div class="pair">
        <div><p class="code">Waiting</p><p class="mid" data-testid="backlog" data-value={of.backlog}>{f.count(of.backlog)}</p></div>
        <div><p class="code">Until none waits</p><p class={!told ? "mid none" : of.stalled ? "mid down" : "mid"}>{word}</p></div>
      </div>
      {told && of.stalled && <p class="note warn"><span aria-hidden="true">▲ </span>Orders wait and none has left in {f.count(of.minutes)} min.</p>}
      <dl class="facts">
        <Fact label="Paid">{f.count(of.paid)}</Fact>
        <Fact label="Handed over or shipped">{f.count(of.out)}</Fact>
        <Fact label="Left per min">{of.left_per_min == null || !told ? "no data" : f.oneDigit(of.left_per_min)}</Fact>
        <Fact label="P95, paid to buyer">{of.took.p95_ms != null ? f.length(of.took.p95_ms) : of.took.n ? "too few" : "no data"}</Fact>
      </dl>
    </Part>
  );
}

const STEPS: Record<string, string> = { packed: "Packed", handed_over: "Handed over", shipped: "Shipped", delivered: "Delivered" };
function Steps({ of }: { of: FulfilmentRow | undefined }) {
  if (!of?.steps.length) return null;
  return (
    <Part id="steps" title="Work by member" aside={`last ${f.count(of.minutes)} min`}>
      <table class="wide">
        <thead><tr><th scope="col">Member</th><th scope="col">Step</th><th scope="col" class="num">Orders</th><th scope="col" class="num">Per min</th></tr></thead>
        <tbody>{of.steps.map((s) => <tr key={s.member + s.step}><th scope="row">{s.member ? <Name id={s.member} /> : "Not said"}</th><td>{STEPS[s.step] ?? s.step}</td><td class="num">{f.count(s.orders)}</td><td class="num">{f.oneDigit(s.per_min)}</td></tr>)}</tbody>
      </table>
    </Part>
  );
}
