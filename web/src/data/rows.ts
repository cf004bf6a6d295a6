// What the server sends, written by `cargo xtask codegen` from the structs that it serialises.

/** How complete the rest of a body is. */
export interface Asof {
  /** Wall clock of the server, ms since 1970. */
  server_ms: number;
  /** Corrected time up to which all rigs in touch sent all; `null` while one never said. */
  watermark_ms: number | null;
  /** Records received, current epochs. */
  have: number;
  /** Records known to exist, current epochs. */
  known: number;
  /** What the ledger does not hold yet. */
  unsent: Unsent;
  /** Rigs out of touch. */
  silent: Silent[];
  /** How firm the money is. */
  stage: Stage[];
}

/** What rigs say the ledger does not hold yet. */
export interface Unsent {
  /** Records of the rigs that told. */
  records: number;
  /** Captured minus refunded among them. */
  money: Minor[];
  /** Rigs whose backlog is unknown. */
  unknown: string[];
}

/** A rig out of touch. */
export interface Silent {
  /** The rig. */
  rig: string;
  /** When it was last heard, ms since 1970. */
  since_ms: number;
  /** Its backlog then; `null` when it never told. */
  records: number | null;
}

/** How firm one currency's net is, minor units; `null` where not known. */
export interface Stage {
  /** The currency. */
  currency: string;
  /** Durable on a rig and seen here. */
  durable: number;
  /** Of that held by the ledger. */
  replicated: number | null;
  /** Of that matched to provider and books. */
  reconciled: number | null;
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
  /** How complete it is. */
  asof: Asof;
  /** All rows. */
  rows: Record<string, unknown>;
}

/** An amount. */
export interface Minor {
  /** The currency. */
  currency: string;
  /** Minor units. */
  minor: number;
}

/** Gross, refund and net of one currency. */
export interface NetMoney {
  /** The currency. */
  currency: string;
  /** Captured. */
  gross: number;
  /** Refunded, positive. */
  refund: number;
  /** Captured minus refunded, may be negative. */
  net: number;
}

/** Gross and refund of one currency. */
export interface LineMoney {
  /** The currency. */
  currency: string;
  /** Captured. */
  gross: number;
  /** Refunded, positive. */
  refund: number;
}

/** Row `popup`. */
export interface PopupRow {
  /** The popup. */
  id: string;
  /** Start of its window; `null` while unknown. */
  starts_ms: number | null;
  /** End of its window, exclusive. */
  ends_ms: number | null;
  /** IANA time zone, empty while unknown. */
  zone: string;
  /** Currencies expected or seen. */
  currencies: string[];
  /** Version of its policy. */
  version: number;
}

/** Row `now`. */
export interface NowRow {
  /** Sums since the start. */
  currencies: CurrencyRow[];
  /** Means per minute of the last full minutes. */
  last5: NetMoney[];
  /** How many minutes those are, 0 to 5; 0 is no data. */
  minutes_complete: number;
  /** Checkouts. */
  checkout: CheckoutRow;
  /** Money that failed for a technical reason. */
  risk: RiskRow[];
  /** Money that goes back. */
  refunds: RefundsRow;
  /** Orders on their way to buyers. */
  fulfilment: FulfilmentRow;
  /** Tokens. */
  tokens: TokensRow;
  /** What did not fit or did not match. */
  counts: CountsRow;
  /** Whether to go on, by what could spoil it. */
  confidence: ConfidenceRow;
}

/** Sums of one currency, as the till reports them. */
export interface CurrencyRow {
  /** The currency. */
  currency: string;
  /** Decimal digits of its minor unit. */
  exponent: number;
  /** Captured. */
  gross: number;
  /** Refunded, positive. */
  refund: number;
  /** Captured minus refunded. */
  net: number;
  /** Tips. */
  tip: number;
  /** Tax. */
  tax: number;
  /** Provider fees. */
  fee: number;
  /** Captures. */
  captures: number;
  /** Refunds. */
  refunds: number;
  /** Orders first paid. */
  conversions: number;
  /** Of it, taken while the provider could not be asked: it may still be declined. */
  offline: OfflineMoney;
  /** What the provider confirms of it; never added to it. */
  confirmed: Confirmed;
}

/** What was captured without asking the provider. */
export interface OfflineMoney {
  /** Captured. */
  gross: number;
  /** Captures. */
  captures: number;
}

/** Gross and refund as the provider reports them. */
export interface Confirmed {
  /** Captured. */
  gross: number;
  /** Refunded, positive. */
  refund: number;
}

