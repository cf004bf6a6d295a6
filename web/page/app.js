// popwatch's live page: the same files on a till (its own sales) and on a region (all tills).
// Order: the rows come from data.js, words from say.js, text from fmt.js, elements from parts.js and chart.js; this file composes.

import * as chart from "./chart.js";
import * as data from "./data.js";
import { h, memo, patch } from "./dom.js";
import * as f from "./fmt.js";
import * as parts from "./parts.js";
import { connectionLine, edgeLines, regionLines } from "./say.js";

const meta = (name) => (document.querySelector(`meta[name="${name}"]`) || { content: "" }).content.replace(/^%.*%$/, "");
const role = meta("popwatch-role") || "region";
const rig = meta("popwatch-rig");
const app = document.getElementById("app");
const announce = document.getElementById("announce");
const { state } = data;

const ui = { currency: null, cursor: null, hover: false, width: 0, table: false, more: {}, theme: null };
let frame = 0;
let said = { key: "", at: -Infinity };

function soon() {
  if (!frame) frame = requestAnimationFrame(() => { frame = 0; render(); });
}

function render() {
  const age = data.ageMs();
  const now = data.serverNow();
  const popup = data.row("popup") || (state.popups || []).find((p) => p.id === state.popup) || null;
  if (popup && popup.zone) f.setZone(popup.zone);
  const nowRow = data.row("now");
  for (const c of (nowRow && nowRow.currencies) || []) f.learnExponent(c.currency, c.exponent);
  const well = state.link === "live" || state.link === "polling";
  const freshness = age > 60_000 ? "old" : age > 15_000 || (state.kept && age > 2_000) ? "stale" : "fresh";
  document.documentElement.dataset.age = state.asof ? freshness : "fresh";
  const stamp = state.asof && (freshness !== "fresh" || (!well && age > 2_000)) ? `as of ${f.hms(state.asof.server_ms)}` : null;
  document.title = `${state.popup ? f.clip(state.popup, 40) : rig || "popwatch"} · popwatch`;
  patch(app, [head(popup, now, age, freshness), main(popup, nowRow, now, age, stamp)]);
  measure();
}

// ---- header

function head(popup, now, age, freshness) {
  const list = state.popups || [];
  return h("header", { key: "top", class: "top" }, h("div", { class: "wrap bar-top" },
    h("div", { class: "who" },
      h("h1", null, list.length > 1 ? picker(list) : h("bdi", null, state.popup ? f.clip(state.popup, 60) : "popwatch")),
      h("p", { class: "quiet" }, role === "edge" && rig ? [h("bdi", null, f.rigName(rig)), popup ? " · " : ""] : null, popup && popupClock(popup, now))),
    pill(age, freshness),
    h("button", { type: "button", class: "theme", "aria-label": `Theme: ${ui.theme || "as the device"}`, title: "Light, dark or as the device", onclick: nextTheme }, ui.theme === "dark" ? "☾" : ui.theme === "light" ? "☀" : "◐")));
}

/** With several popups the name itself is the choice. */
function picker(list) {
  return h("select", { "aria-label": "Popup", value: state.popup || "", onchange: (e) => { location.hash = `popup=${encodeURIComponent(e.target.value)}`; } },
    list.map((p) => h("option", { key: p.id, value: p.id }, f.clip(p.id, 40))));
}

/** "1:42 of 3:00 h". A replay runs in the past: then the watermark tells where in the day it is. */
function popupClock(popup, now) {
  if (popup.starts_ms == null || popup.ends_ms == null) return "no set hours";
  const whole = popup.ends_ms - popup.starts_ms;
  const within = (t) => t >= popup.starts_ms && t <= popup.ends_ms;
  const mark = (state.asof && state.asof.watermark_ms) || 0;
  const at = within(now) ? now : within(mark) ? mark : now;
  if (at < popup.starts_ms) return `starts in ${f.span(popup.starts_ms - at)} h`;
  if (at > popup.ends_ms) return `closed at ${f.hmNear(popup.ends_ms, now)} after ${f.span(whole)} h`;
  return h("span", { "data-testid": "popup-clock" }, `${f.span(at - popup.starts_ms)} of ${f.span(whole)} h`);
}

