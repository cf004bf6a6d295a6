// Checkout times with their sample size and band; too few checkouts say so instead of a P95.

import type { NowRow } from "../data/rows";
import * as f from "../fmt";
import { Fact, Part } from "./part";

export function Checkout({ now }: { now: NowRow }) {
  const c = now.checkout;
  const over = c.window_min ? `last ${f.count(c.window_min)} min` : "whole popup";
  const few = c.n ? "too few" : "no data";
  const hang = c.in_flight_bound_ms != null && c.p95_ms != null && c.in_flight_bound_ms > c.p95_ms ? c.in_flight_bound_ms : null;
  const sure = c.band_ms ? `, P95 between ${f.length(c.band_ms[0])} and ${f.length(c.band_ms[1])}` : c.max_ms != null ? `, slowest ${f.length(c.max_ms)}` : "";
  const { tokens } = now;
  return (
    <Part id="checkout" title="Checkout" aside={c.n ? over : undefined}>
      <div class="pair">
        <div><p class="code">P50</p><p class={c.p50_ms == null ? "mid none" : "mid"} data-testid="p50" data-value={c.p50_ms ?? ""}>{c.p50_ms != null ? f.length(c.p50_ms) : few}</p></div>
        <div><p class="code">P95</p><p class={c.p95_ms == null ? "mid none" : "mid"} data-testid="p95" data-value={c.p95_ms ?? ""}>{c.p95_ms != null ? f.length(c.p95_ms) : few}</p></div>
      </div>
      <p class="quiet">{c.n ? `n ${f.count(c.n)}${sure}` : "No checkout has completed yet."}</p>
      {hang != null && <p class="note warn"><span aria-hidden="true">▲ </span>At least {f.length(hang)} with the {f.plural(c.open, "checkout", "checkouts")} still open.</p>}
      <dl class="facts">
        <Fact label="Started">{f.count(c.started)}</Fact>
        <Fact label="Completed">{f.count(c.completed)}</Fact>
        <Fact label="Abandoned">{f.count(c.abandoned)}</Fact>
        <Fact label="Open now"><span data-testid="open" data-value={c.open}>{f.count(c.open)}</span></Fact>
      </dl>
      {(tokens.issued > 0 || tokens.redeemed > 0) && (
        <p class="quiet gap-above">{tokens.estimated && "About "}{f.count(tokens.redeemed)} of {f.plural(tokens.issued, "token", "tokens")} redeemed.</p>
      )}
    </Part>
  );
}
