"""Sells until it is killed, printing what was called stored; `drain` sends what is left."""

import sys

import popwatch

edge, outbox, popup, what = sys.argv[1:]
client = popwatch.open(edge, source="sdk", popup=popup, outbox=outbox)
if what == "drain":
    sys.exit(0 if client.close(60) and client.status()["stored"] else 1)
while True:
    sale = client.payment_captured(payment="p", order="o", amount=450, currency="EUR", method="card")
    print(sale.stored.result(), flush=True)
