// The parts of the screen, each from the rows it shows to wanted elements. Money and counts carry their raw integers as data.

import { h } from "./dom.js";
import * as f from "./fmt.js";
import { backlog, lost, rigWord, stockWords } from "./say.js";

/** A titled part. `stamp` appears when the rows are old, so that no number stands without its time. */
export function part(id, title, stamp, ...body) {
  return h("section", { key: id, class: `part ${id}`, "aria-labelledby": `h-${id}` },
    h("header", { class: "part-head" }, h("h2", { id: `h-${id}` }, title), stamp && h("span", { class: "stamp" }, stamp)), body);
}

const fact = (label, ...value) => h("div", { class: "fact" }, h("dt", null, label), h("dd", null, value));
const sum = (list, field) => (list || []).reduce((n, c) => n + (c[field] || 0), 0);

function bigMoney(minor, currency, testid) {
  const parts = f.moneyParts(minor, currency).map((p) => h("span", { class: p.type === "currency" ? "sym" : p.type === "fraction" || p.type === "decimal" ? "frac" : null }, p.type === "minusSign" ? "\u2212" : p.value));
  const wide = f.decimal(minor, 0).length;
  return h("p", { class: wide > 10 ? "big long" : "big", "data-testid": testid, "data-minor": minor }, parts);
}

/** Net per currency, large; gross, refunds, sales and the last five minutes beneath. */
export function takings(now, stamp) {
  const list = now.currencies || [];
  if (!list.length) return part("takings", "Net revenue", stamp, h("p", { class: "big none" }, "No sales yet"), h("p", { class: "quiet" }, "The first sale shows here the moment it is safe on a till."));
  const five = new Map((now.last5 || []).map((c) => [c.currency, c]));
  return part("takings", "Net revenue", stamp,
    h("div", { class: "nets" }, list.map((c) => h("div", { key: c.currency, class: "net" },
      h("p", { class: "code" }, c.currency),
      bigMoney(c.net, c.currency, `net-${c.currency}`),
      h("dl", { class: "facts" },
        fact("Gross", h("span", { "data-testid": `gross-${c.currency}`, "data-minor": c.gross }, f.money(c.gross, c.currency))),
        fact("Refunds", h("span", { "data-testid": `refund-${c.currency}`, "data-minor": c.refund, class: c.refund ? "down" : null }, f.money(c.refund ? -c.refund : 0, c.currency))),
        fact("Sales", h("span", { "data-testid": `sales-${c.currency}`, "data-value": c.conversions }, f.count(c.conversions))),
        fact("Per min, last 5", now.minutes_complete > 0 && five.has(c.currency)
          ? h("span", { "data-testid": `last5-${c.currency}`, "data-minor": five.get(c.currency).net }, f.money(five.get(c.currency).net, c.currency))
          : "no data"))))),
    h("p", { class: "vh", "data-testid": "sales", "data-value": sum(list, "conversions") }, f.plural(sum(list, "conversions"), "sale", "sales")));
}

/** How much of what the rigs know is in these numbers, and how far the money has come. */
export function completeness(asof, stamp) {
  const missing = Math.max(0, asof.known - asof.have);
  const share = asof.known > 0 ? Math.min(1, asof.have / asof.known) : 1;
  const unsent = asof.unsent || {};
  const untold = (asof.silent || []).length + (unsent.unknown || []).length;
  return part("complete", "Completeness", stamp,
    h("p", { class: "lead" }, h("strong", { "data-testid": "have", "data-value": asof.have }, f.count(asof.have)), " of ",
      h("span", { "data-testid": "known", "data-value": asof.known }, f.plural(asof.known, "record", "records")), " here"),
    h("div", { class: "meter", "aria-hidden": "true" }, h("span", { class: "fill", style: { width: missing > 0 ? `min(${(share * 100).toFixed(2)}%, 100% - 12px)` : "100%" } })),
    h("p", { class: "quiet" }, missing > 0 || unsent.records > 0
      ? `Hatched: ${backlog(unsent.records ? unsent : { records: missing })} safe on a till, not in these numbers yet.`
      : untold ? "A till is silent; what it may hold beyond this is not known." : "Everything the tills have told of is counted."),
    (asof.stage || []).map((s) => stage(s)));
}

