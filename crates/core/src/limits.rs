//! Every bound of every queue, map, body and batch (L11), with what happens beyond it.
//!
//! Relations between bounds are asserted at compile time at the end of the file.

// Admission.

/// Inflated body of one request, bytes. Beyond: 413 PW0107.
pub const REQUEST_BYTES_MAX: usize = 4 << 20;
/// Events in one request. Beyond: 413 PW0107.
pub const REQUEST_EVENTS_MAX: usize = 1_000;
/// One event, bytes. Beyond: rejected PW0109.
pub const EVENT_BYTES_MAX: usize = 256 << 10;
/// Nesting of one event's JSON. Beyond: rejected PW0109.
pub const EVENT_DEPTH_MAX: usize = 16;
/// Lines of one sale (real invoices pass 1,000). Beyond: rejected PW0109.
pub const EVENT_LINES_MAX: usize = 2_048;
/// Named stages of one checkout. Beyond: rejected PW0109.
pub const EVENT_STAGES_MAX: usize = 32;
/// CloudEvents `id` and `source`, bytes. Beyond: rejected PW0102.
pub const EVENT_ID_BYTES_MAX: usize = 256;
/// A reference that travels to a provider, bytes. Beyond: rejected PW0103.
pub const REFERENCE_BYTES_MAX: usize = 96;
/// Any other string of an event, bytes. Beyond: rejected PW0109.
pub const STRING_BYTES_MAX: usize = 1_024;
/// A chat message, bytes. Beyond: cut at a character boundary, counted.
pub const CHAT_BYTES_MAX: usize = 4_096;
/// Characters of a chat message that are scored. Beyond: not looked at.
pub const CHAT_SCORED_CHARS: usize = 2_000;
/// Largest magnitude of one amount, minor units: 12 digits, so that no 13-digit card number can
/// pose as an amount. Beyond: rejected PW0103.
pub const AMOUNT_MINOR_MAX: i64 = 999_999_999_999;
/// Largest magnitude of a quantity. Beyond: rejected PW0103.
pub const QUANTITY_MAX: i64 = 1_000_000_000;
/// Spans of one OTLP request: what a collector sends at once. Beyond: 413 PW0107.
pub const TRACE_SPANS_MAX: usize = 8_192;
/// Stages that one span's events open: what SDKs let a span have. Beyond: the span is refused PW0109.
pub const TRACE_MARKS_MAX: usize = 128;
/// Bodies being read at once, bytes. Beyond: 429 PW0121.
pub const BODIES_IN_FLIGHT_BYTES_MAX: usize = 16 << 20;
/// Events waiting for the writer: sixteen whole requests. Beyond: 429 PW0121.
pub const ADMISSION_QUEUE_EVENTS_MAX: usize = 16_384;
/// Their bytes. Beyond: 429 PW0121; one larger request goes alone.
pub const ADMISSION_QUEUE_BYTES_MAX: usize = 8 << 20;
/// Longest wait of a journey record for the commit it shares, ms.
pub const JOURNEY_WAIT_MS: u64 = 20;
/// Longest wait of an ambient record for the commit it shares, ms. It spares SD cards.
pub const AMBIENT_WAIT_MS: u64 = 250;
/// Longest wait of popwatch's own records for a commit they share, ms.
pub const OWN_WAIT_MS: u64 = 250;
/// Popwatch's own records that wait while the disk takes none. Beyond: the oldest goes; losses are
/// counted on.
pub const OWN_WAITING_MAX: usize = 256;
/// Rows of losses between two reports. Beyond: a row without its popup.
pub const LOSS_ROWS_MAX: usize = 64;
/// The header in which a client tells its losses, bytes. Beyond: ignored, counted.
pub const CLIENT_LOSS_BYTES_MAX: usize = 256;
/// Connections of one listener of an edge or ledger. Beyond: closed at once.
pub const CONNECTIONS_MAX: usize = 256;
/// Longest wait for a request's headers, ms. Beyond: the connection is closed.
pub const REQUEST_HEAD_MS_MAX: u64 = 10_000;
/// Longest wait for a request's body, ms. Beyond: 408 PW0123.
pub const REQUEST_BODY_MS_MAX: u64 = 30_000;
/// Longest wait for a commit, ms. Beyond: 503 PW0201.
pub const COMMIT_WAIT_MS_MAX: u64 = 10_000;

// Journal.

