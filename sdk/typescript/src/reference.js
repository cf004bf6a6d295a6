// The reference stamped into a payment provider's object: a pure function of a record that is already
// safe on a till, its anchor, so that a till that lost the provider's reply computes the same again.
const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";
const CONSONANTS = "bcdfghjklmnpqrstvwxz";
const LENGTH_MAX = 36;

// BLAKE3 of one block, https://github.com/BLAKE3-team/BLAKE3-specs sections 2.1 to 2.3.
const IV = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
const ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const WHOLE = 1 | 2 | 8;
const CONTEXT = 32;
const MATERIAL = 64;

function compress(key, text, flags) {
  const bytes = new Uint8Array(64);
  const { written } = new TextEncoder().encodeInto(text, bytes);
  const view = new DataView(bytes.buffer);
  let words = ORDER.map((_, at) => view.getUint32(4 * at, true));
  const v = [...key, ...IV.slice(0, 4), 0, 0, written, flags];
  const turn = (word, by) => (word >>> by) | (word << (32 - by));
  const mix = (a, b, c, d, one, two) => {
    for (const [word, right, left] of [[one, 16, 12], [two, 8, 7]]) {
      v[a] = (v[a] + v[b] + word) | 0;
      v[d] = turn(v[d] ^ v[a], right);
      v[c] = (v[c] + v[d]) | 0;
      v[b] = turn(v[b] ^ v[c], left);
    }
  };
  for (let round = 0; round < 7; round++) {
    for (let at = 0; at < 8; at++) {
      // Columns, then diagonals.
      const [column, shift] = [at % 4, at < 4 ? 0 : 1];
      mix(column, 4 + ((column + shift) % 4), 8 + ((column + 2 * shift) % 4), 12 + ((column + 3 * shift) % 4),
        words[2 * at], words[2 * at + 1]);
    }
    words = ORDER.map((at) => words[at]);
  }
  return IV.map((_, at) => v[at] ^ v[at + 8]);
}

/** The first 16 bytes of the derived key of at most 64 bytes, as a number. */
function number(what, text) {
  const key = compress(IV, `popwatch.reference.${what}.v1`, WHOLE | CONTEXT);
  const view = new DataView(new ArrayBuffer(16));
  compress(key, text, WHOLE | MATERIAL).slice(0, 4).forEach((word, at) => view.setInt32(4 * at, word, true));
  return (view.getBigUint64(0) << 64n) | view.getBigUint64(8);
}

function tag(what, name, length) {
  let rest = number(what, name);
  let text = "";
  for (; text.length < length; rest /= 20n) text += CONSONANTS[Number(rest % 20n)];
  return text;
}

function base32(number) {
  let text = "";
  do {
    text = DIGITS[number % 32] + text;
    number = Math.floor(number / 32);
  } while (number);
  return text;
}

/**
 * `pwr-{popup}-{rig}-{epoch}-{seq}-{use}-{check}`; `use` is p0 to pz (the tender of a checkout) or r0 to
 * rz (a refund). Null past 36 characters, which no journal reaches.
 */
export function reference(popup, rig, epoch, seq, use = "p0") {
  if (!/^[pr][0-9a-hjkmnp-tv-z]$/.test(use)) throw new RangeError("use is p0 to pz or r0 to rz");
  const text = `pwr-${tag("popup", popup, 6)}-${tag("rig", rig, 5)}-${base32(epoch)}-${base32(seq)}-${use}`;
  const check = Number(number("check", text) & 1023n);
  const whole = `${text}-${DIGITS[check >> 5]}${DIGITS[check & 31]}`;
  return whole.length <= LENGTH_MAX ? whole : null;
}
