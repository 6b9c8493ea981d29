"""Kept: LoRAs that were read, as long as there is room, so that popular ones are read once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lorafusion.errors import UnreadableFile
from lorafusion.lora import LoRA

Stamp = tuple[int, int, int]
_YOUNG = 2.0
"""Seconds in which a file may be written twice with the same time on it."""


class Kept:
    """The LoRAs that were read last, by path, up to a number of bytes; a file that changed is read anew.

    A LoRA in half precision takes what its file does.

    Args:
        read: path -> LoRA.
        budget: bytes of files that are kept; the least recently used go first.
    """

    def __init__(self, read: Callable[[Path], LoRA], budget: int) -> None:
        self.budget = budget
        self._read = read
        self._held: OrderedDict[Path, tuple[Stamp, LoRA]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, name: str) -> LoRA:
        """The LoRA in this file, under this name.

        Raises:
            InputError: as `formats.read`.
        """
        path = path.absolute()
        stamp = _stamp(path)
        with self._lock:
            known = self._held.get(path)
            if known and known[0] == stamp:
                self._held.move_to_end(path)
                return replace(known[1], name=name)
        lora = self._read(path)
        # A file that is being written, or has just been, may change without its stamp showing it.
        if stamp == _stamp(path) and time.time() - stamp[1] / 1e9 > _YOUNG:
            self._keep(path, stamp, lora)
        return replace(lora, name=name)

    @property
    def size(self) -> int:
        """Bytes of the files that are kept."""
        return sum(stamp[0] for stamp, _ in self._held.values())

    def _keep(self, path: Path, stamp: Stamp, lora: LoRA) -> None:
        with self._lock:
            self._held[path] = (stamp, lora)
            self._held.move_to_end(path)
            while self._held and self.size > self.budget:
                self._held.popitem(last=False)


def _stamp(path: Path) -> Stamp:
    """Size, time of the last change in nanoseconds, and which file it is."""
    try:
        seen = path.stat()
    except OSError as error:
        raise UnreadableFile(f"{path}: cannot be read ({error.strerror})") from error
    return seen.st_size, seen.st_mtime_ns, seen.st_ino