/** Checkouts. The quantiles at the top are of those with the provider reachable. */
export interface CheckoutRow extends QuantilesRow {
  /** Paid offline. */
  offline: QuantilesRow;
  /** How long the provider took. */
  payment: QuantilesRow;
  /** Started in the last 30 minutes and not closed. */
  open: number;
  /** "At least this", where open checkouts raise the P95. */
  in_flight_bound_ms: number | null;
  /** Started since the start of the popup. */
  started: number;
  /** Completed. */
  completed: number;
  /** Abandoned. */
  abandoned: number;
  /** Of them for a technical reason. */
  fault: number;
  /** Completed after a failed payment. */
  recovered: number;
}

/** Quantiles of durations of one kind. */
export interface QuantilesRow {
  /** Durations in the window. */
  n: number;
  /** Median; `null` under 59 values. */
  p50_ms: number | null;
  /** 95th percentile; `null` under 59 values. */
  p95_ms: number | null;
  /** Where the true P95 lies with 95 % confidence. */
  band_ms: [number, number] | null;
  /** The longest. */
  max_ms: number | null;
  /** 5 or 15 minutes; `null` is the whole popup. */
  window_min: number | null;
}

/** Different tokens. */
export interface TokensRow {
  /** Issued. */
  issued: number;
  /** Redeemed, however often. */
  redeemed: number;
  /** Redeemed in more than one life of a journal. */
  conflicts: number;
  /** Voided. */
  voided: number;
  /** Whether the four above are scaled from a part. */
  estimated: boolean;
  /** Redemptions of a token that its rig knew as redeemed. */
  duplicates: number;
  /** Redemptions after the end. */
  expired: number;
  /** Redemptions per minute over the last full minutes; `null` before the first. */
  redemptions_per_min: number | null;
  /** By quarter of an hour of issue. */
  cohorts: CohortRow[];
}

/** Tokens issued in one quarter of an hour. */
export interface CohortRow {
  /** Its start, ms since 1970. */
  start_ms: number;
  /** Issued. */
  issued: number;
  /** Of them redeemed. */
  redeemed: number;
  /** The latter of the former. */
  ratio: number;
  /** Whether all have ended; if not, the ratio may rise. */
  matured: boolean;
}

/** Money of one currency that failed for a technical reason. */
export interface RiskRow {
  /** The currency. */
  currency: string;
  /** Amounts of orders at their first technical failure. */
  failed: number;
  /** The same amounts when they were captured later. */
  recovered: number;
  /** The difference. */
  at_risk: number;
}

/** Money that goes back. `null` is no data. */
export interface RefundsRow {
  /** Full minutes that `recent` covers. */
  minutes: number;
  /** Refunds in them. */
  recent: number;
  /** Refunds an hour at that rate. */
  per_hour: number | null;
  /** Orders refunded. */
  orders_refunded: number;
  /** Orders paid. */
  orders_paid: number;
  /** The former of the latter. */
  exposure: number | null;
  /** Refunded of captured money. */
  money: MoneyRatio[];
}

/** A ratio within one currency. */
export interface MoneyRatio {
  /** The currency. */
  currency: string;
  /** The ratio; `null` where nothing was captured. */
  ratio: number | null;
}

/** Orders on their way to buyers. */
export interface FulfilmentRow {
  /** First paid since the start. */
  paid: number;
  /** Handed over or shipped. */
  out: number;
  /** Wholly refunded before that. */
  gone: number;
  /** Neither. */
  backlog: number;
  /** Full minutes that the velocities cover; with 0 there is no data yet. */
  minutes: number;
  /** Orders a minute by member and step. */
  steps: StepVelocity[];
  /** Orders a minute that left; `null` is no data. */
  left_per_min: number | null;
  /** Minutes until nobody waits; `null` while nobody does or nothing leaves. */
  drain_min: number | null;
  /** Somebody waits and nothing left. */
  stalled: boolean;
  /** From payment to buyer. */
  took: QuantilesRow;
  /** "At least this", where waiting orders raise the P95. */
  waiting_bound_ms: number | null;
}

/** How fast one member does one step. */
export interface StepVelocity {
  /** The co-op member, empty when not said. */
  member: string;
  /** `packed`, `handed_over`, `shipped` or `delivered`. */
  step: string;
  /** Orders in the minutes covered. */
  orders: number;
  /** Orders a minute. */
  per_min: number;
}