/// One segment file, bytes, allocated in full at creation.
pub const SEGMENT_BYTES: u64 = 8 << 20;
/// Payload of one record frame, bytes.
pub const PAYLOAD_BYTES_MAX: usize = 262_144;
/// Payload of a footer frame, bytes.
pub const FOOTER_BYTES_MAX: usize = 4 << 20;
/// One commit, bytes: then it is written and the rest waits.
pub const COMMIT_BYTES_MAX: usize = 1 << 20;
/// One commit, records.
pub const COMMIT_RECORDS_MAX: usize = 4_096;
/// Key filters held in memory, bytes; older ones are read from disk.
pub const KEY_FILTER_BYTES_MAX: usize = 16 << 20;
/// Files put aside as evidence, bytes on disk. Beyond: the oldest goes, counted.
pub const QUARANTINE_BYTES_MAX: u64 = 256 << 20;
/// Files put aside as evidence. Beyond: the oldest goes, counted.
pub const QUARANTINE_FILES_MAX: usize = 1_024;
/// How many records behind our end of an epoch a peer is believed to hold. Beyond: ignored.
pub const PEER_TAIL_RECORDS_MAX: u64 = 1 << 20;
/// Syncs timed at a start to see whether the disk can be believed.
pub const SYNC_PROBES: usize = 100;
/// A disk whose median sync is faster has written nothing, ns (PW0210).
pub const SYNC_HONEST_NS_MIN: u64 = 20_000;
/// Conflict records written for one event key. Beyond: counted only.
pub const CONFLICTS_PER_KEY_MAX: usize = 16;
/// Rows of running totals (popup × currency). Beyond: the oldest closed popup's row goes.
pub const TOTALS_ROWS_MAX: usize = 256;
/// Popups open on one rig. Beyond: rejected PW0109.
pub const POPUPS_OPEN_MAX: usize = 16;
/// What the journal may take of a disk, bytes, however large that is. Beyond: shedding by class.
pub const DISK_BUDGET_BYTES_MAX: u64 = 16 << 30;
/// What it may take of the smallest disk, bytes.
pub const DISK_BUDGET_BYTES_MIN: u64 = 256 << 20;
/// Free bytes below which a disk is low. Beyond: ambient records are refused.
pub const DISK_LOW_BYTES: u64 = 1 << 30;
/// Free bytes below which a disk is tight. Beyond: journey records are refused too.
pub const DISK_TIGHT_BYTES: u64 = 256 << 20;
/// Segments allocated ahead for a full disk.
pub const RESERVE_SEGMENTS_MAX: usize = 8;
/// The file kept for popwatch's own facts when even the reserve is used, bytes: what the ledger has
/// can be let go from there. Beyond: nothing can be kept or let go until somebody makes room.
pub const LAST_SEGMENT_BYTES: u64 = 1 << 20;
/// Reserve left for money alone, bytes. Beyond: stock records are refused.
pub const RESERVE_STOCK_BYTES: u64 = 16 << 20;
/// How far a peer may move a rig's epoch number in one step. Beyond: the rig's own next one.
pub const EPOCH_JUMP_MAX: u32 = 1 << 20;
/// How long a popup's records and keys stay after it is over, ms. Beyond: what is replicated goes.
pub const JOURNAL_KEEP_MS: i64 = 7 * 24 * 3_600_000;

// Savepoints.

/// Records a closed epoch has at least before a savepoint of it is kept: fewer are read as fast.
pub const SAVEPOINT_RECORDS_MIN: u64 = 1_000;
/// Records kept beside the cells of a savepoint. Beyond: the epoch is folded at each start.
pub const SAVEPOINT_HEARD_MAX: usize = 4_096;

// Fold and cells. Beyond a row bound: the row `other` keeps units and money per currency.

/// Checkouts a fold remembers as open. Beyond: the oldest is forgotten, counted `unmatched`.
pub const FOLD_CHECKOUTS_MAX: usize = 4_096;
/// Orders, payments and tokens a fold remembers, each. Beyond: the oldest is forgotten.
pub const FOLD_TABLE_MAX: usize = 16_384;
/// Popups one epoch's fold tells apart. Beyond: not folded, counted.
pub const FOLD_POPUPS_MAX: usize = 256;
/// Sold lines a fold remembers, to correct a count by what was sold after it in its minute.
pub const FOLD_RECENT_LINES_MAX: usize = 4_096;
/// Creators told apart in one remembered sale. Beyond: the last share takes the rest.
pub const FOLD_SALE_SHARES_MAX: usize = 32;
/// Providers told apart under one payment id. Beyond: a repeat.
pub const FOLD_PAYMENT_PROVIDERS_MAX: usize = 8;
/// Flash drops a fold remembers, to tell whose a sale is. Beyond: the oldest is forgotten.
pub const FOLD_DROPS_MAX: usize = 256;
/// Names of rigs a fold learns from allocations. Beyond: a place outside the popup.
pub const FOLD_RIGS_MAX: usize = 256;
/// Before its popup's start an event is still folded, ms. Beyond: the books only, counted.
pub const WINDOW_BEFORE_MS: i64 = 12 * 3_600_000;
/// After its popup's end an event is still folded, ms. Beyond: the books only, counted.
pub const WINDOW_AFTER_MS: i64 = 48 * 3_600_000;
/// How far an event's own time may lie ahead of its admission, ms. Beyond: the time of admission counts.
pub const EVENT_AHEAD_MS_MAX: i64 = 5_000;
/// A clock that may be wrong by more is suspect, ms.
pub const CLOCK_SUSPECT_MS: u64 = 2_000;
/// Times of money that may be wrong by more are named by the books (E-CLOCK), ms.
pub const CLOCK_UNCERTAIN_MS: u64 = 60_000;
/// How fast the uncertainty of a clock grows, parts per million.
pub const CLOCK_DRIFT_PPM: u64 = 50;
/// Round trips to a peer that are remembered to tell a slow one, per peer. Beyond: the oldest goes.
pub const CLOCK_TRIPS_KEPT: usize = 64;
/// What a peer's own clock is taken to be wrong by at most, ms.
pub const CLOCK_PEER_U_MS: u32 = 100;
/// A clock that moved by more gets a new anchor, ms.
pub const CLOCK_MOVED_MS: u64 = 250;
/// An anchor that moves records by more gives all earlier ones of its epoch new minutes, ms.
pub const CLOCK_REBUCKET_MS: u64 = 1_000;
/// Between two anchors that say nothing new, ms; then too only if events came.
pub const CLOCK_ANCHOR_EVERY_MS: u64 = 600_000;
/// Between any two anchors of an epoch, ms.
pub const CLOCK_ANCHOR_PAUSE_MS: u64 = 10_000;
/// A peer of lower rank is not asked for the time while a better one was heard within this, ms.
pub const CLOCK_REFERENCE_MS: u64 = 600_000;
/// A wall clock that leaves the steady one by more at once was set, ms.
pub const CLOCK_STEP_MS: u64 = 2_000;
/// Between two records of a clock being set, ms; steps in between are added up.
pub const CLOCK_STEP_PAUSE_MS: u64 = 60_000;
/// A checkout that takes longer is late where policy says nothing, ms.
pub const CHECKOUT_LIMIT_MS: u32 = 60_000;
/// Currencies in one cell.
pub const CELL_CURRENCIES_MAX: usize = 32;
/// SKUs in one cell.
pub const CELL_SKUS_MAX: usize = 1_024;
/// Creators in one cell.
pub const CELL_CREATORS_MAX: usize = 128;
/// Co-op members in one cell.
pub const CELL_MEMBERS_MAX: usize = 64;
/// Streams in one cell.
pub const CELL_STREAMS_MAX: usize = 16;
/// Flash drops in one cell.
pub const CELL_DROPS_MAX: usize = 32;
/// Payment methods told apart per currency in one cell.
pub const CELL_METHODS_MAX: usize = 16;
/// Keys and typical numbers of the named rows of one cell, bytes: a new name that would pass it
/// goes to the row `other`, so that names alone cannot fill [`CELL_BYTES_MAX`].
pub const CELL_NAMES_BYTES_MAX: usize = 72 << 10;
/// Start minutes told apart in one cell's checkouts.
pub const CELL_STARTS_MAX: usize = 32;
/// Token hashes in one cell.
pub const CELL_TOKENS_MAX: usize = 1_024;
/// Rigs with rights to one SKU in one cell. Beyond: not told apart, counted in `other`.
pub const CELL_RIGHTS_MAX: usize = 64;
/// Viewers in one cell: those with the smallest hashes.
pub const CELL_SUBJECTS_MAX: usize = 512;
/// Touches of one viewer in one cell. Beyond: the first and last of each run of one kind.
pub const SUBJECT_TOUCHES_MAX: usize = 16;
/// Touches of all viewers in one cell. Beyond: the viewers with the largest hashes go.
pub const CELL_TOUCHES_MAX: usize = 3_072;
/// One encoded cell, bytes.
pub const CELL_BYTES_MAX: usize = 128 << 10;

