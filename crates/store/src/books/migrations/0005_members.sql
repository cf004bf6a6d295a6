-- Who belongs to the organisation, and what came from those who no longer do.

-- text: the membership as it was signed.
CREATE TABLE members (
  rig TEXT NOT NULL, text TEXT NOT NULL, enrolled_ms INTEGER NOT NULL, revoked_ms INTEGER,
  PRIMARY KEY (rig)
) STRICT, WITHOUT ROWID;

-- Records that are held and not booked until a person accepts them.
CREATE TABLE held_back (
  rig TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, recorded_ms INTEGER NOT NULL,
  PRIMARY KEY (rig, epoch, seq)
) STRICT, WITHOUT ROWID;
