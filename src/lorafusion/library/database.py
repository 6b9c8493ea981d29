"""Database: an SQLite file that any number of processes may share, and its numbered migrations."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

BUSY_SECONDS = 10.0


def connect(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """An open database of the newest version, made where there is none.

    Args:
        path: the file; its folder is made.
        migrations: number n, from 1, brings a database of version n - 1 to version n.

    Raises:
        OSError: its folder cannot be made.
        sqlite3.Error: it is no database, cannot be written, or was made by a newer version.
    """
    # SQLite does not wait by itself while another process sets WAL up.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return _open(path, migrations)
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _open(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode = WAL")  # readers do not wait for a writer
        connection.execute("PRAGMA synchronous = NORMAL")  # a cache: a power cut may cost a batch
        if _version(connection) != len(migrations):
            _migrate(connection, path, migrations)
        connection.isolation_level = "IMMEDIATE"  # `with connection` is a transaction
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # another process may just have done it
        if version > len(migrations):
            raise sqlite3.DatabaseError(f"{path} was made by a newer version of lorafusion")
        for migration in migrations[version:]:
            connection.execute(migration)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
