// The shared vectors.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { TYPES } from "../src/catalogue.js";
import { Client } from "../src/client.js";
import { reference } from "../src/reference.js";
import { batch, classOf, envelope, eventId, hasCard, judge, makeRoom, retryMs } from "../src/rules.js";

const vectors = (name) =>
  JSON.parse(readFileSync(new URL(`../../../spec/vectors/${name}.json`, import.meta.url)));
const spread = (runs) => {
  let at = 0;
  return runs.flatMap(([kind, size, count]) => Array.from({ length: count }, () => ({ kind, size, at: at++ })));
};

test("ids", () => {
  for (const { wall_ms, random, id } of vectors("ids")) assert.equal(eventId(wall_ms, random), id);
});

test("references", () => {
  for (const one of vectors("references")) {
    assert.equal(reference(one.popup, one.rig, one.epoch, one.seq, one.use), one.reference, JSON.stringify(one));
  }
  for (const use of ["", "p", "pi", "x0", "p00"]) assert.throws(() => reference("a", "b", 1, 1, use), RangeError);
});

test("retry", () => {
  for (const one of vectors("retry")) {
    assert.equal(retryMs(one.failures, one.ppm, one.retry_after_s), one.wait_ms, JSON.stringify(one));
  }
});

test("batch", () => {
  for (const one of vectors("batch").requests) {
    assert.deepEqual(batch(spread(one.held)).map((held) => held.at), one.request);
  }
});

test("room", () => {
  for (const one of vectors("batch").rooms) {
    const [kind, size] = one.newcomer;
    const gone = makeRoom(spread(one.held), { kind, size });
    assert.deepEqual(gone && gone.map((held) => held.at), one.dropped);
    assert.equal(gone === null, one.code === "PW0131");
  }
});

test("verdicts", () => {
  for (const one of vectors("verdicts")) {
    assert.deepEqual(judge(one.status, one.body, one.sent), one.fates, JSON.stringify(one));
  }
});

test("events", () => {
  const { accepted, refused, no_card } = vectors("events");
  assert.equal(accepted.length, Object.keys(TYPES).length);
  for (const one of accepted) {
    const made = JSON.parse(envelope(one.type, one.data, one.id, "vectors", "market"));
    assert.deepEqual(made, one.event);
    assert.equal(classOf(one.type), one.class);
    assert.equal(typeof Client.prototype[one.call], "function");
  }
  for (const one of refused) {
    assert.throws(
      () => envelope(one.type, one.data, "x", "vectors"),
      ({ code, field }) => code === one.code && field === one.field,
      JSON.stringify(one),
    );
  }
  for (const text of no_card) assert.equal(hasCard(text), false, text);
});
