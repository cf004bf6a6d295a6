// What the state of things is called in plain words. Every sentence a seller reads is made here.
// Each line is {level, text, key}: level orders them (3 stop and act, 2 look, 1 know, 0 fine), key names the state without its numbers.

import { age, count, hms, hmNear, moneyList, plural, plusMinus, rigName } from "./fmt.js";

const line = (level, key, text) => ({ level, key, text });

/** "12 sales (EUR 214.50)"; the money is left out when there is none, the count when it was never told. */
export function backlog(unsent) {
  if (!unsent || unsent.records == null) return "an unknown number of sales";
  const what = unsent.sales ? plural(unsent.sales, "sale", "sales") : plural(unsent.records, "record", "records");
  const worth = moneyList(unsent.money);
  return worth ? `${what} (${worth})` : what;
}

/** What the connection to the server itself has to say; null while it is well. */
export function connectionLine(state, ageMs, now) {
  if (state.kept || ((state.link === "lost" || state.link === "opening") && ageMs > 2_000) || ageMs > 15_000) {
    if (!state.asof) return null;
    return line(2, "stream_lost", `Last heard at ${hms(state.asof.server_ms)}, ${age(ageMs)} ago. Numbers below are from then; sales go on.`);
  }
  return null;
}

/** The rig's own page: what is safe here, what is not yet elsewhere. */
export function edgeLines(edge, now) {
  const out = [];
  const states = new Set([...(edge.states || [])]);
  const down = (edge.peers || []).filter((p) => p.state === "down");
  if (states.has("cannot_store")) {
    out.push(line(3, "cannot_store", "This till cannot record. Keep selling, note sales on paper." + (edge.last_sale_ms ? ` Last safe sale ${hms(edge.last_sale_ms)}.` : "")));
  }
  if (states.has("fork")) out.push(line(3, "fork", "Two journals use this till's name. Sales are kept here until the office decides."));
  if (states.has("not_admitted")) out.push(line(3, "not_admitted", "The office refused this till; sales are kept here."));
  if (states.has("newer_format")) out.push(line(3, "newer_format", "This till needs the newer popwatch."));
  if (states.has("payments_failing")) out.push(line(3, "payments_failing", "Card payments are failing. Offer cash."));
  if (states.has("selling_offline") || (down.length && down.length === (edge.peers || []).length)) {
    const from = down.map((p) => p.down_since_ms).filter((t) => t != null);
    const since = from.length ? `Offline since ${hmNear(Math.min(...from), now)}.` : "Offline.";
    const rest = edge.unsent && edge.unsent.records ? `${upper(backlog(edge.unsent))} ${are(edge.unsent)} safe on this till, not in the total yet.` : "All sales so far are in the total.";
    out.push(line(2, "selling_offline", `${since} ${rest}`));
  } else if (down.length) {
    for (const p of down) {
      const name = p.kind === "ledger" ? "The ledger" : "The live total";
      out.push(line(2, "peer_" + p.kind, `${name} cannot be reached${p.down_since_ms != null ? ` since ${hmNear(p.down_since_ms, now)}` : ""}. Sales are safe on this till.`));
    }
  }
  if (states.has("replaying")) out.push(line(1, "replaying", `Back online. ${upper(backlog(edge.unsent))} still to send.`));
  if (states.has("storage_pressure")) out.push(line(2, "storage_pressure", "Disk is nearly full. Chat is no longer kept; sales are."));
  if (states.has("clock_suspect")) out.push(line(1, "clock_suspect", "The clock may be wrong; times are corrected at the next contact."));
  if (states.has("power")) out.push(line(2, "power", "On battery. Recorded sales are safe if it stops."));
  if (states.has("deferred_payments")) out.push(line(1, "deferred_payments", "Cards are taken offline and could still be declined."));
  if (edge.gap_records > 0) out.push(line(2, "gap", `${plural(edge.gap_records, "record", "records")} lost to disk damage; the books know which.`));
  if (!out.length) {
    out.push(edge.last_sale_ms
      ? line(0, "ok", `Last sale safe on disk ${age(now - edge.last_sale_ms)} ago.`)
      : line(0, "ok", "Ready. No sale on this till yet."));
  }
  return worstFirst(out);
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
  if (states.has("cannot_store")) add(3, "cannot_store", `${name} cannot record. Keep selling, note sales on paper until it recovers.`);
  if (["fork", "not_admitted", "quarantined"].some((s) => states.has(s))) add(3, "held", `${name} is held back for a check. Its sales are kept but not shown.`);
  if (states.has("payments_failing")) add(3, "payments_failing", `Card payments are failing at ${name}. Offer cash, or hold the drop.`);
  if (silent || states.has("silent") || states.has("selling_offline")) {
    const since = hmNear(silent && silent.since_ms ? silent.since_ms : r.last_heard_ms, now);
    const told = r.unsent && r.unsent.records != null ? r.unsent : silent && silent.records != null ? { records: silent.records, money: [] } : null;
    if (told && told.records > 0) add(2, "selling_offline", `${name} is offline since ${since} and still selling. ${upper(backlog(told))} ${are(told)} safe on the till and not in the total yet.`);
    else add(2, "silent", `We cannot hear ${name} since ${since}. Earlier sales are counted. If its screen shows newer ones, they are safe there.`);
  } else if (states.has("replaying")) {
    add(1, "replaying", `${name} is back and sending ${backlog(r.unsent)}. The total will rise.`);
  }
  if (states.has("storage_pressure")) add(2, "storage_pressure", `${name} is nearly full. Sales are kept; chat is no longer recorded.`);
  if (states.has("power")) add(2, "power", `${name} is on battery. Recorded sales are safe if it stops.`);
  if (states.has("clock_suspect")) add(1, "clock_suspect", `${name}'s clock may be ${r.clock_u_ms != null ? plusMinus(r.clock_u_ms).slice(1) + " " : ""}off. Totals are right; a sale may move to another minute.`);
  if (states.has("deferred_payments")) add(1, "deferred_payments", `Cards are taken offline at ${name} and could still be declined.`);
  if (r.gap_records > 0 || states.has("gap")) add(2, "gap", `A fault cost ${r.gap_records > 0 ? plural(r.gap_records, "record", "records") : "part"} of ${name}'s journal. The books name each one.`);
}

/** A rig's own state in two words, with a mark that does not depend on colour. */
export function rigWord(r, silent) {
  const states = [r.state, ...(r.states || [])];
  const has = (...names) => names.some((n) => states.includes(n));
  if (has("cannot_store")) return { level: 3, mark: "✕", word: "Cannot record" };
  if (has("fork", "not_admitted", "quarantined", "newer_format")) return { level: 3, mark: "✕", word: "Held for a check" };
  if (silent || has("silent", "selling_offline")) return { level: 2, mark: "▲", word: r.unsent && r.unsent.records ? "Offline, still selling" : "Not heard" };
  if (has("replaying")) return { level: 1, mark: "↑", word: "Catching up" };
  if (has("storage_pressure")) return { level: 2, mark: "▲", word: "Disk nearly full" };
  if (has("power")) return { level: 2, mark: "▲", word: "On battery" };
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
