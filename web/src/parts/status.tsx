// The one sentence: the weightiest state in plain words, the others behind it.

import { useEffect } from "preact/hooks";
import type { Line } from "../say";
import * as f from "../fmt";
import { MARKS } from "./part";

const SAY_EVERY_MS = 15_000;
let said = { key: "", at: -Infinity };

/** The one polite region: a change of state only, at most one in 15 s. Numbers are not read out. */
function speak(first: Line): void {
  const now = performance.now();
  const region = document.getElementById("announce");
  if (!region || first.key === said.key || now - said.at < SAY_EVERY_MS) return;
  said = { key: first.key, at: now };
  region.textContent = first.text;
}

function Sentence({ line, detail }: { line: Line; detail: boolean }) {
  return (
    <>
      <span class="mark" aria-hidden="true">{MARKS[line.level]}</span>
      <span>{line.text}{detail && line.detail && <> <bdi class="detail">{f.clip(line.detail, 60)}</bdi></>}</span>
    </>
  );
}

/** `open`: the others stand beneath the first instead of behind "and 2 more". */
export function Status({ lines, open, detail }: { lines: Line[]; open?: boolean; detail?: boolean }) {
  const [first, ...rest] = lines;
  useEffect(() => { if (first) speak(first); });
  if (!first) return null;
  const worst = Math.max(...lines.map((l) => l.level));
  const others = (top: number) => rest.slice(0, top).map((l) => <li class={`lv${l.level}`} data-state={l.key}><Sentence line={l} detail={!!detail} /></li>);
  return (
    <div class={`status lv${worst}`} role={first.level === 3 ? "alert" : undefined}>
      <p class={`lv${first.level}`} data-testid="status" data-state={first.key} data-level={first.level}><Sentence line={first} detail={!!detail} /></p>
      {rest.length > 0 && (open && rest.length <= 4
        ? <ul class="also">{others(4)}</ul>
        : <details><summary>and {f.count(rest.length)} more</summary><ul>{others(40)}</ul></details>)}
    </div>
  );
}
