// The last rows of each view, in this browser, so that a screen never opens blank. Storage that is refused or full costs the
// cache and nothing else.

import type { Asof } from "./rows";
import type { PopupEntry } from "./store";

const NAME = "popwatch";
const STORE = "rows";
const KEEP_FOR_MS = 86_400_000;
/** So many minutes are kept; with all other rows that stays far under 5 MB. */
const MINUTES_MAX = 1_500;

/** What is kept of one view. */
export interface Kept {
  popup: string;
  popups: PopupEntry[] | null;
  wall: number;
  place: string | null;
  asof: Asof;
  rows: Record<string, unknown>;
}

/** After the sign-out nothing is kept any more: the page writes once more while it goes. */
let over = false;
let opened: Promise<IDBDatabase> | null = null;
function open(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}
// Opened while the rest of the script is still read: the first paint waits for it.
open().catch(() => undefined);

async function run<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | undefined> {
  try {
    const db = await open();
    return await new Promise((resolve, reject) => {
      const request = act(db.transaction(STORE, mode).objectStore(STORE));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } catch {
    return undefined;
  }
}

export async function restore(view: string): Promise<Kept | null> {
  const found = await run<Kept | undefined>("readonly", (store) => store.get(view));
  if (!found?.asof) return null;
  if (Date.now() - found.wall < KEEP_FOR_MS) return found;
  await run("readwrite", (store) => store.delete(view));
  return null;
}

export async function keep(view: string, what: Kept): Promise<void> {
  if (over) return;
  const minutes = Object.keys(what.rows).filter((key) => key.startsWith("min/"));
  if (minutes.length > MINUTES_MAX) {
    minutes.sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)));
    for (const key of minutes.slice(0, minutes.length - MINUTES_MAX)) delete what.rows[key];
    what.place = null; // what was dropped has to come again
  }
  await run("readwrite", (store) => store.put(what, view));
}

/** Nothing stays: of what was kept, and with `last` of what would be. */
export async function forget(last: boolean): Promise<void> {
  over = last;
  await run("readwrite", (store) => store.clear());
}
