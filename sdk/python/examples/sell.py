"""Sells one mug: python3 sell.py http://127.0.0.1:8710"""

import sys

import popwatch

with popwatch.open(
    sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8710",
    source="till-1/checkout",
    popup="night-market",
    outbox="sales.db",
    on_rejected=lambda event, error: print("refused:", event["id"], error["code"], error["detail"]),
) as client:
    anchor = client.checkout_started(checkout="c-1001").done.result()
    payment = client.payment_ref(anchor)["payment"]
    sale = client.payment_captured(
        payment=payment, order="o-1001", amount=450, currency="EUR", method="cash"
    )
    sale.stored.result()  # a crash does not lose it from here on
    place = sale.done.result()
    print(f"{payment}: safe on {place['rig']}, record {place['epoch']}/{place['seq']}")