function pill(age, freshness) {
  const [mark, text] = !state.heard ? (state.link === "lost" ? ["▲", "No contact"] : ["○", "Opening"])
    : freshness === "old" ? ["▨", `as of ${f.hms(state.asof ? state.asof.server_ms : data.serverNow() - age)}`]
    : state.link === "lost" || state.kept ? ["▲", `${f.age(age)} ago`]
    : age < 2_000 ? ["●", state.link === "polling" ? "Live, polling" : "Live"] : [freshness === "stale" ? "▲" : "●", `${f.age(age)} ago`];
  const level = !state.heard && state.link !== "lost" ? "lv1" : mark === "●" ? "lv0" : "lv2";
  return h("p", { class: `pill ${level} ${freshness}`, "data-testid": "age", "data-value": Number.isFinite(age) ? Math.round(age) : "" }, h("span", { "aria-hidden": "true" }, mark), h("span", null, text));
}

function nextTheme() {
  const order = [null, "light", "dark"];
  setTheme(order[(order.indexOf(ui.theme) + 1) % order.length]);
  try {
    if (ui.theme) localStorage.setItem("popwatch.theme", ui.theme);
    else localStorage.removeItem("popwatch.theme");
  } catch { /* storage refused: the choice lasts as long as the page */ }
  soon();
}
function setTheme(theme) {
  ui.theme = theme === "light" || theme === "dark" ? theme : null;
  if (ui.theme) document.documentElement.dataset.theme = ui.theme;
  else delete document.documentElement.dataset.theme;
}

// ---- body

function main(popup, nowRow, now, age, stamp) {
  const body = (kids) => h("main", { key: "main", id: "main", class: "wrap", tabindex: -1 }, kids);
  const problem = state.problem && h("p", { key: "problem", class: "note warn" }, `▲ The server answers ${f.clip(state.problem, 200)}`);
  if (!state.asof) return body([waiting(problem), problem]);
  const lines = [connectionLine(state, age, role), ...sentences(now)].filter(Boolean);
  speak(lines[0]);
  const list = (nowRow && nowRow.currencies) || [];
  const currencies = list.length ? list.map((c) => c.currency) : (popup && popup.currencies) || [];
  if (!currencies.includes(ui.currency)) ui.currency = currencies[0] || null;
  const edge = data.row("edge");
  return body([
    status(lines), problem,
    h("div", { key: "one", class: "row first" },
      nowRow ? parts.takings(nowRow, stamp) : parts.part("takings", "Net revenue", stamp, h("p", { class: "big none" }, "No data yet")),
      edge ? parts.till(edge, now, stamp) : parts.completeness(state.asof, stamp)),
    currencies.length > 1 && currencyPicker(currencies),
    h("div", { key: "two", class: "row second" }, revenue(popup, stamp), nowRow && parts.checkout(nowRow, stamp)),
    !edge && parts.rigs(data.rowsUnder("rig/").map(([, r]) => r).sort((a, b) => (a.rig < b.rig ? -1 : 1)), state.asof, now, stamp),
    boards(stamp),
    parts.stock(data.rowsUnder("sku/").map(([, s]) => s), ui.more.stock, toggler("stock"), stamp),
    nowRow && parts.named(nowRow.counts),
    h("p", { key: "foot", class: "foot quiet" }, "popwatch · ", role === "edge" ? "this till's own page; it needs no network" : "all tills together",
      popup && popup.zone ? ` · times in ${f.clip(popup.zone, 40)}` : "", popup && popup.note ? ` · ${f.clip(popup.note, 200)}` : ""),
  ]);
}

