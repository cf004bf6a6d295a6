// Written by `cargo xtask codegen` from the catalogue of events.
import type { Emitted, Options } from "./index.js";

/** Minor units and counts: an integer; a float is refused. */
export type Integer = number | bigint;

/** A line of a sale. */
export interface Line {
  sku: string;
  qty: Integer;
  amount: Integer;
  creator?: string;
}

/** A buyer began to check out. */
export interface CheckoutStarted {
  /** This passage through the checkout. */
  checkout: string;
  /** Where the sale comes from. */
  channel?: string;
  /** Whose audience the buyer belongs to. */
  creator?: string;
  /** Who buys; leaves the rig only as a pseudonym. */
  viewer?: string;
}

/** A checkout ended with an order. */
export interface CheckoutCompleted {
  /** The passage that ended. */
  checkout: string;
  /** The order it made. */
  order: string;
  /** From start to completion, milliseconds. */
  duration_ms?: Integer;
  /** Milliseconds per named stage. */
  stages?: Record<string, Integer>;
}

/** A checkout ended without an order. */
export interface CheckoutAbandoned {
  /** The passage that ended. */
  checkout: string;
  /** How far it had come. */
  stage: string;
  /** Why. */
  reason?: string;
  /** In words; redacted. */
  remark?: string;
}

/** A payment was authorised. */
export interface PaymentAuthorized {
  /** This attempt to be paid. */
  payment: string;
  /** What is paid. */
  order: string;
  /** Minor units. */
  amount: Integer;
  /** ISO 4217 code. */
  currency: string;
  /** Card, wallet, cash … */
  method: string;
  /** Payment provider. */
  provider?: string;
  /** How long the provider took. */
  latency_ms?: Integer;
}

/** A payment was captured: the sale. */
export interface PaymentCaptured {
  /** This attempt to be paid. */
  payment: string;
  /** What is paid. */
  order: string;
  /** Minor units, tip and tax included. */
  amount: Integer;
  /** ISO 4217 code. */
  currency: string;
  /** Card, wallet, cash … */
  method: string;
  /** Payment provider. */
  provider?: string;
  /** The provider's own id. */
  provider_ref?: string;
  /** Taken while the provider could not be asked. */
  offline?: boolean;
  /** Of the amount, minor units. */
  tip?: Integer;
  /** Of the amount, minor units. */
  tax?: Integer;
  /** What the provider will keep, minor units. */
  fee?: Integer;
  /** How long the provider took. */
  latency_ms?: Integer;
  /** The passage through the checkout. */
  checkout?: string;
  /** Whose audience bought. */
  creator?: string;
  /** The token redeemed with it. */
  token?: string;
  /** What was sold. */
  lines?: Line[];
}

/** A payment failed. */
export interface PaymentFailed {
  /** This attempt to be paid. */
  payment: string;
  /** What should have been paid. */
  order: string;
  /** Minor units. */
  amount: Integer;
  /** ISO 4217 code. */
  currency: string;
  /** Why. */
  reason?: string;
  /** In words; redacted. */
  remark?: string;
  /** How long the provider took. */
  latency_ms?: Integer;
}

/** Money went back to a buyer. */
export interface PaymentRefunded {
  /** This refund. */
  refund: string;
  /** What it refunds; may be unknown here. */
  payment: string;
  /** Minor units, positive. */
  amount: Integer;
  /** ISO 4217 code. */
  currency: string;
  /** Why. */
  reason?: string;
  /** In words; redacted. */
  remark?: string;
  /** What came back, positive. */
  lines?: Line[];
}

/** A payment is disputed. */
export interface PaymentDisputed {
  /** This dispute. */
  dispute: string;
  /** What is disputed. */
  payment: string;
  /** Minor units. */
  amount: Integer;
  /** ISO 4217 code. */
  currency: string;
  /** Where it stands. */
  state: "opened" | "won" | "lost";
}

/** Stock arrived. */
export interface InventoryReceived {
  /** What. */
  sku: string;
  /** How many. */
  qty: Integer;
  /** Where it went; the pool if absent. */
  to?: string;
  /** In words; redacted. */
  reason?: string;
}

/** Stock was set aside for a rig. */
export interface InventoryAllocated {
  /** What. */
  sku: string;
  /** How many. */
  qty: Integer;
  /** From where; the pool if absent. */
  from?: string;
  /** For which rig; the reporting one if absent. */
  to?: string;
  /** In words; redacted. */
  reason?: string;
}

/** Stock changed its place. */
export interface InventoryMoved {
  /** What. */
  sku: string;
  /** How many. */
  qty: Integer;
  /** From where. */
  from?: string;
  /** To where. */
  to?: string;
  /** In words; redacted. */
  reason?: string;
}

/** Stock was found, lost, damaged or given away. */
export interface InventoryAdjusted {
  /** What. */
  sku: string;
  /** How many; negative when they are gone. */
  qty: Integer;
  /** From where. */
  from?: string;
  /** To where. */
  to?: string;
  /** In words; redacted. */
  reason?: string;
}

/** Somebody counted a shelf. */
export interface InventoryCounted {
  /** What. */
  sku: string;
  /** How many were there. */
  qty: Integer;
}

/** An order moved towards its buyer. */
export interface OrderFulfilled {
  /** Which order. */
  order: string;
  /** How far. */
  step: "packed" | "handed_over" | "shipped" | "delivered";
  /** Who did it. */
  coop_member?: string;
}

/** A token was handed out. */
export interface TokenIssued {
  /** Which token. */
  token: string;
  /** Whose. */
  creator?: string;
  /** The order that bought it; absent for promotions. */
  order?: string;
  /** What it is worth, minor units. */
  value?: Integer;
  /** ISO 4217 code of the value. */
  currency?: string;
  /** When it ends. */
  expires?: string;
}