// Region.

/// Rigs of one popup at a region. Beyond: PW3121.
pub const REGION_RIGS_MAX: usize = 256;
/// Lives of one rig in one popup at a region. A life without a cell makes room for one with cells.
/// Beyond: PW3121.
pub const REGION_EPOCHS_MAX: usize = 1_024;
/// Rigs of all popups at a region. Beyond: PW3121.
pub const REGION_RIGS_TOTAL_MAX: usize = 4_096;
/// Minutes of one popup at a region. Beyond: PW3121, the rig keeps all and coverage shows it.
pub const REGION_MINUTES_MAX: usize = 24_000;
/// Currencies of one popup at a region. Beyond: counted in `other`, the amount only in the books.
pub const REGION_CURRENCIES_MAX: usize = 64;
/// SKUs of one popup at a region. Beyond: the row `other`.
pub const REGION_SKUS_MAX: usize = 16_384;
/// Creators of one popup at a region. Beyond: the row `other`.
pub const REGION_CREATORS_MAX: usize = 1_024;
/// Co-op members of one popup at a region. Beyond: the row without a name.
pub const REGION_MEMBERS_MAX: usize = 256;
/// Streams of one popup at a region. Beyond: the row `other`.
pub const REGION_STREAMS_MAX: usize = 64;
/// Flash drops of one popup at a region. Beyond: no lift, counted in `other`.
pub const REGION_DROPS_MAX: usize = 256;
/// Tokens of one popup at a region, those with the smallest hashes. Beyond: numbers are estimated.
pub const REGION_TOKENS_MAX: usize = 16_384;
/// Viewers of one popup at a region, likewise.
pub const REGION_VIEWERS_MAX: usize = 16_384;
/// SKUs of one summary, those most at risk. Beyond: only in `/inventory`.
pub const SUMMARY_SKUS_MAX: usize = 200;
/// Rows of each currency's leaderboard in a summary.
pub const SUMMARY_BOARD_ROWS: usize = 10;
/// Popups at a region. Beyond: PW3121.
pub const REGION_POPUPS_MAX: usize = 256;
/// How long ago a popup must have ended to make room at a region for another one, ms: a day.
pub const REGION_ENDED_MS: u64 = 86_400_000;
/// Popups let go by a region of which it knows still that they are over. Beyond: the one that ended
/// first is forgotten, and its rigs may fill it again.
pub const REGION_PAST_MAX: usize = 4_096;
/// How long no cell of a popup must have come before it is taken for filled, ms.
pub const REGION_QUIET_MS: i64 = 15_000;
/// Between two looks at a region at what is over, ms.
pub const REGION_AGE_MS: u64 = 5_000;
/// Cells of all popups at a region, bytes. Beyond: 507 PW3121.
pub const REGION_BYTES_MAX: usize = 256 << 20;
/// Live readers of one region. Beyond: 503 PW3133.
pub const REGION_READERS_MAX: usize = 20_000;
/// Live readers of one edge. Beyond: the oldest is closed.
pub const EDGE_READERS_MAX: usize = 64;
/// A live stream without progress of its socket, ms. Beyond: closed, PW3132.
pub const FEED_STALL_MS: u64 = 30_000;
/// Between two signs of life of a stream, ms.
pub const FEED_TICK_MS: u64 = 5_000;
/// A reader that has seen more than is held here waits so long for it, ms; then it is told that
/// numbers go back.
pub const FEED_BEHIND_MS: u64 = 5_000;
/// A reader that lost its stream comes again after at least this, ms.
pub const FEED_RETRY_MS_MIN: u64 = 500;
/// The same at most; drawn for each reader, so that they do not come all at once.
pub const FEED_RETRY_MS_MAX: u64 = 3_000;
/// Rows that are no more and are still told to late readers. Beyond: those get a snapshot.
pub const FEED_GONE_MAX: usize = 4_096;
/// Frames kept for other readers of one edition. Beyond: made again for each.
pub const FEED_FRAMES_MAX: usize = 64;
/// Bytes that the system may hold of a stream for a reader who does not read.
pub const FEED_SOCKET_BYTES: usize = 32 << 10;
/// An event's id. Beyond: it says nothing of the version vector.
pub const FEED_ID_BYTES_MAX: usize = 4_096;
/// Fields of the mirror in one command. Beyond: the next one.
pub const MIRROR_FIELDS_MAX: usize = 128;
/// One answer of the mirror, bytes. Beyond: PW3124.
pub const MIRROR_ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long the mirror may take to answer, ms. Beyond: PW3124.
pub const MIRROR_WAIT_MS: u64 = 5_000;
/// Between two tries of a mirror out of reach, ms.
pub const MIRROR_RETRY_MS: u64 = 1_000;
/// Between two comparisons with the mirror, ms: its channel may lose messages.
pub const MIRROR_COMPARE_MS: u64 = 10_000;
/// What nobody writes any more leaves the mirror after this, ms: three days.
pub const MIRROR_KEEP_MS: u64 = 3 * 86_400_000;
/// SKUs of a popup that are labels of metrics. Beyond: not exported.
pub const EXPORT_SKUS_MAX: usize = 50;
/// Creators of a popup that are labels of metrics. Beyond: one row without a name.
pub const EXPORT_CREATORS_MAX: usize = 50;
/// Payment methods of a popup that are labels of metrics. Beyond: one row without a name.
pub const EXPORT_METHODS_MAX: usize = 16;
/// Rows of a leaderboard. Beyond: 400 PW3135.
pub const LEADERBOARD_ROWS_MAX: usize = 100;

