// The operator's screen, and on a till the till's own page: how complete, how each till is, what was taken, what was promised,
// what is short, where it came from.

import { asof, drainRate, row, serverNow, under } from "../data/store";
import * as f from "../fmt";
import { Board, Stock } from "../parts/boards";
import { Checkout } from "../parts/checkout";
import { CurrencyPicker, popupRow, useCurrency } from "../parts/currency";
import { Complete, Completeness, Named, Takings } from "../parts/money";
import { Promises } from "../parts/promises";
import { Revenue } from "../parts/revenue";
import { Rigs } from "../parts/rigs";
import { Signals } from "../parts/signals";
import { Status } from "../parts/status";
import { Till } from "../parts/till";
import { role } from "../route";
import { connectionLine, edgeLines, popupLines, type Line } from "../say";

/** All sentences, the weightiest first. */
export function sentences(): Line[] {
  const at = asof.value;
  if (!at) return [];
  const edge = role === "edge" ? row("edge") : undefined;
  const connection = connectionLine(role);
  const rest = edge ? edgeLines(edge, serverNow(), drainRate())
    : popupLines({ asof: at, rigs: under("rig/"), now: row("now"), slos: under("slo/"), stock: under("sku/"), popup: row("popup"), at: serverNow() });
  return connection ? [connection, ...rest] : rest;
}

export function Operator() {
  const now = row("now");
  const edge = row("edge");
  const popup = popupRow();
  const settled = row("popup")?.settled;
  const currency = useCurrency();
  return (
    <>
      <Status lines={sentences()} open={role === "edge"} detail={role === "region"} />
      <div class="row first">
        <div><Takings now={now} />{edge && <Complete />}</div>
        {edge ? <Till e={edge} /> : <Completeness />}
      </div>
      {!edge && !settled && <Rigs />}
      <CurrencyPicker {...currency} />
      <div class="row second">
        <Revenue currency={currency.shown} popup={popup} />
        {now && <Checkout now={now} />}
      </div>
      <Promises now={now} />
      <div class="row boards">
        <Board kind="creators" currency={currency.shown} />
        <Board kind="products" currency={currency.shown} />
        {!edge && !settled && <Board kind="rigs" currency={currency.shown} />}
      </div>
      <Stock />
      <Signals />
      <Named now={now} />
      <p class="foot quiet">popwatch · {role === "edge" ? "this till's own page; it needs no network" : "all tills together"}{popup?.zone && ` · times in ${f.clip(popup.zone, 40)}`}</p>
    </>
  );
}
