// What the state of things is called in plain words. Every sentence a seller reads is made here.
// Each line is {level, text, key}: level orders them (3 stop and act, 2 look, 1 know, 0 fine), key names the state without its numbers.

import { age, count, lasts, minutes, hms, hmNear, moneyList, plural, plusMinus, rigName } from "./fmt.js";

const line = (level, key, text) => ({ level, key, text });

/** "12 sales (EUR 214.50)"; the money is left out when there is none, the count when it was never told. */
export function backlog(unsent) {
  if (!unsent || unsent.records == null) return "an unknown number of sales";
  const what = unsent.sales ? plural(unsent.sales, "sale", "sales") : plural(unsent.records, "record", "records");
  const worth = moneyList(unsent.money);
  return worth ? `${what} (${worth})` : what;
}

/** What the connection to the server itself has to say; null while it is well. */
export function connectionLine(state, ageMs, role) {
  if (state.kept || ((state.link === "lost" || state.link === "opening") && ageMs > 2_000) || ageMs > 15_000) {
    if (!state.asof) return null;
    if (role === "edge") return line(2, "stream_lost", `This page has lost its till; last heard ${hms(state.asof.server_ms)}. Numbers below are from then. Trying again by itself.`);
    return line(2, "stream_lost", `Last heard at ${hms(state.asof.server_ms)}, ${age(ageMs)} ago. Numbers below are from then; sales go on.`);
  }
  if (state.behind && state.asof) return line(2, "behind", `This server is still being filled. Numbers below are from ${hms(state.asof.server_ms)} and stay until it has them again; sales go on.`);
  if (state.regressed) return line(2, "regressed", "This server holds less than was shown before. What is missing comes as tills send it again; their sales are safe on them.");
  return null;
}

/** Every state of a rig: its weight is its place here, its mark and level never depend on colour alone, its sentence has the status's own numbers. */
const RIG_STATES = [
  ["cannot_store", 3, (e) => `This till cannot save sales. Keep selling, note them on paper.${e.last_sale_ms ? ` Last safe sale ${hms(e.last_sale_ms)}.` : ""}`],
  ["newer_format", 3, () => "This till needs the newer popwatch. What the newer one wrote is untouched."],
  ["fork", 3, () => "Two journals use this till's name. Sales are kept here; the office must decide which till keeps the name."],
  ["not_admitted", 3, () => "The office refused this till. Sales are kept here until it is let in."],
  ["storage_pressure", 2, (e) => storage(e.disk || {})],
  ["power", 2, (e) => power(e.power || {}, e.temperature || {})],
  ["gap", 2, (e) => gap(e)],
  ["clock_suspect", 1, (e) => `${clockOff(e.clock || {})} Times are corrected at the next contact; amounts are right.`],
  ["selling_offline", 2, (e, now) => offline(e, now)],
  ["replaying", 1, (e, now, rate) => `Back online. ${upper(backlog(e.unsent))} still to send${rate ? `, about ${lasts((e.unsent.records || 0) / rate)}` : ""}.`],
];

function storage(d) {
  const left = d.minutes_left != null ? `${minutes(d.minutes_left)} of disk left.` : "The disk is nearly full.";
  if (d.level >= 3) return `${left} Only sales are kept; make room on this disk.`;
  if (d.level === 2) return `${left} Chat and checkout steps are no longer kept; sales are.`;
  return `${left} Chat is no longer kept; sales are.`;
}

function power(p, t) {
  if (p.under_voltage) return "Power supply too weak: replace the adapter.";
  if (p.on_battery) {
    const rest = p.minutes != null ? `${minutes(p.minutes)} left` : p.battery != null ? `${count(p.battery)} % left` : "for an unknown time";
    return `On battery, ${rest}. Sales already safe on this till stay safe if it stops.`;
  }
  if (t.throttled || t.celsius >= 75) return `This till is too hot${t.celsius != null ? ` (${count(t.celsius)} °C)` : ""}. Give it air and shade.`;
  return "The battery runs down although the adapter is in: use a stronger one.";
}

function gap(e) {
  const worth = lost(e.gaps);
  const what = `${plural(e.gap_records, "record", "records")}${worth ? ` (${worth})` : ""}`;
  return `${what} lost to disk damage; the books know which.`;
}