/** What did not fit or did not match. */
export interface CountsRow {
  /** Events lost or shed, as declared. */
  losses: number;
  /** Facts about something unknown. */
  unmatched: number;
  /** Repeats under another id. */
  duplicates: number;
  /** Facts in a row `other` or in no row. */
  other: number;
  /** Of them amounts in currencies beyond the bound: only in the books. */
  other_currencies: number;
  /** Refunds of payments not seen. */
  refunds_unknown: number;
}

/** Row `min/<minute>`. */
export interface MinuteRow {
  /** Minutes since 1970. */
  minute: number;
  /** Its start. */
  start_ms: number;
  /** Money. */
  money: NetMoney[];
  /** Orders first paid. */
  conversions: number;
  /** Checkouts. */
  checkout: CheckoutCounts;
}

/** Checkouts of a stretch of time. */
export interface CheckoutCounts {
  /** Started. */
  started: number;
  /** Completed. */
  completed: number;
}

/** Row `rig/<id>`. `null` is what the rig never told. */
export interface RigRow {
  /** The rig. */
  rig: string;
  /** The state that matters most. */
  state: string;
  /** All its states. */
  states: string[];
  /** Its newest epoch. */
  epoch: number;
  /** Head of its journal. */
  durable_seq: number | null;
  /** Trunk held by the ledger. */
  trunk_seq: number | null;
  /** Bulk held by the ledger. */
  bulk_seq: number | null;
  /** Received here without a hole. */
  have_seq: number;
  /** Records known to exist. */
  records_known: number;
  /** Its backlog. */
  unsent: UnsentRow | null;
  /** When it was last heard. */
  last_heard_ms: number;
  /** Uncertainty of its clock. */
  clock_u_ms: number | null;
  /** Battery, per cent. */
  battery: number | null;
  /** Minutes of disk left. */
  disk_minutes: number | null;
  /** Events refused or shed. */
  losses: number | null;
  /** Records lost, named by gaps. */
  gap_records: number | null;
  /** Money it took. */
  currencies: NetMoney[];
}

/** What one rig says the ledger does not hold yet. */
export interface UnsentRow {
  /** Records. */
  records: number;
  /** Sales among them. */
  sales: number;
  /** Captured minus refunded among them. */
  money: Minor[];
}

/** Row `sku/<sku>`. The empty SKU is all SKUs beyond the bound together. */
export interface SkuRow {
  /** The SKU. */
  sku: string;
  /** Units that should be there; `null` where nobody keeps stock of it. */
  expected: number | null;
  /** Sold. */
  sold: number;
  /** Returned. */
  returned: number;
  /** Received. */
  received: number;
  /** Adjusted, signed. */
  adjusted: number;
  /** Set aside for rigs. */
  allocated: number;
  /** Units that are there at least, whatever silent rigs sell; `null` is no bound. */
  expected_low: number | null;
  /** Units counted last. */
  counted: number | null;
  /** Counted minus expected at the count. */
  skew: number | null;
  /** Its size, of what was expected. */
  skew_ratio: number | null;
  /** The skew is off by so many at most: what other rigs sold in the minute of the count. */
  plus_minus: number | null;
  /** More was sold than was there. */
  oversold: boolean;
  /** Line amounts. */
  money: LineMoney[];
}

/** Row `board/<name>`. */
export interface BoardRows {
  /** Ranks, currency by currency. */
  rows: BoardLine[];
}

/** One rank within one currency. */
export interface BoardLine {
  /** From 1. */
  rank: number;
  /** The creator, SKU or rig. */
  id: string;
  /** The currency. */
  currency: string;
  /** Captured. */
  gross: number;
  /** Refunded, positive. */
  refund: number;
  /** Captured minus refunded. */
  net: number;
  /** Units sold minus returned. */
  units: number;
  /** Orders; `null` for products, where they are not counted. */
  orders: number | null;
}

/** How a part is, mildest first. */
export type Confidence = "no_data" | "few" | "ok" | "watch" | "page";

/** Redemption, refunds, payments, stock. */
export interface ConfidenceRow {
  /** The worst of them. */
  state: Confidence;
  /** Each. */
  parts: ConfidencePart[];
}

/** One part. */
export interface ConfidencePart {
  /** `redemption`, `refunds`, `payments` or `stock`. */
  part: string;
  /** How it is. */
  state: Confidence;
  /** By how many outcomes; of stock by how many SKUs that somebody keeps stock of. */
  n: number;
}

