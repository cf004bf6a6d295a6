// The one module that talks to the server about a popup: which there are, one stream for all tabs of this browser, polling where
// the stream is refused. The id of the last event is kept with its rows: any server goes on from there, or says that it holds
// less (`behind`).

import { batch } from "@preact/signals";
import * as cache from "./cache";
import type { Asof } from "./rows";
import { sit, type Said, type Seat } from "./seat";
import { begin as beginSession, seesAll, standing } from "./session";
import * as store from "./store";
import type { Change, PopupEntry } from "./store";

export type View = "operator" | "rig" | "creator" | "coop" | "board";

const POPUPS_EVERY_MS = 30_000;
const POPUPS_EMPTY_EVERY_MS = 3_000;
const POLL_EVERY_MS = 5_000;
const STREAM_RETRY_MS = 15_000;
/** Two and a half ticks: the connection is half open, and a new one is faster than the patience of TCP. */
const SILENCE_MAX_MS = 12_500;
const KEEP_EVERY_MS = 4_000;

let view: View = "operator";
let source: EventSource | null = null;
/** Among the tabs that show the same; one of them reads. */
let seat: Seat | null = null;
/** Holds all rows of the reading tab, so that changes to them are enough. */
let whole = false;
let place: string | null = null;
let etag: string | null = null;
let named: string | null = null;
let lister = 0;
let poller = 0;
let knocker = 0;
let askedAt = 0;
let keptAt = -Infinity;

/** Shows this view from here on; `name` is the popup that the address names. The first call paints what was kept. */
export async function show(wanted: View, name: string | null): Promise<void> {
  const first = lister === 0;
  const changed = wanted !== view;
  view = wanted;
  named = name;
  if (first) {
    lister = -1;
    await paintKept();
    begin();
    return;
  }
  if (changed) {
    place = null;
    etag = null;
  }
  choose(changed);
}

function begin(): void {
  addEventListener("pagehide", () => keep(true));
  addEventListener("online", () => store.link.value !== "live" && again());
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) keep(true);
    else if (store.ageMs() > 7_000) again();
  });
  setInterval(watch, 1_000);
  void listPopups();
}

async function paintKept(): Promise<void> {
  const found = await cache.restore(view);
  if (!found || (named && named !== found.popup)) return;
  batch(() => {
    store.replace({ asof: found.asof, rows: found.rows });
    store.popup.value = found.popup;
    store.popups.value = found.popups;
    store.heard.value = { mono: null, wall: found.wall };
    store.kept.value = true;
  });
  place = found.place;
}

/** Nothing moves until it is resumed: for whoever wants to read. */
export function pause(): void {
  shut();
  store.link.value = "paused";
}
export function resume(): void {
  store.link.value = "opening";
  again();
}

function shut(): void {
  seat?.leave();
  seat = null;
  unread();
}

/** Reads no longer; another tab does, or nothing is shown. */
function unread(): void {
  source?.close();
  source = null;
  clearTimeout(poller);
  clearTimeout(knocker);
}

async function listPopups(): Promise<void> {
  clearTimeout(lister);
  try {
    const answer = await fetch("/v1/popups", { headers: { accept: "application/json" }, cache: "no-store" });
    if (answer.status === 401) void beginSession(); // the session is over: the door is shown
    if (!answer.ok) throw new Error(await problemOf(answer));
    const body = (await answer.json()) as { popups?: PopupEntry[] };
    const list = (body.popups ?? []).filter((one) => typeof one?.id === "string");
    store.popups.value = list.sort((a, b) => (b.starts_ms ?? 0) - (a.starts_ms ?? 0));
    if (!list.length && store.link.value !== "paused") {
      store.hear();
      store.link.value = "live";
    }
    store.problem.value = null;
    choose(false);
  } catch (fault) {
    fail(fault);
  }
  const soon = !store.popups.value?.length || !store.popup.value;
  lister = window.setTimeout(() => void listPopups(), soon ? POPUPS_EMPTY_EVERY_MS : POPUPS_EVERY_MS);
}

/** The popup named in the address, else the newest. */
function choose(anew: boolean): void {
  const id = named ?? store.popups.value?.[0]?.id ?? null;
  if (!id || store.link.value === "paused") return;
  if (id !== store.popup.value) {
    store.clear();
    place = etag = null;
    store.popup.value = id;
    open();
  } else if (anew || !seat) {
    open();
  }
}

const path = (what: string): string => `/v1/popups/${encodeURIComponent(store.popup.value ?? "")}/${what}`;

/** Takes a seat among the tabs that show the same to the same person. */
function open(): void {
  shut();
  whole = false;
  if (store.link.value !== "live") store.link.value = "opening";
  const who = standing.value.is === "holder" ? Object.values(standing.value.session).join() : "";
  seat = sit(`popwatch ${path(view)} ${who}`, { lead: read, unseat: unread, hear: follow, link: () => store.link.value });
}

/** Hears what the reading tab tells, or answers a new one. */
function follow(said: Said): void {
  if (said.is === "event") {
    whole ||= said.name === "snapshot";
    if (whole) take(said.name, said.data, said.id);
    else seat?.say({ is: "ask" });
  } else if (said.is === "state") {
    whole = true;
    batch(() => {
      store.replace(said.change);
      place = said.place;
      store.link.value = said.link;
      store.problem.value = null;
      store.hear();
    });
    keep(false);
  } else if (said.is === "beat" && said.link !== "opening" && store.link.value !== "paused") {
    if (said.link !== "live") store.link.value = said.link === "paused" ? "lost" : said.link;
    else if (!whole) seat?.say({ is: "ask" });
  } else if (said.is === "ask") tellAll();
}

