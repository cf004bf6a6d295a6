"""Where events wait: a SQLite file with one connection, or memory when there is none."""

import json
import sqlite3
import threading


class Outbox:
    """What is put here survives SIGKILL and a power cut; `put` returns when it would.

    A rollback journal and full syncs: SQLite 3.7.0 to 3.51.2 can lose commits of a write-ahead log
    that two connections use. The file is locked for as long as the process lives.
    """

    def __init__(self, path):
        # One thread may store while another removes: the lock stands around each transaction.
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        for setting in ("locking_mode=EXCLUSIVE", "journal_mode=DELETE", "synchronous=FULL"):
            self._db.execute(f"PRAGMA {setting}").fetchall()
        self._transact(
            ("CREATE TABLE IF NOT EXISTS event(n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL,"
             " text TEXT NOT NULL, wall_ms INTEGER NOT NULL)", [()]),
            ("CREATE TABLE IF NOT EXISTS dead(n INTEGER PRIMARY KEY, id TEXT, text TEXT, error TEXT)", [()]),
            ("CREATE TABLE IF NOT EXISTS loss(class TEXT PRIMARY KEY, count INTEGER NOT NULL)", [()]),
        )

    def load(self):
        """Events that wait, oldest first: (id, text, wall_ms); and the losses not yet reported."""
        with self._lock:
            events = self._db.execute("SELECT id, text, wall_ms FROM event ORDER BY n").fetchall()
            return events, dict(self._db.execute("SELECT class, count FROM loss").fetchall())

    def put(self, events, dropped, losses):
        """Stores newcomers and lets go of what made room for them, in one transaction."""
        self._transact(
            ("INSERT OR IGNORE INTO event(id, text, wall_ms) VALUES (?, ?, ?)", events),
            ("DELETE FROM event WHERE id = ?", [(one,) for one in dropped]),
            ("INSERT OR REPLACE INTO loss VALUES (?, ?)", list(losses.items())),
        )

    def settle(self, gone, dead, losses):
        """Lets go of events with a verdict; keeps the last 200 refused ones."""
        rows = [(one, text, json.dumps(error)) for one, text, error in dead]
        self._transact(
            ("DELETE FROM event WHERE id = ?", [(one,) for one in gone]),
            ("INSERT INTO dead(id, text, error) VALUES (?, ?, ?)", rows),
            ("DELETE FROM dead WHERE n <= (SELECT max(n) FROM dead) - 200", [()]),
            ("INSERT OR REPLACE INTO loss VALUES (?, ?)", list(losses.items())),
        )

    def dead(self):
        """The last refused events and why: (event, error), oldest first."""
        with self._lock:
            rows = self._db.execute("SELECT text, error FROM dead ORDER BY n").fetchall()
        return [(json.loads(text), json.loads(error)) for text, error in rows]

    def close(self):
        with self._lock:
            self._db.close()

    def _transact(self, *steps):
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for statement, rows in steps:
                    self._db.executemany(statement, rows) if rows != [()] else self._db.execute(statement)
                self._db.execute("COMMIT")
            except sqlite3.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
