// What this browser remembers of how somebody likes the screens. Storage that is refused: it lasts as long as the page.

import { effect, signal, type Signal } from "@preact/signals";

function remembered<T extends string>(name: string, first: T, known: (text: string) => boolean): Signal<T> {
  const key = `popwatch.${name}`;
  let text: string | null = null;
  try {
    text = localStorage.getItem(key);
  } catch { /* refused */ }
  const value = signal(text != null && known(text) ? (text as T) : first);
  effect(() => {
    const now = value.value;
    try {
      if (now === first) localStorage.removeItem(key);
      else localStorage.setItem(key, now);
    } catch { /* refused */ }
  });
  return value;
}

export type Theme = "device" | "light" | "dark";
export const theme = remembered<Theme>("theme", "device", (t) => t === "light" || t === "dark");
/** Streamer mode: amounts are not shown. */
const streamer = remembered<"" | "on">("streamer", "", (t) => t === "on");
export const hideMoney = {
  get value(): boolean { return streamer.value === "on"; },
  set value(on: boolean) { streamer.value = on ? "on" : ""; },
};
export const pinnedSku = remembered<string>("sku", "", () => true);
export const creatorShown = remembered<string>("creator", "", () => true);
export const currencyShown = signal<string | null>(null);

effect(() => {
  const root = document.documentElement;
  if (theme.value === "device") delete root.dataset["theme"];
  else root.dataset["theme"] = theme.value;
});