// Promises.

/// Steps of a popup's plan. Beyond: PW3301.
pub const PLAN_STEPS_MAX: usize = 64;
/// How much longer than its window a popup may plan to run, minutes. Beyond: PW3301.
pub const OVERRUN_MINUTES_MAX: u32 = 1_440;
/// How far an outcome may lie behind the clock to be fed to a detector, minutes. Beyond: it moves
/// budget and evidence and pages nobody.
pub const SLO_LATE_MINUTES_MAX: u32 = 5;
/// Pages waiting for one target, by fingerprint. Beyond: the oldest that was delivered goes, else
/// the newest is not taken, logged.
pub const ALERTS_MAX: usize = 256;
/// Bytes of the file in which a target's pages outlast the process. Beyond: it is not read.
pub const ALERTS_BYTES_MAX: u64 = 1 << 20;
/// Targets of one region's pages. Beyond: PW1101.
pub const ALERT_TARGETS_MAX: usize = 8;
/// First wait before a page is sent again, ms; doubles.
pub const ALERT_RETRY_MS_MIN: u64 = 1_000;
/// Longest such wait, ms.
pub const ALERT_RETRY_MS_MAX: u64 = 60_000;
/// Between two pushes of a page that is not over, ms.
pub const ALERT_AGAIN_MS: u64 = 60_000;
/// Wait for the answer of a target of pages, ms.
pub const ALERT_ANSWER_MS: u64 = 10_000;
/// How long a page that was open when a region ended stays open without being seen again, ms: as long
/// as evidence is looked back on.
pub const ALERT_UNSEEN_MS: u64 = 900_000;
/// From a checkout's limit to the judgement on it, ms.
pub const SLO_SLACK_MS: i64 = 5_000;

// Lanes.

