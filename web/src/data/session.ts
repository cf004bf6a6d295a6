// Who looks: nobody in particular (this machine), or the holder of a pass. The pass comes behind the `#` of a link, is posted
// once and taken out of the address; what stays is a cookie that scripts cannot read.

import { signal } from "@preact/signals";
import { forget } from "./cache";

export type Scope = "operator" | "creator" | "coop" | "auditor" | "board" | "till";
/** What the server tells of the holder of a pass. */
export interface Session {
  org: string;
  actor: string;
  scope: Scope;
  /** Whose: the creator, the co-op. */
  extent: string;
  members: string[];
  popup: string | null;
  may: string[];
  lasts_s: number;
}
/** `here`: no pass is needed; `none`: one is needed and there is none; `code`: the pass wants its second factor too. */
export type Standing = { is: "unknown" | "here" } | { is: "holder"; session: Session } | { is: "none" | "code"; says: string };

export const standing = signal<Standing>({ is: "unknown" });
let pass: string | null = null;

/** Takes a pass from the address, if one stands there. */
function passInAddress(): string | null {
  const text = location.hash.slice(1);
  const at = text.indexOf("pw1.");
  if (at < 0) return null;
  const found = text.slice(at).split("&")[0] ?? null;
  history.replaceState(null, "", location.pathname + location.search);
  return found;
}

async function says(answer: Response): Promise<{ code: string; text: string }> {
  try {
    const body = (await answer.json()) as { code?: string; detail?: string; title?: string };
    return { code: body.code ?? "", text: body.detail ?? body.title ?? `HTTP ${answer.status}` };
  } catch {
    return { code: "", text: `HTTP ${answer.status}` };
  }
}

/** Begins with the pass of a link, with one that was typed in, or with the session that there is. */
export async function begin(typed?: string, code?: string): Promise<void> {
  pass = typed?.trim() || passInAddress() || pass;
  try {
    const answer = pass
      ? await fetch("/v1/session", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(code ? { pass, code } : { pass }),
        })
      : await fetch("/v1/session", { cache: "no-store" });
    if (answer.ok) {
      const told = (await answer.json()) as { here?: true } & Partial<Session>;
      pass = null;
      standing.value = told.here || !told.scope ? { is: "here" } : { is: "holder", session: told as Session };
      return;
    }
    const { code: raised, text } = await says(answer);
    standing.value = { is: pass && raised === SECOND_FACTOR ? "code" : "none", says: text };
    if (standing.value.is === "none") {
      pass = null;
      void forget(false); // what an earlier holder was shown is not for whoever comes next
    }
  } catch {
    // Not in reach: what this browser kept is shown, and the stream finds out who looks.
    if (standing.value.is === "unknown") standing.value = { is: "here" };
  }
}
const SECOND_FACTOR = "PW0706";

export async function end(): Promise<void> {
  await forget(true);
  try {
    await fetch("/v1/session", { method: "POST", headers: { "content-type": "application/json" }, body: '{"end":true}' });
  } finally {
    location.assign("/");
  }
}

/** Whether the whole popup may be shown: totals, tills, everybody. */
export function seesAll(): boolean {
  const who = standing.value;
  return who.is === "here" || who.is === "unknown" || (who.is === "holder" && (who.session.scope === "operator" || who.session.scope === "auditor"));
}
/** The creators that are the holder's own; null where all are. */
export function own(): string[] | null {
  const who = standing.value;
  if (who.is !== "holder" || seesAll()) return null;
  return who.session.scope === "coop" ? who.session.members : [who.session.extent];
}