function stage(s) {
  // Refunds can make either figure negative: only equality and a plain share are drawn, the words have the amounts.
  const share = s.replicated === s.durable ? 1 : s.durable > 0 && s.replicated != null ? Math.max(0, Math.min(1, s.replicated / s.durable)) : 0;
  const told = (v, words) => (v == null ? "" : ` · ${f.money(v, s.currency)} ${words}`);
  return h("div", { class: "stage", key: s.currency },
    h("div", { class: "meter thin", "aria-hidden": "true" }, h("span", { class: "fill", style: { width: `${(share * 100).toFixed(2)}%` } })),
    h("p", { class: "quiet" }, `${f.money(s.durable, s.currency)} safe on tills${told(s.replicated, "held by the ledger")}${told(s.reconciled, "settled")}`));
}

/** Checkout times with their sample size and band; too few checkouts say so instead of a P95. */
export function checkout(now, stamp) {
  const c = now.checkout || {};
  const span = c.window_min ? `last ${f.count(c.window_min)} min` : "whole popup";
  const has = (v) => v != null;
  const hang = has(c.in_flight_bound_ms) && has(c.p95_ms) && c.in_flight_bound_ms > c.p95_ms;
  return part("checkout", "Checkout", stamp,
    h("div", { class: "pair" },
      h("div", null, h("p", { class: "code" }, "P50"), h("p", { class: "mid", "data-testid": "p50", "data-value": has(c.p50_ms) ? c.p50_ms : "" }, has(c.p50_ms) ? f.length(c.p50_ms) : c.n ? "too few" : "no data")),
      h("div", null, h("p", { class: "code" }, "P95"), h("p", { class: "mid", "data-testid": "p95", "data-value": has(c.p95_ms) ? c.p95_ms : "" }, has(c.p95_ms) ? f.length(c.p95_ms) : c.n ? "too few" : "no data"))),
    h("p", { class: "quiet" }, c.n
      ? `n ${f.count(c.n)}, ${span}` + (c.band_ms ? `, P95 between ${f.length(c.band_ms[0])} and ${f.length(c.band_ms[1])}` : has(c.max_ms) ? `, slowest ${f.length(c.max_ms)}` : "")
      : "No checkout has completed yet."),
    hang && h("p", { class: "note warn" }, `▲ At least ${f.length(c.in_flight_bound_ms)} with the ${f.plural(c.open || 0, "checkout", "checkouts")} still open.`),
    h("dl", { class: "facts" },
      fact("Started", f.count(c.started || 0)), fact("Completed", f.count(c.completed || 0)), fact("Abandoned", f.count(c.abandoned || 0)),
      fact("Open now", h("span", { "data-testid": "open", "data-value": c.open || 0 }, f.count(c.open || 0)))),
    tokens(now.tokens));
}

function tokens(t) {
  if (!t || !(t.issued || t.redeemed)) return null;
  return h("p", { class: "quiet gap-above" }, `${t.estimated ? "About " : ""}${f.count(t.redeemed)} of ${f.plural(t.issued, "token", "tokens")} redeemed.`);
}

const NAMED = { losses: ["loss", "losses"], unmatched: ["unmatched", "unmatched"], duplicates: ["duplicate", "duplicates"], refunds_unknown: ["refund of an unknown sale", "refunds of unknown sales"], other: ["other", "other"] };
/** What was counted and named instead of lost silently; nothing when all is zero. */
export function named(counts) {
  const out = Object.entries(NAMED).filter(([k]) => counts && counts[k] > 0).map(([k, w]) => f.plural(counts[k], w[0], w[1]));
  return out.length ? h("p", { class: "quiet named" }, "Counted and named: " + out.join(" · ")) : null;
}

/** One card per rig. */
export function rigs(rows, asof, now, stamp) {
  const silent = new Map((asof.silent || []).map((s) => [s.rig, s]));
  return part("rigs", rows.length === 1 ? "Till" : "Tills", stamp, rows.length
    ? h("ul", { class: "strip" }, rows.map((r) => rig(r, silent.get(r.rig), now)))
    : h("p", { class: "quiet" }, "No till has reported yet."));
}

