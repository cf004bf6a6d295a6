// Turns minor units, counts and times into text. Nothing else on the screens does.

export * from "./fmt/money";
export * from "./fmt/time";

const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
export const count = (n: number): string => numbers.format(n).replace("-", "\u2212");
/** "12–15", "−3 to 4"; one number where both are the same. */
export const range = (low: number, high: number): string => (low === high ? count(high) : low < 0 ? `${count(low)} to ${count(high)}` : `${count(low)}–${count(high)}`);
export const plural = (n: number, one: string, many: string): string => `${count(n)} ${n === 1 ? one : many}`;

const shares = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
/** A ratio of one as per cent: "12.4%" */
export const share = (ratio: number): string => shares.format(ratio);
const factors = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
/** "3.4×" */
export const times = (ratio: number): string => `${factors.format(ratio)}×`;
export const oneDigit = (n: number): string => factors.format(n);

/** "12 GB", "640 MB" */
export const bytes = (n: number): string => (n >= 1e9 ? `${count(Math.floor(n / 1e9))} GB` : `${count(Math.floor(n / 1e6))} MB`);

/** A rig's id as people say it: "till-2" is "Till 2"; anything else stays as it is, clipped to what a line can hold. */
export function rigName(id: string): string {
  const plain = /^([a-z]{2,16})[-_](\d{1,4})$/.exec(id);
  const [, word, number] = plain ?? [];
  return word && number ? word.charAt(0).toUpperCase() + word.slice(1) + " " + number : clip(id);
}

/** The first `max` characters as people count them: no emoji is cut in two. */
export function clip(text: string, max = 80): string {
  const all = [...text];
  return all.length > max ? all.slice(0, max - 1).join("") + "…" : text;
}