/** What lost records were worth per currency: "EUR 412.50", "value unknown", nothing where no money was among them. */
export function lost(gaps) {
  const sums = new Map();
  for (const row of (gaps || []).flatMap((g) => g.value || [])) {
    if (row.currency !== "XXX") sums.set(row.currency, (sums.get(row.currency) || 0) + row.captured - row.refunded);
  }
  const known = moneyList([...sums].map(([currency, minor]) => ({ currency, minor })));
  const unknown = (gaps || []).some((g) => g.value == null);
  return [known, unknown && (known ? "and more of unknown value" : "value unknown")].filter(Boolean).join(" ");
}

function clockOff(c) {
  const off = Math.max(Math.abs(c.offset_ms || 0), c.u_ms || 0);
  return off >= 1_000 ? `Clock may be ${lasts(off / 1_000)} wrong.` : "This till's clock has not been checked.";
}

function offline(e, now) {
  const from = (e.peers || []).map((p) => p.down_since_ms).filter((t) => t != null);
  const since = from.length ? `Offline since ${hmNear(Math.min(...from), now)}.` : "Offline.";
  return `${since} ${e.unsent && e.unsent.records ? `${upper(backlog(e.unsent))} ${are(e.unsent)} safe on this till, not in the total yet.` : "All sales so far are in the total."}`;
}

/** The rig's own page: what is safe here, what is not yet elsewhere. `rate` is records sent per second, as far as known. */
export function edgeLines(edge, now, rate) {
  const states = new Set(edge.states || []);
  const out = RIG_STATES.filter(([key]) => states.has(key)).map(([key, level, say]) => line(level, key, say(edge, now, rate)));
  if (!states.has("selling_offline")) {
    for (const p of (edge.peers || []).filter((p) => p.state === "down")) {
      const name = p.kind === "ledger" ? "The ledger" : "The live total";
      out.push(line(2, "peer_" + p.kind, `${name} cannot be reached${p.down_since_ms != null ? ` since ${hmNear(p.down_since_ms, now)}` : ""}. Sales are safe on this till.`));
    }
  }
  if (!out.length) {
    out.push(edge.last_sale_ms
      ? line(0, "ok", `Last sale safe on disk ${age(now - edge.last_sale_ms)} ago.`)
      : line(0, "ok", "Ready. No sale on this till yet."));
  }
  return out;
}

/** All rigs, as the people who run the popup read them. */
export function regionLines(rigs, asof, now) {
  const out = [];
  const silent = new Map((asof.silent || []).map((s) => [s.rig, s]));
  for (const r of rigs) rigLines(r, silent.get(r.rig), now, out);
  for (const s of silent.values()) if (!rigs.some((r) => r.rig === s.rig)) rigLines({ rig: s.rig, states: [] }, s, now, out);
  if (!out.length) {
    if (!rigs.length) out.push(line(0, "waiting", "Open. No till has reported yet."));
    else {
      const whole = asof.have >= asof.known;
      const live = rigs.length === 1 ? `${rigName(rigs[0].rig)} is live.` : `All ${count(rigs.length)} tills are live.`;
      out.push(line(0, "ok", `${live} ${whole ? "The total is up to date." : `${plural(asof.known - asof.have, "record is", "records are")} on the way.`}`));
    }
  }
  return worstFirst(out);
}

