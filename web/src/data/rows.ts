// What the server sends, written by `cargo xtask codegen` from the structs that it serialises.

/** How complete the rest of a body is. */
export interface Asof {
  server_ms: number; // Wall clock of the server, ms since 1970.
  watermark_ms: number | null; // Corrected time up to which all rigs in touch sent all; `null` while one never said.
  have: number; // Records received, current epochs.
  known: number; // Records known to exist, current epochs.
  unsent: Unsent; // What the ledger does not hold yet.
  silent: Silent[]; // Rigs out of touch.
  stage: Stage[]; // How firm the money is.
}

/** What rigs say the ledger does not hold yet. */
export interface Unsent {
  records: number; // Records of the rigs that told.
  money: Minor[]; // Captured minus refunded among them.
  unknown: string[]; // Rigs whose backlog is unknown.
}

/** A rig out of touch. */
export interface Silent {
  rig: string; // The rig.
  since_ms: number; // When it was last heard, ms since 1970.
  records: number | null; // Its backlog then; `null` when it never told.
}

/** How firm one currency's net is, minor units; `null` where not known. */
export interface Stage {
  currency: string; // The currency.
  durable: number; // Durable on a rig and seen here.
  replicated: number | null; // Of that held by the ledger.
  reconciled: number | null; // Of that matched to provider and books.
}

/** A value of a snapshot. */
export interface Rows {
  popup: PopupRow;
  now: NowRow;
  [key: `min/${string}`]: MinuteRow;
  [key: `rig/${string}`]: RigRow;
  [key: `sku/${string}`]: SkuRow;
  [key: `board/${string}`]: BoardRows;
  [key: `slo/${string}`]: SloRow;
  funnel: FunnelRow;
  [key: `chat/${string}`]: StreamRow;
  [key: `drop/${string}`]: DropRow;
  edge: EdgeStatus;
}

/** The whole first screen. */
export interface Snapshot {
  asof: Asof; // How complete it is.
  rows: Record<string, unknown>; // All rows.
}

/** Row `board/<name>`. */
export interface BoardRows {
  rows: BoardLine[]; // Ranks, currency by currency.
}

/** One rank within one currency. */
export interface BoardLine {
  rank: number; // From 1.
  id: string; // The creator, SKU or rig.
  currency: string; // The currency.
  gross: number | null; // Captured; `null` where the reader may not see whose amount it is, as the next two.
  refund: number | null; // Refunded, positive.
  net: number | null; // Captured minus refunded.
  units: number; // Units sold minus returned.
  orders: number | null; // Orders; `null` for products, where they are not counted.
}

/** An amount. */
export interface Minor {
  currency: string; // The currency.
  minor: number; // Minor units.
}

/** Gross, refund and net of one currency. */
export interface NetMoney {
  currency: string; // The currency.
  gross: number; // Captured.
  refund: number; // Refunded, positive.
  net: number; // Captured minus refunded, may be negative.
}

/** Gross and refund of one currency. */
export interface LineMoney {
  currency: string; // The currency.
  gross: number; // Captured.
  refund: number; // Refunded, positive.
}

/** Row `popup`. */
export interface PopupRow {
  id: string; // The popup.
  starts_ms: number | null; // Start of its window; `null` while unknown.
  ends_ms: number | null; // End of its window, exclusive.
  zone: string; // IANA time zone, empty while unknown.
  currencies: string[]; // Currencies expected or seen.
  version: number; // Version of its policy.
  settled: SettledRow | null; // What is left of it once it is over and its minutes are merged; `null` before.
}

/** How a popup stands that is over. */
export interface SettledRow {
  since_ms: number; // Since when, ms since 1970.
  step_minutes: number; // Minutes that one row of minutes stands for.
}

/** Row `now`. */
export interface NowRow {
  currencies: CurrencyRow[]; // Sums since the start.
  last5: NetMoney[]; // Means per minute of the last full minutes.
  minutes_complete: number; // How many minutes those are, 0 to 5; 0 is no data.
  checkout: CheckoutRow; // Checkouts.
  risk: RiskRow[]; // Money that failed for a technical reason.
  refunds: RefundsRow; // Money that goes back.
  fulfilment: FulfilmentRow; // Orders on their way to buyers.
  tokens: TokensRow; // Tokens.
  counts: CountsRow; // What did not fit or did not match.
  confidence: ConfidenceRow; // Whether to go on, by what could spoil it.
}