/** `/signals`. */
export interface SignalsBody {
  /** How complete it is. */
  asof: Asof;
  /** From the first touch to the payment. */
  funnel: FunnelRow;
  /** Chat and audience by stream. */
  streams: StreamRow[];
  /** Flash drops, ascending by opening. */
  drops: DropRow[];
}

/** How far viewers came. */
export interface FunnelRow {
  /** From the chat on. */
  with_chat: StepRow[];
  /** The same without the chat. */
  without_chat: StepRow[];
  /** By the minute of the first step. */
  minutes: FunnelMinuteRow[];
  /** Checkouts started by somebody who cannot be named. */
  not_linked_started: number;
  /** Orders paid by somebody who cannot be named. */
  not_linked_paid: number;
  /** Whether viewers are scaled from a part of them. */
  estimated: boolean;
}

/** One step of a funnel. */
export interface StepRow {
  /** `chat`, `viewed`, `cart`, `started` or `paid`. */
  step: string;
  /** Viewers who reached it. */
  n: number;
  /** Half the width of its 95 % interval; 0 where it is exact. */
  plus_minus: number;
}

/** Viewers whose first step was in one minute, by step in the order above. */
export interface FunnelMinuteRow {
  /** The minute since 1970. */
  minute: number;
  /** Its start. */
  start_ms: number;
  /** From the chat on. */
  with_chat: [number, number, number, number, number];
  /** Without the chat. */
  without_chat: [number, number, number, number];
  /** Whether nobody of them can come further. */
  complete: boolean;
}

/** One stream. `null` is no data. */
export interface StreamRow {
  /** Its name; empty is all streams beyond the bound together. */
  stream: string;
  /** Messages since the start. */
  messages: number;
  /** Of them negative. */
  negative: number;
  /** Of them positive. */
  positive: number;
  /** Messages in the last full minutes. */
  recent_messages: number;
  /** How many minutes those are. */
  minutes: number;
  /** Share of them with a word of the lexicon. */
  covered: number | null;
  /** Share of them that are negative. */
  negative_share: number | null;
  /** `no_data`, `not_covered` (nothing may be concluded) or `covered`. */
  state: string;
  /** Viewers as last sampled. */
  watching: number | null;
}

/** One flash drop, or several of one SKU that overlap. */
export interface DropRow {
  /** The drop. */
  drop: string;
  /** Others that overlap it. */
  merged: string[];
  /** What was on offer. */
  sku: string;
  /** Whose; empty when nobody's. */
  creator: string;
  /** Its opening. */
  opened_ms: number;
  /** Its closing; `null` while open. */
  closed_ms: number | null;
  /** How many at most. */
  qty: number | null;
  /** Minor units each. */
  price: number | null;
  /** What it changed; `null` while there is no data. */
  lift: LiftRow | null;
}

/** What a drop changed. */
export interface LiftRow {
  /** How much of its ten minutes is looked at. */
  window_ms: number;
  /** Sold out or closed before. */
  censored: boolean;
  /** Not over yet. */
  running: boolean;
  /** Units sold in the window. */
  during: number;
  /** Units sold in the stretch before. */
  before: number;
  /** How long that stretch is. */
  before_ms: number;
  /** Growth of the audience. */
  growth: number;
  /** `viewers`, `other_sales` or `nothing`. */
  growth_from: string;
  /** Rate during over rate before, corrected by the growth; `null` when nothing was sold before. */
  ratio: number | null;
  /** Where it lies with 90 % confidence. */
  interval: [number, number] | null;
  /** Units beyond what the rate before would have given. */
  incremental: number;
  /** Their money at the drop's price, minor units. */
  incremental_minor: number | null;
  /** Units sold in the half hour after. */
  halo: number;
  /** What the rate before would have given in it. */
  halo_expected: number;
  /** Whether that half hour is over. */
  halo_over: boolean;
}

/** `/slo`. */
export interface Slos {
  /** How complete it is. */
  asof: Asof;
  /** All promises that are watched. */
  slos: SloRow[];
}

/** One promise. */
export interface SloRow extends SignalRow {
  /** Its name, such as `checkout_success`. */
  slo: string;
  /** `page`, `watch` or `off`. */
  tier: string;
  /** Share of good outcomes promised, millionths. */
  objective_ppm: number;
  /** Probability of a false page in the whole popup, millionths. */
  alpha_ppm: number;
  /** What its outcomes are called. */
  outcomes: string;
  /** Outcomes so far. */
  n: number;
  /** Bad ones among them. */
  bad: number;
  /** `null` without an outcome. */
  budget: BudgetRow | null;
  /** `none`, `reserve` or `watch_only` (PW3302). */
  overrun: string;
  /** Of each rig with an outcome. */
  rigs: RigSloRow[];
}

