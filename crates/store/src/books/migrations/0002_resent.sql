-- Records that were appended again because their first place was lost: that place, and where they
-- stand now.
CREATE TABLE resent (
  rig TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
  at_epoch INTEGER NOT NULL, at_seq INTEGER NOT NULL,
  PRIMARY KEY (rig, epoch, seq, at_epoch, at_seq)
) STRICT, WITHOUT ROWID;