/** Sums of one currency, as the till reports them. */
export interface CurrencyRow {
  currency: string; // The currency.
  exponent: number; // Decimal digits of its minor unit.
  gross: number; // Captured.
  refund: number; // Refunded, positive.
  net: number; // Captured minus refunded.
  tip: number; // Tips.
  tax: number; // Tax.
  fee: number; // Provider fees.
  captures: number; // Captures.
  refunds: number; // Refunds.
  conversions: number; // Orders first paid.
  offline: OfflineMoney; // Of it, taken while the provider could not be asked: it may still be declined.
  confirmed: Confirmed; // What the provider confirms of it; never added to it.
}

/** What was captured without asking the provider. */
export interface OfflineMoney {
  gross: number; // Captured.
  captures: number; // Captures.
}

/** Gross and refund as the provider reports them. */
export interface Confirmed {
  gross: number; // Captured.
  refund: number; // Refunded, positive.
}

/** Checkouts. The quantiles at the top are of those with the provider reachable. */
export interface CheckoutRow extends QuantilesRow {
  offline: QuantilesRow; // Paid offline.
  payment: QuantilesRow; // How long the provider took.
  open: number; // Started in the last 30 minutes and not closed.
  in_flight_bound_ms: number | null; // "At least this", where open checkouts raise the P95.
  started: number; // Started since the start of the popup.
  completed: number; // Completed.
  abandoned: number; // Abandoned.
  fault: number; // Of them for a technical reason.
  recovered: number; // Completed after a failed payment.
}

/** Quantiles of durations of one kind. */
export interface QuantilesRow {
  n: number; // Durations in the window.
  p50_ms: number | null; // Median; `null` under 59 values.
  p95_ms: number | null; // 95th percentile; `null` under 59 values.
  band_ms: [number, number] | null; // Where the true P95 lies with 95 % confidence.
  max_ms: number | null; // The longest.
  window_min: number | null; // 5 or 15 minutes; `null` is the whole popup.
}

/** Different tokens. */
export interface TokensRow {
  issued: number; // Issued.
  redeemed: number; // Redeemed, however often.
  conflicts: number; // Redeemed in more than one life of a journal.
  voided: number; // Voided.
  estimated: boolean; // Whether the four above are scaled from a part.
  duplicates: number; // Redemptions of a token that its rig knew as redeemed.
  expired: number; // Redemptions after the end.
  redemptions_per_min: number | null; // Redemptions per minute over the last full minutes; `null` before the first.
  cohorts: CohortRow[]; // By quarter of an hour of issue.
}

/** Tokens issued in one quarter of an hour. */
export interface CohortRow {
  start_ms: number; // Its start, ms since 1970.
  issued: number; // Issued.
  redeemed: number; // Of them redeemed.
  ratio: number; // The latter of the former.
  matured: boolean; // Whether all have ended; if not, the ratio may rise.
}

/** Money of one currency that failed for a technical reason. */
export interface RiskRow {
  currency: string; // The currency.
  failed: number; // Amounts of orders at their first technical failure.
  recovered: number; // The same amounts when they were captured later.
  at_risk: number; // The difference.
}

/** Money that goes back. `null` is no data. */
export interface RefundsRow {
  minutes: number; // Full minutes that `recent` covers.
  recent: number; // Refunds in them.
  per_hour: number | null; // Refunds an hour at that rate.
  orders_refunded: number; // Orders refunded.
  orders_paid: number; // Orders paid.
  exposure: number | null; // The former of the latter.
  money: MoneyRatio[]; // Refunded of captured money.
}

/** A ratio within one currency. */
export interface MoneyRatio {
  currency: string; // The currency.
  ratio: number | null; // The ratio; `null` where nothing was captured.
}

