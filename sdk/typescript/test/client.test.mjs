// The client against a server that misbehaves on demand, its outbox a real file.
import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { open } from "popwatch";

const SALE = { payment: "p-1", order: "o-1", amount: 450, currency: "EUR", method: "card" };
const NOWHERE = "http://127.0.0.1:9";

/** Answers with the statuses it was given, then judges: `bad` holds ids and the codes they get. */
async function edge(t, ...statuses) {
  const it = { requests: [], bad: {}, code: "PW0101" };
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    const events = body.trim().split("\n").map((row) => JSON.parse(row));
    it.requests.push({ headers: request.headers, events });
    const verdict = ({ id }) => it.bad[id]
      ? { id, status: "rejected", error: { code: it.bad[id], detail: "refused" } }
      : { id, status: "accepted", seq: 7 };
    const status = statuses.shift() ?? 200;
    response.statusCode = status;
    response.end(JSON.stringify(status === 200
      ? { rig: "till-1", epoch: 1, durable_seq: 9, results: events.map(verdict) }
      : { status, code: it.code, detail: "refused" }));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => (server.close(), server.closeAllConnections()));
  return Object.assign(it, { url: `http://127.0.0.1:${server.address().port}` });
}

async function file(t) {
  const folder = await mkdtemp(join(tmpdir(), "popwatch-"));
  t.after(() => rm(folder, { recursive: true }));
  return join(folder, "outbox");
}

async function opened(t, edge, more = {}) {
  const client = await open({ edge, source: "till", ...more });
  t.after(() => client.close(0));
  return client;
}

/** Sales `0`, `1` and so on that no edge has seen. */
async function stored(t, outbox, count) {
  const client = await opened(t, NOWHERE, { outbox });
  for (let at = 0; at < count; at++) await client.paymentCaptured(SALE, { id: `${at}` }).stored;
  await client.close(0);
}

const code = (promise) => promise.then(() => null, (error) => error.code);

