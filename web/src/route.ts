// Which screen the address names: `#/creator?popup=stall&as=ana`. An address without a screen is the one that suits who looks.

import { computed, signal } from "@preact/signals";
import { standing } from "./data/session";
import type { View } from "./data/stream";

export type Screen = "operator" | "creator" | "coop" | "board" | "preflight";
export const SCREENS: readonly { screen: Screen; title: string }[] = [
  { screen: "operator", title: "Operator" }, { screen: "creator", title: "Creator" }, { screen: "coop", title: "Co-op" }, { screen: "board", title: "Board" },
];
/** A till also shows what was found before doors opened. */
const PREFLIGHT = { screen: "preflight", title: "Preflight" } as const;
export const screens = (): readonly { screen: Screen; title: string }[] => (role === "edge" ? [...SCREENS, PREFLIGHT] : SCREENS);

const meta = (name: string): string => (document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? "").replace(/^%.*%$/, "");
export const role: "edge" | "region" = meta("popwatch-role") === "edge" ? "edge" : "region";
/** The till whose page this is, or the name of the region. */
export const rig = meta("popwatch-rig");

const address = signal(location.hash);
addEventListener("hashchange", () => { address.value = location.hash; });
/** After the address was changed without an event. */
export const reread = (): void => { address.value = location.hash; };

const parsed = computed(() => {
  const text = address.value.replace(/^#/, "");
  const [path, query] = text.startsWith("/") ? text.slice(1).split("?", 2) : ["", text];
  return { path: path ?? "", query: new URLSearchParams(query ?? "") };
});
export const named = computed(() => parsed.value.query.get("popup"));
export const creatorNamed = computed(() => parsed.value.query.get("as"));

export const screen = computed<Screen>(() => {
  const found = screens().find((one) => one.screen === parsed.value.path);
  if (found) return found.screen;
  const who = standing.value;
  const scope = who.is === "holder" ? who.session.scope : null;
  return scope === "creator" || scope === "coop" || scope === "board" ? scope : "operator";
});

/** The stream that a screen reads. Who may not see the whole is shown the ranks, and reads no more than those. */
export const view = computed<View>(() => {
  const who = standing.value;
  if (who.is === "holder" && !["operator", "auditor"].includes(who.session.scope)) return "board";
  if (screen.value === "operator" || screen.value === "preflight") return role === "edge" ? "rig" : "operator";
  return screen.value;
});

/** The address of a screen, keeping the popup. */
export function link(to: Screen, change: Record<string, string> = {}): string {
  const query = new URLSearchParams(parsed.value.query);
  for (const [name, value] of Object.entries(change)) query.set(name, value);
  const text = query.toString();
  return `#/${to}${text ? `?${text}` : ""}`;
}
