// Turns minor units and times into text. Nothing else in the page does.

const cache = new Map();
function once(key, make) {
  if (!cache.has(key)) cache.set(key, make());
  return cache.get(key);
}

const exponents = new Map();
/** Remembers a currency's exponent as the server states it; until then Intl's own table is asked. */
export function learnExponent(currency, exponent) {
  if (Number.isInteger(exponent) && exponent >= 0 && exponent <= 8) exponents.set(currency, exponent);
}

export function exponentOf(currency) {
  if (exponents.has(currency)) return exponents.get(currency);
  try {
    return once("x" + currency, () => new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits);
  } catch {
    return 2;
  }
}

/** Minor units as an exact decimal string: digits are moved, nothing is divided. */
export function decimal(minor, exponent) {
  const digits = String(Math.abs(minor)).padStart(exponent + 1, "0");
  const cut = digits.length - exponent;
  return (minor < 0 ? "-" : "") + digits.slice(0, cut) + (exponent ? "." + digits.slice(cut) : "");
}

function format(minor, currency, display, digits, parts) {
  const x = exponentOf(currency);
  const text = decimal(minor, x);
  try {
    const f = once(`m${currency}${display}${digits ?? x}`, () => new Intl.NumberFormat(undefined, {
      style: "currency", currency, currencyDisplay: display, minimumFractionDigits: digits ?? x, maximumFractionDigits: digits ?? x,
    }));
    return parts ? f.formatToParts(text) : f.format(text).replace("-", "\u2212");
  } catch {
    return parts ? [{ type: "currency", value: currency + " " }, { type: "integer", value: text }] : `${currency} ${text}`;
  }
}

/** "£214.50" */
export const money = (minor, currency) => format(minor, currency, "narrowSymbol");
/** "GBP 214.50", for sentences */
export const moneyInWords = (minor, currency) => format(minor, currency, "code").replace(/\u00a0/g, " ");
export const moneyParts = (minor, currency) => format(minor, currency, "narrowSymbol", undefined, true);
/** For axis ticks, which are round: no minor digits when they are all zero. */
export function moneyTick(minor, currency) {
  const unit = 10 ** exponentOf(currency);
  return minor % unit === 0 ? format(minor, currency, "narrowSymbol", 0) : money(minor, currency);
}
/** A short label beside a clipped bar: whole units are enough there, the exact value is in the readout and the table. */
export const moneyShort = (minor, currency) => format(minor, currency, "narrowSymbol", 0);

/** "GBP 214.50 and EUR 3.00" */
export function moneyList(list) {
  return (list || []).filter((m) => m.minor !== 0).map((m) => moneyInWords(m.minor, m.currency)).join(" and ");
}

export const count = (n) => once("n", () => new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 })).format(n);
export const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;

let zone = "UTC";
export function setZone(name) {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    zone = name || "UTC";
  } catch {
    zone = "UTC";
  }
}
function clock(ms, seconds) {
  if (!Number.isFinite(ms) || Math.abs(ms) > 8e15) return "an unknown time";
  return once(`t${zone}${seconds}`, () => new Intl.DateTimeFormat(undefined, {
    timeZone: zone, hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined, hourCycle: "h23",
  })).format(ms);
}
/** "19:04" in the popup's zone */
export const hm = (ms) => clock(ms, false);
/** "19:04:12" in the popup's zone */
export const hms = (ms) => clock(ms, true);
/** "22 Nov" in the popup's zone */
export const day = (ms) => once(`d${zone}`, () => new Intl.DateTimeFormat(undefined, { timeZone: zone, day: "numeric", month: "short" })).format(ms);
/** "19:04", or "22 Nov 19:04" when it is more than half a day from `now` */
export const hmNear = (ms, now) => (Math.abs(now - ms) > 43_200_000 ? `${day(ms)} ${hm(ms)}` : hm(ms));

/** "1:42", hours and minutes */
export function span(ms) {
  const m = Math.max(0, Math.floor(ms / 60_000));
  return `${Math.floor(m / 60)}:${String(m % 60).padStart(2, "0")}`;
}
/** "0.2 s", "14 s", "3 min", "2 h 10 min", "4 d" */
export function age(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 1) return `${(Math.floor(s * 10) / 10).toFixed(1)} s`;
  if (s < 100) return `${Math.floor(s)} s`;
  if (s < 5400) return `${Math.floor(s / 60)} min`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${count(Math.floor(s / 86_400))} d`;
}
/** A checkout's length: "0.8 s", "41 s", "2 min 05 s" */
export function length(ms) {
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)}\u00a0s`;
  const s = Math.round(ms / 1000);
  return s < 120 ? `${s}\u00a0s` : `${Math.floor(s / 60)}\u00a0min ${String(s % 60).padStart(2, "0")}\u00a0s`;
}
/** "480 µs", "3 ms" */
export const micros = (us) => (us < 1_000 ? `${count(us)} µs` : `${count(Math.ceil(us / 1_000))} ms`);
/** "12 GB", "640 MB" */
export const bytes = (n) => (n >= 1e9 ? `${count(Math.floor(n / 1e9))} GB` : `${count(Math.floor(n / 1e6))} MB`);
/** "40 s", "3 min", "7 h" */
export function lasts(seconds) {
  if (seconds < 90) return `${count(Math.max(1, Math.ceil(seconds)))} s`;
  return minutes(Math.ceil(seconds / 60));
}
/** "41 min", "7 h", "12 days" */
export function minutes(n) {
  if (n < 120) return `${count(n)} min`;
  return n < 2_880 ? `${count(Math.floor(n / 60))} h` : `${count(Math.floor(n / 1_440))} days`;
}
/** "±12 ms", "±3 s", "±7 min" */
export function plusMinus(ms) {
  if (ms < 1000) return `±${count(Math.ceil(ms))} ms`;
  return ms < 90_000 ? `±${count(Math.ceil(ms / 1000))} s` : `±${count(Math.ceil(ms / 60_000))} min`;
}

/** A rig's id as people say it: "till-2" is "Till 2"; anything else stays as it is, clipped to what a line can hold. */
export function rigName(id) {
  const plain = /^([a-z]{2,16})[-_](\d{1,4})$/.exec(id);
  return plain ? plain[1][0].toUpperCase() + plain[1].slice(1) + " " + plain[2] : clip(id);
}
export function clip(text, max = 80) {
  const all = [...String(text)];
  return all.length > max ? all.slice(0, max - 1).join("") + "…" : String(text);
}
