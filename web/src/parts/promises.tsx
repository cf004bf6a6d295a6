// Promises: what may still go wrong in this popup, how fast that is used up, and what the evidence says.

import type { NowRow, SloRow } from "../data/rows";
import { serverNow, under } from "../data/store";
import * as f from "../fmt";
import { Money, Part } from "./part";

const TITLES: Record<string, string> = {
  checkout_success: "Checkouts succeed", payment_success: "Payments succeed", checkout_latency: "Checkouts are quick", refund_rate: "Few refunds",
  token_conflict: "Tokens used once", fulfilment_latency: "Orders leave quickly", freshness: "Numbers are fresh", stock_skew: "Stock agrees",
};
const WORDS: Record<string, { level: number; mark: string; word: string }> = {
  page: { level: 3, mark: "✕", word: "Broken" }, watch: { level: 2, mark: "▲", word: "Watch" }, resolved: { level: 1, mark: "◆", word: "Over" },
  quiet: { level: 0, mark: "●", word: "Kept" }, no_data: { level: 1, mark: "○", word: "No data" },
};
const title = (slo: string): string => TITLES[slo] ?? (slo.charAt(0).toUpperCase() + slo.slice(1)).replaceAll("_", " ");
const WEIGHT: Record<string, number> = { page: 3, watch: 2, resolved: 1 };

export function Promises({ now }: { now: NowRow | undefined }) {
  const rows = under("slo/").sort((a, b) => (WEIGHT[b.state] ?? 0) - (WEIGHT[a.state] ?? 0) || (a.slo < b.slo ? -1 : 1));
  const risk = (now?.risk ?? []).filter((r) => r.at_risk > 0);
  if (!rows.length) return null;
  return (
    <Part id="promises" title="Promises" aside={risk.length ? <>at risk {risk.map((r) => <Money minor={r.at_risk} currency={r.currency} />)}</> : undefined}>
      <ul class="strip">{rows.map((s) => <Promise key={s.slo} s={s} />)}</ul>
    </Part>
  );
}

function Promise({ s }: { s: SloRow }) {
  const w = WORDS[s.state] ?? WORDS["no_data"]!;
  const b = s.budget;
  const gone = b ? Math.min(1, b.consumed_ppm / 1e6) : 0;
  const page = s.page && s.page.resolved_ms == null ? s.page : null;
  return (
    <li class={`rig lv${w.level}`}>
      <div class="rig-head"><h3>{title(s.slo)}</h3><span class="state" data-testid={`slo-${s.slo}`} data-value={s.state}><span aria-hidden="true">{w.mark} </span>{w.word}</span></div>
      <p class="promise-n"><b>{f.count(s.bad)}</b> bad of {f.count(s.n)} <span class="quiet">{s.outcomes}, {f.share(s.objective_ppm / 1e6)} promised</span></p>
      {b && (
        <>
          <span class="meter thin" aria-hidden="true"><span class="fill" style={{ width: `${(gone * 100).toFixed(1)}%` }} /></span>
          <dl class="mini">
            <div class="fact"><dt>Left</dt><dd>{b.consumed_ppm >= 1e6 ? <span class="down">none</span> : f.share(1 - b.consumed_ppm / 1e6)}</dd></div>
            <div class="fact"><dt>Pace</dt><dd class={b.pace_ppm > 2e6 ? "down" : undefined}>{f.times(b.pace_ppm / 1e6)}</dd></div>
            <div class="fact"><dt>Will hold</dt><dd>{f.share(b.survival_ppm / 1e6)}</dd></div>
          </dl>
        </>
      )}
      {page && <p class="quiet gap-above">Since {f.hmNear(page.since_ms, serverNow())}: {f.count(page.bad)} of the last {f.count(page.n)}{page.revised && `, revised to ${f.count(page.revised.bad)} of ${f.count(page.revised.n)}`}. A false alarm in {f.share(s.alpha_ppm / 1e6)} of popups.</p>}
    </li>
  );
}