/** Orders on their way to buyers. */
export interface FulfilmentRow {
  paid: number; // First paid since the start.
  out: number; // Handed over or shipped.
  gone: number; // Wholly refunded before that.
  backlog: number; // Neither.
  minutes: number; // Full minutes that the velocities cover; with 0 there is no data yet.
  steps: StepVelocity[]; // Orders a minute by member and step.
  left_per_min: number | null; // Orders a minute that left; `null` is no data.
  drain_min: number | null; // Minutes until nobody waits; `null` while nobody does or nothing leaves.
  stalled: boolean; // Somebody waits and nothing left.
  took: QuantilesRow; // From payment to buyer.
  waiting_bound_ms: number | null; // "At least this", where waiting orders raise the P95.
}

/** How fast one member does one step. */
export interface StepVelocity {
  member: string; // The co-op member, empty when not said.
  step: string; // `packed`, `handed_over`, `shipped` or `delivered`.
  orders: number; // Orders in the minutes covered.
  per_min: number; // Orders a minute.
}

/** What did not fit or did not match. */
export interface CountsRow {
  losses: number; // Events lost or shed, as declared.
  unmatched: number; // Facts about something unknown.
  duplicates: number; // Repeats under another id.
  other: number; // Facts in a row `other` or in no row.
  other_currencies: number; // Of them amounts in currencies beyond the bound: only in the books.
  refunds_unknown: number; // Refunds of payments not seen.
}

/** Row `min/<minute>`. */
export interface MinuteRow {
  minute: number; // Minutes since 1970.
  start_ms: number; // Its start.
  money: NetMoney[]; // Money.
  conversions: number; // Orders first paid.
  checkout: CheckoutCounts; // Checkouts.
}

/** Checkouts of a stretch of time. */
export interface CheckoutCounts {
  started: number; // Started.
  completed: number; // Completed.
}

/** Row `rig/<id>`. `null` is what the rig never told. */
export interface RigRow {
  rig: string; // The rig.
  state: string; // The state that matters most.
  states: string[]; // All its states.
  epoch: number; // Its newest epoch.
  durable_seq: number | null; // Head of its journal.
  trunk_seq: number | null; // Trunk held by the ledger.
  bulk_seq: number | null; // Bulk held by the ledger.
  have_seq: number; // Received here without a hole.
  records_known: number; // Records known to exist.
  unsent: UnsentRow | null; // Its backlog.
  last_heard_ms: number; // When it was last heard.
  clock_u_ms: number | null; // Uncertainty of its clock.
  battery: number | null; // Battery, per cent.
  disk_minutes: number | null; // Minutes of disk left.
  losses: number | null; // Events refused or shed.
  gap_records: number | null; // Records lost, named by gaps.
  currencies: NetMoney[]; // Money it took.
}

/** What one rig says the ledger does not hold yet. */
export interface UnsentRow {
  records: number; // Records.
  sales: number; // Sales among them.
  money: Minor[]; // Captured minus refunded among them.
}

/** Row `sku/<sku>`. The empty SKU is all SKUs beyond the bound together. */
export interface SkuRow {
  sku: string; // The SKU.
  expected: number | null; // Units that should be there; `null` where nobody keeps stock of it.
  sold: number; // Sold.
  returned: number; // Returned.
  received: number; // Received.
  adjusted: number; // Adjusted, signed.
  allocated: number; // Set aside for rigs.
  expected_low: number | null; // Units that are there at least, whatever silent rigs sell; `null` is no bound.
  counted: number | null; // Units counted last.
  skew: number | null; // Counted minus expected at the count.
  skew_ratio: number | null; // Its size, of what was expected.
  plus_minus: number | null; // The skew is off by so many at most: what other rigs sold in the minute of the count.
  oversold: boolean; // More was sold than was there.
  money: LineMoney[]; // Line amounts.
}

/** How a part is, mildest first. */
export type Confidence = "no_data" | "few" | "ok" | "watch" | "page";

/** Redemption, refunds, payments, stock. */
export interface ConfidenceRow {
  state: Confidence; // The worst of them.
  parts: ConfidencePart[]; // Each.
}