/// One batch on the wire, compressed bytes. Beyond: 413 PW0302.
pub const BATCH_WIRE_BYTES_MAX: usize = 1 << 20;
/// One batch inflated, bytes. Beyond: 413 PW0302.
pub const BATCH_BYTES_MAX: usize = 4 << 20;
/// Items of one record batch.
pub const BATCH_ITEMS_MAX: usize = 4_096;
/// Cells of one cell batch.
pub const BATCH_CELLS_MAX: usize = 1_024;
/// Ranges in one answer of the ledger. Beyond: asked for when these are filled.
pub const ACK_RANGES_MAX: usize = 64;
/// Void lives a rig names to its regions, and a region remembers of a rig. Beyond: the oldest goes.
pub const VOID_EPOCHS_MAX: usize = 64;
/// Refusals of one batch before it is halved.
pub const REFUSALS_MAX: u32 = 3;
/// Items of an epoch's first batch while older epochs wait: what opens it goes first.
pub const BATCH_OPENING_ITEMS: usize = 16;
/// Least bytes a batch is cut to for a peer that finds it too large.
pub const BATCH_BYTES_MIN: usize = 64 << 10;
/// Longest wait a peer may ask for, ms.
pub const PEER_DELAY_MS_MAX: u64 = 60_000;
/// Longest wait between a change and its cells on a slow link, ms.
pub const CELLS_DELAY_MS_MAX: u64 = 5_000;
/// Connect to a peer, ms.
pub const PEER_CONNECT_MS: u64 = 5_000;
/// Wait for a peer's answer, ms.
pub const PEER_ANSWER_MS: u64 = 30_000;
/// First wait before a failed exchange is tried again, ms; doubles.
pub const RETRY_MS_MIN: u64 = 500;
/// Longest such wait, ms.
pub const RETRY_MS_MAX: u64 = 30_000;
/// Between a change and the cells batch that carries it, ms.
pub const CELLS_DELAY_MS: u64 = 100;
/// Between a change and its rig's own page, ms: a page is fed once for a burst, not once a commit.
pub const PAGE_DELAY_MS: u64 = 20;
/// Between two beacons when nothing else is sent, ms.
pub const BEACON_MS: u64 = 5_000;
/// Currencies a beacon names, largest first.
pub const BEACON_MONEY_ROWS_MAX: usize = 6;
/// States a beacon names. Beyond: the beacon is ignored, counted.
pub const BEACON_STATES_MAX: usize = 16;
/// A rig unheard for this long is silent, ms: three beacons.
pub const SILENT_MS: u64 = 15_000;
/// Regions one rig feeds.
pub const REGIONS_MAX: usize = 4;

// Ledger.

/// Separate stretches of one epoch the ledger holds per cursor. Beyond: 503 PW0333, the rig fills
/// the holes first.
pub const LEDGER_STRETCHES_MAX: usize = 1_024;
/// Marks an edge keeps per cursor to tell the age of what is not sent. Beyond: every second one
/// goes, and the age is told a little too young.
pub const UNSENT_MARKS_MAX: usize = 512;
/// Gaps shown in a rig's status, the newest. Beyond: they count, without their rows.
pub const STATUS_GAPS_MAX: usize = 64;
/// Kinds of losses shown in a rig's status. Beyond: counted under `other`.
pub const STATUS_LOSSES_MAX: usize = 64;
/// Commits over which a rig tells how long its disk takes.
pub const SYNC_SAMPLES_MAX: usize = 128;
/// Rate cards of one popup's policy. Beyond: PW1101.
pub const COMMERCE_SHARES_MAX: usize = 256;
/// Co-ops of one popup's policy. Beyond: PW1101.
pub const COMMERCE_COOPS_MAX: usize = 16;
/// Members of one co-op. Beyond: PW1101.
pub const COOP_MEMBERS_MAX: usize = 64;
/// Longest hold of a share after its popup's end, days. Beyond: PW1101.
pub const HOLD_DAYS_MAX: u32 = 3_650;
/// Groups one fact can belong to.
pub const GROUPS_OF_FACT_MAX: usize = 64;
/// Facts of one group. Beyond, a group is not evaluated and a break says so.
pub const GROUP_FACTS_MAX: usize = 4_096;
/// Accounts under which a refund of an unknown sale is looked for.
pub const PAIRING_ACCOUNTS_MAX: usize = 16;
/// Words of a bank line's text by which its payout is looked for.
pub const BANK_WORDS_MAX: usize = 24;
/// How far a claim and an object may lie apart to be suggested as one, ms.
pub const SUGGEST_APART_MS: i64 = 10 * 60_000;
/// Open claims for which provider objects are suggested at once, newest first. Beyond: the answer
/// says how many were not compared.
pub const SUGGEST_CLAIMS_MAX: usize = 4_096;
/// Provider objects that are looked at for them.
pub const SUGGEST_OBJECTS_MAX: usize = 16_384;
/// Payouts of one popup that are explained at once.
pub const PAYOUTS_EXPLAINED_MAX: usize = 1_000;
/// How long after a rig's records have all arrived a stored payment without object is stuck, ms.
pub const STUCK_AFTER_MS: i64 = 2 * 3_600_000;
/// How long before a rig stated a loss a charge without reference may be a sale that it lost, ms.
pub const GAP_GUESS_MS: i64 = 24 * 3_600_000;
/// Keys shown as evidence of one break.
pub const BREAK_EVIDENCE_MAX: usize = 20;

// Providers.

/// A reference of ours stamped into a provider's object, bytes: the shortest field any of them has
/// takes 40. Beyond: not minted.
pub const STAMP_BYTES_MAX: usize = 36;
/// References of one kind from one anchor. Beyond: not minted.
pub const REFERENCE_USES: u8 = 32;
/// From a reference's anchor until a provider may have forgotten it as a key, ms.
pub const REFERENCE_SAFE_MS: i64 = 20 * 3_600_000;

/// One message of a provider, bytes. Beyond: 413 PW0904.
pub const WEBHOOK_BYTES_MAX: usize = 1 << 20;
/// Secrets of one account at a time: the old and the new one while they are changed, twice. Beyond:
/// the configuration is refused.
pub const WEBHOOK_SECRETS_MAX: usize = 4;
/// Signatures in one header. Beyond: 401 PW0902.
pub const WEBHOOK_SIGNATURES_MAX: usize = 16;
/// How far a signature's time may lie from now, either side, ms. Beyond: 401 PW0902.
pub const WEBHOOK_WINDOW_MS: i64 = 300_000;
/// How uncertain a clock may be that judges the window, ms. Beyond: the window is skipped, marked.
pub const WEBHOOK_CLOCK_U_MS: u64 = 150_000;
/// Items of one message. Beyond: 400 PW0903.
pub const WEBHOOK_ITEMS_MAX: usize = 256;
/// References of ours in one object. Beyond: left out.
pub const WEBHOOK_STAMPS_MAX: usize = 16;
/// Name of a message, bytes. Beyond: `other`.
pub const WEBHOOK_NAME_BYTES_MAX: usize = 64;
/// Names of messages that are counted apart. Beyond: `other`.
pub const WEBHOOK_NAMES_MAX: usize = 64;
/// Provider accounts of one process. Beyond: the configuration is refused.
pub const PROVIDER_ACCOUNTS_MAX: usize = 64;