function waiting(problem) {
  const none = state.popups && !state.popups.length;
  const lost = state.link === "lost";
  const [title, text] = none ? ["No popup has begun here yet.", "The page opens by itself with the first event. Nothing needs to be pressed."]
    : problem ? ["This popup cannot be shown.", "Trying again by itself."]
    : lost ? ["popwatch does not answer at this address.", "Tills go on recording on their own. Trying again by itself."]
    : ["Reading the popup …", "First numbers in a moment."];
  const skeleton = !none && !problem && !lost;
  return h("div", { key: "waiting", class: "waiting", "data-testid": "status", "data-state": none ? "empty" : problem ? "error" : lost ? "unreachable" : "loading" },
    h("p", { class: "lead" }, title), h("p", { class: "quiet" }, text),
    skeleton && h("div", { class: "skeleton", "aria-hidden": "true" }, h("span"), h("span"), h("span")));
}

function sentences(now) {
  const edge = data.row("edge");
  return edge ? edgeLines(edge, now, data.drainRate()) : regionLines(data.rowsUnder("rig/").map(([, r]) => r), state.asof, now);
}

const MARKS = ["●", "◆", "▲", "✕"];
/** The weightiest sentence large; on a till the others beneath it, on a region with many tills behind "and 2 more". */
function status(lines) {
  const [first, ...rest] = lines;
  const line = (l) => [h("span", { class: "mark", "aria-hidden": "true" }, MARKS[l.level]), h("span", null, l.text)];
  const worst = Math.max(...lines.map((l) => l.level));
  return h("div", { key: "status", class: `status lv${worst}` },
    h("p", { class: `lv${first.level}`, "data-testid": "status", "data-state": first.key.split(" ")[0], "data-level": first.level }, line(first)),
    rest.length > 0 && rest.length <= 4 && role === "edge" && h("ul", { class: "also" }, rest.map((l) => h("li", { class: `lv${l.level}`, "data-state": l.key.split(" ")[0] }, line(l)))),
    rest.length > 0 && !(rest.length <= 4 && role === "edge") && h("details", null, h("summary", null, `and ${f.count(rest.length)} more`), h("ul", null, rest.slice(0, 40).map((l) => h("li", { class: `lv${l.level}` }, line(l))))));
}

/** The one polite region: a change of state only, at most one in 15 s. */
function speak(line) {
  const now = performance.now();
  if (!line || line.key === said.key || now - said.at < 15_000) return;
  said = { key: line.key, at: now };
  announce.textContent = line.text;
}

function currencyPicker(currencies) {
  return h("div", { key: "cur", class: "seg", role: "group", "aria-label": "Currency of the chart and the boards" }, currencies.map((c) =>
    h("button", { key: c, type: "button", "aria-pressed": String(c === ui.currency), onclick: () => { ui.currency = c; ui.cursor = null; soon(); } }, c)));
}

// ---- revenue per minute

