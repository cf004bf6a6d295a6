"""The shared vectors, and what they cannot say."""

import json
import pathlib
import unittest

from popwatch import PopwatchError, rules
from popwatch.catalogue import TYPES, Calls
from popwatch.reference import reference

VECTORS = pathlib.Path(__file__).parents[3] / "spec" / "vectors"


def vectors(name):
    return json.loads((VECTORS / f"{name}.json").read_text())


def spread(runs):
    return [(kind, size) for kind, size, count in runs for _ in range(count)]


class Vectors(unittest.TestCase):
    def test_ids(self):
        for case in vectors("ids"):
            self.assertEqual(rules.event_id(case["wall_ms"], case["random"]), case["id"])

    def test_references(self):
        for case in vectors("references"):
            made = reference(*(case[name] for name in ("popup", "rig", "epoch", "seq", "use")))
            self.assertEqual(made, case["reference"], case)
        for use in ("", "p", "pi", "x0", "p00"):
            with self.assertRaises(ValueError):
                reference("a", "b", 1, 1, use)

    def test_retry(self):
        for case in vectors("retry"):
            wait = rules.retry_ms(case["failures"], case["ppm"], case["retry_after_s"])
            self.assertEqual(wait, case["wait_ms"], case)

    def test_batch(self):
        for case in vectors("batch")["requests"]:
            self.assertEqual(rules.batch(spread(case["held"])), case["request"])

    def test_room(self):
        for case in vectors("batch")["rooms"]:
            held, newcomer = spread(case["held"]), case["newcomer"]
            if case["code"]:
                with self.assertRaises(PopwatchError) as raised:
                    rules.make_room(held, *newcomer)
                self.assertEqual(raised.exception.code, case["code"])
            else:
                self.assertEqual(rules.make_room(held, *newcomer), case["dropped"], case)

    def test_verdicts(self):
        for case in vectors("verdicts"):
            fates = rules.judge(case["status"], case["body"], case["sent"])
            self.assertEqual(fates, case["fates"], case)

    def test_events(self):
        cases = vectors("events")
        self.assertEqual(len(cases["accepted"]), len(TYPES))
        for case in cases["accepted"]:
            made = rules.envelope(case["type"], case["data"], case["id"], "vectors", "market")
            self.assertEqual(made, case["event"])
            self.assertEqual(rules.class_of(case["type"]), case["class"])
            self.assertTrue(hasattr(Calls, case["type"].replace(".", "_")))
        for case in cases["refused"]:
            with self.assertRaises(PopwatchError) as raised:
                rules.envelope(case["type"], case["data"], "x", "vectors")
            self.assertEqual((raised.exception.code, raised.exception.field), (case["code"], case["field"]))
        for text in cases["no_card"]:
            self.assertFalse(rules.has_card(text), text)


if __name__ == "__main__":
    unittest.main()
