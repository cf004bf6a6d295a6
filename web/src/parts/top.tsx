// The line above every screen: which popup, how far into it, how old the numbers are, and the way to the other screens.

import { standing, end, seesAll } from "../data/session";
import * as store from "../data/store";
import { pause, resume } from "../data/stream";
import * as f from "../fmt";
import { link, rig, role, screen, screens } from "../route";
import { theme, type Theme } from "./prefs";

export function Top({ popup }: { popup: Pick<store.PopupEntry, "id" | "starts_ms" | "ends_ms"> | null }) {
  const list = store.popups.value ?? [];
  return (
    <header class="top">
      <div class="wrap bar-top">
        <div class="who">
          <h1>{list.length > 1 ? <Picker list={list} /> : <bdi>{store.popup.value ? f.clip(store.popup.value, 60) : "popwatch"}</bdi>}</h1>
          <p class="quiet">{role === "edge" && rig && <><bdi>{f.rigName(rig)}</bdi>{popup && " · "}</>}{popup && <Clock popup={popup} />}</p>
        </div>
        <Age />
        <Buttons />
      </div>
      {seesAll() && (
        <nav class="wrap tabs" aria-label="Screens">
          {screens().map((one) => <a href={link(one.screen)} aria-current={screen.value === one.screen ? "page" : undefined}>{one.screen === "operator" && role === "edge" ? "Till" : one.title}</a>)}
        </nav>
      )}
    </header>
  );
}

/** With several popups the name itself is the choice. */
function Picker({ list }: { list: store.PopupEntry[] }) {
  return (
    <select name="popup" aria-label="Popup" value={store.popup.value ?? ""} onChange={(e) => { location.hash = link(screen.value, { popup: e.currentTarget.value }); }}>
      {list.map((p) => <option key={p.id} value={p.id}>{f.clip(p.id, 40)}</option>)}
    </select>
  );
}

/** "1:42 of 3:00 h". A replay runs in the past: then the watermark tells where in the day it is. */
function Clock({ popup }: { popup: Pick<store.PopupEntry, "starts_ms" | "ends_ms"> }) {
  const { starts_ms: opens, ends_ms: closes } = popup;
  if (opens == null || closes == null) return <>no set hours</>;
  const now = store.serverNow();
  const within = (t: number): boolean => t >= opens && t <= closes;
  const mark = store.asof.value?.watermark_ms ?? 0;
  const at = within(now) ? now : within(mark) ? mark : now;
  if (at < opens) return <>starts in {f.span(opens - at)} h</>;
  if (at > closes) return <>closed at {f.hmNear(closes, now)} after {f.span(closes - opens)} h</>;
  return <span data-testid="popup-clock">{f.span(at - opens)} of {f.span(closes - opens)} h</span>;
}

/** How old what is shown is, always in sight. */
export function Age() {
  const age = store.ageMs();
  const fresh = store.freshness.value;
  const link = store.link.value;
  const at = store.asof.value;
  const [mark, text] = link === "paused" ? ["❚❚", "Paused"]
    : !store.heard.value ? (link === "lost" ? ["▲", "No contact"] : ["○", "Opening"])
    : fresh === "old" ? ["▨", `as of ${f.hms(at ? at.server_ms : store.serverNow() - age)}`]
    : link === "lost" || store.kept.value ? ["▲", `${f.age(age)} ago`]
    : age < 2_000 ? ["●", link === "polling" ? "Live, polling" : "Live"] : [fresh === "stale" ? "▲" : "●", `${f.age(age)} ago`];
  const level = mark === "●" ? "lv0" : mark === "○" || mark === "❚❚" ? "lv1" : "lv2";
  return <p class={`pill ${level} ${fresh}`} data-testid="age" data-value={Number.isFinite(age) ? Math.round(age) : ""}><span aria-hidden="true">{mark}</span><span>{text}</span></p>;
}

const NEXT: Record<Theme, Theme> = { device: "light", light: "dark", dark: "device" };
const ICON: Record<Theme, string> = { device: "◐", light: "☀", dark: "☾" };
function Buttons() {
  const paused = store.link.value === "paused";
  return (
    <div class="buttons">
      <button type="button" aria-pressed={paused} title={paused ? "Go on" : "Pause"} onClick={() => (paused ? resume() : pause())}><span aria-hidden="true">{paused ? "▶" : "❚❚"}</span><span class="vh">{paused ? "Go on" : "Pause"}</span></button>
      <button type="button" aria-label={`Theme: ${theme.value === "device" ? "as the device" : theme.value}`} title="Light, dark or as the device" onClick={() => { theme.value = NEXT[theme.value]; }}>{ICON[theme.value]}</button>
      {standing.value.is === "holder" && <button type="button" title="Sign out" onClick={() => void end()}><span aria-hidden="true">⏏</span><span class="vh">Sign out</span></button>}
    </div>
  );
}