// Files of providers, banks and people who count.

/// One settlement file, bytes. Beyond: 413 PW0913.
pub const SETTLEMENT_FILE_BYTES_MAX: u64 = 512 << 20;
/// Rows of a settlement file. Beyond: 413 PW0913.
pub const SETTLEMENT_ROWS_MAX: u64 = 10_000_000;
/// One row of a settlement file, bytes: what is buffered of it. Beyond: 413 PW0913.
pub const SETTLEMENT_ROW_BYTES_MAX: usize = 64 << 10;
/// Columns of a settlement file. Beyond: 413 PW0913.
pub const SETTLEMENT_COLUMNS_MAX: usize = 1_024;
/// Rows without an id of their own in one file: 8 bytes each are remembered to tell equal ones
/// apart. Beyond: 413 PW0913.
pub const SETTLEMENT_KEYLESS_ROWS_MAX: usize = 3_500_000;
/// One count sheet, bytes. Beyond: 413 PW0913.
pub const COUNT_SHEET_BYTES_MAX: usize = 4 << 20;
/// Rows of a count sheet. Beyond: 413 PW0913.
pub const COUNT_SHEET_ROWS_MAX: u64 = 20_000;

// Host.

/// Between two looks at the host, ms.
pub const PROBE_MS: u64 = 10_000;
/// Wait for one source of the host's readings, ms. Beyond: absent, PW1051.
pub const PROBE_WAIT_MS: u64 = 2_000;
/// One file, or all that a UPS daemon answers, bytes. Beyond: absent, PW1051.
pub const PROBE_BYTES_MAX: usize = 64 << 10;
/// Entries of one directory, and UPSes of one daemon, that a look goes through. Beyond: not read.
pub const PROBE_ENTRIES_MAX: usize = 64;
/// Between two dry runs of a checkout, ms.
pub const DRY_RUN_MS: u64 = 10_000;
/// Wait for one dry run, all of its addresses, ms. Beyond: it failed.
pub const DRY_RUN_WAIT_MS: u64 = 5_000;
/// Addresses that one dry run asks.
pub const DRY_RUN_ADDRESSES_MAX: usize = 4;
/// Between two journaled sums of dry runs while none fails, ms.
pub const DRY_RUN_RECORD_MS: u64 = 60_000;
/// Between two journaled samples of a host in which nothing changes, ms.
pub const RIG_SAMPLE_MS: u64 = 60_000;
/// Over how long the rate of a disk is taken, ms.
pub const DISK_TREND_MS: u64 = 300_000;
/// Measurements of a disk that are remembered.
pub const DISK_TREND_SAMPLES_MAX: usize = 32;

// Identity and enrolment.

/// Popups that one membership names. Beyond: not enrolled, PW0710.
pub const MEMBER_POPUPS_MAX: usize = 16;
/// Members of one organisation. Beyond: not enrolled, PW0710.
pub const MEMBERS_MAX: usize = 65_536;
/// Codes that wait to be used. Beyond: the oldest goes.
pub const ENROL_CODES_MAX: usize = 64;
/// How long a code may be used, ms.
pub const ENROL_CODE_MS: u64 = 15 * 60_000;
/// Wrong proofs until a code is worth nothing.
pub const ENROL_TRIES_MAX: u32 = 5;
/// Body of a request for keys, bytes. Beyond: 413 PW0107.
pub const LEASE_BODY_BYTES_MAX: usize = 16 << 10;
/// Body of an enrolment or of its answer, bytes. Beyond: 413 PW0107.
pub const ENROL_BODY_BYTES_MAX: usize = 16 << 10;
/// Regions that a new member is told of.
pub const ENROL_REGIONS_MAX: usize = REGIONS_MAX;
/// Quarantined records that are booked in one transaction.
pub const ACCEPT_RECORDS_MAX: usize = 1_024;

// Access.

