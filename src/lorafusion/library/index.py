"""Index: what was read of LoRA files, in SQLite under the user's cache folder.

One database for all folders. It only saves time: whatever goes wrong with it, one line is logged and
files are read anew. Rows are written in batches, each in a transaction of its own, so that a
process that is killed loses at most its last batch, and processes do not disturb each other.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from lorafusion.library import database
from lorafusion.library.cachefolder import cache_folder
from lorafusion.library.reading import Reading

FILE = "library.sqlite"
MIGRATIONS = (
    """
    CREATE TABLE files (
        path BLOB PRIMARY KEY,  -- absolute, as the file system has it: a name need not be UTF-8
        stamp TEXT NOT NULL, beside TEXT NOT NULL, reader TEXT NOT NULL, reading TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE hashes (
        path BLOB NOT NULL, kind TEXT NOT NULL, stamp TEXT NOT NULL, hash TEXT NOT NULL,
        PRIMARY KEY (path, kind)
    ) WITHOUT ROWID
    """,
)
"""Number n, from 1, brings a database of version n - 1 to version n. Never edited: add one."""

_LOG = logging.getLogger(__name__)
_PROBLEMS = (OSError, RuntimeError, sqlite3.Error)


class Row(NamedTuple):
    """A stored reading, and the state of the files that it was taken from.

    Attributes:
        stamp: of the LoRA file.
        beside: of its sidecars.
        reader: the version of the code that read it.
        text: the reading as JSON.
    """

    stamp: str
    beside: str
    reader: str
    text: str


def readings(texts: Sequence[str]) -> list[Reading | None]:
    """The reading of each row's text; None where the row was damaged."""
    try:  # one document is read in half the time of ten thousand
        told = json.loads(f"[{','.join(texts)}]")
    except (ValueError, RecursionError):
        return [_reading(text) for text in texts]
    if len(told) != len(texts):
        return [_reading(text) for text in texts]
    return [_of(fields) for fields in told]


def _reading(text: str) -> Reading | None:
    try:
        return _of(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _of(fields: Any) -> Reading | None:
    try:
        return Reading.of(fields)
    except (ValueError, TypeError):
        return None


class Index:
    """Readings and content hashes by absolute path.

    Args:
        path: the database; ``library.sqlite`` in `cache_folder` when it is not given.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._broken = False

    def under(self, folder: Path) -> dict[str, Row]:
        """Absolute path -> row, of all files below a folder."""
        start = os.fsencode(folder.absolute() / "_")[:-1]
        between = (start, start[:-1] + bytes([start[-1] + 1]))
        query = "SELECT path, stamp, beside, reader, reading FROM files WHERE path BETWEEN ? AND ?"
        return {os.fsdecode(row[0]): Row._make(row[1:]) for row in self._select(query, between)}

    def keep(self, rows: Mapping[str, Row]) -> None:
        """Store rows by absolute path, all or none."""
        self._write(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
            [(os.fsencode(path), r.stamp, r.beside, r.reader, r.text) for path, r in rows.items()],
        )

    def forget(self, paths: Iterable[str]) -> None:
        """Remove the rows of files that are gone."""
        gone = [(os.fsencode(path),) for path in paths]
        self._write("DELETE FROM files WHERE path = ?", gone)
        self._write("DELETE FROM hashes WHERE path = ?", gone)

    def hashes(self, kind: str, stamps: Mapping[str, str]) -> dict[str, str]:
        """Absolute path -> stored hash, of those files that have not changed since.

        Args:
            kind: what was hashed, "file" or "tensors".
            stamps: absolute path -> the file's present stamp.
        """
        rows = self._select("SELECT path, stamp, hash FROM hashes WHERE kind = ?", (kind,))
        known = ((os.fsdecode(path), stamp, found) for path, stamp, found in rows)
        return {path: found for path, stamp, found in known if stamps.get(path) == stamp}

    def keep_hash(self, kind: str, path: str, stamp: str, found: str) -> None:
        """Store the hash of a file in this state."""
        row = (os.fsencode(path), kind, stamp, found)
        self._write("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?)", [row])

    def _select(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        if self._broken:
            return []
        try:
            with closing(database.connect(self._file(), MIGRATIONS)) as connection:
                return connection.execute(query, values).fetchall()
        except _PROBLEMS as error:
            self._warn("read", error)
            return []

    def _write(self, query: str, rows: Sequence[Sequence[object]]) -> None:
        if self._broken or not rows:
            return
        try:
            with closing(database.connect(self._file(), MIGRATIONS)) as connection, connection:
                connection.executemany(query, rows)
        except _PROBLEMS as error:
            self._warn("written", error)

    def _file(self) -> Path:
        return self._path or cache_folder() / FILE

    def _warn(self, what: str, error: Exception) -> None:
        self._broken = True
        try:
            where = str(self._file())
        except RuntimeError:  # no home folder: the error says so
            where = "no cache folder"
        _LOG.warning(
            "%s: the catalogue cannot be %s (%s); files are read anew. Delete it or set "
            "LORAFUSION_CACHE to a folder that can be written.",
            where,
            what,
            " ".join(str(error).split()),
        )
