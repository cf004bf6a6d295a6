// Which popup and which currency the parts of a screen are about.

import { popup as popupShown, popups, row } from "../data/store";
import { currencyShown } from "./prefs";

/** The popup as its row or the list of popups has it. */
export const popupRow = () => row("popup") ?? popups.value?.find((p) => p.id === popupShown.value) ?? null;

/** The currencies that figure here, and the one that charts and boards show. */
export function useCurrency(): { list: string[]; shown: string | null } {
  const sums = row("now")?.currencies ?? [];
  const list = sums.length ? sums.map((c) => c.currency) : (popupRow()?.currencies ?? []);
  const wanted = currencyShown.value;
  return { list, shown: wanted && list.includes(wanted) ? wanted : (list[0] ?? null) };
}

export function CurrencyPicker({ list, shown }: { list: string[]; shown: string | null }) {
  if (list.length < 2) return null;
  return (
    <div class="seg" role="group" aria-label="Currency of the chart and the boards">
      {list.map((c) => <button key={c} type="button" aria-pressed={c === shown} onClick={() => { currencyShown.value = c; }}>{c}</button>)}
    </div>
  );
}
