// The door: a pass is asked for, and the code of the second factor where the pass wants one.

import { useSignal } from "@preact/signals";
import { begin, type Standing } from "../data/session";

export function Gate({ standing }: { standing: Extract<Standing, { says: string }> }) {
  const text = useSignal("");
  const busy = useSignal(false);
  const wantsCode = standing.is === "code";
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    busy.value = true;
    await (wantsCode ? begin(undefined, text.value.trim()) : begin(text.value));
    busy.value = false;
    text.value = "";
  };
  return (
    <main id="main" class="wrap gate" tabindex={-1}>
      <form onSubmit={(e) => void submit(e)}>
        <h1>{wantsCode ? "One more step" : "This popup is for invited people"}</h1>
        <p class="quiet">{wantsCode ? "Type the six digits of your app, or one of your paper codes." : "Open the link you were given, or paste your pass. It begins with pw1."}</p>
        <label>{wantsCode ? "Code" : "Pass"}
          <input name="pass" type="password" inputMode={wantsCode ? "numeric" : "text"} autocomplete="off" required value={text.value} onInput={(e) => { text.value = e.currentTarget.value; }} /></label>
        <button type="submit" class="primary" disabled={busy.value}>{busy.value ? "Asking …" : "Open"}</button>
        <p class="quiet" role="status">{standing.says}</p>
      </form>
    </main>
  );
}