/** One part. */
export interface ConfidencePart {
  part: string; // `redemption`, `refunds`, `payments` or `stock`.
  state: Confidence; // How it is.
  n: number; // By how many outcomes; of stock by how many SKUs that somebody keeps stock of.
}

/** `/signals`. */
export interface SignalsBody {
  asof: Asof; // How complete it is.
  funnel: FunnelRow; // From the first touch to the payment.
  streams: StreamRow[]; // Chat and audience by stream.
  drops: DropRow[]; // Flash drops, ascending by opening.
}

/** How far viewers came. */
export interface FunnelRow {
  with_chat: StepRow[]; // From the chat on.
  without_chat: StepRow[]; // The same without the chat.
  minutes: FunnelMinuteRow[]; // By the minute of the first step.
  not_linked_started: number; // Checkouts started by somebody who cannot be named.
  not_linked_paid: number; // Orders paid by somebody who cannot be named.
  estimated: boolean; // Whether viewers are scaled from a part of them.
}

/** One step of a funnel. */
export interface StepRow {
  step: string; // `chat`, `viewed`, `cart`, `started` or `paid`.
  n: number; // Viewers who reached it.
  plus_minus: number; // Half the width of its 95 % interval; 0 where it is exact.
}

/** Viewers whose first step was in one minute, by step in the order above. */
export interface FunnelMinuteRow {
  minute: number; // The minute since 1970.
  start_ms: number; // Its start.
  with_chat: [number, number, number, number, number]; // From the chat on.
  without_chat: [number, number, number, number]; // Without the chat.
  complete: boolean; // Whether nobody of them can come further.
}

/** One stream. `null` is no data. */
export interface StreamRow {
  stream: string; // Its name; empty is all streams beyond the bound together.
  messages: number; // Messages since the start.
  negative: number; // Of them negative.
  positive: number; // Of them positive.
  recent_messages: number; // Messages in the last full minutes.
  minutes: number; // How many minutes those are.
  covered: number | null; // Share of them with a word of the lexicon.
  negative_share: number | null; // Share of them that are negative.
  state: string; // `no_data`, `not_covered` (nothing may be concluded) or `covered`.
  watching: number | null; // Viewers as last sampled.
}

/** One flash drop, or several of one SKU that overlap. */
export interface DropRow {
  drop: string; // The drop.
  merged: string[]; // Others that overlap it.
  sku: string; // What was on offer.
  creator: string; // Whose; empty when nobody's.
  opened_ms: number; // Its opening.
  closed_ms: number | null; // Its closing; `null` while open.
  qty: number | null; // How many at most.
  price: number | null; // Minor units each.
  lift: LiftRow | null; // What it changed; `null` while there is no data.
}

/** What a drop changed. */
export interface LiftRow {
  window_ms: number; // How much of its ten minutes is looked at.
  censored: boolean; // Sold out or closed before.
  running: boolean; // Not over yet.
  during: number; // Units sold in the window.
  before: number; // Units sold in the stretch before.
  before_ms: number; // How long that stretch is.
  growth: number; // Growth of the audience.
  growth_from: string; // `viewers`, `other_sales` or `nothing`.
  ratio: number | null; // Rate during over rate before, corrected by the growth; `null` when nothing was sold before.
  interval: [number, number] | null; // Where it lies with 90 % confidence.
  incremental: number; // Units beyond what the rate before would have given.
  incremental_minor: number | null; // Their money at the drop's price, minor units.
  halo: number; // Units sold in the half hour after.
  halo_expected: number; // What the rate before would have given in it.
  halo_over: boolean; // Whether that half hour is over.
}

/** `/slo`. */
export interface Slos {
  asof: Asof; // How complete it is.
  slos: SloRow[]; // All promises that are watched.
}

/** One promise. */
export interface SloRow extends SignalRow {
  slo: string; // Its name, such as `checkout_success`.
  tier: string; // `page`, `watch` or `off`.
  objective_ppm: number; // Share of good outcomes promised, millionths.
  alpha_ppm: number; // Probability of a false page in the whole popup, millionths.
  outcomes: string; // What its outcomes are called.
  n: number; // Outcomes so far.
  bad: number; // Bad ones among them.
  budget: BudgetRow | null; // `null` without an outcome.
  overrun: string; // `none`, `reserve` or `watch_only` (PW3302).
  rigs: RigSloRow[]; // Of each rig with an outcome.
}

