// The one module that talks to the server: which popups there are, one stream, polling when the stream is refused, and the
// last rows kept in this browser. Rows are replaced whole and never patched; on any failure the last rows stay with their age.
// The id of the last event is kept with its rows: any server goes on from there, or says that it holds less (`behind`).

const POPUPS_EVERY_MS = 30_000;
const POPUPS_EMPTY_EVERY_MS = 3_000;
const POLL_EVERY_MS = 5_000;
const STREAM_RETRY_MS = 15_000;
const SILENCE_MAX_MS = 12_500; // two and a half ticks: the connection is half open, a new one is faster than TCP's patience
const KEEP_EVERY_MS = 4_000;
const KEEP_FOR_MS = 86_400_000;
const KEEP_CHARS_MAX = 1_500_000;
const KEY = "popwatch.rows.2";

/** What the page knows. `heard` is when the server last said anything, on both of this browser's clocks. */
export const state = {
  popups: null, popup: null, asof: null, rows: new Map(), heard: null, link: "opening", problem: null, kept: false, minutes: 0, place: null, behind: null,
  regressed: false,
};

let changed = () => {};
let view = "operator";
let source = null;
let timer = 0;
let poller = 0;
let etag = null;
let keptAt = 0;
let asked = 0;

export function start(onChange, role) {
  changed = onChange;
  view = role === "edge" ? "rig" : "operator";
  restore();
  addEventListener("hashchange", choose);
  addEventListener("pagehide", () => keep(true));
  addEventListener("online", () => state.link !== "live" && reconnect());
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) keep(true);
    else if (ageMs() > 7_000) reconnect();
  });
  setInterval(watch, 1_000);
  listPopups();
}

/** Milliseconds since the server last spoke. Both clocks are asked, because one of them may stop while a phone sleeps. */
export function ageMs() {
  const at = state.heard;
  if (!at) return Infinity;
  const wall = Date.now() - at.wall;
  return at.mono == null ? Math.max(0, wall) : Math.max(performance.now() - at.mono, wall < KEEP_FOR_MS ? wall : 0);
}
/** The server's clock now, carried on by this browser's. */
export const serverNow = () => (state.asof ? state.asof.server_ms + Math.min(ageMs(), KEEP_FOR_MS * 365) : Date.now());

export function row(key) {
  return state.rows.get(key);
}
/** All rows under a prefix, as [key, value]. */
export function rowsUnder(prefix) {
  const out = [];
  for (const [k, v] of state.rows) if (k.startsWith(prefix) && v) out.push([k, v]);
  return out;
}

async function listPopups() {
  clearTimeout(timer);
  try {
    const answer = await fetch("/v1/popups", { headers: { accept: "application/json" }, cache: "no-store" });
    if (!answer.ok) throw new Error(await problemOf(answer));
    const body = await answer.json();
    state.popups = (body.popups || []).filter((p) => p && typeof p.id === "string").sort((a, b) => (b.starts_ms || 0) - (a.starts_ms || 0));
    if (!state.popups.length) {
      heard();
      state.link = "live";
    }
    state.problem = null;
    choose();
  } catch (e) {
    fail(e);
  }
  const soon = !state.popups || !state.popups.length || !state.popup;
  timer = setTimeout(listPopups, soon ? POPUPS_EMPTY_EVERY_MS : POPUPS_EVERY_MS);
  changed();
}

/** The popup named in the address, else the newest. */
function choose() {
  const named = new URLSearchParams(location.hash.slice(1)).get("popup");
  const list = state.popups || [];
  const id = named || (list[0] && list[0].id) || null;
  if (id && (id !== state.popup || !source)) {
    if (id !== state.popup) clear();
    state.popup = id;
    open();
  }
  changed();
}

function clear() {
  state.rows = new Map();
  state.asof = null;
  state.heard = null;
  state.kept = false;
  state.place = state.behind = null;
  state.minutes++;
  etag = null;
}

const path = (what) => `/v1/popups/${encodeURIComponent(state.popup)}/${what}`;

function open() {
  if (source) source.close();
  clearTimeout(poller);
  asked = performance.now();
  const since = state.place ? `&since=${encodeURIComponent(state.place)}` : "";
  const mine = new EventSource(path(`stream?view=${view}${since}`));
  source = mine;
  if (state.link !== "live") state.link = "opening";
  const on = (name, take) => mine.addEventListener(name, (m) => {
    if (source !== mine) return;
    try {
      take(JSON.parse(m.data));
      if (name === "snapshot" || name === "delta") state.place = m.lastEventId || null;
    } catch (e) {
      fail(e);
      return;
    }
    clearTimeout(poller);
    state.link = "live";
    state.problem = null;
    heard();
    keep(false);
    changed();
  });
  on("snapshot", takeSnapshot);
  on("delta", takeDelta);
  on("tick", (d) => {
    if (!state.asof || state.behind) return;
    state.kept = false; // a tick without rows says that those held here are the newest
    state.asof = { ...state.asof, server_ms: d.server_ms, watermark_ms: d.watermark_ms, silent: d.silent || [] };
  });
  // This server holds less than was shown here: the paint stays until it has caught up.
  on("behind", (d) => { state.behind = d.rigs || []; });
  mine.onerror = () => {
    if (source !== mine) return;
    state.link = "lost";
    changed();
    // A refused stream (too many readers, popup gone) is closed for good: read by polling and knock again later.
    if (mine.readyState === EventSource.CLOSED) {
      poll();
      setTimeout(() => source === mine && open(), STREAM_RETRY_MS + Math.random() * 5_000);
    }
  };
}

