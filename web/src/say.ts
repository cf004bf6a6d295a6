// What the state of things is called in plain words. Every sentence that people on site read is made in these modules.

export { edgeLines, lost } from "./say/till";
export { popupLines, rigWord } from "./say/popup";
export { stockWords } from "./say/stock";

import { age, hms } from "./fmt";
import * as store from "./data/store";
import { line, type Line } from "./say/line";

export type { Line };

/** What the connection to the server itself has to say; null while it is well. */
export function connectionLine(role: "edge" | "region"): Line | null {
  const asof = store.asof.value;
  if (!asof) return null;
  const old = store.ageMs();
  const link = store.link.value;
  const at = hms(asof.server_ms);
  if (link === "paused") return line(1, "paused", `Paused. Numbers below are from ${at}; sales go on.`);
  if (store.kept.value || ((link === "lost" || link === "opening") && old > 2_000) || old > 15_000) {
    if (role === "edge") return line(2, "stream_lost", `This page has lost its till; last heard ${at}. Numbers below are from then. Trying again by itself.`);
    return line(2, "stream_lost", `Last heard at ${at}. Numbers below are from then; sales go on.`, `${age(old)} ago`);
  }
  if (store.behind.value) return line(2, "behind", `This server is still being filled. Numbers below are from ${at} and stay until it has them again; sales go on.`);
  if (store.regressed.value) return line(2, "regressed", "This server holds less than was shown before. What is missing comes as tills send it again; their sales are safe on them.");
  return null;
}
