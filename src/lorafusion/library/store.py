"""Store: key vectors in SQLite under the user's cache folder.

The store only saves time. Whatever goes wrong with it, a line is logged and vectors are computed.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.library.cachefolder import cache_folder

_LOG = logging.getLogger(__name__)
_BUSY_SECONDS = 10.0
_TABLE = """
CREATE TABLE IF NOT EXISTS keys (
    encoder TEXT NOT NULL, text_sha256 TEXT NOT NULL, vector BLOB NOT NULL,
    PRIMARY KEY (encoder, text_sha256)
) WITHOUT ROWID
"""


class KeyStore:
    """Vectors by encoder and text, shared by any number of processes.

    Args:
        path: the database; ``keys.sqlite`` in `cache_folder` when it is not given.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._warned = False

    def read(self, encoder: str, texts: Sequence[str]) -> dict[str, Float[Tensor, " d"]]:
        """Text -> stored vector [d], float32, bit for bit as it was written; only those it has."""
        rows: dict[str, bytes] = {}
        if not encoder:
            return {}
        try:
            with closing(self._connect()) as connection:
                for text in dict.fromkeys(texts):
                    row = connection.execute(
                        "SELECT vector FROM keys WHERE encoder = ? AND text_sha256 = ?",
                        (encoder, _digest(text)),
                    ).fetchone()
                    if row is not None:
                        rows[text] = row[0]
        except (OSError, RuntimeError, sqlite3.Error) as error:
            self._warn("read", error)
        vectors = {text: _vector(row) for text, row in rows.items()}
        return {text: vector for text, vector in vectors.items() if vector is not None}

    def write(self, encoder: str, vectors: Mapping[str, Float[Tensor, " d"]]) -> None:
        """Store vectors, all or none, in place of those of the same encoder and text."""
        if not encoder:
            return
        rows = [(encoder, _digest(text), _bytes(vector)) for text, vector in vectors.items()]
        try:
            with closing(self._connect()) as connection, connection:
                connection.executemany("INSERT OR REPLACE INTO keys VALUES (?, ?, ?)", rows)
        except (OSError, RuntimeError, sqlite3.Error) as error:
            self._warn("written", error)

    def _connect(self) -> sqlite3.Connection:
        """An open database. SQLite does not wait by itself while another process sets WAL up."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                return self._open()
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _open(self) -> sqlite3.Connection:
        path = self._file()
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL")  # readers do not wait for a writer
            connection.execute(_TABLE)
        except BaseException:
            connection.close()
            raise
        return connection

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


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _bytes(vector: Float[Tensor, " d"]) -> bytes:
    return vector.detach().cpu().numpy().astype("<f4").tobytes()


def _vector(row: object) -> Float[Tensor, " d"] | None:
    """The vector in a row, or None where the row is not a unit vector and so was damaged."""
    if not isinstance(row, bytes) or not row or len(row) % 4:
        return None
    vector = torch.from_numpy(np.frombuffer(row, dtype="<f4").astype(np.float32))
    return vector if abs(float(vector.norm()) - 1.0) < 1e-3 else None
