-- Two lives may share a rig and a number: what is said of an epoch is said of one life of it.

-- What is known of a life beyond what is held: where it ended by the greatest and the least word, how
-- far beacons spoke of it. An empty id is of a rig that did not name it.
CREATE TABLE epoch_words (
  rig TEXT NOT NULL, epoch INTEGER NOT NULL, epoch_id BLOB NOT NULL,
  ended INTEGER, ended_least INTEGER, head INTEGER NOT NULL,
  PRIMARY KEY (rig, epoch, epoch_id)
) STRICT, WITHOUT ROWID;
INSERT INTO epoch_words (rig, epoch, epoch_id, ended, ended_least, head)
  SELECT rig, epoch, x'', ended, ended, head FROM epoch_claims;
DROP TABLE epoch_claims;

-- Lives whose events went on under another epoch.
CREATE TABLE epoch_voids (
  rig TEXT NOT NULL, epoch_id BLOB NOT NULL,
  PRIMARY KEY (rig, epoch_id)
) STRICT, WITHOUT ROWID;
