"""The reference stamped into a payment provider's object: a pure function of a record that is already
safe on a till, its anchor, so that a till that lost the provider's reply computes the same again."""

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_CONSONANTS = "bcdfghjklmnpqrstvwxz"
_LENGTH_MAX = 36

# BLAKE3 of one block, https://github.com/BLAKE3-team/BLAKE3-specs sections 2.1 to 2.3.
_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
_ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_MIXED = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)
_WHOLE, _CONTEXT, _MATERIAL = 1 | 2 | 8, 32, 64


def _compress(key, block, flags):
    words = [int.from_bytes(block[at : at + 4], "little") for at in range(0, 64, 4)]
    v = [*key, *_IV[:4], 0, 0, len(block), flags]
    for _ in range(7):
        for at, (a, b, c, d) in enumerate(_MIXED):
            for word, right, left in ((words[2 * at], 16, 12), (words[2 * at + 1], 8, 7)):
                v[a] = v[a] + v[b] + word & 0xFFFFFFFF
                v[d] = _turn(v[d] ^ v[a], right)
                v[c] = v[c] + v[d] & 0xFFFFFFFF
                v[b] = _turn(v[b] ^ v[c], left)
        words = [words[at] for at in _ORDER]
    return [one ^ other for one, other in zip(v, v[8:])]


def _turn(word, by):
    return (word >> by | word << 32 - by) & 0xFFFFFFFF


def _number(context, text):
    """The first 16 bytes of the derived key of at most 64 bytes, as a number."""
    key = _compress(_IV, context.encode(), _WHOLE | _CONTEXT)
    words = _compress(key, text.encode(), _WHOLE | _MATERIAL)
    return int.from_bytes(b"".join(word.to_bytes(4, "little") for word in words[:4]), "big")


def _tag(what, name, length):
    number, tag = _number(f"popwatch.reference.{what}.v1", name), ""
    for _ in range(length):
        number, at = divmod(number, 20)
        tag += _CONSONANTS[at]
    return tag


def _base32(number):
    text = _DIGITS[number & 31]
    while number := number >> 5:
        text = _DIGITS[number & 31] + text
    return text


def reference(popup, rig, epoch, seq, use="p0"):
    """`pwr-{popup}-{rig}-{epoch}-{seq}-{use}-{check}`; `use` is p0 to pz (the tender of a checkout) or
    r0 to rz (a refund). None past 36 characters, which no journal reaches."""
    if len(use) != 2 or use[0] not in "pr" or use[1] not in _DIGITS:
        raise ValueError("use is p0 to pz or r0 to rz")
    tags = f"{_tag('popup', popup, 6)}-{_tag('rig', rig, 5)}"
    text = f"pwr-{tags}-{_base32(epoch)}-{_base32(seq)}-{use}"
    check = _number("popwatch.reference.check.v1", text)
    text += f"-{_DIGITS[check >> 5 & 31]}{_DIGITS[check & 31]}"
    return text if len(text) <= _LENGTH_MAX else None
