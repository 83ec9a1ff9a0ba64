"""The broker's tables, and the making of them."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from gae_broker.errors import ConfigurationError, Error, StorageError
from gae_broker_adapters.brokers.embedded import faults
from gae_broker_adapters.brokers.embedded.connections import WAIT_S, Connections

VERSION = 1

WAITING = -(2**63 - 1)
"""The claim of a message that nobody has."""

_PAUSE_S = 0.01

# The counters of a queue change in the transaction that changes its messages, so a depth is one row, not a count.
# ``ready`` counts the waiting messages due at or before ``counted_us``, ``delayed`` those due later: whoever moves
# that mark on counts only what became due in between, each message once in its life.
#
# A message waits while ``claim`` is negative. Waiting or claimed, it is a number of 8 bytes: SQLite then changes it
# in place, where a row that changed its length would be written anew, a body of a megabyte included. The claim
# names receiver and call (see claiming.py), so an ack that comes too late matches nothing. ``broker_waiting`` makes
# "the first N due" a range scan and ``broker_held`` finds a dead receiver's messages; both are partial, so a message
# stands in one of them at a time.
_TABLES = """
CREATE TABLE IF NOT EXISTS broker_meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS broker_queues (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    current INTEGER NOT NULL,
    ready INTEGER NOT NULL DEFAULT 0,
    delayed INTEGER NOT NULL DEFAULT 0,
    unacked INTEGER NOT NULL DEFAULT 0,
    counted_us INTEGER NOT NULL DEFAULT 0,
    UNIQUE (kind, name)
);
CREATE TABLE IF NOT EXISTS broker_messages (
    seq INTEGER PRIMARY KEY,
    queue_id INTEGER NOT NULL,
    due_us INTEGER NOT NULL,
    delivery_count INTEGER NOT NULL DEFAULT 0,
    claim INTEGER NOT NULL DEFAULT -9223372036854775807,
    key TEXT NOT NULL,
    copy_id TEXT NOT NULL,
    meta TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS broker_waiting ON broker_messages (queue_id, due_us, key) WHERE claim < 0;
CREATE INDEX IF NOT EXISTS broker_held ON broker_messages (queue_id, claim, due_us) WHERE claim > 0;
CREATE INDEX IF NOT EXISTS broker_by_key ON broker_messages (queue_id, key);
CREATE UNIQUE INDEX IF NOT EXISTS broker_by_copy ON broker_messages (queue_id, copy_id);
CREATE TABLE IF NOT EXISTS broker_receivers (
    id INTEGER PRIMARY KEY,
    seen_us INTEGER NOT NULL,
    pid INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS broker_owners (
    queue_id INTEGER PRIMARY KEY,
    token INTEGER NOT NULL,
    receiver INTEGER NOT NULL
);
"""


def prepare(connections: Connections) -> None:
    """Make the file and its tables where they are missing.

    Raises:
        ConfigurationError: the directory is missing, or file or directory may not be written.
        StorageError: the file is no SQLite database, is damaged, or was made by a newer release.
    """
    if connections.path is not None:
        _make_file(connections.path, connections.where)
    with connections.reading() as connection:
        found = _version(connection)
    if found is not None and found > VERSION:
        raise StorageError(
            f"{connections.where} has version {found}, this release reads {VERSION}; upgrade gae-broker",
        )
    if found is None:
        _make_tables(connections)


def _make_tables(connections: Connections) -> None:
    with connections.writing() as connection:
        if _version(connection) is None:  # else another process was faster
            for statement in _TABLES.split(";\n"):
                connection.execute(statement)
            connection.execute("INSERT INTO broker_meta VALUES ('version', ?)", (VERSION,))


def _version(connection: sqlite3.Connection) -> int | None:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'broker_meta'").fetchone():
        return None
    row = connection.execute("SELECT value FROM broker_meta WHERE key = 'version'").fetchone()
    return None if row is None else int(row[0])


def _make_file(path: Path, where: str) -> None:
    """Create the file where it is missing, and switch it to write-ahead logging, which it then remembers."""
    if not path.parent.is_dir():
        raise ConfigurationError(f"{where}: there is no directory {path.parent}; create it, or correct the url")
    if path.is_dir():
        raise ConfigurationError(f"{where} is a directory; name a file in it")
    if not all(os.access(place, os.W_OK) for place in (path, path.parent) if place.exists()):
        raise ConfigurationError(f"{where} cannot be written; make the file and its directory writable for this user")
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            _switch_to_wal(path, where)
        except sqlite3.Error as exc:
            if not faults.is_busy(exc) or time.monotonic() > deadline:
                raise _unusable(exc, where) from exc
            time.sleep(_PAUSE_S)
        else:
            return


def _switch_to_wal(path: Path, where: str) -> None:
    connection = sqlite3.connect(path, timeout=0.0, isolation_level=None)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    finally:
        connection.close()
    if mode != "wal":
        raise ConfigurationError(
            f"{where} lies on a file system without shared memory (a network share?): SQLite keeps journal mode"
            f" {mode!r}; put it on a local disk",
        )


def _unusable(exc: sqlite3.Error, where: str) -> Error:
    if faults.code(exc) in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
        return ConfigurationError(f"{where} cannot be opened for writing ({exc}); check its path and permissions")
    return faults.translate(exc, where, publishing=False)