/** What may go wrong in the whole popup, and how much of that is gone. */
export interface BudgetRow {
  /** Outcomes expected in the whole popup. */
  expected: number;
  /** Bad ones it allows, thousandths. */
  allowed_milli: number;
  /** Share of it that is gone, millionths; may pass a whole. */
  consumed_ppm: number;
  /** That over the share of the traffic that was: a whole is on course. */
  pace_ppm: number;
  /** Probability to finish within it, millionths. */
  survival_ppm: number;
}

/** What a detector says. */
export interface SignalRow {
  /** `no_data`, `quiet`, `watch`, `page` or `resolved`. */
  state: string;
  /** log₁₀ of the evidence against the promise, thousandths. */
  evidence_milli: number;
  /** From where on it pages; `null` when it only watches. */
  page_at_milli: number | null;
  /** So many failures in a row from a clean start would be noticed. */
  notices_in_a_row: number;
  /** The part of the false pages it may use up, thousandths of a millionth. */
  alpha_ppb: number;
  /** The newest page. */
  page: PageRow | null;
}

/** A page. */
export interface PageRow {
  /** Which page of this promise it is, from 1. */
  number: number;
  /** When it was raised, ms since 1970. */
  since_ms: number;
  /** When it was over. */
  resolved_ms: number | null;
  /** Outcomes of the quarter of an hour before. */
  n: number;
  /** Bad ones among them. */
  bad: number;
  /** log₁₀ of the evidence then, thousandths. */
  evidence_milli: number;
  /** The same quarter of an hour after late data changed it. */
  revised: RevisedRow | null;
}

/** Evidence as late data revised it. */
export interface RevisedRow {
  /** Outcomes. */
  n: number;
  /** Bad ones among them. */
  bad: number;
}

/** One rig of a promise. */
export interface RigSloRow extends SignalRow {
  /** The rig. */
  rig: string;
  /** Its outcomes. */
  n: number;
  /** Bad ones among them. */
  bad: number;
}

/** The status, and the row `edge` of the rig's own page. */
export interface EdgeStatus {
  /** The rig. */
  rig: string;
  /** Current life of its journal. */
  epoch: number;
  /** Head of the journal, as far as it is folded and shown. */
  durable_seq: number;
  /** What the ledger holds of this epoch. */
  replicated: Replicated;
  /** What the books have matched of this epoch; `null` until they said. */
  reconciled_seq: number | null;
  /** Popups whose books the ledger closed: what is made for them from now on is late. */
  closed?: string[];
  /** What the ledger does not hold yet, of all epochs. */
  unsent: UnsentStatus;
  /** The newest sale, by the rig's clock, ms since 1970. */
  last_sale_ms: number | null;
  /** Peers and how they stand. */
  peers: Peer[];
  /** The clock against the anchor peer's. */
  clock?: Clock;
  /** The disk under the journal. */
  disk?: DiskStatus;
  /** Battery, mains, UPS. */
  power?: Power;
  /** Heat. */
  temperature?: Temperature;
  /** Network interfaces. */
  network?: Network[];
  /** The policy in force. */
  policy?: Policy;
  /** Events refused or shed, as far as journaled, by class and cause. */
  losses: LossStatus[];
  /** Records lost to disk damage, all epochs: the newest gaps. */
  gaps: GapStatus[];
  /** Records lost to disk damage, all epochs, in all gaps. */
  gap_records: number;
  /** Files that recovery put aside. */
  quarantine?: Quarantine;
  /** States, the one that matters most first. */
  states: string[];
}

/** The disk with what the journal measured of it. */
export interface DiskStatus extends Disk, Partial<Sync> {
}

/** Acknowledged positions of the current epoch. */
export interface Replicated {
  /** Money and what explains it. */
  trunk: number;
  /** Everything else. */
  bulk: number;
  /** The lesser of both. */
  seq: number;
}

/** Records that are safe on this till and not in the books yet. */
export interface UnsentStatus {
  /** Records of every class. */
  records: number;
  /** Captures among them. */
  sales: number;
  /** When the oldest was made, by the rig's clock, ms since 1970; `null` when there is none. */
  oldest_ms: number | null;
  /** Captured minus refunded. */
  money: Amount[];
}

/** Minor units of a currency. */
export interface Amount {
  /** ISO 4217 code. */
  currency: string;
  /** Minor units. */
  minor: number;
}