/** A token was used. */
export interface TokenRedeemed {
  /** Which token. */
  token: string;
  /** Whose. */
  creator?: string;
  /** What it paid for. */
  order?: string;
  /** What it was worth, minor units. */
  value?: Integer;
  /** ISO 4217 code of the value. */
  currency?: string;
  /** When it would have ended. */
  expires?: string;
}

/** A token was taken back. */
export interface TokenVoided {
  /** Which token. */
  token: string;
  /** Whose. */
  creator?: string;
  /** The order it belonged to. */
  order?: string;
  /** What it was worth, minor units. */
  value?: Integer;
  /** ISO 4217 code of the value. */
  currency?: string;
  /** When it would have ended. */
  expires?: string;
}

/** A manual journal entry; never revenue. */
export interface BooksAdjusted {
  /** Minor units, may be negative. */
  amount: Integer;
  /** ISO 4217 code. */
  currency: string;
  /** In words; redacted. */
  reason: string;
}

/** Somebody wrote in a chat. */
export interface ChatMessage {
  /** Where. */
  stream: string;
  /** Who; leaves the rig only as a pseudonym. */
  viewer: string;
  /** What; scored on the rig, then dropped. */
  text: string;
}

/** How many watch. */
export interface AudienceSampled {
  /** Where. */
  stream: string;
  /** How many. */
  viewers: Integer;
}

/** A viewer looked at a product. */
export interface ProductViewed {
  /** Who; leaves the rig only as a pseudonym. */
  viewer: string;
  /** What. */
  sku: string;
  /** Through whom. */
  creator?: string;
}

/** A viewer put a product in the cart. */
export interface CartAdded {
  /** Who; leaves the rig only as a pseudonym. */
  viewer: string;
  /** What. */
  sku: string;
  /** Through whom. */
  creator?: string;
}

/** A flash drop opened. */
export interface DropOpened {
  /** Which offer. */
  drop: string;
  /** What. */
  sku: string;
  /** Whose. */
  creator?: string;
  /** How many at most. */
  qty?: Integer;
  /** Minor units each. */
  price?: Integer;
}

/** A flash drop closed. */
export interface DropClosed {
  /** Which offer. */
  drop: string;
  /** What. */
  sku: string;
  /** Whose. */
  creator?: string;
  /** How many were left. */
  qty?: Integer;
  /** Minor units each. */
  price?: Integer;
}

/** What the host measured about itself. */
export interface RigSampled {
  /** Charge, per cent. */
  battery?: number;
  /** Whether mains is gone. */
  on_battery?: boolean;
  /** Draw, watts. */
  power_w?: number;
  /** Free disk, bytes. */
  disk_free?: Integer;
  /** Round trip to the nearest peer. */
  rtt_ms?: Integer;
  /** Degrees Celsius. */
  temperature?: number;
}

/** A call per type of the catalogue. */
export interface Calls {
  /** A buyer began to check out. */
  checkoutStarted(data: CheckoutStarted, options?: Options): Emitted;
  /** A checkout ended with an order. */
  checkoutCompleted(data: CheckoutCompleted, options?: Options): Emitted;
  /** A checkout ended without an order. */
  checkoutAbandoned(data: CheckoutAbandoned, options?: Options): Emitted;
  /** A payment was authorised. */
  paymentAuthorized(data: PaymentAuthorized, options?: Options): Emitted;
  /** A payment was captured: the sale. */
  paymentCaptured(data: PaymentCaptured, options?: Options): Emitted;
  /** A payment failed. */
  paymentFailed(data: PaymentFailed, options?: Options): Emitted;
  /** Money went back to a buyer. */
  paymentRefunded(data: PaymentRefunded, options?: Options): Emitted;
  /** A payment is disputed. */
  paymentDisputed(data: PaymentDisputed, options?: Options): Emitted;
  /** Stock arrived. */
  inventoryReceived(data: InventoryReceived, options?: Options): Emitted;
  /** Stock was set aside for a rig. */
  inventoryAllocated(data: InventoryAllocated, options?: Options): Emitted;
  /** Stock changed its place. */
  inventoryMoved(data: InventoryMoved, options?: Options): Emitted;
  /** Stock was found, lost, damaged or given away. */
  inventoryAdjusted(data: InventoryAdjusted, options?: Options): Emitted;
  /** Somebody counted a shelf. */
  inventoryCounted(data: InventoryCounted, options?: Options): Emitted;
  /** An order moved towards its buyer. */
  orderFulfilled(data: OrderFulfilled, options?: Options): Emitted;
  /** A token was handed out. */
  tokenIssued(data: TokenIssued, options?: Options): Emitted;
  /** A token was used. */
  tokenRedeemed(data: TokenRedeemed, options?: Options): Emitted;
  /** A token was taken back. */
  tokenVoided(data: TokenVoided, options?: Options): Emitted;
  /** A manual journal entry; never revenue. */
  booksAdjusted(data: BooksAdjusted, options?: Options): Emitted;
  /** Somebody wrote in a chat. */
  chatMessage(data: ChatMessage, options?: Options): Emitted;
  /** How many watch. */
  audienceSampled(data: AudienceSampled, options?: Options): Emitted;
  /** A viewer looked at a product. */
  productViewed(data: ProductViewed, options?: Options): Emitted;
  /** A viewer put a product in the cart. */
  cartAdded(data: CartAdded, options?: Options): Emitted;
  /** A flash drop opened. */
  dropOpened(data: DropOpened, options?: Options): Emitted;
  /** A flash drop closed. */
  dropClosed(data: DropClosed, options?: Options): Emitted;
  /** What the host measured about itself. */
  rigSampled(data: RigSampled, options?: Options): Emitted;
}
