"""Called: which LoRAs go by some words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True, eq=False)
class Called:
    """Lists of words, and the LoRAs that go by each: as arrays, which are stored and read in one piece.

    Attributes:
        words: each list once, its words with a space between, one list a line.
        starts: where the LoRAs of each list begin, and the end of the last, [w + 1].
        owners: their numbers, [c].
    """

    words: str
    starts: Int[np.ndarray, " w1"]
    owners: Int[np.ndarray, " c"]

    @classmethod
    def of(cls, owned: Iterable[Iterable[Sequence[str]]]) -> Called:
        """From the lists of each LoRA, in their order; an empty list calls nobody."""
        found: dict[str, list[int]] = {}
        for i, lists in enumerate(owned):
            for words in {" ".join(each) for each in lists} - {""}:
                found.setdefault(words, []).append(i)
        ends = np.cumsum([0, *map(len, found.values())], dtype=np.int64)
        return cls("\n".join(found), ends, np.array([*chain(*found.values())], np.int64))

    def by(self, words: Sequence[str]) -> list[int]:
        """The LoRAs that go by exactly these words."""
        at = self._places.get(" ".join(words))
        return [] if at is None else self.owners[self.starts[at] : self.starts[at + 1]].tolist()

    @cached_property
    def _places(self) -> dict[str, int]:
        return {words: i for i, words in enumerate(self.words.split("\n")) if words}