function revenue(popup, stamp) {
  const minutes = data.rowsUnder("min/").map(([, m]) => m);
  if (!minutes.length || !ui.currency) return parts.part("revenue", "Revenue per minute", stamp, h("p", { class: "quiet empty" }, "No data yet. Each minute with sales becomes a bar."));
  const width = Math.max(240, ui.width || 320);
  const height = width < 520 ? 210 : 270;
  const g = memo("gather", [state.minutes, ui.currency, width, popup && popup.starts_ms, popup && popup.ends_ms], () => ({ tag: "", value: chart.gather(minutes, ui.currency, popup, width - 60) })).value;
  const mark = state.asof.watermark_ms ?? -Infinity;
  const last = Math.max(0, g.bins.length - 1);
  const newest = Math.max(0, g.bins.findLastIndex((b) => b.gross || b.refund));
  const at = ui.cursor == null ? null : Math.max(0, Math.min(last, Math.round((ui.cursor - g.bins[0].at) / (g.per * 60_000))));
  const svg = g.bins.length ? memo("svg", [g, width, mark, at, f.hm(0)], () => chart.draw(g, ui.currency, width, height, mark, at)) : h("p", { class: "quiet empty" }, "All minutes lie outside the popup's window; see the table.");
  const b = g.bins[at == null ? newest : at];
  const read = b && chart.readout(b, g, ui.currency);
  const go = (i) => { ui.cursor = g.bins[Math.max(0, Math.min(last, i))].at; soon(); };
  const keys = (e) => {
    const here = at == null ? newest : at;
    const to = { ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1, PageDown: here - 10, PageUp: here + 10, Home: 0, End: last }[e.key];
    if (e.key === "Escape") { ui.cursor = null; soon(); }
    if (to == null) return;
    e.preventDefault();
    go(to);
  };
  const title = g.per === 1 ? "Revenue per minute" : `Revenue per ${g.per} minutes`;
  return parts.part("revenue", title, stamp,
    h("p", { class: "readout" }, read && [h("b", null, read.time), " ", h("span", null, read.text)]),
    h("div", {
      class: "plot", id: "plot", tabindex: 0, role: "slider", "aria-label": `${title}, ${ui.currency}. Arrow keys move through time; the table below has every minute.`,
      "aria-valuemin": 0, "aria-valuemax": last, "aria-valuenow": at == null ? newest : at, "aria-valuetext": read ? `${read.time}: ${read.text}` : "no data",
      onkeydown: keys, onpointermove: (e) => g.bins.length && go(chart.barAt(e.currentTarget.querySelector("svg"), e.clientX, g.bins)),
      onpointerdown: (e) => g.bins.length && go(chart.barAt(e.currentTarget.querySelector("svg"), e.clientX, g.bins)),
      onpointerleave: (e) => { if (e.pointerType === "mouse") { ui.cursor = null; soon(); } }, onblur: () => { ui.cursor = null; soon(); },
    }, svg),
    h("p", { class: "legend" }, h("span", { class: "k gross" }, "gross"), h("span", { class: "k refund" }, "refunds"), h("span", { class: "k net-k" }, "net where refunded"), h("span", { class: "k soft" }, "still arriving")),
    h("details", { class: "table", ontoggle: (e) => { ui.table = e.target.open; soon(); } }, h("summary", null, "Table"),
      ui.table && memo("table", [g, ui.currency], () => minuteTable(g))),
    g.outside > 0 && h("p", { class: "quiet" }, `${f.plural(g.outside, "minute lies", "minutes lie")} outside the popup's window: in the table only.`));
}

function minuteTable({ rows, mixed }) {
  const c = ui.currency;
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Revenue per minute, table" }, h("table", { class: "minutes" },
    h("caption", { class: "vh" }, `Revenue per minute in ${c}, newest first`),
    h("thead", null, h("tr", null, ["Minute", "Gross", "Refunds", "Net", mixed ? "Sales, all currencies" : "Sales"].map((t, i) => h("th", { scope: "col", class: i ? "num" : null }, t)))),
    h("tbody", null, [...rows].reverse().map((r) => h("tr", { key: r.at }, h("th", { scope: "row" }, f.hm(r.at)),
      [r.gross, -r.refund || 0, r.net].map((m) => h("td", { class: m < 0 ? "num down" : "num" }, f.money(m, c))), h("td", { class: "num" }, f.count(r.sales)))))));
}

/** The chart is drawn in real pixels, so that its text is never scaled. */
function measure() {
  const plot = document.getElementById("plot");
  const width = plot ? Math.floor(plot.clientWidth) : 0;
  if (width && width !== ui.width) {
    ui.width = width;
    soon();
  }
}

// ---- boards

const BOARDS = [["creators", "Creators"], ["products", "Products"], ["rigs", "Tills"]];
function boards(stamp) {
  const shown = BOARDS.map(([kind, title]) => [kind, title, data.row(`board/${kind}`)]).filter(([kind, , b]) => b && (b.rows || []).length && !(kind === "rigs" && role === "edge"));
  if (!shown.length) return null;
  return h("div", { key: "boards", class: "row boards" }, shown.map(([kind, title, b]) => parts.board(kind, title, b.rows, ui.currency, ui.more[kind], toggler(kind), stamp)));
}

const togglers = new Map();
function toggler(kind) {
  if (!togglers.has(kind)) togglers.set(kind, () => { ui.more[kind] = !ui.more[kind]; soon(); });
  return togglers.get(kind);
}

try {
  setTheme(localStorage.getItem("popwatch.theme"));
} catch { /* storage refused */ }
addEventListener("resize", soon);
data.start(soon, role);
soon();