/** What may go wrong in the whole popup, and how much of that is gone. */
export interface BudgetRow {
  expected: number; // Outcomes expected in the whole popup.
  allowed_milli: number; // Bad ones it allows, thousandths.
  consumed_ppm: number; // Share of it that is gone, millionths; may pass a whole.
  pace_ppm: number; // That over the share of the traffic that was: a whole is on course.
  survival_ppm: number; // Probability to finish within it, millionths.
}

/** What a detector says. */
export interface SignalRow {
  state: string; // `no_data`, `quiet`, `watch`, `page` or `resolved`.
  evidence_milli: number; // log₁₀ of the evidence against the promise, thousandths.
  page_at_milli: number | null; // From where on it pages; `null` when it only watches.
  notices_in_a_row: number; // So many failures in a row from a clean start would be noticed.
  alpha_ppb: number; // The part of the false pages it may use up, thousandths of a millionth.
  page: PageRow | null; // The newest page.
}

/** A page. */
export interface PageRow {
  number: number; // Which page of this promise it is, from 1.
  since_ms: number; // When it was raised, ms since 1970.
  resolved_ms: number | null; // When it was over.
  n: number; // Outcomes of the quarter of an hour before.
  bad: number; // Bad ones among them.
  evidence_milli: number; // log₁₀ of the evidence then, thousandths.
  revised: RevisedRow | null; // The same quarter of an hour after late data changed it.
}

/** Evidence as late data revised it. */
export interface RevisedRow {
  n: number; // Outcomes.
  bad: number; // Bad ones among them.
}

/** One rig of a promise. */
export interface RigSloRow extends SignalRow {
  rig: string; // The rig.
  n: number; // Its outcomes.
  bad: number; // Bad ones among them.
}

/** The status, and the row `edge` of the rig's own page. */
export interface EdgeStatus {
  rig: string; // The rig.
  epoch: number; // Current life of its journal.
  durable_seq: number; // Head of the journal, as far as it is folded and shown.
  replicated: Replicated; // What the ledger holds of this epoch.
  reconciled_seq: number | null; // What the books have matched of this epoch; `null` until they said.
  closed?: string[]; // Popups whose books the ledger closed: what is made for them from now on is late.
  unsent: UnsentStatus; // What the ledger does not hold yet, of all epochs.
  last_sale_ms: number | null; // The newest sale, by the rig's clock, ms since 1970.
  peers: Peer[]; // Peers and how they stand.
  clock?: Clock; // The clock against the anchor peer's.
  disk?: DiskStatus; // The disk under the journal.
  power?: Power; // Battery, mains, UPS.
  temperature?: Temperature; // Heat.
  network?: Network[]; // Network interfaces.
  policy?: Policy; // The policy in force.
  losses: LossStatus[]; // Events refused or shed, as far as journaled, by class and cause.
  gaps: GapStatus[]; // Records lost to disk damage, all epochs: the newest gaps.
  gap_records: number; // Records lost to disk damage, all epochs, in all gaps.
  quarantine?: Quarantine; // Files that recovery put aside.
  states: string[]; // States, the one that matters most first.
}

/** The disk with what the journal measured of it. */
export interface DiskStatus extends Disk, Partial<Sync> {
}

/** Acknowledged positions of the current epoch. */
export interface Replicated {
  trunk: number; // Money and what explains it.
  bulk: number; // Everything else.
  seq: number; // The lesser of both.
}

/** Records that are safe on this till and not in the books yet. */
export interface UnsentStatus {
  records: number; // Records of every class.
  sales: number; // Captures among them.
  oldest_ms: number | null; // When the oldest was made, by the rig's clock, ms since 1970; `null` when there is none.
  money: Amount[]; // Captured minus refunded.
}

/** Minor units of a currency. */
export interface Amount {
  currency: string; // ISO 4217 code.
  minor: number; // Minor units.
}