function rig(r, silent, now) {
  const w = rigWord(r, silent);
  const behind = Math.max(0, (r.durable_seq || 0) - (r.have_seq || 0));
  const u = r.unsent || { records: 0 };
  const worth = (u.money || []).filter((m) => m.minor);
  return h("li", { key: r.rig, class: `rig lv${w.level}` },
    h("div", { class: "rig-head" }, h("h3", { title: f.clip(r.rig, 200) }, h("bdi", null, f.rigName(r.rig))),
      h("span", { class: "state", "data-testid": `rig-${r.rig}-state`, "data-value": r.state }, h("span", { "aria-hidden": "true" }, w.mark + " "), w.word)),
    h("p", { class: "rig-net" }, (r.currencies || []).length ? r.currencies.map((c) => h("span", { "data-testid": `rig-${r.rig}-net-${c.currency}`, "data-minor": c.net }, f.money(c.net, c.currency))) : h("span", { class: "quiet" }, "no sales")),
    u.records > 0 && h("p", { class: "chip hatch" }, h("span", null, `${f.plural(u.sales || u.records, u.sales ? "sale" : "record", u.sales ? "sales" : "records")} to come`), worth.map((m) => h("b", null, f.money(m.minor, m.currency)))),
    h("dl", { class: "mini" },
      fact("Heard", r.last_heard_ms ? `${f.age(now - r.last_heard_ms)} ago` : "never"),
      fact("Behind", r.durable_seq == null ? "not told" : behind ? f.plural(behind, "record", "records") : "nothing"),
      r.clock_u_ms != null && fact("Clock", f.plusMinus(r.clock_u_ms)),
      r.battery != null && fact("Battery", `${f.count(r.battery)} %`),
      r.disk_minutes != null && fact("Disk", `${f.count(r.disk_minutes)} min`),
      r.gap_records > 0 && fact("Gaps", h("span", { class: "down" }, f.plural(r.gap_records, "record", "records"))),
      r.losses > 0 && fact("Losses", h("span", { class: "down" }, f.count(r.losses)))));
}

/** The rig's own page: what is safe here and who has it too. */
export function till(e, now, stamp) {
  const u = e.unsent || {};
  const held = e.replicated || {};
  const worth = (u.money || []).filter((m) => m.minor);
  return part("till", "Safe on this till", stamp,
    h("div", { class: "pair" },
      h("div", null, h("p", { class: "code" }, "Last sale"), h("p", { class: "mid", "data-testid": "last-sale", "data-value": e.last_sale_ms || "" }, e.last_sale_ms ? `${f.age(now - e.last_sale_ms)} ago` : "none yet")),
      h("div", null, h("p", { class: "code" }, "Not sent yet"), h("p", { class: "mid", "data-testid": "unsent", "data-value": u.records || 0 }, u.records ? f.plural(u.sales || u.records, u.sales ? "sale" : "record", u.sales ? "sales" : "records") : "nothing"))),
    worth.length > 0 && h("p", { class: "chip hatch" }, h("span", null, "Safe here, not in the total yet"), worth.map((m) => h("b", { "data-testid": `unsent-${m.currency}`, "data-minor": m.minor }, f.money(m.minor, m.currency)))),
    h("ul", { class: "peers" }, (e.peers || []).map((p) => h("li", { key: p.kind + p.name, class: p.state === "ok" ? "lv0" : "lv2" },
      h("span", { class: "state" }, h("span", { "aria-hidden": "true" }, p.state === "ok" ? "● " : "▲ "), p.state === "ok" ? "Reached" : "Not reached"),
      h("span", null, p.kind === "ledger" ? "Ledger" : "Live total", " · ", h("bdi", { class: "quiet" }, f.clip(String(p.name).replace(/^https?:\/\/|:\d+$/g, ""), 40))),
      p.down_since_ms != null ? h("span", { class: "quiet" }, `since ${f.hmNear(p.down_since_ms, now)}`) : p.rtt_ms != null && h("span", { class: "quiet" }, p.rtt_ms < 1 ? "under 1 ms" : `${f.count(p.rtt_ms)} ms`)))),
    h("dl", { class: "facts" },
      u.oldest_ms != null && fact("Oldest not sent", `${f.age(now - u.oldest_ms)} ago`),
      ...host(e),
      fact("Records safe here", h("span", { "data-testid": "durable-seq", "data-value": e.durable_seq }, f.count(e.durable_seq))),
      fact("Ledger: money to", h("span", { "data-testid": "trunk-seq", "data-value": held.trunk }, f.count(held.trunk || 0))),
      fact("Ledger: rest to", h("span", { "data-testid": "bulk-seq", "data-value": held.bulk }, f.count(held.bulk || 0))),
      fact("Journal life", f.count(e.epoch))),
    damage(e));
}

/** What the till's own host measured; what nobody measured is not there. */
function host(e) {
  const d = e.disk || {};
  const p = e.power || {};
  const c = e.clock;
  return [
    (d.minutes_left != null || d.free_bytes != null) && fact("Disk", h("span", { "data-testid": "disk", "data-value": d.minutes_left ?? "" }, d.minutes_left != null ? `${f.minutes(d.minutes_left)} left` : `${f.bytes(d.free_bytes)} free`)),
    (p.battery != null || p.minutes != null) && fact("Battery", h("span", { "data-testid": "battery", "data-value": p.minutes ?? "" }, [p.battery != null ? `${f.count(p.battery)} %` : null, p.minutes != null ? f.minutes(p.minutes) : null].filter(Boolean).join(", "))),
    c && c.u_ms != null && fact("Clock", h("span", { "data-testid": "clock", "data-value": c.u_ms }, f.plusMinus(c.u_ms))),
    d.sync_p99_us != null && fact("Disk answers in", f.micros(d.sync_p99_us)),
    d.honest === false && fact("Disk", h("span", { class: "down" }, "keeps nothing over a power cut")),
  ].filter(Boolean);
}