function reconnect() {
  if (state.popup) open();
  else listPopups();
}

/** Once a second: a stream that says nothing for longer than two ticks is replaced. */
function watch() {
  if (source && state.popup && source.readyState !== EventSource.CLOSED) {
    const quiet = Math.min(ageMs(), performance.now() - asked);
    if (quiet > SILENCE_MAX_MS) {
      state.link = "lost";
      open();
      poll();
    }
  }
  changed();
}

async function poll() {
  clearTimeout(poller);
  const popup = state.popup;
  try {
    const answer = await fetch(path("summary"), { headers: etag ? { "if-none-match": etag } : {}, cache: "no-store", signal: AbortSignal.timeout(10_000) });
    if (popup !== state.popup || state.link === "live") return;
    if (answer.status !== 304) {
      if (!answer.ok) throw new Error(await problemOf(answer));
      takeSnapshot(await answer.json());
      state.place = null;
      etag = answer.headers.get("etag");
    } else if (state.asof) {
      state.asof = { ...state.asof, server_ms: serverNow() };
    }
    state.link = "polling";
    state.problem = null;
    heard();
    keep(false);
  } catch (e) {
    fail(e);
  }
  if (state.link !== "live") poller = setTimeout(poll, POLL_EVERY_MS);
  changed();
}

/** The one sentence of a problem document, or the status. */
async function problemOf(answer) {
  try {
    const p = await answer.json();
    return [p.code, p.detail || p.title].filter(Boolean).join(": ") || `HTTP ${answer.status}`;
  } catch {
    return `HTTP ${answer.status}`;
  }
}

/** How fast the backlog shrinks, records a second over the last seconds; null while it does not or is not known. */
const backlog = [];
export function drainRate() {
  const [first, last] = [backlog[0], backlog[backlog.length - 1]];
  if (!first || last.at - first.at < 1_000 || last.records >= first.records) return null;
  return (first.records - last.records) * 1_000 / (last.at - first.at);
}
function noteBacklog() {
  const edge = state.rows.get("edge");
  const records = edge && edge.unsent ? edge.unsent.records : 0;
  if (!records || (backlog.length && records > backlog[backlog.length - 1].records)) backlog.length = 0;
  if (records) backlog.push({ at: performance.now(), records });
  while (backlog.length > 1 && backlog[backlog.length - 1].at - backlog[0].at > 10_000) backlog.shift();
}

/** All rows, or with `keep` all but those under that prefix, which stay unless they are named. */
function takeSnapshot(d) {
  const rows = new Map();
  if (d.keep) for (const [k, v] of state.rows) if (k.startsWith(d.keep)) rows.set(k, v);
  for (const k of d.gone || []) rows.delete(k);
  for (const [k, v] of Object.entries(d.rows || {})) rows.set(k, v);
  state.asof = d.asof;
  state.rows = rows;
  state.kept = false;
  state.behind = null;
  state.regressed = !!d.regressed;
  state.minutes++;
  noteBacklog();
}

function takeDelta(d) {
  if (d.asof) state.asof = d.asof;
  for (const [k, v] of Object.entries(d.rows || {})) put(k, v);
  for (const k of d.gone || []) put(k, null);
  noteBacklog();
}

function put(key, value) {
  if (key.startsWith("min/")) state.minutes++;
  if (value == null) state.rows.delete(key);
  else state.rows.set(key, value);
}

function heard() {
  state.heard = { mono: performance.now(), wall: Date.now() };
}

function fail(e) {
  state.problem = e instanceof TypeError ? null : String(e.message || e);
  if (state.link !== "polling" || ageMs() > SILENCE_MAX_MS) state.link = "lost";
}

function keep(now) {
  if (!state.asof || state.kept || (!now && performance.now() - keptAt < KEEP_EVERY_MS)) return;
  keptAt = performance.now();
  try {
    const text = JSON.stringify({ popup: state.popup, popups: state.popups, wall: state.heard.wall, place: state.place, asof: state.asof, rows: Object.fromEntries(state.rows) });
    if (text.length <= KEEP_CHARS_MAX) localStorage.setItem(KEY, text);
  } catch {
    // Storage refused or full: the page works from memory.
  }
}

function restore() {
  try {
    const k = JSON.parse(localStorage.getItem(KEY));
    if (!k) return;
    const named = new URLSearchParams(location.hash.slice(1)).get("popup");
    const old = Date.now() - k.wall;
    if (!(old < KEEP_FOR_MS)) localStorage.removeItem(KEY);
    else if (!named || named === k.popup) {
      Object.assign(state, { popup: k.popup, asof: k.asof, rows: new Map(Object.entries(k.rows)), heard: { mono: null, wall: k.wall }, place: k.place || null, kept: true });
    }
  } catch {
    // Nothing readable was kept.
  }
}