/** One peer. */
export interface Peer {
  /** `ledger` or `region`. */
  kind: string;
  /** Its base URL. */
  name: string;
  /** `ok` or `down`. */
  state: string;
  /** When it last took something, ms since 1970 by the rig's clock. */
  last_ok_ms: number | null;
  /** How long its last answer took, ms. */
  rtt_ms: number | null;
  /** Since when it is out of reach, ms since 1970 by the rig's clock. */
  down_since_ms: number | null;
}

/** Events that were refused or shed. */
export interface LossStatus {
  /** Name of their class. */
  class: string;
  /** Why. */
  cause: string;
  /** How many. */
  count: number;
}

/** A range of seqs that disk damage took. */
export interface GapStatus {
  /** The epoch that lost them. */
  epoch: number;
  /** First lost seq. */
  first: number;
  /** Last lost seq. */
  last: number;
  /** `media`, `torn`, `missing_file` or `thinned`. */
  cause: string;
  /** What they were worth; empty for records without money, `null` where nothing tells. */
  value: GapValue[] | null;
}

/** What the lost records of one popup and currency were worth, exactly. */
export interface GapValue {
  /** The popup. */
  popup: string;
  /** ISO 4217 code, or `XXX` for stock moved. */
  currency: string;
  /** Records of money and stock. */
  n: number;
  /** Captured, minor units. */
  captured: number;
  /** Refunded, minor units. */
  refunded: number;
  /** Units sold or moved. */
  units: number;
}

/** The newest measurements. All parts begin empty. */
export interface Vitals {
  /** The disk under the journal. */
  disk: Disk | null;
  /** How long the journal's commits took lately. */
  sync: Sync | null;
  /** The clock against the anchor peer's. */
  clock: Clock | null;
  /** Battery, mains, UPS. */
  power: Power | null;
  /** Heat. */
  temperature: Temperature | null;
  /** Network interfaces; empty while nothing was read. */
  network: Network[];
  /** Files put aside, and whether some need a later version. */
  quarantine: Quarantine | null;
  /** A segment of a later format lies in the journal. */
  newer_format: boolean;
  /** The policy in force. */
  policy: Policy | null;
}

/** The disk under the journal. */
export interface Disk {
  /** 0 enough, 1 low, 2 tight, 3 reserve, 4 none. */
  level?: number;
  /** Free bytes of the file system. */
  free_bytes?: number;
  /** Bytes the journal may take. */
  budget_bytes?: number;
  /** Bytes the journal takes. */
  used_bytes?: number;
  /** Minutes until it is full at the rate of the last five; absent while it is not shrinking. */
  minutes_left?: number;
  /** Whether a sync of this disk can be believed (PW0210 when not). */
  honest?: boolean;
}

/** How long the journal's last commits took, write and sync together. */
export interface Sync {
  /** Half took at most this, µs. */
  p50_us: number;
  /** 99 of 100 took at most this, µs. */
  p99_us: number;
}

/** The clock against the anchor peer's. */
export interface Clock {
  /** The rig's wall clock minus true time, ms. */
  offset_ms?: number;
  /** True time lies within ± this of the corrected clock, ms. */
  u_ms?: number;
  /** No anchor, or more than 2 s of uncertainty. */
  suspect: boolean;
  /** Age of the anchor in force, ms. */
  anchor_age_ms?: number;
}

/** Battery, mains, UPS: the weakest link of what powers the rig. */
export interface Power {
  /** Charge, per cent. */
  battery?: number;
  /** Mains is gone. */
  on_battery?: boolean;
  /** Minutes left on battery. */
  minutes?: number;
  /** Draw, watts. */
  watts?: number;
  /** The power supply is too weak. */
  under_voltage?: boolean;
}

/** Heat. */
export interface Temperature {
  /** The hottest zone, whole degrees Celsius. */
  celsius?: number;
  /** The host slows itself down because of it. */
  throttled?: boolean;
}

/** A network interface other than loopback. */
export interface Network {
  /** Its name at the host. */
  name: string;
  /** It has a carrier and is up. */
  up?: boolean;
  /** Quality of the radio link, per cent. */
  quality?: number;
}

/** Files that recovery put aside. */
export interface Quarantine {
  /** How many. */
  files: number;
  /** How many bytes. */
  bytes?: number;
}

/** Which policy is wanted and which runs. */
export interface Policy {
  /** Version the centre wants. */
  desired?: number;
  /** Version in force. */
  running?: number;
}