const CLASSES = { money: "sales", stock: "stock and orders", journey: "checkout steps", ambient: "chat and measurements" };
/** Gaps with what they were worth, and what was refused, each on a line of its own. */
function damage(e) {
  const gaps = (e.gaps || []).slice(-8).reverse();
  const losses = e.losses || [];
  if (!gaps.length && !losses.length) return null;
  return h("ul", { class: "damage" },
    gaps.map((g) => h("li", { "data-testid": "gap" }, h("b", null, `Gap: ${f.plural(g.last - g.first + 1, "record", "records")}`), ` ${f.count(g.epoch)}/${f.count(g.first)}${g.last > g.first ? `–${f.count(g.last)}` : ""} `, h("span", { class: "quiet" }, lost([g]) || "no money"))),
    losses.map((l) => h("li", { "data-testid": "loss" }, h("b", null, `Not kept: ${f.plural(l.count, "event", "events")}`), " ", h("span", { class: "quiet" }, `${CLASSES[l.class] || f.clip(l.class, 20)}, ${f.clip(l.cause, 40)}`))));
}

const TOP = 6;
/** A leaderboard: a real table whose rows carry a bar. */
export function board(kind, title, rows, currency, open, onMore, stamp) {
  const mine = rows.filter((r) => r.currency === currency);
  const most = mine.reduce((n, r) => Math.max(n, r.net), 0);
  const shown = open ? mine : mine.slice(0, TOP);
  return part(`board-${kind}`, title, stamp, mine.length
    ? h("table", { class: "board" },
      h("thead", { class: "vh" }, h("tr", null, ["Rank", "Name", "Net", "Orders"].map((t) => h("th", { scope: "col" }, t)))),
      h("tbody", null, shown.map((r) => h("tr", { key: r.id },
        h("td", { class: "rank" }, f.count(r.rank)),
        h("th", { scope: "row", title: f.clip(r.id, 200) }, h("bdi", { class: "name" }, kind === "rigs" ? f.rigName(r.id) : r.id === "" ? "All others" : f.clip(r.id)),
          h("span", { class: "bar", "aria-hidden": "true", style: { width: `${(most > 0 ? Math.max(0, r.net) / most * 100 : 0).toFixed(1)}%` } })),
        h("td", { class: "num" }, f.money(r.net, r.currency), h("span", { class: "quiet" }, r.orders == null ? f.plural(r.units, "unit", "units") : `${f.plural(r.orders, "order", "orders")} · ${f.plural(r.units, "unit", "units")}`))))))
    : h("p", { class: "quiet" }, "No data yet."), more(mine.length, TOP, open, onMore));
}

const more = (n, top, open, onMore) => n > top && h("button", { type: "button", class: "more", "aria-expanded": String(!!open), onclick: onMore }, open ? "Show fewer" : `Show all ${f.count(n)}`);

/** Stock, the riskiest first, in words. */
export function stock(rows, open, onMore, stamp) {
  const all = rows.map((s) => ({ s, w: stockWords(s) })).sort((a, b) => b.w.risk - a.w.risk || (a.s.sku < b.s.sku ? -1 : 1));
  if (!all.length) return null;
  return part("stock", "Stock by risk", stamp,
    h("table", { class: "stock-table" },
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "Product"), h("th", { scope: "col", class: "num" }, "Expected"), h("th", { scope: "col", class: "num" }, "Counted"), h("th", { scope: "col", class: "words" }, "In words"))),
      h("tbody", null, (open ? all : all.slice(0, 8)).map(({ s, w }) => h("tr", { key: s.sku, class: `lv${w.level}` },
        h("th", { scope: "row", title: f.clip(s.sku, 200) }, h("bdi", { class: "name" }, s.sku === "" ? "All others" : f.clip(s.sku))),
        h("td", { class: "num" }, s.expected == null ? "–" : f.count(s.expected)),
        h("td", { class: "num" }, s.counted == null ? "–" : f.count(s.counted)),
        h("td", { class: "words" }, h("span", { class: "state" }, w.level > 1 ? h("span", { "aria-hidden": "true" }, "▲ ") : null, w.text)))))),
    more(all.length, 8, open, onMore));
}
