"""Written by `cargo xtask codegen` from the catalogue of events: a call per type."""
# ruff: noqa

# Of each type: its class, then its integer fields.
TYPES = {
    "checkout.started": "journey",
    "checkout.completed": "journey duration_ms",
    "checkout.abandoned": "journey",
    "payment.authorized": "money amount latency_ms",
    "payment.captured": "money amount tip tax fee latency_ms",
    "payment.failed": "money amount latency_ms",
    "payment.refunded": "money amount",
    "payment.disputed": "money amount",
    "inventory.received": "stock qty",
    "inventory.allocated": "stock qty",
    "inventory.moved": "stock qty",
    "inventory.adjusted": "stock qty",
    "inventory.counted": "stock qty",
    "order.fulfilled": "stock",
    "token.issued": "money value",
    "token.redeemed": "money value",
    "token.voided": "money value",
    "books.adjusted": "money amount",
    "chat.message": "ambient",
    "audience.sampled": "ambient viewers",
    "product.viewed": "journey",
    "cart.added": "journey",
    "drop.opened": "stock qty price",
    "drop.closed": "stock qty price",
    "rig.sampled": "ambient disk_free rtt_ms",
}


class Calls:
    """A call per type; each answers like `emit`."""

    def checkout_started(
        self,
        *,
        checkout: str,
        channel: "str | None" = None,
        creator: "str | None" = None,
        viewer: "str | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A buyer began to check out."""
        data = {
            "checkout": checkout,
            "channel": channel,
            "creator": creator,
            "viewer": viewer,
        }
        return self.emit("checkout.started", data, id=event_id, time=event_time)

    def checkout_completed(
        self,
        *,
        checkout: str,
        order: str,
        duration_ms: "int | None" = None,
        stages: "dict | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A checkout ended with an order."""
        data = {
            "checkout": checkout,
            "order": order,
            "duration_ms": duration_ms,
            "stages": stages,
        }
        return self.emit("checkout.completed", data, id=event_id, time=event_time)

    def checkout_abandoned(
        self,
        *,
        checkout: str,
        stage: str,
        reason: "str | None" = None,
        remark: "str | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A checkout ended without an order."""
        data = {
            "checkout": checkout,
            "stage": stage,
            "reason": reason,
            "remark": remark,
        }
        return self.emit("checkout.abandoned", data, id=event_id, time=event_time)

    def payment_authorized(
        self,
        *,
        payment: str,
        order: str,
        amount: int,
        currency: str,
        method: str,
        provider: "str | None" = None,
        latency_ms: "int | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A payment was authorised."""
        data = {
            "payment": payment,
            "order": order,
            "amount": amount,
            "currency": currency,
            "method": method,
            "provider": provider,
            "latency_ms": latency_ms,
        }
        return self.emit("payment.authorized", data, id=event_id, time=event_time)

    def payment_captured(
        self,
        *,
        payment: str,
        order: str,
        amount: int,
        currency: str,
        method: str,
        provider: "str | None" = None,
        provider_ref: "str | None" = None,
        offline: "bool | None" = None,
        tip: "int | None" = None,
        tax: "int | None" = None,
        fee: "int | None" = None,
        latency_ms: "int | None" = None,
        checkout: "str | None" = None,
        creator: "str | None" = None,
        token: "str | None" = None,
        lines: "list | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A payment was captured: the sale."""
        data = {
            "payment": payment,
            "order": order,
            "amount": amount,
            "currency": currency,
            "method": method,
            "provider": provider,
            "provider_ref": provider_ref,
            "offline": offline,
            "tip": tip,
            "tax": tax,
            "fee": fee,
            "latency_ms": latency_ms,
            "checkout": checkout,
            "creator": creator,
            "token": token,
            "lines": lines,
        }
        return self.emit("payment.captured", data, id=event_id, time=event_time)

    def payment_failed(
        self,
        *,
        payment: str,
        order: str,
        amount: int,
        currency: str,
        reason: "str | None" = None,
        remark: "str | None" = None,
        latency_ms: "int | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A payment failed."""
        data = {
            "payment": payment,
            "order": order,
            "amount": amount,
            "currency": currency,
            "reason": reason,
            "remark": remark,
            "latency_ms": latency_ms,
        }
        return self.emit("payment.failed", data, id=event_id, time=event_time)

    def payment_refunded(
        self,
        *,
        refund: str,
        payment: str,
        amount: int,
        currency: str,
        reason: "str | None" = None,
        remark: "str | None" = None,
        lines: "list | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """Money went back to a buyer."""
        data = {
            "refund": refund,
            "payment": payment,
            "amount": amount,
            "currency": currency,
            "reason": reason,
            "remark": remark,
            "lines": lines,
        }
        return self.emit("payment.refunded", data, id=event_id, time=event_time)

    def payment_disputed(
        self,
        *,
        dispute: str,
        payment: str,
        amount: int,
        currency: str,
        state: str,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A payment is disputed."""
        data = {
            "dispute": dispute,
            "payment": payment,
            "amount": amount,
            "currency": currency,
            "state": state,
        }
        return self.emit("payment.disputed", data, id=event_id, time=event_time)

    def inventory_received(
        self,
        *,
        sku: str,
        qty: int,
        to: "str | None" = None,
        reason: "str | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """Stock arrived."""
        data = {
            "sku": sku,
            "qty": qty,
            "to": to,
            "reason": reason,
        }
        return self.emit("inventory.received", data, id=event_id, time=event_time)

    def inventory_allocated(
        self,
        *,
        sku: str,
        qty: int,
        from_: "str | None" = None,
        to: "str | None" = None,
        reason: "str | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """Stock was set aside for a rig."""
        data = {
            "sku": sku,
            "qty": qty,
            "from": from_,
            "to": to,
            "reason": reason,
        }
        return self.emit("inventory.allocated", data, id=event_id, time=event_time)

    def inventory_moved(
        self,
        *,
        sku: str,
        qty: int,
        from_: "str | None" = None,
        to: "str | None" = None,
        reason: "str | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """Stock changed its place."""
        data = {
            "sku": sku,
            "qty": qty,
            "from": from_,
            "to": to,
            "reason": reason,
        }
        return self.emit("inventory.moved", data, id=event_id, time=event_time)

    def inventory_adjusted(
        self,
        *,
        sku: str,
        qty: int,
        from_: "str | None" = None,
        to: "str | None" = None,
        reason: "str | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """Stock was found, lost, damaged or given away."""
        data = {
            "sku": sku,
            "qty": qty,
            "from": from_,
            "to": to,
            "reason": reason,
        }
        return self.emit("inventory.adjusted", data, id=event_id, time=event_time)

    def inventory_counted(
        self,
        *,
        sku: str,
        qty: int,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """Somebody counted a shelf."""
        data = {
            "sku": sku,
            "qty": qty,
        }
        return self.emit("inventory.counted", data, id=event_id, time=event_time)

    def order_fulfilled(
        self,
        *,
        order: str,
        step: str,
        coop_member: "str | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """An order moved towards its buyer."""
        data = {
            "order": order,
            "step": step,
            "coop_member": coop_member,
        }
        return self.emit("order.fulfilled", data, id=event_id, time=event_time)

    def token_issued(
        self,
        *,
        token: str,
        creator: "str | None" = None,
        order: "str | None" = None,
        value: "int | None" = None,
        currency: "str | None" = None,
        expires: "str | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A token was handed out."""
        data = {
            "token": token,
            "creator": creator,
            "order": order,
            "value": value,
            "currency": currency,
            "expires": expires,
        }
        return self.emit("token.issued", data, id=event_id, time=event_time)

    def token_redeemed(
        self,
        *,
        token: str,
        creator: "str | None" = None,
        order: "str | None" = None,
        value: "int | None" = None,
        currency: "str | None" = None,
        expires: "str | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A token was used."""
        data = {
            "token": token,
            "creator": creator,
            "order": order,
            "value": value,
            "currency": currency,
            "expires": expires,
        }
        return self.emit("token.redeemed", data, id=event_id, time=event_time)

    def token_voided(
        self,
        *,
        token: str,
        creator: "str | None" = None,
        order: "str | None" = None,
        value: "int | None" = None,
        currency: "str | None" = None,
        expires: "str | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A token was taken back."""
        data = {
            "token": token,
            "creator": creator,
            "order": order,
            "value": value,
            "currency": currency,
            "expires": expires,
        }
        return self.emit("token.voided", data, id=event_id, time=event_time)

    def books_adjusted(
        self,
        *,
        amount: int,
        currency: str,
        reason: str,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A manual journal entry; never revenue."""
        data = {
            "amount": amount,
            "currency": currency,
            "reason": reason,
        }
        return self.emit("books.adjusted", data, id=event_id, time=event_time)

    def chat_message(
        self,
        *,
        stream: str,
        viewer: str,
        text: str,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """Somebody wrote in a chat."""
        data = {
            "stream": stream,
            "viewer": viewer,
            "text": text,
        }
        return self.emit("chat.message", data, id=event_id, time=event_time)

    def audience_sampled(
        self,
        *,
        stream: str,
        viewers: int,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """How many watch."""
        data = {
            "stream": stream,
            "viewers": viewers,
        }
        return self.emit("audience.sampled", data, id=event_id, time=event_time)

    def product_viewed(
        self,
        *,
        viewer: str,
        sku: str,
        creator: "str | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A viewer looked at a product."""
        data = {
            "viewer": viewer,
            "sku": sku,
            "creator": creator,
        }
        return self.emit("product.viewed", data, id=event_id, time=event_time)

    def cart_added(
        self,
        *,
        viewer: str,
        sku: str,
        creator: "str | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A viewer put a product in the cart."""
        data = {
            "viewer": viewer,
            "sku": sku,
            "creator": creator,
        }
        return self.emit("cart.added", data, id=event_id, time=event_time)

    def drop_opened(
        self,
        *,
        drop: str,
        sku: str,
        creator: "str | None" = None,
        qty: "int | None" = None,
        price: "int | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A flash drop opened."""
        data = {
            "drop": drop,
            "sku": sku,
            "creator": creator,
            "qty": qty,
            "price": price,
        }
        return self.emit("drop.opened", data, id=event_id, time=event_time)

    def drop_closed(
        self,
        *,
        drop: str,
        sku: str,
        creator: "str | None" = None,
        qty: "int | None" = None,
        price: "int | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """A flash drop closed."""
        data = {
            "drop": drop,
            "sku": sku,
            "creator": creator,
            "qty": qty,
            "price": price,
        }
        return self.emit("drop.closed", data, id=event_id, time=event_time)

    def rig_sampled(
        self,
        *,
        battery: "float | None" = None,
        on_battery: "bool | None" = None,
        power_w: "float | None" = None,
        disk_free: "int | None" = None,
        rtt_ms: "int | None" = None,
        temperature: "float | None" = None,
        event_id: "str | None" = None,
        event_time: "str | None" = None,
    ):
        """What the host measured about itself."""
        data = {
            "battery": battery,
            "on_battery": on_battery,
            "power_w": power_w,
            "disk_free": disk_free,
            "rtt_ms": rtt_ms,
            "temperature": temperature,
        }
        return self.emit("rig.sampled", data, id=event_id, time=event_time)
