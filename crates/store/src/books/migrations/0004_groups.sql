-- Groups of facts that are evaluated together, and what people decided about the books.

-- Which facts share a key. idle: 1 where evaluating the group does not read the fact. Of what rigs may
-- sell of a SKU one idle fact is enough, and stands here only where nothing else does.
CREATE TABLE group_members (
  kind INTEGER NOT NULL, hash BLOB NOT NULL, idle INTEGER NOT NULL, fact_id BLOB NOT NULL,
  PRIMARY KEY (kind, hash, idle, fact_id)
) STRICT, WITHOUT ROWID;

-- What an evaluated group stands for: the causes it posts under, 16 bytes each, and when time alone
-- would change it. Groups that came to nothing have no row.
CREATE TABLE group_states (
  kind INTEGER NOT NULL, hash BLOB NOT NULL, due_ms INTEGER, causes BLOB NOT NULL,
  PRIMARY KEY (kind, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_states_due ON group_states (due_ms) WHERE due_ms IS NOT NULL;

-- Words to a group, by who says them.
CREATE TABLE group_words (
  kind INTEGER NOT NULL, hash BLOB NOT NULL, cause BLOB NOT NULL, part TEXT NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (kind, hash, cause, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_words_by_cause ON group_words (cause);

-- Groups that asked about something that is no fact, to be evaluated again when it changes.
CREATE TABLE group_asks (
  topic TEXT NOT NULL, kind INTEGER NOT NULL, hash BLOB NOT NULL,
  PRIMARY KEY (topic, kind, hash)
) STRICT, WITHOUT ROWID;

-- Claims that are not reconciled yet, by the place of their record.
CREATE TABLE open_claims (
  rig TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, fact_id BLOB NOT NULL,
  PRIMARY KEY (rig, epoch, seq)
) STRICT, WITHOUT ROWID;

-- Facts by what they speak of, where a group must find them without sharing a key.
CREATE TABLE topics (
  book TEXT NOT NULL, topic TEXT NOT NULL, fact_id BLOB NOT NULL, occurred_ms INTEGER NOT NULL,
  PRIMARY KEY (book, topic, fact_id)
) STRICT, WITHOUT ROWID;

-- What facts put into tills' drawers, by when.
CREATE TABLE drawers (
  book TEXT NOT NULL, account TEXT NOT NULL, commodity TEXT NOT NULL, occurred_ms INTEGER NOT NULL,
  amount INTEGER NOT NULL,
  PRIMARY KEY (book, account, commodity, occurred_ms)
) STRICT, WITHOUT ROWID;

-- Policies as rigs applied them.
CREATE TABLE policies (
  book TEXT NOT NULL, rig TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
  version INTEGER NOT NULL, applied_ms INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (book, rig, epoch, seq)
) STRICT, WITHOUT ROWID;

-- Breaks that a person accepted. applied: 1 while the break stands with exactly this amount.
CREATE TABLE accepted (
  book TEXT NOT NULL, id TEXT NOT NULL, fact_id BLOB NOT NULL,
  commodity TEXT NOT NULL, amount INTEGER NOT NULL, account TEXT NOT NULL,
  occurred_ms INTEGER NOT NULL, applied INTEGER NOT NULL,
  PRIMARY KEY (book, id, fact_id)
) STRICT, WITHOUT ROWID;

-- Books that were closed, and facts that came after.
CREATE TABLE closes (
  book TEXT NOT NULL, n INTEGER NOT NULL, fact_id BLOB NOT NULL,
  PRIMARY KEY (book, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE late (
  fact_id BLOB NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (fact_id)
) STRICT, WITHOUT ROWID;

-- What the books remember of themselves: the rules they were evaluated by, as of when.
CREATE TABLE settings (
  name TEXT NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (name)
) STRICT, WITHOUT ROWID;
