"""What every SDK does the same, as pure functions; `spec/vectors/` holds them to the Rust code."""

import re

from .catalogue import TYPES

EVENTS_MAX = 5_000
BYTES_MAX = 16 << 20
SEND_EVENTS_MAX = 100
SEND_BYTES_MAX = 256 << 10
AGE_MS_MAX = 2**31 - 1
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_CLASSES = ("system", "money", "stock", "journey", "ambient")
_UUID = re.compile(
    r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![0-9A-Za-z])"
)
_DIGITS = re.compile(r"(?<![0-9A-Za-z])\d(?:[ -]?\d){12,18}(?![0-9A-Za-z])", re.ASCII)
_CARD = re.compile(
    r"4(?:\d{12}|\d{15}|\d{17,18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"
    r"|3[47]\d{13}|(?:6011|64[4-9]\d|65\d\d|62\d\d|35(?:2[89]|[3-8]\d))\d{12,15}"
    r"|3(?:0[0-5]|[689]\d)\d{11,16}",
    re.ASCII,
)


class PopwatchError(Exception):
    """An event that is not kept: a stable code, the field, and what is wrong."""

    def __init__(self, code, field, detail):
        super().__init__(f"{code} {field}: {detail}" if field else f"{code}: {detail}")
        self.code, self.field, self.detail = code, field, detail


def event_id(wall_ms, random):
    """`pw_` and 26 characters: 48 bits of milliseconds, 80 random bits."""
    bits = int.from_bytes(wall_ms.to_bytes(6, "big") + bytes(random), "big")
    return "pw_" + "".join(_ALPHABET[bits >> 5 * place & 31] for place in reversed(range(26)))


def retry_ms(failures, ppm, asked_s):
    """The wait after failures in a row: 0.5 s doubling to 30 s, `ppm` millionths of it."""
    ceiling = min(500 << min(max(failures - 1, 0), 16), 30_000)
    return max(ceiling * min(ppm, 1_000_000) // 1_000_000, (asked_s or 0) * 1_000)


def batch(held, events_max=SEND_EVENTS_MAX):
    """Indexes of the next request's events: the most important class first, within it the oldest.
    `held`: (class, bytes), oldest first."""
    chosen, total = [], 0
    for at in sorted(range(len(held)), key=lambda at: _CLASSES.index(held[at][0])):
        total += held[at][1]
        if chosen and (len(chosen) >= min(events_max, SEND_EVENTS_MAX) or total > SEND_BYTES_MAX):
            break
        chosen.append(at)
    return chosen


def make_room(held, kind, size):
    """Indexes that go for a newcomer, oldest ambient first, then journey; PW0131 when none may."""
    events, total, dropped = len(held) + 1, sum(one[1] for one in held) + size, []
    for loses in ("ambient", "journey"):
        for at, (other, other_size) in enumerate(held):
            if events <= EVENTS_MAX and total <= BYTES_MAX:
                return dropped
            if other == loses and (loses == "ambient" or kind != "ambient"):
                dropped.append(at)
                events -= 1
                total -= other_size
    if events <= EVENTS_MAX and total <= BYTES_MAX:
        return dropped
    raise PopwatchError("PW0131", None, "the outbox is full; the edge has not answered for long")


def judge(status, answer, sent):
    """The fate of each event sent: kept, dead, later or halved. A request is only refused for good by
    an edge that says why, not by whatever else answers on a borrowed network."""
    answer = answer if isinstance(answer, dict) else {}
    results = answer.get("results") if status == 200 else None
    if isinstance(results, list) and len(results) == sent:
        return [_fate(verdict) for verdict in results]
    if status in (400, 413, 415) and str(answer.get("code")).startswith("PW"):
        return ["dead"] if sent == 1 else ["halved"] * sent
    return ["later"] * sent


def _fate(verdict):
    verdict = verdict if isinstance(verdict, dict) else {}
    if verdict.get("status") in ("accepted", "duplicate"):
        return "kept"
    if verdict.get("status") != "rejected" or (verdict.get("error") or {}).get("code") == "PW0120":
        return "later"
    return "dead"


def short(name):
    """The type's name without `popwatch.`."""
    return name.removeprefix("popwatch.")


def class_of(name):
    """How important events of a type are; an unknown type is ambient."""
    return TYPES.get(short(name), "ambient").split(" ", 1)[0]


def envelope(kind, data, event_id, source, popup=None, time=None):
    """The event as it is sent, without its age. Faults with PW0103 or PW0106."""
    name = short(kind)
    known = TYPES.get(name)
    data = {field: value for field, value in data.items() if value is not None}
    for field in known.split(" ")[1:] if known else ():
        _whole(data, field, f"data.{field}")
    for field, holds in data.items():
        if known and field == "lines" and isinstance(holds, list):
            for at, line in enumerate(holds):
                for part in ("qty", "amount"):
                    if isinstance(line, dict):
                        _whole(line, part, f"data.lines[{at}].{part}")
    event = {"specversion": "1.0", "id": event_id, "source": source}
    if popup is not None:
        event["popup"] = popup
    if time is not None:
        event["time"] = time
    event["type"] = f"popwatch.{name}" if known else kind
    for field in ("id", "source", "popup"):
        _no_card(event.get(field), field)
    _no_card(data, "data")
    event["data"] = data
    return event


def _whole(holder, field, path):
    value = holder.get(field)
    if value is not None and type(value) is not int:
        raise PopwatchError("PW0103", path, "is not an integer; money is minor units")


def _no_card(value, path):
    if isinstance(value, dict):
        for field, inner in value.items():
            if field != "sku":
                _no_card(inner, f"{path}.{field}")
    elif isinstance(value, (list, tuple)):
        for at, inner in enumerate(value):
            _no_card(inner, f"{path}[{at}]")
    elif isinstance(value, str) and has_card(value) or type(value) is int and has_card(str(value)):
        raise PopwatchError("PW0106", path, "looks like a payment card number")


def has_card(text):
    """Whether a text holds what looks like a payment card number."""
    for found in _DIGITS.finditer(_UUID.sub("", text)):
        digits = re.sub("[ -]", "", found[0])
        split = len(digits) != len(found[0])
        if (len(digits) > 13 or split) and _CARD.fullmatch(digits) and _luhn(digits):
            return True
    return False


def _luhn(digits):
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) << (place & 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
