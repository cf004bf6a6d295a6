"""The client against a server that misbehaves on demand."""

import json
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import popwatch

SALE = {"payment": "p-1", "order": "o-1", "amount": 450, "currency": "EUR", "method": "card"}


class Edge(ThreadingHTTPServer):
    """Answers with the statuses it was given, then accepts; remembers what it got."""

    def __init__(self, *statuses):
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses, self.requests, self.bad = list(statuses), [], {}
        self.code = "PW0101"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        events = [json.loads(line) for line in body.splitlines()]
        self.server.requests.append((dict(self.headers), events))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        results = [self.verdict(event) for event in events]
        answer = {"rig": "till-1", "epoch": 1, "durable_seq": 9, "results": results}
        if status != 200:
            answer = {"status": status, "code": self.server.code, "detail": "refused"}
        answer = json.dumps(answer)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def verdict(self, event):
        if event["id"] in self.server.bad:
            error = {"code": self.server.bad[event["id"]], "detail": "refused"}
            return {"id": event["id"], "status": "rejected", "error": error}
        return {"id": event["id"], "status": "accepted", "seq": 7}

    def log_message(self, *_):
        pass


class ClientTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(Path(self.folder.name) / "outbox.db")
        self.addCleanup(self.folder.cleanup)

    def edge(self, *statuses):
        edge = Edge(*statuses)
        self.addCleanup(edge.server_close)
        self.addCleanup(edge.shutdown)
        return edge

    def test_a_failure_is_tried_again_with_the_same_id(self):
        edge = self.edge(503)
        with popwatch.open(edge.url, source="till", popup="market", outbox=self.path) as client:
            sale = client.payment_captured(**SALE)
            self.assertEqual(sale.stored.result(5), sale.id)
            self.assertEqual(sale.done.result(10)["seq"], 7)
        (_, first), (_, second) = edge.requests
        self.assertEqual(first[0]["id"], second[0]["id"])
        self.assertGreaterEqual(second[0]["agems"], first[0]["agems"])

    def test_a_bad_event_does_not_block_the_next(self):
        edge, told = self.edge(), []
        edge.bad["bad"] = "PW0104"
        tell = lambda event, error: told.append((event["id"], error["code"]))
        with popwatch.open(edge.url, source="t", outbox=self.path, on_rejected=tell) as client:
            bad = client.emit("payment.captured", SALE, id="bad")
            good = client.emit("payment.captured", SALE, id="good")
            self.assertEqual(good.done.result(5)["status"], "accepted")
            self.assertEqual(bad.done.exception(5).code, "PW0104")
            self.assertEqual(client.dead()[0][0]["id"], "bad")
        self.assertEqual(told, [("bad", "PW0104")])

    def test_a_refused_request_is_halved_until_the_bad_event_stands_alone(self):
        edge = self.edge(400, 400)
        self.stored(3)
        with popwatch.open(edge.url, source="t", outbox=self.path) as client:
            self.assertTrue(client.flush(10))
            self.assertEqual([event["id"] for event, _ in client.dead()], ["0"])
        self.assertEqual([len(events) for _, events in edge.requests], [3, 1, 2])

    def test_a_portal_that_refuses_everything_kills_no_sale(self):
        edge = self.edge(400)
        edge.code = None
        self.stored(1)
        with popwatch.open(edge.url, source="t", outbox=self.path) as client:
            self.assertTrue(client.flush(10))
            self.assertEqual(client.dead(), [])
        self.assertEqual(len(edge.requests), 2)

    def test_chat_without_room_keeps_no_sale_waiting(self):
        edge = self.edge()
        edge.bad["chat"] = "PW0120"
        with popwatch.open(edge.url, source="t", outbox=self.path) as client:
            chat = client.emit("chat.message", {"text": "hi"}, id="chat")
            for at in range(5):
                self.assertTrue(client.emit("payment.captured", SALE, id=str(at)).done.result(5))
            self.assertFalse(chat.done.done())
            edge.bad.clear()
            self.assertEqual(chat.done.result(35)["status"], "accepted")

    def test_an_id_names_one_event(self):
        client = popwatch.open("http://127.0.0.1:9", source="t", outbox=self.path)
        first = client.emit("payment.captured", SALE, id="one")
        again = client.emit("payment.captured", SALE, id="one", time="2026-11-28T18:00:00Z")
        other = client.emit("payment.captured", {**SALE, "amount": 451}, id="one")
        self.assertEqual(other.done.exception(5).code, "PW0104")
        self.assertEqual([one.stored.result(5) for one in (first, again)], ["one", "one"])
        self.assertEqual(client.status()["queued"], 1)
        client.close(0)

    def test_a_place_anchors_a_payment(self):
        edge = self.edge()
        with popwatch.open(edge.url, source="t", popup="night-market", outbox=self.path,
                           pass_text="pw1.x") as client:
            anchor = client.checkout_started(checkout="c-1").done.result(5)
            one, two = client.payment_ref(anchor), client.payment_ref(dict(anchor))
            self.assertEqual(one, two)
            self.assertTrue(one["payment"].startswith("pwr-wxtbvp-qtwwh-1-7-p0-"))
            self.assertEqual(one["safe_until_ms"], anchor["at_ms"] + 72_000_000)
        self.assertEqual(edge.requests[0][0]["Authorization"], "Bearer pw1.x")

    def stored(self, count):
        """Sales `0`, `1` and so on that no edge has seen."""
        client = popwatch.open("http://127.0.0.1:9", source="t", outbox=self.path)
        for at in range(count):
            client.emit("payment.captured", SALE, id=str(at)).stored.result(5)
        client.close(0)

    def test_what_waits_survives_and_money_goes_first(self):
        client = popwatch.open("http://127.0.0.1:9", source="t", outbox=self.path)
        client.emit("chat.message", {"text": "hi"}, id="chat").stored.result(5)
        client.emit("payment.captured", SALE, id="sale").stored.result(5)
        client.close(0)
        edge = self.edge()
        with popwatch.open(edge.url, source="t", outbox=self.path) as client:
            self.assertTrue(client.flush(10))
        self.assertEqual([event["id"] for event in edge.requests[0][1]], ["sale", "chat"])

    def test_a_full_outbox_loses_chat_counted_and_never_a_sale(self):
        popwatch.rules.EVENTS_MAX, before = 3, popwatch.rules.EVENTS_MAX
        self.addCleanup(setattr, popwatch.rules, "EVENTS_MAX", before)
        client = popwatch.open("http://127.0.0.1:9", source="t", outbox=self.path)
        chat = client.emit("chat.message", {"text": "hi"})
        chat.stored.result(5)
        # What is under way keeps its place; the first try has failed now.
        with client._change:
            client._change.wait_for(lambda: client._failures, 5)
        sales = [client.emit("payment.captured", SALE) for _ in range(4)]
        for sale in sales[:3]:
            sale.stored.result(5)
        self.assertEqual(chat.done.exception(5).code, "PW0131")
        self.assertEqual(sales[3].done.exception(5).code, "PW0131")
        client.close(0)
        edge = self.edge()
        with popwatch.open(edge.url, source="t", outbox=self.path) as client:
            self.assertTrue(client.flush(10))
            self.assertEqual(client.status()["lost"], {})
        headers, events = edge.requests[0]
        self.assertEqual(headers["Popwatch-Client-Loss"], "ambient=1")
        self.assertEqual(len(events), 3)

    def test_emit_never_raises(self):
        with popwatch.open("http://127.0.0.1:9", source="t") as client:
            for kind, data in [("payment.captured", {**SALE, "amount": 4.5}), ("x", {"a": {1}}), ("x", None)]:
                self.assertEqual(client.emit(kind, data).done.exception(5).code, "PW0103")
            kept = client.emit("payment.captured", SALE)
            self.assertEqual(kept.stored.exception(5).code, "PW0132")
            self.assertFalse(client.status()["stored"])
            client.close(0)


if __name__ == "__main__":
    unittest.main()
