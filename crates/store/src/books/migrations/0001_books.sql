-- The books of popwatch. Keys begin with the book where a row belongs to one; a book is a popup.
-- Ids are raw bytes, times are milliseconds since 1970, money is minor units.

-- What is held of one life of a rig's journal, per cursor, as stretches with their hash chains.
CREATE TABLE rig_epochs (
  rig TEXT NOT NULL, epoch INTEGER NOT NULL,
  epoch_id BLOB NOT NULL, journal_id BLOB NOT NULL,
  trunk BLOB NOT NULL, bulk BLOB NOT NULL,
  PRIMARY KEY (rig, epoch)
) STRICT, WITHOUT ROWID;

-- What is known of an epoch beyond what is held: where it ended, how far beacons spoke of it.
CREATE TABLE epoch_claims (
  rig TEXT NOT NULL, epoch INTEGER NOT NULL,
  ended INTEGER, head INTEGER NOT NULL,
  PRIMARY KEY (rig, epoch)
) STRICT, WITHOUT ROWID;

-- Which rigs took part in which popup.
CREATE TABLE rig_popups (
  book TEXT NOT NULL, rig TEXT NOT NULL, epoch INTEGER NOT NULL,
  PRIMARY KEY (book, rig, epoch)
) STRICT, WITHOUT ROWID;

-- Every record once, at its position. Retention may empty `bytes`; the rest stays, and `hash` says
-- from then on which bytes they were.
CREATE TABLE records (
  rig TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
  hash BLOB, class INTEGER NOT NULL, book TEXT, fact_id BLOB, bytes BLOB,
  PRIMARY KEY (rig, epoch, seq)
) STRICT, WITHOUT ROWID;

-- One row per record that states a fact, in the order in which they came. state: 0 a repeat, 1 it posts, 2 in conflict.
-- `body` is empty while records.bytes holds it.
CREATE TABLE facts (
  fact_id BLOB NOT NULL, rig TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
  book TEXT NOT NULL, kind INTEGER NOT NULL, event BLOB NOT NULL, content BLOB NOT NULL,
  state INTEGER NOT NULL, occurred_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL,
  currency TEXT, amount INTEGER, body BLOB
) STRICT;
CREATE INDEX facts_by_id ON facts (fact_id);
CREATE INDEX facts_by_event ON facts (event);

-- Append-only. live: 1 while not reversed. `reverses` is the n of the entry a reversal undoes.
CREATE TABLE entries (
  n INTEGER PRIMARY KEY, book TEXT NOT NULL, entry_id BLOB NOT NULL, fact_id BLOB NOT NULL,
  rule TEXT NOT NULL, reverses INTEGER, correction INTEGER NOT NULL, live INTEGER NOT NULL,
  occurred_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, legs BLOB NOT NULL
) STRICT;
CREATE INDEX entries_live ON entries (fact_id) WHERE live = 1;

-- Sums of the effective entries.
CREATE TABLE balances (
  book TEXT NOT NULL, commodity TEXT NOT NULL, account TEXT NOT NULL,
  debit INTEGER NOT NULL, credit INTEGER NOT NULL,
  PRIMARY KEY (book, commodity, account)
) STRICT, WITHOUT ROWID;

-- cause: the fact (or other origin) whose evaluation made the break. book '' is the rig's own.
CREATE TABLE breaks (
  book TEXT NOT NULL, id TEXT NOT NULL, cause BLOB NOT NULL, rig TEXT,
  class TEXT NOT NULL, commodity TEXT, amount INTEGER NOT NULL, suspense INTEGER NOT NULL,
  held_in TEXT, keys BLOB NOT NULL, evidence BLOB NOT NULL, state TEXT NOT NULL,
  sentence TEXT NOT NULL, first_seen_ms INTEGER NOT NULL,
  PRIMARY KEY (book, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX breaks_by_cause ON breaks (cause);
CREATE INDEX breaks_suspense ON breaks (book, commodity) WHERE suspense <> 0;

-- Bytes that did not become a record of the books: other bytes at a held position, forks, records
-- this version cannot read.
CREATE TABLE quarantine (
  rig TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL,
  epoch_id BLOB NOT NULL, why TEXT NOT NULL, recorded_ms INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (rig, epoch, seq, hash)
) STRICT, WITHOUT ROWID;

-- Refunds by the sale they name, known or not.
CREATE TABLE refunds_of (
  book TEXT NOT NULL, sale BLOB NOT NULL, fact_id BLOB NOT NULL,
  PRIMARY KEY (book, sale, fact_id)
) STRICT, WITHOUT ROWID;

-- Which facts speak of a SKU. kind: 0 set aside for `place`, 1 makes it stocked, 2 moves `units`
-- on or off the shelf, 6 counts `units`.
CREATE TABLE stock_lines (
  book TEXT NOT NULL, sku TEXT NOT NULL, kind INTEGER NOT NULL, fact_id BLOB NOT NULL,
  place TEXT NOT NULL, occurred_ms INTEGER NOT NULL, units INTEGER NOT NULL,
  PRIMARY KEY (book, sku, kind, fact_id)
) STRICT, WITHOUT ROWID;

-- Lost ranges as stated. source: 0 a rig.gap record, 1 a skip on the lane.
CREATE TABLE gaps (
  rig TEXT NOT NULL, epoch INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  source INTEGER NOT NULL, worth BLOB NOT NULL, at_ms INTEGER NOT NULL,
  PRIMARY KEY (rig, epoch, first, last, source, worth)
) STRICT, WITHOUT ROWID;