test("a failure is tried again with the same id", async (t) => {
  const it = await edge(t, 503);
  const client = await opened(t, it.url, { popup: "market", outbox: await file(t), pass: "pw1.x" });
  const sale = client.paymentCaptured(SALE);
  assert.equal(await sale.stored, sale.id);
  assert.match(sale.id, /^pw_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
  assert.equal((await sale.done).seq, 7);
  const [first, second] = it.requests.map(({ events }) => events[0]);
  assert.equal(first.id, second.id);
  assert.ok(second.agems >= first.agems);
  assert.equal(it.requests[0].headers.authorization, "Bearer pw1.x");
});

test("a bad event does not block the next", async (t) => {
  const [it, told] = [await edge(t), []];
  it.bad.bad = "PW0104";
  const onRejected = (event, error) => told.push([event.id, error.code]);
  const client = await opened(t, it.url, { outbox: await file(t), onRejected });
  const [bad, good] = ["bad", "good"].map((id) => client.paymentCaptured(SALE, { id }));
  assert.equal((await good.done).status, "accepted");
  assert.equal(await code(bad.done), "PW0104");
  assert.deepEqual(told, [["bad", "PW0104"]]);
  assert.equal(client.dead()[0].event.id, "bad");
});

test("a refused request is halved until the bad event stands alone", async (t) => {
  const [it, outbox] = [await edge(t, 400, 400), await file(t)];
  await stored(t, outbox, 3);
  const client = await opened(t, it.url, { outbox });
  assert.ok(await client.flush());
  assert.deepEqual(client.dead().map(({ event }) => event.id), ["0"]);
  assert.deepEqual(it.requests.map(({ events }) => events.length), [3, 1, 2]);
});

test("a portal that refuses everything kills no sale", async (t) => {
  const [it, outbox] = [await edge(t, 400), await file(t)];
  it.code = null;
  await stored(t, outbox, 1);
  const client = await opened(t, it.url, { outbox });
  assert.ok(await client.flush());
  assert.deepEqual([client.dead(), it.requests.length], [[], 2]);
});

test("chat without room keeps no sale waiting", async (t) => {
  const it = await edge(t);
  it.bad.chat = "PW0120";
  const client = await opened(t, it.url, { outbox: await file(t) });
  let through = false;
  const chat = client.chatMessage({ stream: "main", viewer: "v", text: "hi" }, { id: "chat" });
  chat.done.then(() => (through = true));
  for (let at = 0; at < 5; at++) await client.paymentCaptured(SALE).done;
  assert.equal(through, false);
  it.bad = {};
  assert.equal((await chat.done).status, "accepted");
});

test("what waits survives, and money goes first", async (t) => {
  const outbox = await file(t);
  const before = await opened(t, NOWHERE, { outbox });
  await before.emit("chat.message", { text: "hi" }, { id: "chat" }).stored;
  await before.paymentCaptured(SALE, { id: "sale" }).stored;
  await before.close(0);
  // A crash may leave the last line torn, and what stands before it is whole.
  await appendFile(outbox, '{"p":"torn","t":"{');
  const it = await edge(t);
  const client = await opened(t, it.url, { outbox });
  assert.ok(await client.flush());
  assert.deepEqual(it.requests[0].events.map(({ id }) => id), ["sale", "chat"]);
  await client.close();
  const after = await opened(t, NOWHERE, { outbox });
  assert.equal(after.status().queued, 0);
  assert.doesNotMatch(await readFile(outbox, "utf8"), /torn/);
});

test("an outbox is of one process", async (t) => {
  const outbox = await file(t);
  const first = await opened(t, NOWHERE, { outbox });
  const second = await opened(t, NOWHERE, { outbox });
  assert.deepEqual([first, second].map((client) => client.status().stored), [true, false]);
  assert.match(second.status().fault, /PW0132/);
});

test("an id names one event", async (t) => {
  const client = await opened(t, NOWHERE, { outbox: await file(t) });
  const first = client.paymentCaptured(SALE, { id: "one" });
  const again = client.paymentCaptured(SALE, { id: "one", time: "2026-11-28T18:00:00Z" });
  const other = client.paymentCaptured({ ...SALE, amount: 451 }, { id: "one" });
  assert.equal(await code(other.done), "PW0104");
  assert.deepEqual([await first.stored, await again.stored], ["one", "one"]);
  assert.equal(client.status().queued, 1);
});

test("a full outbox loses chat, counted, and never a sale", async (t) => {
  const [it, outbox] = [await edge(t), await file(t)];
  const client = await opened(t, NOWHERE, { outbox });
  const chats = Array.from({ length: 5 }, () => client.emit("chat.message", { text: "hi" }));
  await Promise.all(chats.map((chat) => chat.stored));
  // What is under way keeps its place; the first try has failed now.
  while (!client.status().fault) await new Promise((done) => setTimeout(done, 5));
  const sales = Array.from({ length: 5001 }, () => client.paymentCaptured(SALE));
  assert.deepEqual(await Promise.all(chats.map((chat) => code(chat.done))), Array(5).fill("PW0131"));
  assert.equal(await code(sales[5000].done), "PW0131");
  await sales[4999].stored;
  await client.close(0);
  const next = await opened(t, it.url, { outbox });
  assert.ok(await next.flush());
  assert.equal(it.requests[0].headers["popwatch-client-loss"], "ambient=5");
  assert.equal(it.requests.reduce((sum, { events }) => sum + events.length, 0), 5000);
  assert.ok(it.requests.every(({ events }) => events.length <= 100));
});

test("emit never throws", async (t) => {
  const client = await opened(t, NOWHERE);
  for (const [type, data] of [
    ["payment.captured", { ...SALE, amount: 4.5 }], ["payment.captured", { ...SALE, amount: 2n ** 60n }],
    ["x", { n: 2n ** 60n }], ["payment.captured", null], [undefined, {}],
  ]) {
    assert.equal(await code(client.emit(type, data).done), "PW0103");
  }
  assert.equal(await code(client.paymentCaptured({ ...SALE, amount: 450n }).stored), "PW0132");
  assert.equal(client.status().stored, false);
});

test("a place anchors a payment", async (t) => {
  const it = await edge(t);
  const client = await opened(t, it.url, { popup: "night-market", outbox: await file(t) });
  const anchor = await client.checkoutStarted({ checkout: "c-1" }).done;
  const { payment, safe_until_ms } = client.paymentRef(anchor);
  assert.match(payment, /^pwr-wxtbvp-qtwwh-1-7-p0-/);
  assert.equal(safe_until_ms, anchor.at_ms + 72_000_000);
  assert.deepEqual(client.paymentRef({ ...anchor }), { payment, safe_until_ms });
});