/// A pass as it travels, bytes. Beyond: 401 PW0704.
pub const PASS_BYTES_MAX: usize = 4 << 10;
/// Blocks of a pass behind the first: so often it can be handed on. Beyond: 401 PW0703.
pub const PASS_HANDOVERS_MAX: usize = 4;
/// Facts while a pass is judged. Beyond: 401 PW0703.
pub const PASS_FACTS_MAX: u64 = 1_000;
/// Rounds while a pass is judged. Beyond: 401 PW0703.
pub const PASS_ROUNDS_MAX: u64 = 100;
/// How long a pass may be judged, ms: far above what one takes on a loaded till, since a valid pass
/// must not be refused for the load. Beyond: 401 PW0703.
pub const PASS_MS_MAX: u64 = 1_000;
/// Ids and names in a pass, bytes each. Beyond: not issued.
pub const PASS_NAME_BYTES_MAX: usize = 96;
/// Revoked passes that are remembered. Beyond: the one that was revoked first goes.
pub const REVOKED_MAX: usize = 4_096;
/// How old the list of revoked passes may be for grave actions, ms. Beyond: 403 PW0707.
pub const REVOKED_AGE_MS_MAX: i64 = 24 * 3_600_000;
/// Sessions of one process. Beyond: the oldest ends.
pub const SESSIONS_MAX: usize = 1_024;
/// Body of a session's request, bytes. Beyond: 413 PW0107.
pub const SESSION_BYTES_MAX: usize = 16 << 10;
/// Accounts with a second factor. Beyond: none is added.
pub const ACCOUNTS_MAX: usize = 1_024;
/// Wrong codes in a row until an account rests. Beyond: 401 PW0706.
pub const CODES_WRONG_MAX: u32 = 5;
/// How long it rests, ms.
pub const CODES_REST_MS: i64 = 15 * 60_000;
/// One-time codes on paper, for each account.
pub const ONE_TIME_CODES: usize = 8;
/// Rigs that one raw read names. Beyond: 403 PW0705.
pub const RAW_RIGS_MAX: usize = 64;
/// Fields that one raw read names. Beyond: 403 PW0705.
pub const RAW_FIELDS_MAX: usize = 64;
/// How long a raw read may take, ms. Beyond: it ends, and the trail says so.
pub const RAW_MS_MAX: u64 = 5 * 60_000;

// Closing and answers of the books.

/// File of one certificate, bytes: it travels in one record. A certificate of more stock lists the
/// digest of it.
pub const CERTIFICATE_BYTES_MAX: usize = 240 << 10;
/// Entries of one audit log: its tree is held in memory, 64 bytes an entry.
pub const AUDIT_ENTRIES_MAX: u64 = 1 << 20;
/// One entry of an audit log, bytes.
pub const AUDIT_ENTRY_BYTES_MAX: usize = 8 << 10;
/// A signed checkpoint, bytes: three lines and a few signatures.
pub const CHECKPOINT_BYTES_MAX: usize = 8 << 10;
/// Rows of one page of the books' lists.
pub const BOOKS_PAGE_ROWS_MAX: usize = 1_000;
/// Records that are appended at the centre in one go.
pub const CENTRAL_RECORDS_MAX: usize = 1_000;
/// Rows of a file that are named when they were refused. Beyond: only counted.
pub const REFUSED_ROWS_MAX: usize = 100;
/// Body of a decision or a close, bytes. Beyond: PW0107.
pub const DECISION_BYTES_MAX: usize = 256 << 10;

// Policy.

/// A policy document, bytes. Beyond: PW0601.
pub const POLICY_BYTES_MAX: usize = 256 << 10;
/// Nesting of a policy document. Beyond: PW0601.
pub const POLICY_DEPTH_MAX: usize = 16;
/// Rules for fields, and for fields beyond the catalogue. Beyond: PW0601.
pub const POLICY_RULES_MAX: usize = 512;
/// Rungs of the ladder by which cells grow coarse. Beyond: PW0601.
pub const LADDER_RUNGS_MAX: usize = 16;
/// The longest span of time in a policy, days: a century. Beyond: PW0601.
pub const SPAN_DAYS_MAX: u64 = 36_525;
/// The longest window of a popup, days. Beyond: PW0601.
pub const WINDOW_DAYS_MAX: u64 = 14;
/// Who may sign policies of one organisation. Beyond: PW0601.
pub const POLICY_SIGNERS_MAX: usize = 32;
/// A signed policy bundle, bytes: the document, its note, the revoked passes. Beyond: PW0610.
pub const POLICY_BUNDLE_BYTES_MAX: usize = 1 << 20;
/// Documents whose join runs inside a window. Beyond: PW0617.
pub const POLICY_JOINED_MAX: usize = 16;
/// Documents brought that a rig tells of. Beyond: the oldest goes.
pub const POLICY_ATTEMPTS_MAX: usize = 16;
/// Starts after a death under a policy on trial. Then: it is fallen back from.
pub const TRIAL_UNCLEAN_STARTS: u32 = 2;
/// Events that failed in redaction under a policy on trial, per cent. Beyond: it is fallen back from.
pub const TRIAL_ERRORS_PER_CENT: u64 = 1;
/// Events on trial below which no share of failures is taken for a sign.
pub const TRIAL_EVENTS_MIN: u64 = 100;
/// Segments in the path of a field beyond the catalogue. Beyond: PW0601.
pub const EXTRA_SEGMENTS_MAX: usize = 3;

// Preflight.

