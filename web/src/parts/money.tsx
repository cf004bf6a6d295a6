// What was taken, and how much of what the tills know is in it.

import type { Asof, NowRow, Stage } from "../data/rows";
import { asof } from "../data/store";
import * as f from "../fmt";
import { role } from "../route";
import { backlog } from "../say/line";
import { BigMoney, Fact, Money, Part } from "./part";

/** Net per currency, large; gross, refunds, sales and the last five minutes beneath. */
export function Takings({ now }: { now: NowRow | undefined }) {
  const list = now?.currencies ?? [];
  if (!now || !list.length) {
    return (
      <Part id="takings" title="Net revenue">
        <p class="big none">{now ? "No sales yet" : "No data yet"}</p>
        {now && <p class="quiet">The first sale shows here the moment it is safe on a till.</p>}
      </Part>
    );
  }
  const five = new Map(now.last5.map((c) => [c.currency, c]));
  const sales = list.reduce((n, c) => n + c.conversions, 0);
  return (
    <Part id="takings" title="Net revenue">
      <div class="nets">
        {list.map((c) => {
          const mean = five.get(c.currency);
          return (
            <div key={c.currency} class="net">
              <p class="code">{c.currency}</p>
              <BigMoney minor={c.net} currency={c.currency} testid={`net-${c.currency}`} />
              <dl class="facts">
                <Fact label="Gross"><Money minor={c.gross} currency={c.currency} testid={`gross-${c.currency}`} /></Fact>
                <Fact label="Refunds"><span data-testid={`refund-${c.currency}`} data-minor={c.refund}><Money minor={c.refund ? -c.refund : 0} currency={c.currency} signed /></span></Fact>
                <Fact label="Sales"><span data-testid={`sales-${c.currency}`} data-value={c.conversions}>{f.count(c.conversions)}</span></Fact>
                <Fact label="Per min, last 5">{now.minutes_complete > 0 && mean ? <Money minor={mean.net} currency={c.currency} testid={`last5-${c.currency}`} /> : "no data"}</Fact>
              </dl>
            </div>
          );
        })}
      </div>
      <p class="vh" data-testid="sales" data-value={sales}>{f.plural(sales, "sale", "sales")}</p>
    </Part>
  );
}

/** What is missing in one line, for under a number: how far it is complete. */
export function Complete() {
  const at = asof.value;
  if (!at) return null;
  const missing = Math.max(0, at.known - at.have);
  const untold = at.silent.length + at.unsent.unknown.length;
  const whole = !missing && !untold;
  const all = role === "edge" ? "All sales of this till" : "Complete";
  return (
    <p class={`complete-line ${whole ? "whole" : ""}`}>
      <Meter at={at} />
      <span>{whole ? all : missing ? `${f.plural(missing, "record", "records")} still to come` : `${f.plural(untold, "till has", "tills have")} not said how much is to come`}
        {at.watermark_ms != null && ` · up to ${f.hms(at.watermark_ms)}`}</span>
    </p>
  );
}

function Meter({ at }: { at: Asof }) {
  const missing = Math.max(0, at.known - at.have);
  const part = at.known > 0 ? Math.min(1, at.have / at.known) : 1;
  return <span class="meter" aria-hidden="true"><span class="fill" style={{ width: missing > 0 ? `min(${(part * 100).toFixed(2)}%, 100% - 12px)` : "100%" }} /></span>;
}

/** How much of what the tills know is in these numbers, and how far the money has come. */
export function Completeness() {
  const at = asof.value;
  if (!at) return null;
  const missing = Math.max(0, at.known - at.have);
  const untold = at.silent.length + at.unsent.unknown.length;
  const worth = at.unsent.money.filter((m) => m.minor);
  return (
    <Part id="complete" title="Completeness">
      <p class="lead"><strong data-testid="have" data-value={at.have}>{f.count(at.have)}</strong> of{" "}
        <span data-testid="known" data-value={at.known}>{f.plural(at.known, "record", "records")}</span> here</p>
      <Meter at={at} />
      <p class="quiet">{missing ? `${f.plural(missing, "record", "records")} still to come` : untold ? "All that tills have told is here" : "All of it is here"}
        {at.watermark_ms != null ? ` · complete up to ${f.hms(at.watermark_ms)}` : " · no till has said how far it is"}</p>
      {at.unsent.records > 0 && (
        <p class="chip hatch"><span>Not at the ledger yet: {backlog({ records: at.unsent.records, money: [] })}</span>
          {worth.map((m) => <b><Money minor={m.minor} currency={m.currency} testid={`unsent-${m.currency}`} /></b>)}</p>
      )}
      {at.stage.map((s) => <Firmness key={s.currency} stage={s} />)}
    </Part>
  );
}

/** How firm one currency's net is: hatched on tills, solid at the ledger, settled with provider and books. */
function Firmness({ stage }: { stage: Stage }) {
  const of = (part: number | null): string => (stage.durable > 0 && part != null ? `${Math.max(0, Math.min(100, (part / stage.durable) * 100)).toFixed(2)}%` : "0%");
  return (
    <div class="stage">
      <div class="meter" aria-hidden="true"><span class="fill" style={{ width: of(stage.replicated) }} /></div>
      <dl class="stages">
        <div><dt>Safe on tills</dt><dd><Money minor={stage.durable} currency={stage.currency} testid={`durable-${stage.currency}`} /></dd></div>
        <div><dt>At the ledger</dt><dd>{stage.replicated == null ? "not told" : <Money minor={stage.replicated} currency={stage.currency} testid={`replicated-${stage.currency}`} />}</dd></div>
        <div><dt>Settled</dt><dd>{stage.reconciled == null ? "not told" : <Money minor={stage.reconciled} currency={stage.currency} testid={`reconciled-${stage.currency}`} />}</dd></div>
      </dl>
    </div>
  );
}

const NAMED = {
  losses: ["loss", "losses"], unmatched: ["unmatched", "unmatched"], duplicates: ["duplicate", "duplicates"],
  refunds_unknown: ["refund of an unknown sale", "refunds of unknown sales"], other: ["other", "other"],
} as const;
/** What was counted and named instead of lost silently; nothing when all is zero. */
export function Named({ now }: { now: NowRow | undefined }) {
  const counts = now?.counts;
  if (!counts) return null;
  const out = (Object.keys(NAMED) as (keyof typeof NAMED)[]).filter((k) => counts[k] > 0).map((k) => f.plural(counts[k], NAMED[k][0], NAMED[k][1]));
  return out.length ? <p class="quiet named">Counted and named: {out.join(" · ")}</p> : null;
}
