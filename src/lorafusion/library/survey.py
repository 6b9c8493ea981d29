"""Survey: what is known of every LoRA file of a folder, with as little reading as possible."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from lorafusion.library.codeid import code_id
from lorafusion.library.index import Index, Row, readings
from lorafusion.library.naming import unique_names
from lorafusion.library.reading import Reading
from lorafusion.library.scan import Found, look
from lorafusion.library.workers import read_files

BATCH = 200
BATCH_SECONDS = 1.0
"""A batch of readings is stored when it is this large or this old."""

UNSETTLED = 2_000_000_000
"""Nanoseconds for which a file that was just written may change again without showing it: the
coarsest clock of a file system in use ticks every two seconds (FAT)."""

Progress = Callable[[int, int], None]
"""Called with how many files have been read, and how many there are to read."""


class Item(NamedTuple):
    """One file of a survey.

    Attributes:
        name: unique in the folder.
        found: where it is, relative to the folder, and its state.
        reading: what it says.
    """

    name: str
    found: Found
    reading: Reading


@dataclass(frozen=True)
class Survey:
    """A folder as it was looked at.

    Attributes:
        folder: as it was given.
        items: sorted by name, broken ones too.
        read: how many were read, because they were new or changed.
        unchanged: how many were known.
        gone: how many were known and are there no more.
    """

    folder: Path
    items: tuple[Item, ...]
    read: int
    unchanged: int
    gone: int

    def path(self, item: Item) -> Path:
        """The file of an item."""
        return self.folder / item.found.path


def survey(
    folder: Path, *, index: Index | None = None, workers: int = 1, progress: Progress | None = None
) -> Survey:
    """Look at a folder; only files that are new or changed are opened.

    What was read is stored in batches. A process that is killed loses its last batch, and the next
    survey goes on from there.

    Args:
        folder: searched with the folders in it.
        index: where readings are kept; the user's own unless given.
        workers: processes that read; 1 reads in this one.
        progress: told after each file that was read.

    Raises:
        UnreadableFile, EmptyLibrary: as `look`. A broken file raises nothing, its reading tells.
    """
    index = Index() if index is None else index
    root = os.path.join(folder.absolute(), "")  # noqa: PTH118 - ten thousand Paths take a while
    files = {root + found.path: found for found in look(folder)}
    rows, reader = index.under(folder), reader_id()
    known = _still_valid(files, rows, reader)
    missing = [path for path in files if path not in known]
    fresh = _read(missing, workers, progress)
    for batch in _batches(fresh):
        known |= batch
        index.keep({path: _row(files[path], reading, reader) for path, reading in batch.items()})
    gone = rows.keys() - files.keys()
    index.forget(gone)
    names = unique_names([found.path for found in files.values()])
    items = (Item(n, f, known[path]) for n, (path, f) in zip(names, files.items(), strict=True))
    ordered = tuple(sorted(items, key=lambda item: (item.name, item.found.path)))
    return Survey(folder, ordered, len(missing), len(files) - len(missing), len(gone))


@lru_cache
def reader_id() -> str:
    """Another one whenever readings could differ: by the code, and by what joins it."""
    parts = [code_id("formats", "families", "library")]
    for group in ("lorafusion.formats", "lorafusion.families"):
        parts += sorted(point.value for point in metadata.entry_points(group=group))
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def _still_valid(files: dict[str, Found], rows: dict[str, Row], reader: str) -> dict[str, Reading]:
    """The stored readings of files that have not changed."""
    same = {
        path: row.text
        for path, found in files.items()
        if (row := rows.get(path)) and row[:3] == (found.stamp, found.beside, reader)
    }
    told = zip(same, readings(list(same.values())), strict=True)
    return {path: reading for path, reading in told if reading is not None}


def _read(
    paths: list[str], workers: int, progress: Progress | None
) -> Iterator[tuple[str, Reading]]:
    for count, (path, reading) in enumerate(read_files([Path(p) for p in paths], workers), 1):
        yield str(path), reading
        if progress is not None:
            progress(count, len(paths))


def _batches(readings: Iterable[tuple[str, Reading]]) -> Iterator[dict[str, Reading]]:
    """Readings by path, in batches that are neither large nor old."""
    batch: dict[str, Reading] = {}
    begun = time.monotonic()
    for path, reading in readings:
        batch[path] = reading
        if len(batch) >= BATCH or time.monotonic() - begun >= BATCH_SECONDS:
            yield batch
            batch, begun = {}, time.monotonic()
    if batch:
        yield batch


def _row(found: Found, reading: Reading, reader: str) -> Row:
    """What to store; a file that was written a moment ago is to be read again next time."""
    settled = time.time_ns() - found.mtime >= UNSETTLED
    stamp = found.stamp if settled else f"{found.stamp} unsettled"
    return Row(stamp, found.beside, reader, json.dumps(reading.fields()))