/// Beyond the end of the window a battery has to last, minutes. Below: no-go PW1301.
pub const PREFLIGHT_POWER_MINUTES: u32 = 30;
/// A UPS lasts at least this, minutes. Below: warning PW1302.
pub const PREFLIGHT_UPS_MINUTES: u32 = 10;
/// Room for this many times the events expected. Below: warning PW1303; below once: no-go.
pub const PREFLIGHT_ROOM_TIMES: u64 = 3;
/// Events expected of one rig in an hour where nobody says otherwise: more than a checkout a second
/// with its journey.
pub const PREFLIGHT_EVENTS_PER_HOUR: u64 = 20_000;
/// What a record takes on disk where the journal is too young to tell, bytes.
pub const PREFLIGHT_EVENT_BYTES: u64 = 400;
/// Writes and syncs that are timed.
pub const PREFLIGHT_SYNCS: usize = 200;
/// One of them in a hundred may take longer than this, µs. More: warning PW1304.
pub const PREFLIGHT_SYNC_P99_US_MAX: u64 = 100_000;
/// The clock may differ from the ledger's by this, ms. Beyond: warning PW1305.
pub const PREFLIGHT_CLOCK_MS_MAX: u64 = 2_000;
/// The clock may lie behind the journal's newest sale by this, ms. At it: no-go PW1305.
pub const PREFLIGHT_BEHIND_MS_MAX: i64 = 24 * 3_600_000;
/// Exchanges of time with the ledger.
pub const PREFLIGHT_CLOCK_EXCHANGES: usize = 8;
/// Probes to each peer.
pub const PREFLIGHT_PROBES: u32 = 100;
/// Of them, per cent may be lost. Beyond: warning PW1306.
pub const PREFLIGHT_LOSS_PERCENT_MAX: u64 = 2;
/// One of twenty may take longer than this, µs. More: warning PW1306.
pub const PREFLIGHT_RTT_US_MAX: u64 = 500_000;
/// What is sent up to time the way, bytes; a role takes no more of it. Beyond: PW0107.
pub const PREFLIGHT_UP_BYTES: usize = 1 << 20;
/// The word that `/healthz` sends back, bytes. Beyond: left out.
pub const ECHO_BYTES_MAX: usize = 64;
/// A browser's certificate lives on after the popup for this long, ms. Below: warning PW1308.
pub const PREFLIGHT_CERTIFICATE_MS: i64 = 7 * 24 * 3_600_000;
/// A policy lives on after the popup for this long, ms. Below: no-go PW1309.
pub const PREFLIGHT_POLICY_MS: i64 = 24 * 3_600_000;
/// A list of revoked passes may be this old, ms. Beyond: warning PW1310.
pub const PREFLIGHT_LIST_MS_MAX: u64 = 24 * 3_600_000;
/// A lease of a key lives on after the popup for this long, ms. Below: warning PW1313.
pub const PREFLIGHT_LEASE_MS: i64 = 2 * 3_600_000;
/// A step of the synthetic sale may take this, ms. Beyond: warning PW1314.
pub const PREFLIGHT_STEP_MS_MAX: u64 = 5_000;
/// A step of the synthetic sale is given up after this, ms.
pub const PREFLIGHT_STEP_WAIT_MS: u64 = 15_000;
/// Files searched for planted values, bytes in all. Beyond: the newest files only.
pub const PREFLIGHT_SEARCH_BYTES_MAX: u64 = 4 << 30;

// Command line and clients.

/// The page of a report, bytes. Beyond: it is not written.
pub const REPORT_BYTES_MAX: usize = 300_000;
/// One sales file, bytes. Beyond: PW1102.
pub const SALES_FILE_BYTES_MAX: usize = 64 << 20;
/// Events a command puts in one request.
pub const SEND_EVENTS_MAX: usize = 100;
/// Bytes of events a command puts in one request; one larger event goes alone.
pub const SEND_BYTES_MAX: usize = 256 << 10;
/// Events a client's outbox holds. Beyond: ambient, then journey go; PW0131.
pub const OUTBOX_EVENTS_MAX: usize = 5_000;
/// Bytes of events a client's outbox holds.
pub const OUTBOX_BYTES_MAX: usize = 16 << 20;
/// Body of a peer's answer, bytes. Beyond: the answer is refused.
pub const ANSWER_BYTES_MAX: usize = 8 << 20;

const _: () = assert!(EVENT_BYTES_MAX <= REQUEST_BYTES_MAX);
const _: () = assert!(SEND_EVENTS_MAX <= REQUEST_EVENTS_MAX);
const _: () = assert!(REQUEST_BYTES_MAX <= ADMISSION_QUEUE_BYTES_MAX);
const _: () = assert!(AMBIENT_WAIT_MS < COMMIT_WAIT_MS_MAX);
const _: () = assert!(SEND_BYTES_MAX + EVENT_BYTES_MAX <= REQUEST_BYTES_MAX);
const _: () = assert!(BATCH_WIRE_BYTES_MAX <= ANSWER_BYTES_MAX);
const _: () = assert!(EVENT_BYTES_MAX <= PAYLOAD_BYTES_MAX);
const _: () = assert!(REQUEST_EVENTS_MAX <= COMMIT_RECORDS_MAX);
const _: () = assert!(REQUEST_EVENTS_MAX <= ADMISSION_QUEUE_EVENTS_MAX);
const _: () = assert!((COMMIT_BYTES_MAX + FOOTER_BYTES_MAX) as u64 <= SEGMENT_BYTES);
const _: () = assert!(RESERVE_STOCK_BYTES <= RESERVE_SEGMENTS_MAX as u64 * SEGMENT_BYTES);
const _: () = assert!(DISK_TIGHT_BYTES <= DISK_LOW_BYTES);
const _: () = assert!(DISK_BUDGET_BYTES_MIN <= DISK_BUDGET_BYTES_MAX);
const _: () = assert!(PAYLOAD_BYTES_MAX < BATCH_BYTES_MAX);
const _: () = assert!(CELL_BYTES_MAX < BATCH_BYTES_MAX);
const _: () = assert!(CELL_NAMES_BYTES_MAX < CELL_BYTES_MAX);
const _: () = assert!(WEBHOOK_ITEMS_MAX <= REQUEST_EVENTS_MAX);
const _: () = assert!(SILENT_MS == 3 * BEACON_MS);
const _: () = assert!(PROBE_WAIT_MS < PROBE_MS);
const _: () = assert!(DRY_RUN_WAIT_MS < DRY_RUN_MS);
const _: () = assert!(DISK_TREND_MS < PROBE_MS * DISK_TREND_SAMPLES_MAX as u64);
