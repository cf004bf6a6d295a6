// What the last preflight of this till found: the answer first, then what is wrong and what to do about it, then what is well.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import * as store from "../data/store";
import * as f from "../fmt";

type Severity = "no_go" | "warning" | "not_checked" | "pass";
interface Finding { check: string; code: string; severity: Severity; measured: string; needed: string; todo: string }
/** As `GET /v1/preflight` answers; no verdict where none was made. */
interface Report {
  verdict: "go" | "go_with_warnings" | "no_go" | null;
  popup: string | null;
  rig: string | null;
  at_ms: number;
  stale: string | null;
  findings: Finding[];
}

const ASK_EVERY_MS = 10_000;
const report = signal<Report | null>(null);
const unheard = signal(false);

async function ask(): Promise<void> {
  try {
    const answer = await fetch("/v1/preflight", { cache: "no-store", signal: AbortSignal.timeout(5_000) });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    report.value = (await answer.json()) as Report;
    unheard.value = false;
  } catch {
    unheard.value = true;
  }
}

const VERDICT = {
  go: ["✓", "Go", "lv0", "Everything that was tested is as it must be."],
  go_with_warnings: ["▲", "Go, with warnings", "lv2", "You can sell. Look at what stands below before doors open."],
  no_go: ["✕", "No-go", "lv3", "Do not open before what is marked below is done."],
} as const;
const WORD: Record<Severity, readonly [string, string, string]> = {
  no_go: ["✕", "No-go", "lv3"], warning: ["▲", "Warning", "lv2"], not_checked: ["○", "Not checked", "lv1"], pass: ["✓", "Pass", "lv0"],
};
const ORDER: readonly Severity[] = ["no_go", "warning", "not_checked"];

export function Preflight() {
  useEffect(() => {
    void ask();
    const again = setInterval(() => void ask(), ASK_EVERY_MS);
    return () => clearInterval(again);
  }, []);
  const found = report.value;
  if (!found) return <section class="part"><p class="lead">{unheard.value ? "The till does not answer." : "Reading the last preflight …"}</p></section>;
  if (!found.verdict) return <None />;
  const [mark, title, level, says] = VERDICT[found.verdict];
  const wrong = ORDER.flatMap((severity) => found.findings.filter((one) => one.severity === severity));
  const well = found.findings.filter((one) => one.severity === "pass");
  return (
    <div class="row preflight">
      <section class={`part verdict ${level}`} data-testid="verdict" data-state={found.verdict}>
        <h2 class="big none"><span aria-hidden="true">{mark} </span>{title}</h2>
        <p class="lead">{says}</p>
        <p class="quiet">{found.popup && <><bdi>{f.clip(found.popup, 60)}</bdi> · </>}{found.rig && <><bdi>{f.rigName(found.rig)}</bdi> · </>}{ago(found.at_ms)}</p>
        {found.stale && <p class="note warn"><span aria-hidden="true">▲ </span>{found.stale}</p>}
        {unheard.value && <p class="note warn"><span aria-hidden="true">▲ </span>The till does not answer now; this is what it said last.</p>}
      </section>
      {wrong.map((one) => <Wrong key={one.check} one={one} />)}
      {well.length > 0 && (
        <section class="part">
          <h2 class="part-head">What is well</h2>
          <table class="well"><tbody>
            {well.map((one) => <tr key={one.check}><th scope="row"><span class="lv0" aria-hidden="true">✓ </span>{one.check}</th><td>{f.clip(one.measured, 200)}</td></tr>)}
          </tbody></table>
        </section>
      )}
      <p class="quiet">Run it again on this till: <code>popwatch preflight{found.popup ? ` ${found.popup}` : ""}</code></p>
    </div>
  );
}

function Wrong({ one }: { one: Finding }) {
  const [mark, word, level] = WORD[one.severity];
  return (
    <section class={`part finding ${level}`} data-testid={`finding-${one.check}`} data-state={one.severity}>
      <h2 class="part-head"><span><span class="mark" aria-hidden="true">{mark} </span>{word}: {one.check}</span><span class="code">{one.code}</span></h2>
      <dl>
        <dt>Found</dt><dd>{f.clip(one.measured, 400)}</dd>
        {one.severity !== "not_checked" && <><dt>Needed</dt><dd>{one.needed}</dd></>}
        {one.todo && <><dt>Do</dt><dd class="todo">{f.clip(one.todo, 400)}</dd></>}
      </dl>
    </section>
  );
}

function None() {
  return (
    <section class="part" data-testid="verdict" data-state="none">
      <p class="lead">No preflight was made on this till yet.</p>
      <p>It tests power, disk, clock, network, policy and a sale all the way to the books, in a minute and a half:</p>
      <p><code>popwatch preflight{store.popup.value ? ` ${store.popup.value}` : " POPUP"}</code></p>
    </section>
  );
}

/** Counted by the till's clock. */
function ago(at: number): string {
  const minutes = Math.max(0, Math.floor((store.serverNow() - at) / 60_000));
  return minutes < 1 ? "just now" : minutes < 120 ? `${minutes} min ago` : `${Math.floor(minutes / 60)} h ago`;
}
