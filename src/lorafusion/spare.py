"""Spare memory: pieces as large as a file, used again when what lay in them is gone.

LoRAs come and go. Memory that the system has just handed out costs a page fault every four kilobytes; for a
file and its stacks that is as long as all the rest of loading. A piece that is asked for again costs nothing, and
thousands of exchanges leave the process as large as the first did.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque

import numpy as np
import torch
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
_SMALL = 1 << 20
"""Below this many bytes the allocator's own memory is as good."""


class Spare:
    """Pieces of the CPU's memory that nobody needs any more, up to a number of bytes.

    Args:
        budget: bytes that are kept while nobody uses them; the pieces that were let go first go first.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._pieces: list[Bytes] = []
        # Python may let a piece go anywhere, in the middle of `take` too, so that no lock is waited for there.
        self._returned: deque[Bytes] = deque()
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes that wait to be used again."""
        return sum(map(len, (*self._pieces, *self._returned)))

    def take(self, size: int) -> Bytes:
        """So many bytes, with whatever is in them.

        They are used again when nothing refers to them any more: neither the answer nor an array or a tensor
        made of it.
        """
        if size < _SMALL:
            return _fresh(size)
        with self._lock:
            self._settle()
            whole = self._fitting(size)
        if whole is None:
            whole = _fresh(size)
        # Of a memoryview: a part of an array's part would refer to the whole, and not keep the part alive.
        given = np.frombuffer(whole.data[:size], np.uint8)
        weakref.finalize(given, self._let_go, whole).atexit = False
        return given

    def _fitting(self, size: int) -> Bytes | None:
        """A piece that is large enough and not half empty, the one that was let go last."""
        for place in range(len(self._pieces) - 1, -1, -1):
            if size <= len(self._pieces[place]) <= 2 * size:
                return self._pieces.pop(place)
        return None

    def _let_go(self, piece: Bytes) -> None:
        self._returned.append(piece)
        if self._lock.acquire(blocking=False):
            try:
                self._settle()
            finally:
                self._lock.release()

    def _settle(self) -> None:
        """Take in what was returned, and give the system what is over the budget."""
        while self._returned:
            self._pieces.append(self._returned.popleft())
        while sum(map(len, self._pieces)) > self.budget:
            self._pieces.pop(0)


SPARE = Spare(budget=1 << 28)
"""What files and stacks lie in: a quarter of a gigabyte waits at most; set ``SPARE.budget`` to another number."""


def _fresh(size: int) -> Bytes:
    # Aligned as torch's own; numpy would ask for huge pages, which virtual machines may be slow to give.
    fresh: Bytes = torch.empty(size, dtype=torch.uint8).numpy()
    return fresh