/** All rows, for tabs that have none yet. */
function tellAll(): void {
  const asof = store.asof.value;
  if (!asof || store.kept.value) return;
  seat?.say({ is: "state", change: { asof, rows: store.held() }, place, link: store.link.value });
}

/** What stands in the stream by this name changes what is shown. */
const changes: Record<string, (data: never) => void> = {
  snapshot: (change: Change) => store.replace(change),
  delta: (change: Change) => store.patch(change),
  tick: (tick: Pick<Asof, "server_ms" | "watermark_ms" | "silent">) => {
    const held = store.asof.value;
    if (!held || store.behind.value) return;
    store.kept.value = false; // a tick without rows says that those held here are the newest
    store.asof.value = { ...held, server_ms: tick.server_ms, watermark_ms: tick.watermark_ms, silent: tick.silent ?? [] };
  },
  // This server holds less than was shown here: the paint stays until it has caught up.
  behind: (told: { rigs?: string[] }) => {
    store.behind.value = told.rigs ?? [];
  },
};

function take(name: string, data: string, id: string): void {
  try {
    batch(() => {
      changes[name]?.(JSON.parse(data) as never);
      store.link.value = "live";
      store.problem.value = null;
      store.hear();
    });
  } catch (fault) {
    fail(fault);
    return;
  }
  if (name === "snapshot" || name === "delta") place = id || null;
  clearTimeout(poller);
  keep(false);
}

/** Reads the stream, from where this tab has come to. */
function read(): void {
  unread();
  whole = true;
  askedAt = performance.now();
  const since = place ? `&since=${encodeURIComponent(place)}` : "";
  const mine = new EventSource(path(`stream?view=${view}${since}`));
  source = mine;
  for (const name of Object.keys(changes)) {
    mine.addEventListener(name, (event) => {
      if (source !== mine) return;
      const { data, lastEventId: id } = event as MessageEvent<string>;
      take(name, data, id);
      seat?.say({ is: "event", name, data, id });
    });
  }
  mine.onerror = () => {
    if (source !== mine) return;
    store.link.value = "lost";
    // A refused stream (too many readers, popup gone) is closed for good: read by polling and knock again later.
    if (mine.readyState === EventSource.CLOSED) {
      void poll();
      knocker = window.setTimeout(() => source === mine && read(), STREAM_RETRY_MS + Math.random() * 5_000);
    }
  };
}

function again(): void {
  if (!store.popup.value) void listPopups();
  else if (!seat) open();
  else if (seat.leads()) read();
  else seat.say({ is: "ask" });
}

/** Once a second: a stream that says nothing for longer than two ticks is replaced. */
function watch(): void {
  store.beat.value++;
  // The tab that reads is frozen, or gone without a word.
  if (seat && !seat.leads() && seat.silentMs() > SILENCE_MAX_MS) seat.take();
  if (!source || source.readyState === EventSource.CLOSED) return;
  const quiet = Math.min(store.ageMs(), performance.now() - askedAt);
  if (quiet > SILENCE_MAX_MS) {
    store.link.value = "lost";
    read();
    void poll();
  }
}

/** The same rows by asking. Who may not see the whole asks for the ranks alone. */
async function poll(): Promise<void> {
  clearTimeout(poller);
  const asked = store.popup.value;
  try {
    const what = seesAll() && view !== "board" ? "summary" : "leaderboards/creators";
    const headers: HeadersInit = etag ? { "if-none-match": etag } : {};
    const answer = await fetch(path(what), { headers, cache: "no-store", signal: AbortSignal.timeout(10_000) });
    if (asked !== store.popup.value || store.link.value === "live" || store.link.value === "paused") return;
    if (answer.status !== 304) {
      if (!answer.ok) throw new Error(await problemOf(answer));
      const body = (await answer.json()) as Change & { rows?: unknown };
      if (what === "summary") store.replace(body);
      else store.patch({ asof: body.asof, rows: { "board/creators": { rows: body.rows } } });
      place = null;
      etag = answer.headers.get("etag");
    } else if (store.asof.value) {
      store.asof.value = { ...store.asof.value, server_ms: store.serverNow() };
    }
    store.link.value = "polling";
    store.problem.value = null;
    store.hear();
    keep(false);
    tellAll();
  } catch (fault) {
    fail(fault);
  }
  if (store.link.value !== "live" && store.link.value !== "paused") poller = window.setTimeout(() => void poll(), POLL_EVERY_MS);
}

/** The one sentence of a problem document, or the status. */
async function problemOf(answer: Response): Promise<string> {
  try {
    const told = (await answer.json()) as { code?: string; detail?: string; title?: string };
    return [told.code, told.detail ?? told.title].filter(Boolean).join(": ") || `HTTP ${answer.status}`;
  } catch {
    return `HTTP ${answer.status}`;
  }
}

function fail(fault: unknown): void {
  // A TypeError of fetch means that nobody answered: that is told by the age, not as a fault of the server.
  store.problem.value = fault instanceof TypeError || !(fault instanceof Error) || fault.name === "TimeoutError" ? null : fault.message;
  if (store.link.value === "paused") return;
  if (store.link.value !== "polling" || store.ageMs() > SILENCE_MAX_MS) store.link.value = "lost";
}

function keep(now: boolean): void {
  const [asof, popup, heard] = [store.asof.value, store.popup.value, store.heard.value];
  if (!asof || !popup || !heard || store.kept.value || (!now && performance.now() - keptAt < KEEP_EVERY_MS)) return;
  keptAt = performance.now();
  void cache.keep(view, { popup, popups: store.popups.value, wall: heard.wall, place, asof, rows: store.held() });
}
