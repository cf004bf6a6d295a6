// What every SDK does the same, as pure functions; spec/vectors/ holds them to the Rust code.
import { TYPES } from "./catalogue.js";

export const EVENTS_MAX = 5000;
export const BYTES_MAX = 16 << 20;
export const SEND_EVENTS_MAX = 100;
const SEND_BYTES_MAX = 256 << 10;
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const CLASSES = ["system", "money", "stock", "journey", "ambient"];
const UUID = /(?<![0-9A-Za-z])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9A-Za-z])/gi;
const DIGITS = /(?<![0-9A-Za-z])\d(?:[ -]?\d){12,18}(?![0-9A-Za-z])/g;
const CARD = /^(?:4(?:\d{12}|\d{15}|\d{17,18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}|(?:6011|64[4-9]\d|65\d\d|62\d\d|35(?:2[89]|[3-8]\d))\d{12,15}|3(?:0[0-5]|[689]\d)\d{11,16})$/;

/** An event that is not kept: a stable code, the field, and what is wrong. */
export class PopwatchError extends Error {
  constructor(code, field, detail) {
    super(`${code}${field ? ` ${field}` : ""}: ${detail}`);
    Object.assign(this, { name: "PopwatchError", code, field, detail });
  }
}

/** `pw_` and 26 characters: 48 bits of milliseconds, 80 random bits. */
export function eventId(wallMs, random) {
  let id = "";
  // From the right: 80 bits are 16 characters, the milliseconds the 10 before them.
  for (let at = 9, bits = 0, held = 0; at >= 0; at--) {
    bits |= random[at] << held;
    for (held += 8; held >= 5; held -= 5, bits >>= 5) id = ALPHABET[bits & 31] + id;
  }
  for (let at = 0; at < 10; at++, wallMs = Math.floor(wallMs / 32)) id = ALPHABET[wallMs % 32] + id;
  return `pw_${id}`;
}

/** The wait after failures in a row: 0.5 s doubling to 30 s, `ppm` millionths of it. */
export function retryMs(failures, ppm, askedS) {
  const ceiling = Math.min(500 * 2 ** Math.min(Math.max(failures - 1, 0), 16), 30000);
  return Math.max(Math.floor((ceiling * Math.min(ppm, 1e6)) / 1e6), (askedS ?? 0) * 1000);
}

/** The next request's events: the most important class first, within it the oldest. */
export function batch(held, most = SEND_EVENTS_MAX) {
  const rank = (one) => CLASSES.indexOf(one.kind);
  const chosen = [];
  let total = 0;
  for (const one of [...held].sort((a, b) => rank(a) - rank(b))) {
    total += one.size;
    if (chosen.length && (chosen.length >= most || total > SEND_BYTES_MAX)) break;
    chosen.push(one);
  }
  return chosen;
}

/** What goes for a newcomer, oldest ambient first, then journey; null when nothing may. */
export function makeRoom(held, newcomer) {
  let events = held.length + 1;
  let bytes = held.reduce((sum, one) => sum + one.size, newcomer.size);
  const gone = [];
  const fits = () => events <= EVENTS_MAX && bytes <= BYTES_MAX;
  for (const kind of newcomer.kind === "ambient" ? ["ambient"] : ["ambient", "journey"]) {
    for (const one of held) {
      if (fits()) return gone;
      if (one.kind === kind) {
        gone.push(one);
        events -= 1;
        bytes -= one.size;
      }
    }
  }
  return fits() ? gone : null;
}

/**
 * The fate of each event sent: kept, dead, later or halved. A request is only refused for good by an
 * edge that says why, not by whatever else answers on a borrowed network.
 */
export function judge(status, answer, sent) {
  const results = status === 200 && answer?.results;
  if (Array.isArray(results) && results.length === sent) {
    return results.map((one) =>
      one?.status === "accepted" || one?.status === "duplicate" ? "kept"
        : one?.status !== "rejected" || one.error?.code === "PW0120" ? "later" : "dead");
  }
  const refused = [400, 413, 415].includes(status) && /^PW/.test(answer?.code);
  return Array(sent).fill(!refused ? "later" : sent === 1 ? "dead" : "halved");
}

/** The type's name without `popwatch.`. */
const short = (type) => type.replace(/^popwatch\./, "");

/** How important events of a type are; an unknown type is ambient. */
export const classOf = (type) => (TYPES[short(type)] ?? "ambient").split(" ")[0];

/** The event's JSON as it is sent, without its age. Throws PW0103 or PW0106. */
export function envelope(type, data, id, source, popup, time) {
  const name = short(type);
  const known = TYPES[name];
  if (known) {
    for (const field of known.split(" ").slice(1)) whole(data[field], `data.${field}`);
    if (Array.isArray(data.lines)) {
      data.lines.forEach((line, at) => {
        whole(line?.qty, `data.lines[${at}].qty`);
        whole(line?.amount, `data.lines[${at}].amount`);
      });
    }
  }
  const event = { specversion: "1.0", id, source, popup, time, type: known ? `popwatch.${name}` : type, data };
  for (const field of ["id", "source", "popup", "data"]) noCard(event[field], field);
  return JSON.stringify(event, (field, value) => {
    if (typeof value !== "bigint") return value;
    whole(value, field);
    return Number(value);
  });
}

function whole(value, path) {
  if (value == null) return;
  if (!Number.isSafeInteger(typeof value === "bigint" ? Number(value) : value)) {
    throw new PopwatchError("PW0103", path, "is not an integer; money is minor units");
  }
}

function noCard(value, path) {
  if (value && typeof value === "object") {
    for (const [field, inner] of Object.entries(value)) {
      if (field !== "sku") noCard(inner, Array.isArray(value) ? `${path}[${field}]` : `${path}.${field}`);
    }
  } else if (value != null && hasCard(String(value))) {
    throw new PopwatchError("PW0106", path, "looks like a payment card number");
  }
}

/** Whether a text holds what looks like a payment card number. */
export function hasCard(text) {
  return (text.replace(UUID, "").match(DIGITS) ?? []).some((found) => {
    const digits = found.replace(/[ -]/g, "");
    return (digits.length > 13 || found !== digits) && CARD.test(digits) && luhn(digits);
  });
}

function luhn(digits) {
  let total = 0;
  [...digits].reverse().forEach((digit, place) => {
    const value = Number(digit) << (place & 1);
    total += value > 9 ? value - 9 : value;
  });
  return total % 10 === 0;
}
