// Sells one mug: node sell.mjs http://127.0.0.1:8710
import { open } from "popwatch";

const client = await open({
  edge: process.argv[2] ?? "http://127.0.0.1:8710",
  source: "till-1/checkout",
  popup: "night-market",
  outbox: "./sales.outbox",
  onRejected: (event, error) => console.error("refused:", event.id, error.code, error.detail),
});

const anchor = await client.checkoutStarted({ checkout: "c-1001" }).done;
const { payment } = client.paymentRef(anchor);
const sale = client.paymentCaptured({ payment, order: "o-1001", amount: 450, currency: "EUR", method: "cash" });
await sale.stored; // a crash does not lose it from here on
const { rig, epoch, seq } = await sale.done;
console.log(`${payment}: safe on ${rig}, record ${epoch}/${seq}`);
await client.close();
