// Before the first number: what is awaited, or what keeps it from coming. Never an empty screen, never a bare spinner.

import * as store from "../data/store";
import * as f from "../fmt";

export function Waiting() {
  const none = store.popups.value?.length === 0;
  const lost = store.link.value === "lost";
  const problem = store.problem.value;
  const [state, title, text] = none ? ["empty", "No popup has begun here yet.", "The page opens by itself with the first event. Nothing needs to be pressed."]
    : problem ? ["error", "This popup cannot be shown.", `The server answers: ${f.clip(problem, 200)}. Trying again by itself.`]
    : lost ? ["unreachable", "popwatch does not answer at this address.", "Tills go on recording on their own. Trying again by itself."]
    : ["loading", "Reading the popup …", "First numbers in a moment."];
  return (
    <div class="waiting" data-testid="status" data-state={state}>
      <p class="lead">{title}</p>
      <p class="quiet">{text}</p>
      {state === "loading" && <div class="skeleton" aria-hidden="true"><span /><span /><span /></div>}
    </div>
  );
}

/** Where a reload would lose the page, it says so. */
export function Banner() {
  if (isSecureContext) return null;
  return <p class="note banner quiet">Keep this tab open: a reload needs the stand's network.</p>;
}