function rigLines(r, silent, now, out) {
  const name = rigName(r.rig);
  const states = new Set([...(r.states || []), r.state]);
  const add = (level, key, text) => out.push(line(level, `${key} ${r.rig}`, text));
  if (states.has("cannot_store")) add(3, "cannot_store", `${name} cannot save sales. Keep selling, note them on paper until it recovers.`);
  if (["fork", "not_admitted", "quarantined", "newer_format"].some((s) => states.has(s))) add(3, "held", `${name} is held back for a check. Its sales are kept but not shown.`);
  if (states.has("payments_failing")) add(3, "payments_failing", `Card payments are failing at ${name}. Offer cash, or hold the drop.`);
  if (silent || states.has("silent") || states.has("selling_offline")) {
    const since = hmNear(silent && silent.since_ms ? silent.since_ms : r.last_heard_ms, now);
    const told = r.unsent && r.unsent.records != null ? r.unsent : silent && silent.records != null ? { records: silent.records, money: [] } : null;
    if (told && told.records > 0) add(2, "selling_offline", `${name} is offline since ${since} and still selling. ${upper(backlog(told))} ${are(told)} safe on the till and not in the total yet.`);
    else add(2, "silent", `We cannot hear ${name} since ${since}. Earlier sales are counted. If its screen shows newer ones, they are safe there.`);
  } else if (states.has("replaying")) {
    add(1, "replaying", `${name} is back and sending ${backlog(r.unsent)}. The total will rise.`);
  }
  if (states.has("storage_pressure")) add(2, "storage_pressure", `${name} is nearly full${r.disk_minutes != null ? `, ${minutes(r.disk_minutes)} left` : ""}. Sales are kept; chat is not.`);
  if (states.has("power")) add(2, "power", `${name} ${r.battery != null ? `needs power (${count(r.battery)} % left)` : "has trouble with its power"}. Sales safe on it stay safe if it stops.`);
  if (states.has("clock_suspect")) add(1, "clock_suspect", `${name}'s clock may be ${r.clock_u_ms != null ? plusMinus(r.clock_u_ms).slice(1) + " " : ""}off. Totals are right; a sale may move to another minute.`);
  if (states.has("deferred_payments")) add(1, "deferred_payments", `Cards are taken offline at ${name} and could still be declined.`);
  if (r.gap_records > 0 || states.has("gap")) add(2, "gap", `A fault cost ${r.gap_records > 0 ? plural(r.gap_records, "record", "records") : "part"} of ${name}'s journal. The books name each one.`);
}

/** A rig's own state in two words, with a mark that does not depend on colour. */
export function rigWord(r, silent) {
  const states = [r.state, ...(r.states || [])];
  const has = (...names) => names.some((n) => states.includes(n));
  if (has("cannot_store")) return { level: 3, mark: "✕", word: "Cannot save" };
  if (has("fork", "not_admitted", "quarantined", "newer_format")) return { level: 3, mark: "✕", word: "Held for a check" };
  if (silent || has("silent", "selling_offline")) return { level: 2, mark: "▲", word: r.unsent && r.unsent.records ? "Offline, still selling" : "Not heard" };
  if (has("replaying")) return { level: 1, mark: "↑", word: "Catching up" };
  if (has("storage_pressure")) return { level: 2, mark: "▲", word: "Disk nearly full" };
  if (has("power")) return { level: 2, mark: "▲", word: "Power" };
  if (has("clock_suspect")) return { level: 1, mark: "◆", word: "Clock off" };
  if (has("gap")) return { level: 2, mark: "▲", word: "Has a gap" };
  return { level: 0, mark: "●", word: "Live" };
}

/** A stock line as a seller says it, and how much it matters. */
export function stockWords(s) {
  if (s.oversold) return { risk: 3e9 - (s.expected || 0), level: 3, text: s.expected < 0 ? `${count(-s.expected)} more sold than there were` : "More sold than there were" };
  if (s.skew != null && s.skew < 0) return { risk: 2e9 - s.skew, level: 2, text: `${count(-s.skew)} missing at the count` };
  if (s.skew != null && s.skew > 0) return { risk: 1e9 + s.skew, level: 1, text: `${count(s.skew)} more than expected` };
  if (s.expected == null) return { risk: -1, level: 0, text: "No stock is kept of it" };
  if (s.expected <= 0) return { risk: 9e8, level: 2, text: "Sold out" };
  if (s.expected <= Math.max(1, Math.floor(s.sold / 10))) return { risk: 8e8 - s.expected, level: 1, text: `Last ${count(s.expected)}` };
  return { risk: Math.max(0, s.sold), level: 0, text: s.counted != null ? "Count agrees" : "Not counted yet" };
}

const upper = (t) => t[0].toUpperCase() + t.slice(1);
const are = (u) => ((u.sales || u.records) === 1 ? "is" : "are");
const worstFirst = (lines) => lines.map((l, i) => [l, i]).sort((a, b) => b[0].level - a[0].level || a[1] - b[1]).map(([l]) => l);
