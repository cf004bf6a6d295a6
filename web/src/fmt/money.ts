// Money as text. Digits are moved, nothing is divided: an amount on a screen is the amount that was sent.

import type { Minor } from "../data/rows";

const cache = new Map<string, unknown>();
function once<T>(key: string, make: () => T): T {
  if (!cache.has(key)) cache.set(key, make());
  return cache.get(key) as T;
}

const exponents = new Map<string, number>();
/** Remembers a currency's exponent as the server states it; until then Intl's own table is asked. */
export function learnExponent(currency: string, exponent: number): void {
  if (Number.isInteger(exponent) && exponent >= 0 && exponent <= 8) exponents.set(currency, exponent);
}

export function exponentOf(currency: string): number {
  const told = exponents.get(currency);
  if (told != null) return told;
  try {
    return once("x" + currency, () => new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2);
  } catch {
    return 2;
  }
}

/** Minor units as an exact decimal string. */
export function decimal(minor: number, exponent: number): string {
  const digits = String(Math.abs(minor)).padStart(exponent + 1, "0");
  const cut = digits.length - exponent;
  return (minor < 0 ? "-" : "") + digits.slice(0, cut) + (exponent ? "." + digits.slice(cut) : "");
}

type Display = "narrowSymbol" | "code";
function formatter(currency: string, display: Display, digits: number): Intl.NumberFormat {
  return once(`m${currency}${display}${digits}`, () => new Intl.NumberFormat(undefined, {
    style: "currency", currency, currencyDisplay: display, minimumFractionDigits: digits, maximumFractionDigits: digits,
  }));
}
// The formatter takes an exact decimal string; the library types of TypeScript know it under a stricter name.
const exactly = (text: string): Intl.StringNumericLiteral => text as Intl.StringNumericLiteral;

function format(minor: number, currency: string, display: Display, digits?: number): string {
  const exponent = exponentOf(currency);
  const text = decimal(minor, exponent);
  try {
    return formatter(currency, display, digits ?? exponent).format(exactly(text)).replace("-", "\u2212");
  } catch {
    return `${currency} ${text}`;
  }
}

/** "£214.50" */
export const money = (minor: number, currency: string): string => format(minor, currency, "narrowSymbol");
/** "GBP 214.50", for sentences */
export const moneyInWords = (minor: number, currency: string): string => format(minor, currency, "code").replace(/\u00a0/g, " ");
/** Whole units: beside a bar that is cut off the exact amount stands in the readout and the table. */
export const moneyShort = (minor: number, currency: string): string => format(minor, currency, "narrowSymbol", 0);
/** For ticks of an axis, which are round: no minor digits when they are all zero. */
export function moneyTick(minor: number, currency: string): string {
  return minor % 10 ** exponentOf(currency) === 0 ? moneyShort(minor, currency) : money(minor, currency);
}

export interface MoneyPart {
  kind: "sign" | "symbol" | "fraction" | "digits";
  text: string;
}
/** The same text in parts, so that the digits that matter can be large. */
export function moneyParts(minor: number, currency: string): MoneyPart[] {
  const exponent = exponentOf(currency);
  const text = decimal(minor, exponent);
  try {
    return formatter(currency, "narrowSymbol", exponent).formatToParts(exactly(text)).map(({ type, value }) => ({
      kind: type === "currency" ? "symbol" : type === "minusSign" ? "sign" : type === "fraction" || type === "decimal" ? "fraction" : "digits",
      text: type === "minusSign" ? "\u2212" : value,
    }));
  } catch {
    return [{ kind: "symbol", text: currency + "\u00a0" }, { kind: "digits", text }];
  }
}

/** "GBP 214.50 and EUR 3.00"; empty where nothing is worth anything. */
export function moneyList(list: readonly Minor[] | null | undefined): string {
  return (list ?? []).filter((m) => m.minor !== 0).map((m) => moneyInWords(m.minor, m.currency)).join(" and ");
}
