// popwatch's screens: the same files on a till (its own sales) and on a region (all tills). A screen composes parts; only data/
// talks to the server, only fmt/ makes text of numbers, only say/ makes sentences.

import { effect, untracked } from "@preact/signals";
import { options, render } from "preact";
import "./style.css";
import { begin, seesAll, standing } from "./data/session";
import * as store from "./data/store";
import { show } from "./data/stream";
import * as f from "./fmt";
import { Gate } from "./screens/gate";
import { Banner, Waiting } from "./screens/waiting";
import { Board } from "./screens/board";
import { Coop } from "./screens/coop";
import { Creator } from "./screens/creator";
import { Operator } from "./screens/operator";
import { Preflight } from "./screens/preflight";
import { popupRow } from "./parts/currency";
import { Top } from "./parts/top";
import { named, reread, rig, role, screen, screens, view } from "./route";
import { serveOffline } from "./worker";

// A tab that nobody looks at has no frames; it is drawn now and then, so that it is right when somebody does.
options.debounceRendering = (draw) => void (document.hidden ? setTimeout(draw, 1_000) : requestAnimationFrame(() => draw()));

function App() {
  const popup = popupRow();
  const who = standing.value;
  const here = screen.value;
  if (who.is === "none" || who.is === "code") return <Gate standing={who} />;
  return (
    <>
      <Top popup={popup} />
      <main id="main" class={`wrap on-${here}`} tabindex={-1}>
        {store.problem.value && store.asof.value && <p class="note warn"><span aria-hidden="true">▲ </span>The server answers: {f.clip(store.problem.value, 200)}</p>}
        {here === "preflight" ? <Preflight /> : !store.asof.value ? <Waiting /> : here === "creator" ? <Creator /> : here === "coop" ? <Coop /> : here === "board" ? <Board /> : <Operator />}
        <Banner />
      </main>
    </>
  );
}

effect(() => {
  const popup = popupRow();
  if (popup?.zone) f.setZone(popup.zone);
  for (const c of store.row("now")?.currencies ?? []) f.learnExponent(c.currency, c.exponent);
});
effect(() => {
  document.documentElement.dataset["age"] = store.asof.value ? store.freshness.value : "fresh";
});
effect(() => {
  const title = screens().find((one) => one.screen === screen.value)?.title ?? "";
  document.title = `${store.popup.value ? f.clip(store.popup.value, 40) : rig || "popwatch"} · ${screen.value === "operator" ? (role === "edge" ? "till" : "popwatch") : title}`;
});

const KEPT_WITHIN_MS = 150;
const app = document.getElementById("app");
if (app) {
  const asked = begin();
  // A pass in the address is spoken for before anything else is asked; without one the last rows are painted at once.
  if (location.hash.includes("pw1.")) await asked;
  reread();
  let kept: Promise<void> = Promise.resolve();
  effect(() => {
    if (standing.value.is === "none" || standing.value.is === "code") return;
    const [wanted, popup] = [view.value, named.value ?? (seesAll() ? null : popupOfPass())];
    // What is read on the way there is no reason to go there again.
    kept = untracked(() => show(wanted, popup));
  });
  // The first thing drawn is what was kept, if the browser brings it at once.
  await Promise.race([kept, new Promise((go) => setTimeout(go, KEPT_WITHIN_MS))]);
  // The address names a screen, so the way past the header may not be part of it.
  document.querySelector(".skip")?.addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main")?.focus();
  });
  app.replaceChildren();
  render(<App />, app);
  serveOffline();
}

function popupOfPass(): string | null {
  return standing.value.is === "holder" ? standing.value.session.popup : null;
}
