// Sells until it is killed, printing what was called stored; `drain` sends what is left.
import { writeSync } from "node:fs";
import { open } from "popwatch";

const [edge, outbox, popup, what] = process.argv.slice(2);
const client = await open({ edge, outbox, popup, source: "sdk" });
if (what === "drain") process.exit((await client.close(60000)) && client.status().stored ? 0 : 1);
for (;;) {
  const sale = client.paymentCaptured({ payment: "p", order: "o", amount: 450n, currency: "EUR", method: "card" });
  writeSync(1, `${await sale.stored}\n`);
}
