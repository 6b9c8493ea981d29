"""Store: key vectors in SQLite under the user's cache folder.

The store only saves time. Whatever goes wrong with it, a line is logged and vectors are computed.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lorafusion.library import database
from lorafusion.library.cachefolder import cache_folder

_LOG = logging.getLogger(__name__)
_AT_ONCE = 500
"""Keys of one query; SQLite takes 999 values at least."""

MIGRATIONS = (
    """
    CREATE TABLE IF NOT EXISTS keys (  -- databases of before migrations have it and no number
        encoder TEXT NOT NULL, text_sha256 TEXT NOT NULL, vector BLOB NOT NULL,
        PRIMARY KEY (encoder, text_sha256)
    ) WITHOUT ROWID
    """,
)
"""As `database.connect` takes them. Never edited: add one."""


class KeyStore:
    """Vectors by encoder and text, shared by any number of processes.

    Args:
        path: the database; ``keys.sqlite`` in `cache_folder` when it is not given.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._warned = False

    def read(self, encoder: str, texts: Sequence[str]) -> dict[str, Float[np.ndarray, " d"]]:
        """Text -> stored vector [d], float32, bit for bit as it was written; only those it has."""
        if not encoder:
            return {}
        digests = {_digest(text): text for text in texts}
        rows: dict[str, object] = {}
        try:
            with closing(database.connect(self._file(), MIGRATIONS)) as connection:
                # in the order in which they lie there: half the time, for a library of thousands
                for some in _batches(sorted(digests)):
                    marks = ", ".join("?" * len(some))
                    query = f"SELECT text_sha256, vector FROM keys WHERE encoder = ? AND text_sha256 IN ({marks})"  # noqa: S608 - question marks alone
                    found = connection.execute(query, (encoder, *some))
                    rows |= {digests[digest]: row for digest, row in found}
        except (OSError, RuntimeError, sqlite3.Error) as error:
            self._warn("read", error)
        return _vectors(rows)

    def write(self, encoder: str, vectors: Mapping[str, Float[np.ndarray, " d"]]) -> None:
        """Store vectors, all or none, in place of those of the same encoder and text."""
        if not encoder:
            return
        rows = [(encoder, _digest(text), _bytes(vector)) for text, vector in vectors.items()]
        try:
            with closing(database.connect(self._file(), MIGRATIONS)) as connection, connection:
                connection.executemany("INSERT OR REPLACE INTO keys VALUES (?, ?, ?)", rows)
        except (OSError, RuntimeError, sqlite3.Error) as error:
            self._warn("written", error)

    def _file(self) -> Path:
        return self._path or cache_folder() / "keys.sqlite"

    def _warn(self, what: str, error: Exception) -> None:
        if self._warned:
            return
        self._warned = True
        try:
            where = str(self._file())
        except RuntimeError:  # no home folder: the error says so
            where = "no cache folder"
        _LOG.warning(
            "%s: stored keys cannot be %s (%s); they are computed anew. Delete the file or set "
            "LORAFUSION_CACHE to a folder that can be written.",
            where,
            what,
            " ".join(str(error).split()),
        )


def _batches(digests: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(digests), _AT_ONCE):
        yield digests[start : start + _AT_ONCE]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _bytes(vector: Float[np.ndarray, " d"]) -> bytes:
    return vector.astype("<f4").tobytes()


def _vectors(rows: Mapping[str, object]) -> dict[str, Float[np.ndarray, " d"]]:
    """The vectors of rows; without those that are no unit vectors and so were damaged.

    Rows of one length are taken together: one by one, those of ten thousand LoRAs take seconds.
    """
    by_size: dict[int, list[str]] = {}
    for text, row in rows.items():
        if isinstance(row, bytes) and row and not len(row) % 4:
            by_size.setdefault(len(row), []).append(text)
    found: dict[str, Float[np.ndarray, " d"]] = {}
    for size, texts in by_size.items():
        joined = b"".join(row for text in texts if isinstance(row := rows[text], bytes))
        table = np.frombuffer(joined, dtype="<f4").astype(np.float32).reshape(-1, size // 4)
        sound = np.abs(np.sqrt(np.einsum("ij,ij->i", table, table)) - 1.0) < 1e-3
        found |= {text: table[i] for i, text in enumerate(texts) if sound[i]}
    return found
