// What every part of a screen is made of: a titled card, facts, amounts in large figures. Text from data only ever becomes a
// text node or an attribute, never markup.

import type { ComponentChildren } from "preact";
import { useSignal } from "@preact/signals";
import * as store from "../data/store";
import * as f from "../fmt";
import { hideMoney } from "./prefs";

export { hideMoney };

/** When the rows are old, so that no number stands without its time; null while they are fresh. */
export function stamp(): string | null {
  const at = store.asof.value;
  const well = store.link.value === "live" || store.link.value === "polling";
  const old = store.freshness.value !== "fresh" || (!well && store.ageMs() > 2_000);
  return at && old ? `as of ${f.hms(at.server_ms)}` : null;
}

interface PartProps {
  id: string;
  title: string;
  /** Beside the title: what the numbers are of. */
  aside?: ComponentChildren;
  children?: ComponentChildren;
}
export function Part({ id, title, aside, children }: PartProps) {
  const at = stamp();
  return (
    <section class={`part ${id}`} aria-labelledby={`h-${id}`}>
      <header class="part-head">
        <h2 id={`h-${id}`}>{title}</h2>
        {at ? <span class="stamp">{at}</span> : aside ? <span class="aside">{aside}</span> : null}
      </header>
      {children}
    </section>
  );
}

export function Fact({ label, children }: { label: string; children?: ComponentChildren }) {
  return <div class="fact"><dt>{label}</dt><dd>{children}</dd></div>;
}

/** An amount whose raw minor units stand beside its text. */
/** `null` is an amount that this reader is not told. */
export function Money({ minor, currency, testid, signed }: { minor: number | null; currency: string; testid?: string; signed?: boolean }) {
  if (minor == null) return <span class="quiet">–<span class="vh">not shown to you</span></span>;
  if (hideMoney.value) return <span class="hidden-money">•••<span class="vh">hidden</span></span>;
  return <span data-testid={testid} data-minor={minor} class={signed && minor < 0 ? "down" : undefined}>{f.money(minor, currency)}</span>;
}

export function BigMoney({ minor, currency, testid }: { minor: number; currency: string; testid?: string }) {
  if (hideMoney.value) return <p class="big hidden-money">•••<span class="vh">hidden</span></p>;
  const long = String(Math.abs(minor)).length;
  return (
    <p class={long > 10 ? "big huge" : long > 7 ? "big long" : "big"} data-testid={testid} data-minor={minor}>
      {f.moneyParts(minor, currency).map((p) => <span class={p.kind === "symbol" ? "sym" : p.kind === "fraction" ? "frac" : undefined}>{p.text}</span>)}
    </p>
  );
}

/** A name from data, isolated from the direction of what surrounds it, its whole text in the title. */
export function Name({ id, rig }: { id: string; rig?: boolean }) {
  return <bdi class="name" title={f.clip(id, 200)}>{id === "" ? "All others" : rig ? f.rigName(id) : f.clip(id)}</bdi>;
}

/** A list that begins short. */
export function useMore(top: number): { shown: <T>(all: T[]) => T[]; button: (n: number) => ComponentChildren } {
  const open = useSignal(false);
  return {
    shown: (all) => (open.value ? all : all.slice(0, top)),
    button: (n) => n > top && (
      <button type="button" class="more" aria-expanded={open.value} onClick={() => { open.value = !open.value; }}>
        {open.value ? "Show fewer" : `Show all ${f.count(n)}`}
      </button>
    ),
  };
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="quiet empty">{children}</p>;
}

/** A mark that says a level without colour. */
export const MARKS = ["●", "◆", "▲", "✕"] as const;
