// One card per till.

import type { RigRow } from "../data/rows";
import { asof, serverNow, under } from "../data/store";
import * as f from "../fmt";
import { rigWord } from "../say";
import { Empty, Fact, Money, Part } from "./part";

export function Rigs() {
  const rows = under("rig/").sort((a, b) => (a.rig < b.rig ? -1 : 1));
  const silent = new Set(asof.value?.silent.map((s) => s.rig));
  return (
    <Part id="rigs" title={rows.length === 1 ? "Till" : "Tills"}>
      {rows.length ? <ul class="strip">{rows.map((r) => <Rig key={r.rig} r={r} silent={silent.has(r.rig)} />)}</ul> : <Empty>No till has reported yet.</Empty>}
    </Part>
  );
}

function Rig({ r, silent }: { r: RigRow; silent: boolean }) {
  const w = rigWord(r, silent);
  const behind = Math.max(0, (r.durable_seq ?? 0) - r.have_seq);
  const unsent = r.unsent?.records ? r.unsent : null;
  return (
    <li class={`rig lv${w.level}`}>
      <div class="rig-head">
        <h3 title={f.clip(r.rig, 200)}><bdi>{f.rigName(r.rig)}</bdi></h3>
        <span class="state" data-testid={`rig-${r.rig}-state`} data-value={r.state}><span aria-hidden="true">{w.mark} </span>{w.word}</span>
      </div>
      <p class="rig-net">{r.currencies.length ? r.currencies.map((c) => <Money minor={c.net} currency={c.currency} testid={`rig-${r.rig}-net-${c.currency}`} />) : <span class="quiet">no sales</span>}</p>
      {unsent && (
        <p class="chip hatch"><span>{unsent.sales ? f.plural(unsent.sales, "sale", "sales") : f.plural(unsent.records, "record", "records")} to come</span>
          {unsent.money.filter((m) => m.minor).map((m) => <b><Money minor={m.minor} currency={m.currency} /></b>)}</p>
      )}
      <dl class="mini">
        <Fact label="Heard">{r.last_heard_ms ? `${f.age(serverNow() - r.last_heard_ms)} ago` : "never"}</Fact>
        <Fact label="Behind">{r.durable_seq == null ? "not told" : behind ? f.plural(behind, "record", "records") : "nothing"}</Fact>
        {r.clock_u_ms != null && <Fact label="Clock">{f.plusMinus(r.clock_u_ms)}</Fact>}
        {r.battery != null && <Fact label="Battery">{f.count(r.battery)} %</Fact>}
        {r.disk_minutes != null && <Fact label="Disk">{f.minutes(r.disk_minutes)}</Fact>}
        {!!r.gap_records && <Fact label="Gaps"><span class="down">{f.plural(r.gap_records, "record", "records")}</span></Fact>}
        {!!r.losses && <Fact label="Losses"><span class="down">{f.count(r.losses)}</span></Fact>}
      </dl>
    </li>
  );
}