/** One peer. */
export interface Peer {
  kind: string; // `ledger` or `region`.
  name: string; // Its base URL.
  state: string; // `ok` or `down`.
  last_ok_ms: number | null; // When it last took something, ms since 1970 by the rig's clock.
  rtt_ms: number | null; // How long its last answer took, ms.
  down_since_ms: number | null; // Since when it is out of reach, ms since 1970 by the rig's clock.
}

/** Events that were refused or shed. */
export interface LossStatus {
  class: string; // Name of their class.
  cause: string; // Why.
  count: number; // How many.
}

/** A range of seqs that disk damage took. */
export interface GapStatus {
  epoch: number; // The epoch that lost them.
  first: number; // First lost seq.
  last: number; // Last lost seq.
  cause: string; // `media`, `torn`, `missing_file` or `thinned`.
  value: GapValue[] | null; // What they were worth; empty for records without money, `null` where nothing tells.
}

/** What the lost records of one popup and currency were worth, exactly. */
export interface GapValue {
  popup: string; // The popup.
  currency: string; // ISO 4217 code, or `XXX` for stock moved.
  n: number; // Records of money and stock.
  captured: number; // Captured, minor units.
  refunded: number; // Refunded, minor units.
  units: number; // Units sold or moved.
}

/** The newest measurements. All parts begin empty. */
export interface Vitals {
  disk: Disk | null; // The disk under the journal.
  sync: Sync | null; // How long the journal's commits took lately.
  clock: Clock | null; // The clock against the anchor peer's.
  power: Power | null; // Battery, mains, UPS.
  temperature: Temperature | null; // Heat.
  network: Network[]; // Network interfaces; empty while nothing was read.
  quarantine: Quarantine | null; // Files put aside, and whether some need a later version.
  newer_format: boolean; // A segment of a later format lies in the journal.
  policy: Policy | null; // The policy in force.
}

/** The disk under the journal. */
export interface Disk {
  level?: number; // 0 enough, 1 low, 2 tight, 3 reserve, 4 none.
  free_bytes?: number; // Free bytes of the file system.
  budget_bytes?: number; // Bytes the journal may take.
  used_bytes?: number; // Bytes the journal takes.
  minutes_left?: number; // Minutes until it is full at the rate of the last five; absent while it is not shrinking.
  honest?: boolean; // Whether a sync of this disk can be believed (PW0210 when not).
}

/** How long the journal's last commits took, write and sync together. */
export interface Sync {
  p50_us: number; // Half took at most this, µs.
  p99_us: number; // 99 of 100 took at most this, µs.
}

/** The clock against the anchor peer's. */
export interface Clock {
  offset_ms?: number; // The rig's wall clock minus true time, ms.
  u_ms?: number; // True time lies within ± this of the corrected clock, ms.
  suspect: boolean; // No anchor, or more than 2 s of uncertainty.
  anchor_age_ms?: number; // Age of the anchor in force, ms.
}

/** Battery, mains, UPS: the weakest link of what powers the rig. */
export interface Power {
  battery?: number; // Charge, per cent.
  on_battery?: boolean; // Mains is gone.
  minutes?: number; // Minutes left on battery.
  watts?: number; // Draw, watts.
  under_voltage?: boolean; // The power supply is too weak.
}

/** Heat. */
export interface Temperature {
  celsius?: number; // The hottest zone, whole degrees Celsius.
  throttled?: boolean; // The host slows itself down because of it.
}

/** A network interface other than loopback. */
export interface Network {
  name: string; // Its name at the host.
  up?: boolean; // It has a carrier and is up.
  quality?: number; // Quality of the radio link, per cent.
}

/** Files that recovery put aside. */
export interface Quarantine {
  files: number; // How many.
  bytes?: number; // How many bytes.
}

/** Which policy is wanted and which runs. */
export interface Policy {
  desired?: number; // Version the centre wants.
  running?: number; // Version in force.
  mode?: string; // How it runs, of the popup that is worst off: `built_in`, `in_force`, `grace`, `fell_back` or `restricted`.
}
