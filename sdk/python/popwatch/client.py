"""The client: one thread stores what is emitted, one sends what is stored."""

import http.client
import json
import os
import random
import sqlite3
import threading
import time as clock
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from . import rules
from .catalogue import Calls
from .outbox import Outbox
from .reference import reference
from .rules import PopwatchError

_TIMEOUT_S = 30
# What `,"agems":2147483647` and the end of the line add to an event.
_AGE_BYTES = 21
_SAFE_MS = 20 * 3_600_000


@dataclass(frozen=True)
class Emitted:
    """An event on its way. `stored` ends when it survives a crash of this process; `done` when the
    edge has it, with `{"status", "rig", "epoch", "seq", "popup", "at_ms"}`: an anchor for
    `payment_ref`. Both fail with `PopwatchError`."""

    id: str
    stored: Future = field(default_factory=Future)
    done: Future = field(default_factory=Future)

    def __post_init__(self):
        # What is stored cannot be taken back: nobody cancels these.
        self.stored.set_running_or_notify_cancel()
        self.done.set_running_or_notify_cancel()


class _Held:
    """An event that waits."""

    __slots__ = ("id", "text", "kind", "size", "wall_ms", "mono", "emitted", "after")

    def __init__(self, one, text, kind, wall_ms, emitted, mono=None):
        self.id, self.text, self.kind, self.size = one, text, kind, len(text.encode())
        self.wall_ms, self.mono, self.emitted = wall_ms, mono, emitted
        # Not sent before this moment of the steady clock: the edge had no room for its class.
        self.after = 0.0

    def says_the_same(self, other):
        """Whether it is the same fact: a retry may carry another time."""
        one, two = json.loads(self.text), json.loads(other.text)
        return one["type"] == two["type"] and one["data"] == two["data"]

    def line(self):
        """The event with its age: by the steady clock, after a restart by the wall clock."""
        if self.mono is not None:
            age = int((clock.monotonic() - self.mono) * 1_000)
        else:
            age = _wall_ms() - self.wall_ms
        return f'{self.text[:-1]},"agems":{min(max(age, 0), rules.AGE_MS_MAX)}}}'


def open(edge, *, source, popup=None, outbox=None, pass_text=None, on_rejected=None):
    """A client of the edge at a URL such as `http://127.0.0.1:8710`.

    `outbox` is a file of this process alone; without one, or where it cannot be written, events wait
    in memory (PW0132; `status()["stored"]` is false). `pass_text` is the till's pass, where an edge of
    an organisation asks for one. `on_rejected(event, error)` hears of each event
    that the edge refused, on the sending thread.
    """
    return Client(edge, source, popup, outbox, pass_text, on_rejected)


