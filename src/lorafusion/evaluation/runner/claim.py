"""Claims: several processes share a run without making an image twice.

A claim is a lock of the operating system on a file in the set's folder. It ends with its process,
however that ends, so that nothing has to be cleaned up after a kill.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Whether this folder is ours for the length of the block; it is made where it is missing.

    What a killed process left half-written there is removed, since nobody else writes there now.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        for half in folder.rglob(".*.tmp"):
            half.unlink()
        yield True  # the lock goes with the file