class Client(Calls):
    """See `open`. All methods may be called from any thread."""

    def __init__(self, edge, source, popup, outbox, pass_text, on_rejected):
        self._url = urlsplit(edge if "//" in edge else f"http://{edge}")
        self._source, self._popup, self._on_rejected = source, popup, on_rejected
        self._headers = {"Content-Type": "application/x-ndjson", "User-Agent": "popwatch-python"}
        if pass_text:
            self._headers["Authorization"] = f"Bearer {pass_text}"
        self._change = threading.Condition()
        self._coming, self._held, self._sending = deque(), {}, frozenset()
        self._losses, self._most = {}, rules.SEND_EVENTS_MAX
        self._failures, self._sheds, self._not_before = 0, 0, 0.0
        self._storing = self._closed = False
        self._edge, self._fault, self._outbox = {}, None, None
        self._open(outbox)
        self._threads = [
            threading.Thread(target=run, name=f"popwatch-{run.__name__}", daemon=True)
            for run in (self._store, self._send)
        ]
        for thread in self._threads:
            thread.start()

    def emit(self, type, data, *, id=None, time=None):
        """Takes an event; never raises and never waits. What is wrong with it, `done` says."""
        one = str(id or rules.event_id(_wall_ms(), os.urandom(10)))
        emitted = Emitted(one)
        try:
            event = rules.envelope(type, data, one, self._source, self._popup, time)
            text = json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            held = _Held(one, text, rules.class_of(type), _wall_ms(), emitted, clock.monotonic())
        except PopwatchError as error:
            return _failed(emitted, error)
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            return _failed(emitted, PopwatchError("PW0103", "data", f"is not JSON: {error}"))
        with self._change:
            if self._closed:
                return _failed(emitted, PopwatchError("PW0131", None, "the client is closed"))
            self._coming.append(held)
            self._change.notify_all()
        return emitted

    def flush(self, deadline=10.0):
        """Waits up to `deadline` seconds until the edge has everything; answers whether it has."""
        with self._change:
            return self._change.wait_for(self._is_empty, deadline)

    def status(self):
        """How things stand: what waits, for how long, where, and what the edge last said."""
        with self._change:
            waiting = [*self._held.values(), *self._coming]
            oldest = min((held.wall_ms for held in waiting), default=None)
            return {
                "queued": len(waiting),
                "bytes": sum(held.size for held in waiting),
                "oldest_ms": None if oldest is None else max(_wall_ms() - oldest, 0),
                "stored": self._outbox is not None,
                "lost": {kind: count for kind, count in self._losses.items() if count},
                "edge": dict(self._edge),
                "fault": self._fault,
            }

    def payment_ref(self, anchor, use="p0"):
        """The reference of a payment (`p0` to `pz`, by tender) or refund (`r0` to `rz`) to stamp into
        the provider's object and to use as its idempotency key: `{"payment", "safe_until_ms"}`.

        `anchor` is what `done` of the checkout's `checkout.started` gave (after a definite decline,
        of that `payment.failed`; of a refund, of the `payment.captured`). The same anchor gives the
        same reference. After `safe_until_ms` search at the provider by it before asking again.
        """
        if not anchor["popup"]:
            raise PopwatchError("PW0103", "popup", "open the client with a popup to mint references")
        payment = reference(anchor["popup"], anchor["rig"], anchor["epoch"], anchor["seq"], use)
        return {"payment": payment, "safe_until_ms": anchor["at_ms"] + _SAFE_MS}

    def dead(self):
        """The last 200 events that the edge refused, with the reasons."""
        return self._outbox.dead() if self._outbox else []

    def close(self, deadline=10.0):
        """Flushes, then stops; what is left waits in the outbox for the next start."""
        done = self._closed or self.flush(deadline)
        with self._change:
            self._closed = True
            self._change.notify_all()
        storing, sending = self._threads
        storing.join()
        # A request under way may end by itself: its events are in the outbox either way.
        sending.join(1)
        if self._outbox:
            self._outbox.close()
        return done

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _is_empty(self):
        return not self._coming and not self._held and not self._storing

    def _open(self, path):
        if path is None:
            self._fault = "PW0132: no outbox was named; events wait in memory"
            return
        try:
            self._outbox = Outbox(path)
            events, self._losses = self._outbox.load()
        except (OSError, sqlite3.Error) as error:
            self._outbox = None
            self._fault = f"PW0132: {error}; events wait in memory"
            return
        for one, text, wall_ms in events:
            kind = rules.class_of(json.loads(text)["type"])
            self._held[one] = _Held(one, text, kind, wall_ms, Emitted(one))

    # The storing thread.

    def _store(self):
        while True:
            with self._change:
                self._change.wait_for(lambda: self._coming or self._closed)
                if not self._coming:
                    return
                fresh, dropped, refused, again = self._admit()
                losses, self._storing = dict(self._losses), True
            fault = self._put(fresh, dropped, losses)
            with self._change:
                self._held.update((held.id, held) for held in fresh)
                for first, held in again:
                    _follow(first, held)
                self._storing = False
                self._change.notify_all()
            for held in (*fresh, *(held for _, held in again)):
                if fault:
                    _fail(held.emitted.stored, fault)
                else:
                    held.emitted.stored.set_result(held.id)
            for held, error in refused:
                _failed(held.emitted, error)

    def _admit(self):
        """What comes in, what goes for it, who is told so, and who comes a second time."""
        fresh, dropped, refused, again = [], [], [], []
        total = sum(held.size for held in self._held.values())
        while self._coming:
            held = self._coming.popleft()
            first = self._held.get(held.id) or next((one for one in fresh if one.id == held.id), None)
            if first and first.says_the_same(held):
                again.append((first, held))
                continue
            if first:
                refused.append((held, PopwatchError("PW0104", "id", "names another event already")))
                continue
            total += held.size
            count = len(self._held) + len(fresh)
            if count < rules.EVENTS_MAX and total <= rules.BYTES_MAX:
                fresh.append(held)
                continue
            free = [one for one in (*self._held.values(), *fresh) if one.id not in self._sending]
            # Counting what is being sent as money keeps its place and never drops it.
            busy = [("money", one.size) for one in self._held.values() if one.id in self._sending]
            sizes = [(one.kind, one.size) for one in free]
            try:
                gone = rules.make_room(sizes + busy, held.kind, held.size)
            except PopwatchError as error:
                if held.kind in ("ambient", "journey"):
                    self._losses[held.kind] = self._losses.get(held.kind, 0) + 1
                refused.append((held, error))
                total -= held.size
                continue
            for at in gone:
                other = free[at]
                total -= other.size
                self._losses[other.kind] = self._losses.get(other.kind, 0) + 1
                refused.append((other, PopwatchError("PW0131", None, "made room for a newer event")))
                if self._held.pop(other.id, None):
                    dropped.append(other.id)
                else:
                    fresh.remove(other)
            fresh.append(held)
        return fresh, dropped, refused, again

    def _put(self, fresh, dropped, losses):
        if self._outbox is None:
            return PopwatchError("PW0132", None, "this event waits in memory only")
        try:
            rows = [(held.id, held.text, held.wall_ms) for held in fresh]
            self._outbox.put(rows, dropped, losses)
        except sqlite3.Error as error:
            self._fault = f"PW0132: {error}"
            return PopwatchError("PW0132", None, f"this event waits in memory only: {error}")
        return None

    # The sending thread.

    def _send(self):
        while True:
            with self._change:
                self._change.wait_for(lambda: self._held or self._closed)
                while not self._closed and (wait := self._wait_s()) > 0:
                    self._change.wait(wait)
                if self._closed:
                    return
                batch = self._next()
                losses = {kind: count for kind, count in self._losses.items() if count}
            status, answer, asked_s = self._post(batch, losses)
            self._take(batch, losses, status, answer, asked_s)

    def _wait_s(self):
        """Until something may be sent, seconds."""
        soonest = min(held.after for held in self._held.values())
        return max(soonest, self._not_before) - clock.monotonic()

    def _next(self):
        now = clock.monotonic()
        ready = [held for held in self._held.values() if held.after <= now]
        sizes = [(held.kind, held.size + _AGE_BYTES) for held in ready]
        batch = [ready[at] for at in rules.batch(sizes, self._most)]
        self._sending = frozenset(held.id for held in batch)
        return batch

    def _post(self, batch, losses):
        """One request: its status (0 for none), the answer if it can be read, and `Retry-After`."""
        body = "".join(f"{held.line()}\n" for held in batch).encode()
        headers = dict(self._headers)
        if losses:
            counts = (f"{kind}={count}" for kind, count in losses.items())
            headers["Popwatch-Client-Loss"] = ", ".join(counts)
        secure = self._url.scheme == "https"
        make = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = make(self._url.netloc.rpartition("@")[2], timeout=_TIMEOUT_S)
        try:
            connection.request("POST", f"{self._url.path.rstrip('/')}/v1/events", body, headers)
            response = connection.getresponse()
            text = response.read(8 << 20)
            asked = response.getheader("Retry-After", "")
            asked_s = int(asked) if asked.isascii() and asked.isdigit() else None
            self._fault = None if response.status == 200 else f"the edge answered {response.status}"
            return response.status, _json(text), asked_s
        except (OSError, http.client.HTTPException) as error:
            self._fault = f"no answer of the edge: {error or type(error).__name__}"
            return 0, None, None
        finally:
            connection.close()

    def _take(self, batch, losses, status, answer, asked_s):
        fates = rules.judge(status, answer, len(batch))
        results = answer.get("results") if status == 200 and isinstance(answer, dict) else None
        settled = [at for at, fate in enumerate(fates) if fate in ("kept", "dead")]
        errors = {at: _error(results, at, answer) for at in settled if fates[at] == "dead"}
        is_judged = status == 200 and bool(results) and len(results) == len(batch)
        with self._change:
            if is_judged:
                for kind, count in losses.items():
                    self._losses[kind] -= count
                self._edge = {name: answer.get(name) for name in ("rig", "epoch", "durable_seq")}
            self._space(batch, fates, is_judged, asked_s)
            losses = dict(self._losses)
        refused = [(batch[at].id, batch[at].text, error) for at, error in errors.items()]
        self._settle([batch[at].id for at in settled], refused, losses)
        with self._change:
            for at in settled:
                self._held.pop(batch[at].id, None)
            self._sending = frozenset()
            self._change.notify_all()
        for at in settled:
            self._tell(batch[at], answer, results, at, errors.get(at))

    def _space(self, batch, fates, is_judged, asked_s):
        """When to send again, and how much. Chat for which a full disk has no room waits by itself: a
        sale goes at once."""
        self._most = max(len(batch) // 2, 1) if "halved" in fates else rules.SEND_EVENTS_MAX
        later = [held for held, fate in zip(batch, fates) if fate == "later"]
        self._failures = self._failures + 1 if later and not is_judged else 0
        self._sheds = self._sheds + 1 if later and is_judged else 0
        wait_ms = rules.retry_ms(self._failures or self._sheds, random.randrange(1_000_001), asked_s)
        moment = clock.monotonic() + wait_ms / 1_000
        if self._failures:
            self._not_before = moment
        for held in later if is_judged else ():
            held.after = moment

    def _settle(self, gone, dead, losses):
        if self._outbox is None or not gone:
            return
        try:
            self._outbox.settle(gone, dead, losses)
        except sqlite3.Error as error:
            # They are sent once more after a restart, and the edge says duplicate.
            self._fault = f"PW0132: {error}"

    def _tell(self, held, answer, results, at, error):
        if error is None:
            verdict = results[at]
            where = {
                "status": verdict["status"],
                "rig": answer.get("rig"),
                "epoch": verdict.get("epoch", answer.get("epoch")),
                "seq": verdict.get("seq"),
                "popup": self._popup,
                "at_ms": held.wall_ms,
            }
            if not held.emitted.done.done():
                held.emitted.done.set_result(where)
            return
        fault = PopwatchError(error.get("code"), error.get("field"), error.get("detail"))
        _fail(held.emitted.done, fault)
        if self._on_rejected:
            try:
                self._on_rejected(json.loads(held.text), error)
            except Exception as raised:  # the caller's own fault must not end the sending
                self._fault = f"on_rejected raised {type(raised).__name__}"


def _follow(first, held):
    """The second emit of an event ends as the first does."""

    def end(future):
        if future.exception():
            _fail(held.emitted.done, future.exception())
        elif not held.emitted.done.done():
            held.emitted.done.set_result(future.result())

    first.emitted.done.add_done_callback(end)


def _failed(emitted, error):
    _fail(emitted.stored, error)
    _fail(emitted.done, error)
    return emitted


def _fail(future, error):
    if not future.done():
        future.set_exception(error)


def _error(results, at, answer):
    """Why one event was refused; of a request that was refused whole, why that was."""
    if results:
        return results[at].get("error") or {"code": None, "detail": "refused"}
    return {name: answer.get(name) for name in ("code", "detail")}


def _json(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


def _wall_ms():
    return clock.time_ns() // 1_000_000
